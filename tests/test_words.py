"""Tokens to words: by offsets alone, each token in exactly one word, no score lost."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpt2cls_core import Word, sum_by_word
from gpt2cls_core.words import find_words, token_texts


def spans(*tokens: str) -> tuple[str, list[tuple[int, int]]]:
    """The text that the tokens spell, and their offsets in it."""
    ends = [sum(map(len, tokens[: i + 1])) for i in range(len(tokens))]
    return "".join(tokens), list(zip([0, *ends], ends, strict=False))


# --- by hand ---


def test_words_of_a_sentence_worked_out_by_hand() -> None:
    text, offsets = spans("I", " don", "'t", " like", " well", "-", "made", " films", "!", "!")
    assert find_words(text, offsets) == (
        Word("I", 0, 1),
        Word("don't", 1, 3),
        Word("like", 3, 4),
        Word("well-made", 4, 7),
        Word("films", 7, 8),
        Word("!!", 8, 10),
    )


def test_blanks_between_words_stand_alone() -> None:
    text, offsets = spans("a", " ", " \n", " b")
    assert find_words(text, offsets) == (Word("a", 0, 1), Word(" ", 1, 2), Word(" \n", 2, 3), Word("b", 3, 4))


def test_a_token_of_several_words_belongs_to_the_first() -> None:
    text, offsets = spans("a", "__.", ".")
    assert find_words(text, offsets) == (Word("a__", 0, 2), Word("..", 2, 3))


def test_typographic_apostrophe_and_hyphen_hold_a_word_together() -> None:
    text, offsets = spans("don", "’", "t", " -", "x")
    assert [word.text for word in find_words(text, offsets)] == ["don’t", "-", "x"]


def test_an_emoji_of_four_tokens_is_shown_once() -> None:
    assert token_texts("a👍b", [(0, 1), (1, 2), (1, 2), (1, 2), (1, 2), (2, 3)]) == ("a", "👍", "⋯", "⋯", "⋯", "b")


def test_a_token_of_a_blank_and_the_first_byte_shows_both() -> None:
    assert token_texts(" 👍", [(0, 2), (1, 2), (1, 2)]) == (" 👍", "⋯", "⋯")


def test_a_token_that_ends_one_character_and_begins_the_next_shows_the_new_one() -> None:
    assert token_texts("👍好", [(0, 1), (0, 2), (1, 2)]) == ("👍", "好", "⋯")


def test_a_token_without_characters_is_shown_empty_and_stands_alone() -> None:
    offsets = [(0, 1), (1, 1), (2, 3)]  # a tokenizer that trims offsets gives the blank no width
    assert token_texts("a b", offsets) == ("a", "", "b")
    assert [(word.start, word.stop) for word in find_words("a b", offsets)] == [(0, 1), (1, 2), (2, 3)]


def test_scores_of_a_word_are_added() -> None:
    words = (Word("x", 0, 2), Word("y", 2, 3), Word("z", 3, 5))
    assert sum_by_word(torch.tensor([1.0, 2.0, 4.0, -8.0, 16.0]), words).tolist() == [3.0, 4.0, 8.0]


def test_no_tokens_make_no_words() -> None:
    assert find_words("", []) == ()
    assert token_texts("", []) == ()


# --- identities, on any text cut anywhere ---

PIECES = st.sampled_from(
    ["don't", " well-made", "👍🏽", "　", "…", "_.", "é", "'", "-", "\n", "<|endoftext|>", "\u200d"]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), min_size=1, max_size=8).map("".join)
TEXTS = TEXTS.filter(lambda text: text and "⋯" not in text)  # the sign for "same character" itself is ambiguous


@st.composite
def cut_texts(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    """A text and offsets as a byte-level tokenizer gives them: in order, some characters shared by several tokens."""
    text = draw(TEXTS)
    cuts = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=12))})
    offsets = []
    for start, end in pairwise(cuts):
        offsets += [(start, end)] + [(end - 1, end)] * draw(st.integers(0, 2))
    return text, offsets


@settings(deadline=None, max_examples=200, database=None)
@given(cut_texts())
@example(("'a", [(0, 1), (1, 2)]))
def test_every_token_belongs_to_exactly_one_word(case: tuple[str, list[tuple[int, int]]]) -> None:
    words = find_words(*case)
    covered = [position for word in words for position in range(word.start, word.stop)]
    assert covered == list(range(len(case[1])))


@settings(deadline=None, max_examples=200, database=None)
@given(cut_texts())
def test_tokens_share_a_word_exactly_if_their_first_visible_characters_do(
    case: tuple[str, list[tuple[int, int]]],
) -> None:
    text, offsets = case

    def owner(start: int, end: int) -> tuple[int, int] | None:
        """Brute force: the match around the token's first character that is not blank."""
        first = next((i for i in range(start, end) if not text[i].isspace()), None)
        matches = (m.span() for m in re.finditer(r"\w+(?:['’-]\w+)*|[^\w\s]+", text))
        return next((span for span in matches if first is not None and span[0] <= first < span[1]), None)

    words = find_words(text, offsets)
    word_of = {position: i for i, word in enumerate(words) for position in range(word.start, word.stop)}
    for position in range(1, len(offsets)):
        before, here = owner(*offsets[position - 1]), owner(*offsets[position])
        assert (word_of[position] == word_of[position - 1]) == (here is not None and here == before)


@settings(deadline=None, max_examples=100, database=None)
@given(cut_texts(), st.randoms(use_true_random=False))
def test_sum_by_word_keeps_the_total(case: tuple[str, list[tuple[int, int]]], random: object) -> None:
    scores = torch.tensor([float(random.randint(-99, 99)) for _ in case[1]])  # whole numbers add up without rounding
    summed = sum_by_word(scores, find_words(*case))
    assert summed.shape == (len(find_words(*case)),)
    assert summed.sum() == scores.sum()


@settings(deadline=None, max_examples=200, database=None)
@given(cut_texts())
def test_the_shown_tokens_spell_the_text(case: tuple[str, list[tuple[int, int]]]) -> None:
    text, offsets = case
    shown = token_texts(text, offsets)
    assert len(shown) == len(offsets)
    assert "".join(piece for piece in shown if piece != "⋯") == text


def test_words_are_values() -> None:
    assert Word("a", 0, 1) == Word("a", 0, 1)
    with pytest.raises(AttributeError):
        Word("a", 0, 1).start = 5
