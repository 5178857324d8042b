"""How tests read the page in Chromium and compare it with the library: what it shows is polled until it is as expected."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from app.chapters import CHAPTERS, attribution, stem
from gpt2cls_core import Classifier, Trace, trace
from gpt2cls_core import predict as library_predict

STEMS = [stem(chapter) for chapter in CHAPTERS]
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e-\d+)?")


def wait_until_read(page) -> None:
    """Wait until the question stands there and the text that the page opens with has been read."""
    page.locator(".quiz .question p >> visible=true").first.wait_for()
    page.locator(".takeaway strong").first.wait_for(state="attached")  # covered until the reader has answered


def eventually(page, read: Callable[[], object], expected: object, seconds: float = 60) -> None:
    """Wait until what is read is as expected; assert, so that a failure shows both."""
    deadline = time.monotonic() + seconds
    while read() != expected and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert read() == expected


def write(page, text: str) -> None:
    page.locator("#text textarea").fill(text)


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


def verdict(page) -> tuple[str, list[float], str]:
    """Label, [margin, probability] and count of tokens."""
    part = page.locator("#verdict .verdict").evaluate(
        "box => ['label', 'facts', 'count'].map((name) => box.querySelector('.verdict-' + name).textContent)"
    )
    return part[0], numbers(part[1]), part[2]


def expected_verdict(clf: Classifier, text: str) -> tuple:
    result = library_predict(clf, text)
    n = result.n_tokens - clf.n_virtual
    count = f"{n} token{'s' if n > 1 else ''}" + (f" after {clf.n_virtual} virtual ones" if clf.n_virtual else "")
    # two and three digits are shown, and the page's own forward pass may differ by 1e-6
    return result.label, pytest.approx([result.margin, float(result.probabilities[1])], abs=0.0051), count


def notice(page) -> str:
    return page.locator("#verdict .verdict-notice").text_content()


def strip(page, chapter: str) -> list[str]:
    return page.locator(f"#{chapter}-strip .token").all_text_contents()


def labels(page, chapter: str) -> list[str]:
    """The numbers of the strip."""
    return page.locator(f"#{chapter}-strip .token").evaluate_all("tokens => tokens.map((token) => token.title)")


def takeaway(page, chapter: str) -> str:
    """Its words, covered or not."""
    return page.locator(f"#{chapter}-takeaway .takeaway").text_content()


def evidence(page, chapter: str) -> list[str]:
    """The evidence of each sentence of a chapter that has some, covered or not."""
    return page.locator(f"#{chapter}-points .evidence").all_text_contents()


def is_open(page, chapter: str) -> bool:
    """Whether the chapter's question has been answered: then the takeaway can be seen and the cover can't."""
    parts = [page.locator(f"#{chapter}-{part}").is_visible() for part in ("quiz .answer", "takeaway .takeaway")]
    covered = [page.locator(f"#{chapter}-{part}").is_visible() for part in ("quiz .choices", "takeaway .cover")]
    assert [parts, covered] in ([[True] * 2, [False] * 2], [[False] * 2, [True] * 2]), (chapter, parts, covered)
    return parts[0]


def choose_answer(page, chapter: str, place: int = 0) -> str:
    """Answer the chapter's question by its choice at this place; returns the choice's words."""
    choice = page.locator(f"#{chapter}-quiz .choice").nth(place)
    said = choice.text_content()
    choice.click()
    eventually(page, lambda: is_open(page, chapter), True)
    return said


def seen(page) -> list[str]:
    """Stems of the chapters that can be seen: one."""
    return [name for name in STEMS if page.locator(f"#chapter-{name}").is_visible()]


def go_to(page, chapter: str) -> None:
    page.locator(f"#tab-{chapter}").click()
    eventually(page, lambda: seen(page), [chapter])


def explained(clf: Classifier, chapter, text: str, **options) -> list:
    """Everything that a chapter says of a text, one after the other."""
    return list(chapter.explain(clf, trace(clf, text), **options))


def words(explanation) -> str:
    return "".join(text for text, _ in explanation.takeaway)


def alike(shown: str, expected: str) -> bool:
    """Equal words and nearly equal numbers: two processes may round the last digit differently."""
    close = pytest.approx(numbers(expected), rel=0.01, abs=0.011)
    return NUMBER.sub("#", shown) == NUMBER.sub("#", expected) and numbers(shown) == close


def wait_for_words(page, clf: Classifier, chapter, text: str, **options) -> None:
    """Wait until the chapter's takeaway is the library's last word on the text."""
    last = words(explained(clf, chapter, text, **options)[-1])
    deadline = time.monotonic() + 60
    while not alike(takeaway(page, stem(chapter)), last) and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    if not alike(takeaway(page, stem(chapter)), last):
        assert takeaway(page, stem(chapter)) == last


def drawn(page, chapter: str) -> dict:
    """The chapter's figure as Plotly holds it: number of traces, alternative text, and all colours by name in layout and data."""
    return page.locator(f"#{chapter}-figure .plot").evaluate(
        """plot => ({
            traces: (plot.data || []).length,
            svg: plot.querySelectorAll('svg.main-svg').length,
            alt: plot.getAttribute('aria-label'),
            role: plot.getAttribute('role'),
            json: JSON.stringify([plot.data, {...plot.layout, template: null}]),
            ticks: [...plot.querySelectorAll('.xtick text')].map((tick) => tick.textContent),
        })"""
    )


def walk_through(page, read: Trace) -> None:
    """Open every chapter, and find the text's tokens (or words), a drawn figure and a takeaway in each."""
    for chapter in CHAPTERS:
        name = stem(chapter)
        go_to(page, name)
        texts = [word.text for word in read.words] if chapter is attribution else list(read.tokens)
        eventually(page, lambda name=name: strip(page, name), texts)
        eventually(page, lambda name=name: drawn(page, name)["svg"] > 0, True)
        assert takeaway(page, name)
