"""Taking a part of the model away: a head, an MLP, or a direction at chosen positions.

A head or an MLP is set to *zero*: it writes nothing, at any position. That is the plainest choice and not a neutral one. A
part that always writes the same constant is missed by all that come after it, and looks important though it told nothing about
this text; the mean over many texts, the usual remedy, needs many texts.

A direction is *projected out*: of each chosen vector, the component along it is removed, after the embedding and again after
every block, so that blocks can't write it back. Sentiment is such a direction in language models (Tigges et al. 2023,
arXiv:2310.15154), and they found it stored at commas, full stops and names on its way to the last position: ablated at
commas alone it cost about half the accuracy that it cost when ablated everywhere. How far that holds for a model of this
project is measured by `python -m gpt2cls_core.training interventions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .cells import check_index
from .classifier import Classifier, Encoding
from .edits import direction_edits, head_edit, mlp_edit
from .effect import InterventionEffect, effect_of
from .errors import OptionError
from .probes import LensProbes
from .resume import Memory, in_batches, remember, resume
from .trace import Trace

__all__ = [
    "MARKS",
    "ablate_direction",
    "ablate_each_head",
    "ablate_head",
    "ablate_mlp",
    "punctuation_positions",
    "sentiment_directions",
]

MARKS = ",.;:!?…"  # what is taken for punctuation: signs that end or part clauses


def ablate_head(
    clf: Classifier, trace: Trace, layer: int, head: int, *, target: int | str | None = None
) -> InterventionEffect:
    """Zero ablation of a head: what it copies (z, before ``c_proj``) becomes zero at every position.

    Args:
        layer, head: counted from 0, as in `Trace.attention`; the effect's name counts from 1, for a reader.
        target: class index or label; None takes class 1 of two, or the predicted class of more.

    Raises:
        OptionError: there is no such layer, head or class.
    """
    layer, head = check_index("layer", layer, clf.n_layer), check_index("head", head, clf.n_head)
    name = f"head {head + 1} of layer {layer + 1} set to zero"
    return effect_of(clf, trace, name, [head_edit(clf, layer, head)], target)


def ablate_each_head(clf: Classifier, trace: Trace, *, target: int | str | None = None) -> Tensor:
    """Margins after zero ablation of each head alone [layer head]; the same as `ablate_head`, only faster.

    Raises:
        OptionError: there is no such class.
    """
    chosen, other = clf.target(target, trace.logits)
    memory = remember(clf, trace.resid)
    margins = torch.empty(clf.n_layer, clf.n_head)
    for layer in range(clf.n_layer):
        for heads in in_batches(range(clf.n_head), len(trace.tokens), most=clf.n_head):
            stream = _without_heads(clf, trace, memory, layer, heads)
            logits = resume(clf, memory, stream, layer=layer + 1, start=0)
            margins[layer, heads] = logits[:, chosen] - logits[:, other]
    return margins


def _without_heads(clf: Classifier, trace: Trace, memory: Memory, layer: int, heads: list[int]) -> Tensor:
    """The stream after a block [batch pos d_model], each row without one of the heads."""
    block, device = clf.body.h[layer], clf.model.device
    top = layer == clf.n_layer - 1
    queries = slice(-1 if top else 0, None)  # above the last block only the last position is read
    with torch.inference_mode():
        z = trace.attention[layer, heads, queries].to(device) @ memory.values[layer][heads]  # (batch, pos, d_head)
        written = z @ block.attn.c_proj.weight.unflatten(0, (clf.n_head, -1))[heads]
        stream = (trace.resid[layer] + trace.attn_out[layer])[queries].to(device) - written
        return stream + block.mlp(block.ln_2(stream))


def ablate_mlp(clf: Classifier, trace: Trace, layer: int, *, target: int | str | None = None) -> InterventionEffect:
    """Zero ablation of an MLP: it adds nothing, at any position.

    Raises:
        OptionError: there is no such layer or class.
    """
    layer = check_index("layer", layer, clf.n_layer)
    return effect_of(clf, trace, f"MLP of layer {layer + 1} set to zero", [mlp_edit(clf, layer)], target)


def ablate_direction(
    clf: Classifier,
    trace: Trace,
    directions: Tensor,
    positions: Sequence[int],
    *,
    target: int | str | None = None,
) -> InterventionEffect:
    """Take a direction out of the residual stream at chosen positions, after the embedding and after each block.

    x ← x − (x · v) v. Tigges et al. 2023 (arXiv:2310.15154) do this at commas alone to show that sentiment is stored there.

    Args:
        directions: one v per layer of the grid [layer+1 d_model], of any length but zero; see `sentiment_directions`.
        positions: see `punctuation_positions`.

    Raises:
        OptionError: no positions, no such token or class, directions of another shape, or one of length zero.
    """
    positions = sorted({check_index("token", position, len(trace.tokens)) for position in positions})
    if not positions:
        raise OptionError("There is no position to ablate the direction at; choose one or more tokens.")
    expected = [clf.n_layer + 1, clf.d_model]
    if list(directions.shape) != expected:
        raise OptionError(f"Directions of {clf.name} have the shape {expected}, not {list(directions.shape)}.")
    lengths = directions.norm(dim=-1, keepdim=True)
    if not (lengths > 0).all():
        raise OptionError("A direction of length zero (or not a number) points nowhere; give one per layer.")
    at = torch.zeros(len(trace.tokens), dtype=torch.bool)
    at[positions] = True
    name = f"direction taken out at {len(positions)} token" + "s" * (len(positions) > 1)
    return effect_of(clf, trace, name, direction_edits(clf, directions / lengths, at), target)


def sentiment_directions(
    clf: Classifier, probes: LensProbes | None = None, *, target: int | str = 1, other: int | str = 0
) -> Tensor:
    """Unit vectors along which the verdict is read [layer+1 d_model].

    Of the trained probes where they are given, each layer in its own coordinates; else the head's own direction through
    ``ln_f``'s scale, γ ⊙ (W[target] − W[other]), the same at every layer. LayerNorm takes the mean of a vector away before
    anything is read, so the mean of each direction is taken away too.

    Raises:
        OptionError: there is no such class, it is given twice, or the probes are another model's.
    """
    none = torch.zeros(len(clf.labels))
    plus, minus = clf.target(target, none)[0], clf.target(other, none)[0]
    if plus == minus:
        raise OptionError(f"Give two classes; {clf.labels[plus]!r} against itself has no direction.")
    if probes is None:
        weights = clf.body.ln_f.weight.detach() * (clf.score[plus] - clf.score[minus])
        weights = weights.float().cpu().expand(clf.n_layer + 1, -1)
    else:
        expected = [clf.n_layer + 1, clf.d_model]
        if len(clf.labels) != 2 or list(probes.weights.shape) != expected:
            raise OptionError(f"These probes are not of {clf.name}; load its own with load_lens_probes, or give none.")
        weights = probes.weights if plus == 1 else -probes.weights
    return torch.nn.functional.normalize(weights - weights.mean(-1, keepdim=True), dim=-1)


def punctuation_positions(read: Trace | Encoding, *, marks: str = MARKS, last: bool = False) -> tuple[int, ...]:
    """Positions of tokens that are nothing but the given marks.

    Args:
        last: whether the last position counts too. It is where the head reads, so what is changed there shows nothing about
            what other positions store.
    """
    end = len(read.tokens) if last else len(read.tokens) - 1
    shown = [token.strip() for token in read.tokens[:end]]
    return tuple(i for i, token in enumerate(shown) if token and all(character in marks for character in token))
