"""The lessons' markup: what it becomes, and that nothing in it can become anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.prose import blocks, question, runs, terms

SIDES = {"negative": "bad", "positive": "good"}
TAGS = {"p", "ul"}
KINDS = {"", "strong", "em", "code", "negative", "positive", "term"}


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("plain", [("plain", "")]),
        ("a **b c** d", [("a ", ""), ("b c", "strong"), (" d", "")]),
        ("*b* and `c_proj`", [("b", "em"), (" and ", ""), ("c_proj", "code")]),
        ("{positive} or {negative}", [("good", "positive"), (" or ", ""), ("bad", "negative")]),
        ("[[token]]s", [("token", "term", "term-token"), ("s", "")]),
        ("the [[head|classification head]].", [("the ", ""), ("head", "term", "term-classification-head"), (".", "")]),
        ("`a*b` *c*", [("a*b", "code"), (" ", ""), ("c", "em")]),
        ("", []),
        ("{other} [x] 2 * 3", [("{other} [x] 2 * 3", "")]),
        ("<b>x</b> ${y}", [("<b>x</b> ${y}", "")]),
    ],
)
def test_marks_become_runs(markup, expected):
    assert runs(markup, SIDES) == expected


def test_blank_lines_part_paragraphs_and_dashes_make_a_list():
    markup = "one\nline\n\n- first *item*\n- second\n\n  \nlast - not a list"
    assert blocks(markup, SIDES) == [
        ("p", [("one line", "")]),
        ("ul", [[("first ", ""), ("item", "em")], [("second", "")]]),
        ("p", [("last - not a list", "")]),
    ]


def test_no_words_make_no_blocks():
    assert blocks(" \n\n ", SIDES) == []


def test_the_names_of_the_sides_are_never_read_as_markup():
    assert runs("{positive}", {"positive": "**<b>[[token]]", "negative": ""}) == [("**<b>[[token]]", "positive")]


def test_terms_are_listed_by_their_entries_in_order():
    assert terms("[[token]] **x** [[Layers|layer]] {positive} [[token]]") == ["token", "layer", "token"]


def test_a_question_has_its_choices_after_it():
    asked = question("Which *one*?\nReally?\n\n- the first\n  of them\n- the second - or not\n")
    assert asked.text == "Which *one*?\nReally?"
    assert asked.choices == ("the first of them", "the second - or not")


def test_a_question_may_have_no_choices():
    assert question("Why?").choices == ()


@given(st.text(alphabet="ab *`[]|{}\n-<>$&", max_size=60))
def test_no_character_gets_lost_but_marks(markup):
    made = blocks(markup, SIDES)
    assert {tag for tag, _ in made} <= TAGS
    lines = [line for tag, content in made for line in (content if tag == "ul" else [content])]
    shown = [run for line in lines for run in line]
    assert {run[1] for run in shown} <= KINDS
    kept = [c for c in "".join(run[0] for run in shown) if c in "ab<>$&"]
    # what stands behind the bar of a term is its entry's name, which is not shown
    assert len(kept) + sum(term.count(c) for term in terms(markup) for c in "ab<>$&") >= sum(
        markup.count(c) for c in "ab<>$&"
    )
