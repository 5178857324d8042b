"""The path in Chromium, as a new reader walks it: question, answer, takeaway, on to the next chapter, to the last page and back."""

from __future__ import annotations

import re

import pytest
from browsing import (
    STEMS,
    alike,
    choose_answer,
    eventually,
    evidence,
    explained,
    go_to,
    is_open,
    seen,
    takeaway,
    wait_for_words,
    wait_until_read,
    write,
)

from app.chapters import CHAPTERS, answer, stem
from app.glossary import read_glossary, term_id
from app.lesson import read_lesson
from app.prose import question, terms
from gpt2cls_core import Classifier, load_classifier

pytestmark = pytest.mark.browser

TEXT = "The cast is lovely, but the plot is a mess."
KEPT = "JSON.parse(window.localStorage.getItem('gpt2cls.answers'))"


@pytest.fixture(scope="module")
def clf() -> Classifier:
    """The bundled classifier, as the page loads it."""
    return load_classifier("full")


@pytest.fixture
def fresh(open_page):
    """A page of somebody who has answered nothing yet."""
    page = open_page()
    page.evaluate("window.localStorage.clear()")
    page.reload()
    wait_until_read(page)
    yield page
    page.evaluate("window.localStorage.clear()")
    page.close()


def shown(page, chapter: str) -> str:
    return page.locator(f"#{chapter}-quiz .answer").text_content()


def painted(page, chapter: str) -> bool:
    """Whether bars, points or cells of the chapter's figure can be seen, not its axes alone."""
    return page.locator(f"#{chapter}-figure .plot").evaluate(
        """plot => [...plot.querySelectorAll('.bars path, .scatterlayer path.point, .heatmaplayer image')]
            .some((mark) => mark.checkVisibility() && mark.getBoundingClientRect().width > 0)"""
    )


# --- the whole path ---


def test_a_reader_walks_from_the_first_chapter_to_the_last_and_back(fresh, clf):
    page = fresh
    write(page, TEXT)
    for place, chapter in enumerate(CHAPTERS):
        name = stem(chapter)
        eventually(page, lambda name=name: seen(page), [name])
        wait_for_words(page, clf, chapter, TEXT)
        assert not is_open(page, name)
        eventually(page, lambda name=name: painted(page, name), True)
        said = choose_answer(page, name, place % 2)
        assert shown(page, name).startswith(f"You said: {said}")
        assert page.evaluate("document.activeElement.className") == "answer"
        assert alike(takeaway(page, name), "".join(text for text, _ in explained(clf, chapter, TEXT)[-1].takeaway))
        on = page.locator(f"#chapter-{name} .go-on")
        if place + 1 < len(CHAPTERS):
            following = CHAPTERS[place + 1]
            assert on.text_content() == f"Next: {following.TITLE}"
            on.click()
            title = page.locator(f"#chapter-{stem(following)} h2")
            eventually(page, lambda title=title: title.evaluate("title => title === document.activeElement"), True)
            top = page.locator("#chapters").evaluate("row => row.getBoundingClientRect().top")
            assert (
                -1 <= top < 450
            )  # the row of chapters is at the top of the window, or as near as a short chapter lets it
    on.click()
    eventually(page, lambda: seen(page), [STEMS[0]])
    assert page.evaluate("document.activeElement.matches('#text textarea')")
    assert page.evaluate("window.scrollY") == 0
    assert is_open(page, STEMS[0]), "who has answered is not asked again"


def test_the_last_pages_sentences_quote_the_library_and_lead_to_their_chapters(fresh, clf):
    page = fresh
    write(page, TEXT)
    go_to(page, "answer")
    wait_for_words(page, clf, answer, TEXT)
    assert not page.locator("#answer-points .sentence").first.is_visible()
    choose_answer(page, "answer", 1)
    points = explained(clf, answer, TEXT)[-1].points
    expected = ["".join(text for text, _ in point.evidence) for point in points]
    eventually(
        page, lambda: [alike(*pair) for pair in zip(evidence(page, "answer"), expected, strict=True)], [True] * 5
    )
    assert page.locator("#answer-points .claim").all_text_contents() == [point.claim for point in points]
    for point in points:
        page.locator("#answer-points button", has_text=point.link).click()
        eventually(page, lambda point=point: seen(page), [point.opens])
        go_to(page, "answer")


# --- the question before the reveal ---


def test_until_a_choice_is_made_the_takeaway_is_hidden_from_everybody_and_figure_and_lesson_are_not(fresh):
    page = fresh
    name = STEMS[0]
    assert not is_open(page, name)
    hidden = page.locator(f"#{name}-takeaway .takeaway").evaluate("box => getComputedStyle(box).display")
    assert hidden == "none"  # screen readers pass it over too
    assert shown(page, name) == ""
    for part in (f"#{name}-figure .plot", f"#{name}-strip .strip", f"#chapter-{name} .words"):
        assert page.locator(part).first.is_visible(), part
    asked = question(read_lesson(name)["question"])
    assert page.locator(f"#{name}-quiz .choice").all_text_contents() == list(asked.choices)


@pytest.mark.parametrize("button", ["-quiz .show", "-takeaway .cover button"])
def test_who_wants_no_question_is_just_shown(fresh, button):
    page = fresh
    page.locator(f"#{STEMS[0]}{button}").click()
    eventually(page, lambda: is_open(page, STEMS[0]), True)
    assert "You said" not in shown(page, STEMS[0])
    assert page.evaluate(KEPT) == {STEMS[0]: ""}


