"""The exact account: who wrote the margin into the last vector.

The last vector is a sum. Token and position embedding start it; each block's heads and MLP add to it (Elhage et al.
2021, "A mathematical framework for transformer circuits"). The head reads it by a dot product, so the margin is the
same sum, read term by term: *direct logit attribution*. Only ``ln_f`` stands between, and it is linear once its scale
is given:

    margin = u · x + w · β,   u = centre(γ ⊙ w) / σ,   w = W[target] − W[other]

with x the last vector before ``ln_f``, σ = sqrt(var(x) + ε) frozen at the value that it has on this text, γ and β
``ln_f``'s scale and shift. Subtracting the mean of x is the same as subtracting it from γ ⊙ w (*centre*), so no rest
remains: the terms add up to the margin within rounding error (`Ledger.residual`).

A head copies: what it wrote is attention times value, summed over the tokens that it read, and so its term is a sum
over *source* positions. A part of each value is the same whatever stands there (the value bias, and what W_V makes of
the shift of ``ln_1``). As attention sums to 1, that part is written at full strength wherever the head looks. It comes
from no token and is booked, with the bias of ``c_proj``, as the layer's *attention bias* (TransformerLens folds value
biases in the same way).

What the account leaves out: indirect routes. A source position holds, from layer 1 on, what earlier blocks brought
there, and an early head may matter only through what later ones make of it. A term is what was written, not what would
change without it: if it were taken away, later blocks and σ would change as well. `interventions` measures that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .cells import check_index
from .classifier import Classifier
from .trace import Trace

__all__ = ["Ledger", "Term", "margin_ledger"]

Kind = Literal["token embedding", "position embedding", "head", "attention bias", "mlp", "final bias"]


@dataclass(frozen=True)
class Term:
    """One entry of the account.

    Attributes:
        kind: what wrote it.
        layer, head: counted from 0; None where there is no such thing.
        value: logits of margin; positive speaks for the target.
    """

    kind: Kind
    layer: int | None
    head: int | None
    value: float

    @property
    def name(self) -> str:
        """For a reader, who counts from 1: "layer 3, head 8"."""
        what = {"head": f"head {(self.head or 0) + 1}", "mlp": "MLP", "final bias": "bias of the final LayerNorm"}
        name = what.get(self.kind, self.kind)
        return name if self.layer is None else f"layer {self.layer + 1}, {name}"


@dataclass(frozen=True, eq=False)
class Ledger:
    """The margin as a sum; float64, in logits, positive for `target` against `other`.

    Attributes:
        token_embedding, position_embedding: of the last token.
        heads: [layer head], each without its constant part.
        attention_bias: [layer], what attention writes whatever it reads.
        mlps: [layer]
        final_bias: what the shift of ``ln_f`` gives to every text.
        by_source: [layer head pos], each head's term by the token that it read; sums to `heads` over pos.
        scale: σ, the frozen scale of ``ln_f``.
        margin: as the model gave it.
        target, other: the class explained and its strongest rival.
    """

    tokens: tuple[str, ...]
    labels: tuple[str, ...]
    token_embedding: float
    position_embedding: float
    heads: Tensor
    attention_bias: Tensor
    mlps: Tensor
    final_bias: float
    by_source: Tensor
    scale: float
    margin: float
    target: int
    other: int

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms from the embedding up; within a layer the heads, their bias, the MLP. They sum to `margin`."""
        terms = [
            Term("token embedding", None, None, self.token_embedding),
            Term("position embedding", None, None, self.position_embedding),
        ]
        for layer, heads in enumerate(self.heads.tolist()):
            terms += [Term("head", layer, head, value) for head, value in enumerate(heads)]
            terms.append(Term("attention bias", layer, None, float(self.attention_bias[layer])))
            terms.append(Term("mlp", layer, None, float(self.mlps[layer])))
        return (*terms, Term("final bias", None, None, self.final_bias))

    @property
    def residual(self) -> float:
        """Margin minus the sum of the terms: the rounding of the model's own float32 sum."""
        return self.margin - sum(term.value for term in self.terms)

    @property
    def written_by_token(self) -> Tensor:
        """What each token wrote into the last vector directly: `by_source` summed over layers and heads [pos].

        The last position is a source too: heads read it as they read the others.
        """
        return self.by_source.sum((0, 1))

    @property
    def from_no_source(self) -> float:
        """The rest, which no head read anywhere: the last token's embeddings, its MLPs, and the biases.

        ``written_by_token.sum() + from_no_source + residual == margin``
        """
        embeddings = self.token_embedding + self.position_embedding
        return embeddings + float(self.mlps.sum() + self.attention_bias.sum()) + self.final_bias

    def sources(self, layer: int, head: int) -> Tensor:
        """One head's term by the token that it read [pos].

        Raises:
            OptionError: there is no such layer or head.
        """
        layer = check_index("layer", layer, len(self.heads))
        return self.by_source[layer, check_index("head", head, self.heads.shape[1])]


