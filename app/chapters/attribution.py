"""Some tokens decide more than others: integrated gradients."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import torch

from gpt2cls_core import Attribution, Classifier, Trace, agreement

from .. import models
from ..components.token_strip import strip_value
from ..figures.bars import token_bars_figure
from ..lesson import Run, fill, quoted, word
from ..models import Shape
from ..unwanted import go_on
from .frame import Explained, Frame, render_frame, sides

TITLE = "What mattered"
BASELINES = [("end-of-text tokens", "eos"), ("no embedding (zero)", "zero"), ("the mean embedding", "mean")]
UNITS = [("words", "words"), ("tokens", "tokens")]
NAUGHT = 1e-4  # logits of the delta, which are not told more exactly
AGREE = 0.8  # correlation of word scores from which on the baselines are said to agree


def explain(clf: Classifier, trace: Trace, *, baseline: str = "eos", unit: str = "words") -> Iterator[Explained]:
    """Integrated gradients from one baseline; then how far the other baselines agree."""
    chosen = models.attributed(clf, trace.text, baseline)
    figure, strip = picture(chosen, unit)
    takeaway = _takeaway(chosen)
    yield Explained(figure, strip, takeaway)
    others = []
    for name in (name for _, name in BASELINES if name != baseline):
        go_on()
        others.append(models.attributed(clf, trace.text, name))
    yield Explained(figure, strip, [*takeaway, (" ", False), *_comparison([chosen, *others]), *measured_said(clf)])


def render(shape: Shape) -> Frame:
    """Options: the baseline; words or tokens."""
    return render_frame(
        "attribution",
        shape,
        lambda: {
            "baseline": gr.Radio(BASELINES, value="eos", label="Baseline: the text that says nothing"),
            "unit": gr.Radio(UNITS, value="words", label="Show"),
        },
    )


def picture(result: Attribution, unit: str) -> tuple[object, dict]:
    """Figure and strip of words or tokens."""
    texts = [word.text for word in result.words] if unit == "words" else list(result.tokens)
    scores = (result.word_scores if unit == "words" else result.scores).tolist()
    target = result.labels[result.target]
    figure = token_bars_figure(
        texts,
        scores,
        unit=word("attribution", "push", target=target),
        alt=word("attribution", f"alt {unit}", count=len(texts)),
    )
    caption = word("attribution", f"caption {unit}", target=target)
    return figure, strip_value(texts, scores, caption=caption, scale="signed", unit=" " + word("attribution", "unit"))


def _takeaway(result: Attribution) -> list[Run]:
    delta = result.convergence_delta
    top = int(result.word_scores.abs().argmax())
    names = ["takeaway"] if result.converged else ["takeaway", "takeaway not converged"]
    return fill(
        "attribution",
        *names,
        **sides(result.labels),
        top=quoted(result.words[top].text),
        top_score=float(result.word_scores[top]),
        total=float(result.scores.sum()),
        margin_baseline=result.margin_baseline,
        margin_input=result.margin_input,
        delta=word("attribution", "delta" if abs(delta) >= NAUGHT else "delta small", delta=delta),
        relative=result.relative_delta,
        n_steps=result.n_steps,
    )


def _comparison(results: list[Attribution]) -> list[Run]:
    if len(results[0].words) < 2:
        return fill("attribution", "takeaway one word")
    lowest = float(torch.nan_to_num(agreement(results), nan=0.0).min())
    return fill("attribution", "takeaway agree" if lowest >= AGREE else "takeaway disagree", lowest=lowest)


def measured_said(clf: Classifier) -> list[Run]:
    """What the orders that these scores give were worth over many texts, where that was measured."""
    measured = models.results().get("explanations", {}).get(clf.name)
    if not measured:
        return []
    falls = {stem: entry["comprehensiveness"]["mean"] for stem, entry in measured["removal"]["cut"].items()}
    values = {name: falls[f"ig-{name}"] for _, name in BASELINES}
    said = [
        ("\n\n", False),
        *fill("attribution", "takeaway measured", n=measured["n"], random=falls["random"], **values),
    ]
    if planted := measured.get("shortcut"):
        lowest = min(planted["found"][f"ig-{name}"]["share"] for _, name in BASELINES)
        said += [(" ", False), *fill("attribution", "takeaway planted", chance=planted["by_chance"], lowest=lowest)]
    return said
