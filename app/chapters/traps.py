"""The last token must be the last token: read another one by mistake, and see what becomes of the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr
import numpy as np

from gpt2cls_core import Classifier, Gpt2clsError, Trace, Trap, class_lens

from ..components.token_strip import strip_value
from ..figures.traps import columns_to_show, misread_figure
from ..lesson import Run, fill, quoted
from ..models import Shape
from .frame import Explained, Frame, render_frame
from .sprung import ROWS, explain_all, own_strip, spring

TITLE = "Break it"
VIEWS = [
    ("all at once", "all"),
    ("right padding", "right"),
    ("left padding", "left"),
    ("batch of two", "batch"),
    ("inputs_embeds", "embeds"),
    ("typed end of text", "typed"),
    ("full stop", "stop"),
    ("too long", "long"),
]
MISSING = [("position ids", "positions"), ("attention mask", "mask"), ("both", "both")]
KEEP = [("the head, cut the end", "head"), ("the tail, cut the start", "tail")]
WHY = {
    "right": "takeaway right",
    "left": "takeaway left",
    "batch": "takeaway batch",
    "embeds": "takeaway embeds",
    "typed": "takeaway typed",
    "stop": "takeaway stop",
    "long": "takeaway long",
}


def explain(
    clf: Classifier,
    trace: Trace,
    *,
    view: str = "all",
    n_pad: int = 4,
    without: str = "positions",
    keep: str = "head",
    n_cut: int = 8,
) -> Iterator[Explained]:
    """One mistake and its remedy, or all of them side by side.

    Args:
        view: a value of VIEWS.
        n_pad: how many pads.
        without: a value of MISSING, for left padding.
        keep, n_cut: a value of KEEP and how many of the text's tokens are cut, for a text that is too long.
    """
    if view == "all":
        yield from explain_all(clf, trace, n_pad, n_cut)
    else:
        yield _alone(clf, trace, view, n_pad=n_pad, without=without, keep=keep, n_cut=n_cut)


def render(shape: Shape) -> Frame:
    """Options: the trap, and what it takes; a press on the picture of all opens one."""
    return render_frame(
        "traps",
        shape,
        lambda: {
            "view": gr.Radio(VIEWS, value="all", label="Make the mistake"),
            "n_pad": gr.Slider(1, 16, value=4, step=1, label="Pads", elem_classes=["for-pads"]),
            "without": gr.Radio(MISSING, value="positions", label="Leave out", elem_classes=["for-left"]),
            "keep": gr.Radio(KEEP, value="head", label="Keep", elem_classes=["for-long"]),
            "n_cut": gr.Slider(1, 32, value=8, step=1, label="Tokens cut", elem_classes=["for-long"]),
        },
        press_cell=press_cell,
    )


def press_cell(options: Mapping[str, Any], pressed: Mapping[str, Any]) -> dict[str, Any]:
    """Open the mistake whose row was pressed."""
    place = round(float(pressed["y"]))
    return dict(ROWS[place][1]) if options["view"] == "all" and 0 <= place < len(ROWS) else {}


def _alone(clf: Classifier, trace: Trace, trap: str, **options: Any) -> Explained:  # noqa: ANN401
    try:
        made = spring(clf, trace, trap, **options)
    except Gpt2clsError as error:
        return _no_room(clf, trace, str(error))
    columns = columns_to_show(made.kinds)
    tokens, margins = _shown(made, columns)
    figure = misread_figure(
        margins,
        tokens,
        read=columns.index(made.read),
        should_read=None if made.should_read is None else columns.index(made.should_read),
        unit=f"margin for {made.labels[made.target]}",
        alt=f"{made.name}: margins in {len(margins)} layers of what was fed, {made.fed}. The mistake reads "
        f"{made.margin_wrong:+.2f}; rightly read it would be {made.margin_right:+.2f}.",
    )
    strip = strip_value(
        tokens,
        [None if np.isnan(margin) else float(margin) for margin in margins[-1]],
        caption=_caption(made),
        scale="signed",
        unit=" logits",
        read=[columns.index(made.read)],
        marks=[] if made.should_read in (None, made.read) else [columns.index(made.should_read)],
    )
    return Explained(figure, strip, _takeaway(made, trap))


def _shown(trap: Trap, columns: list[int | None]) -> tuple[list[str], np.ndarray]:
    """Tokens and margins [layer+1 column] of the columns."""
    left_out = len(trap.tokens) - len([i for i in columns if i is not None])
    tokens = [f"⋯ {left_out} more ⋯" if i is None else trap.tokens[i] for i in columns]
    margins = trap.margins.numpy()
    empty = np.full(len(margins), np.nan, np.float32)
    return tokens, np.stack([empty if i is None else margins[:, i] for i in columns], 1)


def _caption(trap: Trap) -> str:
    where = "Underlined: what should be read"
    if trap.should_read is None:
        where = "What should be read is not there"
    elif trap.should_read == trap.read:
        where = "It is the right place, but holds another vector than it should"
    return (
        f"As it was fed, coloured by what the head would read at each place. Framed: what the mistake reads. {where}."
    )


def _takeaway(trap: Trap, name: str) -> list[Run]:
    return fill(
        "traps",
        "takeaway fed",
        "takeaway turns" if trap.flips else "takeaway stays",
        WHY[name],
        "takeaway remedy stop" if name == "stop" else "takeaway remedy",
        fed=trap.fed,
        right=trap.margin_right,
        wrong=trap.margin_wrong,
        remedied=trap.margin_remedied,
        label=trap.label_right,
        label_wrong=trap.label_wrong,
        last=quoted(trap.tokens[trap.read]),
        mistake=trap.mistake,
        remedy=trap.remedy,
    )


def _no_room(clf: Classifier, trace: Trace, problem: str) -> Explained:
    """The text as it stands, and why the mistake can't be made on it."""
    lens = class_lens(clf, trace)
    last = len(trace.tokens) - 1
    figure = misread_figure(
        lens.margins.numpy(),
        trace.tokens,
        read=last,
        should_read=last,
        unit=f"margin for {lens.labels[lens.target]}",
        alt=f"Margins of the text as it stands, {lens.margin:+.2f} at the top right.",
    )
    return Explained(figure, own_strip(clf, trace), fill("traps", "takeaway no room", problem=problem))
