"""The lesson that needs no server, built once: files of models, the engine in node, and both forms of the page."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import missing
from torch import float32, tensor

from app import models
from app.live.build import install_packages, write_live_file, write_live_folder
from app.live.model import model_files

HERE = Path(__file__).parent
Run = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js, with the packages that the lesson is built from."""
    found = shutil.which("node")
    if not found or not shutil.which("npm"):
        missing("Node.js and npm are not installed: apt-get install nodejs npm")
    install_packages()
    return found


@pytest.fixture(scope="session")
def run(node: str) -> Run:
    """Runs a script of this folder with JSON as its input, and gives the JSON that it writes."""

    def run(script: str, given: Any) -> Any:
        done = subprocess.run([node, HERE / script], input=json.dumps(given), capture_output=True, encoding="utf-8")
        assert not done.returncode, done.stderr[-1000:]
        return json.loads(done.stdout, object_hook=_tensors)

    return run


def _tensors(found: dict[str, Any]) -> Any:
    return tensor(found["data"], dtype=float32).reshape(found["shape"]) if found.keys() == {"shape", "data"} else found


@pytest.fixture(scope="session")
def full_files(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the default model."""
    return _written(tmp_path_factory.mktemp("full"), "full")


@pytest.fixture(scope="session")
def shared_files(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of three models on one base."""
    return _written(tmp_path_factory.mktemp("shared"), "lora", "head", "prompt")


def _written(folder: Path, *names: str) -> Path:
    made = model_files([models.classifier(name) for name in names])
    (folder / "graph.onnx").write_bytes(made.graph)
    (folder / "weights.safetensors").write_bytes(made.weights)
    (folder / "tokenizer.json").write_text(made.tokenizer, encoding="utf-8")
    for name, content in made.deltas.items():
        (folder / f"{name}.safetensors").write_bytes(content)
    (folder / "card.json").write_text(json.dumps(made.card | {"deltas": list(made.deltas)}), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def lesson_file(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lesson on three models that share one base, as one file."""
    file = tmp_path_factory.mktemp("lesson") / "lesson.html"
    write_live_file(file, "lora")
    return file


@pytest.fixture(scope="session")
def lesson_folder(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a folder: what is larger than the lesson on the default model alone."""
    folder = tmp_path_factory.mktemp("lesson-folder")
    write_live_folder(folder, "lora")
    return folder
