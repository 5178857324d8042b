"""The cloud's sentences are ours, balanced, all end in one token, and differ in everything else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from gpt2cls_core import cloud_sentences

ASSETS = Path(__file__).resolve().parents[1] / "assets"
ROWS = json.loads((ASSETS / "cloud.json").read_text(encoding="utf-8"))
TEXTS = [row["text"] for row in ROWS]


def lengths(label: str) -> list[int]:
    return sorted(len(row["text"].split()) for row in ROWS if row["label"] == label)


def test_half_are_positive_and_half_negative() -> None:
    counts = Counter(row["label"] for row in ROWS)
    assert counts.keys() == {"positive", "negative"}
    assert counts["positive"] == counts["negative"] >= 64


def test_no_two_are_alike() -> None:
    assert len({text.lower() for text in TEXTS}) == len(TEXTS)
    examples = json.loads((ASSETS / "examples.json").read_text(encoding="utf-8"))
    assert not {text.lower() for text in TEXTS} & {example["text"].lower() for example in examples}


@pytest.mark.parametrize("text", TEXTS)
def test_each_is_one_sentence_that_ends_in_a_full_stop(text: str) -> None:
    assert text == " ".join(text.split())
    assert text[0].isupper()
    assert text[-1] == "."
    assert text[-2].isalnum()  # or the stop would share its token with what stands before it
    assert text.isascii()


def test_lengths_vary_and_tell_nothing_of_the_label() -> None:
    for label in ("positive", "negative"):
        assert lengths(label)[0] == 2
        assert 20 <= lengths(label)[-1] <= 27
        assert len(set(lengths(label))) >= 15
    pairs = list(zip(lengths("positive"), lengths("negative"), strict=True))
    assert all(abs(a - b) <= 2 for a, b in pairs)
    assert abs(sum(a - b for a, b in pairs)) / len(pairs) < 0.5


def test_constructions_vary_in_both_halves() -> None:
    for label in ("positive", "negative"):
        words = [set(row["text"].lower().replace(",", "").split()) for row in ROWS if row["label"] == label]
        assert (
            sum(bool(w & {"not", "never", "no", "nothing", "isn't", "can't", "won't", "nobody"}) for w in words) >= 10
        )
        assert sum(bool(w & {"but", "yet", "although"}) for w in words) >= 5


def test_they_are_loaded_with_their_labels() -> None:
    sentences, labels = cloud_sentences()
    assert list(sentences) == TEXTS
    assert [("negative", "positive")[label] for label in labels] == [row["label"] for row in ROWS]


def test_the_bundled_tokenizer_ends_them_all_in_the_same_token() -> None:
    folder = ASSETS / "models" / "full"
    if not folder.is_dir():
        pytest.skip("no bundled model yet")
    ids = AutoTokenizer.from_pretrained(folder)(TEXTS)["input_ids"]
    assert len({row[-1] for row in ids}) == 1
    assert max(map(len, ids)) < 64
