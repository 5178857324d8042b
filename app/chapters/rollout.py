"""Attention carries the past to the last position: rollout, and what it is worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import gradio as gr
import torch

from gpt2cls_core import Classifier, GradientRollout, Rollout, Trace, attention_rollout, gradient_weighted_rollout

from .. import models
from ..components.token_strip import strip_value
from ..figures.grid import grid_figure
from ..lesson import Run, fill, quoted
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
class _Picture:
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
    if view == "attention":
        picture = _attention(trace, head)
    elif view == "gradient":
        picture = _gradient(gradient)
    elif view == "beyond":
        picture = _beyond(rollout)
    else:
        picture = _share(rollout, null=view == "null")
    rows = len(picture.grid)
    figure = grid_figure(
        picture.grid.numpy(),
        trace.tokens,
        scale=picture.scale,
        unit=picture.unit,
        alt=f"Grid of {rows} layers by {len(trace.tokens)} tokens: {picture.unit}.",
        limit=picture.limit,
        per_cent=picture.per_cent,
        rows=[f"layer {i + 1}" for i in range(rows)] if rows == clf.n_layer else None,
    )
    strip = strip_value(
        trace.tokens,
        (picture.row * (100 if picture.per_cent else 1)).tolist(),
        caption=picture.caption,
        scale=picture.scale,
        unit=" %" if picture.per_cent else "",
        digits=1 if picture.per_cent else 2,
    )
    yield Explained(figure, strip, [*_takeaway(trace, rollout, gradient), *_measured(clf)])


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


def _attention(trace: Trace, head: int) -> _Picture:
    rows = trace.attention[:, :, -1]  # (layer, head, key)
    grid = rows[:, head - 1] if head else rows.mean(1)
    who = f"head {head} of each layer" if head else "all heads"
    caption = f"Where the last token looks with {who}, on average over the layers:"
    return _Picture(grid, grid.mean(0), "attention", "attention", caption)


def _gradient(gradient: GradientRollout) -> _Picture:
    target = gradient.labels[gradient.target]
    caption = f"Paths that raise the margin for {target}, by the token where they start:"
    return _Picture(gradient.flow, gradient.flow[0], "attention", "relevance", caption, _below_top(gradient.flow))


def _beyond(rollout: Rollout) -> _Picture:
    grid = rollout.flow - rollout.null_flow
    caption = "Carried to the last vector beyond what the architecture gives anyway:"
    return _Picture(grid, grid[0], "more-or-less", "beyond the architecture", caption, per_cent=True)


def _share(rollout: Rollout, *, null: bool) -> _Picture:
    grid = rollout.null_flow if null else rollout.flow
    source = "if attention had learned nothing" if null else "as the model attends"
    caption = f"Share of the last vector that may come from each token, {source}:"
    return _Picture(grid, grid[0], "attention", "share", caption, _below_top(grid), per_cent=True)


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


def _measured(clf: Classifier) -> list[Run]:
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
