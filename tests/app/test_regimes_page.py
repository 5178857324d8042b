"""What was trained, in Chromium: every view says what the library and the results say, and a head is trained there."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from browsing import drawn, eventually, explained, go_to, labels, strip, takeaway, wait_for_words, write

from app.chapters import regimes
from gpt2cls_core import Classifier, judge, load_base, load_classifier, load_features, read_states, train_head

pytestmark = pytest.mark.browser

TEXT = "Not a good film, but I liked the ending."
VIEWS = [value for _, value in regimes.VIEWS]


@pytest.fixture(scope="module")
def clf() -> Classifier:
    """The bundled classifier, as the page loads it."""
    return load_classifier("full")


@pytest.fixture
def chapter(page, clf):
    """The chapter with TEXT in it, all classifiers side by side."""
    write(page, TEXT)
    go_to(page, "regimes")
    choose(page, "view", "beside")
    wait_for_words(page, clf, regimes, TEXT)
    return page


def choose(page, option: str, value: object) -> None:
    """Choose a value of an option that can be seen."""
    names = {"view": "Ask", "examples": "Labelled sentences", "place": "Read at", "layer": "In layer", "draw": "Which"}
    group = page.locator("#chapter-regimes fieldset").filter(has_text=names[option])
    group.locator(f'input[type="radio"][value="{value}"]').check()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_drawn_and_told_with_the_librarys_numbers(chapter, clf, view):
    choose(chapter, "view", view)
    wait_for_words(chapter, clf, regimes, TEXT, view=view)
    (last,) = explained(clf, regimes, TEXT, view=view)
    eventually(chapter, lambda: drawn(chapter, "regimes")["alt"], last.figure.layout.meta["alt"])
    assert strip(chapter, "regimes") == [item["text"] for item in last.strip["items"]]
    rows = chapter.locator("#regimes-table tbody tr")
    eventually(chapter, rows.count, len(last.table.rows) if last.table else 0)


def test_a_head_is_trained_as_asked_and_judges_what_is_typed(chapter, clf):
    choose(chapter, "view", "train")
    chosen = {"examples": 32, "place": "mean", "layer": 4, "draw": 2}
    for option, value in chosen.items():
        choose(chapter, option, value)
    wait_for_words(chapter, clf, regimes, TEXT, view="train", **chosen)
    head = train_head(load_features(), examples=32, layer=4, place="mean", seed=2)
    assert f"{head.accuracy:.1%}" in takeaway(chapter, "regimes")
    other = "A dull film."
    write(chapter, other)
    wait_for_words(chapter, clf, regimes, other, view="train", **chosen)
    margin = judge(head, read_states(load_base(), other))
    # two digits are shown, and the page's own forward pass may differ by 1e-6
    eventually(chapter, lambda: float(labels(chapter, "regimes")[-1].split()[0]), pytest.approx(margin, abs=0.0051))
    query = parse_qs(urlsplit(chapter.url).query)
    assert {name: query[name] for name in chosen} == {name: [str(value)] for name, value in chosen.items()}


def test_what_only_the_training_takes_can_be_seen_there_alone(chapter):
    for view, seen in (("table", False), ("train", True), ("map", False)):
        choose(chapter, "view", view)
        parts = chapter.locator("#chapter-regimes .for-train").all()
        assert len(parts) == 4
        eventually(chapter, lambda p=parts: {part.is_visible() for part in p}, {seen})


def test_a_link_opens_a_trained_head(open_page, clf):
    options = {"view": "train", "examples": 64, "layer": 0, "place": "first"}
    opened = open_page("?" + urlencode({"chapter": "regimes", "text": TEXT, **options}))
    wait_for_words(opened, clf, regimes, TEXT, **options)
    opened.close()


def test_nothing_went_wrong_in_the_browser(chapter, witness):
    assert (witness.errors, witness.dialogs) == ([], [])
