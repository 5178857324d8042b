"""What all figures share: layout, colour scales, and labels that can't be markup."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from ..palette import FONT, LIGHT

SIGNED = [[0.0, LIGHT["negative"]], [0.5, LIGHT["zero"]], [1.0, LIGHT["positive"]]]
ATTENTION = [[0.0, LIGHT["zero"]], [1.0, LIGHT["attention"]]]
MORE_OR_LESS = [[0.0, LIGHT["less"]], [0.5, LIGHT["zero"]], [1.0, LIGHT["attention"]]]
CLEAR = "rgba(0,0,0,0)"
VISIBLE = {"\n": "⏎", "\t": "⇥", "\u200d": "ZWJ", "\ufe0f": "VS"}


def plain(text: str, most: int = 14) -> str:
    """A label that Plotly shows as it is: no tags, no entities, no control characters, no line that pushes the plot away."""
    text = "".join(VISIBLE.get(c, c if c >= " " else "·") for c in text.strip(" ")) or "␣"
    text = text if len(text) <= most else text[: most - 1] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def base_layout(*, height: int, alt: str, min_width: int = 0, from_the_right: bool = False, controls: int = 0) -> dict:
    """Layout without background, title or drag.

    Args:
        alt: read out by screen readers.
        min_width: in pixels; on a narrower page the figure scrolls sideways.
        from_the_right: then show its right end first, where the head reads.
        controls: height in pixels of the slider below it, which a picture for slides leaves out.
    """
    return {
        "height": height,
        "margin": {"l": 58, "r": 12, "t": 26, "b": 54},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"family": FONT, "size": 12, "color": LIGHT["ink"]},
        "hoverlabel": {"bgcolor": LIGHT["card"], "font": {"color": LIGHT["ink"]}, "bordercolor": LIGHT["line"]},
        "showlegend": False,
        "dragmode": False,
        "meta": {"alt": alt, "min_width": min_width, "from_the_right": from_the_right, "controls": controls},
    }


def token_axis(tokens: Sequence[str]) -> dict:
    """Tokens from left to right, one tick each."""
    return {
        "tickvals": list(range(len(tokens))),
        "ticktext": [plain(token) for token in tokens],
        "tickangle": -40,
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "range": [-0.5, len(tokens) - 0.46],
        "ticklen": 3,
        "tickcolor": LIGHT["line"],
    }


def token_width(tokens: Sequence[str]) -> int:
    """The least width in pixels at which every token's label can be read."""
    return 150 + 19 * len(tokens)


def read_by_the_head(figure: go.Figure, *, x0: float, x1: float, y0: float, y1: float) -> None:
    """Frame what the head reads, from column x0 to x1: one cell, of the model as it is."""
    figure.add_shape(
        type="rect", x0=x0 - 0.5, x1=x1 + 0.5, y0=y0, y1=y1, line={"color": LIGHT["read"], "width": 3}, fillcolor=CLEAR
    )
    figure.add_annotation(
        x=x1 + 0.5 if x1 > 3 else x0 - 0.5,
        y=y1,
        text="read by the head",
        showarrow=False,
        xanchor="right" if x1 > 3 else "left",
        yanchor="bottom",
        font={"size": 11, "color": LIGHT["read"]},
    )


def note_figure(words: str) -> go.Figure:
    """A figure that says why there is nothing to draw."""
    figure = go.Figure()
    figure.add_annotation(
        x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, text=plain(words, 80),
        font={"size": 14, "color": LIGHT["mute"]},
    )  # fmt: skip
    nothing = {"visible": False, "fixedrange": True}
    figure.update_layout(base_layout(height=220, alt=words), xaxis=nothing, yaxis=nothing)
    return figure
