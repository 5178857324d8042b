"""The words that one vector spells on its way up: one row for each layer."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from ..palette import LIGHT
from .style import ATTENTION, base_layout, plain

Column = tuple[str, Sequence[Sequence[tuple[str, float]]]]


def spelling_figure(columns: Sequence[Column], *, alt: str) -> go.Figure:
    """Words in the cells, the stronger coloured the surer.

    Args:
        columns: a name, and for each layer from the embedding up its words with cosine or probability, the best first.
    """
    layers = ["embed", *(f"layer {i}" for i in range(1, len(columns[0][1])))]
    best = [[cells[i][0] for _, cells in columns] for i in range(len(layers))]
    every = [
        [" · ".join(f"{plain(word, 20)} {value:.2f}" for word, value in cells[i]) for _, cells in columns]
        for i in range(len(layers))
    ]
    figure = go.Figure(
        go.Heatmap(
            z=[[value for _, value in row] for row in best],
            x=list(range(len(columns))),
            y=list(range(len(layers))),
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            colorscale=ATTENTION,
            text=[[f"{plain(word, 12)}  {value:.2f}" for word, value in row] for row in best],
            texttemplate="%{text}",
            textfont={"size": 12},
            customdata=every,
            hovertemplate="%{customdata}<extra></extra>",
            showscale=False,
        )
    )
    axis = {"showgrid": False, "zeroline": False, "fixedrange": True, "tickcolor": LIGHT["line"]}
    figure.update_layout(
        base_layout(height=80 + 40 * len(layers), alt=alt, min_width=90 + 110 * len(columns)),
        margin={"l": 58, "r": 14, "t": 40, "b": 14},
        xaxis={**axis, "tickvals": list(range(len(columns))), "ticktext": [name for name, _ in columns], "side": "top"},
        yaxis={**axis, "tickvals": list(range(len(layers))), "ticktext": layers},
    )
    return figure
