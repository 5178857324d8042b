"""Reading a text at its last token, and nowhere else.

A decoder's last position is the only one that has seen the whole text, so that is where the head reads. Which position
that is can't be left to guessing: GPT-2 has no padding token of its own, `GPT2ForSequenceClassification` therefore
looks for the last id that is not the pad id, and where the pad is ``<|endoftext|>`` a text that ends in it is read one
token too early. Here texts are padded on the right and the index of each last token travels with the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

__all__ = ["LastTokenClassifier", "collate", "encode", "last_token_hidden", "last_token_vectors", "predict"]


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


def last_token_hidden(
    body: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor, last_token_index: torch.Tensor
) -> torch.Tensor:
    """The vectors after ``ln_f`` at each text's last token [batch d_model]."""
    hidden = body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # (batch, pos, d_model)
    return hidden[torch.arange(len(hidden), device=hidden.device), last_token_index]


class LastTokenClassifier(nn.Module):
    """A `GPT2ForSequenceClassification` that is told where each text ends, in the form that a trainer calls."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        last_token_index: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """`logits` [batch class], and with labels the mean cross-entropy as `loss`."""
        hidden = last_token_hidden(self.model.transformer, input_ids, attention_mask, last_token_index)
        logits = self.model.score(hidden).float()
        if labels is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@torch.inference_mode()
def last_token_vectors(
    body: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: list[str], *, max_length: int, batch_size: int = 64
) -> np.ndarray:
    """The vector after ``ln_f`` at each text's last token.

    Args:
        body: a `GPT2Model` (no head), left in the mode that it is in: call ``eval()`` first.
        max_length: longer texts keep their last `max_length` tokens.

    Returns:
        float32 [text d_model], in the order of `texts`.
    """
    ids = encode(tokenizer, texts, max_length=max_length)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))  # like lengths together: little padding to compute
    vectors = np.empty((len(ids), body.config.n_embd), np.float32)
    device = next(body.parameters()).device
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = collate([{"input_ids": ids[i]} for i in rows], pad=tokenizer.eos_token_id)
        vectors[rows] = last_token_hidden(body, **{k: v.to(device) for k, v in batch.items()}).float().cpu().numpy()
    return vectors


@torch.inference_mode()
def predict(model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> np.ndarray:
    """The class that a classifier in ``eval()`` mode gives to each text [text]; long texts are read by their end."""
    vectors = last_token_vectors(model.transformer, tokenizer, texts, max_length=model.config.n_positions)
    logits = model.score(torch.from_numpy(vectors).to(model.score.weight))
    return logits.argmax(-1).cpu().numpy()
