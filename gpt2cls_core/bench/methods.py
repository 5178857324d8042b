"""Every method on one text, and the patching grid on a model of GPT-2's size.

A patching grid is timed at its slowest: the other text has the same tokens in reverse order, so that every cell differs and
none can be left out, as those before a swapped word can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from ..ablation import ablate_each_head
from ..attribution import BASELINES, integrated_gradients
from ..classifier import Classifier
from ..interventions import cut_each
from ..patching import patch_grid, patch_grid_rows
from ..rollout import attention_rollout, gradient_weighted_rollout
from ..trace import Trace, trace
from .rivals import CAPTUM_STEPS, plain_captum
from .timing import TEXT, Timing, in_turns

__all__ = ["model_timings", "patching_timings", "random_124m"]

PATCHED_TOKENS = 20  # of the text, on the large model


def model_timings(clf: Classifier, text: str = TEXT, *, repeats: int = 7) -> list[Timing]:
    """Time each method on one text; the last of the list is the yardstick.

    Raises:
        TextError: the text can't be read.
    """
    encoding = clf.encode(text)
    traced = trace(clf, encoding)
    actions: dict[str, Callable[[], object]] = {
        "encode + verdict": lambda: trace(clf, text).label,
        "trace + rollout": lambda: attention_rollout(trace(clf, text)),
        "gradient-weighted rollout of a trace": lambda: gradient_weighted_rollout(clf, traced),
        "each token cut, every route": lambda: cut_each(clf, traced),
        "each token cut, direct edges": lambda: cut_each(clf, traced, route="direct"),
        "each head set to zero": lambda: ablate_each_head(clf, traced),
        "patching grid of two traces": partial(patch_grid, clf, traced, _reversed(clf, traced)),
    }
    notes: dict[str, str] = {}
    changes: dict[str, float] = {}
    for baseline in BASELINES:
        name = f"integrated gradients, auto, {baseline}"
        actions[name] = partial(integrated_gradients, clf, text, baseline=baseline)
        found = integrated_gradients(clf, encoding, baseline=baseline)
        changes[baseline] = found.margin_input - found.margin_baseline
        notes[name] = _quality(found.n_steps, found.convergence_delta, changes[baseline])
    yardstick = f"Captum LayerIntegratedGradients, {CAPTUM_STEPS} steps, eos"
    actions[yardstick] = lambda: plain_captum(clf, clf.encode(text))
    delta = float(plain_captum(clf, encoding).double().sum()) - changes["eos"]
    notes[yardstick] = _quality(CAPTUM_STEPS, delta, changes["eos"])
    return [Timing(name, runs, notes.get(name, "")) for name, runs in in_turns(actions, repeats).items()]


def _quality(n_steps: int, delta: float, change: float) -> str:
    """Steps, and the convergence delta as a share of the change in margin."""
    share = f"{100 * abs(delta / change):.2f} %" if change else "undefined: no change in margin"
    return f"{n_steps} steps, delta {share}"


def _reversed(clf: Classifier, traced: Trace) -> Trace:
    """The trace of the same tokens in reverse order, shown as they were."""
    return trace(clf, replace(traced.encoding, input_ids=traced.input_ids.flip(0)))


def patching_timings(clf: Classifier, text: str = TEXT, *, repeats: int = 7) -> list[Timing]:
    """Time the patching grid on the first 20 tokens: its two top rows, all of it, and a trace, the yardstick (last).

    Raises:
        TextError: the text can't be read.
    """
    whole = clf.encode(text)
    some = slice(PATCHED_TOKENS)
    words = tuple(word for word in whole.words if word.stop <= PATCHED_TOKENS)
    encoding = replace(
        whole, input_ids=whole.input_ids[some], tokens=whole.tokens[some], offsets=whole.offsets[some], words=words
    )
    clean = trace(clf, encoding)
    corrupted = _reversed(clf, clean)

    def top_rows() -> None:
        rows = patch_grid_rows(clf, clean, corrupted)
        next(rows)
        next(rows)

    actions: dict[str, Callable[[], object]] = {
        "patching grid, two top rows": top_rows,
        "patching grid, all rows": lambda: patch_grid(clf, clean, corrupted),
        "trace": lambda: trace(clf, encoding),
    }
    return [Timing(name, seconds) for name, seconds in in_turns(actions, repeats).items()]


def random_124m(clf: Classifier) -> Classifier:
    """A classifier in the shape of GPT-2 (124M parameters) with random weights, and the tokenizer of another."""
    from transformers import GPT2Config, GPT2ForSequenceClassification

    labels = dict(enumerate(clf.labels))
    config = GPT2Config(num_labels=len(labels), id2label=labels, attn_implementation="eager")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same weights in every run
        model = GPT2ForSequenceClassification(config).eval().requires_grad_(False)
    return Classifier("random weights", model, clf.tokenizer, clf.labels)
