"""What every chapter looks like: figure and strip in one card on the left, the lesson on the right."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..components.plotly_view import PlotlyView
from ..components.takeaway import Takeaway
from ..components.token_strip import TokenStrip
from ..lesson import Run, read_lesson
from ..models import Shape

Options = Mapping[str, gr.components.Component]


@dataclass(frozen=True, eq=False)
class Explained:
    """What a chapter says of one text: values for its figure, its strip and its takeaway."""

    figure: Any  # a plotly Figure
    strip: dict[str, Any]
    takeaway: list[Run]


@dataclass(frozen=True, eq=False)
class Frame:
    """The components of one chapter.

    Attributes:
        options: by their names in `explain` and in the URL.
        token: the option that a press on the strip sets, counted back from the last token.
    """

    options: Options
    figure: PlotlyView
    strip: TokenStrip
    takeaway: Takeaway
    token: str | None

    @property
    def outputs(self) -> list[gr.components.Component]:
        return [self.figure, self.strip, self.takeaway]

    def values(self, explained: Explained) -> dict[gr.components.Component, Any]:
        """What to show in each output."""
        return dict(zip(self.outputs, (explained.figure, explained.strip, explained.takeaway), strict=True))


def render_frame(stem: str, shape: Shape, options: Callable[[], Options] = dict, *, token: str | None = None) -> Frame:
    """Lay a chapter out.

    Args:
        shape: of the model; its labels stand in the lesson's words.
        options: makes the chapter's option components (inside the card, above the figure) and names them.
        token: the option that a press on the strip sets.
    """
    lesson = read_lesson(stem)
    with gr.Column(elem_id=f"chapter-{stem}", elem_classes=["chapter"]), gr.Row(elem_classes=["chapter-row"]):
        with gr.Column(elem_classes=["card"]):
            with gr.Row(elem_classes=["options"]):
                made = options()
            figure = PlotlyView(elem_id=f"{stem}-figure")
            strip = TokenStrip(elem_id=f"{stem}-strip", elem_classes=["token-strip"])
        with gr.Column(elem_classes=["lesson"]):
            gr.Markdown(f"## {lesson['title']}")
            gr.Markdown(lesson["question"], elem_classes=["question"])
            gr.Markdown(with_sides(lesson["lesson"], shape.labels))
            takeaway = Takeaway(elem_id=f"{stem}-takeaway")
            gr.Markdown(
                "**What this does not show.** " + with_sides(lesson["not shown"], shape.labels), elem_classes=["small"]
            )
    return Frame(made, figure, strip, takeaway, token)


def with_sides(markdown: str, labels: tuple[str, ...]) -> str:
    """The lesson's words with ``{negative}`` and ``{positive}`` named after the labels, in their colours."""
    for side, label in sides(labels).items():
        markdown = markdown.replace(f"{{{side}}}", f'<span class="{side}">{html.escape(label)}</span>')
    return markdown


def sides(labels: tuple[str, ...]) -> dict[str, str]:
    """The words for the two sides of the margin in a takeaway."""
    if len(labels) == 2:
        return {"negative": labels[0], "positive": labels[1]}
    return {"negative": "the strongest other class", "positive": "the predicted class"}
