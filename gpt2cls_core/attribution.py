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

The integral is taken from a few points, each of which costs a forward and a backward pass (see `path_gradients` for how little
that can be, `quadrature` for where the points lie). Their number grows until the delta is as small as asked: 13, 25, 49, …,
each time keeping the points before. Tests hold the results to Captum's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .classifier import Classifier, Encoding
from .errors import ModelError, OptionError
from .path_gradients import PRECISIONS, Path, Precision, logits_at_last, margins_at, pushes_at
from .quadrature import gauss_legendre, spread_clenshaw_curtis
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
NOISE = 1e-4  # logits; too little to matter where 1 % is asked
ROUNDING: dict[Precision, float] = {
    "float32": 2**-20,
    "bfloat16": 2**-9,
}  # of the sizes of all scores, lost in their sum
FIRST_INTERVALS, MOST_INTERVALS = 12, 384


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
        precision: of the products with the weights. Both margins are float32 all the same, so the delta of "bfloat16" holds
            what rounding did to the sum.
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
    precision: Precision = "float32"

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
        """Whether the delta is under 1 % of the change in margin (or under 1e-4 logits)."""
        return self.relative_delta < TOLERANCE or abs(self.convergence_delta) < NOISE


def integrated_gradients(
    clf: Classifier,
    text: str | Encoding,
    *,
    target: int | str | None = None,
    baseline: Baseline = "eos",
    n_steps: int | Literal["auto"] = "auto",
    tolerance: float = TOLERANCE,
    precision: Precision = "float32",
) -> Attribution:
    """Attribute the margin to the tokens.

    Args:
        target: class index or label; None takes class 1 of two, or the predicted class of more.
        baseline: "eos" (every token replaced by ``<|endoftext|>``), "zero" (no token embedding) or "mean" (the mean of
            all token embeddings).
        n_steps: Gauss–Legendre points, as in Captum; "auto" takes 13 nested points and doubles their intervals until the delta is
            under `tolerance`, or 385 are reached (see `Attribution.converged`).
        tolerance: asked completeness: |delta| as a share of the change in margin. "auto" ends, too, where the delta is
            below 1e-4 logits if 1 % is asked, or where more points would move no more than rounding does.
        precision: "bfloat16" is faster where the processor has such products, and exact to about 1 % of the largest score.

    Raises:
        TextError: the text can't be read.
        OptionError: unknown baseline or precision, no such class, n_steps below 1, or a tolerance that is no share.
        ModelError: the verdict is not a number.

    Caveat: completeness is not truth. Compare the baselines, and see `interventions` for causes.
    """
    _check_options(n_steps, tolerance, precision)
    encoding = text if isinstance(text, Encoding) else clf.encode(text)
    start = baseline_embedding(clf, len(encoding), baseline)
    end = clf.body.wte(encoding.input_ids.to(clf.model.device)).detach()
    path = Path(clf, start, end, *_classes(clf, end, target), precision)
    scores, margins, steps = _grown(path, tolerance) if n_steps == "auto" else _fixed(path, n_steps)
    delta = float(scores.sum()) - (margins[0] - margins[1])
    named = (encoding.tokens, encoding.words, clf.labels, scores.float(), path.target, path.other, baseline)
    return Attribution(*named, *margins, delta, steps, precision)


def _check_options(n_steps: object, tolerance: object, precision: object) -> None:
    if n_steps != "auto" and (not isinstance(n_steps, int) or n_steps < 1):
        raise OptionError(f'n_steps must be "auto" or a whole number from 1 up, not {n_steps!r}.')
    if not isinstance(tolerance, (int, float)) or not 0 < tolerance < 1:
        raise OptionError(f"tolerance must be a share between 0 and 1, such as 0.01 for 1 %, not {tolerance!r}.")
    if precision not in PRECISIONS:
        raise OptionError(f"There is no precision {precision!r}; choose one of {', '.join(PRECISIONS)}.")


def _classes(clf: Classifier, end: Tensor, target: int | str | None) -> tuple[int, int]:
    """The class explained and its rival. Of two classes both are known; of more, the model is asked."""
    if len(clf.labels) == 2:
        return clf.target(target, torch.zeros(2))
    with torch.no_grad():
        return clf.target(target, logits_at_last(clf, end[None])[0].cpu())


def _fixed(path: Path, n_steps: int) -> tuple[Tensor, tuple[float, float], int]:
    """Scores [pos] in float64, the margins of input and baseline, and the number of points: by Gauss–Legendre."""
    margins = _at_the_ends(path)
    points, weights = gauss_legendre(n_steps)
    return weights @ pushes_at(path, points)[0], margins, n_steps


def _grown(path: Path, tolerance: float) -> tuple[Tensor, tuple[float, float], int]:
    """The same from nested points, as many as the tolerance needs."""
    points, weights = spread_clenshaw_curtis(FIRST_INTERVALS)
    pushes, seen = pushes_at(path, points)
    margins = (float(seen[-1]), float(seen[0])) if path.precision == "float32" else _at_the_ends(path)
    _check_finite(path.clf, margins)
    before = torch.zeros(len(path.end), dtype=torch.float64)
    while True:
        scores = weights @ pushes
        if _enough(path, scores, before, margins[0] - margins[1], tolerance) or len(points) > MOST_INTERVALS:
            return scores, margins, len(points)
        points, weights = spread_clenshaw_curtis(2 * (len(points) - 1))
        between, _ = pushes_at(path, points[1::2])
        old, pushes, before = pushes, torch.empty(len(points), len(path.end), dtype=torch.float64), scores
        pushes[::2], pushes[1::2] = old, between


def _enough(path: Path, scores: Tensor, before: Tensor, change: float, tolerance: float) -> bool:
    """Whether the delta is small, or more points would only move what is lost in rounding."""
    delta = abs(float(scores.sum()) - change)
    lost = ROUNDING[path.precision] * float(scores.abs().sum())
    small = max(lost, tolerance * abs(change), NOISE * min(1, tolerance / TOLERANCE))
    return delta < small or float((scores - before).abs().sum()) < 2 * lost


def _at_the_ends(path: Path) -> tuple[float, float]:
    """The margins of input and baseline, in float32."""
    margins = margins_at(path, torch.tensor([1.0, 0.0]))
    _check_finite(path.clf, margins.tolist())
    return float(margins[0]), float(margins[1])


def _check_finite(clf: Classifier, margins: Sequence[float]) -> None:
    if not all(map(math.isfinite, margins)):
        raise ModelError(
            f"{clf.name} gives a margin that is not a number, so nothing can be attributed. Its weights hold NaN or infinite "
            "values: train or export it again."
        )


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
