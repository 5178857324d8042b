"""The lesson that needs no server, as a reader opens it: from a file, in a browser that is offline.

One page load carries many steps, because each costs seconds. What it shows is compared with the library, on the same weights.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browsing import (
    choose_answer,
    drawn,
    eventually,
    expected_verdict,
    explained,
    go_to,
    labels,
    notice,
    strip,
    takeaway,
    verdict,
    wait_for_words,
    words,
    write,
)
from chromium import offline_visitor, running_chromium

from app.chapters import CHAPTERS, attribution, interventions, lens, predict, rollout, stem
from app.live.book import LIVE, live_words
from app.settings import FIRST_TEXT
from gpt2cls_core import Classifier, load_classifier
from gpt2cls_core import predict as library_predict

pytestmark = pytest.mark.browser

FIRST, SECOND = "lora", "head"  # of the models that share the page
TEXT = "The plot is thin, but I loved every minute of it."
HOSTILE = "</script><img src=x onerror=alert(1)> ${alert(1)} {{value}} <b>good</b>"
FORBIDDEN = "script-src 'unsafe-inline'; worker-src 'none'"  # as a strict course site has it
NO_WORKER = "script-src 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'none'"


@pytest.fixture(scope="module")
def clf() -> Classifier:
    return load_classifier(FIRST)


@pytest.fixture(scope="module")
def open_file() -> Iterator[Callable[..., object]]:
    """Opens a file in a browser that is offline, and fails on errors and requests."""
    with running_chromium() as chromium, offline_visitor(chromium) as visitor:

        def opened(file: Path, *, width: int = 1280, **link: str) -> object:
            page = visitor.new_page()
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(f"file://{file}#{urlencode(link)}")
            return page

        yield opened


def with_policy(lesson: Path, policy: str) -> Path:
    """The same file with a content security policy."""
    file = lesson.with_name("limited.html")
    tag = f'<head><meta http-equiv="Content-Security-Policy" content="{policy}">'
    file.write_text(lesson.read_text(encoding="utf-8").replace("<head>", tag, 1), encoding="utf-8")
    return file


def status(page) -> str:
    return page.locator("#live-status").text_content()


def wait_until_ready(page) -> None:
    eventually(page, lambda: status(page), live_words()["ready"])


def margin_drawn(page) -> float:
    """The top right cell of the lens, in full."""
    return page.locator("#lens-figure .plot").evaluate("plot => plot.data[0].z.at(-1).at(-1)")


def test_a_text_is_typed_and_every_chapter_says_what_the_library_says(open_file, lesson_file, clf):
    page = open_file(lesson_file)
    eventually(page, lambda: verdict(page), expected_verdict(clf, FIRST_TEXT))  # made before, and seen at once
    assert takeaway(page, "predict") == words(explained(clf, predict, FIRST_TEXT)[-1])
    wait_until_ready(page)
    write(page, TEXT)
    eventually(page, lambda: verdict(page), expected_verdict(clf, TEXT))
    go_to(page, "lens")
    wait_for_words(page, clf, lens, TEXT)
    # float32 added up in another order, through six layers
    assert margin_drawn(page) == pytest.approx(library_predict(clf, TEXT).margin, abs=1e-3)
    for chapter in LIVE:
        go_to(page, stem(chapter))
        wait_for_words(page, clf, chapter, TEXT)
        eventually(page, lambda chapter=chapter: drawn(page, stem(chapter))["svg"] > 0, True)
    choose_answer(page, "interventions")
    assert [name for name in map(stem, CHAPTERS) if page.locator(f"#tab-{name}").count()] == [*map(stem, LIVE)]


def test_options_presses_and_models_work_and_a_link_keeps_them(open_file, lesson_file, clf):
    page = open_file(lesson_file, text=TEXT, chapter="rollout", view="gradient")
    wait_for_words(page, clf, rollout, TEXT, view="gradient")
    assert page.locator('#rollout-view input[value="gradient"]').is_checked()
    page.locator('#rollout-view input[value="attention"]').check()
    page.locator("#rollout-head select").select_option("3")
    last = explained(clf, rollout, TEXT, view="attention", head=3)[-1]
    eventually(page, lambda: labels(page, "rollout"), [item["label"] for item in last.strip["items"]])
    go_to(page, "attribution")
    page.locator('#attribution-baseline input[value="mean"]').check()
    wait_for_words(page, clf, attribution, TEXT, baseline="mean")
    go_to(page, "interventions")
    page.locator("#interventions-preset-0").click()
    wait_for_words(page, clf, interventions, TEXT, cut="all")
    page.locator("#interventions-preset-1").click()
    page.locator("#interventions-strip .token").nth(3).click()
    wait_for_words(page, clf, interventions, TEXT, cut="3")
    page.locator('#interventions-view input[value="patch"]').check()
    page.locator("#interventions-new input").fill("hated")
    page.locator("#interventions-strip .token").nth(7).click()
    wait_for_words(page, clf, interventions, TEXT, view="patch", at="7", new="hated")
    figure = page.locator("#interventions-figure .nsewdrag").first.bounding_box()
    page.mouse.click(figure["x"] + figure["width"] * 7.5 / 13, figure["y"] + figure["height"] * 3.5 / 7)
    wait_for_words(page, clf, interventions, TEXT, view="patch", at="7", new="hated", cell="3-7")
    page.locator(f'#model input[value="{SECOND}"]').check()
    other = load_classifier(SECOND)
    wait_for_words(page, other, interventions, TEXT, view="patch", at="7", new="hated", cell="3-7")
    assert "frozen, with a trained head" in page.locator("#masthead .facts").text_content()
    again = page.context.new_page()
    again.goto(page.url)
    wait_for_words(again, other, interventions, TEXT, view="patch", at="7", new="hated", cell="3-7")


def test_on_a_narrow_page_whatever_is_typed_stays_text(open_file, lesson_file, clf):
    page = open_file(lesson_file, width=390, text=HOSTILE, chapter="lens")
    wait_for_words(page, clf, lens, HOSTILE)
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    write(page, "  ")
    eventually(page, lambda: notice(page), "There is no text to read yet. Type at least one word.")
    long = "so good " * 200
    for character in ("It", "It was", long):  # the newest wins
        write(page, character)
    eventually(page, lambda: verdict(page), expected_verdict(clf, long))
    assert "were cut" in notice(page)
    page.locator("#examples button").first.click()
    text = page.locator("#text textarea").input_value()
    wait_for_words(page, clf, lens, text)


def test_where_webassembly_is_forbidden_the_lesson_still_explains(open_file, lesson_file, clf):
    page = open_file(with_policy(lesson_file, FORBIDDEN))
    eventually(page, lambda: status(page).startswith(live_words()["wasm"]), True)
    assert verdict(page) == expected_verdict(clf, FIRST_TEXT)
    page.locator("#examples button", has_text="negation").click()
    text = page.locator("#text textarea").input_value()
    assert text != FIRST_TEXT
    eventually(page, lambda: verdict(page), expected_verdict(clf, text))
    go_to(page, "lens")
    assert strip(page, "lens") == list(clf.encode(text).tokens)
    eventually(page, lambda: drawn(page, "lens")["svg"] > 0, True)
    go_to(page, "rollout")
    page.locator('#rollout-view input[value="raw"]').check()
    assert takeaway(page, "rollout") == words(explained(clf, rollout, text, view="raw")[-1])
    assert page.locator("#attribution-baseline input").first.is_disabled()


def test_where_workers_are_forbidden_the_model_runs_on_the_page(open_file, lesson_file, clf):
    page = open_file(with_policy(lesson_file, NO_WORKER), text=TEXT)
    eventually(page, lambda: verdict(page), expected_verdict(clf, TEXT))
    write(page, FIRST_TEXT + " Not.")
    eventually(page, lambda: verdict(page), expected_verdict(clf, FIRST_TEXT + " Not."))


def test_a_folder_opens_from_a_file_and_says_what_is_missing_in_it(open_file, lesson_folder, clf, tmp_path):
    page = open_file(lesson_folder / "index.html", text=TEXT)
    wait_until_ready(page)
    eventually(page, lambda: verdict(page), expected_verdict(clf, TEXT))
    page.close()
    partial = shutil.copytree(lesson_folder, tmp_path / "partial")
    (partial / "low.js").unlink()
    page = open_file(partial / "index.html")
    eventually(page, lambda: "The file low.js is missing beside this page." in status(page), True)
