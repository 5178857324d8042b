"""How attention can carry the past to the last position.

Attention rollout (Abnar & Zuidema 2020, arXiv:2005.00928) treats each block as a mixture: half of a position stays (the residual
connection), half is drawn from earlier positions as attention says. Multiplying the mixtures through all blocks gives, for each
position at the top, from which input tokens it could have drawn:

    R = Â_L · … · Â_1,   Â = ½ I + ½ mean_h A_h

On a causal model the raw rollout is mostly architecture. Even attention that has learned nothing (uniform over what the mask
allows) piles the flow onto the first tokens (Wu et al. 2025, arXiv:2502.01951). So every result carries this *null* beside it, and
`Rollout.beyond` is what was learned beyond it. Trained models also park attention on the first token, a *sink*;
``remove_sink=True`` takes it out.

Attention has no sign: rollout says how much could have come from where, never for which class. `gradient_weighted_rollout` (Chefer,
Gur & Wolf 2021, arXiv:2012.09838) keeps only attention that raises the margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .attribution import margin_of_embeddings
from .classifier import Classifier
from .errors import ModelError, OptionError
from .trace import Trace, forward_hooks

__all__ = ["GradientRollout", "Rollout", "attention_rollout", "gradient_weighted_rollout", "uniform_causal_attention"]


@dataclass(frozen=True, eq=False)
class Rollout:
    """Attention rollout of one text, and the null that the architecture gives by itself.

    Attributes:
        weights: [query key]; rows sum to 1, keys after the query are 0.
        null: the same for uniform causal attention [query key].
        flow: [layer+1 pos]: how much of the last position's final vector passes through each cell of the grid. The top row
            is 1 at the last token, the bottom row is ``weights[-1]``.
        null_flow: the same for the null.
    """

    tokens: tuple[str, ...]
    weights: Tensor
    null: Tensor
    flow: Tensor
    null_flow: Tensor
    sink_removed: bool

    @property
    def beyond(self) -> Tensor:
        """What was learned beyond the architecture: weights − null [query key]; rows sum to 0."""
        return self.weights - self.null


@dataclass(frozen=True, eq=False)
class GradientRollout:
    """Gradient-weighted rollout of one text.

    Attributes:
        relevance: [query key], at least 0; for the last query, how much each token's attended path raises the margin.
        flow: [layer+1 pos]: relevance of each cell of the grid for the last query; the bottom row is ``relevance[-1]``.
        target, other: the class explained and its strongest rival.
    """

    tokens: tuple[str, ...]
    labels: tuple[str, ...]
    relevance: Tensor
    flow: Tensor
    target: int
    other: int


def attention_rollout(trace: Trace, *, residual: float = 0.5, remove_sink: bool = False) -> Rollout:
    """Roll attention out through all blocks.

    Args:
        residual: share that stays in place in each block, 0 to 1.
        remove_sink: take the first token out as a key of later queries and renormalise, in the model and in the null.

    Raises:
        OptionError: `residual` outside 0 … 1.
    """
    if not 0 <= residual <= 1:
        raise OptionError(f"residual must lie between 0 and 1, not {residual}.")
    attention = trace.attention.mean(1)  # (layer, query, key)
    uniform = uniform_causal_attention(len(trace.tokens)).expand_as(attention)
    if remove_sink:
        attention, uniform = _without_sink(attention), _without_sink(uniform)
    weights, flow = _roll(attention, residual)
    null, null_flow = _roll(uniform, residual)
    return Rollout(trace.tokens, weights, null, flow, null_flow, remove_sink)


def uniform_causal_attention(n_tokens: int) -> Tensor:
    """Attention that has learned nothing: each query spreads evenly over itself and what came before [query key]."""
    allowed = torch.ones(n_tokens, n_tokens).tril()
    return allowed / allowed.sum(-1, keepdim=True)


def gradient_weighted_rollout(clf: Classifier, trace: Trace, *, target: int | str | None = None) -> GradientRollout:
    """Chefer's rollout: R ← R + Ā R with Ā = mean_h max(0, A ⊙ ∂margin/∂A), from R = I.

    Runs the model once forward and once backward; the graph is freed before returning.

    Raises:
        OptionError: there is no such class.
    """
    chosen, other = clf.target(target, trace.logits)
    attention: list[Tensor] = []

    def keep(_module: object, _inputs: object, output: tuple) -> None:
        if output[1] is None:
            raise ModelError('The model returns no attention weights; load it with attn_implementation="eager".')
        attention.append(output[1])

    embeddings = clf.body.wte.weight[trace.input_ids.to(clf.model.device)].detach()[None].requires_grad_()
    with torch.enable_grad(), forward_hooks(*[(block.attn, keep) for block in clf.body.h]):
        margin = margin_of_embeddings(clf, embeddings, chosen, other)[0]
        gradients = torch.autograd.grad(margin, attention)
    useful = [(a.detach() * g)[0].clamp(min=0).mean(0).float().cpu() for a, g in zip(attention, gradients, strict=True)]
    relevance, flow = _multiply([torch.eye(len(trace.tokens)) + layer for layer in useful])
    return GradientRollout(trace.tokens, trace.labels, relevance, flow, chosen, other)


def _without_sink(attention: Tensor) -> Tensor:
    """Attention [layer query key] with key 0 taken from every query but the first; a row left empty keeps to itself."""
    kept = attention.clone()
    kept[:, 1:, 0] = 0
    total = kept.sum(-1, keepdim=True)
    alone = torch.eye(attention.shape[-1]).expand_as(attention)
    return torch.where(total > 1e-6, kept / total.clamp(min=1e-6), alone)


def _roll(attention: Tensor, residual: float) -> tuple[Tensor, Tensor]:
    """Weights [query key] and flow [layer+1 pos] of head-averaged attention [layer query key]."""
    identity = torch.eye(attention.shape[-1])
    return _multiply([residual * identity + (1 - residual) * layer for layer in attention])


def _multiply(layers: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The product of the layers' matrices, and its last row's way down from the last position [layer+1 pos]."""
    weights = torch.eye(layers[0].shape[-1])
    flow = [weights[-1]]
    for layer in layers:
        weights = layer @ weights
    for layer in reversed(layers):
        flow.append(flow[-1] @ layer)
    return weights, torch.stack(flow[::-1])
