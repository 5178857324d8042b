"""Which tokens decided: integrated gradients.

Integrated gradients (Sundararajan, Taly & Yan 2017, arXiv:1703.01365) walk in a straight line from a *baseline* (an input that says
nothing) to the real input and add up the gradient of the verdict on the way:

    IG_t = Σ_d (x_td − b_td) · ∫₀¹ ∂margin/∂x_td (b + α(x − b)) dα

The scores add up to margin(input) − margin(baseline): *completeness*. By how far the computed sum misses that is the
*convergence delta*; it says how exact the integral is, not how right the explanation.

The walk is in token-embedding space (``wte``); position embeddings stay in place, and so does every token. The margin is used, not
the probability, which saturates, nor one logit alone, which carries a part common to all classes. GPT-2 has no mask token, so no
baseline is neutral by right: three are offered, and `agreement` says how far they tell the same story.

The virtual tokens of a soft prompt are tokens like the others: the baseline takes their place too, so their scores say what the
prompt itself did for this verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .classifier import Classifier, Encoding
from .errors import OptionError
from .words import Word, sum_by_word

__all__ = [
    "BASELINES",
    "Attribution",
    "agreement",
    "baseline_embedding",
    "integrated_gradients",
    "margin_of_embeddings",
]

Baseline = Literal["eos", "zero", "mean"]
BASELINES: tuple[Baseline, ...] = ("eos", "zero", "mean")
TOLERANCE = 0.01  # asked completeness: |delta| under 1 % of the change in margin
FIRST_STEPS, MOST_STEPS = 16, 512
TOKENS_AT_ONCE = 2048  # bounds memory whatever the number of steps


@dataclass(frozen=True, eq=False)
class Attribution:
    """Integrated gradients of one text.

    Attributes:
        tokens, words: the text's, in order.
        scores: [pos], in logits of margin; positive speaks for `target`.
        target, other: the class explained and its strongest rival at the input.
        baseline: "eos", "zero" or "mean".
        margin_input, margin_baseline: the margin at both ends of the path.
        convergence_delta: sum of scores − (margin_input − margin_baseline).
        n_steps: points on the path at which the gradient was taken.
    """

    tokens: tuple[str, ...]
    words: tuple[Word, ...]
    labels: tuple[str, ...]
    scores: Tensor
    target: int
    other: int
    baseline: Baseline
    margin_input: float
    margin_baseline: float
    convergence_delta: float
    n_steps: int

    @property
    def word_scores(self) -> Tensor:
        """Scores summed over the tokens of each word [word]."""
        return sum_by_word(self.scores, self.words)

    @property
    def relative_delta(self) -> float:
        """|convergence_delta| as a share of the change in margin (infinite where nothing changes)."""
        change = abs(self.margin_input - self.margin_baseline)
        return abs(self.convergence_delta) / change if change else float("inf")

    @property
    def converged(self) -> bool:
        """Whether the delta is under 1 % of the change in margin (or below float32 noise)."""
        return self.relative_delta < TOLERANCE or abs(self.convergence_delta) < 1e-4


def integrated_gradients(
    clf: Classifier,
    text: str | Encoding,
    *,
    target: int | str | None = None,
    baseline: Baseline = "eos",
    n_steps: int | Literal["auto"] = "auto",
) -> Attribution:
    """Attribute the margin to the tokens with Captum's `IntegratedGradients` on the token embeddings.

    Args:
        target: class index or label; None takes class 1 of two, or the predicted class of more.
        baseline: "eos" (every token replaced by ``<|endoftext|>``), "zero" (no token embedding) or "mean" (the mean of
            all token embeddings).
        n_steps: Gauss–Legendre points; "auto" doubles them from 16 until the delta is under 1 % of the change in margin, or
            512 are reached (see `Attribution.converged`).

    Raises:
        TextError: the text can't be read.
        OptionError: unknown baseline, no such class, or n_steps below 1.

    Caveat: completeness is not truth. Compare the baselines, and see `interventions` for causes.
    """
    if n_steps != "auto" and (not isinstance(n_steps, int) or n_steps < 1):
        raise OptionError(f'n_steps must be "auto" or a whole number from 1 up, not {n_steps!r}.')
    encoding = text if isinstance(text, Encoding) else clf.encode(text)
    start = baseline_embedding(clf, len(encoding), baseline)
    end = clf.body.wte.weight[encoding.input_ids.to(clf.model.device)].detach()
    with torch.no_grad():
        logits = _logits(clf, torch.stack([end, start]))
    chosen, other = clf.target(target, logits[0].cpu())
    margins = (logits[:, chosen] - logits[:, other]).tolist()
    steps = FIRST_STEPS if n_steps == "auto" else n_steps
    while True:
        scores = _captum(clf, start, end, chosen, other, steps)
        delta = float(scores.double().sum()) - (margins[0] - margins[1])
        result = Attribution(
            encoding.tokens, encoding.words, clf.labels, scores, chosen, other, baseline, *margins, delta, steps
        )
        if n_steps != "auto" or result.converged or steps >= MOST_STEPS:
            return result
        steps *= 2


def baseline_embedding(clf: Classifier, n_tokens: int, baseline: Baseline) -> Tensor:
    """The start of the path in token-embedding space [pos d_model].

    Raises:
        OptionError: unknown baseline, or "eos" where the tokenizer has no such token.
    """
    wte = clf.unembedding
    if baseline == "eos":
        if clf.tokenizer.eos_token_id is None:
            raise OptionError(f'{clf.name} has no end-of-text token; choose the baseline "zero" or "mean".')
        row = wte[clf.tokenizer.eos_token_id]
    elif baseline == "zero":
        row = torch.zeros_like(wte[0])
    elif baseline == "mean":
        row = wte.mean(0)
    else:
        raise OptionError(f"There is no baseline {baseline!r}; choose one of {', '.join(BASELINES)}.")
    return row.expand(n_tokens, -1)


def margin_of_embeddings(clf: Classifier, embeddings: Tensor, target: int, other: int) -> Tensor:
    """Margins [batch] of token embeddings [batch pos d_model], read at the last position."""
    logits = _logits(clf, embeddings)
    return logits[:, target] - logits[:, other]


def agreement(attributions: Sequence[Attribution]) -> Tensor:
    """Pearson correlation of the word scores of several attributions of one text [attribution attribution].

    1 means the same story, 0 none in common. NaN where there is but one word, or no variation.
    """
    scores = torch.stack([a.word_scores for a in attributions]).double()
    centred = scores - scores.mean(-1, keepdim=True)
    products = centred @ centred.T
    size = products.diagonal().sqrt()
    return (products / (size[:, None] * size)).clamp(-1, 1)


def _logits(clf: Classifier, embeddings: Tensor) -> Tensor:
    # Read by position, not through the classifier's own pooling, which guesses it from pad ids that embeddings do not have.
    hidden = clf.body(inputs_embeds=embeddings, use_cache=False).last_hidden_state
    return clf.model.score(hidden[:, -1])


def _captum(clf: Classifier, start: Tensor, end: Tensor, target: int, other: int, steps: int) -> Tensor:
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(lambda embeddings: margin_of_embeddings(clf, embeddings, target, other))
    attribution = method.attribute(
        end[None],
        baselines=start[None],
        n_steps=steps,
        method="gausslegendre",
        internal_batch_size=max(1, TOKENS_AT_ONCE // len(end)),
    )
    return attribution[0].sum(-1).float().cpu().detach()
