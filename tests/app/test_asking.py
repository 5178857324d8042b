"""A question's pictures are the chapter's own, ready to be sent; what is told to who waits."""

from __future__ import annotations

import json

import pytest
from conftest import TEXT

from app import models
from app.asking import Question, delayed_value, pictures
from app.chapters import CHAPTERS, attribution, geometry, stem
from gpt2cls_core import TextError


@pytest.mark.parametrize("chapter", CHAPTERS, ids=stem)
def test_the_pictures_are_what_the_chapter_explains(chapter, tiny_folder):
    name = str(tiny_folder)
    read = models.read(name, TEXT)
    for shown, expected in zip(
        pictures(Question.of(name, TEXT, stem(chapter), {})),
        chapter.explain(models.classifier(name), read),
        strict=True,
    ):
        assert shown.explained.figure == json.loads(expected.figure.to_json())
        assert (shown.explained.strip, shown.explained.takeaway) == (expected.strip, expected.takeaway)
        assert shown.rest.figure is None
        assert shown.size > len(shown.figure)


def test_where_there_is_nothing_to_draw_the_picture_is_empty(tiny_folder):
    (shown,) = pictures(Question.of(str(tiny_folder), TEXT, "geometry", {"view": "pair", "other": " "}))
    assert shown.explained.figure == {}


def test_options_reach_the_chapter_and_make_another_question(tiny_folder):
    name = str(tiny_folder)
    asked = [Question.of(name, TEXT, "attribution", {"unit": unit}) for unit in ("words", "tokens")]
    assert asked[0] != asked[1]
    last = [list(pictures(question))[-1].explained for question in asked]
    expected = [list(attribution.explain(models.classifier(name), models.read(name, TEXT), unit=unit))[-1]
                for unit in ("words", "tokens")]  # fmt: skip
    assert [one.strip for one in last] == [one.strip for one in expected]
    assert last[0].strip != last[1].strip


def test_a_chapter_may_have_nothing_to_draw(tiny_folder):
    (shown,) = pictures(Question.of(str(tiny_folder), TEXT, "geometry", {"view": "pair", "other": " "}))
    (expected,) = geometry.explain(
        models.classifier(str(tiny_folder)), models.read(str(tiny_folder), TEXT), view="pair", other=" "
    )
    assert shown.explained.figure == expected.figure
    assert not hasattr(expected.figure, "to_json")


def test_numbers_and_truth_values_are_told_apart_in_a_question():
    assert Question.of("full", "a", "lens", {"n": 1}) != Question.of("full", "a", "lens", {"n": True})
    assert Question.of("full", "a", "lens", {"n": 1}) == Question.of("full", "a", "lens", {"n": 1})


def test_a_text_that_cannot_be_read_is_an_error(tiny_folder):
    with pytest.raises(TextError, match="no text to read"):
        next(pictures(Question.of(str(tiny_folder), " ", "lens", {})))


def test_who_waits_keeps_the_verdict_and_is_told_why(tiny_folder):
    read = models.read(str(tiny_folder), TEXT)
    for why, before, words in (
        ("waiting", 3, "3 explanations come before yours. Your text is kept."),
        ("waiting", 1, "one explanation comes before yours. Your text is kept."),
        ("busy", 0, "wait a moment, then open another chapter or change a letter."),
    ):
        value = delayed_value(read, why, before)
        assert (value["label"], value["stale"]) == (read.label, True)
        assert value["notice"].endswith(words)
