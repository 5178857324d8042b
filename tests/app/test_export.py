"""A lesson as a file: it opens without a server or a network, and says what the page says."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browsing import drawn, eventually, expected_verdict, explained, go_to, strip, takeaway, verdict, words

from app import export
from app.chapters import CHAPTERS, lens, predict, rollout, stem
from app.export import lesson_html
from gpt2cls_core import Classifier, OptionError, TextError, load_classifier

TEXT = "Not a good film, but I liked the ending."
HOSTILE = "</script><script>alert(1)</script> ${alert(1)} {{value}} <img src=x onerror=alert(1)>"
MOST_BYTES = 3_000_000


def packed(document: str, name: str) -> bytes:
    found = re.search(rf'id="packed-{name}">([^<]*)<', document)
    return gzip.decompress(base64.b64decode(found[1]))


@pytest.fixture(scope="module")
def clf() -> Classifier:
    return load_classifier("full")


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole lesson on TEXT, by the command."""
    file = tmp_path_factory.mktemp("lesson") / "new folder" / "lesson.html"
    export.main([TEXT, "-o", str(file)])
    return file


# --- the file ---


def test_the_whole_lesson_is_one_small_file(lesson):
    assert lesson.stat().st_size < MOST_BYTES
    assert [file.name for file in lesson.parent.iterdir()] == ["lesson.html"]


def test_it_holds_what_the_chapters_say_in_every_view(lesson, clf):
    states = json.loads(packed(lesson.read_text(), "data"))["states"]
    for chapter in CHAPTERS:
        name = stem(chapter)
        for _, view in getattr(chapter, "VIEWS", []):
            assert states[f"{name}-view"][view][f"{name}-takeaway"]
            assert states[f"{name}-view"][view][f"{name}-figure"]["data"] is not None
    shown = "".join(text for text, _ in states[""][""]["predict-takeaway"])
    assert shown == words(explained(clf, predict, TEXT)[-1])


def test_chosen_chapters_stand_alone_and_lead_to_each_other_only():
    document = lesson_html("full", TEXT, chapters=["rollout", "predict"])
    assert re.findall(r'id="chapter-(\w+)"', document) == ["predict", "rollout"]  # in the page's order
    parts = json.loads(packed(document, "data"))["parts"]
    (nav,) = (part for part in parts if part["id"] == "chapters")
    assert [name for name, _ in nav["props"]["chapters"]] == ["predict", "rollout"]
    assert all(part["props"]["on"] is None for part in parts if part["script"] == "Prose")  # each next one is not here


def test_what_a_person_typed_is_no_markup_in_it():
    document = lesson_html("full", HOSTILE, chapters=["predict"])
    assert "alert(1)</script>" not in document.replace("&lt;", "<LT>")
    assert "<img" not in document.partition("<body>")[2].partition('<script type="text/plain"')[0]


def test_it_names_no_other_host():
    document = lesson_html("full", TEXT, chapters=["predict"])
    outside = set(re.findall(r"https?://[^\s\"'<>)]+", document))
    assert not outside
    assert "src=" not in document.partition("<body>")[2]


@pytest.mark.parametrize(("text", "error"), [("", TextError), ("  \n ", TextError)])
def test_a_text_that_cannot_be_read_is_the_librarys_error(text, error):
    with pytest.raises(error):
        lesson_html("full", text)


def test_an_unknown_chapter_is_named_with_those_that_exist():
    with pytest.raises(OptionError, match="There is no chapter nonsense; the chapters are predict, lens"):
        lesson_html("full", TEXT, chapters=["nonsense"])


def test_the_command_says_what_is_wrong_in_one_line_and_writes_nothing(tmp_path):
    with pytest.raises(SystemExit, match="There is no model 'no-such-model'"):
        export.main([TEXT, "--model", "no-such-model", "-o", str(tmp_path / "lesson.html")])
    assert not list(tmp_path.iterdir())


# --- in the browser ---


@pytest.fixture(scope="module")
def open_file(chromium) -> Iterator[Callable[..., object]]:
    """Opens a file in a browser that is offline, and fails on errors and requests."""
    visitor = chromium.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    visitor.set_default_timeout(60_000)
    requests, errors = [], []
    visitor.on("request", lambda request: requests.append(request.url))
    visitor.on("weberror", lambda error: errors.append(str(error.error)))
    visitor.on("dialog", lambda dialog: (errors.append(dialog.message), dialog.dismiss()))

    def opened(file: Path, **query: str) -> object:
        page = visitor.new_page()
        page.goto(f"file://{file}?{urlencode(query)}")
        page.locator(".quiz .question p >> visible=true").first.wait_for()
        return page

    yield opened
    visitor.close()
    assert not errors
    assert all(url.startswith(("file://", "data:", "blob:")) for url in requests)


@pytest.mark.browser
def test_from_a_file_without_a_network_all_chapters_are_there(open_file, lesson, clf):
    page = open_file(lesson, chapter="lens")
    eventually(page, lambda: verdict(page), expected_verdict(clf, TEXT))
    eventually(page, lambda: drawn(page, "lens")["svg"] > 0, True)
    for chapter in CHAPTERS:
        go_to(page, stem(chapter))
        eventually(page, lambda chapter=chapter: drawn(page, stem(chapter))["svg"] > 0, True)
        assert takeaway(page, stem(chapter))
    page.close()


@pytest.mark.browser
def test_a_view_is_chosen_and_the_words_follow(open_file, lesson, clf):
    page = open_file(lesson, chapter="rollout")
    for _, view in rollout.VIEWS:
        page.locator(f'#rollout-view input[value="{view}"]').check()
        eventually(page, lambda: takeaway(page, "rollout"), words(explained(clf, rollout, TEXT, view=view)[-1]))
    page.close()


@pytest.mark.browser
def test_the_question_covers_what_was_found_until_it_is_answered(open_file, lesson):
    page = open_file(lesson, chapter="predict", __theme="dark")
    assert page.locator("body.dark").count() == 1
    assert not page.locator("#predict-takeaway .takeaway").is_visible()
    page.locator("#predict-quiz .choice").first.click()
    assert page.locator("#predict-takeaway .takeaway").is_visible()
    page.close()


@pytest.mark.browser
def test_hostile_text_stays_text_in_the_file(open_file, tmp_path):
    file = tmp_path / "hostile.html"
    file.write_text(lesson_html("full", HOSTILE, chapters=[stem(lens)]))
    page = open_file(file, chapter="lens")
    eventually(page, lambda: len(strip(page, "lens")) > 0, True)
    assert page.locator(".text-card p").text_content() == HOSTILE
    assert page.locator("img").count() == 0
    page.close()
