"""The yardsticks: other people's integrated gradients, used as their tutorials use them.

`plain_captum` is Captum's `LayerIntegratedGradients` over the token embeddings, 50 steps, all of them in one batch. The forward
function is our own and reads the last position by its index, because the class's own pooling is led astray by a baseline of pads.

transformers-interpret wraps the same for any sequence classifier. Its last release is from 2023 and asks for versions that no
longer are; ``pip install --no-deps transformers-interpret`` puts it beside today's. It is imported if it is there. It explains the
probability of the predicted class, and divides the scores by their length.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from ..classifier import Classifier, Encoding

__all__ = ["CAPTUM_STEPS", "has_interpret", "plain_captum", "transformers_interpret"]

CAPTUM_STEPS = 50  # Captum's default, and transformers-interpret's


def plain_captum(
    clf: Classifier, encoding: Encoding, *, n_steps: int = CAPTUM_STEPS, at_once: int | None = None
) -> Tensor:
    """Captum's scores [pos] in logits of margin, baseline ``<|endoftext|>``.

    Args:
        at_once: Captum's ``internal_batch_size``, points that go through the model together; None takes all.
    """
    from captum.attr import LayerIntegratedGradients

    ids = encoding.input_ids[None].to(clf.model.device)
    last = len(encoding) - 1

    def logits(input_ids: Tensor) -> Tensor:
        mask = torch.ones_like(input_ids)  # says that <|endoftext|>, the baseline, is no padding
        hidden = clf.body(input_ids=input_ids, attention_mask=mask, use_cache=False).last_hidden_state
        return clf.model.score(hidden[:, last])

    with torch.no_grad():
        target, other = clf.target(None, logits(ids)[0].cpu())
    difference = torch.zeros(len(clf.labels), device=clf.model.device)
    difference[target], difference[other] = 1, -1
    method = LayerIntegratedGradients(lambda input_ids: logits(input_ids) @ difference, clf.body.wte)
    baseline = torch.full_like(ids, clf.tokenizer.eos_token_id)
    scores = method.attribute(ids, baselines=baseline, n_steps=n_steps, internal_batch_size=at_once)
    return scores[0].sum(-1).float().cpu().detach()


def has_interpret() -> bool:
    """Whether transformers-interpret is installed."""
    return find_spec("transformers_interpret") is not None


def transformers_interpret(clf: Classifier, text: str, *, at_once: int | None = None) -> tuple[Tensor, float]:
    """Scores as transformers-interpret gives them [pos], and the |convergence delta| that it keeps, in probability."""
    from transformers_interpret import SequenceClassificationExplainer

    explainer = SequenceClassificationExplainer(clf.model, clf.tokenizer)
    scores = explainer(text, internal_batch_size=at_once)
    return torch.tensor([score for _, score in scores]), abs(float(explainer.attributions.delta))
