"""All that the live lesson knows before a text is typed, as JSON: words, figures, thresholds, and what is said of each model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpt2cls_core import Classifier, OptionError
from gpt2cls_core.attribution import NOISE, TOLERANCE

from .. import models, pace, swaps
from ..chapters import attribution, interventions, lens, patched, predict, removed, rollout, swapped
from ..figures.style import VISIBLE
from ..header import WORDS, masthead_html
from ..lesson import entries, read_lesson, read_sections, read_words
from ..prose import sides
from .templates import errors, figures

__all__ = ["LIVE", "LIVE_VIEWS", "book", "live_text", "live_words"]

LIVE = (predict, lens, rollout, attribution, interventions)
LIVE_VIEWS = {"lens": ("head", "probe"), "interventions": ("cut", "patch")}
"""The views that stay where some are left out: the others need a language model beside the classifier, or many more runs."""


def live_text() -> dict[str, str]:
    """The page's own text, of ``words.md``, by section."""
    return read_sections(Path(__file__).with_name("words.md"))


def live_words() -> dict[str, str]:
    """Its short texts, by name."""
    return entries(live_text()["words"])


def book(names: Sequence[str]) -> dict[str, Any]:
    """What JavaScript needs.

    Args:
        names: of the models to switch between, the default first.

    Raises:
        ModelError: one can't be loaded.
        OptionError: a model has other than two classes, or they differ in classes, layers, heads or width.
    """
    clfs = [models.classifier(name) for name in names]
    first = clfs[0]
    for clf in clfs:
        if len(clf.labels) != 2:
            raise OptionError(f"The live lesson is made for two classes; {clf.name} has {len(clf.labels)}.")
        if _size(clf) != _size(first):
            raise OptionError(f"{clf.name} and {first.name} differ in size or classes, so one page can't switch them.")
    stems = [chapter.__name__.rpartition(".")[2] for chapter in LIVE]
    shape = models.shape(names[0])
    return {
        "labels": list(first.labels),
        "sides": sides(first.labels),
        "n_layer": first.n_layer,
        "context": first.context,
        "takeaways": {
            stem: {
                name: " ".join(body.split()) for name, body in read_lesson(stem).items() if name.startswith("takeaway")
            }
            for stem in stems
        },
        "words": {stem: read_words(stem) for stem in stems},
        "verdict": WORDS,
        "errors": errors(first),
        "visible": VISIBLE,
        "swaps": {
            "opposites": [[side.split() for side in pair] for pair in swaps.OPPOSITES],
            "neutral": list(swaps.NEUTRAL),
            "signs": list(swaps.SIGNS),
            "most_tried": swaps.MOST_TRIED,
        },
        "limits": _limits(),
        "figures": figures(shape, first.d_model, first.context),
        "models": {name: _model(clf, name) for name, clf in zip(names, clfs, strict=True)},
    }


def _size(clf: Classifier) -> tuple:
    return clf.labels, clf.n_layer, clf.n_head, clf.d_model, clf.context


def _limits() -> dict[str, Any]:
    """Thresholds of the chapters, by their names in Python."""
    return {
        "shown": predict.SHOWN,
        "sink": rollout.SINK,
        "baselines": [name for _, name in attribution.BASELINES],
        "agree": attribution.AGREE,
        "naught": attribution.NAUGHT,
        "tolerance": TOLERANCE,
        "noise": NOISE,
        "all": interventions.ALL,
        "little": removed.LITTLE,
        "quoted": removed.QUOTED,
        "pale": swapped.PALE,
        "rounding": swapped.ROUNDING,
        "alike": patched.ALIKE,
        "partial_seconds": pace.PARTIAL_SECONDS,
        "most_seconds": pace.MOST_SECONDS,
    }


def _model(clf: Classifier, name: str) -> dict[str, Any]:
    """What is said of one model, and its trained lens."""
    probes = models.lens_probes(clf)
    return {
        "masthead": masthead_html(models.facts(name)),
        "n_virtual": clf.n_virtual,
        "epsilon": clf.body.ln_f.eps,
        "probes": probes and {"weights": probes.weights.tolist(), "bias": probes.bias.tolist()},
        "said": {
            chapter.__name__.rpartition(".")[2]: chapter.measured_said(clf) for chapter in (lens, rollout, attribution)
        },
        "measured": _measured(clf),
    }


def _measured(clf: Classifier) -> dict[str, Any]:
    """How often the classifier is right as it is, and with its last token alone."""
    found = swapped.measured(clf)
    accuracy = found.get("accuracy", {})
    return (
        {"texts": found["n"]}
        | {name: accuracy[name]["accuracy"] for name in ("clean", "last_token_alone") if name in accuracy}
        if accuracy
        else {}
    )
