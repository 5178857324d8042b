"""Running only the part of the model that a change can reach.

A change of one cell of the grid, or of what attention may read from one token on, leaves most of the run as it was. Blocks
below the changed layer are as before. By the causal mask, so are all positions before the changed one, at every layer. And of
the last block only the last position is ever read. So the run is taken up in the middle: at a layer, from a position on, with
the keys and values of the positions before it as they were (as when a language model writes on, token by token).

Nothing is approximated: `interventions` and `patching` give the same numbers as the whole model run with hooks, within
rounding, and tests hold them to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .classifier import Classifier

__all__ = ["Memory", "in_batches", "remember", "resume"]

ROWS_AT_ONCE = 8  # enough for fast matrix products
TOKENS_AT_ONCE = 2048  # bounds memory whatever the length of the text


@dataclass(frozen=True, eq=False)
class Memory:
    """What later positions can read of a finished run.

    Attributes:
        keys, values: one [head pos d_head] per layer, on the model's device.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


def remember(clf: Classifier, resid: Tensor) -> Memory:
    """Keys and values of every layer, recomputed from the residual stream [layer+1 pos d_model] of a run."""
    with torch.inference_mode():
        parts = [_query_key_value(clf, i, resid[i][None].to(clf.model.device))[1:] for i in range(clf.n_layer)]
    return Memory(tuple(key[0] for key, _ in parts), tuple(value[0] for _, value in parts))


def resume(
    clf: Classifier,
    memory: Memory,
    stream: Tensor,
    *,
    layer: int,
    start: int,
    allowed: Callable[[int], Tensor | None] = lambda _layer: None,
) -> Tensor:
    """Logits [batch class], read at the last position after going on from `stream`.

    Args:
        memory: of the run whose positions before `start` stay as they are.
        stream: the residual stream [batch pos d_model] of positions `start` and later, before block `layer`.
        allowed: for each layer, what these positions may read, bool [batch query key] with all the text's positions as keys;
            None for the causal mask alone.
    """
    causal = torch.ones(stream.shape[1], start + stream.shape[1], dtype=torch.bool).tril(start)
    with torch.inference_mode():
        stream = stream.to(clf.model.device)
        for index in range(layer, clf.n_layer):
            only_last = index == clf.n_layer - 1  # nothing reads the others any more
            given = allowed(index)
            mask = causal[None] if given is None else given
            stream = _block(clf, index, memory, stream, start, mask.to(stream.device), only_last)
        logits = clf.model.score(clf.body.ln_f(stream[:, -1]))
    return logits.float().cpu().clone()


def in_batches(items: Sequence[int], n_tokens: int, *, most: int = ROWS_AT_ONCE) -> Iterator[list[int]]:
    """Items in groups of `most` at the most, and fewer where rows of `n_tokens` would not fit into memory together.

    Of positions in ascending order each group starts where its first one is, so small groups recompute little in vain.
    """
    size = max(1, min(most, TOKENS_AT_ONCE // n_tokens))
    for first in range(0, len(items), size):
        yield list(items[first : first + size])


def _block(
    clf: Classifier, layer: int, memory: Memory, stream: Tensor, start: int, mask: Tensor, only_last: bool
) -> Tensor:
    """One block on positions from `start` on [batch pos d_model]; of the last position alone where `only_last`."""
    block = clf.body.h[layer]
    query, key, value = _query_key_value(clf, layer, stream)
    past = [part[layer][:, :start].expand(len(stream), -1, -1, -1) for part in (memory.keys, memory.values)]
    key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)  # (batch, head, pos, d_head)
    if only_last:
        stream, query, mask = stream[:, -1:], query[:, :, -1:], mask[:, -1:]
    z = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask[:, None], scale=block.attn.scaling
    )
    stream = stream + block.attn.c_proj(z.transpose(1, 2).flatten(2))
    return stream + block.mlp(block.ln_2(stream))


def _query_key_value(clf: Classifier, layer: int, stream: Tensor) -> list[Tensor]:
    """Three tensors [batch head pos d_head] of a stream [batch pos d_model]."""
    block = clf.body.h[layer]
    parts = block.attn.c_attn(block.ln_1(stream)).split(clf.d_model, -1)
    return [part.unflatten(-1, (clf.n_head, -1)).transpose(1, 2) for part in parts]
