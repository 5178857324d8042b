"""Builds the live lesson: one HTML file, or a folder for a course site or a static Space.

What is in it comes from three places: the classifier (`model`), the page's own layout and words (`page`), and packages from npm,
which ``package-lock.json`` pins and which are installed beside this file on first use.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from gpt2cls_core import Gpt2clsError
from gpt2cls_core.training.files import write_text

from .. import models
from ..components.plotly_view import PLOTLY_JS
from ..header import TITLE
from ..settings import FIRST_TEXT
from ..static_page import filled
from .model import model_files
from .packing import halves, packed, script_beside, script_within
from .page import live_parts

__all__ = ["BuildError", "install_packages", "models_of", "write_live_file", "write_live_folder"]

_HERE = Path(__file__).parent
PACKAGES, LOCK = _HERE / "node_modules", _HERE / "package-lock.json"
SHARING = ("head", "lora", "prompt")  # bundled models that are small changes of one base, and fit into one lesson
MOST_FILE, MOST_FOLDER, MOST_EACH = 26_000_000, 20_000_000, 10_000_000  # bytes
SPACE = """---
title: {title}
emoji: 🔎
colorFrom: blue
colorTo: yellow
sdk: static
app_file: index.html
pinned: false
license: mit
---

The model runs in the reader's browser. Made by `python -m app.export --live`; see `licences.txt`.
"""


class BuildError(Gpt2clsError):
    """The lesson can't be built: npm or a package is missing, or it would be too large."""


def models_of(name: str) -> tuple[str, ...]:
    """The models that a lesson on this one holds, itself first.

    A model with weights of its own is alone in its lesson: with another's, it would be larger than a file may be.
    """
    return (name, *(other for other in SHARING if other != name)) if name in SHARING else (name,)


def write_live_file(output: Path, model: str, text: str = FIRST_TEXT) -> None:
    """Write the lesson as one HTML file.

    Raises:
        BuildError: npm is missing, or the file would be too large.
        ModelError, OptionError: the model can't be loaded, or has other than two classes.
    """
    names = models_of(model)
    engine = [script_within(name, part) for name, part in _parts(names).items()]
    page = _page(names, text, [*engine, f'<script type="text/plain" id="licences">\n{licences()}</script>'])
    _check_size(output.name, len(page.encode()), MOST_FILE)
    write_text(output, page)


def write_live_folder(output: Path, model: str, text: str = FIRST_TEXT) -> None:
    """Write the lesson as a folder: ``index.html``, the scripts that it reads, licences, and a static Space's README.

    Files of other names that are in the folder already stay there.

    Raises:
        BuildError: npm is missing, or the folder or a file in it would be too large.
        ModelError, OptionError: the model can't be loaded, or has other than two classes.
    """
    names = models_of(model)
    files = {f"{name}.js": script_beside(name, part) for name, part in _parts(names).items()}
    beside = [
        f'<script src="{name}.js" async onerror="gpt2clsEngine.missing(\'{name}\')"></script>' for name in _parts(names)
    ]
    files["licences.txt"] = licences().encode()
    files["README.md"] = SPACE.format(title=TITLE).encode()
    files["index.html"] = _page(names, text, beside).encode()
    for name, content in files.items():
        _check_size(name, len(content), MOST_EACH)
    _check_size(str(output), sum(map(len, files.values())), MOST_FOLDER)
    output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (output / name).write_bytes(content)


def _page(names: tuple[str, ...], text: str, files: Sequence[str]) -> str:
    needs = json.dumps({"files": list(_parts(names)), "model": names[0]})
    boot = f"<script>window.gpt2clsNeeds = {needs};\n{_inline('boot.js')}</script>"
    worker = script_within("worker", packed(bundled("worker.js").encode()))
    fill = {
        "PLOTLY": base64.b64encode(packed(PLOTLY_JS.read_bytes())).decode(),
        "ENGINE": "\n".join([boot, worker, *files]),
        "PAGE": _inline("page.js"),
    }
    return filled(_HERE / "page.html", {**_words(names, text), **fill})


@lru_cache(maxsize=2)
def _words(names: tuple[str, ...], text: str) -> Mapping[str, str]:
    return live_parts(names, text)


def _inline(script: str) -> str:
    """A bundled script as it may stand within a page."""
    return bundled(script).replace("</script", "<\\/script")


@lru_cache(maxsize=2)
def _parts(names: tuple[str, ...]) -> Mapping[str, bytes]:
    """The files that the engine reads, packed, by the names that ``worker.js`` knows them by; deltas by the models'."""
    install_packages()
    made = model_files([models.classifier(name) for name in names])
    texts = json.dumps({"card": made.card, "tokenizer": json.loads(made.tokenizer)}, ensure_ascii=False)
    wasm = PACKAGES / "onnxruntime-web" / "dist" / "ort-wasm-simd-threaded.wasm"
    files = {
        "wasm": wasm.read_bytes(),
        "graph": made.graph,
        **halves(made.weights),
        "texts": texts.encode(),
        **made.deltas,
    }
    return {name: packed(content) for name, content in files.items()}


def install_packages() -> None:
    """Install what ``package-lock.json`` pins, where that is not done yet. No script of a package is run.

    Raises:
        BuildError: npm is missing or fails.
    """
    if _installed():
        return
    if not shutil.which("npm"):
        raise BuildError(
            "The live lesson is built with Node.js and npm; install them (Debian: apt install nodejs npm)."
        )
    # Beside its place and then moved, so that two builds at once don't write into one folder.
    with tempfile.TemporaryDirectory(dir=PACKAGES.parent, suffix=".partial") as partial:
        for file in (LOCK, LOCK.with_name("package.json")):
            shutil.copy(file, partial)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        _run(command, "npm could not install what the live lesson needs; is there a network?", Path(partial))
        made = Path(partial) / "node_modules"
        shutil.copy(LOCK, made)
        if not _installed():
            shutil.rmtree(PACKAGES, ignore_errors=True)
            made.replace(PACKAGES)


def _installed() -> bool:
    done = PACKAGES / LOCK.name
    return done.is_file() and done.read_bytes() == LOCK.read_bytes()


@lru_cache
def bundled(script: str) -> str:
    """A script and all that it imports, as one that needs nothing.

    Raises:
        BuildError: npm is missing, or the script is broken.
    """
    install_packages()
    esbuild = ["node", "node_modules/esbuild/bin/esbuild", script, "--bundle", "--format=iife", "--minify"]
    options = ["--target=es2022", "--charset=utf8", "--legal-comments=inline", "--log-level=error"]
    options += ["--define:import.meta.url=undefined", "--external:node:*"]
    return _run([*esbuild, *options], f"{script} could not be bundled.", _HERE)


def _run(command: list[str], problem: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise BuildError(f"{problem} {done.stderr.strip()[-500:]}")
    return done.stdout


def licences() -> str:
    """The licences of all that the lesson holds of others."""
    apache = (PACKAGES / "@huggingface" / "tokenizers" / "LICENSE").read_text(encoding="utf-8")
    return (_HERE / "licences.txt").read_text(encoding="utf-8").replace("{apache}", apache)


def _check_size(name: str, size: int, most: int) -> None:
    if size > most:
        raise BuildError(
            f"{name} would have {size / 1e6:.1f} MB, and {most / 1e6:.0f} MB is the most. Take a smaller model."
        )
