"""All explanations of one verdict on trial.

Every method here claims to know which tokens a verdict rests on, and they differ. Which one is right can't be read off the
pictures: an explanation may look sensible and have nothing to do with the model. So each is asked for its order of the tokens,
and the model answers (see `faithfulness`): does its verdict fall when the first are taken away, does it hold when they alone are
left?

Taking *any* tokens away harms a verdict, so numbers mean something only beside those of random orders. An explanation that
does no better than those has found nothing, however good it looks. "Better" is beyond 95 % of the draws; of 20 draws that is
better than 19 of them or nearly so, which random itself reaches about once in eleven texts.

Where no method beats random, the verdict rests on no few tokens, or the model judges a text with holes by other rules: trust none
of them there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .classifier import Classifier
from .errors import OptionError
from .faithfulness import POINTS, Faithfulness, check_scores, faithfulness_of_orders, order_of, removable
from .feeding import check_count
from .scoring import METHODS, SIGNED, check_method, token_scores
from .trace import Trace

__all__ = ["MEASURES", "METHODS", "SIGNED", "Contest", "beats", "put_on_trial", "referee", "token_scores"]

MEASURES: dict[str, bool] = {
    "comprehensiveness": True,
    "sufficiency": False,
    "deletion_area": False,
    "insertion_area": True,
}
"""What orders are measured by (see `Faithfulness`), and whether high is good."""
BEYOND = 0.95  # of the draws
ENDS = torch.tensor([1 - BEYOND, BEYOND])  # quantiles between which 90 % lie


@dataclass(frozen=True, eq=False)
class Contest:
    """Several explanations of one verdict, each tried out, and random orders beside them.

    Attributes:
        removal: "replace" or "cut".
        label: the predicted class that all speak about.
        tokens: the text's.
        scores: by method [pos]; the higher, the more the token supports the label.
        results: what came of each method's order.
        drawn: by measure, what came of each random order [draw].
        random_curves: mean deletion and mean insertion curve of the draws [point], at the ``counts`` of any of the results.
        random_bands: between which values 90 % of those curves lie [2 point] (5 % and 95 % quantile at each point).
        agreement: Spearman's rank correlation of the scores of the removable tokens [method method], in the order of `results`; NaN
            where a method makes no difference between tokens.
    """

    removal: str
    label: str
    tokens: tuple[str, ...]
    scores: dict[str, Tensor]
    results: dict[str, Faithfulness]
    drawn: dict[str, Tensor]
    random_curves: tuple[Tensor, Tensor]
    random_bands: tuple[Tensor, Tensor]
    agreement: Tensor

    @property
    def n_draws(self) -> int:
        """How many random orders there were."""
        return len(self.drawn["comprehensiveness"])

    @property
    def random(self) -> dict[str, tuple[float, float, float]]:
        """By measure: the mean of the draws, and between which values 90 % of them lie (5 % and 95 % quantile)."""
        return {name: (float(d.mean()), *torch.quantile(d, ENDS).tolist()) for name, d in self.drawn.items()}

    def ranking(self, measure: str = "comprehensiveness") -> list[str]:
        """Methods from the best to the worst by one measure.

        Raises:
            OptionError: there is no such measure.
        """
        sign = -1 if _high_is_good(measure) else 1
        return sorted(self.results, key=lambda method: sign * getattr(self.results[method], measure))

    def beats_random(self, method: str, measure: str = "comprehensiveness") -> bool:
        """Whether a method is better than 95 % of the random orders (their quantile, interpolated).

        Raises:
            OptionError: there is no such measure, or the method was not on trial.
        """
        _high_is_good(measure)
        if method not in self.results:
            raise OptionError(f"{method!r} was not on trial; there were {', '.join(self.results)}.")
        return beats(getattr(self.results[method], measure), self.drawn[measure], measure)


def referee(
    clf: Classifier,
    trace: Trace,
    *,
    removal: str = "replace",
    methods: Sequence[str] = tuple(METHODS),
    draws: int = 20,
    seed: int = 0,
    points: int = POINTS,
) -> Contest:
    """Put methods on trial: score the tokens by each, and take tokens away in the order of the scores.

    Args:
        removal: "replace" or "cut", see `faithfulness`.
        methods: of `METHODS`.
        draws: random orders.
        points: steps of the curves; fewer are faster on long texts.

    Raises:
        OptionError: unknown removal or method, no methods, no draws, no points, or a text or tokenizer that the removal or a
            baseline can't be used with.
    """
    removable(trace, removal)  # before the work of scoring
    check_count("draws", draws)
    for method in methods:
        check_method(method)
    scores = {method: token_scores(clf, trace, method, removal=removal) for method in methods}
    return put_on_trial(clf, trace, scores, removal=removal, draws=draws, seed=seed, points=points)


def put_on_trial(
    clf: Classifier,
    trace: Trace,
    scores: Mapping[str, Tensor],
    *,
    removal: str = "replace",
    draws: int = 20,
    seed: int = 0,
    points: int = POINTS,
    known: dict[bytes, Tensor] | None = None,
) -> Contest:
    """The same for scores that are there already, of any origin, by a name each.

    Args:
        scores: [pos] each, as `faithfulness` takes them.
        known: what earlier contests over the same text and removal found, so that more methods, draws or points cost only what
            is new (see `logits_without`). The same seed draws the same orders, in the same order.

    Raises:
        OptionError: no scores, scores of another length or not all numbers, or as `referee`.
    """
    if not scores:
        raise OptionError("There is nothing to put on trial; choose one method or more.")
    allowed, draws = removable(trace, removal), check_count("draws", draws)
    scores = {name: check_scores(trace, given) for name, given in scores.items()}
    orders = [order_of(given, allowed) for given in scores.values()]
    generator = torch.Generator().manual_seed(seed)
    orders += [[allowed[i] for i in torch.randperm(len(allowed), generator=generator)] for _ in range(draws)]
    results = faithfulness_of_orders(clf, trace, orders, removal=removal, points=points, known=known)
    random = results[len(scores) :]
    deletion, insertion = (torch.stack([getattr(one, name) for one in random]) for name in ("deletion", "insertion"))
    return Contest(
        removal=removal,
        label=trace.label,
        tokens=trace.tokens,
        scores=scores,
        results=dict(zip(scores, results[: len(scores)], strict=True)),
        drawn={name: torch.tensor([getattr(result, name) for result in random]) for name in MEASURES},
        random_curves=(deletion.mean(0), insertion.mean(0)),
        random_bands=(torch.quantile(deletion, ENDS, dim=0), torch.quantile(insertion, ENDS, dim=0)),
        agreement=_spearman(torch.stack([given[allowed] for given in scores.values()])),
    )


def beats(value: float, drawn: Tensor, measure: str) -> bool:
    """Whether a value is better than 95 % of drawn ones [draw] by one measure."""
    if _high_is_good(measure):
        return value > float(torch.quantile(drawn, BEYOND))
    return value < float(torch.quantile(drawn, 1 - BEYOND))


def _high_is_good(measure: str) -> bool:
    if measure not in MEASURES:
        raise OptionError(f"There is no measure {measure!r}; choose of {', '.join(MEASURES)}.")
    return MEASURES[measure]


def _spearman(scores: Tensor) -> Tensor:
    """Pearson's correlation of ranks [row row], those of equals shared evenly, of scores [row item]."""
    below = (scores[:, :, None] > scores[:, None]).sum(-1)
    equal = (scores[:, :, None] == scores[:, None]).sum(-1)
    ranks = below.double() + equal / 2
    centred = ranks - ranks.mean(-1, keepdim=True)
    products = centred @ centred.T
    size = products.diagonal().sqrt()
    return (products / (size[:, None] * size)).clamp(-1, 1)
