"""Explanations can be wrong: all methods on this text, judged by what the model does without the tokens that they name.

What is said of them is in `judged`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import numpy as np
from torch import Tensor

from gpt2cls_core import Classifier, Contest, Trace, put_on_trial, token_scores

from .. import models
from ..components.token_strip import strip_value
from ..figures.style import note_figure
from ..figures.trials import Standing, Steps, agreement_figure, ranking_figure, steps_figure
from ..lesson import Run
from ..models import Shape
from ..unwanted import go_on
from .frame import Explained, Frame, render_frame, sides
from .judged import MEASURES, NAMES, beyond, capital, nothing_to_rank, still_waiting, too_long, verdict

TITLE = "On trial"
VIEWS = [("ranking", "ranking"), ("curves", "curves"), ("agreement", "agreement")]
REMOVALS = [("replaced by the end-of-text token", "replace"), ("cut: nothing may read it", "cut")]
POINTS = 5  # of the curves, besides the shares that the ranking needs
NO_CURVES = 1  # point besides those: all taken away
FEWEST = 3  # tokens that can be ranked
MOST = 300  # tokens up to which all methods are tried; their work grows with the square of the length, and faster
CHEAP = ("rollout", "rollout-beyond-null", "rollout-gradient", "last-attention", "ledger", "gradient-x-input")
SCALES = {  # of the scores of methods without a sign; the others speak for a class
    "rollout": ("attention", "how much of the last vector may come from each token"),
    "rollout-gradient": ("attention", "how much each token's attended paths raise the margin"),
    "last-attention": ("attention", "how much the last token looks at each one"),
    "rollout-beyond-null": ("more-or-less", "more (violet) or less (grey) than the architecture gives anyway"),
}


def explain(
    clf: Classifier, trace: Trace, *, view: str = "ranking", removal: str = "replace", method: str = ""
) -> Iterator[Explained]:
    """The methods that cost little, then all of them and random orders.

    Args:
        view: a value of VIEWS.
        removal: a value of REMOVALS.
        method: the one whose scores are shown; empty for the one that ranks first.
    """
    if len(trace.tokens) - trace.encoding.n_virtual < FEWEST:
        strip = strip_value(trace.tokens, [None] * len(trace.tokens), caption="Your text:", scale="plain")
        yield Explained(note_figure("There is nothing to rank."), strip, nothing_to_rank(trace))
        return
    points = POINTS if view == "curves" else NO_CURVES
    (tried,) = models.kept("referee", clf, trace.text, removal) or _started(clf, trace, removal)
    trial = {"removal": removal, "points": points, "known": tried.known}
    if len(tried.scores) < len(NAMES):
        some = put_on_trial(clf, trace, {name: tried.scores[name] for name in CHEAP}, draws=1, **trial)
        long = len(trace.tokens) > MOST
        yield _shown(
            clf, trace, some, view, method, too_long(some, MOST) if long else still_waiting(some), waiting=True
        )
        if long:
            return
        for name in NAMES:
            if name not in tried.scores:
                go_on()
                tried.scores[name] = _scores(clf, trace, name, removal, tried)
    if points not in tried.contests:
        go_on()
        tried.contests[points] = put_on_trial(clf, trace, {name: tried.scores[name] for name in NAMES}, **trial)
    contest = tried.contests[points]
    yield _shown(clf, trace, contest, view, method, verdict(clf, trace, contest))


@dataclass(frozen=True)
class Tried:
    """What was found of a text so far.

    Attributes:
        scores: by method.
        known: logits of the text without tokens, as `put_on_trial` keeps them.
        contests: of all methods, by the points of their curves.
    """

    scores: dict[str, Tensor] = field(default_factory=dict)
    known: dict[bytes, Tensor] = field(default_factory=dict)
    contests: dict[int, Contest] = field(default_factory=dict)


def _started(clf: Classifier, trace: Trace, removal: str) -> list[Tried]:
    """The same with the scores that cost little."""
    tried = Tried()
    for name in CHEAP:
        tried.scores[name] = _scores(clf, trace, name, removal, tried)
    held = models.kept("referee", clf, trace.text, removal)
    held[:] = [tried]
    return held


def _scores(clf: Classifier, trace: Trace, method: str, removal: str, tried: Tried) -> Tensor:
    """As `token_scores`; integrated gradients are those of the other chapters, which speak for the second of two classes."""
    if not method.startswith("ig-"):
        return token_scores(clf, trace, method, removal=removal, known=tried.known)
    found = models.attributed(clf, trace.text, method.removeprefix("ig-"))
    return found.scores if found.target == int(trace.logits.argmax()) else -found.scores


def render(shape: Shape) -> Frame:
    """Options: the picture, how tokens are taken away, whose scores are shown; a press on a row chooses whose."""
    return render_frame(
        "referee",
        shape,
        lambda: {
            "view": gr.Radio(VIEWS, value="ranking", label="Show"),
            "removal": gr.Radio(REMOVALS, value="replace", label="A token that is taken away is"),
            "method": gr.Dropdown(
                [("the best here", ""), *((name, stem) for stem, name in NAMES.items())],
                value="",
                label="Scores of",
                elem_classes=["names"],
            ),
        },
        press_cell=press_cell,
    )


def press_cell(options: Mapping[str, Any], pressed: Mapping[str, Any]) -> dict[str, Any]:
    """Show the scores of the method whose row was pressed; at a second press the page's choice again."""
    stems = {name: stem for stem, name in NAMES.items()}
    stem = stems.get(str(pressed["y"]))
    if stem is None or options["view"] == "curves":
        return {}
    return {"method": "" if options["method"] == stem else stem}


