"""The one picture: tokens from left to right, layers from the embedding at the bottom to the last block at the top."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from ..palette import LIGHT
from .style import (
    ATTENTION,
    CLEAR,
    MORE_OR_LESS,
    SIGNED,
    base_layout,
    plain,
    read_by_the_head,
    token_axis,
    token_width,
)

FINE = 0.05  # largest value up to which the colour bar's per cents have a digit after the point
Scale = Literal["signed", "attention", "more-or-less"]
_SCALES = {"signed": SIGNED, "attention": ATTENTION, "more-or-less": MORE_OR_LESS}


def grid_figure(
    values: np.ndarray,
    tokens: Sequence[str],
    *,
    scale: Scale,
    unit: str,
    alt: str,
    limit: float | None = None,
    per_cent: bool = False,
    rows: Sequence[str] | None = None,
    texts: Sequence[Sequence[str]] | None = None,
    read: tuple[int, int] | None = None,
    from_the_right: bool | None = None,
) -> go.Figure:
    """The grid painted with one number per cell.

    Args:
        values: [layer+1 pos] from the embedding up, or [layer pos] with `rows` given; NaN leaves a cell empty.
        scale: "signed" (orange–blue around 0), "attention" (violet from 0), "more-or-less" (grey–violet around 0).
        unit: what the numbers are; stands beside the colour bar.
        limit: value of the strongest colour; None takes the largest by size. Colours only: numbers are never scaled.
        per_cent: show the numbers as per cent.
        texts: [layer+1][pos] a word to write into each cell.
        read: the first and the last column that the head reads; None takes the last token.
        from_the_right: where the figure must scroll sideways, show its right end first; None where what the head reads is there.
    """
    values = np.asarray(values, np.float32)
    unit = plain(unit, 60)  # may name a foreign model's label
    layers = rows or ["embed", *(f"layer {i}" for i in range(1, len(values)))]
    limit = limit or float(np.nanmax(np.abs(values), initial=0)) or 1.0
    first, last = read or (len(tokens) - 1, len(tokens) - 1)
    shown = ".1%" if per_cent else ".2f"
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(range(len(tokens))),
            y=list(range(len(layers))),
            zmin=0 if scale == "attention" else -limit,
            zmax=limit,
            xgap=2 if len(tokens) < 60 else 1,
            ygap=2,
            colorscale=_SCALES[scale],
            customdata=[[[plain(token, 40), layer] for token in tokens] for layer in layers],
            hovertemplate=f"“%{{customdata[0]}}” · %{{customdata[1]}}<br>{unit} <b>%{{z:{shown}}}</b><extra></extra>",
            hoverongaps=False,
            text=[[plain(text, 8) for text in row] for row in texts] if texts else None,
            texttemplate="%{text}" if texts else None,
            textfont={"size": 10},
            colorbar={
                "thickness": 9,
                "len": 0.85,
                "outlinewidth": 0,
                "title": {"text": unit, "side": "right", "font": {"size": 11}},
                "tickfont": {"size": 11},
                "tickformat": (".0%" if limit > FINE else ".1%") if per_cent else "",
                "nticks": 5,
            },
        )
    )
    figure.update_layout(
        base_layout(
            height=90 + 34 * len(layers),
            alt=alt,
            min_width=150 + 44 * len(tokens) if texts else token_width(tokens),
            from_the_right=last >= len(tokens) / 2 if from_the_right is None else from_the_right,
        ),
        xaxis=token_axis(tokens),
        yaxis={
            "tickvals": list(range(len(layers))),
            "ticktext": list(layers),
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "range": [-0.5, len(layers) - 0.46],
            "ticklen": 3,
            "tickcolor": LIGHT["line"],
        },
    )
    read_by_the_head(figure, x0=first, x1=last, y0=len(layers) - 1.5, y1=len(layers) - 0.5)
    return figure


def mark_cell(figure: go.Figure, *, x: int, y: int) -> None:
    """Outline the cell that a reader has chosen; columns and rows count from 0, from the left and from below."""
    figure.add_shape(
        type="rect", x0=x - 0.5, x1=x + 0.5, y0=y - 0.5, y1=y + 0.5, line={"color": LIGHT["ink"], "width": 2}, fillcolor=CLEAR
    )  # fmt: skip


def strike_out(figure: go.Figure, columns: Collection[int]) -> None:
    """Strike through the names under these columns."""
    names = figure.layout.xaxis.ticktext
    figure.layout.xaxis.ticktext = [f"<s>{name}</s>" if i in columns else name for i, name in enumerate(names)]


def matrix_figure(
    values: np.ndarray, columns: Sequence[str], rows: Sequence[str], *, unit: str, alt: str, digits: int = 1
) -> go.Figure:
    """Signed numbers in a table that is not the grid: no token axis, and no cell that the head reads.

    Args:
        values: [row column], row 0 at the bottom; NaN leaves a cell empty.
        digits: after the point, in the cells.
    """
    values = np.asarray(values, np.float32)
    limit = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(columns),
            y=list(rows),
            zmin=-limit,
            zmax=limit,
            xgap=2,
            ygap=2,
            colorscale=SIGNED,
            texttemplate=f"%{{z:.{digits}f}}",
            textfont={"size": 10},
            hovertemplate=f"%{{y}}, %{{x}}<br>{unit} <b>%{{z:+.3f}}</b><extra></extra>",
            hoverongaps=False,
            showscale=False,
        )
    )
    axis = {"showgrid": False, "zeroline": False, "fixedrange": True, "tickcolor": LIGHT["line"]}
    figure.update_layout(
        base_layout(height=90 + 34 * len(rows), alt=alt, min_width=80 + 46 * len(columns)), xaxis=axis, yaxis=axis
    )
    return figure
