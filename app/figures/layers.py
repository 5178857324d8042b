"""Layers from the embedding at the bottom to the last block at the top, as in the grid, but over other things than tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import plotly.graph_objects as go

from ..palette import LIGHT
from .grid import matrix_figure
from .style import ATTENTION, CLEAR, base_layout, plain

CHANCE = 0.5  # of two classes: what an empty colour stands for
LINE = 11  # letters in a line of a column's name


def side_by_side_figure(
    margins: Sequence[Sequence[float]],
    names: Sequence[str],
    verdicts: Sequence[tuple[str, str]],
    *,
    chosen: int,
    unit: str,
    alt: str,
) -> go.Figure:
    """One column for each classifier: what its own head reads from its last token's vector in each layer.

    Args:
        margins: by classifier [layer+1]; their lengths may differ.
        names: of the classifiers, no two alike.
        verdicts: by classifier its label, and "positive", "negative" or "ink" for the colour.
        chosen: which of them the page shows elsewhere.
    """
    rows = max(map(len, margins))
    values = np.full((rows, len(margins)), np.nan, np.float32)
    for column, layers in enumerate(margins):
        values[: len(layers), column] = layers
    columns = [plain(name, 40) for name in names]
    layers = ["embed", *(f"layer {i}" for i in range(1, rows))]
    figure = matrix_figure(values, columns, layers, unit=unit, alt=alt, digits=2)
    frames = [_frame(chosen, chosen, -0.5, len(margins[chosen]) - 0.5, "ink", 1.5)]
    for height, run in groupby(range(len(margins)), key=lambda column: len(margins[column])):
        within = list(run)
        frames.append(_frame(within[0], within[-1], height - 1.5, height - 0.5, "read", 3))
    said = [
        {
            "x": column, "y": len(layers_of) - 0.5, "yshift": 4, "text": plain(label, 12), "showarrow": False,
            "yanchor": "bottom", "font": {"size": 10, "color": LIGHT[colour], "weight": 700},
        }
        for column, ((label, colour), layers_of) in enumerate(zip(verdicts, margins, strict=True))
    ]  # fmt: skip
    shown = ["<br>".join(_wrapped(name)) for name in columns]
    shown[chosen] = f"▸ {shown[chosen]}"
    figure.update_layout(
        annotations=said,
        shapes=frames,
        height=34 * rows + 92,
        margin={"l": 50, "r": 6, "t": 26, "b": 66},
        xaxis={
            "tickvals": list(range(len(names))),
            "ticktext": shown,
            "autotickangles": [0, -40],
            "tickfont": {"size": 11},
        },
        meta={**figure.layout.meta, "min_width": 50 + 46 * len(names)},
    )
    return figure


def maps_figure(
    panels: Sequence[tuple[str, np.ndarray]], positions: Sequence[str], *, read: Sequence[int] = (), unit: str, alt: str
) -> go.Figure:
    """Shares by layer and place in the text, one panel beside the other, coloured from chance up by one scale.

    Args:
        panels: names and values [layer+1 position].
        positions: names of the places, from the first to the last token.
        read: panels whose top right cell a head reads.
    """
    limit = max(float(np.nanmax(values)) for _, values in panels)
    width, gap = (1 - 0.03 * (len(panels) - 1)) / len(panels), 0.03
    traces, axes, words, frames = [], {}, [], []
    for number, (name, values) in enumerate(panels):
        axis, start = f"x{number + 1}" if number else "x", number * (width + gap)
        traces.append(_map(name, np.asarray(values, np.float32), positions, limit, unit, axis))
        axes[axis.replace("x", "xaxis")] = {
            "domain": [start, min(1.0, start + width)],
            "tickvals": list(range(len(positions))),
            "ticktext": list(positions),
            "tickangle": 0,
            "tickfont": {"size": 10},
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        }
        words.append({
            "x": start, "y": 1, "xref": "paper", "yref": "paper", "yshift": 24, "xanchor": "left", "yanchor": "top",
            "showarrow": False, "text": plain(name, 24), "font": {"size": 12, "color": LIGHT["ink"], "weight": 600},
        })  # fmt: skip
        if number in read:
            last = len(positions) - 1
            frames.append(_frame(last, last, len(values) - 1.5, len(values) - 0.5, "read", 3, axis))
    words.append({
        "x": 0, "y": 0, "xref": "paper", "yref": "paper", "yshift": -22, "xanchor": "left", "yanchor": "top",
        "showarrow": False, "text": f"place in the text · numbers: {plain(unit, 40)}, %",
        "font": {"size": 11, "color": LIGHT["mute"]},
    })  # fmt: skip
    figure = go.Figure(traces)
    rows = len(panels[0][1])
    figure.update_layout(
        base_layout(height=34 * rows + 96, alt=alt, min_width=290),
        margin={"l": 48, "r": 6, "t": 32, "b": 46},
        yaxis={
            "tickvals": list(range(rows)),
            "ticktext": ["embed", *(f"layer {i}" for i in range(1, rows))],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "range": [-0.5, rows - 0.46],
        },
        annotations=words,
        shapes=frames,
        **axes,
    )
    return figure


def _map(name: str, values: np.ndarray, positions: Sequence[str], limit: float, unit: str, xaxis: str) -> go.Heatmap:
    hover = [[f"{plain(name, 24)}, layer {layer}, {place}" for place in positions] for layer in range(len(values))]
    return go.Heatmap(
        z=values,
        x=list(range(len(positions))),
        y=list(range(len(values))),
        xaxis=xaxis,
        zmin=CHANCE,
        zmax=limit,
        xgap=1,
        ygap=2,
        colorscale=ATTENTION,
        text=[[f"{100 * value:.0f}" for value in row] for row in values],
        texttemplate="%{text}",
        textfont={"size": 10},
        customdata=hover,
        hovertemplate=f"%{{customdata}}<br>{unit} <b>%{{z:.1%}}</b><extra></extra>",
        showscale=False,
    )


def _frame(x0: int, x1: int, y0: float, y1: float, colour: str, width: float, axis: str = "x") -> dict:
    """A frame around cells, from column x0 to x1."""
    corners = {"x0": x0 - 0.5, "x1": x1 + 0.5, "y0": y0, "y1": y1, "xref": axis}
    return {"type": "rect", **corners, "fillcolor": CLEAR, "line": {"color": LIGHT[colour], "width": width}}


def _wrapped(name: str) -> list[str]:
    """A name in lines, broken between words."""
    lines = [""]
    for word in name.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > LINE:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
