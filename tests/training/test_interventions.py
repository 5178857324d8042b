from __future__ import annotations

import copy
import dataclasses
import json
import random
from pathlib import Path

import pytest
import torch
from conftest import save_tiny
from torch import Tensor, nn

from gpt2cls_core import (
    Classifier,
    LensProbes,
    ablate_direction,
    cut_attention,
    integrated_gradients,
    load_classifier,
    punctuation_positions,
    read_out_at,
    sentiment_directions,
    trace,
)
from gpt2cls_core.probes import save_lens_probes
from gpt2cls_core.soft_prompt import PromptedEmbedding
from gpt2cls_core.training import __main__ as command
from gpt2cls_core.training import edited_batches
from gpt2cls_core.training.data import LabelledTexts
from gpt2cls_core.training.evaluate import accuracy_of
from gpt2cls_core.training.interventions import (
    draw_others,
    measure_direction,
    measure_interventions,
    measure_single_cuts,
    within,
)

TEXTS = [
    "good film, but not for me.",
    "not bad, not good.",
    "a bad film; a, b and c.",
    "good",
    "me, me, me not",
    "not for me!",
    "a film",
]
LABELS = [0, 1, 0, 1, 1, 0, 1]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(save_tiny(tmp_path / "two", 2, seed=1, context=21))


@pytest.fixture(params=["whole", "prompted"])
def read_by(folder: str, request: pytest.FixtureRequest) -> Classifier:
    """A classifier with two classes, and the same behind a soft prompt of two virtual tokens."""
    clf = load_classifier(folder)
    if request.param == "whole":
        return clf
    model = copy.deepcopy(clf.model)
    prompt = torch.randn(2, 10, generator=torch.Generator().manual_seed(3))
    model.transformer.wte = PromptedEmbedding(model.transformer.wte, nn.Parameter(prompt, requires_grad=False))
    return dataclasses.replace(clf, model=model)


@pytest.fixture(autouse=True)
def several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edited_batches, "BATCH_SIZE", 3)


def write_validation(folder: Path, texts: list[str], labels: list[int]) -> str:
    import pandas as pd

    folder.mkdir()
    pd.DataFrame({"sentence": texts, "label": labels}).to_parquet(folder / "validation.parquet")
    return str(folder)


def accuracy(logits: list[Tensor], texts: list[str] = TEXTS) -> dict[str, float | int]:
    """Of logits [class] of each text."""
    return accuracy_of([int(row.argmax()) for row in logits], [LABELS[TEXTS.index(text)] for text in texts])


def test_accuracies_of_cuts_are_those_of_the_library_text_by_text(read_by: Classifier) -> None:
    measured = measure_interventions(read_by, LabelledTexts(TEXTS, LABELS), sample=2, seed=0)
    assert measured["n"] == 7
    traces = [trace(read_by, text) for text in TEXTS]
    assert measured["accuracy"].pop("clean") == accuracy([read.logits for read in traces])
    cuts = {"last_token_alone": None, "last_cut_in_lower_half": [0], "last_cut_in_upper_half": [1, 2]}
    assert measured["accuracy"].keys() == cuts.keys()
    for name, layers in cuts.items():
        logits = []
        for read in traces:
            earlier = range(read.last_token_index)
            effect = cut_attention(read_by, read, earlier, route="direct", layers=layers) if earlier else None
            logits.append(effect.logits_after if effect else read.logits)
        assert measured["accuracy"][name] == accuracy(logits)


def test_accuracies_elsewhere_are_those_of_the_library_text_by_text(read_by: Classifier) -> None:
    measured = measure_interventions(read_by, LabelledTexts(TEXTS, LABELS), sample=2, seed=0)
    traces, start = [trace(read_by, text) for text in TEXTS], read_by.n_virtual
    for place in ("first", "middle", "mean", "last"):
        expected = accuracy([read_out_at(read_by, read, place).logits_after for read in traces])
        assert measured["read_out"][place] == expected
    second = [read_out_at(read_by, read, max(start, len(read.tokens) - 2)).logits_after for read in traces]
    assert measured["read_out"]["second_to_last"] == accuracy(second)
    assert measured["prefix"]["percent"] == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    for percent, found in zip(measured["prefix"]["percent"], measured["prefix"]["accuracy"], strict=True):
        at = [start + round(percent / 100 * (read.last_token_index - start)) for read in traces]
        tops = [read_out_at(read_by, read, position).logits_after for read, position in zip(traces, at, strict=True)]
        assert found == accuracy(tops)
    assert measured["prefix"]["accuracy"][0] == measured["read_out"]["first"]
    assert measured["prefix"]["accuracy"][-1] == measured["read_out"]["last"] == measured["accuracy"]["clean"]


