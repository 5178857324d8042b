"""From raw text to rows of token ids: the tokenizer, and the packing of texts into rows of equal length."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

__all__ = ["END_OF_TEXT", "PackedTokens", "pack", "train_tokenizer"]

END_OF_TEXT = "<|endoftext|>"


def train_tokenizer(texts: Iterable[str], vocab_size: int, context: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE like GPT-2's own, with ``<|endoftext|>`` as token 0."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def pack(tokenizer: PreTrainedTokenizerBase, texts: list[str], context: int) -> np.ndarray:
    """uint16 or int32 [row context]; what does not fill the last row is dropped."""
    stream: list[np.ndarray] = []
    dtype = np.uint16 if len(tokenizer) < 2**16 else np.int32
    for start in range(0, len(texts), 2000):
        encoded = tokenizer(texts[start : start + 2000], return_attention_mask=False)["input_ids"]
        stream += [np.asarray([*ids, tokenizer.eos_token_id], dtype) for ids in encoded]
    joined = np.concatenate([np.empty(0, dtype), *stream])
    rows = len(joined) // context
    return joined[: rows * context].reshape(rows, context)


class PackedTokens(Dataset):
    """All texts joined by the end-of-text token and cut into rows of equal length [row context]."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = torch.from_numpy(self.rows[index].astype(np.int64))
        return {"input_ids": ids, "labels": ids}
