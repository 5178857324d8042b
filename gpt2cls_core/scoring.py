"""One number per token, by every method there is here, made comparable.

All speak about the predicted class: a higher score says that the token supports it more. Some have a sign (the token may speak
against the class); attention has none, it says how much and not for whom. `SIGNED` tells which are which. The numbers have
different units, so only their order is compared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .attribution import integrated_gradients, margin_of_embeddings
from .classifier import Classifier
from .errors import OptionError
from .faithfulness import logits_without, removable
from .ledger import margin_ledger
from .rollout import attention_rollout, gradient_weighted_rollout
from .trace import Trace

__all__ = ["METHODS", "SIGNED", "check_method", "token_scores"]

METHODS: dict[str, str] = {
    "ig-eos": "integrated gradients from end-of-text tokens",
    "ig-zero": "integrated gradients from zero",
    "ig-mean": "integrated gradients from the mean embedding",
    "gradient-x-input": "gradient × input",
    "rollout": "attention rollout",
    "rollout-beyond-null": "rollout beyond the architecture",
    "rollout-gradient": "gradient-weighted rollout",
    "last-attention": "attention of the last layer",
    "ledger": "direct ledger",
    "occlusion": "occlusion, one token at a time",
}
SIGNED = frozenset({"ig-eos", "ig-zero", "ig-mean", "gradient-x-input", "ledger", "occlusion"})
"""Methods whose scores say for which side a token speaks."""


def token_scores(
    clf: Classifier,
    trace: Trace,
    method: str,
    *,
    removal: str = "replace",
    known: dict[bytes, Tensor] | None = None,
) -> Tensor:
    """How much each token supports the predicted class, by one method [pos].

    - ``ig-eos``, ``ig-zero``, ``ig-mean``: `integrated_gradients` of the class's margin, from each baseline. Signed, in logits.
    - ``gradient-x-input``: the gradient of the margin times the token's embedding, summed over its numbers (Shrikumar et al. 2017,
      arXiv:1704.02685). Signed, in logits: integrated gradients from zero in a single step, taken at the text.
    - ``rollout``: what may have come from each token to the last position. A share.
    - ``rollout-beyond-null``: that minus what attention that has learned nothing would give. A difference of shares; its sign is
      more or less, not for or against.
    - ``rollout-gradient``: relevance of each token for the last position; of the last token without the 1 that it has of itself.
    - ``last-attention``: the last layer's attention from the last position, mean of its heads. A share.
    - ``ledger``: what the heads wrote into the last vector when they read the token (`Ledger.written_by_token`). Signed, in logits.
    - ``occlusion``: the margin minus the margin without the token (Zeiler & Fergus 2014, arXiv:1311.2901). Signed, in logits; 0 for
      tokens that can't be removed.

    Args:
        removal: how `faithfulness` takes a token away, which occlusion does too; the other methods do not use it.
        known: what was found of removals before, see `logits_without`.

    Raises:
        OptionError: unknown method or removal, or a text or tokenizer that the removal or the baseline can't be used with.
    """
    check_method(method)
    target, other = clf.target(int(trace.logits.argmax()), trace.logits)
    if method.startswith("ig-"):
        return integrated_gradients(clf, trace.encoding, target=target, baseline=method.removeprefix("ig-")).scores
    if method == "gradient-x-input":
        return _gradient_x_input(clf, trace, target, other)
    if method == "rollout":
        return attention_rollout(trace).weights[-1]
    if method == "rollout-beyond-null":
        return attention_rollout(trace).beyond[-1]
    if method == "rollout-gradient":
        relevance = gradient_weighted_rollout(clf, trace, target=target).relevance
        return relevance[-1] - torch.eye(len(relevance))[-1]
    if method == "last-attention":
        return trace.attention[-1, :, -1].mean(0)
    if method == "ledger":
        return margin_ledger(clf, trace, target=target).written_by_token.float()
    return _occlusion(clf, trace, target, other, removal, known)


def check_method(method: str) -> None:
    """Raise an OptionError where there is no such method."""
    if method not in METHODS:
        raise OptionError(f"There is no method {method!r}; choose of {', '.join(METHODS)}.")


def _gradient_x_input(clf: Classifier, trace: Trace, target: int, other: int) -> Tensor:
    embeddings = clf.body.wte.weight[trace.input_ids.to(clf.model.device)].detach()[None].requires_grad_()
    with torch.enable_grad():
        margin = margin_of_embeddings(clf, embeddings, target, other)[0]
        (gradient,) = torch.autograd.grad(margin, embeddings)
    return (gradient * embeddings.detach())[0].sum(-1).float().cpu()


def _occlusion(
    clf: Classifier, trace: Trace, target: int, other: int, removal: str, known: dict[bytes, Tensor] | None
) -> Tensor:
    allowed = removable(trace, removal)
    alone = torch.eye(len(trace.tokens), dtype=torch.bool)[allowed]
    logits = logits_without(clf, trace, alone, removal=removal, known=known)
    scores = torch.zeros(len(trace.tokens))
    scores[allowed] = trace.logits[target] - trace.logits[other] - (logits[:, target] - logits[:, other])
    return scores
