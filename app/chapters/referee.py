"""Explanations can be wrong: all methods on this text, judged by what the model does without the tokens that they name.

What is said of them is in `judged`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr
import numpy as np

from gpt2cls_core import Classifier, Contest, Trace, put_on_trial, token_scores

from .. import models
from ..components.token_strip import strip_value
from ..figures.style import note_figure
from ..figures.trials import Standing, Steps, agreement_figure, ranking_figure, steps_figure
from ..lesson import Run
from ..models import Shape
from .frame import Explained, Frame, render_frame, sides
from .judged import MEASURES, NAMES, beyond, capital, nothing_to_rank, still_waiting, verdict

TITLE = "On trial"
VIEWS = [("ranking", "ranking"), ("curves", "curves"), ("agreement", "agreement")]
REMOVALS = [("replaced by the end-of-text token", "replace"), ("cut: nothing may read it", "cut")]
POINTS = 5  # of the curves, besides the shares that the ranking needs
FEWEST = 3  # tokens that can be ranked
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
    held = models.kept("referee", clf, trace.text, removal)
    if not held:
        scores = {name: token_scores(clf, trace, name, removal=removal) for name in CHEAP}
        some = put_on_trial(clf, trace, scores, removal=removal, draws=1, points=POINTS)
        yield _shown(clf, trace, some, view, method, still_waiting(some), waiting=True)
        scores |= {name: token_scores(clf, trace, name, removal=removal) for name in NAMES if name not in scores}
        held.append(put_on_trial(clf, trace, scores, removal=removal, points=POINTS))
    yield _shown(clf, trace, held[0], view, method, verdict(clf, trace, held[0]))


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
