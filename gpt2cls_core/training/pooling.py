"""Reading a text at its last token, and nowhere else.

A decoder's last position is the only one that has seen the whole text, so that is where the head reads. Which position
that is can't be left to guessing: GPT-2 has no padding token of its own, `GPT2ForSequenceClassification` therefore
looks for the last id that is not the pad id, and where the pad is ``<|endoftext|>`` a text that ends in it is read one
token too early. Here texts are padded on the right and the index of each last token travels with the batch. A soft prompt's
virtual tokens are put before the texts in here, and are never read either.

To show what the last token is worth, the study of `regimes` also trains classifiers that read elsewhere (`READ_OUTS`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from ..soft_prompt import virtual_ids, with_virtual_ids
from .prefixes import prefix_loss

__all__ = [
    "READ_OUTS",
    "LastTokenClassifier",
    "collate",
    "encode",
    "hidden_of_ids",
    "last_token_vectors",
    "predict",
    "read_hidden",
    "text_hidden",
]

READ_OUTS = ("last", "first", "mean", "middle")
"""Where a text is read: one position, or the mean of all; "middle" is a random one between first and last, always the same of
one text."""


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str], *, max_length: int) -> list[np.ndarray]:
    """Token ids of each text, int32: its last `max_length`, or one end-of-text token where it is empty."""
    encoded = tokenizer(texts, return_attention_mask=False, verbose=False)["input_ids"]
    return [np.asarray(ids[-max_length:] or [tokenizer.eos_token_id], np.int32) for ids in encoded]


def collate(examples: Sequence[dict[str, Any]], *, pad: int) -> dict[str, torch.Tensor]:
    """A batch, padded on the right, that knows where each text ends.

    Args:
        examples: each with `input_ids`, and `labels` where there are any.
        pad: id to fill up with; no real token ever reads it.

    Returns:
        `input_ids` and `attention_mask` [batch pos], `last_token_index` [batch], and `labels` [batch] where given.
    """
    lengths = torch.tensor([len(example["input_ids"]) for example in examples])
    ids = torch.full((len(examples), int(lengths.max())), pad)
    for row, example in zip(ids, examples, strict=True):
        row[: len(example["input_ids"])] = torch.from_numpy(np.asarray(example["input_ids"], np.int64))
    batch = {
        "input_ids": ids,
        "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),
        "last_token_index": lengths - 1,
    }
    if "labels" in examples[0]:
        batch["labels"] = torch.tensor([example["labels"] for example in examples])
    return batch


def text_hidden(body: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """The vectors after ``ln_f`` at every position of the texts, virtual tokens left out [batch pos d_model]."""
    ids, mask = with_virtual_ids(body, input_ids, attention_mask)
    return body(input_ids=ids, attention_mask=mask).last_hidden_state[:, -input_ids.shape[1] :]


def read_hidden(
    hidden: torch.Tensor,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    last_token_index: torch.Tensor,
    *,
    read_out: str = "last",
) -> torch.Tensor:
    """Of values at every position [batch pos …] those at each text's last token, or where else `read_out` says [batch …]."""
    if read_out == "mean":
        share = attention_mask / attention_mask.sum(1, keepdim=True)
        return (hidden * share[..., None].to(hidden.dtype)).sum(1)
    if read_out == "middle":
        index = middle_index(input_ids, last_token_index)
    else:
        index = last_token_index if read_out == "last" else torch.zeros_like(last_token_index)
    return hidden[torch.arange(len(hidden), device=hidden.device), index]


def middle_index(input_ids: torch.Tensor, last_token_index: torch.Tensor) -> torch.Tensor:
    """A position between the first and the last token of each text [batch], drawn by the text itself: its ids' checksum."""
    drawn = []
    for ids, last in zip(input_ids.cpu(), last_token_index.tolist(), strict=True):
        checksum = zlib.crc32(ids[: last + 1].numpy().astype(np.int64).tobytes())
        drawn.append(1 + checksum % (last - 1) if last > 1 else 0)
    return torch.tensor(drawn, device=input_ids.device)


class LastTokenClassifier(nn.Module):
    """A `GPT2ForSequenceClassification` that is told where each text ends, in the form that a trainer calls.

    Args:
        ends: which tokens of the vocabulary end a sentence, bool [token].
        prefix_weight: how much the loss at sentence ends inside a text counts beside that at its last token.
        read_out: one of `READ_OUTS`; where texts are not read at their last token, nor are their beginnings.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        ends: torch.Tensor | None = None,
        prefix_weight: float = 0.0,
        read_out: str = "last",
    ) -> None:
        super().__init__()
        self.model, self.prefix_weight, self.read_out = model, prefix_weight, read_out
        self.register_buffer("ends", ends, persistent=False)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        last_token_index: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """`logits` [batch class], and with labels the mean cross-entropy as `loss`."""
        everywhere = self.model.score(text_hidden(self.model.transformer, input_ids, attention_mask)).float()
        logits = read_hidden(everywhere, input_ids, attention_mask, last_token_index, read_out=self.read_out)
        if labels is None:
            return {"logits": logits}
        loss = nn.functional.cross_entropy(logits, labels)
        if self.prefix_weight and self.ends is not None and self.read_out == "last":
            loss = loss + self.prefix_weight * prefix_loss(everywhere, self.ends[input_ids], last_token_index, labels)
        return {"loss": loss, "logits": logits}


def hidden_of_ids(
    body: nn.Module, ids: Sequence[np.ndarray], *, pad: int, batch_size: int = 64
) -> Iterator[tuple[list[int], dict[str, torch.Tensor], torch.Tensor]]:
    """Run a body over texts, those of like length together, which leaves little padding to compute.

    Args:
        body: a `GPT2Model` (no head), left in the mode that it is in: call ``eval()`` first.
        ids: token ids of each text.

    Yields:
        The texts' places in `ids`, the batch as `collate` makes it, and the vectors after ``ln_f`` [batch pos d_model].
    """
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    device = next(body.parameters()).device
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = {k: v.to(device) for k, v in collate([{"input_ids": ids[i]} for i in rows], pad=pad).items()}
        with torch.inference_mode():
            hidden = text_hidden(body, batch["input_ids"], batch["attention_mask"]).float()
        yield rows, batch, hidden


def last_token_vectors(
    body: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    texts: list[str],
    *,
    max_length: int,
    batch_size: int = 64,
    read_out: str = "last",
) -> np.ndarray:
    """The vector after ``ln_f`` at each text's last token, or where else `read_out` says.

    Args:
        body: a `GPT2Model` (no head), left in the mode that it is in: call ``eval()`` first.
        max_length: longer texts keep their last `max_length` tokens.

    Returns:
        float32 [text d_model], in the order of `texts`.
    """
    ids = encode(tokenizer, texts, max_length=max_length)
    vectors = np.empty((len(ids), body.config.n_embd), np.float32)
    for rows, batch, hidden in hidden_of_ids(body, ids, pad=tokenizer.eos_token_id, batch_size=batch_size):
        vectors[rows] = read_hidden(hidden, **batch, read_out=read_out).cpu().numpy()
    return vectors


@torch.inference_mode()
def predict(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: list[str], *, read_out: str = "last"
) -> np.ndarray:
    """The class that a classifier in ``eval()`` mode gives to each text [text]; long texts are read by their end."""
    room = model.config.n_positions - len(virtual_ids(model.transformer))
    vectors = last_token_vectors(model.transformer, tokenizer, texts, max_length=room, read_out=read_out)
    logits = model.score(torch.from_numpy(vectors).to(model.score.weight))
    return logits.argmax(-1).cpu().numpy()
