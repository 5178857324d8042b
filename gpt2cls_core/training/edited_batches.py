"""Many texts through the edited model: batches of like lengths, and the head's margin at every position of each text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..classifier import Classifier, Encoding
from ..edits import Edit, allowed_attention, run_edited

__all__ = ["Batch", "batches", "margins_of"]

BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Batch:
    """Texts of like length, padded on the right: which ones, their ids [batch pos], and where each ends [batch]."""

    rows: list[int]
    input_ids: Tensor
    last: list[int]

    def only_last(self) -> Tensor:
        """Attention that leaves the last position of each text nothing but itself, bool [batch query key]."""
        allowed = allowed_attention(self.input_ids.shape[1], [], "every").repeat(len(self.rows), 1, 1)
        for row, last in zip(allowed, self.last, strict=True):
            row[last, :last] = False
        return allowed

    def at(self, positions: Sequence[Sequence[int]]) -> Tensor:
        """Where the positions of each of all the texts are, bool [batch pos]."""
        marked = torch.zeros(self.input_ids.shape, dtype=torch.bool)
        for row, text in zip(marked, self.rows, strict=True):
            row[list(positions[text])] = True
        return marked


def batches(encodings: Sequence[Encoding]) -> Iterator[Batch]:
    """All texts, the shortest first, so that little padding is computed; by the causal mask no token ever reads any."""
    order = sorted(range(len(encodings)), key=lambda i: len(encodings[i]))
    for start in range(0, len(order), BATCH_SIZE):
        rows = order[start : start + BATCH_SIZE]
        ids = torch.nn.utils.rnn.pad_sequence([encodings[i].input_ids for i in rows], batch_first=True)
        yield Batch(rows, ids, [len(encodings[i]) - 1 for i in rows])


def margins_of(
    clf: Classifier, encodings: Sequence[Encoding], edits: Callable[[Batch], list[Edit]] = lambda _batch: []
) -> list[Tensor]:
    """What the head would read at every position of each text, class 1 against class 0 [pos], in the order of the texts."""
    found: dict[int, Tensor] = {}
    for batch in batches(encodings):
        margins = run_edited(clf, batch.input_ids, edits(batch)) @ (clf.score[1] - clf.score[0])  # (batch, pos)
        found |= {i: row[: last + 1] for i, row, last in zip(batch.rows, margins.cpu(), batch.last, strict=True)}
    return [found[i] for i in range(len(encodings))]
