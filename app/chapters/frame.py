"""What every chapter looks like: on the right the question and the lesson; on the left figure and strip in one card, and below it
what was found. On a narrow page they follow each other: question, card, lesson, what was found.

What was found is covered until the reader has answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from ..components.plotly_view import PlotlyView
from ..components.points import Point, Points
from ..components.prose import Prose
from ..components.quiz import Quiz
from ..components.table import Table, TableView
from ..components.takeaway import Takeaway
from ..components.token_strip import TokenStrip
from ..lesson import Run, read_lesson
from ..models import Shape
from ..prose import blocks, question, sides

Options = Mapping[str, gr.components.Component]
Press = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
"""What a press changes: (options by name, what was pressed) → options to set.

A token is told by ``index``, ``back`` and ``key`` (see `TokenStrip`), a cell of the figure by ``x`` and ``y``.
"""


@dataclass(frozen=True, eq=False)
class Explained:
    """What a chapter says of one text: values for its figure, strip and takeaway, and for points and table if it has any."""

    figure: Any  # a plotly Figure
    strip: dict[str, Any]
    takeaway: list[Run]
    points: Sequence[Point] = ()
    table: Table | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """The components of one chapter.

    Attributes:
        options: by their names in `explain` and in the URL.
        press_token, press_cell: what a press on the strip and on the figure does; None where it does nothing.
        presets: what each button sets.
    """

    options: Options
    figure: PlotlyView
    strip: TokenStrip
    takeaway: Takeaway
    press_token: Press | None = None
    press_cell: Press | None = None
    presets: Mapping[gr.Button, Mapping[str, Any]] = field(default_factory=dict)
    points: Points | None = None
    table: TableView | None = None

    @property
    def outputs(self) -> list[gr.components.Component]:
        return [self.figure, self.strip, self.takeaway, *(part for part in (self.points, self.table) if part)]

    def values(self, explained: Explained) -> dict[gr.components.Component, Any]:
        """What to show in each output."""
        shown = {self.figure: explained.figure, self.strip: explained.strip, self.takeaway: explained.takeaway}
        also = {self.points: explained.points, self.table: explained.table}
        return shown | {part: value for part, value in also.items() if part}


def render_frame(
    stem: str,
    shape: Shape,
    options: Callable[[], Options] = dict,
    *,
    press_token: Press | None = None,
    press_cell: Press | None = None,
    presets: Callable[[], Mapping[gr.Button, Mapping[str, Any]]] = dict,
    points: bool = False,
    table: bool = False,
) -> Frame:
    """Lay a chapter out.

    Args:
        shape: of the model; its labels stand in the lesson's words.
        options: makes the chapter's option components (inside the card, above the figure) and names them.
        press_token, press_cell: what a press on the strip and on the figure does.
        presets: makes buttons that set options, after the options.
        points: whether sentences with evidence follow the takeaway.
        table: whether a table may follow the figure.
    """
    lesson, names = read_lesson(stem), sides(shape.labels)
    with gr.Column(elem_id=f"chapter-{stem}", elem_classes=["chapter"]), gr.Row(elem_classes=["chapter-row"]):
        with gr.Column(elem_classes=["lesson", "start"]):
            _ask(stem, lesson, names)
        with gr.Column(elem_classes=["picture"]):
            with gr.Column(elem_classes=["card"]):
                with gr.Row(elem_classes=["options"]):
                    made, buttons = options(), presets()
                    if "view" in made:
                        made["view"].elem_id = f"{stem}-view"
                figure = PlotlyView(elem_id=f"{stem}-figure")
                listing = TableView(elem_id=f"{stem}-table", elem_classes=["table"]) if table else None
                strip = TokenStrip(elem_id=f"{stem}-strip", elem_classes=["token-strip"])
            with gr.Column(elem_classes=["found"]):
                takeaway = Takeaway(elem_id=f"{stem}-takeaway")
                listed = Points(elem_id=f"{stem}-points") if points else None
                caveat = "**What this does not show.** " + lesson["not shown"]
                Prose(blocks(caveat, names), elem_classes=["not-shown"])
        with gr.Column(elem_classes=["lesson"]):
            Prose(blocks(lesson["lesson"], names))
        with gr.Column(elem_classes=["lesson", "way-on"]):
            _way_on(stem, lesson, names)
    return Frame(made, figure, strip, takeaway, press_token, press_cell, buttons, listed, listing)


def _ask(stem: str, lesson: Mapping[str, str], names: Mapping[str, str]) -> None:
    """The chapter's claim as its title, and the question before the reveal."""
    gr.Markdown(f"## {lesson['title']}")
    asked = question(lesson["question"])
    words, answer = blocks(asked.text, names), blocks(lesson["answer"], names)
    Quiz(stem, words, asked.choices, answer, elem_id=f"{stem}-quiz")


def _way_on(stem: str, lesson: Mapping[str, str], names: Mapping[str, str]) -> None:
    """A sentence that leads on, and a button that opens the next chapter; after the last, the first with another text."""
    from . import chapters_in_order  # there, the chapters are imported, which import this module

    on, lands = way_on(stem, chapters_in_order())
    Prose(blocks(lesson.get("next", ""), names), on=on, lands=lands)


def way_on(stem: str, chapters: Mapping[str, str]) -> tuple[tuple[str, str], str]:
    """Where the button at a chapter's end leads and what it says, and where it lands.

    Args:
        chapters: titles by stem, in reading order.
    """
    stems = list(chapters)
    if stem == stems[-1]:
        return (stems[0], "Try another text, from the start"), "text"
    following = stems[stems.index(stem) + 1]
    return (following, f"Next: {chapters[following]}"), "title"
