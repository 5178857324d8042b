"""Attention carries the past to the last position: rollout, and what it is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import gradio as gr
import torch

from gpt2cls_core import Classifier, GradientRollout, Rollout, Trace, attention_rollout, gradient_weighted_rollout

from .. import models
from ..components.token_strip import strip_value
from ..figures.grid import grid_figure
from ..lesson import Run, fill, quoted, word
from ..models import Shape
from .frame import Explained, Frame, render_frame

TITLE = "How the past gets in"
VIEWS = [
    ("learned beyond the architecture", "beyond"),
    ("raw rollout", "raw"),
    ("architecture alone", "null"),
    ("weighted by the gradient", "gradient"),
    ("attention of the last token", "attention"),
]

SINK = 2  # times an even share of attention, from which on the first token is called a sink


@dataclass(frozen=True, eq=False)
class Picture:
    """One view: what the grid shows, and the row of it that the strip repeats."""

    grid: torch.Tensor
    row: torch.Tensor
    scale: Literal["attention", "more-or-less"]
    unit: str
    caption: str
    limit: float | None = None
    per_cent: bool = False


def explain(
    clf: Classifier, trace: Trace, *, view: str = "beyond", without_sink: bool = False, head: int = 0
) -> Iterator[Explained]:
    """One view of how attention leads to the last position.

    Args:
        view: a value of VIEWS.
        head: for the view "attention": 0 is the mean over heads, 1 … n_head one head.
    """
    rollout = attention_rollout(trace, remove_sink=without_sink)
    gradient = gradient_weighted_rollout(clf, trace)
    shown = picture(view, trace, rollout, gradient, head)
    figure = picture_figure(shown, trace.tokens, clf.n_layer)
    strip = strip_value(
        trace.tokens,
        (shown.row * (100 if shown.per_cent else 1)).tolist(),
        caption=shown.caption,
        scale=shown.scale,
        unit=" %" if shown.per_cent else "",
        digits=1 if shown.per_cent else 2,
    )
    yield Explained(figure, strip, [*_takeaway(trace, rollout, gradient), *measured_said(clf)])


def render(shape: Shape) -> Frame:
    """Options: the view, the sink, one head."""
    heads = [("mean of all", 0), *((str(head), head) for head in range(1, shape.n_head + 1))]
    return render_frame(
        "rollout",
        shape,
        lambda: {
            "view": gr.Radio(VIEWS, value="beyond", label="Show"),
            "head": gr.Dropdown(heads, value=0, label="Head", elem_classes=["for-attention"]),
            "without_sink": gr.Checkbox(
                False, label="without the sink (the first token)", elem_classes=["for-rollout"]
            ),
        },
    )


def picture(view: str, trace: Trace, rollout: Rollout, gradient: GradientRollout, head: int = 0) -> Picture:
    """What a view shows."""
    if view == "attention":
        return _attention(trace, head)
    if view == "gradient":
        return _gradient(gradient)
    return _beyond(rollout) if view == "beyond" else _share(rollout, null=view == "null")


def picture_figure(picture: Picture, tokens: Sequence[str], n_layer: int) -> object:
    """The grid of one view."""
    rows = len(picture.grid)
    return grid_figure(
        picture.grid.numpy(),
        tokens,
        scale=picture.scale,
        unit=picture.unit,
        alt=word("rollout", "alt", rows=rows, n=len(tokens), unit=picture.unit),
        limit=picture.limit,
        per_cent=picture.per_cent,
        rows=[f"layer {i + 1}" for i in range(rows)] if rows == n_layer else None,
    )


def _attention(trace: Trace, head: int) -> Picture:
    rows = trace.attention[:, :, -1]  # (layer, head, key)
    grid = rows[:, head - 1] if head else rows.mean(1)
    caption = word("rollout", "caption attention head" if head else "caption attention", head=head)
    return Picture(grid, grid.mean(0), "attention", word("rollout", "attention"), caption)


def _gradient(gradient: GradientRollout) -> Picture:
    caption = word("rollout", "caption gradient", target=gradient.labels[gradient.target])
    unit = word("rollout", "gradient")
    return Picture(gradient.flow, gradient.flow[0], "attention", unit, caption, _below_top(gradient.flow))


def _beyond(rollout: Rollout) -> Picture:
    grid = rollout.flow - rollout.null_flow
    unit, caption = word("rollout", "beyond"), word("rollout", "caption beyond")
    return Picture(grid, grid[0], "more-or-less", unit, caption, per_cent=True)


def _share(rollout: Rollout, *, null: bool) -> Picture:
    grid = rollout.null_flow if null else rollout.flow
    caption = word("rollout", "caption null" if null else "caption raw")
    return Picture(grid, grid[0], "attention", word("rollout", "share"), caption, _below_top(grid), per_cent=True)


def _below_top(grid: torch.Tensor) -> float:
    """The strongest colour: the largest value below the top row, where the last token holds all of itself."""
    return float(grid[:-1].max()) or 1.0


def _takeaway(trace: Trace, rollout: Rollout, gradient: GradientRollout) -> list[Run]:
    if len(trace.tokens) == 1:
        return fill("rollout", "takeaway one token", first=quoted(trace.tokens[0]))
    beyond = rollout.beyond[-1]
    gained, lost = int(beyond.argmax()), int(beyond.argmin())
    sink, even = float(trace.attention[:, :, -1, 0].mean()), 1 / len(trace.tokens)
    useful = int(gradient.relevance[-1, :-1].argmax())
    return fill(
        "rollout",
        "takeaway",
        "takeaway sink" if sink > SINK * even else "takeaway no sink",
        "takeaway gradient",
        first=quoted(trace.tokens[0]),
        raw_first=float(rollout.weights[-1, 0]),
        null_first=float(rollout.null[-1, 0]),
        gained=quoted(trace.tokens[gained]),
        gain=100 * float(beyond[gained]),
        lost=quoted(trace.tokens[lost]),
        loss=100 * float(beyond[lost]),
        sink=sink,
        even=even,
        target=gradient.labels[gradient.target],
        useful=quoted(trace.tokens[useful]),
    )


def measured_said(clf: Classifier) -> list[Run]:
    """What the orders that rollout gives were worth over many texts, where that was measured."""
    measured = models.results().get("explanations", {}).get(clf.name)
    if not measured:
        return []
    stems = {"raw": "rollout", "beyond": "rollout-beyond-null", "gradient": "rollout-gradient", "random": "random"}
    falls = {name: measured["removal"]["cut"][stem]["comprehensiveness"]["mean"] for name, stem in stems.items()}
    said = [("\n\n", False), *fill("rollout", "takeaway measured", n=measured["n"], **falls)]
    if planted := measured.get("shortcut"):
        found = {name: planted["found"][stems[name]]["share"] for name in ("raw", "gradient")}
        said += [(" ", False), *fill("rollout", "takeaway planted", chance=planted["by_chance"], **found)]
    return said
