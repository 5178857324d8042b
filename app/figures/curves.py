"""Measured shares along something that grows: labelled texts, tokens read, a loss that falls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ..palette import LIGHT
from .dots import KINDS, Dot, Kind, interval
from .style import base_layout, plain

DASHES = {"frozen": "solid", "trained": "solid", "none": "dot"}
APART = 15  # pixels between two names at the right end
ABOVE, BELOW = 26, 54  # margins in pixels
HEIGHT = 400
ASIDE = 0.02  # of a decade: by how much neighbours on a logarithmic axis stand apart, or their intervals would hide each other


@dataclass(frozen=True)
class Curve:
    """One thing that was measured again and again.

    Attributes:
        x, dots: where, and what.
        told: words on each dot, when pointed at.
        notes: words written beside each dot; empty for none.
        symbol: Plotly's; empty takes that of the kind.
    """

    name: str
    kind: Kind
    x: Sequence[float]
    dots: Sequence[Dot]
    told: Sequence[str]
    notes: Sequence[str] = ()
    symbol: str = ""
    dash: str = ""


def curves_figure(
    curves: Sequence[Curve],
    *,
    x_name: str,
    y_name: str,
    ticks: Sequence[tuple[float, str]] = (),
    logarithmic: bool = False,
    falling: bool = False,
    levels: Sequence[tuple[str, float]] = (),
    alt: str,
) -> go.Figure:
    """Curves with their names at the right ends.

    Args:
        ticks: values and names on the horizontal axis; none lets Plotly choose.
        falling: draw large x on the left, for what falls as time goes on.
        levels: names and values of dashed lines to compare with.
    """
    shifts = [10 ** (ASIDE * (i - (len(curves) - 1) / 2)) if logarithmic else 1.0 for i in range(len(curves))]
    figure = go.Figure([_trace(curve, shift) for curve, shift in zip(curves, shifts, strict=True)])
    shown = [side for c in curves for d in c.dots for side in (d.value, d.low, d.high) if side is not None]
    shown += [value for _, value in levels]
    room = 0.06 * (max(shown) - min(shown)) or 0.05
    low, high = min(shown) - room, max(shown) + room
    ends = [(curve.name, curve.dots[-1].value, KINDS[curve.kind][0]) for curve in curves if len(curves) > 1]
    dash = {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "layer": "below"}
    dash["line"] = {"color": LIGHT["mute"], "width": 1.5, "dash": "dash"}
    x = [place for curve in curves for place in curve.x]
    figure.update_layout(
        base_layout(height=HEIGHT, alt=alt, min_width=290),
        margin={"l": 42, "r": 88 if ends else 16, "t": ABOVE, "b": BELOW},
        annotations=[_y_name(y_name), *_end_names(ends, low, high), *_level_names(levels, curves[0].dots[0].value)],
        shapes=[{**dash, "y0": value, "y1": value} for _, value in levels],
        xaxis=_x_axis(x_name, x, ticks, logarithmic=logarithmic, falling=falling),
        yaxis={
            "range": [low, high],
            "tickformat": ".0%",
            "gridcolor": LIGHT["line"],
            "zeroline": False,
            "fixedrange": True,
            "nticks": 7,
        },
    )
    return figure


def _trace(curve: Curve, shift: float) -> go.Scatter:
    colour, symbol = KINDS[curve.kind]
    pairs = zip(curve.told, curve.dots, strict=True)
    hover = [[f"{plain(curve.name, 40)}, {plain(told, 60)}", dot.told] for told, dot in pairs]
    return go.Scatter(
        x=[x * shift for x in curve.x],
        y=[dot.value for dot in curve.dots],
        name=plain(curve.name, 40),
        mode="lines+markers+text" if any(curve.notes) else "lines+markers",
        text=[plain(note, 30) if note else "" for note in curve.notes] if any(curve.notes) else None,
        textposition=["bottom right", *["top left"] * (len(curve.x) - 1)],
        textfont={"size": 11, "color": LIGHT["mute"]},
        line={"color": LIGHT[colour], "width": 2, "dash": curve.dash or DASHES[curve.kind]},
        marker={"size": 9, "symbol": curve.symbol or symbol, "color": LIGHT[colour], "line": {"width": 2, "color": LIGHT[colour]}},
        error_y=interval(curve.dots, colour) | {"thickness": 1.2, "width": 3},
        customdata=hover,
        hovertemplate="%{customdata[0]}<br><b>%{customdata[1]}</b><extra></extra>",
        cliponaxis=False,
    )  # fmt: skip


def _end_names(ends: Sequence[tuple[str, float, str]], low: float, high: float) -> list[dict]:
    """Names to the right of the plot at the height of their last values, pushed apart where they would meet."""
    inner = HEIGHT - ABOVE - BELOW
    wanted = [inner * (value - low) / (high - low) for _, value, _ in ends]
    beside = {"x": 1, "xref": "paper", "yref": "paper", "xshift": 12, "xanchor": "left", "yanchor": "middle"}
    return [
        {
            **beside,
            "y": y / inner,
            "showarrow": False,
            "text": plain(name, 24),
            "font": {"size": 11, "color": LIGHT[colour]},
        }
        for y, (name, _, colour) in zip(apart(wanted, APART), ends, strict=True)
    ]


def _y_name(name: str) -> dict:
    """What the vertical axis says, above it, where a narrow page has room."""
    corner = {"x": 0, "y": 1, "xref": "paper", "yref": "paper", "xshift": -38, "yshift": 22, "xanchor": "left"}
    return {**corner, "yanchor": "top", "showarrow": False, "text": plain(name, 60), "font": {"size": 11}}


def _level_names(levels: Sequence[tuple[str, float]], start: float) -> list[dict]:
    """Names on the dashed lines, away from curves that begin at `start` and rise."""
    sides = {
        True: {"x": 0, "xanchor": "left", "yanchor": "bottom"},
        False: {"x": 1, "xanchor": "right", "yanchor": "top"},
    }
    words = {"xref": "paper", "yref": "y", "showarrow": False, "font": {"size": 11, "color": LIGHT["mute"]}}
    return [{**words, **sides[value > start], "y": value, "text": plain(name, 40)} for name, value in levels]


def apart(places: Sequence[float], least: float) -> list[float]:
    """The same places, moved as little as it takes for neighbours to stand `least` apart; their order stays.

    Runs of places that meet are spread evenly around their mean.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    runs: list[list[float]] = []  # of each run: the sum of its places, and how many there are
    for i in order:
        runs.append([places[i], 1])
        while len(runs) > 1 and _first(runs[-1], least) - _last(runs[-2], least) < least:
            total, count = runs.pop()
            runs[-1] = [runs[-1][0] + total, runs[-1][1] + count]
    spread = [_first(run, least) + least * k for run in runs for k in range(int(run[1]))]
    moved = [0.0] * len(places)
    for place, i in zip(spread, order, strict=True):
        moved[i] = place
    return moved


def _first(run: list[float], least: float) -> float:
    return run[0] / run[1] - least * (run[1] - 1) / 2


def _last(run: list[float], least: float) -> float:
    return run[0] / run[1] + least * (run[1] - 1) / 2


def _x_axis(
    name: str, x: Sequence[float], ticks: Sequence[tuple[float, str]], *, logarithmic: bool, falling: bool
) -> dict:
    low, high = min(x), max(x)
    if logarithmic:
        low, high = math.log10(low), math.log10(high)
    room = 0.05 * (high - low) or 0.5
    span = [low - room, high + room]
    return {
        "title": {"text": plain(name, 70), "font": {"size": 11}, "standoff": 8},
        "type": "log" if logarithmic else "linear",
        "range": span[::-1] if falling else span,
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "ticks": "outside",
        "ticklen": 3,
        "tickcolor": LIGHT["line"],
        **({"tickvals": [value for value, _ in ticks], "ticktext": [label for _, label in ticks]} if ticks else {}),
    }
