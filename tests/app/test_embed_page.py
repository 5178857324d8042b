"""One chapter in somebody else's page, by the code that the page hands out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browsing import eventually, expected_verdict, go_to, verdict, write

from gpt2cls_core import load_classifier

pytestmark = pytest.mark.browser

TEXT = 'Short & "sweet", <b>I\'d</b> say.'
SLACK = 40  # pixels that a frame may be higher than what is in it


@pytest.fixture(scope="module")
def code(page) -> str:
    """What "copy embed code" copies for the lens of TEXT."""
    write(page, TEXT)
    go_to(page, "lens")
    eventually(page, lambda: "chapter=lens" in page.url, True)
    page.bring_to_front()
    page.locator("#share .code").click()
    eventually(page, lambda: page.evaluate("navigator.clipboard.readText()").startswith("<iframe"), True)
    return page.evaluate("navigator.clipboard.readText()")


@pytest.fixture(scope="module")
def host(code: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page of another origin that holds the code."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "course.html").write_text(
        f"<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><h1>A course</h1>{code}<p>The end</p>"
    )
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}/course.html"
        served.shutdown()


@pytest.fixture(scope="module")
def open_host(context, host: str) -> Callable[[int], tuple]:
    def opened(width: int) -> tuple:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(host)
        frame = page.frame_locator("iframe")
        frame.locator("#lens-takeaway strong").first.wait_for(state="attached")
        return page, frame

    return opened


def test_the_code_is_a_frame_and_the_script_that_sizes_it(code, server):
    assert '"sweet"' not in code  # of the text: it is in the address, quoted
    assert f'<script src="{server.url}embed.js"></script>' in code
    assert "embed=1" in code
    assert "chapter=lens" in code


@pytest.mark.parametrize("width", [1280, 390])
def test_a_course_page_shows_the_chapter_alone_as_high_as_it_is(open_host, width):
    page, frame = open_host(width)
    assert frame.locator("#text textarea").input_value() == TEXT
    assert frame.locator("#verdict .verdict-label").is_visible()
    assert frame.locator("#chapter-lens").is_visible()
    for hidden in ("#masthead", "#model", "#chapters", "#examples", "#share .link", ".go-on >> nth=0"):
        assert not frame.locator(hidden).is_visible()
    inner = page.frames[1]

    def fits() -> bool:
        content = inner.evaluate("document.querySelector('main').getBoundingClientRect().bottom")
        return 0 <= page.locator("iframe").bounding_box()["height"] - content <= SLACK

    eventually(page, fits, True)
    before = page.locator("iframe").bounding_box()["height"]
    frame.locator("#lens-quiz :is(.show, .again) >> visible=true").click()  # what is covered or uncovered takes room
    eventually(page, lambda: page.locator("iframe").bounding_box()["height"] != before, True)
    eventually(page, fits, True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_embedded_chapter_is_alive_and_leads_to_the_whole_lesson(open_host, server):
    page, frame = open_host(1280)
    frame.locator("#text textarea").fill("A dull evening.")
    inner = page.frames[1]
    eventually(page, lambda: verdict(inner), expected_verdict(load_classifier("full"), "A dull evening."))
    link = frame.locator("#share .whole")
    assert link.is_visible()
    link.focus()
    address = link.get_attribute("href")
    assert address.startswith(server.url)
    assert "embed" not in address
    assert "text=A+dull+evening." in address
    page.close()


def test_a_link_with_its_theme_is_embedded_as_it_says(context, server):
    page = context.new_page()
    page.goto(server.url + "?" + urlencode({"embed": 1, "chapter": "rollout", "text": TEXT, "__theme": "dark"}))
    page.locator("#rollout-takeaway strong").first.wait_for(state="attached")
    assert page.locator("body.dark").count() == 1
    assert page.locator("#chapter-rollout").is_visible()
    assert not page.locator("#masthead").is_visible()
    page.close()


def test_the_resizers_licence_lies_beside_it():
    folder = Path(__file__).resolve().parents[2] / "app" / "vendor" / "iframe-resizer"
    assert "MIT License" in (folder / "LICENSE").read_text()
    assert "David J. Bradshaw" in (folder / "iframeResizer.min.js").read_text()[:400]
