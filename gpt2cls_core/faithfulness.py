"""Do the tokens that an explanation names decide?

An explanation of a verdict puts the tokens in an order, from those that speak most for the predicted class to those that speak
least. The order can be tried out: take the first ones away and see whether the model loses its certainty, or keep them alone and
see whether it stays. With p(x) the probability of the predicted class, at a fraction q of the tokens (DeYoung et al. 2020,
"ERASER", arXiv:1911.03429):

    comprehensiveness = p(x) − p(x without the first q)      high where the named tokens were needed
    sufficiency       = p(x) − p(the first q alone)          low where the named tokens are enough

both as a mean over several fractions. *Deletion* and *insertion* curves (Petsiuk et al. 2018, arXiv:1806.07421) show the same from
none to all: p after the first tokens are taken away, and p after they are put back into a text from which everything was
removed. The area under the first is small, under the second large, where the order is right.

What "taken away" means is a choice, and the answer depends on it:

- **replace**: the end-of-text token stands in the place of each removed token, the last one too. It is a token like others,
  and in training it never stood inside a text.
- **cut**: no later position attends to a removed token, in any layer. As nothing reads it any more, this is the same as leaving
  it out while all others keep their places, and so it is computed. The head reads the last vector whatever happens, so the last
  token can't be cut: it is not among those that are ranked, and "all removed" leaves it alone.

By either, tokens never move to another position. The virtual tokens of a soft prompt belong to the model and are never removed.

Caveat: a text with holes is unlike those that the model was trained on, and may be judged oddly for that alone. This is why random
orders are tried beside (see `referee`), and why two ways of removing are offered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .classifier import Classifier
from .errors import OptionError
from .feeding import check_count
from .trace import Trace
from .variants import variant_logits

__all__ = [
    "FRACTIONS",
    "POINTS",
    "REMOVALS",
    "Faithfulness",
    "check_scores",
    "faithfulness",
    "faithfulness_of_orders",
    "logits_without",
    "order_of",
    "removable",
]

REMOVALS = ("replace", "cut")
FRACTIONS = (0.01, 0.05, 0.1, 0.2, 0.5)  # DeYoung et al.'s
POINTS = 10  # steps of the curves


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """What taking tokens away in one order does to the probability of the predicted class.

    Attributes:
        removal: "replace" or "cut".
        target: the predicted class.
        fractions: those that comprehensiveness and sufficiency are the mean over.
        order: the positions that can be removed, from most to least supporting.
        counts: [point], how many of them are removed (deletion) or left in place (insertion) at each point of the curves; from 0 to
            all of them.
        comprehensiveness: in probability; high is good.
        sufficiency: in probability; low is good.
        deletion: probability after the first ``counts[i]`` tokens of the order are removed [point]; starts at the verdict's own.
        insertion: probability after all are removed and the first ``counts[i]`` put back [point]; ends at the verdict's own.
        deletion_area, insertion_area: under the curves, over the share of tokens from 0 to 1: a mean probability. The
            deletion's is good where it is low, the insertion's where it is high.
    """

    removal: str
    target: int
    fractions: tuple[float, ...]
    order: tuple[int, ...]
    counts: tuple[int, ...]
    comprehensiveness: float
    sufficiency: float
    deletion: Tensor
    insertion: Tensor
    deletion_area: float
    insertion_area: float

    @property
    def shares(self) -> Tensor:
        """`counts` as shares of the tokens that can be removed [point]."""
        return torch.tensor(self.counts) / len(self.order)


def faithfulness(
    clf: Classifier,
    trace: Trace,
    scores: Tensor,
    *,
    removal: str = "replace",
    fractions: Sequence[float] = FRACTIONS,
    points: int = POINTS,
) -> Faithfulness:
    """Try out an explanation by taking tokens away in its order.

    Args:
        scores: [pos], the more the token supports the predicted class, the higher. Of equals the earlier counts as higher. Scores
            of tokens that can't be removed play no part.
        fractions: shares of the removable tokens, each rounded up to a whole number of them.
        points: steps of the curves between none and all; the counts of the fractions are added to them.

    Raises:
        OptionError: scores of another length or not all numbers, unknown removal, fractions outside 0 (excluded) … 1, no points,
            a text of one token with "cut", or "replace" where the tokenizer has no end-of-text token.
    """
    allowed = removable(trace, removal)
    order = order_of(check_scores(trace, scores), allowed)
    (result,) = faithfulness_of_orders(clf, trace, [order], removal=removal, fractions=fractions, points=points)
    return result


def faithfulness_of_orders(
    clf: Classifier,
    trace: Trace,
    orders: Sequence[Sequence[int]],
    *,
    removal: str = "replace",
    fractions: Sequence[float] = FRACTIONS,
    points: int = POINTS,
    known: dict[bytes, Tensor] | None = None,
) -> list[Faithfulness]:
    """Try out several orders of the removable positions at once: what they have in common runs once.

    Args:
        known: see `logits_without`.

    Raises:
        OptionError: as `faithfulness`, or an order that is not one of just the removable positions.
    """
    allowed = removable(trace, removal)
    if any(sorted(order) != allowed for order in orders):
        raise OptionError(f"An order must name each of the positions {allowed[0]} to {allowed[-1]} once.")
    fractions, target = _check_fractions(fractions), int(trace.logits.argmax())
    at_fractions = [_count(fraction, len(allowed)) for fraction in fractions]
    steps = check_count("points", points)
    counts = sorted({0, *at_fractions, *(_count(i / steps, len(allowed)) for i in range(1, steps + 1))})
    ranks = torch.full((len(orders), len(trace.tokens)), -1)
    for row, order in zip(ranks, orders, strict=True):
        row[list(order)] = torch.arange(len(order))
    ranks, first = ranks[:, None], torch.tensor(counts)[:, None]
    removed = torch.stack([(ranks >= 0) & (ranks < first), ranks >= first])  # (curve, order, point, pos)
    removed = removed & (ranks >= 0)
    logits = logits_without(clf, trace, removed.flatten(0, 2), removal=removal, known=known)
    curves = logits.softmax(-1)[:, target].unflatten(0, removed.shape[:3])
    used = [counts.index(count) for count in at_fractions]
    shares = torch.tensor(counts) / len(allowed)
    results = []
    for order, deletion, insertion in zip(orders, *curves, strict=True):
        clean = float(deletion[0])
        means = clean - float(deletion[used].mean()), clean - float(insertion[used].mean())
        areas = float(torch.trapezoid(deletion, shares)), float(torch.trapezoid(insertion, shares))
        made = (removal, target, fractions, tuple(order), tuple(counts), *means, deletion, insertion, *areas)
        results.append(Faithfulness(*made))
    return results


def logits_without(
    clf: Classifier, trace: Trace, removed: Tensor, *, removal: str, known: dict[bytes, Tensor] | None = None
) -> Tensor:
    """Logits of the text without each of several sets of tokens [set class].

    Args:
        removed: bool [set pos], true for tokens to take away; with "cut" the last one is read nevertheless.
        known: what earlier calls found, of the same text and removal; what is in it is not run again, and what is found now
            is put in.

    Raises:
        OptionError: unknown removal, a text of one token with "cut", or "replace" without an end-of-text token.
    """
    allowed = removable(trace, removal)
    may = torch.zeros(len(trace.tokens), dtype=torch.bool)
    may[allowed] = True
    removed = removed & may
    known = {} if known is None else known
    names = [row.numpy().tobytes() for row in removed]
    new = {name: place for place, name in enumerate(names) if name not in known}
    if new:
        known.update(zip(new, _run_without(clf, trace, removed[list(new.values())], removal), strict=True))
    return torch.stack([known[name] for name in names])


def _run_without(clf: Classifier, trace: Trace, removed: Tensor, removal: str) -> Tensor:
    """The logits themselves [set class]."""
    ids = trace.input_ids.expand_as(removed)
    positions = torch.arange(removed.shape[1]).expand_as(removed)
    if removal == "replace":
        ids, lengths = ids.masked_fill(removed, _eos(clf)), torch.full((len(ids),), removed.shape[1])
        return variant_logits(clf, ids, positions, lengths)
    positions = removed.int().argsort(dim=1, stable=True)  # what is kept, in its order, before what is not
    return variant_logits(clf, ids.gather(1, positions), positions, (~removed).sum(1))


def removable(trace: Trace, removal: str) -> list[int]:
    """Positions that can be removed: those of the text, with "cut" without the last.

    Raises:
        OptionError: there is no such removal, or with "cut" nothing to remove.
    """
    if removal not in REMOVALS:
        raise OptionError(f"There is no removal {removal!r}; choose one of {', '.join(REMOVALS)}.")
    last = trace.last_token_index if removal == "cut" else trace.last_token_index + 1
    positions = list(range(trace.encoding.n_virtual, last))
    if not positions:
        raise OptionError("The text has one token only, and the last can't be cut. Type a longer one, or replace it.")
    return positions


def order_of(scores: Tensor, positions: Sequence[int]) -> list[int]:
    """The positions by their scores [pos], the highest first; of equals the earlier first."""
    by_position = scores.tolist()
    return sorted(positions, key=lambda position: -by_position[position])


def check_scores(trace: Trace, scores: Tensor) -> Tensor:
    """Scores of a text's tokens [pos], if they are that.

    Raises:
        OptionError: another length, or not all of them are numbers.
    """
    if scores.shape != (len(trace.tokens),):
        raise OptionError(
            f"The text has {len(trace.tokens)} tokens; give one score for each, not {list(scores.shape)}."
        )
    if not torch.isfinite(scores).all():
        position = int((~torch.isfinite(scores)).nonzero()[0])
        raise OptionError(
            f"The score of token {position} is {float(scores[position])}, which has no place in an order."
        )
    return scores.detach().cpu()


def _check_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    if not fractions or not all(0 < fraction <= 1 for fraction in fractions):
        raise OptionError(f"Fractions must be above 0 and at most 1, one or more of them, not {tuple(fractions)}.")
    return tuple(fractions)


def _count(fraction: float, n: int) -> int:
    """So many of n tokens, rounded up; 0.3 × 10 counts as 3, whatever the last bit says."""
    return math.ceil(round(fraction * n, 9))


def _eos(clf: Classifier) -> int:
    if clf.tokenizer.eos_token_id is None:
        raise OptionError(f'{clf.name} has no end-of-text token to put in a token\'s place; choose the removal "cut".')
    return clf.tokenizer.eos_token_id
