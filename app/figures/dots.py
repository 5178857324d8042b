"""Measured shares as dots with intervals: a row for each thing compared, a panel for each thing that it was measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

from ..palette import LIGHT
from .style import base_layout, plain

Kind = Literal["frozen", "trained", "none"]
KINDS: dict[Kind, tuple[str, str]] = {  # colour and symbol
    "frozen": ("frozen", "circle-open"),
    "trained": ("ink", "circle"),
    "none": ("mute", "diamond-open"),
}
"""What became of the body: it stayed as it was, was trained at least in part, or there is none."""
LEGEND = {"frozen": "○ body frozen", "trained": "● body trained", "none": "◇ no body"}
ROW = 56  # pixels
GAP = 0.05  # of the width, between panels


@dataclass(frozen=True)
class Dot:
    """A share between 0 and 1 and its interval; None where there is no interval."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def told(self) -> str:
        """As words for a label."""
        around = "" if self.low is None or self.high is None else f" ({self.low:.1%} to {self.high:.1%})"
        return f"{self.value:.1%}{around}"


@dataclass(frozen=True)
class Row:
    """One thing compared.

    Attributes:
        cells: a dot and its kind for each panel; None where nothing was measured.
        strong: whether the name stands out.
    """

    name: str
    cells: Sequence[tuple[Dot, Kind] | None]
    strong: bool = False


def dots_figure(
    rows: Sequence[Row], panels: Sequence[str], *, levels: Sequence[float | None] = (), level_name: str = "", alt: str
) -> go.Figure:
    """Rows of dots, the first at the top; all panels share one scale.

    Args:
        levels: for each panel a value to compare with, as a dashed line.
        level_name: what that value is.
    """
    span = _span(rows, levels)
    width = (1 - GAP * (len(panels) - 1)) / len(panels)
    traces: list[go.Scatter] = []
    axes: dict[str, dict] = {}
    words: list[dict] = []
    lines: list[dict] = []  # at once: Plotly takes milliseconds for each that is added alone
    for number, panel in enumerate(panels):
        axis = f"x{number + 1}" if number else "x"
        start = number * (width + GAP)
        traces += _panel(rows, number, axis)
        words += _numbers(rows, number, axis)
        axes[axis.replace("x", "xaxis")] = _axis(span, [start, min(1.0, start + width)])
        words.append(
            _words(start, 1, plain(panel, 26), yshift=24, font={"size": 12, "color": LIGHT["ink"], "weight": 600})
        )
        if number < len(levels) and levels[number] is not None:
            dash = {"color": LIGHT["mute"], "width": 1.5, "dash": "dash"}
            ends = {"x0": levels[number], "x1": levels[number], "xref": axis, "y0": 0, "y1": 1, "yref": "paper"}
            lines.append({"type": "line", "layer": "below", "line": dash, **ends})
    for place, row in enumerate(rows):
        font = {"size": 12, "color": LIGHT["ink"], "weight": 700 if row.strong else 400}
        words.append(
            _words(0, place - 0.14, plain(row.name, 44), yref="y", yanchor="bottom", font=font, bgcolor=LIGHT["card"])
        )
        if place:
            line = {"color": LIGHT["line"], "width": 1}
            ends = {"x0": 0, "x1": 1, "xref": "paper", "y0": place - 0.55, "y1": place - 0.55}
            lines.append({"type": "line", "layer": "below", "line": line, **ends})
    kinds = {cell[1] for row in rows for cell in row.cells if cell}
    legend = [
        "   ".join(LEGEND[kind] for kind in KINDS if kind in kinds),
        *([f"┆ {plain(level_name, 30)}"] if level_name else []),
    ]
    for line, told in enumerate(legend):
        words.append(_words(0, 0, told, yshift=-26 - 16 * line, font={"size": 11, "color": LIGHT["mute"]}))
    figure = go.Figure(traces)
    figure.update_layout(
        base_layout(height=66 + 16 * len(legend) + ROW * len(rows), alt=alt, min_width=300),
        margin={"l": 10, "r": 10, "t": 30, "b": 36 + 16 * len(legend)},
        yaxis={"range": [len(rows) - 0.55, -0.62], "visible": False, "fixedrange": True},
        annotations=words,
        shapes=lines,
        **axes,
    )
    return figure


def _panel(rows: Sequence[Row], number: int, axis: str) -> list[go.Scatter]:
    """The dots of one panel, a trace for each kind, so that an interval has its dot's colour."""
    traces = []
    for kind, (colour, symbol) in KINDS.items():
        cells = [(place, row.name, row.cells[number]) for place, row in enumerate(rows)]
        drawn = [(place, name, cell[0]) for place, name, cell in cells if cell and cell[1] == kind]
        if not drawn:
            continue
        traces.append(
            go.Scatter(
                x=[dot.value for _, _, dot in drawn],
                y=[place for place, _, _ in drawn],
                xaxis=axis,
                mode="markers",
                error_x=interval([dot for _, _, dot in drawn], colour),
                marker={
                    "size": 10,
                    "symbol": symbol,
                    "color": LIGHT[colour],
                    "line": {"width": 2, "color": LIGHT[colour]},
                },
                customdata=[[plain(name, 40), dot.told] for _, name, dot in drawn],
                hovertemplate="%{customdata[0]}<br><b>%{customdata[1]}</b><extra></extra>",
                cliponaxis=False,
            )
        )
    return traces


def _numbers(rows: Sequence[Row], number: int, axis: str) -> list[dict]:
    """Each dot's number under it, on a ground that keeps lines off."""
    under = {"xref": axis, "yref": "y", "xanchor": "center", "yshift": -9, "font": {"size": 11, "color": LIGHT["ink"]}}
    cells = [(place, row.cells[number][0].value) for place, row in enumerate(rows) if row.cells[number]]
    return [_words(value, place, f"{value:.1%}", bgcolor=LIGHT["card"], borderpad=0, **under) for place, value in cells]


def _words(x: float, y: float, text: str, **more: object) -> dict:
    """Words at the left of a place on the page."""
    place = {"x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top"}
    return {**place, "showarrow": False, "text": text, **more}


def interval(dots: Sequence[Dot], colour: str) -> dict:
    """Plotly's error bars for these dots."""
    sides = {
        "array": [0.0 if dot.high is None else dot.high - dot.value for dot in dots],
        "arrayminus": [0.0 if dot.low is None else dot.value - dot.low for dot in dots],
    }
    known = any(dot.low is not None for dot in dots)
    return {
        "type": "data",
        "symmetric": False,
        "visible": known,
        "color": LIGHT[colour],
        "thickness": 2,
        "width": 4,
        **sides,
    }


def _span(rows: Sequence[Row], levels: Sequence[float | None]) -> list[float]:
    """From the least to the most that any panel shows, with room for the numbers under the outer dots."""
    shown = [level for level in levels if level is not None]
    for cell in (cell for row in rows for cell in row.cells if cell is not None):
        shown += [side for side in (cell[0].value, cell[0].low, cell[0].high) if side is not None]
    low, high = min(shown), max(shown)
    room = 0.16 * (high - low) or 0.05
    return [low - room, high + room]


def _axis(span: list[float], domain: list[float]) -> dict:
    return {
        "domain": domain,
        "range": span,
        "tickformat": ".0%",
        "nticks": 4,
        "tickfont": {"size": 11, "color": LIGHT["mute"]},
        "gridcolor": LIGHT["line"],
        "zeroline": False,
        "fixedrange": True,
    }
