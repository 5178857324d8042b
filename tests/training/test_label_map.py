from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from adapters import save_base, save_changes
from conftest import save_tiny, tiny_config, tiny_tokenizer
from transformers import GPT2LMHeadModel

from gpt2cls_core import load_base, load_classifier, trace
from gpt2cls_core.training import __main__ as command
from gpt2cls_core.training.data import LabelledTexts, load_and_hold_out
from gpt2cls_core.training.label_map import POSITIONS, map_accuracy, position_vectors, whole_sentences

from .conftest import made_up, write_split


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(save_tiny(tmp_path / "two", 2, seed=1, context=21))


@pytest.fixture(scope="module")
def phrases(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Laid out as SST-2, with ten sentences held out."""
    texts, labels = made_up(100, words=10, seed=6)
    pieces = [" ".join(text.split()[-3:]) for text in texts]
    return str(
        write_split(tmp_path_factory.mktemp("data") / "sst2", "train", sentence=texts + pieces, label=labels * 2)
    )


# --- parts ---


def test_a_sentence_ends_as_one_and_is_long_enough(base: str) -> None:
    model = load_base(base)
    texts = [
        "good film for me.",
        "good film for me",
        "good film for me!",
        'good film for me."',
        "good film.",
        "me?",
        ")",
    ]
    data = LabelledTexts(texts, [0, 1, 1, 0, 1, 0, 1])
    assert [len(model.encode(text)) for text in texts] == [5, 4, 5, 6, 3, 3, 1]
    kept = whole_sentences(model, data, 5)
    assert (kept.texts, kept.labels) == (["good film for me.", "good film for me!", 'good film for me."'], [0, 1, 0])
    assert len(whole_sentences(model, data, 3)) == 5
    assert len(whole_sentences(model, data, 6)) == 1


def test_positions_by_hand(base: str) -> None:
    """Of 7 tokens the places are 0, round(1.5) = 2, 3, round(4.5) = 4 and 6; of one token always the same."""
    model, text = load_base(base), "good film, but not for me"
    found = position_vectors(model, [text, "good"])
    assert found.shape == (4, 5, 2, 10) and POSITIONS == (0, 0.25, 0.5, 0.75, 1)
    hidden = directly(model, text)
    np.testing.assert_allclose(found[:, :, 0], hidden[:, [0, 2, 3, 4, 6]], atol=1e-5)  # float32 in another order
    assert (found[:, :, 1] == found[:, :1, 1]).all()


def directly(model, text: str) -> np.ndarray:
    """Vectors after ``ln_f`` in every layer, by Hugging Face's own hidden states [layer+1 pos d_model]."""
    with torch.no_grad():
        hidden = model.body(input_ids=model.encode(text).input_ids[None], output_hidden_states=True).hidden_states
        return torch.cat([model.body.ln_f(torch.cat(hidden[:-1])), hidden[-1]]).numpy()


def test_a_soft_prompt_is_no_part_of_the_text(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", context=21)
    clf, text = load_classifier(save_changes(base, "prompt")), "good film, but not for me"
    assert clf.n_virtual == 3
    found, hidden = position_vectors(clf, [text])[:, :, 0], directly(clf, text)
    np.testing.assert_allclose(found, hidden[:, [3, 5, 6, 7, 9]], atol=1e-5)  # float32 in another order
    with torch.no_grad():
        top = clf.body.ln_f(trace(clf, text).resid[-1, -1])
    np.testing.assert_allclose(found[-1, -1], top.numpy(), atol=1e-5)


def test_a_probe_of_its_own_in_every_cell() -> None:
    """The label stands in another coordinate of each cell, and in one cell nowhere."""
    generator, labels = np.random.default_rng(0), [i % 2 for i in range(60)]
    data = LabelledTexts([""] * 60, labels)
    train, test = (generator.normal(size=(2, 3, 60, 6)) * 0.1 for _ in range(2))
    for place, (layer, position) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
        for vectors in (train, test):
            vectors[layer, position, :, place] += np.array(labels) * (3 if place % 2 else -3)
    found = map_accuracy(train, test, data, data)
    assert found.shape == (2, 3)
    assert found.flatten()[:5].tolist() == [1] * 5
    assert found[1, 2] < 0.75  # by luck alone; 60 fair coins show 45 heads once in ten thousand times


# --- the command ---


def arguments(base: str, folder: str, data: str, results: Path, *more: str) -> list[str]:
    given = ["--base", base, "--model", folder, "--data", data, "--results", str(results)]
    return ["label-map", *given, "--texts", "30", "--shuffles", "2", *more]


def test_the_command_measures_and_keeps_what_it_does_not_measure(
    base: str, folder: str, phrases: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.json"
    results.write_text('{"lens": {"two": 1}, "label_map": {"two": "before", "other": 2}}')
    given = arguments(base, folder, phrases, results)
    assert command.main(given) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"Written: {results}"
    assert [line.split(",")[0] for line in said[-4:-1]] == ["base", "two", "shuffled labels"]
    written = json.loads(results.read_text())
    assert written["lens"] == {"two": 1} and "other" not in written["label_map"]
    entry = written["label_map"]
    _, held_out = load_and_hold_out(phrases)
    assert (entry["n_train"], entry["n_held_out"], entry["data"]) == (30, len(held_out), "sst2/train")
    assert (entry["positions"], entry["seed"], entry["shuffles"], entry["fewest_tokens"]) == (list(POSITIONS), 0, 2, 8)
    share = sum(held_out.labels) / len(held_out)
    assert entry["majority"] == pytest.approx(max(share, 1 - share), abs=1e-4)  # rounded to 4 digits
    for name in ("base", "two", "shuffled"):
        assert np.shape(entry[name]) == (4, 5)
        assert 0 <= np.min(entry[name]) <= np.max(entry[name]) <= 1
    assert entry["base"] != entry["two"]
    assert entry["command"].startswith("python -m gpt2cls_core.training label-map --base ")
    assert entry["command"].endswith(" --texts 30 --shuffles 2") and len(entry["date"]) == 10
    before = results.read_text()
    assert command.main(given) == 0
    assert results.read_text() == before
    assert command.main([*given, "--seed", "1"]) == 0
    assert json.loads(results.read_text())["label_map"]["shuffled"] != entry["shuffled"]


def test_the_numbers_are_those_of_probes_on_the_same_sentences(
    base: str, folder: str, phrases: str, tmp_path: Path
) -> None:
    more = ("--seed", "3", "--fewest-tokens", "21")
    assert command.main(arguments(base, folder, phrases, tmp_path / "r.json", *more)) == 0
    entry = json.loads((tmp_path / "r.json").read_text())["label_map"]
    train, held_out = load_and_hold_out(phrases)
    full = [i for i, text in enumerate(train.texts) if len(text.split()) > 3]  # the pieces are of fewer tokens
    train = LabelledTexts([train.texts[i] for i in full], [train.labels[i] for i in full])
    drawn = train.draw(30, seed=3)
    assert drawn.labels.count(1) == 15
    for name, model in (("base", load_base(base)), ("two", load_classifier(folder))):
        parts = [
            np.stack([directly(model, text)[:, [0, 5, 10, 15, 20]] for text in part.texts])
            for part in (drawn, held_out)
        ]
        vectors = [part.transpose(1, 2, 0, 3) for part in parts]  # (layer+1, position, text, d_model)
        # 21 tokens, the context, of every sentence; a verdict may turn on the order of float32 sums
        expected = map_accuracy(*vectors, drawn, held_out)
        assert np.abs(expected - entry[name]).max() <= 1 / len(held_out) + 1e-4
        assert np.abs(expected - entry[name]).mean() < 0.02


def test_what_cannot_be_measured_is_one_line_and_writes_nothing(
    base: str, folder: str, phrases: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.json"
    other = tmp_path / "other"
    GPT2LMHeadModel(tiny_config(2, 21, n_layer=2, n_embd=12)).save_pretrained(other)
    tiny_tokenizer(21).save_pretrained(other)
    columns = write_split(tmp_path / "columns", "train", sentence=["good film for me."] * 40, sentiment=[0, 1] * 20)
    one_class = write_split(tmp_path / "one", "train", sentence=["good film for me."] * 40, label=[1] * 40)
    five = str(save_tiny(tmp_path / "five", context=21))
    cases = [
        (arguments(base, five, phrases, results), "The labels are two; "),
        (
            arguments(str(other), folder, phrases, results),
            f"{folder} was not made from {other}: it has 3 layers of 10 numbers, the base 2 of 12.",
        ),
        (arguments(base, folder, phrases, results, "--texts", "1"), "--texts must be 2 or more, "),
        (arguments(base, folder, phrases, results, "--shuffles", "0"), "not 30, 0 and 8."),
        (
            arguments(base, folder, phrases, results, "--fewest-tokens", "4"),
            "--fewest-tokens 5 or more, not 30, 2 and 4.",
        ),
        (
            arguments(base, folder, phrases, results, "--texts", "500"),
            "500 texts with as many of each class are more",
        ),
        (
            arguments(base, folder, phrases, results, "--texts", "2", "--fewest-tokens", "22"),
            "2 texts with as many of each class are more than there are (0 and 0); ask for fewer.",
        ),
        (arguments(base, folder, str(columns), results), "has no column 'label'; it has ['sentence', 'sentiment']."),
        (arguments(base, folder, str(one_class), results), "must hold the labels 0 and 1, both of them; it holds [1]."),
        (arguments(base, "nobody", phrases, results), "There is no model 'nobody'"),
    ]
    for given, message in cases:
        assert command.main(given) == 2
        *_, last = capsys.readouterr().err.splitlines()  # above it, transformers' progress in loading
        assert last.startswith("error: ") and message in last
    assert not results.exists()


def test_held_out_sentences_of_one_class(
    base: str, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"good film for me, number {i} of a lot of them." for i in range(40)]
    data = write_split(tmp_path / "reviews", "train", text=texts, label=[0, 1] * 20)  # 2 are held out
    _, held_out = load_and_hold_out(str(data))
    assert len(held_out) == 2
    short = [text if text not in held_out.texts[:1] else "short." for text in texts]
    data = write_split(tmp_path / "again", "train", text=short, label=[0, 1] * 20)
    assert command.main(arguments(base, folder, str(data), tmp_path / "r.json")) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert f"{data} holds out no sentences of both classes; lower --fewest-tokens, or add texts." in last
