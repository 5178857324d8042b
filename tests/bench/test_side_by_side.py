"""The contestants solve the same task, and the table says what each did. No test asserts a time."""

from __future__ import annotations

import math
import sys
import types

import pytest
import torch
from conftest import TEXT
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from gpt2cls_core import Classifier, integrated_gradients
from gpt2cls_core.attribution import baseline_embedding
from gpt2cls_core.bench import side_by_side as module
from gpt2cls_core.bench.bound import matmul_rate, needed_flops
from gpt2cls_core.bench.rivals import has_interpret, plain_captum, transformers_interpret
from gpt2cls_core.bench.side_by_side import Line, memory_by_steps, side_by_side, side_by_side_table
from gpt2cls_core.path_gradients import Path, pushes_at

OURS = ["ours to 1%, float32", "ours to 1%, bfloat16", "ours to Captum's delta, float32"]


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers-interpret is absent, wherever the tests run."""
    monkeypatch.setattr(module, "has_interpret", lambda: False)


def explainer(monkeypatch: pytest.MonkeyPatch, scores: list[float], delta: float) -> None:
    """A transformers-interpret that finds these scores."""
    monkeypatch.setattr(module, "has_interpret", lambda: True)
    package = types.ModuleType("transformers_interpret")

    class SequenceClassificationExplainer:
        def __init__(self, model: object, tokenizer: object) -> None:
            self.attributions = types.SimpleNamespace(delta=torch.tensor([-delta]))

        def __call__(self, text: str, internal_batch_size: int | None = None) -> list[tuple[str, float]]:
            return [("x", score) for score in scores]

    package.SequenceClassificationExplainer = SequenceClassificationExplainer
    monkeypatch.setitem(sys.modules, "transformers_interpret", package)


def test_plain_captum_agrees_with_our_integrated_gradients(clf: Classifier):
    encoding = clf.encode(TEXT)
    ours = integrated_gradients(clf, encoding, baseline="eos", n_steps=50)
    whole, parts = plain_captum(clf, encoding), plain_captum(clf, encoding, at_once=7)
    torch.testing.assert_close(whole, ours.scores, rtol=1e-4, atol=1e-5)  # float32, other order of sums
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)


def test_the_contestants_and_what_is_known_of_them(clf: Classifier):
    lines = side_by_side(clf, 7, repeats=2)
    assert [line.name for line in lines] == ["Captum LayerIntegratedGradients", *OURS]
    captum, exact, rounded, strict = lines
    assert all(len(line.seconds) == 2 and line.n_tokens == 7 for line in lines)
    found = integrated_gradients(clf, module.text_of(clf, 7))
    assert (exact.n_steps, exact.delta) == (found.n_steps, pytest.approx(found.relative_delta, rel=1e-3))
    assert captum.n_steps == 50
    assert captum.bound is None
    assert exact.bound > 0
    assert "scores within" in rounded.note
    assert strict.delta <= max(captum.delta, 1e-5), "Captum's delta, or float32's rounding"


def test_a_rival_that_finds_nothing_is_said_to(clf: Classifier, monkeypatch: pytest.MonkeyPatch):
    explainer(monkeypatch, [math.nan, math.nan, 1.0], 0.2)
    line = side_by_side(clf, 7, repeats=1)[1]
    assert line.name == "transformers-interpret"
    assert math.isnan(line.delta)
    assert line.note == "NaN for 2 of 3 tokens"
    assert "–" in side_by_side_table([line])


def test_a_rival_that_finds_scores_keeps_its_delta(clf: Classifier, monkeypatch: pytest.MonkeyPatch):
    explainer(monkeypatch, [0.5, 0.5], 0.25)
    line = side_by_side(clf, 7, repeats=1)[1]
    assert (line.delta, line.note) == (0.25, "delta in probability, not a share")


@pytest.mark.skipif(not has_interpret(), reason="transformers-interpret is not installed")
def test_transformers_interpret_is_called_as_it_wants_to_be(clf2: Classifier):
    scores, delta = transformers_interpret(clf2, TEXT)
    assert scores.ndim == 1
    assert delta >= 0


@pytest.mark.parametrize(
    ("expected", "free", "parts"), [(None, 10, None), (6, 10, None), (8, 10, 43), (1e6, 10, 1), (8, None, None)]
)
def test_captum_is_done_in_parts_where_memory_would_not_do(
    clf: Classifier,
    monkeypatch: pytest.MonkeyPatch,
    expected: float | None,
    free: int | None,
    parts: int | None,
):
    """43 of 50 points are what 70 % of 10 bytes hold, where all need 8."""
    seen: list[int | None] = []

    def captum(clf: Classifier, encoding: object, *, at_once: int | None) -> Tensor:
        seen.append(at_once)
        return plain_captum(clf, encoding, at_once=at_once)

    monkeypatch.setattr(module, "plain_captum", captum)
    monkeypatch.setattr(module, "_free_bytes", lambda: free)
    line = side_by_side(clf, 7, repeats=1, captum_peak=expected)[0]
    assert set(seen) == {parts}
    assert line.note.startswith(f"{parts} points at a time: all 50") if parts else line.note == ""


def test_the_table_of_numbers_worked_out_by_hand():
    captum = Line("Captum", 7, (2.0, 4.0, 3.0), 5_000_000, 0.00021, 50)
    ours = Line("ours", 7, (0.5, 0.5, 0.9), None, 0.004, 13, 0.25, "why not")
    head, first, second = side_by_side_table([captum, ours]).splitlines()
    assert head.split() == ["seconds", "peak", "MB", "delta", "steps", "faster", "×", "bound"]
    assert first.split() == ["Captum", "3.000", "5", "0.0210%", "50", "1.0×"]
    assert second.split() == ["ours", "0.500", "–", "0.4000%", "13", "6.0×", "2.00", "why", "not"]


def test_the_memory_of_more_steps_is_measured(clf: Classifier):
    assert [n for n, _ in memory_by_steps(clf, 7, (2, 5))] == [2, 5]


# --- the bound ---


@pytest.mark.parametrize("n_tokens", [1, 5, 12])
def test_the_flops_are_those_that_torch_counts(clf: Classifier, n_tokens: int):
    """Torch counts each product that our gradients run; attention over half of the pairs it counts as over all."""
    start = baseline_embedding(clf, n_tokens, "eos")
    path = Path(clf, start, torch.randn(n_tokens, 10), 1, 0)
    pushes_at(path, torch.tensor([0.5]))
    with FlopCounterMode(display=False) as counter:
        pushes_at(path, torch.tensor([0.5]))
    counts = {str(name): count for name, count in counter.get_flop_counts()["Global"].items()}
    products = counts["aten.addmm"] + counts["aten.mm"]
    head = 2 * 2 * 5 * 10  # the score's product, there and back
    size, blocks = clf.d_model, clf.n_layer
    attended = 3 * 2 * ((blocks - 1) * size * n_tokens * (n_tokens + 1) + 2 * size * n_tokens)
    assert needed_flops(clf, n_tokens, 1) == products - head + attended
    assert needed_flops(clf, n_tokens, 13) == 13 * needed_flops(clf, n_tokens, 1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_rate_is_some_number_of_operations_per_second(clf: Classifier, precision: str):
    assert 1e6 < matmul_rate(clf, precision, repeats=2) < 1e15
