"""A lesson as a file: it opens without a server or a network, and says what the page says."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browsing import drawn, eventually, expected_verdict, explained, go_to, strip, takeaway, verdict, words, write
from chromium import offline_visitor

from app import export
from app import stills as app_stills
from app.chapters import CHAPTERS, geometry, lens, predict, rollout, stem
from app.chapters.frame import Explained
from app.export import lesson_html
from app.figures.style import note_figure
from app.palette import DARK, LIGHT
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


# --- figures for slides ---


def test_every_view_of_every_chapter_is_a_picture(clf, monkeypatch):
    def said(chapter, _clf, _read, view):
        return Explained(note_figure(f"{stem(chapter)} {view}"), {}, [])

    monkeypatch.setattr(app_stills, "last_word", said)
    names = [name for name, _ in app_stills.stills("full", TEXT)]
    views = sum(len(getattr(chapter, "VIEWS", [None])) for chapter in CHAPTERS)
    assert len(set(names)) == len(names) == views
    assert {"predict", "lens-head", "traps-all"} <= set(names)
    assert set(names) == {name for name in names if name.partition("-")[0] in map(stem, CHAPTERS)}


def test_a_slide_shows_the_figure_in_light_colours_on_a_ground_without_controls(clf):
    for name, figure in app_stills.stills("full", TEXT, chapters=["geometry", "lens"]):
        layout = figure.layout
        assert layout.paper_bgcolor == LIGHT["card"], name
        assert layout.width == 720, name  # of a short text
        assert not layout.sliders and not layout.updatemenus and not figure.frames, name
        if name == "geometry-cloud":
            on_page = explained(clf, geometry, TEXT)[-1].figure.layout
            assert layout.height == on_page.height - 66  # where slider and button were
            assert layout.margin.b == on_page.margin.b - 66


@pytest.mark.browser
def test_the_command_writes_pictures_of_the_chapters_asked_for(chromium, tmp_path, capsys):
    for format, starts in {"png": b"\x89PNG", "svg": b"<svg"}.items():
        export.main([TEXT, "--figures", str(tmp_path), "--format", format, "--chapters", "predict"])
        assert capsys.readouterr().out == f"Written: {tmp_path / f'predict.{format}'}\n"
        assert (tmp_path / f"predict.{format}").read_bytes().startswith(starts)
    assert png_width(tmp_path / "predict.png") == 2 * 720
    assert sorted(file.name for file in tmp_path.iterdir()) == ["predict.png", "predict.svg"]


def test_without_kaleido_the_command_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(SystemExit, match=re.escape('pip install "gpt2cls[figures]"')):
        export.main([TEXT, "--figures", str(tmp_path / "slides"), "--chapters", "predict"])
    assert not (tmp_path / "slides").exists()


def test_without_a_browser_the_command_says_so(tmp_path, monkeypatch):
    kaleido = pytest.importorskip("kaleido")
    errors = pytest.importorskip("kaleido.errors")

    def none_found(**_options):
        raise errors.ChromeNotFoundError("none")

    monkeypatch.setattr(kaleido, "Kaleido", none_found)
    with pytest.raises(SystemExit, match="Chrome or Chromium, and there is none here"):
        export.main([TEXT, "--figures", str(tmp_path), "--chapters", "predict"])


def png_width(file: Path) -> int:
    return int.from_bytes(file.read_bytes()[16:20], "big")  # of the IHDR chunk, the first


# --- in the browser ---


@pytest.fixture(scope="module")
def open_file(chromium) -> Iterator[Callable[..., object]]:
    """Opens a file in a browser that is offline, and fails on errors and requests."""
    with offline_visitor(chromium) as visitor:

        def opened(file: Path, **query: str) -> object:
            page = visitor.new_page()
            page.goto(f"file://{file}?{urlencode(query)}")
            page.locator(".quiz .question p >> visible=true").first.wait_for()
            return page

        yield opened


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


@pytest.mark.browser
def test_the_page_saves_the_lesson_chapter_by_chapter_and_the_files_figures_are_saved_by_keys(
    page, open_file, tmp_path, clf
):
    write(page, TEXT)
    eventually(page, lambda: verdict(page), expected_verdict(clf, TEXT))
    button = page.locator("#share .file")
    button.evaluate(
        """button => { window.told = []; new MutationObserver(() => window.told.push([button.textContent, button.disabled]))
            .observe(button, { childList: true }); }"""
    )
    with page.expect_download() as saved:
        button.click()
    n = len(CHAPTERS)
    steps = ["writing…", *(f"writing {i} of {n}…" for i in [*range(2, n + 1), n])]  # after the last it is put together
    assert page.evaluate("window.told") == [*([step, True] for step in steps), ["save as a file", False]]
    assert saved.value.suggested_filename == "lesson.html"
    saved.value.save_as(tmp_path / "lesson.html")
    opened = open_file(tmp_path / "lesson.html", chapter="lens", __theme="dark")
    opened.locator('#lens-view input[value="probe"]').check()
    eventually(opened, lambda: takeaway(opened, "lens"), words(explained(clf, lens, TEXT, view="probe")[-1]))
    for format, key in {"png": "Enter", "svg": "Space"}.items():
        opened.locator(f'#lens-figure [data-format="{format}"]').focus()
        with opened.expect_download() as picture:
            opened.keyboard.press(key)
        assert picture.value.suggested_filename == f"lens-probe.{format}"
        picture.value.save_as(tmp_path / f"lens.{format}")
    assert png_width(tmp_path / "lens.png") == 2 * 720
    drawing = (tmp_path / "lens.svg").read_text()
    assert "read by the head" in drawing
    assert {name for name in DARK if rgb(DARK[name]) in drawing} == set()  # light, though the page is dark
    assert rgb(LIGHT["read"]) in drawing
    opened.close()


def rgb(colour: str) -> str:
    return "rgb({}, {}, {})".format(*bytes.fromhex(colour[1:]))
