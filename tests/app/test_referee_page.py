"""The chapter that puts explanations on trial in Chromium: a press on a row shows the scores that the library gives."""

from __future__ import annotations

import pytest
from browsing import drawn, eventually, explained, go_to, labels, wait_for_words, write

from app.chapters import referee
from app.chapters.judged import NAMES
from gpt2cls_core import load_classifier

pytestmark = pytest.mark.browser

TEXT = "Not a good film, but I liked it."


def test_a_pressed_row_shows_its_scores_and_every_view_says_the_same(page):
    clf = load_classifier("full")
    go_to(page, "referee")
    write(page, TEXT)
    wait_for_words(page, clf, referee, TEXT)
    last = explained(clf, referee, TEXT)[-1]
    eventually(page, lambda: drawn(page, "referee")["alt"], last.figure.layout.meta["alt"])
    rows = list(last.figure.data[0].y)
    area = page.locator("#referee-figure .nsewdrag").first
    box = area.bounding_box()
    area.click(position={"x": box["width"] / 2, "y": box["height"] * (3 + 0.72) / len(rows)})
    (stem,) = [stem for stem in NAMES if NAMES[stem] == rows[3]]
    chosen = explained(clf, referee, TEXT, method=stem)[-1].strip
    eventually(page, lambda: labels(page, "referee"), [item["label"] for item in chosen["items"]])
    assert f"method={stem}" in page.url
    for view in ("curves", "agreement"):
        page.locator(f'#chapter-referee .options input[value="{view}"]').check()
        shown = explained(clf, referee, TEXT, view=view, method=stem)[-1]
        eventually(page, lambda shown=shown: drawn(page, "referee")["alt"], shown.figure.layout.meta["alt"])
        wait_for_words(page, clf, referee, TEXT, view=view, method=stem)
