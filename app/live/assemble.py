"""Puts one block's ONNX graph, and the top's, together to a whole model's: copies, wires, and the choice to leave the gradient out.

A traced block computes what it does to the stream and, from the slope of the margin by what it gave, the slope by what it got. A
model is L copies: the stream goes up through them, the slope comes down. The copies' nodes are then put in an order in which they
can run, and those that only the gradient needs go into a branch of an ``If``, so that a verdict alone costs half.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

__all__ = ["WEIGHTS_FILE", "Parts", "Shape", "assemble"]

WEIGHTS_FILE = "weights"  # the name by which the graph asks its runtime for them
OPSET, IR_VERSION = 20, 10
Shape = tuple[int | str, ...]


@dataclass(frozen=True, eq=False)
class Parts:
    """What is repeated, as `graph` traces it: graphs without weights, which are inputs of theirs."""

    block: GraphProto
    top: GraphProto


def assemble(
    parts: Parts, weights: Mapping[str, tuple[int, ...]], *, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]
) -> bytes:
    """The ONNX file.

    Args:
        weights: names and shapes in the order in which they lie in their file.
        inputs, outputs: of the whole graph, see `graph`; the last input chooses whether ``slope`` and ``useful`` are computed.
    """
    from onnx import TensorProto, helper

    n_layer = sum(name.startswith("attention.") for name in outputs)
    nodes, constants = _copies(parts, n_layer)
    backward = [name for name in outputs if name.startswith(("slope", "useful."))]
    up = _needed(nodes, [name for name in outputs if name not in backward])
    known = {node.name for node in up}
    down = [node for node in _needed(nodes, map(_inner, backward)) if node.name not in known]
    switch = list(inputs)[-1]
    used = {name for node in (*up, *down) for name in node.input}
    graph = helper.make_graph(
        [*up, _either(switch, down, backward)],
        "gpt2cls",
        [
            helper.make_tensor_value_info(name, TensorProto.BOOL if name == switch else TensorProto.FLOAT, shape)
            for name, shape in inputs.items()
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None if name in backward else shape)
            for name, shape in outputs.items()
        ],
        [*(constant for constant in constants if constant.name in used), *_outside(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return model.SerializeToString()


def _copies(parts: Parts, n_layer: int) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants of all copies, wired: a block's slope by what it gave is the next one's by what it got."""
    slopes = [_inner("slope"), *(f"slope.{i}" for i in range(1, n_layer + 1))]
    nodes, constants = [], []
    for i in range(n_layer + 1):
        shared = {"stream": f"after.{i - 1}" if i else "stream", "delta": f"delta.{i}"}
        top = shared | {"head": "head", "sides": "sides", "logits": f"logits.{i}"}
        top |= {name: f"transformer.ln_f.{name}" for name in ("weight", "bias")}
        if i == n_layer:
            copies = {f"top.{i}/": (parts.top, top | {"state": f"state.{i}", "final": "final", "slope": slopes[i]})}
        else:  # below the top, nothing but its logits is used
            block = shared | {"mask": f"mask.{i}", "slope": slopes[i], "upstream": slopes[i + 1], "after": f"after.{i}"}
            block |= {"state": f"state.{i}", "attention": f"attention.{i}", "useful": _inner(f"useful.{i}")}
            block |= {value.name: f"transformer.h.{i}.{value.name}" for value in parts.block.input[4:]}
            copies = {f"block.{i}/": (parts.block, block), f"top.{i}/": (parts.top, top)}
        for prefix, (part, wires) in copies.items():
            nodes += [_copy(node, prefix, wires) for node in part.node]
            constants += [_named(tensor, prefix) for tensor in part.initializer]
    return nodes, constants


def _inner(name: str) -> str:
    """What an output of the ``If`` is called within its branch."""
    return f"then/{name}"


def _copy(node: NodeProto, prefix: str, wires: Mapping[str, str]) -> NodeProto:
    """A node with its inputs and outputs renamed: as wired, or as its copy's own."""
    copy = type(node)()
    copy.CopyFrom(node)
    copy.name = prefix + node.name
    del copy.metadata_props[:]
    for names in (copy.input, copy.output):
        names[:] = [wires.get(name, prefix + name) if name else "" for name in names]
    return copy


def _named(tensor: TensorProto, prefix: str) -> TensorProto:
    copy = type(tensor)()
    copy.CopyFrom(tensor)
    copy.name = prefix + tensor.name
    return copy


def _needed(nodes: Sequence[NodeProto], outputs: Iterable[str]) -> list[NodeProto]:
    """The nodes that these outputs need, each after those that it needs."""
    makers = {name: node for node in nodes for name in node.output if name}
    found: dict[str, NodeProto] = {}
    waiting = [(makers[name], False) for name in outputs]
    while waiting:
        node, ready = waiting.pop()
        if node.name in found:
            continue
        if ready:
            found[node.name] = node
            continue
        waiting.append((node, True))
        waiting += [(makers[name], False) for name in node.input if name in makers]
    return list(found.values())


def _either(switch: str, nodes: Sequence[NodeProto], outputs: Sequence[str]) -> NodeProto:
    """An ``If``: what these nodes give, or empty vectors."""
    from onnx import TensorProto, helper

    def branch(name: str, held: Sequence[NodeProto], ends: Sequence[str]) -> GraphProto:
        values = [helper.make_tensor_value_info(end, TensorProto.FLOAT, None) for end in ends]
        return helper.make_graph(held, name, [], values)

    nothing, ends = helper.make_tensor("nothing", TensorProto.FLOAT, [0], []), [f"else/{name}" for name in outputs]
    empty = [helper.make_node("Constant", [], [end], value=nothing) for end in ends]
    branches = {
        "then_branch": branch("then", nodes, [*map(_inner, outputs)]),
        "else_branch": branch("else", empty, ends),
    }
    return helper.make_node("If", [switch], list(outputs), **branches)


def _outside(weights: Mapping[str, tuple[int, ...]]) -> Iterable[TensorProto]:
    """Weights that lie in a file of their own, one behind the other, in float32."""
    from onnx import StringStringEntryProto, TensorProto

    offset = 0
    for name, shape in weights.items():
        size = 4 * prod(shape)
        place = {"location": WEIGHTS_FILE, "offset": offset, "length": size}
        entries = [StringStringEntryProto(key=key, value=str(value)) for key, value in place.items()]
        yield TensorProto(
            name=name,
            dims=shape,
            data_type=TensorProto.FLOAT,
            data_location=TensorProto.EXTERNAL,
            external_data=entries,
        )
        offset += size
