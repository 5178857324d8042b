"""Numbered places on the grid, which the words beside it refer to."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from ..palette import LIGHT
from .style import plain

Place = tuple[int, int, int, str]  # number, column, row from below, what is seen there


def number_places(figure: go.Figure, places: Sequence[Place]) -> go.Figure:
    """Write numbers into cells of a grid; pointing at one says what is seen there. Returns the figure."""
    figure.add_scatter(
        x=[column for _, column, _, _ in places],
        y=[row for _, _, row, _ in places],
        mode="markers+text",
        text=[str(number) for number, *_ in places],
        textfont={"size": 13, "color": LIGHT["ink"]},
        marker={"size": 22, "color": LIGHT["card"], "line": {"width": 1.5, "color": LIGHT["ink"]}},
        customdata=[plain(words, 90) for *_, words in places],
        hovertemplate="%{customdata}<extra></extra>",
    )
    figure.update_layout(meta={**figure.layout.meta, "from_the_right": True})  # most of them stand where the head reads
    return figure
