"""Numbers with a sign as bars: the summands of one dot product, and one score for each token."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from ..palette import LIGHT
from .style import base_layout, plain, token_axis, token_width


def waterfall_figure(names: Sequence[str], values: Sequence[float], *, total: str, unit: str, alt: str) -> go.Figure:
    """Summands laid end to end, then their sum.

    Args:
        names, values: the summands in the order shown.
        total: name of the last bar, which is the sum of all.
    """
    starts = [sum(values[:i]) for i in range(len(values))]
    everything = sum(values)
    figure = go.Figure(
        go.Bar(
            x=list(range(len(values) + 1)),
            y=[*values, everything],
            base=[*starts, 0.0],
            marker={
                "color": [LIGHT["positive"] if v >= 0 else LIGHT["negative"] for v in [*values, everything]],
                "line": {"width": [0] * len(values) + [3], "color": LIGHT["read"]},
            },
            customdata=[plain(name, 40) for name in [*names, total]],
            hovertemplate=f"%{{customdata}}<br>{plain(unit, 60)} <b>%{{y:+.3f}}</b><extra></extra>",
        )
    )
    ticks = {
        "tickvals": list(range(len(values) + 1)),
        "ticktext": [plain(name) for name in [*names, total]],
        "tickangle": -40,
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }
    figure.update_layout(
        base_layout(height=320, alt=alt, min_width=120 + 22 * len(values), from_the_right=True),
        xaxis=ticks,
        yaxis=_value_axis(unit),
        bargap=0.18,
    )
    return figure


def token_bars_figure(tokens: Sequence[str], scores: Sequence[float], *, unit: str, alt: str) -> go.Figure:
    """One signed bar over each token (or word), in reading order."""
    figure = go.Figure(
        go.Bar(
            x=list(range(len(tokens))),
            y=list(scores),
            marker={
                "color": [LIGHT["positive"] if s >= 0 else LIGHT["negative"] for s in scores],
                "line": {"width": 0},  # Plotly's own template draws a light outline, on dark pages too
            },
            customdata=[plain(token, 40) for token in tokens],
            hovertemplate=f"“%{{customdata}}”<br>{plain(unit, 60)} <b>%{{y:+.3f}}</b><extra></extra>",
        )
    )
    figure.update_layout(
        base_layout(height=300, alt=alt, min_width=token_width(tokens), from_the_right=True),
        xaxis=token_axis(tokens),
        yaxis=_value_axis(unit),
        bargap=0.25,
    )
    return figure


def _value_axis(unit: str) -> dict:
    return {
        "title": {"text": plain(unit, 60), "font": {"size": 11}, "standoff": 6},
        "gridcolor": LIGHT["line"],
        "zerolinecolor": LIGHT["mute"],
        "zerolinewidth": 1,
        "fixedrange": True,
        "nticks": 6,
    }
