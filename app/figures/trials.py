"""Explanations on trial: how each does beside random orders, what it does to the verdict step by step, and who agrees with whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..palette import LIGHT
from .style import MORE_OR_LESS, base_layout, plain

ROW = 40  # pixels
ABOVE = 0.72  # of a row lies above its points: the words
BAND = 0.17  # of a row: half the height of the band of random orders
BETTER = ("better →", "← better")  # in the two columns of the ranking
Band = tuple[float, float, float]  # mean, low, high of random orders


@dataclass(frozen=True)
class Standing:
    """A method's row: its two measures, and in which of them it is beyond random orders; no measures where they are to come."""

    name: str
    measures: tuple[float, float] | None = None
    beyond: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, eq=False)
class Steps:
    """A probability after each step, from none to all tokens taken away, or put back, by the share of tokens."""

    name: str
    shares: Sequence[float]
    deletion: Sequence[float]
    insertion: Sequence[float]


def ranking_figure(
    standings: Sequence[Standing], bands: tuple[Band, Band] | None, *, titles: tuple[str, str], chosen: int, alt: str
) -> go.Figure:
    """Methods as rows, with two measures side by side, each beside the band of random orders.

    A point's y is the method's name.

    Args:
        bands: of random orders in each measure; None where they are to come.
        titles: what each measure is; more is better in the first, less in the second.
        chosen: the row whose scores are shown elsewhere.
    """
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.06)
    shapes: list[dict] = []
    for column, title in enumerate(titles):
        shapes += _column(figure, column, standings, bands[column] if bands else None, title)
    n, margin = len(standings), {"l": 10, "r": 10, "t": 48, "b": 58}
    said = [words for place, row in enumerate(standings) for words in _say(place, row, chosen=place == chosen)]
    key = "grey: where 90 % of random orders lie, and their mean<br>● beyond 95 % of them  ○ not · press a row for more"
    figure.update_layout(
        base_layout(height=128 + ROW * n, alt=alt),
        margin=margin,
        shapes=shapes,  # all at once: plotly checks those that are there anew at each one that is added
        annotations=[*said, _key(margin, key)],
        hovermode="y",  # so that a whole row can be pressed, not its points alone
        hoverdistance=ROW,
    )
    names = [plain(row.name, 40) for row in standings]
    rows = {"type": "category", "categoryorder": "array", "categoryarray": names}
    figure.update_yaxes(**rows, range=[n - ABOVE, -ABOVE], visible=False, fixedrange=True)
    return figure


def steps_figure(
    methods: Sequence[Steps],
    random: Steps | None,
    *,
    band: tuple[Steps, Steps] | None = None,
    chosen: int,
    unit: str,
    notes: Sequence[tuple[str, str]],
    alt: str,
) -> go.Figure:
    """Probability along deletion (above) and insertion (below): one method strong, the others and random orders quiet.

    Args:
        random: the mean of random orders; None where they are to come.
        band: between what 90 % of random orders lie.
        chosen: the method that is drawn strong.
        unit: what the probability is of.
        notes: two lines above each half.
    """
    figure = make_subplots(rows=2, cols=1, vertical_spacing=0.26)
    for side, fill in zip(band or (), ("none", "tonexty"), strict=False):
        for row, values in enumerate((side.deletion, side.insertion), 1):
            figure.add_scatter(
                x=list(side.shares), y=list(values), mode="lines", line={"width": 0}, fill=fill, fillcolor=LIGHT["line"],
                hoverinfo="skip", row=row, col=1,
            )  # fmt: skip
    strong = methods[chosen]
    drawn = [(method, {"color": LIGHT["mute"], "width": 1}, 0.5) for method in methods if method is not strong]
    drawn += [(random, {"color": LIGHT["mute"], "width": 2.5, "dash": "dot"}, 1)] if random else []
    for steps, line, opacity in [*drawn, (strong, {"color": LIGHT["ink"], "width": 3}, 1)]:
        name = plain(steps.name, 40)
        for row, values in enumerate((steps.deletion, steps.insertion), 1):
            figure.add_scatter(
                x=list(steps.shares), y=list(values), mode="lines", line=line, opacity=opacity, name=name, row=row, col=1,
                hovertemplate=f"{name}<br>%{{x:.0%}} of the tokens · {plain(unit, 40)} <b>%{{y:.2f}}</b><extra></extra>",
            )  # fmt: skip
    figure.update_layout(base_layout(height=540, alt=alt), margin={"l": 50, "r": 14, "t": 76, "b": 50})
    axis = {"gridcolor": LIGHT["line"], "zeroline": False, "fixedrange": True}
    figure.update_yaxes(
        {**axis, "range": [-0.03, 1.03], "nticks": 5, "title": {"text": plain(unit, 40), "standoff": 4}}
    )
    figure.update_xaxes({**axis, "range": [0, 1], "tickformat": ".0%", "nticks": 6})
    for row, (lines, done) in enumerate(zip(notes, ("taken away", "put back"), strict=True), 1):
        title = {"text": f"tokens {done}, best first", "font": {"size": 12}, "standoff": 4}
        figure.update_xaxes(title=title, row=row, col=1)
        _note(figure, lines, row)
    key = (
        f"bold: {plain(strong.name, 40)}, {'dotted: random, grey: 90 % of random orders, ' * bool(random)}thin: others"
    )
    figure.add_annotation(_key(figure.layout.margin, key))
    return figure


