"""Who may import whom. Read from the source, so that every file that exists is checked, new ones too.

    errors ← words, weights, encoding ← deltas, classifier ← trace ← methods ← training, bench ← app helpers and figures
    ← chapters ← layout, export, ui ← main

A module may import from its own level and from those before it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 5  # gpt2cls_core itself, which gathers the methods' names
LEVELS = {  # of a module and what lies under it; the longest name decides
    "gpt2cls_core.errors": 0,
    "gpt2cls_core.words": 1,
    "gpt2cls_core.hooks": 1,
    "gpt2cls_core.soft_prompt": 1,
    "gpt2cls_core.weights": 1,
    "gpt2cls_core.encoding": 1,
    "gpt2cls_core.deltas": 2,
    "gpt2cls_core.classifier": 2,
    "gpt2cls_core.trace": 3,
    "gpt2cls_core": 4,  # the methods
    "gpt2cls_core.training": 6,
    "gpt2cls_core.bench": 6,
    "gpt2cls_core.batch": 6,
    "gpt2cls_core.__main__": 6,
    "app": 7,  # figures, components, palette and other helpers
    "app.chapters": 8,
    "app.layout": 9,
    "app.views": 9,
    "app.stills": 9,
    "app.export": 9,
    "app.live": 9,
    "app.asking": 9,
    "app.ui": 9,
    "app.bench": 9,
    "app.main": 10,
    "app.__main__": 11,
    "app.screenshots": 11,  # drives the page from outside
}


@dataclass(frozen=True)
class Import:
    """One import: of `module`, and from it of `name` if that is no module itself."""

    importer: str
    module: str
    name: str | None
    only_for_types: bool

    def __str__(self) -> str:
        return f"{self.importer} imports {self.module}" + (f".{self.name}" if self.name else "")


def modules(root: Path) -> dict[str, Path]:
    """Dotted names and files of the project's modules."""
    files = [file for package in ("gpt2cls_core", "app") for file in sorted((root / package).rglob("*.py"))]
    names = [".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return dict(zip(names, files, strict=True))


def imports(root: Path) -> Iterator[Import]:
    """Every import in every module, inside functions too."""
    known = modules(root)
    for importer, file in known.items():
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
        typed = {
            id(node)
            for block in ast.walk(tree)
            if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
            for statement in block.body
            for node in ast.walk(statement)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (Import(importer, alias.name, None, id(node) in typed) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                package = importer.split(".") if file.name == "__init__.py" else importer.split(".")[:-1]
                start = package[: len(package) - node.level + 1] if node.level else []
                module = ".".join([*start, *([node.module] if node.module else [])])
                for alias in node.names:
                    submodule = f"{module}.{alias.name}"
                    found = (submodule, None) if submodule in known else (module, alias.name)
                    yield Import(importer, *found, id(node) in typed)


def level(module: str) -> int:
    if module == "gpt2cls_core":
        return PACKAGE
    return LEVELS[max((prefix for prefix in LEVELS if f"{module}.".startswith(f"{prefix}.")), key=len)]


def is_ours(module: str) -> bool:
    return module.split(".")[0] in ("gpt2cls_core", "app")


def against_the_direction(root: Path) -> list[str]:
    return [str(i) for i in imports(root) if is_ours(i.module) and level(i.module) > level(i.importer)]


def of_private_names(root: Path) -> list[str]:
    """Imports of another module's ``_name``, and uses of ``module._name``."""
    found = [str(i) for i in imports(root) if is_ours(i.module) and i.name and is_private(i.name)]
    own = {(i.importer, (i.name or i.module).split(".")[-1]) for i in imports(root) if is_ours(i.module) and not i.name}
    for module, file in modules(root).items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and is_private(node.attr):
                found += [f"{module} uses {node.value.id}.{node.attr}"] if (module, node.value.id) in own else []
    return found


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def of_packages(root: Path, within: str, *forbidden: str) -> list[str]:
    """Imports of forbidden packages by modules under `within`, in functions too; those for type checkers are free."""
    return [
        str(i)
        for i in imports(root)
        if f"{i.importer}.".startswith(f"{within}.") and i.module.split(".")[0] in forbidden and not i.only_for_types
    ]


def reached_from(root: Path, within: str) -> set[str]:
    """All modules of the project that importing anything under `within` brings in, and what they import."""
    edges: dict[str, set[str]] = {}
    for i in imports(root):
        if not i.only_for_types:
            edges.setdefault(i.importer, set()).add(i.module)
    reached: set[str] = set()
    waiting = [module for module in modules(root) if f"{module}.".startswith(f"{within}.")]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += edges.get(module, ())
    return reached


# --- the project ---


def test_the_project_is_found() -> None:
    found = modules(ROOT)
    assert {"gpt2cls_core", "gpt2cls_core.errors", "gpt2cls_core.trace", "gpt2cls_core.rollout"} <= found.keys()
    in_order = ["errors", "words", "classifier", "trace", "rollout"]
    assert [level(f"gpt2cls_core.{name}") for name in in_order] == [0, 1, 2, 3, 4]
    assert [level(name) for name in ("gpt2cls_core", "gpt2cls_core.training.data", "app.figures.grid")] == [5, 6, 7]
    assert [level(name) for name in ("app.chapters.predict", "app.ui", "app.main")] == [8, 9, 10]


def test_imports_follow_the_one_direction() -> None:
    assert against_the_direction(ROOT) == []


def test_no_module_reaches_into_anothers_private_names() -> None:
    assert of_private_names(ROOT) == []


def test_the_library_knows_neither_the_page_nor_its_tools() -> None:
    assert of_packages(ROOT, "gpt2cls_core", "gradio", "plotly", "app") == []


def test_figures_know_neither_torch_nor_gradio() -> None:
    assert of_packages(ROOT, "app.figures", "torch", "gradio") == []


def test_figures_do_not_bring_gradio_in_by_another_way() -> None:
    assert not {module for module in reached_from(ROOT, "app.figures") if module.split(".")[0] == "gradio"}


def test_importing_the_library_loads_nothing_heavy_but_torch() -> None:
    heavy = ["transformers", "captum", "gradio", "plotly", "datasets", "sklearn", "peft"]
    code = f"import sys; import gpt2cls_core; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr


# --- the checks themselves ---


@pytest.fixture
def offender(tmp_path: Path) -> Path:
    """A project that breaks every rule."""
    files = {
        "gpt2cls_core/__init__.py": "from .trace import trace\n",
        "gpt2cls_core/errors.py": "def f():\n    from .classifier import Classifier\n",
        "gpt2cls_core/classifier.py": "import gradio.themes\n",
        "gpt2cls_core/trace.py": "from . import rollout\n",
        "gpt2cls_core/rollout.py": "from ..app import ui\nfrom .attribution import _captum\n",
        "gpt2cls_core/attribution.py": "from . import lens\nlens._secret()\nlens.__doc__\n",
        "gpt2cls_core/lens.py": "def f():\n    import plotly.graph_objects as go\n",
        "app/__init__.py": "",
        "app/palette.py": "import gradio as gr\n",
        "app/figures/__init__.py": "from app.chapters.predict import TITLE\n",
        "app/figures/grid.py": (
            "from typing import TYPE_CHECKING\nfrom torch import nn\nfrom .. import palette\n"
            "if TYPE_CHECKING:\n    import gradio\n"
        ),
        "app/chapters/predict.py": "TITLE = 1\n",
        "app/ui.py": "from app.main import main\n",
        "app/main.py": "from app.ui import build\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_the_checks_find_every_offence(offender: Path) -> None:
    assert against_the_direction(offender) == [
        "gpt2cls_core.errors imports gpt2cls_core.classifier.Classifier",
        "gpt2cls_core.rollout imports app.ui",
        "gpt2cls_core.trace imports gpt2cls_core.rollout",
        "app.figures imports app.chapters.predict.TITLE",
        "app.ui imports app.main.main",
    ]
    assert of_private_names(offender) == [
        "gpt2cls_core.rollout imports gpt2cls_core.attribution._captum",
        "gpt2cls_core.attribution uses lens._secret",
    ]
    assert of_packages(offender, "gpt2cls_core", "gradio", "plotly", "app") == [
        "gpt2cls_core.classifier imports gradio.themes",
        "gpt2cls_core.lens imports plotly.graph_objects",
        "gpt2cls_core.rollout imports app.ui",
    ]
    assert of_packages(offender, "app.figures", "torch", "gradio") == ["app.figures.grid imports torch.nn"]
    assert "gradio" in reached_from(offender, "app.figures"), "by way of app.palette"
