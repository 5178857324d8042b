"""Train a head yourself: a classifier in about a second, on a body that was never shown a label.

The frozen base has turned labelled sentences into vectors (`frozen_features`). All that is left to train is GPT-2's head, d_model
numbers that matter, by the same logistic regression as `finetune --regime head` (`logistic`). What it reaches on sentences that
it has not seen says what next-token prediction alone has put within reach of a linear layer: at this layer, at this place, with
so many labelled examples (a linear probe, Alain & Bengio 2016, arXiv:1610.01644).

Its learning curve grows by adding: each point learns from the examples of the one before, and as many again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from .base import States
from .errors import OptionError
from .frozen_features import PLACES, FrozenFeatures, Norm, load_features, read_place
from .intervals import wilson
from .logistic import HEAD_C, head_weights

__all__ = ["FEWEST", "PLACES", "FrozenFeatures", "LiveHead", "judge", "load_features", "train_head"]

FEWEST = 8
"""The fewest examples that a head is trained on, and the first point of its curve."""


@dataclass(frozen=True, eq=False)
class LiveHead:
    """A head just trained on vectors of the frozen base, and what it is worth.

    Attributes:
        layer: whose vectors it reads, after the base's ``ln_f``; 0 = embeddings.
        place: where in a text, see `PLACES`.
        n_examples: how many it learned from, as many of each class (of an odd number, one more of class 0).
        seed: which ones were drawn.
        weights: [2 d_model], no bias, as in GPT-2's head; the rows are each other's opposite, so d_model numbers were trained.
        norm: the base's ``ln_f``, through which it reads.
        n_layers: how many layers the base's states have, the embeddings included.
        accuracy: on the held-out rows, with the 95 % interval (Wilson) from `low` to `high`.
        majority: share of the commoner class among the held-out rows: what knowing nothing reaches.
        curve: (examples, held-out accuracy) at 8, 16, 32, … and `n_examples`.
        seconds: that training and measuring took, the whole curve included.
    """

    layer: int
    place: str
    n_examples: int
    seed: int
    weights: Tensor
    norm: Norm
    n_layers: int
    accuracy: float
    low: float
    high: float
    n_held_out: int
    majority: float
    curve: tuple[tuple[int, float], ...]
    seconds: float

    @property
    def trained_parameters(self) -> int:
        """d_model: of the two rows only the difference counts."""
        return self.weights.shape[1]


def train_head(
    features: FrozenFeatures, *, examples: int, layer: int, place: str = "last", seed: int = 0, c: float = HEAD_C
) -> LiveHead:
    """Train a head on so many of the features' rows and measure it on those held out.

    Args:
        examples: from 8 to as many rows as there are, drawn at random, as many of each class. With the same seed, fewer examples
            are a part of more.
        layer, place: which vectors to read.
        c: inverse of the penalty on the weights; the same for every size.

    Raises:
        OptionError: more or fewer examples than that, or no such layer or place.

    Caveat: one draw of few examples says little; another seed may move the first points of the curve by ten percentage points and
    more.
    """
    start = time.perf_counter()
    train, held_out = features.vectors(layer, place)
    order = _draw(features.labels, examples, seed)
    truth, n = features.held_out_labels, len(features.held_out_labels)
    curve: list[tuple[int, float]] = []
    for size in _sizes(examples):
        rows = torch.cat([of_class[:half] for of_class, half in zip(order, (size - size // 2, size // 2), strict=True)])
        weights = head_weights(train[rows], features.labels[rows], c=c)
        right = int(((held_out @ (weights[1] - weights[0]) > 0).long() == truth).sum())
        curve.append((size, right / n))
    low, high = wilson(right, n)
    return LiveHead(
        layer=layer,
        place=place,
        n_examples=examples,
        seed=seed,
        weights=weights,
        norm=features.norm,
        n_layers=len(features.layers),
        accuracy=right / n,
        low=low,
        high=high,
        n_held_out=n,
        majority=int(truth.bincount().max()) / n,
        curve=tuple(curve),
        seconds=time.perf_counter() - start,
    )


def judge(head: LiveHead, states: States) -> float:
    """What the head makes of one text: the logit of "positive" minus that of "negative", by the base's states of the text.

    Args:
        states: by `read_states` of the base whose features the head was trained on.

    Raises:
        OptionError: the states are of a model of another size.
    """
    expected, found = (head.n_layers, head.trained_parameters), (len(states.resid), states.resid.shape[-1])
    if found != expected:
        raise OptionError(
            f"The head was trained on states of {expected[0]} layers of {expected[1]} numbers; "
            f"these have {found[0]} layers of {found[1]}. Read the text with the base of its features."
        )
    vector = read_place(head.norm(states.resid[head.layer]), head.place)
    return float(vector @ (head.weights[1] - head.weights[0]))


def _draw(labels: Tensor, examples: int, seed: int) -> tuple[Tensor, Tensor]:
    """The rows of each class in the order in which they are drawn.

    Raises:
        OptionError: so many examples cannot be drawn.
    """
    if isinstance(examples, bool) or not isinstance(examples, int) or not FEWEST <= examples <= len(labels):
        raise OptionError(f"examples must be a whole number from {FEWEST} to {len(labels)}, not {examples!r}.")
    generator = torch.Generator().manual_seed(seed)
    of_class = [(labels == label).nonzero().flatten() for label in (0, 1)]
    return tuple(rows[torch.randperm(len(rows), generator=generator)] for rows in of_class)


def _sizes(examples: int) -> list[int]:
    """8, 16, 32, … below `examples`, and `examples`."""
    sizes = [FEWEST]
    while 2 * sizes[-1] < examples:
        sizes.append(2 * sizes[-1])
    return sizes if sizes[-1] == examples else [*sizes, examples]
