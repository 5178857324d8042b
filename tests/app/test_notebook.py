"""The notebook runs from top to bottom, and what it is seen to print is what it prints."""

from __future__ import annotations

import ast
import copy
import json
import re

import pytest

import gpt2cls_core
from app import notebook
from app.notebook import NOTEBOOK, only_printed, run

CONTENT = NOTEBOOK.read_text(encoding="utf-8")
CELLS = json.loads(CONTENT)["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:%| %)?")


@pytest.fixture(scope="module")
def finished():
    """A copy run in a process of its own; half a minute, most of it imports."""
    return run()


def printed(cell) -> str:
    return "".join("".join(output["text"]) for output in cell["outputs"] if output.get("name") == "stdout")


def test_every_cell_runs_and_every_figure_is_drawn(finished):
    ran = [cell for cell in finished.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in ran] == list(range(1, len(CODE) + 1))
    drawn = [cell for cell in ran if re.search(r"^show\(", cell.source, re.MULTILINE)]
    assert len(drawn) >= 6
    for cell in drawn:
        figures = [output.data for output in cell.outputs if output.output_type in ("display_data", "execute_result")]
        assert len(figures) == 1
        assert figures[0]["application/vnd.plotly.v1+json"]["data"]


def test_what_is_kept_is_what_a_run_prints(finished):
    for kept, ran in zip(CODE, [cell for cell in finished.cells if cell.cell_type == "code"], strict=True):
        assert printed(kept), "each cell says something"
        before, now = printed(kept), printed(ran)
        advice = f"run python -m app.notebook\n{before}\n{now}"
        assert NUMBER.sub("#", before) == NUMBER.sub("#", now), advice
        for a, b in zip(NUMBER.findall(before), NUMBER.findall(now), strict=True):
            # Another machine rounds the last digit shown otherwise; per cents have one decimal, others up to four.
            assert float(a.rstrip(" %")) == pytest.approx(float(b.rstrip(" %")), abs=0.11 if "%" in a else 0.011), (
                advice
            )


def test_only_text_is_kept(finished):
    kept = only_printed(copy.deepcopy(finished))
    assert {output["output_type"] for cell in kept.cells for output in cell.get("outputs", ())} == {"stream"}
    assert {output["output_type"] for cell in CODE for output in cell["outputs"]} == {"stream"}


def test_it_is_small_and_knows_no_machine():
    assert len(CONTENT.encode("utf-8")) < 1_000_000
    assert re.findall(r"(?<![\w.:/])(?:/(?:home|root|tmp|work|usr|opt|mnt|Users)/|[A-Z]:\\\\)[^\s\"]*", CONTENT) == []
    assert set(json.loads(CONTENT)["metadata"]) == {"kernelspec"}


def test_cells_are_short_and_explained():
    assert 10 <= len(CODE) <= 14
    assert all(len(cell["source"]) <= 20 for cell in CODE)
    before = dict(zip(map(id, CELLS[1:]), CELLS, strict=False))
    assert all(before[id(cell)]["cell_type"] == "markdown" for cell in CODE), "words before every cell"


def test_it_uses_what_the_library_offers():
    names: set[str] = set()
    for cell in CODE:
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.ImportFrom) and node.module == "gpt2cls_core":
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.module.startswith("app.figures") or node.module == "app.palette"
    lenses = {"head_products", "class_lens", "compare_geometry", "attention_rollout", "integrated_gradients"}
    assert lenses | {"margin_ledger", "cut_attention", "right_padding"} <= names <= set(gpt2cls_core.__all__)


def test_the_command_writes_what_was_printed(finished, monkeypatch, tmp_path):
    monkeypatch.setattr(notebook, "run", lambda: copy.deepcopy(finished))
    notebook.main(["-o", str(tmp_path / "out.ipynb")])
    written = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))
    assert [printed(cell) for cell in written["cells"] if "outputs" in cell] == [
        printed(cell) for cell in finished.cells if "outputs" in cell
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]