def _shown(
    clf: Classifier,
    trace: Trace,
    contest: Contest,
    view: str,
    method: str,
    said: list[Run],
    *,
    waiting: bool = False,
) -> Explained:
    """The picture of a view, and the scores of one method; random orders are not shown while others are waited for."""
    ranked = contest.ranking()
    chosen = method if method in ranked else ranked[0]
    draw = {"curves": _curves, "agreement": _agreement}.get(view, _ranking)
    figure = draw(contest, chosen, waiting=waiting)
    return Explained(figure, _strip(clf, trace, chosen, contest.scores[chosen].tolist()), said)


def _ranking(contest: Contest, chosen: str, *, waiting: bool) -> Any:  # noqa: ANN401 - a plotly Figure
    ranked, none = contest.ranking(), (False, False)
    standings = [
        Standing(
            NAMES[stem],
            tuple(getattr(contest.results[stem], measure) for measure in MEASURES),
            none if waiting else beyond(contest, stem),
        )
        for stem in ranked
    ]
    told = [f"{row.name} {row.measures[0]:.2f} and {row.measures[1]:.2f}" for row in standings]
    return ranking_figure(
        [*standings, *(Standing(NAMES[stem]) for stem in NAMES if stem not in ranked)],
        None if waiting else tuple(contest.random[measure] for measure in MEASURES),
        titles=MEASURES,
        chosen=ranked.index(chosen),
        alt=f"{len(told)} methods, each with comprehensiveness and sufficiency: {'; '.join(told)}.",
    )


def _curves(contest: Contest, chosen: str, *, waiting: bool) -> Any:  # noqa: ANN401
    ranked = contest.ranking()
    results = [contest.results[stem] for stem in ranked]
    shares = results[0].shares.tolist()
    methods = [
        Steps(NAMES[stem], shares, result.deletion.tolist(), result.insertion.tolist())
        for stem, result in zip(ranked, results, strict=True)
    ]
    notes = []
    for name, better in (("deletion", "falls early"), ("insertion", "rises early")):
        area, (_, low, high) = getattr(contest.results[chosen], f"{name}_area"), contest.random[f"{name}_area"]
        beside = "" if waiting else f" (random {low:.2f} to {high:.2f})"
        notes.append((f"{name}: a good order {better}", f"area {area:.2f}{beside}"))
    return steps_figure(
        methods,
        None if waiting else Steps("random orders", shares, *(curve.tolist() for curve in contest.random_curves)),
        band=None
        if waiting
        else tuple(Steps("", shares, *(band[end].tolist() for band in contest.random_bands)) for end in (0, 1)),
        chosen=ranked.index(chosen),
        unit=f"P({contest.label})",
        notes=notes,
        alt=f"Probability of {contest.label} while tokens are taken away and put back in the order of {NAMES[chosen]}, "
        f"beside {len(methods) - 1} other methods. {'; '.join(map(', '.join, notes))}.",
    )


def _agreement(contest: Contest, chosen: str, *, waiting: bool) -> Any:  # noqa: ANN401
    ranked, held = contest.ranking(), list(contest.results)
    order = [*ranked, *(stem for stem in NAMES if stem not in ranked)]
    values = np.full((len(order), len(order)), np.nan)
    places = [held.index(stem) for stem in ranked]
    values[: len(ranked), : len(ranked)] = contest.agreement.numpy()[np.ix_(places, places)]
    apart = values[np.triu_indices(len(order), 1)]
    known = apart[~np.isnan(apart)]
    span = f", from {known.min():.2f} to {known.max():.2f}" if len(known) else ""
    alt = f"Rank correlation of each two of {len(ranked)} methods{span}."
    names = [NAMES[stem] for stem in order]
    return agreement_figure(values, names, chosen=order.index(chosen), alt=alt)


def _strip(clf: Classifier, trace: Trace, stem: str, scores: list[float]) -> dict[str, Any]:
    """The scores of one method; those with a sign in the colours of the classes."""
    named = sides(clf.labels)
    scale, words = SCALES.get(
        stem, ("signed", f"what speaks for {named['positive']} (blue) and for {named['negative']} (orange)")
    )
    if scale == "signed" and len(clf.labels) == 2 and trace.label == clf.labels[0]:
        scores = [-score for score in scores]  # they speak for the predicted class, the colours for the second
    return strip_value(trace.tokens, scores, caption=f"{capital(NAMES[stem])}: {words}:", scale=scale, digits=3)
