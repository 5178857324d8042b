"""The view of `regimes` in which a head is trained on the spot, on vectors of the body that saw no labels."""

from __future__ import annotations

from gpt2cls_core import Classifier, LiveHead, States, Trace, judge
from gpt2cls_core.intervals import wilson

from .. import models
from ..components.token_strip import strip_value
from ..figures.curves import Curve, curves_figure
from ..figures.dots import Dot
from ..lesson import Run, fill
from .frame import Explained
from .study import not_measured

SIDES = ("negative", "positive")
PLACES = {
    "last": "the last token",
    "first": "the first token",
    "middle": "the middle token",
    "mean": "the mean of all tokens",
}


def explain_train(clf: Classifier, trace: Trace, *, examples: int, layer: int, place: str, draw: int) -> Explained:
    """Train the head that was asked for, or take it as trained before, and let it judge the text.

    Args:
        examples: labelled sentences to learn from.
        layer: whose vectors are read; what the features do not have stands for the last.
        place: of `gpt2cls_core.PLACES`.
        draw: which sentences are drawn.
    """
    features, states = models.features(), models.frozen_states(trace.text)
    if features is None or states is None:
        return not_measured("the features to train a head on")
    layer = layer if layer in features.layers else features.layers[-1]
    head = models.live_head(examples, layer, place, draw)
    return Explained(_figure(head), _strip(head, states), _said(clf, trace, head, features.data, judge(head, states)))


def _figure(head: LiveHead) -> object:
    dots = [Dot(share, *wilson(round(share * head.n_held_out), head.n_held_out)) for _, share in head.curve]
    curve = Curve(
        "your head",
        "frozen",
        [examples for examples, _ in head.curve],
        dots,
        [f"{examples:,} examples" for examples, _ in head.curve],
    )
    return curves_figure(
        [curve],
        x_name="labelled sentences that it learned from",
        y_name=f"accuracy on {head.n_held_out:,} others",
        ticks=[(examples, f"{examples:,}") for examples, _ in head.curve],
        logarithmic=True,
        levels=[("always one class", head.majority)],
        alt=f"Learning curve of the head just trained: {'; '.join(f'{n:,} sentences {share:.1%}' for n, share in head.curve)}.",
    )


def _strip(head: LiveHead, states: States) -> dict:
    """The new head's verdict after each token; exact, because the body's vectors of a beginning do not know what follows."""
    n = len(states.tokens)
    running = [judge(head, States(states.encoding, states.resid[:, : end + 1])) for end in range(n)]
    read = {"last": [n - 1], "first": [0], "middle": [(n - 1) // 2], "mean": list(range(n))}[head.place]
    caption = "What your head would say if the text ended after each token (framed: what it reads of the whole text):"
    return strip_value(states.tokens, running, caption=caption, scale="signed", unit=" logits", read=read)


def _said(clf: Classifier, trace: Trace, head: LiveHead, data: str, margin: float) -> list[Run]:
    target, other = clf.target(None, trace.logits)
    label = SIDES[margin > 0]
    comparable = len(clf.labels) == len(SIDES)
    agrees = (margin > 0) == (float(trace.logits.diff()) > 0) if comparable else None
    names = ["takeaway train", "takeaway train lucky" if head.low <= head.majority else "takeaway train learned"]
    names.append("takeaway train text")
    if comparable:
        names.append("takeaway train agrees" if agrees else "takeaway train differs")
    return fill(
        "regimes",
        *names,
        weights=head.trained_parameters,
        examples=head.n_examples,
        data=data,
        place=PLACES[head.place],
        layer=f"layer {head.layer}" if head.layer else "the embeddings",
        accuracy=head.accuracy,
        low=head.low,
        high=head.high,
        n=head.n_held_out,
        majority=head.majority,
        label=label,
        margin=margin,
        model=models.title(clf.name),
        model_label=trace.label,
        model_margin=float(trace.logits[target] - trace.logits[other]),
    )
