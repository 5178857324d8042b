"""Acting on the model in Chromium: presses cut, choose and copy, the takeaways are the library's, and a link brings it all back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from browsing import drawn, eventually, explained, go_to, strip, wait_for_words, write

from app.chapters import interventions
from gpt2cls_core import Classifier, load_classifier, trace

pytestmark = pytest.mark.browser

TEXT = "Not a good film, but I liked the ending."


@pytest.fixture(scope="module")
def clf() -> Classifier:
    """The bundled classifier, as the page loads it."""
    return load_classifier("full")


@pytest.fixture
def chapter(page):
    """The chapter with TEXT in it and nothing done yet."""
    write(page, TEXT)
    go_to(page, "interventions")
    choose(page, "cut")
    page.get_by_role("button", name="restore").click()
    eventually(page, lambda: query(page)["cut"], "")
    return page


def choose(page, view: str) -> None:
    page.locator(f"#chapter-interventions label:has(input[value='{view}'])").click()


def press(page, token: int) -> None:
    page.locator("#interventions-strip .token").nth(token).click()


def query(page) -> dict[str, str]:
    return {key: value for key, (value,) in parse_qs(urlsplit(page.url).query, keep_blank_values=True).items()}


def cut(page) -> list[int]:
    """Places that are struck through on the strip."""
    marked = "tokens => tokens.flatMap((token, i) => token.classList.contains('cut') ? [i] : [])"
    return page.locator("#interventions-strip .token").evaluate_all(marked)


def test_pressed_tokens_are_cut_and_pressed_again_restored(chapter, clf):
    press(chapter, 2)
    eventually(chapter, lambda: cut(chapter), [2])
    press(chapter, 6)
    wait_for_words(chapter, clf, interventions, TEXT, cut="2,6")
    eventually(chapter, lambda: cut(chapter), [2, 6])
    assert chapter.locator("#interventions-strip .token").nth(2).get_attribute("aria-label").startswith("good, cut, ")
    eventually(chapter, lambda: query(chapter)["cut"], "2,6")
    press(chapter, 2)
    wait_for_words(chapter, clf, interventions, TEXT, cut="6")
    eventually(chapter, lambda: cut(chapter), [6])


def test_tokens_pressed_in_a_hurry_are_all_cut(chapter, clf):
    for token in (1, 2, 3, 4):
        press(chapter, token)
        chapter.wait_for_timeout(300)  # a quick hand
    wait_for_words(chapter, clf, interventions, TEXT, cut="1,2,3,4")
    eventually(chapter, lambda: cut(chapter), [1, 2, 3, 4])


def test_everything_can_be_cut_and_restored_by_one_button_each(chapter, clf):
    chapter.get_by_role("button", name="cut all but the last").click()
    wait_for_words(chapter, clf, interventions, TEXT, cut="all")
    eventually(chapter, lambda: cut(chapter), list(range(len(trace(clf, TEXT).tokens) - 1)))
    press(chapter, len(trace(clf, TEXT).tokens) - 1)  # the last token stays
    chapter.get_by_role("button", name="restore").click()
    wait_for_words(chapter, clf, interventions, TEXT)
    eventually(chapter, lambda: cut(chapter), [])


def test_a_key_press_on_a_token_cuts_it_and_the_focus_stays(chapter):
    chapter.locator("#interventions-strip .token").nth(3).focus()
    chapter.keyboard.press("Enter")
    eventually(chapter, lambda: cut(chapter), [3])
    assert chapter.evaluate("document.activeElement.dataset.index") == "3"


def test_a_pressed_column_of_the_grid_is_cut(chapter, clf):
    wait_for_words(chapter, clf, interventions, TEXT)
    press_cell(chapter, 2, 3, columns=len(trace(clf, TEXT).tokens))
    eventually(chapter, lambda: cut(chapter), [2])


def press_cell(page, x: int, y: int, *, columns: int, rows: int = 7) -> None:
    """Press a cell of the figure, counted from the left and from below."""
    page.locator("#interventions-figure .plot svg.main-svg").first.wait_for()
    area = page.locator("#interventions-figure .nsewdrag").first
    box = area.bounding_box()
    area.click(position={"x": box["width"] * (x + 0.5) / columns, "y": box["height"] * (rows - y - 0.5) / rows})


def test_a_typed_word_is_swapped_in_where_a_word_was_pressed(chapter, clf):
    choose(chapter, "swap")
    wait_for_words(chapter, clf, interventions, TEXT, view="swap")
    chapter.locator("#chapter-interventions .for-swap input").fill("dreadful")
    press(chapter, 2)
    wait_for_words(chapter, clf, interventions, TEXT, view="swap", at="2", new="dreadful")
    after = list(trace(clf, TEXT.replace("good", "dreadful")).tokens)
    eventually(chapter, lambda: strip(chapter, "interventions"), after)
    chapter.locator("#chapter-interventions .for-swap input").fill("")
    wait_for_words(chapter, clf, interventions, TEXT, view="swap", at="2")
    press(chapter, 2)
    wait_for_words(chapter, clf, interventions, TEXT, view="swap")


def test_the_patching_grid_appears_and_a_pressed_cell_is_read(chapter, clf):
    choose(chapter, "patch")
    wait_for_words(chapter, clf, interventions, TEXT, view="patch")
    last = explained(clf, interventions, TEXT, view="patch")[-1]
    eventually(chapter, lambda: drawn(chapter, "interventions")["alt"], last.figure.layout.meta["alt"])
    press_cell(chapter, 2, 4, columns=len(trace(clf, TEXT).tokens))
    wait_for_words(chapter, clf, interventions, TEXT, view="patch", cell="4-2")
    eventually(chapter, lambda: query(chapter)["cell"], "4-2")
    press_cell(chapter, 2, 4, columns=len(trace(clf, TEXT).tokens))
    wait_for_words(chapter, clf, interventions, TEXT, view="patch")


def test_a_pressed_head_is_silenced(chapter, clf):
    choose(chapter, "ablate")
    wait_for_words(chapter, clf, interventions, TEXT, view="ablate")
    press_cell(chapter, 4, 1, columns=clf.n_head + 1, rows=clf.n_layer)
    wait_for_words(chapter, clf, interventions, TEXT, view="ablate", part="2-5")


def test_the_head_reads_elsewhere(chapter, clf):
    choose(chapter, "elsewhere")
    wait_for_words(chapter, clf, interventions, TEXT, view="elsewhere")
    chapter.locator("#chapter-interventions label:has(input[value='mean'])").click()
    every = strip(chapter, "interventions")
    eventually(chapter, lambda: chapter.locator("#interventions-strip .token.read").all_text_contents(), every)


@pytest.mark.parametrize(
    "options",
    [
        {"cut": "all,2", "route": "direct", "low": "2", "high": "4"},
        {"view": "patch", "at": "2", "new": "bad", "cell": "3-9"},
        {"view": "ablate", "part": "3-0"},
    ],
    ids=["cut", "patch", "ablate"],
)
def test_a_link_brings_everything_back(open_page, clf, options):
    page = open_page("?" + urlencode({"text": TEXT, "chapter": "interventions", **options}))
    try:
        asked = {name: int(value) if name in ("low", "high") else value for name, value in options.items()}
        wait_for_words(page, clf, interventions, TEXT, **asked)
        if "route" in options:
            assert page.locator("#chapter-interventions input[value='direct']").is_checked()
    finally:
        page.close()
