"""A lesson's figures as pictures for slides: ``python -m app.export "A slow start, but what an ending!" --figures slides``.

The page's own figures, drawn by the page's own plotly.js in a Chrome or Chromium of this machine, which Kaleido starts: in light
colours, on a ground, without slider and play button. The page's "save the figure" gives the same.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import plotly.graph_objects as go

from gpt2cls_core import OptionError

from . import models
from .components.plotly_view import PLOTLY_JS, STILL_WIDTH
from .palette import LIGHT
from .views import asked_chapters, last_word, view_values

__all__ = ["FORMATS", "stills", "write_stills"]

FORMATS = ("png", "svg")


def stills(model: str, text: str, *, chapters: Sequence[str] = ()) -> Iterator[tuple[str, go.Figure]]:
    """The figure of every view of every chapter, as it stands on a slide, with a name such as "lens-probe".

    Args:
        model: bundled name, folder or hub id.
        text: what is explained.
        chapters: stems; none stands for all.

    Raises:
        OptionError: there is no such chapter.
        ModelError, TextError: the model or the text can't be read.
    """
    asked = asked_chapters(chapters)
    clf, read = models.classifier(model), models.read(model, text)
    for name, chapter in asked.items():
        for view in view_values(chapter):
            yield "-".join(filter(None, (name, view))), _still(last_word(chapter, clf, read, view).figure)


def write_stills(
    figures: Iterator[tuple[str, go.Figure]],
    folder: Path,
    *,
    format: str = "png",
    tell: Callable[[Path], None] = lambda _file: None,
) -> None:
    """Draw figures into ``FOLDER/NAME.FORMAT``, a PNG at two pixels for one; a file is whole or not there.

    Args:
        figures: as `stills` gives them.
        format: one of `FORMATS`.
        tell: hears of each file that was written.

    Raises:
        OptionError: Kaleido is not installed, or there is no Chrome or Chromium.
    """
    try:
        import kaleido
        from kaleido.errors import ChromeNotFoundError
    except ImportError:
        raise OptionError('Figures are drawn by Kaleido: pip install "gpt2cls[figures]" -c requirements.txt') from None

    async def draw() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        async with kaleido.Kaleido(plotlyjs=PLOTLY_JS, mathjax=False) as drawing:
            for name, figure in figures:
                size = {"width": figure.layout.width, "height": figure.layout.height}
                drawn = await drawing.calc_fig(figure, opts={"format": format, "scale": 2, **size})
                file = folder / f"{name}.{format}"
                partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
                partial.write_bytes(drawn)
                os.replace(partial, file)
                tell(file)

    try:
        with ThreadPoolExecutor(1) as thread:  # in a notebook an event loop runs in this one
            thread.submit(asyncio.run, draw()).result()
    except ChromeNotFoundError:
        raise OptionError("Figures are drawn in Chrome or Chromium, and there is none here: install one.") from None


def _still(figure: go.Figure) -> go.Figure:
    """The figure in its size for a slide; the same is done in plotly_view.js."""
    still, meta = go.Figure(data=figure.data, layout=figure.layout), figure.layout.meta
    return still.update_layout(
        width=max(STILL_WIDTH, meta["min_width"]),
        height=figure.layout.height - meta["controls"],
        margin_b=figure.layout.margin.b - meta["controls"],
        paper_bgcolor=LIGHT["card"],
        sliders=[],
        updatemenus=[],
        overwrite=True,  # or empty lists change nothing
    )
