"""A Plotly figure that follows the page's colours, keeps its node between updates, and tells Python what was clicked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
import plotly

from ..palette import DARK, LIGHT
from .base import ScriptedHTML

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


class PlotlyView(ScriptedHTML):
    """Shows a `plotly.graph_objects.Figure`.

    ``layout.meta["alt"]`` is the text for screen readers, ``layout.meta["min_width"]`` the width in pixels below which the figure
    scrolls sideways, from the right end if ``layout.meta["from_the_right"]``. Clicking a point triggers ``point_click`` with x, y
    and customdata.
    """

    def __init__(self, **props: Any) -> None:  # noqa: ANN401
        gr.set_static_paths([PLOTLY_JS])
        super().__init__(
            "plotly_view",
            template='<div class="plot-scroll" tabindex="0"><div class="plot" role="img"></div></div>',
            source=f"/gradio_api/file={PLOTLY_JS}",
            dark_of={LIGHT[name]: DARK[name] for name in LIGHT},
            elem_classes=["plotly-view"],
            **props,
        )

    def postprocess(self, value: Any) -> Any:  # noqa: ANN401
        """A figure as JSON; anything else as it is."""
        return json.loads(value.to_json()) if hasattr(value, "to_json") else value
