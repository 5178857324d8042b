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
from gpt2cls_core.errors import DataError, ModelError, OptionError
from gpt2cls_core.training import __main__ as command
from gpt2cls_core.training import lens_probes
from gpt2cls_core.training.data import LabelledTexts, load_and_hold_out
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


def test_too_few_texts_to_show_both_classes(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_class = LabelledTexts(["good film.", "good plot.", "good song."], [1, 1, 1])
    monkeypatch.setattr(lens_probes, "load_and_hold_out", lambda _: (one_class, one_class))
    with pytest.raises(DataError, match=r"^The 2 texts drawn from sst2 are all of one class; learn from more "):
        train_lens_probes(folder, "sst2", results=str(tmp_path / "r.json"), texts=2)
    assert not (Path(folder) / "probes.safetensors").exists()


def test_a_classifier_of_the_hub_is_refused_before_the_work(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, clf = "someone/on-the-hub", load_classifier(folder)
    monkeypatch.setattr(lens_probes, "load_classifier", lambda _: clf)
    with pytest.raises(ModelError, match=f"^{hub} is no folder, so its probes have no place"):
        train_lens_probes(hub, str(tmp_path / "never read"), results=str(tmp_path / "r.json"))


def test_the_command_trains_and_measures(
    folder: str, sentences: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.json"
    given = [
        "probes",
        "--model",
        folder,
        "--data",
        sentences,
        "--results",
        str(results),
        "--texts",
        "30",
        "--seed",
        "4",
    ]
    assert command.main(given) == 0
    file = Path(folder) / "probes.safetensors"
    assert capsys.readouterr().out.splitlines()[-1] == f"Written: {file}"
    assert json.loads(results.read_text())["lens"]["two"]["n_train"] == 30
    by_command = file.read_bytes()
    train_lens_probes(folder, sentences, results=str(results), texts=30, seed=4)
    assert file.read_bytes() == by_command


def test_a_mistake_is_one_line_and_status_2(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["probes", "--model", folder, "--data", str(tmp_path / "nowhere"), "--results", str(tmp_path / "r.json")]
    assert command.main(given) == 2
    *_, last = capsys.readouterr().err.splitlines()  # above it, transformers' progress in loading
    assert last.startswith("error: ")
    assert "nowhere" in last


def test_help_explains_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["probes", "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("In:", "Out:", "Example:", "after\nevery ship", "(default: 8000)"))
    assert all(f"--{name}" in said for name in ("model", "data", "results", "texts", "seed"))