def test_the_choice_stays_in_the_browser_through_a_reload_and_can_be_taken_back(fresh):
    page, name = fresh, STEMS[0]
    sent = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    said = choose_answer(page, name, 1)
    assert page.evaluate(KEPT) == {name: said}
    page.reload()
    wait_until_read(page)
    assert shown(page, name).startswith(f"You said: {said}")
    assert is_open(page, name)
    page.locator(f"#{name}-quiz .again").click()
    assert not is_open(page, name)
    assert page.evaluate("document.activeElement.className") == "choice"
    assert page.evaluate(KEPT) == {}
    assert not any(said in data for data in sent), "never sent"
    assert "answers" not in page.url


def test_whatever_lies_in_the_browsers_storage_the_question_is_asked(fresh, witness):
    page = fresh
    for kept in ("not json", "5", '{"predict": "a choice of an older page"}'):
        page.evaluate("kept => window.localStorage.setItem('gpt2cls.answers', kept)", kept)
        page.reload()
        wait_until_read(page)
        assert not is_open(page, "predict"), kept
        choose_answer(page, "predict")
        assert witness.errors == [], kept


def test_a_browser_that_forbids_storage_asks_and_answers_all_the_same(context, server, witness):
    page = context.new_page()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied', 'SecurityError'); } });"
    )
    page.goto(server.url)
    wait_until_read(page)
    errors = list(witness.errors)  # Gradio itself may have stumbled
    said = choose_answer(page, "predict")
    assert shown(page, "predict").startswith(f"You said: {said}")
    page.locator("#predict-quiz .again").click()
    assert not is_open(page, "predict")
    assert witness.errors == errors
    page.close()
    witness.errors.clear()


def test_the_question_can_be_answered_by_keys_alone(fresh):
    page, name = fresh, STEMS[0]
    page.locator(f"#tab-{name}").focus()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "choice":
            break
    said = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    eventually(page, lambda: shown(page, name).startswith(f"You said: {said}"), True)


# --- terms ---


def explanation(page) -> str | None:
    note = page.locator("#glossary .explanation")
    return note.text_content() if note.is_visible() else None


def first_term(page, chapter: str) -> tuple:
    """The first term of the lesson that can be seen, and what its explanation reads."""
    term = terms(read_lesson(chapter)["lesson"])[0]
    return page.locator(f"#chapter-{chapter} .words .term").first, f"{term} {read_glossary()[term]}"


def test_a_term_is_explained_when_it_is_pointed_at_focused_or_pressed(fresh):
    page = fresh
    term, expected = first_term(page, STEMS[0])
    described = term.get_attribute("aria-describedby")
    assert described == term_id(terms(read_lesson(STEMS[0])["lesson"])[0])
    assert expected.endswith(page.locator(f"#{described}").text_content())
    term.hover()
    eventually(page, lambda: explanation(page), expected)
    page.mouse.move(5, 5)
    eventually(page, lambda: explanation(page), None)
    term.focus()
    assert explanation(page) == expected
    page.keyboard.press("Escape")
    assert explanation(page) is None
    page.keyboard.press("Enter")
    assert explanation(page) == expected
    page.keyboard.press("Tab")
    assert explanation(page) != expected
    term.click()
    assert explanation(page) == expected
    page.locator("h1").click()
    assert explanation(page) is None


def beside(page, term) -> str:
    """Where the explanation stands once the term is in focus; what is still computed may take the focus away again."""
    term.focus()
    note, over, page_size = (
        page.locator("#glossary .explanation").bounding_box(),
        term.bounding_box(),
        page.viewport_size,
    )
    if note is None or over is None:
        return "not there"
    right, bottom = note["x"] + note["width"], note["y"] + note["height"]
    if note["x"] < 0 or right > page_size["width"] or note["y"] < 0 or bottom > page_size["height"]:
        return f"cut off: {note}"
    apart = note["y"] >= over["y"] + over["height"] or bottom <= over["y"]
    return "within the page, and not over the term" if apart else f"over {term.text_content()}: {note}, {over}"


def test_every_term_of_every_chapter_is_explained_within_a_narrow_page(fresh):
    page = fresh
    page.set_viewport_size({"width": 390, "height": 700})
    for name in STEMS:
        go_to(page, name)
        page.locator(f"#{name}-quiz .show").click()
        for term in page.locator(f"#chapter-{name} .term").all():
            if not term.is_visible():
                continue
            eventually(page, lambda term=term: beside(page, term), "within the page, and not over the term", seconds=5)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 390


def test_a_tap_explains_a_term(chromium, server):
    phone = chromium.new_context(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    page = phone.new_page()
    page.goto(server.url)
    wait_until_read(page)
    term, expected = first_term(page, STEMS[0])
    term.tap()
    eventually(page, lambda: explanation(page), expected)
    page.locator("h1").tap()
    eventually(page, lambda: explanation(page), None)
    phone.close()


# --- the row of chapters ---


def test_the_row_of_chapters_fades_where_it_goes_on(fresh):
    page = fresh
    row = page.locator("#chapters .chapter-nav")

    def more() -> list[str]:
        return row.get_attribute("data-more").split()

    page.set_viewport_size({"width": 390, "height": 700})
    eventually(page, more, ["after"])
    go_to(page, STEMS[len(STEMS) // 2])
    eventually(page, more, ["before", "after"])
    go_to(page, STEMS[-1])
    eventually(page, more, ["before"])
    page.set_viewport_size({"width": 1280, "height": 800})
    eventually(page, more, [])


def test_a_chapter_is_the_panel_of_its_tab(fresh):
    page = fresh
    go_to(page, "lens")
    panel = page.locator("#chapter-lens")
    assert re.fullmatch("tabpanel", panel.get_attribute("role") or "")
    assert panel.get_attribute("aria-labelledby") == "tab-lens"
