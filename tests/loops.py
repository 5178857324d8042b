"""GPT-2 written out in float64, one text and no hooks, with every intervention as a plain edit of its own numbers; and one
that can be followed on paper."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor

from gpt2cls_core import Classifier

ROUNDING = 1e-5  # the model computes in float32: sums of about 40 terms of size 1


def run(
    clf: Classifier,
    ids: Tensor,
    *,
    forbidden: dict[int, list[tuple[int, int]]] | None = None,
    without_head: tuple[int, int] | None = None,
    without_mlp: int | None = None,
    taken_out: tuple[Tensor, list[int]] | None = None,
    written: dict[tuple[int, int], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Logits at the last position [class], and attention [layer head query key].

    Args:
        forbidden: by layer, pairs (query, key): their weight AFTER the softmax becomes 0 and the row is divided by its sum.
        without_head, without_mlp: (layer, head), or layer, that writes nothing.
        taken_out: directions [layer+1 d_model] to project out, and where.
        written: vectors to put into cells (layer, position).
    """
    weights = {name: value.double() for name, value in clf.model.state_dict().items()}
    width = clf.d_model // clf.n_head

    def norm(x: Tensor, name: str) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        return x * weights[f"transformer.{name}.weight"] + weights[f"transformer.{name}.bias"]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"transformer.{name}.weight"] + weights[f"transformer.{name}.bias"]

    def edit(x: Tensor, layer: int) -> Tensor:
        x = x.clone()
        for position in taken_out[1] if taken_out else []:
            unit = taken_out[0][layer].double() / taken_out[0][layer].double().norm()
            x[position] -= (x[position] @ unit) * unit
        for (row, position), vector in (written or {}).items():
            if row == layer:
                x[position] = vector.double()
        return x

    x = weights["transformer.wte.weight"][ids] + weights["transformer.wpe.weight"][: len(ids)]
    x, looked = edit(x, 0), []
    for layer in range(clf.n_layer):
        query, key, value = linear(norm(x, f"h.{layer}.ln_1"), f"h.{layer}.attn.c_attn").split(clf.d_model, -1)
        z = torch.zeros_like(x)
        for head in range(clf.n_head):
            rows = slice(head * width, (head + 1) * width)
            weight = (query[:, rows] @ key[:, rows].T / width**0.5).exp().tril()
            for pair in (forbidden or {}).get(layer, []):
                weight[pair] = 0
            weight = weight / weight.sum(-1, keepdim=True)
            looked.append(weight)
            if (layer, head) != without_head:
                z[:, rows] = weight @ value[:, rows]
        x = x + linear(z, f"h.{layer}.attn.c_proj")
        if layer != without_mlp:
            hidden = torch.nn.functional.gelu(
                linear(norm(x, f"h.{layer}.ln_2"), f"h.{layer}.mlp.c_fc"), approximate="tanh"
            )
            x = x + linear(hidden, f"h.{layer}.mlp.c_proj")
        x = edit(x, layer + 1)
    attention = torch.stack(looked).unflatten(0, (clf.n_layer, clf.n_head))
    return norm(x[-1], "ln_f") @ weights["score.weight"].T, attention


def hooks(clf: Classifier) -> int:
    """How many hooks hang on the model."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in clf.model.modules())


def copying(clf2: Classifier) -> Classifier:
    """A model that can be followed on paper.

    The first block's attention spreads evenly and copies each vector as it is; all else writes nothing. " not" is the
    vector p, every other token q; both have mean 0 and variance 1 and are orthogonal. The head reads along p.
    """
    p = torch.tensor([1.0, -1] * 5)
    q = torch.tensor([1.0, 1, -1, -1, 1, 1, -1, -1, 0, 0]) * 1.25**0.5
    model = copy.deepcopy(clf2.model)
    for name, parameter in model.named_parameters():
        parameter.fill_(1 if "ln_" in name and name.endswith("weight") else 0)
    model.transformer.wte.weight[:] = q
    model.transformer.wte.weight[clf2.encode("good not").input_ids[1]] = p
    attention = model.transformer.h[0].attn
    attention.c_attn.weight[:, 20:] = torch.eye(10)
    attention.c_proj.weight[:] = torch.eye(10)
    model.score.weight[1] = p / 10
    return dataclasses.replace(clf2, model=model)