def test_accuracies_without_the_direction_are_those_of_the_library_text_by_text(read_by: Classifier) -> None:
    directions = {"head": sentiment_directions(read_by)}
    if not read_by.n_virtual:
        probes = LensProbes(torch.randn(4, 10, generator=torch.Generator().manual_seed(2)), torch.zeros(4))
        save_lens_probes(read_by, probes)
        directions["probes"] = sentiment_directions(read_by, probes)
    measured = measure_direction(read_by, [read_by.encode(text) for text in TEXTS], LABELS, seed=4)
    marked = [TEXTS[i] for i in (0, 1, 2, 4)]  # with a mark before the last token
    traces = [trace(read_by, text) for text in marked]
    assert (measured["n"], measured["marks"]) == (4, ",.;:!?…")
    assert measured["clean"] == accuracy([read.logits for read in traces], marked)
    assert measured.keys() - {"n", "marks", "clean"} == directions.keys()
    generator = random.Random(4)
    marks = [punctuation_positions(read) for read in traces]
    positions = {
        "punctuation": marks,
        "random": [draw_others(read.encoding, at, generator) for read, at in zip(traces, marks, strict=True)],
        "all_but_last": [range(read.last_token_index) for read in traces],
        "everywhere": [range(len(read.tokens)) for read in traces],
    }
    for name, direction in directions.items():
        for where, places in positions.items():
            effects = [ablate_direction(read_by, *given) for given in zip(traces, [direction] * 4, places, strict=True)]
            assert measured[name][where] == accuracy([effect.logits_after for effect in effects], marked)


def test_single_cuts_are_those_of_the_library_text_by_text(read_by: Classifier) -> None:
    clf = read_by
    measured = measure_single_cuts(clf, [clf.encode(text) for text in TEXTS], sample=3)
    used = TEXTS[:3]
    moved: dict[str, list[float]] = {name: [] for name in ("top_every", "top_direct", "other_every", "other_direct")}
    most = []
    for text in used:
        read, first = trace(clf, text), clf.n_virtual
        scores = integrated_gradients(clf, text).scores.abs()[first:-1]
        for route in ("every", "direct"):
            changes = [
                abs(cut_attention(clf, read, [position], route=route).change)
                for position in range(first, len(read.tokens) - 1)
            ]
            top = int(scores.argmax())
            moved[f"top_{route}"].append(changes[top])
            rest = changes[:top] + changes[top + 1 :]
            moved[f"other_{route}"].append(sum(rest) / len(rest))
            if route == "every":
                most.append(changes[top] == max(changes))
    for name, values in moved.items():
        assert measured[name] == pytest.approx(within(values), abs=2e-4)  # rounded to 4 digits
    differences = [a - b for a, b in zip(moved["top_every"], moved["top_direct"], strict=True)]
    assert measured["top_every_minus_direct"] == pytest.approx(within(differences), abs=2e-4)
    assert (measured["n"], measured["top_moves_most"]["share"]) == (3, pytest.approx(sum(most) / 3, abs=1e-4))
    lengths = [len(clf.encode(text)) - clf.n_virtual - 1 for text in used]
    assert measured["by_chance"] == pytest.approx(sum(1 / n for n in lengths) / 3, abs=1e-4)


def test_texts_too_short_to_cut_one_of_several_tokens_are_passed_over(folder: str) -> None:
    clf = load_classifier(folder)
    short = [clf.encode(text) for text in ("good", "good film", "good film,")]
    assert measure_single_cuts(clf, short[:2], sample=9) == {"n": 0}
    assert measure_single_cuts(clf, short, sample=9) == {"n": 1}
    assert measure_single_cuts(clf, short + short[2:], sample=9)["n"] == 2


