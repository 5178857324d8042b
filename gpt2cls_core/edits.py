"""Changing the running model, and putting it back.

An *edit* changes one thing while the model runs: what attention may read, what a head or an MLP writes, what stands in a
cell of the residual stream. The weights stay as they are. Each edit is a hook on a module of the model; `edited` sets
hooks and takes every one of them away again, also after an exception, so that nothing done here outlives the call. An edit holds
in the thread that made it: others who run the model at the same moment get it unchanged (see `hooks`).

`interventions` and `patching` are made of these. They work on a batch of texts as well, padded on the right: by the causal
mask no real token ever reads padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .classifier import Classifier
from .hooks import here, hooked

__all__ = [
    "Edit",
    "Route",
    "allowed_attention",
    "cut_edits",
    "direction_edits",
    "edited",
    "head_edit",
    "mlp_edit",
    "run_edited",
    "state_edits",
]

Edit = Callable[[], RemovableHandle]
Route = Literal["every", "direct"]


def edited(edits: Iterable[Edit]) -> AbstractContextManager[None]:
    """Set the edits' hooks and remove every one of them, also after an exception."""
    return hooked(edits)


def run_edited(clf: Classifier, input_ids: Tensor, edits: Iterable[Edit]) -> Tensor:
    """The vectors after ``ln_f`` [batch pos d_model] of token ids [batch pos], with the edits in force."""
    ids = input_ids.to(clf.model.device)
    read_all = torch.ones_like(ids)  # an id that is the pad's may still be a token
    with torch.inference_mode(), edited(edits):
        hidden = clf.body(input_ids=ids, attention_mask=read_all, use_cache=False).last_hidden_state
    return hidden.clone()  # outside inference mode, so that it may be used in any computation


def allowed_attention(n_tokens: int, sources: Sequence[int], route: Route) -> Tensor:
    """What each position may read when `sources` are cut, bool [query key].

    By route "every" no later position reads a source; by route "direct" the last position alone does not. A token always
    reads itself.
    """
    allowed = torch.ones(n_tokens, n_tokens, dtype=torch.bool).tril()
    queries = slice(None) if route == "every" else slice(-1, None)
    for source in sources:
        allowed[queries, source] = False
    return allowed | torch.eye(n_tokens, dtype=torch.bool)


def cut_edits(clf: Classifier, allowed: Tensor, layers: Iterable[int]) -> list[Edit]:
    """Let attention read only what is allowed [query key] or [batch query key], in the given layers.

    What is not allowed gets a score of −∞ before the softmax, so the rest is renormalised to sum to 1, as it is for the
    causal mask itself.
    """
    allowed = allowed[None, None] if allowed.ndim == 2 else allowed[:, None]  # (batch, head, query, key)
    mask = torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf).to(clf.model.device)

    def replace(_module: nn.Module, inputs: tuple, named: dict) -> tuple[tuple, dict]:
        return inputs, {**named, "attention_mask": mask}

    return [
        partial(clf.body.h[layer].attn.register_forward_pre_hook, here(replace), with_kwargs=True) for layer in layers
    ]


def head_edit(clf: Classifier, layer: int, head: int) -> Edit:
    """Set what one head copies (z, before ``c_proj``) to zero at every position."""
    width = clf.d_model // clf.n_head

    def clear(_module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        z = inputs[0].clone()  # (batch, pos, head × d_head)
        z[..., head * width : (head + 1) * width] = 0
        return (z,)

    return partial(clf.body.h[layer].attn.c_proj.register_forward_pre_hook, here(clear))


def mlp_edit(clf: Classifier, layer: int) -> Edit:
    """Set what one MLP adds to zero at every position."""

    def clear(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        return torch.zeros_like(output)

    return partial(clf.body.h[layer].mlp.register_forward_hook, here(clear))


def direction_edits(clf: Classifier, directions: Tensor, at: Tensor) -> list[Edit]:
    """Project directions out of the residual stream after the embedding and after each block.

    Args:
        directions: unit vectors [layer+1 d_model].
        at: where, bool [batch pos] or [pos].
    """
    where = at.to(clf.model.device)[..., None]

    def project(direction: Tensor, stream: Tensor) -> Tensor:
        return torch.where(where, stream - (stream @ direction)[..., None] * direction, stream)

    return _stream_edits(clf, {i: partial(project, v) for i, v in enumerate(directions.to(clf.model.device))})


def state_edits(clf: Classifier, resid: Tensor, cells: Sequence[tuple[int, int]]) -> list[Edit]:
    """Write states of another run, resid [layer+1 pos d_model], into the given cells (layer, position)."""
    positions: dict[int, list[int]] = {}
    for layer, position in cells:
        positions.setdefault(layer, []).append(position)

    def write(layer: int, stream: Tensor) -> Tensor:
        stream = stream.clone()
        stream[:, positions[layer]] = resid[layer, positions[layer]].to(stream)
        return stream

    return _stream_edits(clf, {layer: partial(write, layer) for layer in positions})


def _stream_edits(clf: Classifier, changes: dict[int, Callable[[Tensor], Tensor]]) -> list[Edit]:
    """Change the stream [batch pos d_model] that each layer of the grid holds: 0 is the embedding, l the output of block l − 1."""
    modules = [clf.body.drop, *clf.body.h]

    def hook(change: Callable[[Tensor], Tensor], _module: nn.Module, _inputs: object, output: Tensor | tuple) -> object:
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    return [
        partial(modules[layer].register_forward_hook, here(partial(hook, change))) for layer, change in changes.items()
    ]
