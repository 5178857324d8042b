"""The chapters' words: every lesson is whole, and what a person typed stays plain text in them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from app import lesson
from app.chapters import CHAPTERS, stem
from app.lesson import fill, quoted, read_lesson

EVERY_CHAPTER = pytest.mark.parametrize("chapter", CHAPTERS, ids=map(stem, CHAPTERS))
HOSTILE = ["{x}", "{0}", "**", "**loud**", "<b>", "{{value}}", "${alert(1)}", "{score.__class__}", "\x00"]


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A lesson of our own under the name that it returns."""
    monkeypatch.setattr(lesson, "LESSONS", tmp_path)
    read_lesson.cache_clear()
    (tmp_path / "made_up.md").write_text(
        "# A *title*\n\n## Question\nWhy?\n\n## Takeaway\n**{token}** has\n{score:+.2f} and {token}.\n\n"
        "## Takeaway more\nMore **strong** words.\n"
    )
    yield "made_up"
    read_lesson.cache_clear()


# --- every lesson ---


@EVERY_CHAPTER
@pytest.mark.parametrize("section", ["title", "question", "lesson", "not shown"])
def test_a_lesson_has_every_section(chapter, section):
    assert read_lesson(stem(chapter))[section].strip()


@EVERY_CHAPTER
def test_a_lesson_has_a_takeaway(chapter):
    assert any(name.startswith("takeaway") for name in read_lesson(stem(chapter)))


@EVERY_CHAPTER
def test_a_lesson_has_no_section_that_is_never_shown(chapter):
    source = inspect.getsource(chapter)
    always = {"title", "question", "lesson", "not shown"}
    assert [name for name in read_lesson(stem(chapter)) if name not in always and f'"{name}"' not in source] == []


@EVERY_CHAPTER
def test_a_question_asks(chapter):
    assert "?" in read_lesson(stem(chapter))["question"]


@EVERY_CHAPTER
def test_only_the_two_sides_stand_in_braces_outside_the_takeaways(chapter):
    sections = read_lesson(stem(chapter))
    assert set(re.findall(r"\{.*?\}", sections["lesson"] + sections["not shown"])) <= {"{negative}", "{positive}"}
    assert "{" not in sections["question"] + sections["title"]


@EVERY_CHAPTER
def test_strong_runs_of_takeaways_are_closed(chapter):
    for name, body in read_lesson(stem(chapter)).items():
        assert body.count("**") % 2 == 0, name


# --- filling ---


def test_sections_are_read_by_their_lower_case_names(made_up):
    assert read_lesson(made_up)["title"] == "A *title*"
    assert read_lesson(made_up)["question"] == "Why?"
    assert read_lesson(made_up)["takeaway more"] == "More **strong** words."


def test_filling_gives_plain_and_strong_runs_on_one_line(made_up):
    assert fill(made_up, "takeaway", token="“good”", score=1.5) == [("“good”", True), (" has +1.50 and “good”.", False)]


def test_takeaways_follow_each_other_after_a_blank(made_up):
    runs = fill(made_up, "takeaway", "takeaway more", token="a", score=0.0)
    assert "".join(text for text, _ in runs) == "a has +0.00 and a. More strong words."


@pytest.mark.parametrize("token", HOSTILE)
def test_what_a_person_typed_is_never_read_as_a_template(made_up, token):
    assert fill(made_up, "takeaway", token=token, score=0.0) == [(token, True), (f" has +0.00 and {token}.", False)]


def test_a_missing_value_is_an_error_not_a_gap(made_up):
    with pytest.raises(KeyError, match="score"):
        fill(made_up, "takeaway", token="a")


@pytest.mark.parametrize(
    ("token", "shown"),
    [(" good", "“good”"), ("  ", "“(blank)”"), ("", "“(blank)”"), ("<b>", "“<b>”"), ("x" * 24, f"“{'x' * 24}”")],
)
def test_a_quoted_token_stands_in_quotation_marks(token, shown):
    assert quoted(token) == shown


def test_a_long_quoted_token_is_cut():
    assert quoted("x" * 25) == f"“{'x' * 23}…”"