def test_without_punctuation_there_is_no_direction_to_measure(folder: str) -> None:
    texts = LabelledTexts(["good film.", "not for me"], [1, 0])
    assert measure_interventions(load_classifier(folder), texts, sample=2, seed=0)["direction"] == {
        "n": 0,
        "marks": ",.;:!?…",
    }


def test_the_mean_and_its_interval_on_paper() -> None:
    # Deviations −1, 0, 1: variance 1, standard error sqrt(1/3) = 0.57735.
    assert within([1.0, 2.0, 3.0]) == {"mean": 2.0, "low": 0.8684, "high": 3.1316, "n": 3}
    assert within([2.0, 2.0]) == {"mean": 2.0, "low": 2.0, "high": 2.0, "n": 2}


def test_the_controls_positions_are_others_of_the_text_and_as_many(read_by: Classifier) -> None:
    encoding = read_by.encode("good film, but not, for me.")
    marks = punctuation_positions(encoding)
    drawn = [draw_others(encoding, marks, random.Random(seed)) for seed in range(30)]
    allowed = set(range(encoding.n_virtual, len(encoding) - 1)) - set(marks)
    assert len(marks) == 2
    assert all(len(set(positions)) == 2 and set(positions) <= allowed for positions in drawn)
    assert set().union(*drawn) == allowed
    assert draw_others(encoding, marks, random.Random(7)) == drawn[7]
    mostly = read_by.encode(", ,, a,.")
    assert len(draw_others(mostly, punctuation_positions(mostly), random.Random(0))) < len(
        punctuation_positions(mostly)
    )


def test_the_command_measures_and_keeps_what_it_does_not_measure(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, results = write_validation(tmp_path / "sst2", TEXTS, LABELS), tmp_path / "results.json"
    results.write_text('{"lens": {"two": 1}, "interventions": {"other": 2, "two": 3}}')
    given = ["interventions", "--model", folder, "--data", data, "--results", str(results), "--sample", "2"]
    assert command.main(given) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Written: {results}"
    written = json.loads(results.read_text())
    assert (written["lens"], written["interventions"]["other"]) == ({"two": 1}, 2)
    entry = written["interventions"]["two"]
    assert (entry["n"], entry["seed"], entry["data"], entry["one_token"]["n"]) == (7, 0, "sst2/validation", 2)
    assert entry["command"].startswith("python -m gpt2cls_core.training interventions --model ")
    assert entry["command"].endswith(" --sample 2")
    assert len(entry["date"]) == 10
    assert command.main([*given, "--limit", "5", "--seed", "3"]) == 0
    entry = json.loads(results.read_text())["interventions"]["two"]
    assert (entry["n"], entry["seed"], entry["accuracy"]["clean"]["n"]) == (5, 3, 5)
    again = json.loads(results.read_text())
    assert command.main([*given, "--limit", "5", "--seed", "3"]) == 0
    assert json.loads(results.read_text()) == again


def test_what_cannot_be_measured_is_one_line_and_writes_nothing(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, results = write_validation(tmp_path / "sst2", TEXTS, LABELS), tmp_path / "results.json"
    five = str(save_tiny(tmp_path / "five"))
    cases = [
        ([five, data, "2"], "SST-2 has two classes; "),
        ([folder, data, "1"], "sample must be 2 or more, not 1."),
        ([folder, str(tmp_path / "nowhere"), "2"], "nowhere"),
        (["nobody", data, "2"], "There is no model 'nobody'"),
    ]
    for (model, source, sample), message in cases:
        given = ["--model", model, "--data", source, "--sample", sample, "--results", str(results)]
        assert command.main(["interventions", *given]) == 2
        *_, last = capsys.readouterr().err.splitlines()  # above it, transformers' progress in loading
        assert last.startswith("error: ") and message in last
    assert not results.exists()


def test_help_explains_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["interventions", "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("In:", "Out:", "Example:", "give it after probes", "(default: 300)"))
    assert all(f"--{name}" in said for name in ("model", "data", "results", "sample", "limit", "seed"))
