"""The verdict's gradient at points of a path, with no more work than the verdict needs.

Integrated gradients ask for one thing many times over: how the margin would move if the token embeddings moved, at points
between a baseline and the text. That is what they cost, so it is done here in a forward pass of its own, which equals the model's
within rounding and leaves out what nobody reads:

- no gradient of any weight is kept room for;
- of the last block, keys and values are computed at every position, all else at the position that the head reads;
- attention weights are not kept, and GPT-2's GELU is one operation in place of eight;
- points go through in batches of about `TOKENS_AT_ONCE` tokens: enough for fast matrix products, few enough for the processor's
  cache, and memory does not grow with the number of points.

In "bfloat16" the products with the weights are taken in numbers of 16 bits, which some processors do twice as fast. A number then
keeps 8 significant bits, an error of up to 0.4 %. Everything between the products stays in float32: residual stream,
LayerNorm, attention and head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from .classifier import Classifier

__all__ = ["PRECISIONS", "Path", "Precision", "logits_at_last", "margins_at", "pushes_at"]

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
TOKENS_AT_ONCE = 512
TANH_GELUS = ("gelu_new", "gelu_pytorch_tanh")  # two names of the same function; the first is GPT-2's

Product = tuple[Tensor, Tensor]  # weight [in out] and bias [out]


@dataclass(frozen=True, eq=False)
class Path:
    """A straight line from a baseline to a text in token-embedding space, and the margin that is followed along it.

    Attributes:
        start, end: token embeddings [pos d_model]; positions are added later.
        target, other: the classes whose logits make the margin.
        precision: of the products with the weights.
    """

    clf: Classifier
    start: Tensor
    end: Tensor
    target: int
    other: int
    precision: Precision = "float32"

    @cached_property
    def products(self) -> dict[nn.Module, Product]:
        """Weight and bias of every matrix of the blocks, in the precision asked for."""
        return _products(self.clf, getattr(torch, self.precision))


def pushes_at(path: Path, points: Tensor) -> tuple[Tensor, Tensor]:
    """What each token does to the margin per step along the path, at some points, and the margins there.

    Args:
        points: shares of the way [point], from 0 (baseline) to 1 (text).

    Returns:
        Σ_d (end − start)_td · ∂margin/∂x_td [point pos], whose sum over tokens is the margin's slope along the path, and the
        margins [point]; both float64 on the CPU.
    """
    way = path.end - path.start
    batches = -(-len(points) * len(way) // TOKENS_AT_ONCE)
    pushes, margins = [], []
    for some in points.to(way).tensor_split(min(batches, len(points))):
        with torch.enable_grad():
            embeddings = (path.start + some[:, None, None] * way).requires_grad_()
            logits = logits_at_last(path.clf, embeddings, path.products)
            margin = logits[:, path.target] - logits[:, path.other]
            (gradient,) = torch.autograd.grad(margin.sum(), embeddings)
        pushes.append((gradient * way).sum(-1).double().cpu())
        margins.append(margin.detach().double().cpu())
    return torch.cat(pushes), torch.cat(margins)


def margins_at(path: Path, points: Tensor) -> Tensor:
    """Margins [point] at some points of the path, always in float32; float64 on the CPU."""
    way = path.end - path.start
    with torch.no_grad():
        rows = [logits_at_last(path.clf, path.start[None] + point * way) for point in points.to(way)]
    logits = torch.cat(rows).double().cpu()
    return logits[:, path.target] - logits[:, path.other]


def logits_at_last(clf: Classifier, embeddings: Tensor, products: dict[nn.Module, Product] | None = None) -> Tensor:
    """Logits [batch class] of token embeddings [batch pos d_model], read at the last position.

    Args:
        products: see `Path.products`; None takes the classifier's own weights.
    """
    products = products or _products(clf, embeddings.dtype)
    stream = embeddings + clf.body.wpe.weight[: embeddings.shape[1]]
    for block in clf.body.h:
        stream = _block(clf, block, products, stream, only_last=block is clf.body.h[-1])
    return clf.model.score(clf.body.ln_f(stream[:, -1]))


def _products(clf: Classifier, dtype: torch.dtype) -> dict[nn.Module, Product]:
    layers = [
        layer
        for block in clf.body.h
        for layer in (block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj)
    ]
    return {layer: (layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)) for layer in layers}


def _block(
    clf: Classifier, block: nn.Module, products: dict[nn.Module, Product], stream: Tensor, *, only_last: bool
) -> Tensor:
    """One block on a stream [batch pos d_model]; where `only_last`, what it makes of the last position alone."""
    normed, (weight, bias), size = block.ln_1(stream), products[block.attn.c_attn], clf.d_model
    if only_last:
        query = _times(normed[:, -1:], (weight[:, :size], bias[:size]))
        key, value = _times(normed, (weight[:, size:], bias[size:])).split(size, -1)
        stream = stream[:, -1:]
    else:
        query, key, value = _times(normed, (weight, bias)).split(size, -1)
    heads = [part.float().unflatten(-1, (clf.n_head, -1)).transpose(1, 2) for part in (query, key, value)]
    z = functional.scaled_dot_product_attention(*heads, is_causal=not only_last, scale=block.attn.scaling)
    stream = stream + _times(z.transpose(1, 2).flatten(2), products[block.attn.c_proj])
    within = _times(block.ln_2(stream), products[block.mlp.c_fc])
    tanh_gelu = clf.model.config.activation_function in TANH_GELUS
    active = functional.gelu(within, approximate="tanh") if tanh_gelu else block.mlp.act(within)
    return stream + _times(active, products[block.mlp.c_proj])


def _times(vectors: Tensor, product: Product) -> Tensor:
    """Vectors [batch pos in] times a matrix, plus its bias [batch pos out], in the matrix's precision."""
    weight, bias = product
    return torch.addmm(bias, vectors.flatten(0, 1).to(weight.dtype), weight).unflatten(0, vectors.shape[:2])
