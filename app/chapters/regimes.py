"""What was trained: the same text, the same base, and classifiers that differ in which weights learned.

The views of what was measured are in `compared` (table, curves, places to read) and `learned` (pre-training, layers and places
along the text), the one in which a head is trained in `taught`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gradio as gr

from gpt2cls_core import Classifier, RegimeReading, Trace, class_lens, read_regimes

from .. import models
from ..components.token_strip import strip_value
from ..figures.layers import side_by_side_figure
from ..lesson import Run, fill
from ..models import Shape
from .compared import explain_labels, explain_places, explain_table
from .frame import Explained, Frame, render_frame
from .learned import explain_map, explain_next_word
from .taught import explain_train

TITLE = "What was trained"
VIEWS = [
    ("side by side", "beside"),
    ("accuracy and cost", "table"),
    ("fewer labels", "labels"),
    ("before any label", "next-word"),
    ("where to read", "places"),
    ("where it lives", "map"),
    ("train a head", "train"),
]
EXAMPLES = [(f"{n:,}", n) for n in (8, 16, 32, 64, 128, 256, 512, 1000)]
READ_AT = [("last token", "last"), ("first", "first"), ("middle", "middle"), ("mean of all", "mean")]
DRAWS = [("first", 0), ("second", 1), ("third", 2)]
TOP = -1  # as a layer: the last one


def explain(
    clf: Classifier,
    trace: Trace,
    *,
    view: str = "beside",
    examples: int = 128,
    place: str = "last",
    layer: int = TOP,
    draw: int = 0,
) -> Iterator[Explained]:
    """One way to ask what training did.

    Args:
        view: a value of VIEWS.
        examples, place, layer, draw: for "train": values of EXAMPLES, READ_AT, a layer of the base, and of DRAWS.
    """
    if view == "train":
        yield explain_train(clf, trace, examples=examples, layer=layer, place=place, draw=draw)
    elif view == "beside":
        yield _beside(clf, trace)
    else:
        measured = {
            "table": lambda: explain_table(clf.name),
            "labels": explain_labels,
            "next-word": explain_next_word,
            "places": explain_places,
            "map": explain_map,
        }
        yield measured[view]()


def render(shape: Shape) -> Frame:
    """Options: the view, and for the head that is trained here on what, and where it reads."""
    layers = [("embed", 0), *((str(i), i) for i in range(1, shape.n_layer)), (str(shape.n_layer), TOP)]
    own = {"elem_classes": ["for-train"]}
    return render_frame(
        "regimes",
        shape,
        lambda: {
            "view": gr.Radio(VIEWS, value="beside", label="Ask"),
            "examples": gr.Radio(EXAMPLES, value=128, label="Labelled sentences to learn from", **own),
            "place": gr.Radio(READ_AT, value="last", label="Read at", **own),
            "layer": gr.Radio(layers, value=TOP, label="In layer", **own),
            "draw": gr.Radio(DRAWS, value=0, label="Which sentences: draw", **own),
        },
        table=True,
    )


def _beside(clf: Classifier, trace: Trace) -> Explained:
    """The text in every classifier that it can be compared in."""
    readings: list[RegimeReading] = models.kept("beside", clf, trace.text)
    if not readings:
        readings.extend(read_regimes(models.beside(clf), trace.text))
    chosen = [reading.name for reading in readings].index(clf.name)
    target = readings[0].labels[readings[0].target]
    names = [_title(reading) for reading in readings]
    told = [f"{name} {reading.label} {reading.margin:+.2f}" for name, reading in zip(names, readings, strict=True)]
    figure = side_by_side_figure(
        [reading.layer_margins.tolist() for reading in readings],
        names,
        [(reading.label, _colour(reading)) for reading in readings],
        chosen=chosen,
        unit=f"margin for {target}",
        alt=f"The margin for {target} by layer in {len(readings)} classifiers; at the top: {', '.join(told)}.",
    )
    strip = strip_value(
        trace.tokens,
        class_lens(clf, trace).margins[-1].tolist(),
        caption=f"The verdict of “{names[chosen]}”, the model chosen above, after each token:",
        scale="signed",
        unit=" logits",
    )
    return Explained(figure, strip, _beside_said(readings, names, chosen))


def _title(reading: RegimeReading) -> str:
    bundled = reading.name in models.TRAINED
    return models.title(reading.name) if bundled else f"yours: {models.title(reading.name)}"


def _colour(reading: RegimeReading) -> str:
    if len(reading.labels) != 2:
        return "ink"
    return "positive" if reading.margin > 0 else "negative"


def _beside_said(readings: Sequence[RegimeReading], names: Sequence[str], chosen: int) -> list[Run]:
    pairs = list(zip(names, readings, strict=True))
    own = readings[chosen]
    foreign = own.name not in models.TRAINED
    settled = {name: _settled(reading) for name, reading in pairs}
    early, late = min(settled, key=settled.__getitem__), max(settled, key=settled.__getitem__)
    if len(readings) == 1:
        said = ["takeaway beside alone" if foreign else "takeaway beside one"]
    else:
        said = ["takeaway beside agree"] if len({reading.label for reading in readings}) == 1 else []
        said.append("takeaway beside same layer" if settled[early] == settled[late] else "takeaway beside layers")
        said += ["takeaway beside foreign"] * foreign
    runs = fill(
        "regimes",
        *said,
        n=len(readings),
        label=own.label,
        margin=own.margin,
        labels=", ".join(own.labels),
        each=", ".join(f"{name} {reading.margin:+.2f}" for name, reading in pairs),
        early=early,
        late=late,
        early_layer=_layer(settled[early]),
        late_layer=_layer(settled[late]),
    )
    return runs if len(readings) == 1 or said[0] == "takeaway beside agree" else [*_sides(pairs), (" ", False), *runs]


def _sides(pairs: Sequence[tuple[str, RegimeReading]]) -> list[Run]:
    """Who says what, of classifiers that disagree."""
    runs = fill("regimes", "takeaway beside disagree", n=len(pairs))
    for place, label in enumerate(dict.fromkeys(reading.label for _, reading in pairs)):
        which = ", ".join(f"{name} ({reading.margin:+.2f})" for name, reading in pairs if reading.label == label)
        runs += [("; " if place else " ", False), *fill("regimes", "takeaway beside side", label=label, which=which)]
    return [*runs, (".", False)]


def _settled(reading: RegimeReading) -> int:
    """The layer from which on up the margin has the sign that it has at the top."""
    differs = ((reading.layer_margins > 0) != (reading.margin > 0)).nonzero()
    return int(differs[-1]) + 1 if len(differs) else 0


def _layer(layer: int) -> str:
    return f"layer {layer}" if layer else "the embedding"
