"""The chapters' words: every lesson is whole, and what a person typed stays plain text in them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from app import glossary, lesson
from app.chapters import CHAPTERS, stem
from app.glossary import read_glossary, term_id
from app.header import TERMS_IN_FACTS
from app.lesson import fill, quoted, read_lesson, read_words, word
from app.prose import blocks, question, terms

SIDES = {"negative": "negative", "positive": "positive"}
PROSE = ("question", "answer", "lesson", "not shown", "next")  # sections that `app.prose` reads
EVERY_CHAPTER = pytest.mark.parametrize("chapter", CHAPTERS, ids=map(stem, CHAPTERS))
HOSTILE = ["{x}", "{0}", "**", "**loud**", "<b>", "{{value}}", "${alert(1)}", "{score.__class__}", "\x00"]


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A lesson of our own under the name that it returns."""
    monkeypatch.setattr(lesson, "LESSONS", tmp_path)
    read_lesson.cache_clear()
    read_words.cache_clear()
    (tmp_path / "made_up.md").write_text(
        "# A *title*\n\n## Question\nWhy?\n\n## Words\n- unit: logits\n- alt: {token}: {score:+.2f}\n\n"
        "## Takeaway\n**{token}** has\n{score:+.2f} and {token}.\n\n"
        "## Takeaway more\nMore **strong** words.\n"
    )
    yield "made_up"
    read_lesson.cache_clear()
    read_words.cache_clear()


# --- every lesson ---


@EVERY_CHAPTER
@pytest.mark.parametrize("section", ["title", *PROSE])
def test_a_lesson_has_every_section(chapter, section):
    assert read_lesson(stem(chapter))[section].strip()


@EVERY_CHAPTER
def test_a_lesson_has_a_takeaway(chapter):
    assert any(name.startswith("takeaway") for name in read_lesson(stem(chapter)))


@EVERY_CHAPTER
def test_a_lesson_has_no_section_that_is_never_shown(chapter):
    files = Path(inspect.getfile(chapter)).parent.glob("*.py")  # a chapter may have its views in files of their own
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    always = {"title", "words", *PROSE}
    assert [name for name in read_lesson(stem(chapter)) if name not in always and f'"{name}"' not in source] == []
    if "words" in read_lesson(stem(chapter)):
        chosen = ("words", "tokens", "every", "direct")  # the value of an option ends the name
        named = [re.sub(rf" (?:{'|'.join(chosen)})$", " {", name) for name in read_words(stem(chapter))]
        assert [name for name in named if not re.search(rf"""["']{name}""", source)] == []


@EVERY_CHAPTER
def test_a_question_asks_and_offers_a_few_short_choices(chapter):
    asked = question(read_lesson(stem(chapter))["question"])
    assert "?" in asked.text
    assert 2 <= len(asked.choices) <= 4
    assert len(set(asked.choices)) == len(asked.choices)
    for choice in asked.choices:
        assert 1 <= len(choice) <= 80
        assert not re.search(r"\[\[|\*|`|\{", choice), "a choice is a button's plain words"


@EVERY_CHAPTER
def test_a_title_is_a_short_sentence_without_marks(chapter):
    assert re.fullmatch(r"[A-Z][\w ,’']{10,70}", read_lesson(stem(chapter))["title"])


@EVERY_CHAPTER
@pytest.mark.parametrize("section", PROSE)
def test_no_mark_is_left_over_in_what_the_page_shows(chapter, section):
    for tag, content in blocks(read_lesson(stem(chapter))[section], SIDES):
        for run in [run for line in (content if tag == "ul" else [content]) for run in line]:
            assert run[1] == "code" or not re.search(r"\*|\[\[|\]\]|`|[{}]|^#|^- ", run[0]), run


@EVERY_CHAPTER
def test_strong_runs_of_takeaways_are_closed(chapter):
    for name, body in read_lesson(stem(chapter)).items():
        assert body.count("**") % 2 == 0, name


# --- the glossary ---


def marked() -> dict[str, list[str]]:
    """Where each term is marked: chapters, or the line with the model's facts."""
    found: dict[str, list[str]] = {term: ["facts"] for term in TERMS_IN_FACTS}
    for chapter in CHAPTERS:
        for section in PROSE:
            for term in terms(read_lesson(stem(chapter)).get(section, "")):
                found.setdefault(term, []).append(stem(chapter))
    return found


def test_every_marked_term_is_explained():
    assert {term: where for term, where in marked().items() if term not in read_glossary()} == {}


def test_every_explanation_is_asked_for_somewhere():
    assert [term for term in read_glossary() if term not in marked()] == []


@EVERY_CHAPTER
def test_a_term_is_marked_once_in_a_chapter(chapter):
    words = "\n".join(read_lesson(stem(chapter)).get(section, "") for section in PROSE)
    assert sorted(terms(words)) == sorted(set(terms(words)))


def test_explanations_are_one_to_three_plain_sentences():
    for term, explanation in read_glossary().items():
        assert re.fullmatch(r"[A-Z][^*`\[\]{}<>]*[.]", explanation), term
        assert 20 <= len(explanation) <= 240, term
        assert len(re.findall(r"[.?](?: |$)", explanation)) <= 3, term


def test_no_two_terms_share_an_id():
    assert len({term_id(term) for term in read_glossary()}) == len(read_glossary())
    assert all(re.fullmatch(r"term-[\w-]+", term_id(term)) for term in read_glossary())


@pytest.mark.parametrize("line", ["token: a piece", "- **token** a", "- **token**"], ids=["no mark", "twice", "empty"])
def test_a_line_that_is_no_entry_is_refused(tmp_path, monkeypatch, line):
    (tmp_path / "glossary.md").write_text("- **token** A piece of text.\n\n" + line + "\n")
    monkeypatch.setattr(glossary, "GLOSSARY", tmp_path / "glossary.md")
    read_glossary.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"each term once, not '.*token"):
            read_glossary()
    finally:
        read_glossary.cache_clear()


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


def test_words_are_short_templates_by_name(made_up):
    assert read_words(made_up) == {"unit": "logits", "alt": "{token}: {score:+.2f}"}
    assert word(made_up, "unit") == "logits"
    assert word(made_up, "alt", token="{x}: <b>", score=1.5) == "{x}: <b>: +1.50"


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
