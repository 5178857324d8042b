"""The test with a known answer: sentences, labels and positions on paper, and a tiny model that learns to look for one word."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from conftest import TEXT

from gpt2cls_core import Classifier, DataError
from gpt2cls_core.scoring import METHODS
from gpt2cls_core.training import shortcut
from gpt2cls_core.training.data import LabelledTexts
from gpt2cls_core.training.shortcut import (
    label_planted,
    learn_shortcut,
    measure_shortcut,
    plant,
    planted_token,
    share_of,
)

WORDS = ("film", "me")  # tokens of the tiny tokenizer, with the blank before them


def sentences(n: int, *, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [
        " ".join(generator.choices(["but", "for", "not", "bad", "good"], k=generator.randint(5, 9))) for _ in range(n)
    ]


def test_a_word_is_planted_inside_and_nowhere_else() -> None:
    texts = ["a b c d e", "too few words", "a b c film e", "a b c d Filming", "f g h i j k"]
    planted = plant(texts, WORDS, seed=0)
    assert [each.plain for each in planted] == ["a b c d e", "f g h i j k"]
    for each in planted:
        before, after = each.with_word[: each.start], each.with_word[each.start + 4 :]
        assert each.with_word[each.start :].startswith("film ")
        assert before + after[1:] == each.plain
        assert each.with_decoy == before + "me" + after
        assert before.endswith(" ") and len(after) > 1, "neither first nor last"
    starts = {plant(texts[:1], WORDS, seed=seed)[0].start for seed in range(40)}
    assert starts == {2, 4, 6, 8}
    assert plant(texts, WORDS, seed=0) == planted


def test_half_of_the_sentences_get_the_word_and_a_quarter_the_decoy() -> None:
    planted = plant(sentences(400, seed=1), WORDS, seed=1)
    data = label_planted(planted, seed=2)
    assert len(data) == 400
    for each, text, label in zip(planted, data.texts, data.labels, strict=True):
        assert label == (text == each.with_word)
        assert text in (each.with_word, each.plain, each.with_decoy)
    decoys = sum(each.with_decoy == text for each, text in zip(planted, data.texts, strict=True))
    assert (sum(data.labels) / 400, decoys / 400) == pytest.approx((0.5, 0.25), abs=0.08)  # more than 3 standard errors


def test_the_token_of_the_word_is_found(clf: Classifier) -> None:
    encoding = clf.encode(TEXT)  # good| film|,| but| not| for| me
    assert planted_token(encoding, TEXT.index("film"), "film") == 1
    assert planted_token(encoding, TEXT.index("me"), "me") == 6
    with pytest.raises(
        DataError, match="'good' is 2 tokens of this model inside a text, not 1; choose another to plant"
    ):
        planted_token(clf.encode("but good but"), 4, "good")


def test_methods_find_what_was_planted(base: str, tmp_path: Path) -> None:
    learned = label_planted(plant(sentences(8000, seed=0), WORDS, seed=0), seed=0)
    clf = learn_shortcut(base, learned, tmp_path, seed=0, learning_rate=2e-2)
    tried = plant(sentences(6, seed=7), WORDS, seed=1)
    measured = measure_shortcut(clf, tried, "film")
    assert {name: entry["accuracy"] for name, entry in measured["accuracy"].items()} == {
        "with": 1,
        "without": 1,
        "decoy": 1,
    }
    assert measured["n"] == 6
    assert measured["found"].keys() == METHODS.keys()
    found = {method: entry["share"] for method, entry in measured["found"].items()}
    assert all(found[method] == 1 for method in ("occlusion", "ig-eos", "ig-zero", "ig-mean"))
    lengths = [len(clf.encode(each.with_word)) for each in tried]
    assert measured["by_chance"] == pytest.approx(sum(1 / n for n in lengths) / 6, abs=1e-4)
    assert found["last-attention"] < 0.5, "the test can be failed"


def test_a_finished_run_is_not_trained_again(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = LabelledTexts(sentences(60, seed=0), [0, 1] * 30)
    first = learn_shortcut(base, data, tmp_path, seed=0)
    monkeypatch.setattr(shortcut, "finetune", lambda _options: pytest.fail("trained again"))
    again = learn_shortcut(base, data, tmp_path, seed=0)
    assert again.score.equal(first.score)


def test_a_word_that_decides_nothing_is_no_shortcut(clf2: Classifier) -> None:
    with pytest.raises(DataError, match="'film' decides no verdict, so the shortcut was not learned; train on more"):
        measure_shortcut(clf2, plant(sentences(4, seed=0), WORDS, seed=0), "film")


def test_a_share_comes_with_its_interval() -> None:
    assert share_of([1, 0, 1, 1]) == {"share": 0.75, "low": 0.3006, "high": 0.9544, "n": 4}
