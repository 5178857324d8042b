"""That vector is no longer a word: the same last token, one point at the bottom, two groups at the top."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from gpt2cls_core import (
    Classifier,
    Gpt2clsError,
    NearestWords,
    SentenceCloud,
    Trace,
    compare_geometry,
    nearest_words,
    vector_at,
)

from .. import models
from ..components.token_strip import strip_value
from ..figures.clouds import cloud_figure, comparison_figure
from ..figures.spelling import spelling_figure
from ..lesson import Run, fill, quoted
from ..models import Shape
from .frame import Explained, Frame, render_frame

TITLE = "Not a word any more"
VIEWS = [("a cloud of sentences", "cloud"), ("another text", "pair"), ("which word it spells", "spells")]
OTHER_TEXT = "It starts quickly, but by the end I hated every minute of it."
TOP = 3  # words shown for each vector


def explain(
    clf: Classifier, trace: Trace, *, view: str = "cloud", other: str = OTHER_TEXT, token: int = 0
) -> Iterator[Explained]:
    """The cloud, a comparison with another text, or the words that one vector spells on its way up.

    Args:
        view: a value of VIEWS; "cloud" needs two classes and falls back to "pair".
        other: the text to compare with.
        token: which token's vector to spell, counted back from the last, which is 0.
    """
    cloud = models.cloud(clf) if view == "cloud" else None
    place = max(0, trace.last_token_index - max(0, int(token or 0)))
    if view == "spells":
        figure, takeaway = _spells(clf, trace, place)
        caption = "Press a token to see what its vector spells:"
    elif cloud is not None:
        figure, takeaway = _cloud(cloud, trace)
        caption = "Your text; the framed token’s vector is the marked point:"
    else:
        figure, takeaway = _pair(clf, trace, other)
        caption = "Your text; the framed token’s vector is compared:"
    marks = [place] if view == "spells" else []
    strip = strip_value(trace.tokens, [None] * len(trace.tokens), caption=caption, scale="plain", marks=marks)
    yield Explained(figure, strip, takeaway)


def render(shape: Shape) -> Frame:
    """Options: the view, the other text, the token whose vector is spelled (a press on the strip sets it)."""
    return render_frame(
        "geometry",
        shape,
        lambda: {
            "view": gr.Radio(VIEWS, value="cloud", label="Look at"),
            "other": gr.Textbox(OTHER_TEXT, label="The other text", max_lines=2, elem_classes=["wide", "for-pair"]),
            "token": gr.Number(
                0, label="Token to spell, back from the last", precision=0, minimum=0, elem_classes=["for-spells"]
            ),
        },
        press_token=lambda _options, pressed: {"token": int(pressed["back"])},
    )


def _cloud(cloud: SentenceCloud, trace: Trace) -> tuple[object, list[Run]]:
    own = cloud.place(trace)
    control, spread = cloud.control_mean, cloud.control_spread
    captions = [
        f"{'Embeddings' if i == 0 else f'Layer {i}'}: a linear classifier tells {cloud.separation[i]:.0%} apart<br>"
        f"(labels shuffled: {control[i]:.0%})"
        for i in range(len(own))
    ]
    figure = cloud_figure(
        cloud.coordinates.numpy(),
        (cloud.classes == cloud.target).tolist(),
        cloud.sentences,
        own.numpy(),
        captions,
        sides=(cloud.labels[cloud.other], cloud.labels[cloud.target]),
        alt=f"{len(cloud.sentences)} sentences as points by layer. " + captions[-1].replace("<br>", " "),
    )
    takeaway = fill(
        "geometry",
        "takeaway cloud",
        n=len(cloud.sentences),
        bottom=float(cloud.separation[0]),
        top=float(cloud.separation[-1]),
        layers=len(own) - 1,
        control=float(control[-1]),
        spread=float(spread[-1]),
        place=float(own[-1, 0]),
    )
    return figure, takeaway


def _pair(clf: Classifier, trace: Trace, other: str) -> tuple[object, list[Run]]:
    try:
        second = models.read(clf.name, other)
    except Gpt2clsError as error:
        return {}, fill("geometry", "takeaway unread", problem=str(error))
    result = compare_geometry(clf, trace, second)
    figure = comparison_figure(
        result.cosine.numpy(),
        result.margins_a.numpy(),
        result.margins_b.numpy(),
        alt=f"Cosine of the two last vectors from {result.cosine[0]:.2f} at layer 0 to {result.cosine[-1]:.2f} at the top.",
    )
    name = "takeaway same token" if result.same_token else "takeaway other token"
    if result.identical_at_start:
        name = "takeaway same"
    takeaway = fill(
        "geometry",
        name,
        token=quoted(result.last_tokens[0]),
        token_b=quoted(result.last_tokens[1]),
        position_a=result.positions[0] + 1,
        position_b=result.positions[1] + 1,
        distance=float(result.distance[0]),
        cosine_bottom=float(result.cosine[0]),
        cosine=float(result.cosine[-1]),
        margin_a=float(result.margins_a[-1]),
        margin_b=float(result.margins_b[-1]),
    )
    return figure, takeaway


def _spells(clf: Classifier, trace: Trace, place: int) -> tuple[object, list[Run]]:
    after = [nearest_words(clf, vector_at(trace, layer, place), top=TOP) for layer in range(clf.n_layer + 1)]
    states = models.base_states(clf, trace.text)
    base = models.base(clf)
    before = [nearest_words(base, vector_at(states, i, place), top=TOP) for i in range(len(after))] if states else []
    columns = [("nearest word", _nearest(after)), ("next word", _next(after))]
    if before:
        columns = [("nearest word, before", _nearest(before)), ("next word, before", _next(before)), *columns]
    figure = spelling_figure(columns, alt=f"Words nearest to the vector at {trace.tokens[place].strip()}, by layer.")
    takeaway = fill(
        "geometry",
        "takeaway spells" if before else "takeaway spells alone",
        token=quoted(trace.tokens[place]),
        word_bottom=quoted(after[0].words[0]),
        word_top=quoted(after[-1].words[0]),
        cosine_top=float(after[-1].cosines[0]),
        next_after=quoted(after[-1].next_tokens[0]),
        next_before=quoted(before[-1].next_tokens[0]) if before else "",
    )
    return figure, takeaway


def _nearest(layers: list[NearestWords]) -> list[list[tuple[str, float]]]:
    return [list(zip(words.words, words.cosines.tolist(), strict=True)) for words in layers]


def _next(layers: list[NearestWords]) -> list[list[tuple[str, float]]]:
    return [list(zip(words.next_tokens, words.probabilities.tolist(), strict=True)) for words in layers]
