"""From labelled texts to training examples: what the model sees, in which order.

A person may type three words or paste three pages, so training shows both. Short texts are retyped a little on every
pass (`vary`); of long ones every pass shows an end of another length, because the head reads at the end and later a
long text is read by its end, too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from .data import LabelledTexts, vary
from .pooling import encode

__all__ = ["SHORT", "Examples", "in_batches", "make_examples"]

SHORT = 64
"""Texts of up to so many tokens are shown whole and retyped, longer ones are cut; no cut is shorter."""


@dataclass(frozen=True, eq=False)
class Examples(Dataset):
    """Token ids with one label each, in the order of training."""

    ids: list[np.ndarray]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, object]:
        return {"input_ids": self.ids[index], "labels": self.labels[index]}

    def __add__(self, other: Examples) -> Examples:
        return Examples(self.ids + other.ids, self.labels + other.labels)


def make_examples(
    data: LabelledTexts, tokenizer: PreTrainedTokenizerBase, *, passes: int, context: int, seed: int
) -> Examples:
    """Every text `passes` times, each time retyped or cut anew.

    Args:
        context: the longest cut. A long text keeps its last k tokens, k drawn evenly from `SHORT` to `context`.
    """
    generator = random.Random(seed)
    whole = encode(tokenizer, data.texts, max_length=context)
    short = [i for i, ids in enumerate(whole) if len(ids) <= SHORT]
    examples = Examples([], [])
    for _ in range(passes):
        ids = [row[-generator.randint(min(SHORT, context), context) :] for row in whole]
        retyped = encode(tokenizer, [vary(data.texts[i], generator) for i in short], max_length=context)
        for i, row in zip(short, retyped, strict=True):
            ids[i] = row
        examples += Examples(ids, data.labels)
    return examples


def in_batches(examples: Examples, batch_size: int, *, seed: int, window: int = 100) -> Examples:
    """The examples reordered so that each batch holds texts of like length, and batches come in random order.

    Padding is computed and thrown away, so a batch of like lengths costs less. Examples are shuffled, sorted by length
    within windows of `window` batches, cut into batches, and the batches are shuffled. An incomplete batch comes last.
    """
    generator = random.Random(seed)
    order = generator.sample(range(len(examples)), len(examples))
    batches: list[list[int]] = []
    for start in range(0, len(order), window * batch_size):
        part = sorted(order[start : start + window * batch_size], key=lambda i: len(examples.ids[i]))
        batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    rest = [batches.pop()] if len(batches[-1]) < batch_size else []
    generator.shuffle(batches)
    order = [i for batch in batches + rest for i in batch]
    return Examples([examples.ids[i] for i in order], [examples.labels[i] for i in order])