def agreement_figure(values: np.ndarray, names: Sequence[str], *, chosen: int, alt: str) -> go.Figure:
    """Rank correlations [method method] as a table, the first method at the top; columns have numbers, rows number and name.

    NaN leaves a cell empty, and so stays the diagonal. A cell's y is the name of its row's method.
    """
    values = np.asarray(values, np.float32).copy()
    np.fill_diagonal(values, np.nan)
    n = len(names)
    shown = [plain(name, 40) for name in names]
    digits = [
        ["" if np.isnan(x) else f"{x:.1f}".replace("0.", ".").replace("-.0", ".0") for x in row] for row in values
    ]
    figure = go.Figure(
        go.Heatmap(
            z=values, x=list(range(1, n + 1)), y=shown, zmin=-1, zmax=1, xgap=2, ygap=2, colorscale=MORE_OR_LESS,
            text=digits, texttemplate="%{text}", textfont={"size": 11}, hoverongaps=False, showscale=False,
            customdata=[shown] * n,
            hovertemplate="%{y}<br>%{customdata}<br>rank correlation <b>%{z:+.2f}</b><extra></extra>",
        )
    )  # fmt: skip
    rows = [f"{name} {i}" for i, name in enumerate(shown, 1)]
    left = 10 + round(5.7 * max(map(len, rows)))  # pixels
    axis = {"showgrid": False, "zeroline": False, "fixedrange": True, "ticklen": 3, "tickcolor": LIGHT["line"]}
    figure.update_layout(
        base_layout(height=76 + 32 * n, alt=alt, min_width=left + 8 + 17 * n),
        margin={"l": left, "r": 8, "t": 40, "b": 14},
        xaxis={**axis, "dtick": 1, "side": "top"},
        yaxis={**axis, "type": "category", "range": [n - 0.5, -0.5], "tickvals": shown, "tickfont": {"size": 11},
               "ticktext": [f"<b>{row}</b>" if i == chosen else row for i, row in enumerate(rows)]},
    )  # fmt: skip
    figure.add_annotation(_key(figure.layout.margin, "violet: alike · grey: reversed · press a row to see more"))
    return figure


def _column(figure: go.Figure, column: int, standings: Sequence[Standing], band: Band | None, title: str) -> list[dict]:
    """One measure of all methods, a point each; returns the band of random orders below each."""
    drawn = [(plain(row.name, 40), row.measures[column], row.beyond[column]) for row in standings if row.measures]
    place, axis = {"row": 1, "col": column + 1}, str(column + 1) if column else ""
    shapes = []
    for y in range(len(drawn) if band else 0):
        mean, low, high = band
        shape = {"y0": y - BAND, "y1": y + BAND, "layer": "below", "xref": f"x{axis}", "yref": f"y{axis}"}
        shapes.append(
            {"type": "rect", "x0": low, "x1": high, "fillcolor": LIGHT["line"], "line": {"width": 0}, **shape}
        )
        line = {"color": LIGHT["mute"], "width": 1.5}
        shapes.append({"type": "line", "x0": mean, "x1": mean, "line": line, **shape})
    figure.add_scatter(
        x=[value for _, value, _ in drawn], y=[name for name, *_ in drawn], mode="markers", **place,
        marker={"size": 11, "color": [LIGHT["ink" if beyond else "card"] for *_, beyond in drawn],
                "line": {"width": 2, "color": [LIGHT["ink" if beyond else "mute"] for *_, beyond in drawn]}},
        hovertemplate=f"%{{y}}<br>{plain(title, 40)} <b>%{{x:+.3f}}</b><extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(
        _measure_axis(title, BETTER[column], [value for _, value, _ in drawn] + list(band or ())), **place
    )
    return shapes


def _note(figure: go.Figure, lines: tuple[str, str], row: int) -> None:
    """Two lines above one half of the steps."""
    for words, height, size, colour in zip(lines, (36, 19), (12, 11), ("ink", "mute"), strict=True):
        figure.add_annotation(
            x=0, y=1, xref="x domain", yref="y domain", yshift=height, xanchor="left", yanchor="top", row=row, col=1,
            showarrow=False, text=plain(words, 60), font={"size": size, "color": LIGHT[colour]},
        )  # fmt: skip


def _measure_axis(title: str, better: str, values: Sequence[float]) -> dict:
    low, high = min([0.0, *values]), max([0.0, *values])
    room = 0.08 * (high - low) or 1.0
    return {
        "title": {"text": f"{plain(title, 40)}<br>{better}", "font": {"size": 12}, "standoff": 4},
        "range": [low - room, high + room],
        "gridcolor": LIGHT["line"],
        "zerolinecolor": LIGHT["mute"],
        "zerolinewidth": 1,
        "fixedrange": True,
        "nticks": 5,
    }


def _say(place: int, row: Standing, *, chosen: bool) -> list[dict]:
    """The name above a row's left end, and its numbers above the right ends of the two columns."""
    first, second = (f"{round(value, 2) + 0.0:.2f}" for value in row.measures) if row.measures else ("…", "…")
    font = {
        "size": 12,
        "color": LIGHT["ink" if any(row.beyond) or chosen else "mute"],
        "weight": 700 if chosen else 400,
    }
    return [
        dict(
            x=x, y=place - BAND, xref=f"{axis} domain", yref="y", xanchor=anchor, yanchor="bottom", showarrow=False,
            text=plain(words, 40), borderpad=0, font=font, bgcolor=LIGHT["card"],
        )
        for axis, x, anchor, words in (("x", 0, "left", row.name), ("x", 1, "right", first), ("x2", 1, "right", second))
    ]  # fmt: skip


def _key(margin: Mapping[str, int] | go.layout.Margin, words: str) -> dict:
    """What the marks mean, at the top left."""
    return dict(
        x=0, y=1, xref="paper", yref="paper", xshift=8 - margin["l"], yshift=margin["t"] - 4, xanchor="left", yanchor="top",
        showarrow=False, align="left", text=words, font={"size": 11, "color": LIGHT["mute"]},
    )  # fmt: skip
