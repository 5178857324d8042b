"""A head on a frozen body: computed once, solved for.

Where the body does not change, neither do its vectors, so they are computed once per set of texts, and training the head is a
logistic regression on them: a convex problem with one solution, found in seconds (see `logistic`, which the page uses too).
Beginnings of texts are learned from as elsewhere (see `prefixes`), by their weight.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from ..logistic import head_weights
from .clock import clock
from .examples import Examples
from .pooling import LastTokenClassifier, hidden_of_ids, read_hidden
from .prefixes import prefix_weights

__all__ = ["FrozenVectors", "fit_head", "frozen_vectors"]


@dataclass(frozen=True, eq=False)
class FrozenVectors:
    """What a frozen body makes of texts, after ``ln_f``.

    Attributes:
        values: [row d_model]; each text where it is read, and its beginnings where it has any.
        owners: the text of each row [row].
        weights: how much each row counts [row]; 1 for a whole text.
        seconds: that it took to compute.
    """

    values: np.ndarray
    owners: np.ndarray
    weights: np.ndarray
    seconds: float


_KEPT: dict[str, FrozenVectors] = {}  # of the last set of texts


def fit_head(learner: LastTokenClassifier, examples: Examples, *, c: float, pad: int, body: str) -> float:
    """Solve for the head of `learner.model` and put it in place.

    Args:
        learner: knows where texts are read, and how much their beginnings count.
        c: inverse of the penalty on the weights.
        pad: id to fill batches up with.
        body: the body's fingerprint.

    Returns:
        Seconds that it took, those of the body's vectors included even if they were at hand.

    Raises:
        OptionError: `c` is not above 0.
    """
    frozen = frozen_vectors(learner, examples, pad=pad, body=body)
    start = clock()
    labels = torch.tensor(examples.labels)[torch.from_numpy(frozen.owners)]
    weights = head_weights(
        torch.from_numpy(frozen.values), labels, c=c, sample_weights=torch.from_numpy(frozen.weights)
    )
    with torch.no_grad():
        learner.model.score.weight.copy_(weights)
    return frozen.seconds + clock() - start


def frozen_vectors(learner: LastTokenClassifier, examples: Examples, *, pad: int, body: str) -> FrozenVectors:
    """What the body of `learner.model` makes of the examples; kept until others are asked for."""
    prefix_weight = learner.prefix_weight if learner.read_out == "last" and learner.ends is not None else 0.0
    digest = hashlib.sha256(f"{body} {learner.read_out} {prefix_weight}".encode())
    for row in examples.ids:
        digest.update(len(row).to_bytes(4, "little") + row.tobytes())
    key = digest.hexdigest()
    if key not in _KEPT:
        _KEPT.clear()
        start = clock()
        learner.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        parts = list(_read(learner, examples, pad, prefix_weight))
        values, owners, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
        _KEPT[key] = FrozenVectors(values, owners, weights, clock() - start)
    return _KEPT[key]


def _read(learner: LastTokenClassifier, examples: Examples, pad: int, prefix_weight: float):  # noqa: ANN202
    """Vectors, owners and weights, batch by batch."""
    for rows, batch, hidden in hidden_of_ids(learner.model.transformer, examples.ids, pad=pad):
        yield read_hidden(hidden, **batch, read_out=learner.read_out).cpu().numpy(), np.array(rows), np.ones(len(rows))
        if prefix_weight:
            share = prefix_weights(learner.ends[batch["input_ids"]], batch["last_token_index"])
            where = share.nonzero(as_tuple=True)
            owners = np.array(rows)[where[0].cpu().numpy()]
            yield hidden[where].cpu().numpy(), owners, prefix_weight * share[where].cpu().numpy()
