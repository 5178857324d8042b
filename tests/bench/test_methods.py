"""Every method is measured, each at its slowest."""

from __future__ import annotations

import pytest
import torch
from conftest import TEXT

from gpt2cls_core import Classifier, Trace
from gpt2cls_core.bench import methods
from gpt2cls_core.bench.methods import model_timings, patching_timings, random_124m


def test_model_timings_cover_every_method(clf: Classifier):
    timings = model_timings(clf, TEXT, repeats=2)
    names = [timing.name for timing in timings]
    assert names[:3] == ["encode + verdict", "trace + rollout", "gradient-weighted rollout of a trace"]
    assert names[3:5] == ["each token cut, every route", "each token cut, direct edges"]
    assert names[5:7] == ["each head set to zero", "patching grid of two traces"]
    assert [name.rsplit(", ", 1)[1] for name in names[7:]] == ["eos", "zero", "mean", "eos"]
    assert names[-1].startswith("Captum LayerIntegratedGradients, 50 steps")
    assert all(len(timing.seconds) == 2 for timing in timings)
    assert all("steps, delta" in timing.note for timing in timings[7:])


def test_patching_is_timed_where_every_cell_differs(clf: Classifier, monkeypatch: pytest.MonkeyPatch):
    pairs: list[tuple[Trace, Trace]] = []

    def keep(clf: Classifier, clean: Trace, corrupted: Trace):
        pairs.append((clean, corrupted))
        return rows(clf, clean, corrupted)

    rows = methods.patch_grid_rows
    monkeypatch.setattr(methods, "patch_grid_rows", keep)
    monkeypatch.setattr(methods, "PATCHED_TOKENS", 6)
    timings = patching_timings(clf, TEXT, repeats=2)
    assert [timing.name for timing in timings] == ["patching grid, two top rows", "patching grid, all rows", "trace"]
    clean, corrupted = pairs[0]
    assert clean.input_ids.equal(clf.encode(TEXT).input_ids[:6])
    assert (clean.resid != corrupted.resid).any(-1).all()


def test_the_large_model_has_the_shape_of_gpt2(clf: Classifier):
    with torch.device("meta"):  # no memory
        large = random_124m(clf)
    assert (large.n_layer, large.n_head, large.d_model, large.context) == (12, 12, 768, 1024)
    assert large.n_parameters == 124_439_808 + 5 * 768  # GPT-2 and a head of five classes
    assert (large.labels, large.tokenizer) == (clf.labels, clf.tokenizer)
