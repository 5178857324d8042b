"""The verdict forms, along the text and up the layers."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from gpt2cls_core import Classifier, LensGrid, NextTokenLens, Trace, class_lens, next_token_lens, probe_lens

from .. import models
from ..components.token_strip import strip_value
from ..figures.grid import grid_figure
from ..lesson import Run, fill, quoted, word
from ..models import Shape
from .frame import Explained, Frame, render_frame

TITLE = "The verdict forms"
VIEWS = [
    ("the head in every cell", "head"),
    ("trained lens", "probe"),
    ("next word, before fine-tuning", "before"),
    ("next word, after", "after"),
]
NEXT_WORDS = 3  # quoted in the takeaway


def explain(clf: Classifier, trace: Trace, *, view: str = "head") -> Iterator[Explained]:
    """The grid of margins by head or probe, or of predicted next tokens by either body.

    Args:
        view: a value of VIEWS; a view that this model has not falls back to the head, and the takeaway says so.
    """
    lens = class_lens(clf, trace)
    takeaway = _forms(lens)
    probes = models.lens_probes(clf)
    before = models.base_states(clf, trace.text)
    if view == "probe" and probes is None:
        takeaway = [*takeaway, (" ", False), *fill("lens", "takeaway no probes")]
    if view in ("before", "after"):
        after = next_token_lens(clf, trace)
        base = next_token_lens(models.base(clf), before) if before else None
        takeaway = _next_words(after, base)
        shown = base if view == "before" and base else after
        figure = _words_figure(shown)
    else:
        seen = probe_lens(clf, trace, probes) if view == "probe" and probes else lens
        figure = margins_figure(seen)
        takeaway = [*takeaway, *measured_said(clf)]
    strip = strip_value(
        trace.tokens,
        lens.margins[-1].tolist(),
        caption=word("lens", "caption"),
        scale="signed",
        unit=" " + word("lens", "unit"),
        marks=lens.flips,
    )
    yield Explained(figure, strip, takeaway)


def render(shape: Shape) -> Frame:
    """Option: who reads the cells."""
    return render_frame("lens", shape, lambda: {"view": gr.Radio(VIEWS, value="head", label="Read each cell with")})


def margins_figure(lens: LensGrid) -> object:
    """The grid of margins, by head or probe."""
    target = lens.labels[lens.target]
    return grid_figure(
        lens.margins.numpy(),
        lens.tokens,
        scale="signed",
        unit=word("lens", "margins", target=target),
        alt=word("lens", "alt", target=target, rows=lens.margins.shape[0], n=len(lens.tokens), margin=lens.margin),
    )


def _words_figure(lens: NextTokenLens) -> object:
    return grid_figure(
        lens.probabilities[..., 0].numpy(),
        lens.tokens,
        scale="attention",
        unit=word("lens", "probability"),
        alt=word("lens", "alt next"),
        per_cent=True,
        texts=[[cell[0] for cell in layer] for layer in lens.texts],
    )


def _forms(lens: LensGrid) -> list[Run]:
    flips = lens.flips
    return fill(
        "lens",
        "takeaway flips" if flips else "takeaway no flip",
        *(["takeaway layers"] if lens.settled_layer else []),
        flips=len(flips),
        token=quoted(lens.tokens[flips[-1]]) if flips else "",
        margin=lens.margin,
        label=lens.labels[lens.target if lens.margin > 0 else lens.other],
        first=quoted(lens.tokens[lens.first]),
        bottom=lens.at(0, -1),
        settled=lens.settled_layer,
    )


def _next_words(after: NextTokenLens, base: NextTokenLens | None) -> list[Run]:
    if base is None:
        return fill("lens", "takeaway no base")

    def top(lens: NextTokenLens) -> str:
        return ", ".join(f"{quoted(text)} ({p:.0%})" for text, p in lens.at(-1, -1)[:NEXT_WORDS])

    return fill("lens", "takeaway next token", after=top(after), before=top(base))


def measured_said(clf: Classifier) -> list[Run]:
    """How often both lenses were right over many texts, where that was measured."""
    measured = models.results().get("lens", {}).get(clf.name)
    if not measured:
        return []
    middle = clf.n_layer // 2
    numbers = {
        "n": measured["n"],
        "layer": middle,
        "raw": measured["head"][middle],
        "raw_top": measured["head"][-1],
        "probe": measured["probe"][middle],
    }
    return [(" ", False), *fill("lens", "takeaway measured", **numbers)]
