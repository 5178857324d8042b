"""How fast integrated gradients could be here: the arithmetic that they need, over the rate at which this machine multiplies.

What is counted is what no exact method can leave out, per point of the path: the products with the weights, forward and back to the
embeddings (none for gradients of weights), and attention's own products. Of the last block that is keys and values at every
position, and one position of the rest. LayerNorm, GELU, softmax and all moving of data count as nothing, so nothing reaches
the bound.
"""

from __future__ import annotations

import time

import torch

from ..classifier import Classifier
from ..path_gradients import TOKENS_AT_ONCE, Precision

__all__ = ["matmul_rate", "needed_flops"]


def needed_flops(clf: Classifier, n_tokens: int, n_steps: int) -> float:
    """Multiplications and additions of `n_steps` gradients of a text with `n_tokens` tokens."""
    size, blocks = clf.d_model, list(clf.body.h)
    layers = [[b.attn.c_attn, b.attn.c_proj, b.mlp.c_fc, b.mlp.c_proj] for b in blocks]
    weights = [sum(layer.weight.numel() for layer in block) for block in layers]
    keys_values = 2 * size * size
    applied = sum(weights[:-1]) * n_tokens + keys_values * n_tokens + weights[-1] - keys_values
    # two products of attention over half of the pairs, and all pairs of the last position in the last block
    attended = (len(blocks) - 1) * size * n_tokens * (n_tokens + 1) + 2 * size * n_tokens
    forward_and_back = 2 * 2 * applied + (1 + 2) * 2 * attended  # attention goes back to both of its factors
    return float(n_steps * forward_and_back)


def matmul_rate(clf: Classifier, precision: Precision, *, repeats: int = 9) -> float:
    """Multiplications and additions per second in matrix products of this model's shapes; the best of some runs."""
    dtype, device, size = getattr(torch, precision), clf.model.device, clf.d_model
    pairs = [
        (
            torch.randn(TOKENS_AT_ONCE, rows, device=device).to(dtype),
            torch.randn(rows, columns, device=device).to(dtype),
        )
        for rows, columns in ((size, 3 * size), (size, size), (size, 4 * size), (4 * size, size))
    ]
    done = sum(2 * left.numel() * right.shape[1] for left, right in pairs)
    best = min(_seconds(pairs) for _ in range(repeats + 1))
    return done / best


def _seconds(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    start = time.perf_counter()
    for left, right in pairs:
        float((left @ right)[0, 0])  # waits for the product where it is computed elsewhere
    return time.perf_counter() - start
