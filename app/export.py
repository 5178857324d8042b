"""A lesson on one text as a file: ``python -m app.export "A slow start, but what an ending!" -o lesson.html``.

One HTML file with every chapter, each of its views, and interactive figures. It opens without a server or a network, from a memory
stick or a course site. What can't be in it is what needs the model: another text, pressing tokens, options other than the view.

With ``--figures FOLDER`` the figures are written as pictures for slides instead (see `app.stills`).

With ``--live`` the model itself is in it, and the reader types (see `app.live`): a folder for a course site or a static Space, or,
with ``--single-file``, one HTML file.
"""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from gpt2cls_core import Gpt2clsError
from gpt2cls_core.training.files import write_text

from . import models
from .chapters import CHAPTERS, chapters_in_order
from .chapters.frame import Explained, Frame
from .header import TITLE, masthead_html, verdict_value
from .layout import Page, frames_of, unwired
from .settings import FIRST_TEXT
from .static_page import StaticPage, Values, document
from .stills import FORMATS, stills, write_stills
from .views import asked_chapters, last_word, view_values

__all__ = ["chapter_values", "lesson_html"]


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
    asked = list(asked_chapters(chapters))
    read = models.read(model, text)
    made = unwired(models.shape(model), model)
    views = {name: view for name in asked if (view := made.frames[name].options.get("view"))}
    page = StaticPage(
        kept=views.values(),
        written={made.masthead: masthead_html(models.facts(model)), made.text: f"<p>{html.escape(text)}</p>"},
        left_out={"examples", "share", *(f"chapter-{name}" for name in chapters_in_order() if name not in asked)},
    )
    start, states = {"verdict": verdict_value(read)}, {}
    for name in asked:
        view, shown = views.get(name), chapter_values(model, text, name)
        start |= shown[view.value if view else None]
        states |= {view.elem_id: shown} if view else {}
    body = "".join(map(page.markup, made.blocks))
    _keep_to(page, asked, made)
    return document(body, page, title=TITLE, chapters=asked, states=states | {"": {"": start}})


@lru_cache(maxsize=2 * len(CHAPTERS))  # of two readers who save at once
def chapter_values(model: str, text: str, name: str) -> Mapping[str | None, Values]:
    """What a chapter's components show in each of its views; kept, so that a lesson can be made chapter by chapter.

    Args:
        name: stem of the chapter.

    Raises:
        ModelError, TextError: the model or the text can't be read.
    """
    chapter, frame = asked_chapters([name])[name], frames_of(models.shape(model))[name]
    clf, read = models.classifier(model), models.read(model, text)
    return {view: _values(frame, last_word(chapter, clf, read, view)) for view in view_values(chapter)}


def _values(frame: Frame, last: Explained) -> Values:
    """What a chapter's components show of it."""
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
    parser.add_argument("text", nargs="?", help="the text to explain; with --live the one that stands there at first")
    parser.add_argument(
        "-o", "--output", type=Path, help="what to write (default: lesson.html, with --live alone the folder lesson)"
    )
    parser.add_argument("--model", default="full", help="bundled name, folder or hub id (default: %(default)s)")
    parser.add_argument("--chapters", nargs="+", default=[], metavar="NAME", help="chapters to put in (default: all)")
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="write the figures for slides there instead")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="of figures (default: %(default)s)")
    parser.add_argument("--live", action="store_true", help="write the lesson in which the model runs, as a folder")
    parser.add_argument("--single-file", action="store_true", help="with --live: as one HTML file")
    chosen = parser.parse_args(arguments)
    if chosen.single_file and not chosen.live:
        parser.error("--single-file goes with --live")
    if chosen.live and (chosen.chapters or chosen.figures):
        parser.error("--live takes neither --chapters nor --figures")
    if not chosen.live and not chosen.text:
        parser.error("give the text to explain")
    try:
        _write(chosen)
    except Gpt2clsError as error:
        sys.exit(str(error))


def _write(chosen: argparse.Namespace) -> None:
    output = chosen.output or Path("lesson" if chosen.live and not chosen.single_file else "lesson.html")
    if chosen.live:
        from .live.build import write_live_file, write_live_folder  # npm and onnx are needed for it alone

        write = write_live_file if chosen.single_file else write_live_folder
        write(output, chosen.model, chosen.text or FIRST_TEXT)
        _tell(output)
    elif chosen.figures:
        figures = stills(chosen.model, chosen.text, chapters=chosen.chapters)
        write_stills(figures, chosen.figures, format=chosen.format, tell=_tell)
    else:
        write_text(output, lesson_html(chosen.model, chosen.text, chapters=chosen.chapters))
        _tell(output)


def _tell(file: Path) -> None:
    print(f"Written: {file}")


if __name__ == "__main__":
    main()
