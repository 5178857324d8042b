"""What is suggested for a swap has as many tokens as what it replaces, and tokens of two texts are matched as they should be."""

from __future__ import annotations

from itertools import pairwise

import pytest
from conftest import TEXT

from app import swaps
from app.swaps import counterparts, fitting, make_swap, opposites, suggested_swap, suggested_word, word_at
from gpt2cls_core import OptionError, load_classifier, predict, trace

TEXTS = [
    "It starts slowly, but by the end I loved every minute of it.",
    "Unforgettable!",
    "3.5 of 5",
    "…",
    "Good",
    "😀 it",
]


@pytest.fixture(scope="module")
def full():
    """The bundled classifier, whose vocabulary holds whole words."""
    return load_classifier("full")


# --- opposites ---


def test_the_two_sides_of_every_kind_have_as_many_words():
    for one, other in swaps.OPPOSITES:
        assert len(one.split()) == len(other.split())


@pytest.mark.parametrize(
    ("word", "first"),
    [
        ("good", "bad"),
        ("awful", "great"),
        ("loved", "hated"),
        ("Good", "Bad"),
        ("GREAT", "AWFUL"),
        ("nothing", "everything"),
    ],
)
def test_the_nearest_opposite_comes_first_in_the_words_own_capitals(word, first):
    assert opposites(word)[0] == first


@pytest.mark.parametrize("word", ["film", "", "…", "g", "goodness"])
def test_a_word_that_is_not_listed_has_no_opposite(word):
    assert opposites(word) == []


def test_no_word_is_its_own_opposite():
    for sides in swaps.OPPOSITES:
        for word in " ".join(sides).split():
            assert opposites(word)
            assert word not in opposites(word)


# --- suggestions ---


@pytest.mark.parametrize("text", TEXTS)
def test_every_word_gets_another_with_as_many_tokens(full, text):
    read = trace(full, text)
    for index, word in enumerate(read.words):
        new = suggested_word(full, read.encoding, index)
        after = make_swap(full, read, word.start, "")
        assert (after.new, after.word) == (new, word)
        assert new.lower() != word.text.lower()
        assert len(trace(full, after.text).tokens) == len(read.tokens)


def test_of_words_with_an_opposite_the_one_is_chosen_that_moves_the_margin_most(full):
    text = "A good cast, a loud score, and an ending that I loved."
    read = trace(full, text)
    moves = {
        old: abs(predict(full, text.replace(old, opposites(old)[0])).margin - predict(full, text).margin)
        for old in ("good", "loud", "loved")
    }
    assert suggested_swap(full, read).word.text == max(moves, key=moves.get)


def test_without_an_opposite_the_word_is_chosen_at_which_the_running_verdict_jumps(full):
    read = trace(full, "The man in the house.")
    margins = [0.0] + [predict(full, read.text[: read.offsets[word.stop - 1][1]]).margin for word in read.words]
    jumps = [abs(after - before) for before, after in pairwise(margins)]
    assert suggested_swap(full, read).word == read.words[jumps.index(max(jumps))]


def test_what_was_typed_replaces_the_word_at_the_place_pressed(clf2):
    swap = make_swap(clf2, trace(clf2, TEXT), 0, "  bad ")
    assert (swap.word.text, swap.new, swap.text) == ("good", "bad", TEXT.replace("good", "bad"))


def test_what_was_typed_without_a_place_replaces_the_suggested_word(clf2):
    read = trace(clf2, TEXT)
    assert make_swap(clf2, read, None, "me").word == suggested_swap(clf2, read).word


def test_where_no_listed_word_fits_one_of_the_text_itself_is_suggested(clf2):
    """The tiny vocabulary spells nearly everything letter by letter."""
    assert suggested_word(clf2, clf2.encode(TEXT), 1) == "but"


def test_where_nothing_fits_something_is_suggested_anyhow(clf2):
    encoding = clf2.encode("good film")
    assert suggested_word(clf2, encoding, 1) == "one"
    assert list(fitting(clf2, encoding, 1, ["one"])) == []


@pytest.mark.parametrize("position", [-1, 7, 1000])
def test_a_place_that_the_text_has_not_leaves_the_choice_open(clf2, position):
    read = trace(clf2, TEXT)
    assert make_swap(clf2, read, position, "") == suggested_swap(clf2, read)


def test_a_blank_cannot_be_swapped(clf2):
    read = trace(clf2, " \n a")
    blank = next(word.start for word in read.words if not word.text.strip())
    for new in ("", "bad"):
        with pytest.raises(OptionError, match="only a blank"):
            make_swap(clf2, read, blank, new)


def test_a_text_of_which_only_blanks_are_read_has_no_word_to_swap(clf2):
    read = trace(clf2, "a" + " \n" * 20)  # its one word is beyond the context
    with pytest.raises(OptionError, match="no word to swap"):
        make_swap(clf2, read, None, "")


def test_only_candidates_that_fit_are_given(clf2):
    encoding = clf2.encode(TEXT)
    assert list(fitting(clf2, encoding, 1, ["me", "bad", "films", "but"])) == ["me", "bad", "but"]


def test_a_word_is_found_at_each_of_its_tokens(full):
    encoding = full.encode("An unforgettable film.")
    for index, word in enumerate(encoding.words):
        assert {word_at(encoding, i) for i in range(word.start, word.stop)} == {index}


# --- counterparts ---


def matched(clf, before: str, after: str) -> list[int | None]:
    return counterparts(clf.encode(before), clf.encode(after))


def test_equal_texts_match_token_by_token(clf2):
    assert matched(clf2, TEXT, TEXT) == list(range(7))


def test_a_swap_of_equal_length_matches_token_by_token(clf2):
    assert matched(clf2, TEXT, "bad film, but not for me") == [*[None] * 2, 0, *range(1, 7)]  # "b", "a", "d" are three
    assert matched(clf2, TEXT, TEXT.replace("film", "me")) == list(range(7))


def test_a_longer_swap_matches_from_both_ends_and_at_its_last_token(clf2):
    assert matched(clf2, TEXT, TEXT.replace(" not", " not not bad")) == [0, 1, 2, 3, 4, None, None, 5, 6]


def test_a_shorter_swap_matches_what_is_left(clf2):
    assert matched(clf2, TEXT.replace(" not", " not not bad"), TEXT) == [0, 1, 2, 3, 4, 7, 8]


def test_a_word_that_is_there_twice_does_not_confuse_the_match(clf2):
    assert matched(clf2, "good film film film", "good film film") == [0, 1, 2]


def test_a_window_that_grew_at_the_start_has_tokens_without_a_counterpart(clf2):
    shorter = " ".join(["good"] + ["film"] * 11 + ["me"])
    before, after = clf2.encode(shorter.replace(" me", " not me")), clf2.encode(shorter)
    assert counterparts(before, after) == [None, *range(0, 10), 11]


def test_a_text_beyond_the_context_is_matched_where_both_are_read(clf2):
    long = " ".join(["good"] + ["film"] * 11 + ["me"])  # 13 tokens, one more than the context
    longer = long.replace(" me", " not me")
    before, after = clf2.encode(long), clf2.encode(longer)
    assert (before.tokens_cut, after.tokens_cut) == (1, 2)
    assert counterparts(before, after) == [*range(1, 11), None, 11]
