"""The runs of the study of regimes, one after another, the most telling first.

What is compared must differ in one thing. So every run is the same `finetune` with another regime (table), another number of texts
(curves) or another place to read (read-outs); and what each regime may choose for itself, learning rate and number of passes, is
chosen for each by the same small search: three rates at the smaller number of passes, then the best of them at the others, by
accuracy on held-out slices of the train splits.

In the order of `plan` the table comes first with one seed, then with the others, then curves, then read-outs: whenever the time is
up, what is there is the part that says most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .options import RegimesOptions

__all__ = [
    "BAG_OF_WORDS",
    "CURVES",
    "RATES",
    "READ_ELSEWHERE",
    "Cell",
    "chosen",
    "held_out_mean",
    "passes_of",
    "plan",
    "search_cells",
]

RATES = {
    "head": (0.01, 0.1, 1.0),
    "last-block": (3e-4, 1e-3, 3e-3),
    "full": (1e-4, 3e-4, 1e-3),
    "lora": (1e-3, 3e-3, 1e-2),
    "prompt": (1e-2, 3e-2, 1e-1),
    "random": (1e-4, 3e-4, 1e-3),
}
"""What the search tries: learning rates, for the head values of C."""
BY_WIDTH = ("last-block", "full", "random")
"""Regimes that train matrices of the body; their rates are for d_model 256 and shrink as it grows."""
CURVES = ("head", "lora", "full", "random")
READ_ELSEWHERE = {"regimes": ("head", "full"), "read_outs": ("first", "mean", "middle")}
BAG_OF_WORDS = "bag-of-words"
"""Not a regime, but run on the very same texts."""


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        part: "search", "table", "curve" or "read-out".
        examples: texts to learn from; None for all.
        passes: over the texts, or more of them where `RegimesOptions.fewest_texts` asks for more.
        rate: learning rate; C for the head; 0 for the bag of words.
    """

    part: str
    regime: str
    examples: int | None
    passes: int
    rate: float
    seed: int = 0
    read_out: str = "last"

    @property
    def name(self) -> str:
        """What its file is called."""
        size = "all" if self.examples is None else self.examples
        return f"{self.part}-{self.regime}-{size}-{self.passes}x{self.rate:g}-{self.read_out}-{self.seed}"


Lookup = Callable[[Cell], dict[str, Any] | None]
"""What came of a cell, or None while it has not been run."""


def plan(options: RegimesOptions, lookup: Lookup, *, d_model: int) -> Iterator[Cell]:
    """All cells in order; each must be finished before the next is asked for, because the search decides what follows."""
    for regime in options.regimes:
        yield from search_cells(options, lookup, regime, d_model=d_model)
        yield _table(options, lookup, regime, d_model=d_model)
    yield Cell("table", BAG_OF_WORDS, options.examples, 1, 0)
    for seed in range(1, options.seeds):
        for regime in options.regimes:
            yield replace(_table(options, lookup, regime, d_model=d_model), seed=seed)
    for seed in range(options.seeds):
        for size in sorted(options.sizes):
            for regime in (*(r for r in CURVES if r in options.regimes), BAG_OF_WORDS):
                yield _curve(options, lookup, regime, size, seed, d_model=d_model)
    for seed in range(options.seeds):
        for regime in (r for r in READ_ELSEWHERE["regimes"] if r in options.regimes):
            for read_out in READ_ELSEWHERE["read_outs"]:
                cell = _table(options, lookup, regime, d_model=d_model)
                yield replace(cell, part="read-out", read_out=read_out, seed=seed)


def search_cells(options: RegimesOptions, lookup: Lookup, regime: str, *, d_model: int) -> Iterator[Cell]:
    """The search of one regime, in order."""
    few, *more = sorted(options.passes)
    shrink = 256 / d_model if regime in BY_WIDTH else 1
    size = options.search_examples
    first = [Cell("search", regime, size, few, rate * shrink) for rate in RATES[regime]]
    yield from first
    yield from (replace(_best(first, lookup), passes=passes) for passes in more)


def chosen(options: RegimesOptions, lookup: Lookup, regime: str, *, d_model: int) -> Cell:
    """The best cell of a finished search; of equals the first."""
    return _best(list(search_cells(options, lookup, regime, d_model=d_model)), lookup)


def _best(cells: list[Cell], lookup: Lookup) -> Cell:
    return max(cells, key=lambda cell: held_out_mean(lookup(cell)))


def held_out_mean(result: dict[str, Any]) -> float:
    """Accuracy on the held-out slices, each source counting alike."""
    accuracies = result["held_out_accuracy"].values()
    return sum(accuracies) / len(accuracies)


def _table(options: RegimesOptions, lookup: Lookup, regime: str, *, d_model: int) -> Cell:
    return replace(chosen(options, lookup, regime, d_model=d_model), part="table", examples=options.examples)


def _curve(options: RegimesOptions, lookup: Lookup, regime: str, size: int, seed: int, *, d_model: int) -> Cell:
    if regime == BAG_OF_WORDS:
        return Cell("curve", regime, size, 1, 0, seed)
    best = chosen(options, lookup, regime, d_model=d_model)
    return replace(best, part="curve", examples=size, seed=seed)


def passes_of(cell: Cell, fewest_texts: int) -> int:
    """How often a run goes over its texts: as chosen, or so often that it reads `fewest_texts`."""
    return cell.passes if cell.examples is None else max(cell.passes, math.ceil(fewest_texts / cell.examples))
