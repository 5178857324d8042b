"""A text as a model reads it: tokens, ids, and where they stand in the text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .errors import TextError
from .soft_prompt import virtual_texts
from .words import Word, find_words, token_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Encoding", "encode_text", "with_prompt"]

MAX_CHARACTERS = 100_000
_TOKENIZING = (
    Lock()
)  # a tokenizer changes settings of its own at a call, and fails where another thread is in the middle of one


@dataclass(frozen=True, eq=False)
class Encoding:
    """A text as the model reads it.

    Attributes:
        text: the whole text as given.
        input_ids: int64 [pos].
        tokens: what to show for each token.
        offsets: first and last-plus-one character of each token in `text`.
        words: the words that the tokens spell, in order.
        tokens_cut: tokens dropped from the START of the text because it is longer than the model's context.
        n_virtual: how many of the first tokens are no text but a soft prompt (see `soft_prompt`): ids beyond the vocabulary,
            shown as ⟦1⟧, ⟦2⟧, …, each a word of its own at offsets (0, 0).
    """

    text: str
    input_ids: Tensor
    tokens: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    words: tuple[Word, ...]
    tokens_cut: int
    n_virtual: int = 0

    def __len__(self) -> int:
        return len(self.tokens)


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str, context: int) -> Encoding:
    """A text as a model with this tokenizer and context reads it; see `Classifier.encode`."""
    _check_text(text)
    with _TOKENIZING:
        encoded = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True, verbose=False
        )
    offsets = tuple((int(start), int(end)) for start, end in encoded["offset_mapping"])
    cut = max(0, len(offsets) - context)
    offsets = offsets[cut:]
    return Encoding(
        text=text,
        input_ids=torch.tensor(encoded["input_ids"][cut:], dtype=torch.int64),
        tokens=token_texts(text, offsets),
        offsets=offsets,
        words=find_words(text, offsets),
        tokens_cut=cut,
    )


def with_prompt(encoding: Encoding, ids: Tensor) -> Encoding:
    """The same text after the virtual tokens `ids` [virtual] of a soft prompt."""
    shown, n_virtual = virtual_texts(len(ids)), len(ids)
    return replace(
        encoding,
        input_ids=torch.cat([ids.cpu(), encoding.input_ids]),
        tokens=shown + encoding.tokens,
        offsets=((0, 0),) * n_virtual + encoding.offsets,
        words=(
            *(Word(text, i, i + 1) for i, text in enumerate(shown)),
            *(Word(word.text, word.start + n_virtual, word.stop + n_virtual) for word in encoding.words),
        ),
        n_virtual=n_virtual,
    )


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise TextError(f"The text must be a string, not {type(text).__name__}.")
    if not text.strip():
        raise TextError("There is no text to read yet. Type at least one word.")
    if len(text) > MAX_CHARACTERS:
        raise TextError(f"The text has {len(text):,} characters; shorten it to {MAX_CHARACTERS:,} or fewer.")
    broken = next((i for i, character in enumerate(text) if "\ud800" <= character <= "\udfff"), None)
    if broken is not None:
        raise TextError(f"Character {broken + 1} is half of a surrogate pair, which is no character; remove it.")
