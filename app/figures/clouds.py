"""Vectors as points, one picture per layer, and two texts compared from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..palette import LIGHT
from .style import CLEAR, base_layout, plain


def cloud_figure(
    coordinates: np.ndarray,
    positive: Sequence[bool],
    sentences: Sequence[str],
    own: np.ndarray,
    captions: Sequence[str],
    *,
    sides: tuple[str, str],
    alt: str,
) -> go.Figure:
    """Sentences as points, with a slider and a play button over the layers; the top layer is shown first.

    Args:
        coordinates: [layer+1 sentence 2]; the first is the margin that the head reads.
        positive: side of each sentence, which colours it.
        own: [layer+1 2], the person's text.
        captions: one line for each layer.
        sides: names of the left and the right side.
    """
    colours = [LIGHT["positive"] if p else LIGHT["negative"] for p in positive]
    hover = [plain(sentence, 90) for sentence in sentences]

    def traces(layer: int) -> list[go.Scatter]:
        points = coordinates[layer]
        return [
            go.Scatter(
                x=points[:, 0].tolist(), y=points[:, 1].tolist(), mode="markers", customdata=hover,
                marker={"color": colours, "size": 8, "opacity": 0.65, "line": {"width": 0}},
                hovertemplate="%{customdata}<br>the head reads <b>%{x:+.2f}</b><extra></extra>",
            ),
            go.Scatter(
                x=[float(own[layer, 0])], y=[float(own[layer, 1])], mode="markers+text", text=["your text"],
                textposition="top center", textfont={"color": LIGHT["read"], "size": 12},
                marker={"color": CLEAR, "size": 16, "line": {"width": 3, "color": LIGHT["read"]}},
                hovertemplate="your text<br>the head reads <b>%{x:+.2f}</b><extra></extra>",
            ),
        ]  # fmt: skip

    top = len(coordinates) - 1
    figure = go.Figure(
        traces(top), frames=[go.Frame(data=traces(i), name=str(i), layout=_title(captions[i])) for i in range(top + 1)]
    )
    x = _range(np.append(coordinates[..., 0], own[:, 0]))
    y = _range(np.append(coordinates[..., 1], own[:, 1]))
    figure.update_layout(
        base_layout(height=460, alt=alt, controls=66),
        margin={"l": 46, "r": 14, "t": 54, "b": 120},
        xaxis=_axis(f"← {plain(sides[0])} · margin · {plain(sides[1])} →", x, zero=True),
        yaxis=_axis("largest other difference", y, zero=False),
        sliders=[_slider(top)],
        updatemenus=[_play()],
        **_title(captions[top]),
    )
    return figure


def comparison_figure(cosine: np.ndarray, margins_a: np.ndarray, margins_b: np.ndarray, *, alt: str) -> go.Figure:
    """Cosine of two last vectors, and what the head reads from each, from layer to layer [layer+1]."""
    layers = ["embed", *(f"layer {i}" for i in range(1, len(cosine)))]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.12, row_heights=[0.4, 0.6])
    lines = [
        ("cosine of the two vectors", cosine, "attention", "solid", 1),
        ("your text", margins_a, "read", "solid", 2),
    ]
    lines.append(("the other text", margins_b, "mute", "dash", 2))
    for name, values, colour, dash, row in lines:
        figure.add_scatter(
            x=layers, y=values.tolist(), name=name, mode="lines+markers", row=row, col=1,
            line={"color": LIGHT[colour], "dash": dash, "width": 2.5}, marker={"size": 7},
            hovertemplate=f"{name} · %{{x}} <b>%{{y:.2f}}</b><extra></extra>",
        )  # fmt: skip
    figure.update_layout(base_layout(height=400, alt=alt), showlegend=True)
    figure.update_layout(legend={"orientation": "h", "y": 1.12, "x": 0}, margin={"l": 58, "r": 14, "t": 50, "b": 40})
    figure.update_xaxes(showgrid=False, zeroline=False, fixedrange=True)
    figure.update_yaxes(gridcolor=LIGHT["line"], zerolinecolor=LIGHT["mute"], fixedrange=True, nticks=5)
    lowest = min(0.0, float(cosine.min()) - 0.05)
    figure.update_yaxes(title_text="cosine", range=[lowest, 1.08], row=1, col=1)
    figure.update_yaxes(title_text="margin", row=2, col=1)
    return figure


def _title(caption: str) -> dict:
    return {
        "title": {"text": caption, "font": {"size": 13, "color": LIGHT["ink"]}, "x": 0.02, "y": 0.96, "yanchor": "top"}
    }


def _range(values: np.ndarray) -> list[float]:
    low, high = float(values.min()), float(values.max())
    room = 0.06 * (high - low) or 1.0
    return [low - room, high + room]


def _axis(title: str, span: list[float], *, zero: bool) -> dict:
    return {
        "title": {"text": title, "font": {"size": 12}},
        "range": span,
        "fixedrange": True,
        "gridcolor": LIGHT["line"],
        "zeroline": zero,
        "zerolinecolor": LIGHT["mute"],
        "nticks": 7,
    }


def _slider(top: int) -> dict:
    move = {"mode": "immediate", "frame": {"duration": 500}, "transition": {"duration": 500}}
    steps = [
        {"method": "animate", "label": "embed" if i == 0 else str(i), "args": [[str(i)], move]} for i in range(top + 1)
    ]
    return {
        "steps": steps,
        "active": top,
        "currentvalue": {"visible": False},
        "x": 0.16,
        "len": 0.84,
        "y": -0.22,
        "pad": {"t": 8, "b": 0},
        "bgcolor": LIGHT["soft"],
        "activebgcolor": LIGHT["read"],
        "bordercolor": LIGHT["line"],
        "tickcolor": LIGHT["mute"],
        "font": {"size": 11, "color": LIGHT["mute"]},
    }


def _play() -> dict:
    move = {"frame": {"duration": 900}, "transition": {"duration": 700}, "fromcurrent": False, "mode": "immediate"}
    return {
        "type": "buttons",
        "buttons": [{"label": "▶ play", "method": "animate", "args": [None, move]}],
        "x": 0,
        "xanchor": "left",
        "y": -0.25,
        "yanchor": "top",
        "pad": {"t": 0},
        "bgcolor": LIGHT["soft"],
        "bordercolor": LIGHT["line"],
        "font": {"size": 12, "color": LIGHT["ink"]},
        "showactive": False,
    }
