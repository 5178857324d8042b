"""The page of the live lesson: the page's own layout, written as `static_page` writes it, with a box to type into and its options.

What the model said of a few sentences is computed when the page is made: the first is seen before the model is up, all of them
where the browser, or the page around, lets no model run.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import models, theme
from ..chapters import chapters_in_order, stem
from ..chapters.frame import way_on
from ..header import TITLE, masthead_html, verdict_value
from ..layout import Page, unwired
from ..settings import FIRST_TEXT
from ..static_page import StaticPage, pack, script_functions
from ..views import last_word, view_values
from .book import LIVE, LIVE_VIEWS, book, live_text, live_words
from .controls import LivePage

__all__ = ["live_parts"]

_HERE = Path(__file__).parent


def live_parts(names: Sequence[str], text: str = FIRST_TEXT) -> dict[str, str]:
    """What ``page.html`` holds, but for plotly.js, the engine and the page's script.

    Args:
        names: of the models to switch between, the default first.
        text: that stands there at first.

    Raises:
        ModelError: a model can't be loaded.
        OptionError: they can't share a page; see `book`.
        TextError: the text can't be read.
    """
    known = book(names)
    made = unwired(models.shape(names[0]), *names)
    titles = {name: title for name, title in chapters_in_order().items() if name in map(stem, LIVE)}
    words = live_words()
    page = LivePage(made, titles, text, masthead_html(models.facts(names[0])))
    body = "".join(map(page.markup, made.blocks)) + _about(titles)
    _keep_to(page, made, titles)
    data = {
        "book": known,
        "words": words,
        "parts": page.parts,
        "options": [[key, *named, option.value] for key, (named, option) in page.options.items()],
        "presets": page.presets,
        "models": list(names),
        "text": text,
        "examples": _examples(made, names[0], text),
    }
    sheets = [_HERE.parent / "static_page.css", _HERE / "page.css"]
    return {
        "TITLE": html.escape(TITLE),
        "CSS": theme.css(titles) + "".join(sheet.read_text(encoding="utf-8") for sheet in sheets),
        "BODY": body,
        "DATA": pack(json.dumps(data, ensure_ascii=False, separators=(",", ":"))),
        "SCRIPTS": script_functions(page),
        "RUNTIME": (_HERE.parent / "static_runtime.js").read_text(encoding="utf-8"),
        "UNSCRIPTED": html.escape(words["unscripted"]),
    }


def _about(titles: Mapping[str, str]) -> str:
    """What this page is, and what is left out of it."""
    sections = live_text()
    others = ", ".join(f"*{title}*" for name, title in chapters_in_order().items() if name not in titles)
    text = html.escape(sections["about"].replace("{chapters}", others))
    said = "".join(f"<p>{_stressed(paragraph)}</p>" for paragraph in text.split("\n\n"))
    return f'<section class="about"><h2>{html.escape(sections["title"])}</h2>{said}</section>'


def _stressed(text: str) -> str:
    parts = text.split("*")
    return "".join(f"<em>{part}</em>" if index % 2 else part for index, part in enumerate(parts))


def _keep_to(page: StaticPage, made: Page, titles: Mapping[str, str]) -> None:
    """Let the row of chapters and the ways on lead to what is there; a sentence that leads elsewhere is left out."""
    stems = list(chapters_in_order())
    last = {stems[(stems.index(name) + 1) % len(stems)]: name for name in titles}
    for part in page.parts:
        props = part["props"] = {key: value for key, value in part["props"].items() if key != "source"}
        if part["id"] == made.nav.elem_id:
            props["chapters"] = [entry for entry in props["chapters"] if entry[0] in titles]
            part["value"] = next(iter(titles))
        elif props.get("on"):
            before = stems[-1] if props["lands"] == "text" else last[props["on"][0]]
            on, lands = way_on(before, titles)
            if on[0] != props["on"][0]:
                props["blocks"] = []
            props |= {"on": on, "lands": lands}


def _examples(made: Page, model: str, first: str) -> dict[str, Any]:
    """What is said of the first text, and of the first example of each kind: by text, chapter and view; the verdict under ""."""
    texts = [first, *(texts[0] for texts in made.examples.props["groups"].values())]
    return {text: _said(made, model, text) for text in dict.fromkeys(texts)}


def _said(made: Page, model: str, text: str) -> dict[str, Any]:
    clf, read = models.classifier(model), models.read(model, text)
    said: dict[str, Any] = {"": {"": {"verdict": verdict_value(read)}}}
    for chapter in LIVE:
        frame = made.frames[stem(chapter)]
        views = LIVE_VIEWS.get(stem(chapter)) or view_values(chapter)
        last = {view or "": frame.values(last_word(chapter, clf, read, view)) for view in views}
        said[stem(chapter)] = {
            view: {part.elem_id: part.postprocess(value) for part, value in values.items()}
            for view, values in last.items()
        }
    return said
