"""The chapter on traps in Chromium: what is chosen, moved or pressed there is what the library computes."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from browsing import drawn, eventually, explained, go_to, labels, strip, takeaway, wait_for_words, write

from app.chapters import sprung, traps
from gpt2cls_core import Classifier, load_classifier, right_padding, trace

pytestmark = pytest.mark.browser

TEXT = "Not a good film, but I liked the ending."


@pytest.fixture(scope="module")
def clf() -> Classifier:
    """The bundled classifier, as the page loads it."""
    return load_classifier("full")


@pytest.fixture
def chapter(page, clf) -> Iterator[object]:
    """The shared page at this chapter, with the text written and all traps shown."""
    go_to(page, "traps")
    choose(page, "all")
    set_number(page, "for-pads", 4)
    write(page, TEXT)
    wait_for_words(page, clf, traps, TEXT)
    return page


def choose(page, value: str) -> None:
    """Choose in a list of the chapter by its value."""
    page.locator(f'#chapter-traps .options input[type="radio"][value="{value}"]').check()


def set_number(page, css_class: str, value: int) -> None:
    """Type a number beside a slider."""
    box = page.locator(f"#chapter-traps .{css_class} input[type=number]")
    if box.is_visible():
        box.fill(str(value))
        box.press("Enter")


def press_row(page, place: int) -> None:
    """Press the picture of all traps at one of its rows, a little beside its points."""
    area = page.locator("#traps-figure .nsewdrag")
    box = area.bounding_box()
    area.click(position={"x": box["width"] / 2, "y": box["height"] * (place + 0.7) / len(sprung.ROWS)})


def test_all_traps_are_drawn_with_the_librarys_numbers(chapter, clf):
    last = explained(clf, traps, TEXT)[-1]
    eventually(chapter, lambda: drawn(chapter, "traps")["alt"], last.figure.layout.meta["alt"])
    assert strip(chapter, "traps") == list(trace(clf, TEXT).tokens)


@pytest.mark.parametrize("trap", [value for _, value in traps.VIEWS if value != "all"])
def test_a_chosen_trap_is_drawn_and_told_with_the_librarys_numbers(chapter, clf, trap):
    choose(chapter, trap)
    wait_for_words(chapter, clf, traps, TEXT, view=trap)
    (last,) = explained(clf, traps, TEXT, view=trap)
    eventually(chapter, lambda: drawn(chapter, "traps")["alt"], last.figure.layout.meta["alt"])
    items = last.strip["items"]
    visible = ["⏎" if item["text"] == "\n" else item["text"] for item in items]
    eventually(chapter, lambda: strip(chapter, "traps"), visible)
    assert labels(chapter, "traps") == [item["label"] for item in items]
    read = chapter.locator("#traps-strip .token.read").all_text_contents()
    assert read == [visible[place] for place in last.strip["read"]]
    marked = chapter.locator("#traps-strip .token.marked").all_text_contents()
    assert marked == [visible[place] for place in last.strip["marks"]]


def test_more_pads_move_the_mistake_and_not_the_honest_reading(chapter, clf):
    choose(chapter, "right")
    for n_pad in (9, 2):
        set_number(chapter, "for-pads", n_pad)
        wait_for_words(chapter, clf, traps, TEXT, view="right", n_pad=n_pad)
        trap = right_padding(clf, trace(clf, TEXT), n_pad=n_pad)
        assert f"The mistake reads {trap.margin_wrong:+.2f}" in takeaway(chapter, "traps")
        assert f"Read rightly the margin is {float(trace(clf, TEXT).logits.diff()):+.2f}" in takeaway(chapter, "traps")
        eventually(chapter, lambda n=n_pad: strip(chapter, "traps")[-n:], ["[pad]"] * n_pad)
        assert parse_qs(urlsplit(chapter.url).query)["n_pad"] == [str(n_pad)]


@pytest.mark.parametrize("place", [0, 2, 9])
def test_a_press_on_a_row_opens_its_trap(chapter, clf, place):
    last = explained(clf, traps, TEXT)[-1]
    eventually(chapter, lambda: drawn(chapter, "traps")["alt"], last.figure.layout.meta["alt"])
    press_row(chapter, place)
    options = sprung.ROWS[place][1]
    wait_for_words(chapter, clf, traps, TEXT, **options)
    for value in options.values():
        assert chapter.locator(f'#chapter-traps input[value="{value}"]').is_checked()


def test_only_what_a_trap_takes_can_be_set(chapter):
    takes = {"all": {"for-pads"}, "left": {"for-pads", "for-left"}, "typed": set(), "long": {"for-long"}}
    for trap, expected in takes.items():
        choose(chapter, trap)
        seen = {
            name
            for name in ("for-pads", "for-left", "for-long")
            if any(part.is_visible() for part in chapter.locator(f"#chapter-traps .{name}").all())
        }
        assert seen == expected, trap


def test_a_link_opens_one_trap_as_it_was_set(open_page, clf):
    options = {"view": "left", "without": "mask", "n_pad": 7}
    opened = open_page("?" + urlencode({"chapter": "traps", "text": TEXT, **options}))
    wait_for_words(opened, clf, traps, TEXT, **options)
    opened.close()


def test_a_text_that_fills_the_context_is_told_that_there_is_no_room(chapter, clf):
    long = "A good film, my friend. " * 70
    assert trace(clf, long).tokens_cut > 0
    write(chapter, long)
    wait_for_words(chapter, clf, traps, long)
    assert "There is no room for 4 more" in takeaway(chapter, "traps")
    write(chapter, TEXT)


def test_colours_and_clips_do_not_hang_on_the_pages_address(chapter, clf):
    choose(chapter, "right")
    wait_for_words(chapter, clf, traps, TEXT, view="right")
    (last,) = explained(clf, traps, TEXT, view="right")
    eventually(chapter, lambda: drawn(chapter, "traps")["alt"], last.figure.layout.meta["alt"])
    bar = chapter.locator("#traps-figure .cbfill").get_attribute("style")
    assert "#" in bar
    assert "http" not in bar, "or the colours are lost when the address changes"


def test_nothing_went_wrong_in_the_browser(chapter, witness):
    assert (witness.errors, witness.dialogs) == ([], [])
