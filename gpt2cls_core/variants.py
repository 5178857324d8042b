"""Many variants of one text at once, with what they have in common computed once.

Variants that begin alike share more than their first tokens: by the causal mask no position sees what comes after it, so up to the
first difference all their vectors are the same in every layer. Sorted, variants form a tree of beginnings, and each vector belongs
to a *node* of it, however many variants run through the node. What works on one position at a time (LayerNorms, MLPs, the
projections of attention: nearly all the work) runs once per node; attention alone is spread out to the rows again. And of the last
block, only the vector that the head reads is computed.

Nothing is approximated: each variant gets the logits that it would get alone, within rounding, and tests hold this to it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .classifier import Classifier
from .resume import in_batches

__all__ = ["variant_logits"]


def variant_logits(clf: Classifier, ids: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
    """Logits of each row [row class], read at its last token.

    Args:
        ids: token ids [row pos]; what comes after a row's length is not read.
        positions: where each token stands, for its position embedding [row pos].
        lengths: [row], 1 or more.
    """
    real = torch.arange(ids.shape[1]) < lengths[:, None]
    keys = torch.where(real, ids * clf.context + positions, -1)
    rows, place = keys.unique(dim=0, return_inverse=True)  # sorted, so that those that begin alike are neighbours
    logits = torch.empty(len(rows), len(clf.labels))
    for batch in in_batches(range(len(rows)), rows.shape[1], most=len(rows)):
        logits[batch] = _run(clf, rows[batch])
    return logits[place]


def _nodes(keys: Tensor) -> tuple[Tensor, Tensor]:
    """The node of each cell of sorted rows [row pos], and one cell for each node, by its index in the flattened rows [node].

    Cells without a token (key −1) are given some node.
    """
    differ = torch.ones_like(keys, dtype=torch.bool)
    differ[1:] = (keys[1:] != keys[:-1]).cumsum(1) > 0  # from the row before
    new = differ & (keys >= 0)
    index = (new.flatten().cumsum(0) - 1).clamp(min=0).view_as(keys)
    row = torch.arange(len(keys))[:, None].expand_as(keys)
    made_in = torch.where(new, row, 0).cummax(0).values
    return index.gather(0, made_in), new.flatten().nonzero()[:, 0]


def _run(clf: Classifier, keys: Tensor) -> Tensor:
    """Logits [row class] of sorted rows of ids and positions, given as id × context + position, −1 after their end."""
    device = clf.model.device
    node, cell = (part.to(device) for part in _nodes(keys))
    last = (keys >= 0).sum(1).to(device) - 1
    read = node.gather(1, last[:, None])[:, 0]  # (row,)
    kept = (torch.arange(keys.shape[1], device=device) <= last[:, None])[:, None, None]  # (row, head, query, key)
    embedded = keys.flatten()[cell.cpu()].to(device)
    with torch.inference_mode():
        stream = clf.body.wte(embedded // clf.context) + clf.body.wpe(embedded % clf.context)  # (node, d_model)
        for block in clf.body.h:
            top = block is clf.body.h[-1]
            query, key, value = block.attn.c_attn(block.ln_1(stream)).split(clf.d_model, -1)
            parts = (query[read][:, None] if top else query[node], key[node], value[node])
            query, key, value = (part.unflatten(-1, (clf.n_head, -1)).transpose(1, 2) for part in parts)
            z = torch.nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=kept if top else None, is_causal=not top, scale=block.attn.scaling
            )
            z = z.transpose(1, 2).flatten(2).flatten(0, 1)  # (row × pos, d_model)
            stream = stream[read] + block.attn.c_proj(z) if top else stream + block.attn.c_proj(z[cell])
            stream = stream + block.mlp(block.ln_2(stream))
        logits = clf.model.score(clf.body.ln_f(stream))
    return logits.float().cpu().clone()