def margin_ledger(clf: Classifier, trace: Trace, *, target: int | str | None = None) -> Ledger:
    """Book the margin to embeddings, heads, MLPs and biases; costs no forward pass.

    Args:
        target: class index or label; None takes class 1 of two, or the predicted class of more.

    Raises:
        OptionError: there is no such class.

    Caveat: σ is frozen, and routes through other positions or later blocks are not followed (see the module).
    """
    chosen, other = clf.target(target, trace.logits)
    direction, final_bias, scale = _direction(clf, trace.resid[-1, -1], chosen, other)
    booked = [_read_block(clf, trace, layer, direction) for layer in range(clf.n_layer)]
    by_source = torch.stack([part[0] for part in booked])  # (layer, head, pos)
    position = trace.last_token_index
    return Ledger(
        tokens=trace.tokens,
        labels=trace.labels,
        token_embedding=float(_exact(clf.body.wte.weight[trace.input_ids[-1]]) @ direction),
        position_embedding=float(_exact(clf.body.wpe.weight[position]) @ direction),
        heads=by_source.sum(-1),
        attention_bias=torch.stack([part[1] for part in booked]),
        mlps=_exact(trace.mlp_out[:, -1]) @ direction,
        final_bias=final_bias,
        by_source=by_source,
        scale=scale,
        margin=float(trace.logits[chosen] - trace.logits[other]),
        target=chosen,
        other=other,
    )


def _exact(tensor: Tensor) -> Tensor:
    """Float64 on the CPU, so that rounding is the model's and not ours."""
    return tensor.detach().cpu().double()


def _direction(clf: Classifier, last: Tensor, target: int, other: int) -> tuple[Tensor, float, float]:
    """u [d_model], w · β, and σ: the margin is u · last + w · β."""
    norm = clf.body.ln_f
    weights = _exact(clf.score[target]) - _exact(clf.score[other])
    scale = (_exact(last).var(unbiased=False) + norm.eps).sqrt()
    scaled = _exact(norm.weight) * weights
    return (scaled - scaled.mean()) / scale, float(weights @ _exact(norm.bias)), float(scale)


def _read_block(clf: Classifier, trace: Trace, layer: int, direction: Tensor) -> tuple[Tensor, Tensor]:
    """What one layer's heads wrote at the last position along `direction`: by source [head pos], and the constant [].

    Values are recomputed from the stream: v = ln_1(resid) W_V + b_V. They are never formed in full: W_V is first
    contracted with what ``c_proj`` and the direction make of each head's output, which leaves one number per head and
    position.
    """
    block, d_model = clf.body.h[layer], clf.d_model
    value_weight = _exact(block.attn.c_attn.weight[:, 2 * d_model :]).unflatten(1, (clf.n_head, -1))
    value_bias = _exact(block.attn.c_attn.bias[2 * d_model :])
    read_out = _exact(block.attn.c_proj.weight) @ direction  # (d_model,) = (head × d_head,)
    per_head = torch.einsum("dhe,he->dh", value_weight, read_out.unflatten(0, (clf.n_head, -1)))  # (d_model, head)
    stream = _exact(trace.resid[layer])
    normal = torch.nn.functional.layer_norm(stream, (d_model,), _exact(block.ln_1.weight), eps=block.ln_1.eps)
    values = normal @ per_head  # (pos, head)
    constant = _exact(block.ln_1.bias) @ per_head.sum(1) + value_bias @ read_out
    constant = constant + _exact(block.attn.c_proj.bias) @ direction
    return _exact(trace.attention[layer, :, -1]) * values.T, constant
