"""The example sentences are ours, varied, and short enough to explain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

ASSETS = Path(__file__).resolve().parents[1] / "assets"
EXAMPLES = json.loads((ASSETS / "examples.json").read_text(encoding="utf-8"))
GROUPS = {"plain", "negation", "but", "long", "product", "restaurant", "understatement", "sarcasm", "edge"}


def test_there_are_enough_and_no_two_are_alike():
    texts = [example["text"].strip().lower() for example in EXAMPLES]
    assert len(texts) >= 24
    assert len(set(texts)) == len(texts)


def test_every_example_has_group_text_and_label():
    assert all(example.keys() == {"group", "text", "label"} for example in EXAMPLES)
    assert all(example["text"] == example["text"].strip() != "" for example in EXAMPLES)
    assert {example["label"] for example in EXAMPLES} == {"negative", "positive"}
    assert {example["group"] for example in EXAMPLES} == GROUPS


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_every_group_holds_both_labels(group: str):
    assert {example["label"] for example in EXAMPLES if example["group"] == group} == {"negative", "positive"}


def test_the_long_ones_are_long_and_the_others_are_short():
    for example in EXAMPLES:
        words = len(example["text"].split())
        assert 40 <= words <= 80 if example["group"] == "long" else words <= 18, example["text"]


def test_every_example_fits_the_bundled_model():
    folder = ASSETS / "models" / "full"
    if not folder.is_dir():
        pytest.skip("no bundled model yet")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for example in EXAMPLES:
        assert len(tokenizer(example["text"])["input_ids"]) < 128, example["text"]
