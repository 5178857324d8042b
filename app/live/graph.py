"""A classifier's forward pass and its gradient as one ONNX graph, for a runtime that knows no autograd.

torch does the calculus: a block, and what reads the stream at the top, are written once as functions of a stream and weights,
`torch.func.vjp` makes their gradients, and both are traced and exported with a symbolic length. GPT-2's blocks differ in their
weights alone, so one export serves all of them (`assemble`).

    inputs   stream [pos d_model]: token plus position embeddings
             mask.l [query key]: added to the scores of block l; −∞ where nothing may be read
             delta.l [pos d_model]: added to the stream at layer l of the grid, 0 = embeddings; where a state is patched
             head [class d_model]; sides [class]: +1 for the class explained, −1 for its rival
             with_slopes: whether the gradient is run too
    outputs  state.l [pos d_model]; attention.l [head query key]; logits.l [pos class]: ln_f and head of each state
             final [d_model]: after ln_f, at the last position
             slope [pos d_model]: of the margin, by the stream
             useful.l [query key]: mean over heads of max(0, attention · slope of the margin by attention)

The graph holds no weights: they lie in a file of their own, in float32, in the order of `weight_names`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from gpt2cls_core import Classifier, OptionError

from .assemble import Parts, Shape, assemble

if TYPE_CHECKING:
    from onnx import GraphProto

__all__ = ["graph_of", "weight_names"]

Weights = dict[str, Tensor]
BLOCK_OUT = ("after", "state", "attention", "slope", "useful")
TOP_OUT = ("state", "logits", "final", "slope")
_MADE: dict[tuple, bytes] = {}  # by architecture: a graph holds no weights


def weight_names(clf: Classifier) -> list[str]:
    """The weights that the graph reads, in the order in which they lie in the file: all of the body but the embeddings."""
    return [name for name, _ in clf.model.named_parameters() if ".h." in name or ".ln_f." in name]


def graph_of(clf: Classifier) -> bytes:
    """The ONNX file of a classifier's architecture; takes some seconds, once for all classifiers of one.

    Raises:
        OptionError: its blocks differ in more than their weights.
        ImportError: the extra "live" is not installed.
    """
    scalings = {block.attn.scaling for block in clf.body.h}
    if len(scalings) > 1:
        raise OptionError(f"{clf.name} scales attention by layer, which the lesson that needs no server can't do.")
    config = clf.model.config
    kind = (clf.n_layer, clf.n_head, clf.d_model, len(clf.labels), config.n_inner, config.activation_function)
    kind += (*scalings, config.layer_norm_epsilon)
    if kind not in _MADE:
        _MADE[kind] = assemble(Parts(_block_graph(clf), _top_graph(clf)), _weights(clf), **_ends(clf))
    return _MADE[kind]


def _weights(clf: Classifier) -> dict[str, tuple[int, ...]]:
    names = set(weight_names(clf))
    return {name: tuple(weight.shape) for name, weight in clf.model.named_parameters() if name in names}


def _ends(clf: Classifier) -> dict[str, dict[str, Shape]]:
    """Names and shapes of inputs and outputs, as at the top of this file."""
    vectors, layers, states = ("pos", clf.d_model), range(clf.n_layer), range(clf.n_layer + 1)
    inputs: dict[str, Shape] = {"stream": vectors, **{f"mask.{i}": ("pos", "pos") for i in layers}}
    inputs |= {f"delta.{i}": vectors for i in states}
    inputs |= {"head": tuple(clf.score.shape), "sides": (len(clf.labels),), "with_slopes": ()}
    outputs: dict[str, Shape] = {f"state.{i}": vectors for i in states}
    outputs |= {f"attention.{i}": (clf.n_head, "pos", "pos") for i in layers}
    outputs |= {f"logits.{i}": ("pos", len(clf.labels)) for i in states}
    outputs |= {"final": (clf.d_model,), "slope": vectors}
    outputs |= {f"useful.{i}": ("pos", "pos") for i in layers}
    return {"inputs": inputs, "outputs": outputs}


def _block_graph(clf: Classifier) -> GraphProto:
    block = clf.body.h[0]
    weights = {name: weight.detach() for name, weight in block.named_parameters()}
    epsilon = block.ln_1.eps

    def forward(before: Tensor, push: Tensor, mask: Tensor, w: Weights) -> tuple[Tensor, Tensor]:
        """The stream after the block, and attention, to which `push`, all zero, is added: its slope is attention's."""
        read = _times(_normed(before, w, "ln_1", epsilon), w, "attn.c_attn").split(clf.d_model, -1)
        query, key, value = (part.unflatten(-1, (clf.n_head, -1)).transpose(0, 1) for part in read)
        attention = (query @ key.transpose(-1, -2) * block.attn.scaling + mask).softmax(-1)
        z = ((attention + push) @ value).transpose(0, 1).flatten(1)
        between = before + _times(z, w, "attn.c_proj")
        within = block.mlp.act(_times(_normed(between, w, "ln_2", epsilon), w, "mlp.c_fc"))
        return between + _times(within, w, "mlp.c_proj"), attention

    def run(stream: Tensor, mask: Tensor, delta: Tensor, upstream: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        w = dict(zip(weights, given, strict=True))
        state = stream + delta
        push = stream.new_zeros(clf.n_head, stream.shape[0], stream.shape[0])
        after, back, attention = torch.func.vjp(lambda s, p: forward(s, p, mask, w), state, push, has_aux=True)
        slope, by_attention = back(upstream)
        return after, state, attention, slope, (attention * by_attention).clamp(min=0).mean(0)

    vectors = torch.randn(7, clf.d_model)
    axes = {0: "pos"}
    inputs = {"stream": (vectors, axes), "mask": (torch.zeros(7, 7), {0: "pos", 1: "pos"})}
    inputs |= {"delta": (torch.randn(7, clf.d_model), axes), "upstream": (torch.randn(7, clf.d_model), axes)}
    return _traced(run, inputs | {name: (weight, {}) for name, weight in weights.items()}, BLOCK_OUT)


def _top_graph(clf: Classifier) -> GraphProto:
    weights = {name: weight.detach() for name, weight in clf.body.ln_f.named_parameters()}
    epsilon = clf.body.ln_f.eps

    def forward(state: Tensor, head: Tensor, sides: Tensor, w: Weights) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        normed = functional.layer_norm(state, state.shape[-1:], w["weight"], w["bias"], epsilon)
        logits = normed @ head.T
        return logits[-1] @ sides, (logits, normed[-1])

    def run(
        stream: Tensor, delta: Tensor, head: Tensor, sides: Tensor, weight: Tensor, bias: Tensor
    ) -> tuple[Tensor, ...]:
        state = stream + delta
        w = {"weight": weight, "bias": bias}
        margin, back, (logits, final) = torch.func.vjp(lambda s: forward(s, head, sides, w), state, has_aux=True)
        return state, logits, final, back(torch.ones_like(margin))[0]

    axes = {0: "pos"}
    inputs = {"stream": (torch.randn(7, clf.d_model), axes), "delta": (torch.randn(7, clf.d_model), axes)}
    inputs |= {"head": (clf.score, {}), "sides": (torch.randn(len(clf.labels)), {})}
    return _traced(run, inputs | {name: (weight, {}) for name, weight in weights.items()}, TOP_OUT)


def _normed(vectors: Tensor, weights: Weights, name: str, epsilon: float) -> Tensor:
    return functional.layer_norm(
        vectors, vectors.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon
    )


def _times(vectors: Tensor, weights: Weights, name: str) -> Tensor:
    return vectors @ weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _traced(
    run: Callable[..., tuple[Tensor, ...]], inputs: dict[str, tuple[Tensor, dict[int, str]]], outputs: Sequence[str]
) -> GraphProto:
    """A function as an ONNX graph; `inputs` are examples, each with the names of its axes that may be of any size."""
    from torch._decomp import core_aten_decompositions
    from torch.fx.experimental.proxy_tensor import make_fx

    examples = tuple(example for example, _ in inputs.values())
    sizes = {"pos": torch.export.Dim("pos", min=1)}
    free = [{axis: sizes[name] for axis, name in axes.items()} or None for _, axes in inputs.values()]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of packages that nobody needs here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        unrolled = make_fx(run, tracing_mode="symbolic", decomposition_table=core_aten_decompositions())(*examples)
        exported = torch.export.export(unrolled, examples, dynamic_shapes=tuple(free))
        program = torch.onnx.export(
            exported, examples, dynamo=True, input_names=list(inputs), output_names=list(outputs), verbose=False
        )
    return program.model_proto.graph
