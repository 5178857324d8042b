"""A lesson on one text as a file: ``python -m app.export "A slow start, but what an ending!" -o lesson.html``.

One HTML file with every chapter, each of its views, and interactive figures. It opens without a server or a network, from a memory
stick or a course site. What can't be in it is what needs the model: another text, pressing tokens, options other than the view.
"""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import gradio as gr

from gpt2cls_core import Classifier, Gpt2clsError, OptionError, Trace
from gpt2cls_core.training.files import write_text

from . import models
from .chapters import CHAPTERS, stem
from .chapters.frame import Frame
from .header import TITLE, masthead_html, verdict_value
from .layout import Page, unwired
from .static_page import StaticPage, Values, document

__all__ = ["lesson_html"]


def lesson_html(model: str, text: str, *, chapters: Sequence[str] = ()) -> str:
    """The lesson as one HTML file, under 3 MB.

    Args:
        model: bundled name, folder or hub id.
        text: what is explained.
        chapters: stems of the chapters to put in; none stands for all.

    Raises:
        OptionError: there is no such chapter.
        ModelError, TextError: the model or the text can't be read.
    """
    known = [stem(chapter) for chapter in CHAPTERS]
    if unknown := sorted(set(chapters) - set(known)):
        raise OptionError(f"There is no chapter {', '.join(unknown)}; the chapters are {', '.join(known)}.")
    asked = [name for name in known if name in (chapters or known)]
    clf, read = models.classifier(model), models.read(model, text)
    made = unwired(models.shape(model), model)
    views = {name: view for name in asked if (view := made.frames[name].options.get("view"))}
    for name, view in views.items():
        view.elem_id = f"{name}-view"
    page = StaticPage(
        kept=views.values(),
        written={made.masthead: masthead_html(models.facts(model)), made.text: f"<p>{html.escape(text)}</p>"},
        left_out={"examples", "share", *(f"chapter-{name}" for name in known if name not in asked)},
    )
    start, states = {"verdict": verdict_value(read)}, {}
    for chapter in CHAPTERS:
        if (name := stem(chapter)) in asked:
            view = views.get(name)
            shown = {v: _values(made.frames[name], chapter, clf, read, v) for v in _view_values(view)}
            start |= shown[view.value if view else None]
            states |= {view.elem_id: shown} if view else {}
    body = "".join(map(page.markup, made.blocks))
    _keep_to(page, asked, made)
    return document(body, page, title=TITLE, chapters=asked, states=states | {"": {"": start}})


def _view_values(view: gr.Radio | None) -> list[str | None]:
    return [value for _, value in view.choices] if view else [None]


def _values(frame: Frame, chapter: ModuleType, clf: Classifier, read: Trace, view: str | None) -> Values:
    """What a chapter's components show once all is computed, in one view."""
    *_, last = chapter.explain(clf, read, **({"view": view} if view else {}))
    shown = {part.elem_id: part.postprocess(value) for part, value in frame.values(last).items()}
    return shown | {frame.strip.elem_id: last.strip | {"keys": None}}  # nothing happens on a press


def _keep_to(page: StaticPage, chapters: Sequence[str], made: Page) -> None:
    """Let the row of chapters and the ways on lead to what is there alone."""
    for part in page.parts:
        props = part["props"]
        if part["id"] == made.nav.elem_id:
            props["chapters"] = [entry for entry in props["chapters"] if entry[0] in chapters]
            part["value"] = chapters[0]
        elif props.get("on") and (props["on"][0] not in chapters or props["lands"] == "text"):
            part["props"] = props | {"on": None}


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m app.export", description="Write the lesson on one text as one HTML file that needs no network."
    )
    parser.add_argument("text", help="the text to explain")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("lesson.html"), help="file to write (default: %(default)s)"
    )
    parser.add_argument("--model", default="full", help="bundled name, folder or hub id (default: %(default)s)")
    parser.add_argument("--chapters", nargs="+", default=[], metavar="NAME", help="chapters to put in (default: all)")
    chosen = parser.parse_args(arguments)
    try:
        write_text(chosen.output, lesson_html(chosen.model, chosen.text, chapters=chosen.chapters))
    except Gpt2clsError as error:
        sys.exit(str(error))
    print(f"Written: {chosen.output}")


if __name__ == "__main__":
    main()
