"""The live lesson says what the page says: its JavaScript makes Python's figures, strips and words from the same numbers.

Torch stands in for the engine, so that whatever differs is the JavaScript's doing. A word, a colour or a layout that changes in
Python must change here by itself, or fail a test.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from live.pipe import Node

from app import models
from app.chapters import attribution, interventions, lens, predict, rollout, stem
from app.figures.style import VISIBLE, plain
from app.header import unread_value, verdict_value
from app.layout import unwired
from app.lesson import quoted
from app.live.book import book
from gpt2cls_core import TextError

NEGATION = "It is not a good film, but I loved the ending."
LONG = "The first half is slow, and the second is worse. " * 14  # 168 tokens
EMOJI = "I loved it 👩‍👩‍👧 so much\t😀!\n"
HOSTILE = "</script> ${alert(1)} {{value}} {x} <b>good</b> &amp; **bad**"
CASES = [
    (predict, "full", NEGATION, {}),
    (predict, "prompt", "Bad", {}),
    (predict, "full", HOSTILE, {}),
    (lens, "full", NEGATION, {}),
    (lens, "full", NEGATION, {"view": "probe"}),
    (lens, "head", EMOJI, {"view": "probe"}),
    (lens, "prompt", "Bad", {}),
    *((rollout, "full", NEGATION, {"view": view}) for _, view in rollout.VIEWS),
    (rollout, "full", NEGATION, {"view": "attention", "head": 3}),
    (rollout, "full", NEGATION, {"view": "raw", "without_sink": True}),
    (rollout, "full", "Bad", {}),
    (rollout, "prompt", EMOJI, {"view": "null"}),
    (rollout, "head", LONG, {"view": "null"}),
    (attribution, "full", NEGATION, {}),
    (attribution, "full", NEGATION, {"baseline": "zero", "unit": "tokens"}),
    (attribution, "prompt", "Bad", {}),
    (attribution, "head", EMOJI, {"baseline": "mean"}),
    (attribution, "full", HOSTILE, {}),
    (interventions, "full", NEGATION, {}),
    (interventions, "full", NEGATION, {"cut": "all"}),
    (interventions, "full", NEGATION, {"cut": "2,4", "route": "direct", "low": 2, "high": 3}),
    (interventions, "full", NEGATION, {"cut": "4", "low": 2, "high": 2}),
    (interventions, "head", HOSTILE, {"cut": "all,1,2,3"}),
    (interventions, "full", "Bad", {}),
    (interventions, "full", "Bad", {"view": "patch"}),
    (interventions, "full", NEGATION, {"view": "patch"}),
    (interventions, "full", NEGATION, {"view": "patch", "at": "4", "new": "bad", "cell": "3-4"}),
    (interventions, "full", NEGATION, {"view": "patch", "at": "4", "new": "unforgettable"}),
    (interventions, "full", NEGATION, {"view": "patch", "at": "4", "new": "good"}),
    (interventions, "full", EMOJI, {"view": "patch"}),
    (interventions, "full", EMOJI, {"view": "patch", "at": "3"}),
    (interventions, "prompt", "A quiet day.", {"view": "patch"}),
    (interventions, "prompt", "A quiet day.", {"view": "patch", "at": "0", "new": "x"}),
]


@pytest.fixture(scope="module")
def page(node: str) -> Iterator[Node]:
    """The lesson's JavaScript, running."""
    running = Node(node, book(["full", "head", "prompt"]))
    yield running
    running.close()


@pytest.fixture(scope="module")
def frames() -> dict:
    return unwired(models.shape("full")).frames


def expected(frames: dict, chapter: Any, name: str, text: str, options: dict) -> dict[str, Any]:
    """What the page shows at the end."""
    read = models.read(name, text)
    *_, last = chapter.explain(models.classifier(name), read, **options)
    shown = {part.elem_id: part.postprocess(value) for part, value in frames[stem(chapter)].values(last).items()}
    return shown | {"verdict": verdict_value(read)}


def differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    """Where two values differ: words exactly, numbers by more than 1e-3 of them or of 1 (float32 against float64, and rounding)."""
    if isinstance(wanted, dict) and "bdata" in wanted:
        numbers = np.frombuffer(base64.b64decode(wanted["bdata"]), wanted["dtype"])
        wanted = numbers.reshape([int(n) for n in wanted["shape"].split(",")] if "shape" in wanted else -1).tolist()
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = [f"{path}: {key!r} is on one side only" for key in sorted(found.keys() ^ wanted.keys())]
        shared = found.keys() & wanted.keys()
        return keys + [line for key in shared for line in differences(found[key], wanted[key], f"{path}.{key}")]
    if isinstance(found, list) and isinstance(wanted, (list, tuple)):
        if len(found) != len(wanted):
            return [f"{path}: {found} is not {wanted}"]
        pairs = enumerate(zip(found, wanted, strict=True))
        return [line for i, pair in pairs for line in differences(*pair, f"{path}[{i}]")]
    if isinstance(wanted, float) and math.isnan(wanted):
        wanted = None
    if (
        isinstance(found, (int, float))
        and isinstance(wanted, (int, float))
        and isinstance(found, bool) == isinstance(wanted, bool)
    ):
        return [] if math.isclose(found, wanted, rel_tol=1e-3, abs_tol=1e-3) else [f"{path}: {found} is not {wanted}"]
    return [] if found == wanted else [f"{path}: {found!r} is not {wanted!r}"]


@pytest.mark.parametrize(
    ("chapter", "name", "text", "options"),
    CASES,
    ids=[f"{stem(c)}-{name}-{text[:6]}-{'-'.join(map(str, options.values()))}" for c, name, text, options in CASES],
)
def test_a_chapter_says_and_draws_what_python_does(page, frames, chapter, name, text, options):
    found = page.values(name, stem(chapter), text, options)
    assert differences(found, expected(frames, chapter, name, text, options)) == []


def test_a_figure_of_any_length_is_pythons(page, frames):
    """The lengths between those that the templates were read off, one token and the most included."""
    for n in (7, 57, 63, 120):
        text = " ".join(["good"] * n)
        found = page.values("full", "lens", text, {})
        assert differences(found, expected(frames, lens, "full", text, {})) == []


def test_a_text_that_cannot_be_read_is_refused_in_the_librarys_words(page):
    for text in ("", " \n ", "x" * 100_001, "half \ud83d"):
        with pytest.raises(TextError) as refused:
            models.classifier("full").encode(text)
        assert page.values("full", "lens", text, {}) == {"verdict": unread_value(str(refused.value))}


def test_numbers_are_written_as_python_writes_them(page):
    halves = [0.5, 1.5, 2.5, 0.125, 0.375, -0.125, 2.675, 1.005, 0.045, 0.0, -0.0, -0.001, 1e-9, 123456.785, 1 / 3]
    for specification in ("+.2f", ".2f", ".0%", "+.1f", ".2%", "+.4f", ".3f", ".1f"):
        for number in [*halves, *np.random.default_rng(0).normal(size=50).tolist()]:
            assert page.call("formatted", number, specification) == format(number, specification)
    assert [page.call("formatted", n, ",") for n in (12, 1234, 100_001)] == ["12", "1,234", "100,001"]
    assert [page.call("formatted", shown) for shown in ("{x}", 7)] == ["{x}", "7"]


def test_tokens_are_written_as_python_writes_them(page):
    texts = [
        "",
        " ",
        " good",
        "\n\n",
        "\t",
        "<b>&amp;",
        "x" * 30,
        "😀" * 30,
        "\x00\x1f",
        "\u200d",
        "\u3000\x85wide\xa0",
        "\ufeff",
    ]
    for text in texts:
        assert page.call("strip", text) == text.strip()
        assert page.call("quoted", text) == quoted(text)
        for most in (14, 40):
            assert page.call("plain", text, VISIBLE, most) == plain(text, most)


def test_presses_set_what_they_set_on_the_page(page):
    options = {"view": "cut", "cut": "", "at": "", "cell": ""}
    for changes in (
        {},
        {"cut": "2,3"},
        {"cut": "all,2"},
        {"view": "patch"},
        {"view": "patch", "at": "2", "cell": "3-2"},
    ):
        chosen = options | changes
        for pressed in (
            {"index": 2, "back": 4, "key": 2},
            {"index": 6, "back": 0, "key": 6},
            {"index": 1, "back": 1, "key": None},
        ):
            assert page.call("pressToken", chosen, pressed) == interventions.press_token(chosen, pressed)
        assert page.call("pressCell", chosen, {"x": 2, "y": 3}) == interventions.press_cell(chosen, {"x": 2, "y": 3})
