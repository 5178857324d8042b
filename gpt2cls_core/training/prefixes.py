"""A long text is many texts: what its earlier sentence ends teach.

By the causal mask, the vector at a full stop inside a review is the last vector of the review up to there. So each
sentence end is a shorter text with the same label, and the pass that reads the whole review has already computed it.
Training on them as well gives a long text several times as much to learn from at no cost. The label of a beginning is
less sure than that of the whole, so it counts in proportion to how far it has come (the *linear gain* of Dai & Le 2015,
arXiv:1511.01432, for recurrent networks).
"""

from __future__ import annotations

import re

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

__all__ = ["FEWEST_TOKENS", "prefix_loss", "prefix_weights", "sentence_ends"]

FEWEST_TOKENS = 12
"""A beginning of fewer tokens says too little of the whole to be taught its label."""
_END = re.compile(r"[.!?]+[\"')\]]*")


def sentence_ends(tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """Which tokens of the vocabulary end a sentence, bool [token]: stops, with a closing quote or bracket or none."""
    texts = (tokenizer.decode([i]).strip() for i in range(len(tokenizer)))
    return torch.tensor([bool(_END.fullmatch(text)) for text in texts])


def prefix_loss(logits: Tensor, ends: Tensor, last_token_index: Tensor, labels: Tensor) -> Tensor:
    """Mean over the texts of the cross-entropy at their earlier sentence ends, each weighted by its share of the text.

    Args:
        logits: [batch pos class], the head at every position.
        ends: bool [batch pos], whether a sentence ends there.
        last_token_index: [batch]; the last token itself is not counted here.
        labels: [batch]

    Returns:
        A scalar; a text without earlier sentence ends counts as 0.
    """
    weights = prefix_weights(ends, last_token_index)
    targets = labels[:, None].expand(-1, logits.shape[1])
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")  # (batch, pos)
    return (losses * weights).sum(1).mean()


def prefix_weights(ends: Tensor, last_token_index: Tensor) -> Tensor:
    """How much each position counts as the end of a shorter text [batch pos]: 0 where no sentence ends, else in proportion to
    its share of the text; they sum to 1 in each text that has earlier sentence ends.

    Args:
        ends: bool [batch pos], whether a sentence ends there.
        last_token_index: [batch]; the last token itself is not counted here.
    """
    position = torch.arange(ends.shape[1], device=ends.device)
    inside = ends & (position < last_token_index[:, None]) & (position >= FEWEST_TOKENS - 1)
    weights = inside * (position + 1.0)
    return weights / weights.sum(1, keepdim=True).clamp(min=1)
