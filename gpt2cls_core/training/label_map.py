"""Where in the grid the label can be read off by a straight line, before and after fine-tuning.

In every layer, at five places from a text's first token to its last, a linear probe (see `probe`) learns from sentences of the
train split and is measured on held-out ones. It is asked of the base, which has never seen a label, and of the classifier that was
made from it: where the two maps differ, fine-tuning moved something. Probes standardise each coordinate, so that it makes no
difference whether they are given the residual stream as LayerNorm normalises it or, as here, after ``ln_f``.

The control is the same with shuffled labels (in the sense of Hewitt & Liang 2019, arXiv:1909.03368), on the classifier's vectors,
as the mean over several shuffles: what probes of this size reach where there is nothing to find. Texts are whole sentences, for a
phrase ends anywhere; both classes are learned from equally often. A classifier made by `finetune` has learned from the sentences
that its probes learn from, but not from those held out.
"""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..base import LanguageModel, load_base, read_states
from ..classifier import Classifier, load_classifier
from ..errors import DataError, OptionError
from .command_line import command_line
from .data import LabelledTexts, load_and_hold_out
from .files import read_json, write_json
from .options import LabelMapOptions
from .pooling import encode
from .probe import probe_accuracy

__all__ = ["POSITIONS", "label_map", "map_accuracy", "position_vectors", "whole_sentences"]

POSITIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the way from a text's first token to its last."""


def label_map(options: LabelMapOptions) -> Path:
    """The command: measure both maps and the control, and merge them into the results file; returns its path.

    Raises:
        ModelError: base or classifier can't be loaded.
        DataError: the data can't be read, or has too few whole sentences.
        OptionError: the classifier has another shape than the base, or more than two classes, or a number is too small.
    """
    base, clf = load_base(options.base), load_classifier(options.model)
    _check(options, base, clf)
    train, held_out = (whole_sentences(base, part, options.fewest_tokens) for part in load_and_hold_out(options.data))
    train = train.draw(options.texts, seed=options.seed)
    if len(set(held_out.labels)) < 2:
        raise DataError(f"{options.data} holds out no sentences of both classes; lower --fewest-tokens, or add texts.")
    name = clf.card.get("name", Path(options.model).name)
    entry: dict[str, Any] = {
        "command": command_line("label-map", options),
        "date": date.today().isoformat(),
        "seed": options.seed,
        "data": f"{Path(options.data).name}/train",
        "n_train": len(train),
        "n_held_out": len(held_out),
        "majority": round(max(np.bincount(held_out.labels)) / len(held_out), 4),
        "fewest_tokens": options.fewest_tokens,
        "positions": list(POSITIONS),
    }
    for key, model in (("base", base), (name, clf)):
        vectors = [position_vectors(model, part.texts) for part in (train, held_out)]
        entry[key] = map_accuracy(*vectors, train, held_out).round(4).tolist()
        _say(key, entry[key])
    controls = [map_accuracy(*vectors, other, held_out) for other in _shuffled(train, options)]
    entry |= {"shuffled": np.mean(controls, 0).round(4).tolist(), "shuffles": options.shuffles}
    _say("shuffled labels", entry["shuffled"])
    path = Path(options.results)
    write_json(path, read_json(path, {}) | {"label_map": entry})
    return path


def _check(options: LabelMapOptions, base: LanguageModel, clf: Classifier) -> None:
    if len(clf.labels) != 2:
        raise OptionError(f"The labels are two; {options.model} has {len(clf.labels)} classes.")
    shapes = [(body.config.n_layer, body.config.n_embd) for body in (base.body, clf.body)]
    if shapes[0] != shapes[1]:
        raise OptionError(
            f"{options.model} was not made from {options.base}: it has {shapes[1][0]} layers of {shapes[1][1]} numbers, "
            f"the base {shapes[0][0]} of {shapes[0][1]}."
        )
    if options.texts < 2 or options.shuffles < 1 or options.fewest_tokens < len(POSITIONS):
        raise OptionError(
            f"--texts must be 2 or more, --shuffles 1 or more and --fewest-tokens {len(POSITIONS)} or more, "
            f"not {options.texts}, {options.shuffles} and {options.fewest_tokens}."
        )


def whole_sentences(base: LanguageModel, data: LabelledTexts, fewest_tokens: int) -> LabelledTexts:
    """The texts that end as a sentence does and have so many tokens or more."""
    ids = encode(base.tokenizer, data.texts, max_length=base.body.config.n_positions)
    kept = [
        i
        for i, text in enumerate(data.texts)
        if text.rstrip("\"')]").endswith((".", "!", "?")) and len(ids[i]) >= fewest_tokens
    ]
    return LabelledTexts([data.texts[i] for i in kept], [data.labels[i] for i in kept])


def position_vectors(model: LanguageModel | Classifier, texts: list[str]) -> np.ndarray:
    """Vectors after ``ln_f`` at `POSITIONS` of each text, a soft prompt left out, float32 [layer+1 position text d_model]."""
    rows = []
    for done, text in enumerate(texts, 1):
        states = read_states(model, text)
        first, last = states.encoding.n_virtual, len(states.tokens) - 1
        at = [first + round(share * (last - first)) for share in POSITIONS]
        with torch.no_grad():
            rows.append(model.body.ln_f(states.resid[:, at]))
        if done % 500 == 0:
            print(f"{model.name}: {done} of {len(texts)} sentences read", flush=True)
    return torch.stack(rows, 2).numpy()


def map_accuracy(
    vectors: np.ndarray, held_out_vectors: np.ndarray, train: LabelledTexts, held_out: LabelledTexts
) -> np.ndarray:
    """Held-out accuracy of a probe of its own in every layer and position [layer+1 position].

    Args:
        vectors, held_out_vectors: by `position_vectors`, of `train` and `held_out`.
    """
    cells = [
        probe_accuracy(vectors[cell], train, held_out_vectors[cell], held_out) for cell in np.ndindex(vectors.shape[:2])
    ]
    return np.reshape(cells, vectors.shape[:2])


def _shuffled(train: LabelledTexts, options: LabelMapOptions) -> list[LabelledTexts]:
    """The same texts with their labels in random order, several times."""
    generator = random.Random(options.seed)
    return [LabelledTexts(train.texts, generator.sample(train.labels, len(train))) for _ in range(options.shuffles)]


def _say(what: str, accuracy: list[list[float]]) -> None:
    layers = "  ".join(" ".join(f"{value:.3f}" for value in layer) for layer in accuracy)
    print(f"{what}, layer by layer, from the first token to the last: {layers}", flush=True)
