"""What a longer text costs: seconds and memory of the methods that the chapters use, at 16, 32, … 1,024 tokens.

A method that took long at one length is not run at the next, where it would take at least twice as long, and mostly four times.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..attribution import integrated_gradients
from ..classifier import Classifier
from ..interventions import cut_each
from ..rollout import attention_rollout
from ..trace import trace
from .timing import peak_bytes, text_of

__all__ = ["GROWTH_LENGTHS", "Cost", "growth", "growth_table"]

GROWTH_LENGTHS = (16, 32, 64, 128, 256, 512, 1024)
PATIENCE = 60.0  # seconds; a method that takes longer is not run on longer texts


@dataclass(frozen=True)
class Cost:
    """One method on one length: seconds, and bytes held at most (None where not known)."""

    name: str
    n_tokens: int
    seconds: float
    peak: int | None


def growth(clf: Classifier, lengths: Sequence[int] = GROWTH_LENGTHS, *, patience: float = PATIENCE) -> Iterator[Cost]:
    """Run each method once per length, shortest first; lengths beyond the model's context are left out."""
    tired: set[str] = set()
    for length in lengths:
        if length > clf.context:
            return
        encoding = text_of(clf, length)
        traced = trace(clf, encoding)
        actions: dict[str, Callable[[], object]] = {
            "trace": lambda encoding=encoding: trace(clf, encoding),
            "rollout of a trace": lambda traced=traced: attention_rollout(traced),
            "integrated gradients, auto": lambda encoding=encoding: integrated_gradients(clf, encoding),
            "each token cut, direct edges": lambda traced=traced: cut_each(clf, traced, route="direct"),
            "each token cut, every route": lambda traced=traced: cut_each(clf, traced),
        }
        for name, action in actions.items():
            if name in tired:
                continue
            start = time.perf_counter()
            peak = peak_bytes(action)
            seconds = time.perf_counter() - start
            yield Cost(name, length, seconds, peak)
            if seconds > patience:
                tired.add(name)


def growth_table(costs: Sequence[Cost]) -> str:
    """Seconds, and megabytes after a slash, by method (lines) and number of tokens (columns)."""
    names = list(dict.fromkeys(cost.name for cost in costs))
    lengths = sorted({cost.n_tokens for cost in costs})
    cells = {(cost.name, cost.n_tokens): _cell(cost) for cost in costs}
    width = max(len(name) for name in names)
    lines = [f"{'s / MB at … tokens':{width}}" + "".join(f"  {length:>13,}" for length in lengths)]
    for name in names:
        lines.append(f"{name:{width}}" + "".join(f"  {cells.get((name, length), '–'):>13}" for length in lengths))
    return "\n".join(lines)


def _cell(cost: Cost) -> str:
    peak = "–" if cost.peak is None else f"{cost.peak / 1e6:,.0f}"
    return f"{cost.seconds:.3g} / {peak}"
