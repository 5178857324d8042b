from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_tiny
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gpt2cls_core import class_lens, load_classifier, load_lens_probes, probe_lens, trace
from gpt2cls_core.errors import DataError, OptionError
from gpt2cls_core.training.data import load_and_hold_out
from gpt2cls_core.training.lens_probes import fit_lens_probes, train_lens_probes


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(save_tiny(tmp_path / "two", 2, seed=1, context=21))


def test_weights_on_raw_vectors_are_scikit_learns_on_standardised_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(2, 50, 6, generator=generator) * torch.tensor([1.0, 2, 3, 4, 5, 6]) + 3
    labels = (vectors[0, :, 0] > 3).long().tolist()
    probes = fit_lens_probes(vectors, labels)
    assert probes.weights.shape == (2, 6)
    for layer, x in enumerate(vectors.double().numpy()):
        expected = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(x, labels)
        margins = x @ probes.weights[layer].double().numpy() + float(probes.bias[layer])
        np.testing.assert_allclose(margins, expected.decision_function(x), atol=1e-4)  # weights stored in float32


def test_probes_are_trained_bundled_and_measured(folder: str, sentences: str, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    results.write_text('{"classifiers": {"two": 1}, "lens": {"other": 2}}')
    file = train_lens_probes(folder, sentences, results=str(results))
    assert file == Path(folder) / "probes.safetensors"
    measured = json.loads(results.read_text())
    assert (measured["classifiers"], measured["lens"]["other"]) == ({"two": 1}, 2)
    entry = measured["lens"]["two"]

    clf, (_, held_out) = load_classifier(folder), load_and_hold_out(sentences)
    probes, truth = load_lens_probes(clf), np.array(held_out.labels)
    assert entry["n"] == len(truth)
    traces = [trace(clf, text) for text in held_out.texts]
    for key, read in (("head", class_lens), ("probe", lambda clf, tr: probe_lens(clf, tr, probes))):
        verdicts = np.stack([read(clf, tr).verdicts[:, -1].numpy() for tr in traces], 1)  # (layer+1, text)
        assert entry[key] == pytest.approx((verdicts == truth).mean(1).tolist(), abs=1e-4)  # rounded to 4 digits
    assert entry["majority"] == pytest.approx(max(truth.mean(), 1 - truth.mean()), abs=1e-4)


def test_the_same_seed_gives_the_same_file(folder: str, sentences: str, tmp_path: Path) -> None:
    def train(seed: int) -> bytes:
        return train_lens_probes(folder, sentences, results=str(tmp_path / "r.json"), texts=40, seed=seed).read_bytes()

    first = train(0)
    assert train(0) == first
    assert train(1) != first
    assert json.loads((tmp_path / "r.json").read_text())["lens"]["two"]["n_train"] == 40


def test_what_cannot_be_trained(folder: str, sentences: str, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    five = str(save_tiny(tmp_path / "five"))
    with pytest.raises(OptionError, match=r"Probes tell two classes apart; .*five has 5\."):
        train_lens_probes(five, sentences, results=str(results))
    with pytest.raises(OptionError, match="texts must be 2 or more, not 1"):
        train_lens_probes(folder, sentences, results=str(results), texts=1)
    with pytest.raises(DataError):
        train_lens_probes(folder, str(tmp_path / "nowhere"), results=str(results))
    assert not results.exists()
    assert not (Path(folder) / "probes.safetensors").exists()
