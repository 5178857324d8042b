"""A Plotly figure that follows the page's colours, keeps its node between updates, and tells Python what was clicked."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import plotly

from ..palette import DARK, LIGHT
from .base import ScriptedHTML

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
STILL_WIDTH = 720
"""Pixels of a saved picture, doubled in a PNG: across a slide its labels are then about as large as the slide's own small print."""
_TEMPLATE = (
    '<div class="plot-scroll" tabindex="0"><div class="plot" role="img"></div></div>'
    '<div class="save-figure" role="group" aria-label="Save the figure" hidden>save the figure: '
    '<button type="button" data-format="png">PNG</button> <button type="button" data-format="svg">SVG</button></div>'
)


class PlotlyView(ScriptedHTML):
    """Shows a `plotly.graph_objects.Figure`.

    ``layout.meta["alt"]`` is the text for screen readers, ``layout.meta["min_width"]`` the width in pixels below which the figure
    scrolls sideways, from the right end if ``layout.meta["from_the_right"]``. Clicking a point triggers ``point_click`` with x, y
    and customdata. Below it stand buttons that save it as a picture (see `app.stills`).
    """

    def __init__(self, **props: Any) -> None:  # noqa: ANN401
        _serve_script()
        super().__init__(
            "plotly_view",
            template=_TEMPLATE,
            source=f"/gradio_api/file={PLOTLY_JS}",
            dark_of={LIGHT[name]: DARK[name] for name in LIGHT},
            still_width=STILL_WIDTH,
            ground=LIGHT["card"],
            elem_classes=["plotly-view"],
            **props,
        )

    def postprocess(self, value: Any) -> Any:  # noqa: ANN401
        """A figure as JSON; anything else as it is."""
        return json.loads(value.to_json()) if hasattr(value, "to_json") else value


@lru_cache(maxsize=1)  # gradio's list grows at each call, and it makes components anew at each answer
def _serve_script() -> None:
    gr.set_static_paths([PLOTLY_JS])
