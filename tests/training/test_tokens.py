from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpt2cls_core.training.tokens import END_OF_TEXT, PackedTokens, pack, train_tokenizer

TEXTS = ["good film, bad film", "a film that's good", "naïve 🎬 café", "tabs\tand\nlines"] * 3


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 290, context=7)


@given(st.text(st.characters(exclude_categories=["Cs"])))  # halves of surrogate pairs are no text
@example(" two  blanks ")
@example("unseen: Ω 漢字 👍🏽\n\tend")
@example(END_OF_TEXT + " typed")
@settings(deadline=None, derandomize=True)
def test_any_text_survives_the_round_trip(tokenizer, text: str) -> None:
    encoded = tokenizer(text, return_offsets_mapping=True, split_special_tokens=True)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == tokenizer.decode(encoded["input_ids"]) == text
    ends = [0, *(end for _, end in encoded["offset_mapping"])]
    assert ends[-1] == len(text)
    assert all(start <= end for (start, _), end in zip(encoded["offset_mapping"], ends, strict=False))  # no gaps


def test_the_tokenizer_is_byte_level_with_end_of_text_as_token_0(tokenizer) -> None:
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == tokenizer.bos_token_id == 0
    assert len(tokenizer) == 290
    assert len(tokenizer("good film")["input_ids"]) < len("good film")  # it learned to merge
    assert tokenizer.model_max_length == 7


def test_pack_joins_texts_by_end_of_text_and_drops_the_rest(tokenizer) -> None:
    ids = [tokenizer(text)["input_ids"] + [0] for text in TEXTS]
    stream = [i for text in ids for i in text]
    rows = pack(tokenizer, TEXTS, 7)
    assert rows.shape == (len(stream) // 7, 7) and rows.dtype == np.uint16
    assert rows.ravel().tolist() == stream[: rows.size]
    example = PackedTokens(rows)[1]
    assert example["input_ids"].tolist() == example["labels"].tolist() == stream[7:14]
    assert len(PackedTokens(rows)) == len(rows)


def test_pack_of_too_little_text_is_no_row(tokenizer) -> None:
    assert pack(tokenizer, ["a"], 7).shape == pack(tokenizer, [], 7).shape == (0, 7)
