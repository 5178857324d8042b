"""Probes on paper and in loops; their file, and every file that is not theirs."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from pathlib import Path

import pytest
import torch
from conftest import TEXT, save_tiny
from safetensors.torch import save_file

from gpt2cls_core import (
    Classifier,
    LensProbes,
    ModelError,
    OptionError,
    class_lens,
    load_classifier,
    load_lens_probes,
    probe_lens,
    trace,
)
from gpt2cls_core.probes import normalised, save_lens_probes

ADVICE = "Train them with: python -m gpt2cls_core.training probes"


@pytest.fixture
def own(tmp_path: Path) -> Classifier:
    """A two-class classifier with a folder that may be written to."""
    return load_classifier(save_tiny(tmp_path / "two", 2, seed=1))


@pytest.fixture
def probes() -> LensProbes:
    generator = torch.Generator().manual_seed(0)
    return LensProbes(torch.randn(4, 10, generator=generator), torch.randn(4, generator=generator))


def file_of(clf: Classifier) -> Path:
    return Path(clf.name) / "probes.safetensors"


# --- by hand ---


def test_normalised_worked_out_by_hand(clf2: Classifier) -> None:
    vector = torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])  # mean 5.5, variance 33/4
    expected = (vector - 5.5) / math.sqrt(8.25)
    torch.testing.assert_close(normalised(clf2, vector), expected, atol=2e-6, rtol=0)  # LayerNorm's ε of 1e-5 of 8.25
    torch.testing.assert_close(normalised(clf2, 3 * vector + 8), expected, atol=2e-6, rtol=0)


# --- identities ---


def test_normalised_has_mean_0_and_variance_1_in_every_cell(clf2: Classifier) -> None:
    x = normalised(clf2, trace(clf2, TEXT).resid)
    torch.testing.assert_close(x.mean(-1), torch.zeros(4, 7), atol=1e-6, rtol=0)  # float32
    torch.testing.assert_close(x.var(-1, unbiased=False), torch.ones(4, 7), atol=1e-4, rtol=0)  # ε of 1e-5


def test_the_last_layers_probe_can_be_the_head_itself(clf2: Classifier, probes: LensProbes) -> None:
    tr, head = trace(clf2, TEXT), clf2.score[1] - clf2.score[0]
    weights, bias = probes.weights.clone(), probes.bias.clone()
    weights[-1], bias[-1] = clf2.body.ln_f.weight * head, clf2.body.ln_f.bias @ head
    lens = probe_lens(clf2, tr, LensProbes(weights, bias))
    assert lens.margin == pytest.approx(float(tr.logits[1] - tr.logits[0]), abs=1e-5)  # float32 rounding
    assert not torch.allclose(lens.margins[:3], class_lens(clf2, tr).margins[:3], atol=0.1)


def test_writing_again_replaces_and_anyone_may_read(own: Classifier, probes: LensProbes) -> None:
    save_lens_probes(own, LensProbes(torch.ones(4, 10), torch.ones(4)))
    save_lens_probes(own, LensProbes(probes.weights.double(), probes.bias.double()))
    loaded = load_lens_probes(own)
    assert loaded.weights.equal(probes.weights)
    assert loaded.weights.dtype == loaded.bias.dtype == torch.float32
    assert file_of(own).stat().st_mode & 0o777 == 0o644


def test_a_write_that_is_killed_leaves_the_old_probes(
    own: Classifier, probes: LensProbes, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_lens_probes(own, probes)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            save_lens_probes(own, LensProbes(torch.ones(4, 10), torch.ones(4)))
    assert load_lens_probes(own).weights.equal(probes.weights)


# --- by an independent route ---


@pytest.mark.parametrize("target", ["negative", "positive"])
def test_every_cell_against_a_loop(clf2: Classifier, probes: LensProbes, target: str) -> None:
    tr = trace(clf2, TEXT)
    lens, sign = probe_lens(clf2, tr, probes, target=target), {"negative": -1, "positive": 1}[target]
    for layer in range(4):
        for position in range(7):
            x = tr.resid[layer, position].tolist()
            mean = sum(x) / 10
            scale = math.sqrt(sum((v - mean) ** 2 for v in x) / 10 + clf2.body.ln_f.eps)
            margin = sum(w * (v - mean) / scale for w, v in zip(probes.weights[layer].tolist(), x, strict=True))
            margin += float(probes.bias[layer])
            assert lens.at(layer, position) == pytest.approx(sign * margin, abs=1e-5)  # float32 rounding
            assert int(lens.verdicts[layer, position]) == (margin > 0)


# --- failures ---


def test_no_file(own: Classifier) -> None:
    with pytest.raises(ModelError) as raised:
        load_lens_probes(own)
    assert str(raised.value) == f"{own.name} has no probes (probes.safetensors in its folder). {ADVICE}"


@pytest.mark.parametrize("damage", ["empty", "cut short", "no bias", "text"])
def test_a_damaged_file(own: Classifier, probes: LensProbes, damage: str) -> None:
    file = save_lens_probes(own, probes)
    whole = file.read_bytes()
    if damage == "no bias":
        save_file({"weights": probes.weights}, file)
    else:
        file.write_bytes({"empty": b"", "cut short": whole[:-3], "text": b"these are no weights at all"}[damage])
    with pytest.raises(ModelError) as raised:
        load_lens_probes(own)
    assert str(raised.value).startswith(f"{file} can't be read; it is damaged. {ADVICE} (")


def test_a_file_without_the_heads_fingerprint(own: Classifier, probes: LensProbes) -> None:
    save_file({"weights": probes.weights, "bias": probes.bias}, file_of(own))
    with pytest.raises(ModelError) as raised:
        load_lens_probes(own)
    assert str(raised.value) == f"{file_of(own)} was trained for another model than {own.name}. {ADVICE}"


def test_a_head_that_was_trained_on_makes_the_probes_anothers(own: Classifier, probes: LensProbes) -> None:
    save_lens_probes(own, probes)
    later = dataclasses.replace(own, model=copy.deepcopy(own.model))
    later.model.score.weight[0, 0] += 1e-3
    with pytest.raises(ModelError, match=r"was trained for another model than .*two\. Train them with: "):
        load_lens_probes(later)
    assert load_lens_probes(own).bias.equal(probes.bias)


@pytest.mark.parametrize("shape", [(3, 10), (5, 10), (4, 11)])
def test_probes_of_another_size_are_neither_loaded_nor_read(own: Classifier, shape: tuple[int, int]) -> None:
    others = LensProbes(torch.zeros(shape), torch.zeros(shape[0]))
    with pytest.raises(OptionError) as refused:
        probe_lens(own, trace(own, TEXT), others)
    assert str(refused.value) == f"Probes of {own.name} have the shape [4, 10], not {list(shape)}."
    save_lens_probes(own, others)
    with pytest.raises(ModelError, match="was trained for another model than"):
        load_lens_probes(own)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (2, "There is no class 2; the classes are 0 to 1."),
        ("fine", "There is no class 'fine'; the classes are negative, positive."),
    ],
)
def test_a_class_that_does_not_exist(clf2: Classifier, probes: LensProbes, target: int | str, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        probe_lens(clf2, trace(clf2, TEXT), probes, target=target)
    assert str(raised.value) == message
