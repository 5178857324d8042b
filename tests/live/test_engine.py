"""The engine in node against torch: the same weights, so the same numbers, but for the order in which sums are formed.

The issue allows 1e-4 for logits, lens, cuts and patches and 1e-3 for attributions; residual streams, whose largest numbers are some
hundreds, get a hundredth of a per cent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from live.conftest import Run

from app import models
from gpt2cls_core import (
    Classifier,
    Trace,
    attention_rollout,
    class_lens,
    cut_attention,
    cut_each,
    gradient_weighted_rollout,
    integrated_gradients,
    patch_grid,
    patch_states,
    trace,
)

PLAIN, NEGATED = "A slow start, but what an ending!", "I don't think that this film is good."
ONE_TOKEN = "!"
LONG = "A long and winding story that goes on. " * 20
ODD = "I 💔 naïve films…\tit’s שלום OK"
CLEAN, CORRUPTED = "A good film and nice.", "A bad film and nice."
BASELINES = {PLAIN: ("eos", "zero", "mean"), NEGATED: ("mean",), ONE_TOKEN: ("eos",), LONG: (), ODD: ("zero",)}
CUTS = ({"positions": [0, 2], "layers": [1, 2]}, {"positions": [0, 3], "route": "direct"})
CELLS = [(0, 1), (3, 1), (3, 4), (6, 5)]
NUMBERS, SCORES, STATES = 1e-4, 1e-3, 1e-4  # the last one relative to the largest state
Results = dict[tuple, Any]


def calls(text: str) -> dict[tuple, list]:
    """What is asked of a text, by what it is called here."""
    asked: dict[tuple, list] = {("read", text): ["read", text]}
    asked |= {("integrate", text, name): ["integrate", text, {"baseline": name}] for name in BASELINES[text]}
    if text not in (ONE_TOKEN, LONG):  # in one there is nothing to cut, in the other too much
        asked |= {("cut", text, i): ["cut", text, cut] for i, cut in enumerate(CUTS)}
        asked |= {("each", text): ["cutEach", text, {"layers": [0, 3], "route": "direct"}]}
    return asked


def pair_calls() -> dict[tuple, list]:
    asked: dict[tuple, list] = {
        ("patch", cell): ["patch", CLEAN, CORRUPTED, {"layer": cell[0], "position": cell[1]}] for cell in CELLS
    }
    return asked | {("row",): ["patchRow", CLEAN, CORRUPTED, {"layer": 2}]}


@pytest.fixture(scope="module")
def full(run: Run, full_files: Path) -> Results:
    """All that is asked of the default model, in one process."""
    asked = pair_calls()
    for text in BASELINES:
        asked |= calls(text)
    job = {"model": "full", "calls": list(asked.values())}
    return dict(zip(asked, run("engine.mjs", {"files": str(full_files), "jobs": [job]}), strict=True))


@pytest.fixture(scope="module")
def shared(run: Run, shared_files: Path) -> dict[str, Results]:
    """The same of models that share a base, one after the other."""
    asked = calls(NEGATED) | pair_calls()
    jobs = [{"model": name, "calls": list(asked.values())} for name in ("prompt", "lora", "head")]
    found = iter(run("engine.mjs", {"files": str(shared_files), "jobs": jobs}))
    return {job["model"]: {name: next(found) for name in asked} for job in jobs}


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max())


def check_reading(clf: Classifier, found: dict, read: Trace) -> None:
    assert (found["text"], found["ids"], found["tokens"]) == (read.text, read.input_ids.tolist(), list(read.tokens))
    assert found["n_virtual"] == clf.n_virtual
    lens = class_lens(clf, read)
    assert found["target"] == lens.target
    assert off(found["logits"], read.logits) < NUMBERS
    assert off(found["lens"], lens.margins) < NUMBERS
    assert off(found["prefix_margins"], lens.margins[-1]) < NUMBERS
    assert found["margin"] == pytest.approx(lens.margin, abs=NUMBERS)
    assert off(found["states"], read.resid) < STATES * float(read.resid.abs().max())
    assert off(found["final"], clf.body.ln_f(read.resid[-1, -1])) < NUMBERS
    assert off(found["attention"], read.attention) < NUMBERS
    assert torch.equal(found["head"], clf.score)
    rollout = attention_rollout(read)
    averaged = torch.eye(len(read.tokens))
    for layer in found["attention"].mean(1):
        averaged = (torch.eye(len(averaged)) + layer) / 2 @ averaged
    assert off(averaged, rollout.weights) < NUMBERS
    relevance = torch.eye(len(read.tokens))
    for layer in found["useful"]:
        relevance = relevance + layer @ relevance
    assert off(relevance, gradient_weighted_rollout(clf, read).relevance) < NUMBERS


def check_text(clf: Classifier, found: Results, text: str) -> None:
    read = trace(clf, text)
    check_reading(clf, found["read", text], read)
    for name in BASELINES[text]:
        result, expected = found["integrate", text, name], integrated_gradients(clf, text, baseline=name)
        assert off(result["scores"], expected.scores) < SCORES
        assert result["n_steps"] == expected.n_steps
        assert result["delta"] == pytest.approx(expected.convergence_delta, abs=SCORES)
        assert result["margin_input"] == pytest.approx(expected.margin_input, abs=NUMBERS)
        assert result["margin_baseline"] == pytest.approx(expected.margin_baseline, abs=NUMBERS)
    if text not in (ONE_TOKEN, LONG):
        check_cuts(clf, found, read)


def check_cuts(clf: Classifier, found: Results, read: Trace) -> None:
    for i, cut in enumerate(CUTS):
        options = {name: value for name, value in cut.items() if name != "positions"}
        effect = cut_attention(clf, read, cut["positions"], **options)
        assert off(found["cut", read.text, i]["logits"], effect.logits_after) < NUMBERS
        assert off(found["cut", read.text, i]["states"], effect.resid) < STATES * float(effect.resid.abs().max())
    assert off(found["each", read.text], cut_each(clf, read, route="direct", layers=[0, 3])) < NUMBERS


def check_pair(clf: Classifier, found: Results) -> None:
    clean, corrupted = trace(clf, CLEAN), trace(clf, CORRUPTED)
    for cell in CELLS:
        effect = patch_states(clf, clean, corrupted, [cell])
        assert off(found["patch", cell]["logits"], effect.logits_after) < NUMBERS
    assert off(found["row",], patch_grid(clf, clean, corrupted).margins[2]) < NUMBERS


@pytest.mark.parametrize("text", BASELINES)
def test_every_number_is_torchs(full: Results, text: str) -> None:
    check_text(models.classifier("full"), full, text)


def test_patches_are_torchs(full: Results) -> None:
    check_pair(models.classifier("full"), full)


@pytest.mark.parametrize("name", ["head", "lora", "prompt"])
def test_models_that_share_a_base_are_torchs(shared: dict[str, Results], name: str) -> None:
    """LoRA's products are added in float32, the soft prompt stands in front: no exception is made for either."""
    clf = models.classifier(name)
    check_text(clf, shared[name], NEGATED)
    check_pair(clf, shared[name])


def test_nothing_is_read_where_python_reads_nothing(run: Run, full_files: Path) -> None:
    cases = {" \n\u3000": "empty", "a" * 100_001: "long", "good \ud83d film": "surrogate"}
    asked = [["read", text] for text in cases]
    asked += [["integrate", PLAIN, {"baseline": "random"}], ["patch", PLAIN, "Bad", {"layer": 0, "position": 0}]]
    *found, baseline, pair = run("engine.mjs", {"files": str(full_files), "jobs": [{"model": "full", "calls": asked}]})
    assert [result["kind"] for result in found] == list(cases.values())
    assert [found[1]["n"], found[2]["place"]] == [100_001, 6]
    assert baseline["problem"] == "There is no baseline random."
    assert pair["problem"] == "Patching needs two texts with as many tokens."
