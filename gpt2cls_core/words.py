"""From tokens to the words that a reader sees.

GPT-2 reads byte-level BPE tokens: " unforgettable" may be three tokens, and one emoji may be four tokens that share a single
character. Readers think in words, so scores are summed over the tokens of a word. Offsets decide which tokens belong together; the
text of the tokens never does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Word", "find_words", "sum_by_word", "token_texts"]

_WORD = re.compile(r"\w+(?:['’\-]\w+)*|[^\w\s]+")
SAME_CHARACTER = "⋯"


@dataclass(frozen=True)
class Word:
    """A word or a run of punctuation, and the tokens ``start … stop - 1`` that spell it."""

    text: str
    start: int
    stop: int


def token_texts(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """What to show for each token: its slice of the text, with the blank before it.

    Where several tokens share one character (an emoji), the first shows it and the others show "⋯".
    """
    shown: list[str] = []
    seen_to = 0
    for start, end in offsets:
        repeats = end <= seen_to and end > start
        shown.append(SAME_CHARACTER if repeats else text[max(start, min(seen_to, end - 1)) : end])
        seen_to = max(seen_to, end)
    return tuple(shown)


def find_words(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[Word, ...]:
    """Group tokens by the word that holds their first visible character; every token belongs to exactly one word.

    Letters and digits form words ("don't" and "well-made" are one each), other signs form runs of their own, and a token of
    nothing but blanks stands alone.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    owners: list[int | None] = []
    index = 0
    for start, end in offsets:
        piece = text[start:end]
        first = start + len(piece) - len(piece.lstrip())
        while index < len(spans) and spans[index][1] <= first:
            index += 1
        inside = index < len(spans) and spans[index][0] <= first < max(end, start + 1) and piece.strip() != ""
        owners.append(index if inside else None)
    words: list[Word] = []
    for position, owner in enumerate(owners):
        if words and owner is not None and owner == owners[position - 1]:
            words[-1] = Word(words[-1].text, words[-1].start, position + 1)
        else:
            start, end = spans[owner] if owner is not None else offsets[position]
            words.append(Word(text[start:end], position, position + 1))
    return tuple(words)


def sum_by_word(scores: Tensor, words: Sequence[Word]) -> Tensor:
    """Sum token scores [pos] over each word [word]; the total stays the same."""
    return torch.stack([scores[word.start : word.stop].sum() for word in words])
