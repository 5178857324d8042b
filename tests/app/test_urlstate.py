"""Links are written by anybody: whatever they say, the page gets a state that exists."""

from __future__ import annotations

import math
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.urlstate import MOST_CHARACTERS, MOST_OF_AN_OPTION, parse_option, read_query

KNOWN = {
    "text": "the first text",
    "models": ["full", "other"],
    "chapters": ["predict", "rollout"],
    "options": {"view", "head"},
}
NAMES = st.sampled_from(["text", "model", "chapter", "view", "head", "__theme", "embed"]) | st.text()


def read(**query: str):
    return read_query(query, **KNOWN)


def test_a_full_link_is_read():
    state = read(text="Good.", model="other", chapter="rollout", view="raw", head="3")
    assert (state.text, state.model, state.chapter) == ("Good.", "other", "rollout")
    assert state.options == {"view": "raw", "head": "3"}


def test_an_empty_link_gives_the_defaults():
    state = read()
    assert (state.text, state.model, state.chapter, state.options) == ("the first text", "full", "predict", {})


@pytest.mark.parametrize("model", ["/etc/passwd", "../full", "gpt2", "", "full\x00", "FULL"])
def test_no_other_model_is_loaded_than_those_offered(model):
    assert read(model=model).model == "full"


@pytest.mark.parametrize("chapter", ["nope", "", "__init__", "rollout'];alert(1)//"])
def test_an_unknown_chapter_opens_the_first(chapter):
    assert read(chapter=chapter).chapter == "predict"


@pytest.mark.parametrize("text", ["", " ", "\n\t\u3000"])
def test_a_blank_text_gives_the_default_text(text):
    assert read(text=text).text == "the first text"


def test_a_long_text_and_long_options_are_clipped():
    state = read(text="x" * 100_001, view="y" * 100_001)
    assert (len(state.text), len(state.options["view"])) == (MOST_CHARACTERS, MOST_OF_AN_OPTION)


def test_a_hostile_text_is_kept_as_text():
    assert read(text="<script>${alert(1)}{{value}}</script>").text == "<script>${alert(1)}{{value}}</script>"


@given(st.dictionaries(NAMES, st.text(max_size=200)))
def test_whatever_a_link_says_the_state_exists(query):
    state = read_query(query, **KNOWN)
    assert state.model in KNOWN["models"]
    assert state.chapter in KNOWN["chapters"]
    assert state.text.strip()
    assert state.options.keys() <= KNOWN["options"]


@given(st.text())
def test_any_query_string_is_read(string):
    read_query(dict(parse_qsl(string, errors="replace")), **KNOWN)


# --- options ---


@pytest.mark.parametrize(
    ("raw", "value"), [("true", True), ("True", True), ("false", False), ("1", False), ("", False)]
)
def test_a_checkbox_reads_true_and_false(raw, value):
    assert parse_option(raw, False) is value


@pytest.mark.parametrize(
    ("raw", "value"), [("3", 3), ("8", 8), ("9", 0), ("-1", 0), ("3.5", 0), ("nan", 0), ("9" * 100, 0)]
)
def test_a_number_must_be_one_of_the_choices(raw, value):
    assert parse_option(raw, 0, choices=range(9)) == value


@pytest.mark.parametrize(("raw", "value"), [("2", 2), ("5", 5), ("6", 3), ("-1", 3), ("many", 3)])
def test_a_number_must_lie_within_the_slider(raw, value):
    assert parse_option(raw, 3, bounds=(0, 5)) == value


@pytest.mark.parametrize(
    ("raw", "value"), [("0.25", 0.25), ("1", 1.0), ("1.5", 0.5), ("nan", 0.5), ("inf", 0.5), ("x", 0.5)]
)
def test_a_fraction_must_lie_within_the_slider(raw, value):
    read = parse_option(raw, 0.5, bounds=(0, 1))
    assert (read, type(read)) == (value, float)


@pytest.mark.parametrize(("raw", "value"), [("raw", "raw"), ("RAW", "beyond"), ("<script>", "beyond"), ("", "beyond")])
def test_a_word_must_be_one_of_the_choices(raw, value):
    assert parse_option(raw, "beyond", choices=["beyond", "raw"]) == value


@given(
    st.text(),
    st.sampled_from([(False, (), None), (2, range(5), None), (2, (), (0, 4)), (0.5, (), (0, 1)), ("a", "abc", None)]),
)
def test_any_string_gives_a_value_that_the_option_has(raw, option):
    default, choices, bounds = option
    value = parse_option(raw, default, list(choices), bounds)
    assert type(value) is type(default)
    assert not choices or value in choices
    assert not bounds or (bounds[0] <= value <= bounds[1] and math.isfinite(value))
