"""Mistakes in reading: the run that was misread, and all of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from ..palette import LIGHT
from .grid import grid_figure
from .style import CLEAR, base_layout, plain

ROW = 44  # pixels
ABOVE = 0.7  # of a row lies above its points: the words
FILLER_SHOWN = 6  # neutral tokens beside the text, and up to the one that is read


@dataclass(frozen=True)
class Shift:
    """A mistake's row: its name, and the margins read rightly and by the mistake, or why there are none."""

    name: str
    right: float = 0.0
    wrong: float = 0.0
    turns: bool = False
    instead: str = ""


def misread_figure(
    values: np.ndarray, tokens: Sequence[str], *, read: int, should_read: int | None, unit: str, alt: str
) -> go.Figure:
    """The grid of a run as it was fed: a frame around the cell that is read, and a dashed one around the cell that should be.

    Args:
        values: margins [layer+1 pos]; NaN leaves a cell empty.
        should_read: None where that cell is not in the run; no second frame either where it is the one that is read.
    """
    figure = grid_figure(values, tokens, scale="signed", unit=unit, alt=alt, read=(read, read))
    figure.layout.meta = {**figure.layout.meta, "from_the_right": True}  # where the cells in question are
    if should_read is None or should_read == read:
        return figure
    top = len(values) - 0.5
    figure.add_shape(
        type="rect", x0=should_read - 0.5, x1=should_read + 0.5, y0=top - 1, y1=top, fillcolor=CLEAR,
        line={"color": LIGHT["ink"], "width": 2, "dash": "dot"},
    )  # fmt: skip
    near_left = should_read <= 3
    raised = abs(read - should_read) < 6  # or the two labels would meet
    figure.add_annotation(
        x=should_read + (-0.5 if near_left else 0.5), y=top, yshift=13 * raised, text="should be read", showarrow=False,
        xanchor="left" if near_left else "right", yanchor="bottom", font={"size": 11, "color": LIGHT["ink"]},
    )  # fmt: skip
    figure.layout.margin.t += 14 * raised
    figure.layout.height += 14 * raised
    return figure


def columns_to_show(kinds: Sequence[str]) -> list[int | None]:
    """Positions of a run that are worth a column: all but "filler" far from the text and from the end; None stands for the rest.

    Filler lies on one side of the text, so there is at most one None.
    """
    n = len(kinds)
    near = {i + away for i in range(n) if kinds[i] != "filler" for away in range(-FILLER_SHOWN, FILLER_SHOWN + 1)}
    kept = [i for i in range(n) if i in near or i >= n - FILLER_SHOWN]
    columns: list[int | None] = []
    for before, i in zip([-1, *kept], kept, strict=False):
        columns += [i] if i == before + 1 else [None, i]
    return columns


def shifts_figure(shifts: Sequence[Shift], *, sides: tuple[str, str], alt: str) -> go.Figure:
    """Each mistake as a row: from the margin read rightly (open) to the one that the mistake reads (filled).

    A point's y is the row's place, counted down from 0.

    Args:
        sides: what a margin below and above zero speaks for.
    """
    drawn = [(place, shift) for place, shift in enumerate(shifts) if not shift.instead]
    lines = {"x": [], "y": []}
    for place, shift in drawn:
        lines["x"] += [shift.right, shift.wrong, None]
        lines["y"] += [place, place, None]
    colours = [LIGHT["positive"] if shift.wrong > 0 else LIGHT["negative"] for _, shift in drawn]
    figure = go.Figure(
        [
            go.Scatter(**lines, mode="lines", line={"color": LIGHT["mute"], "width": 2}, hoverinfo="skip"),
            _points(drawn, [s.right for _, s in drawn], LIGHT["card"], [LIGHT["ink"]] * len(drawn), "read rightly"),
            _points(drawn, [s.wrong for _, s in drawn], colours, colours, "by the mistake"),
        ]
    )
    between = [
        dict(
            type="line", x0=0, x1=1, xref="paper", y0=place - ABOVE, y1=place - ABOVE, layer="below",
            line={"color": LIGHT["line"], "width": 1},
        )
        for place in range(1, len(shifts))
    ]  # fmt: skip
    key = dict(
        x=0, y=1, xref="paper", yref="paper", yshift=24, xanchor="left", yanchor="top", showarrow=False,
        text="○ read rightly  ● by mistake · press a row to open it", font={"size": 11, "color": LIGHT["mute"]},
    )  # fmt: skip
    figure.update_layout(
        base_layout(height=96 + ROW * len(shifts), alt=alt),
        shapes=between,  # all at once: plotly checks those that are there anew at each one that is added
        annotations=[*(words for place, shift in enumerate(shifts) for words in _say(place, shift)), key],
        margin={"l": 10, "r": 14, "t": 30, "b": 48},
        xaxis={
            "title": {"text": f"← {plain(sides[0], 24)}   margin   {plain(sides[1], 24)} →", "font": {"size": 12}},
            "range": _range([x for _, shift in drawn for x in (shift.right, shift.wrong)]),
            "gridcolor": LIGHT["line"],
            "zerolinecolor": LIGHT["ink"],
            "zerolinewidth": 1.5,
            "fixedrange": True,
            "nticks": 7,
        },
        hovermode="y",  # so that a whole row can be pressed, not its points alone
        hoverdistance=ROW,
        yaxis={"range": [len(shifts) - ABOVE, -ABOVE], "visible": False, "fixedrange": True},
    )
    return figure


def _points(
    drawn: Sequence[tuple[int, Shift]], x: Sequence[float], fill: str | list[str], line: list[str], name: str
) -> go.Scatter:
    return go.Scatter(
        x=list(x),
        y=[place for place, _ in drawn],
        mode="markers",
        marker={"size": 12, "color": fill, "line": {"width": 2, "color": line}},
        customdata=[plain(shift.name, 60) for _, shift in drawn],
        hovertemplate=f"%{{customdata}}<br>{name} <b>%{{x:+.2f}}</b><extra></extra>",
    )


def _say(place: int, shift: Shift) -> list[dict]:
    """The name above a row's left end, and its numbers above the right one."""
    numbers = shift.instead or f"{'turns  ' * shift.turns}{shift.right:+.2f} → {shift.wrong:+.2f}"
    ink = LIGHT["ink"] if shift.turns else LIGHT["mute"]
    return [
        dict(
            x=x, y=place - 0.2, xref="paper", yref="y", xanchor=anchor, yanchor="bottom", showarrow=False,
            text=words, font={"size": 12, "color": colour, "weight": weight}, bgcolor=LIGHT["card"], borderpad=0,
        )
        for x, anchor, words, colour, weight in (
            (0, "left", plain(shift.name, 40), LIGHT["mute"] if shift.instead else LIGHT["ink"], 400),
            (1, "right", plain(numbers, 60), ink, 700 if shift.turns else 400),
        )
    ]  # fmt: skip


def _range(values: Sequence[float]) -> list[float]:
    low, high = min([0.0, *values]), max([0.0, *values])
    room = 0.08 * (high - low) or 1.0
    return [low - room, high + room]
