"""From the finished cells of the study of regimes to what the results say of them.

Seeds stand for all that is drawn: which texts, in which order, the first weights of head and adapter, dropout. The interval of a
mean over seeds is Student's: mean ± t · s / √n, t = 4.30 for three seeds. It says how far another seed might lead, and not how sure
an accuracy on so many test texts is; `intervals.wilson` says that, and both matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t

from .cells import BAG_OF_WORDS, held_out_mean
from .command_line import command_line, portable
from .options import RegimesOptions

__all__ = ["over_seeds", "summarise"]


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean of accuracies and its 95 % interval; one value has no interval (None)."""
    mean, half = fmean(values), None
    if len(values) > 1:
        half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return {
        "mean": round(mean, 4),
        "low": None if half is None else round(max(0.0, mean - half), 4),
        "high": None if half is None else round(min(1.0, mean + half), 4),
        "seeds": list(values),
    }


def summarise(cells: Sequence[dict[str, Any]], options: RegimesOptions) -> dict[str, Any]:
    """What finished cells say, for ``results["regimes"]``.

    Args:
        cells: as `regimes.run_cell` returns them, in the order of the plan.
        options: as they were given.

    Returns:
        - command, base, data, seeds, examples, sample: how it was done;
        - search: by regime what was tried (rate, passes, held-out accuracy), in order;
        - table: by regime, and for the bag of words, what was trained and stored, how long it took (see `clock`), and accuracy by
          split;
        - curves: by regime a list of points, from few texts to those of the table, with accuracy on the first split;
        - read_outs: by regime and place to read, accuracy on the first split.
    """
    parts = {part: [c for c in cells if c["part"] == part] for part in ("search", "table", "curve", "read-out")}
    regimes = list(dict.fromkeys(cell["regime"] for cell in parts["table"]))
    return {
        "command": command_line("regimes", replace(options, minutes=None)),
        "base": portable(options.base),
        "data": [Path(source).name for source in options.data],
        "seeds": options.seeds,
        "examples": options.examples,
        "sample": options.sample,
        "search": {
            regime: [
                {**_setting(cell), "held_out": round(held_out_mean(cell), 4)}
                for cell in parts["search"]
                if cell["regime"] == regime
            ]
            for regime in dict.fromkeys(cell["regime"] for cell in parts["search"])
        },
        "table": {regime: _row([c for c in parts["table"] if c["regime"] == regime]) for regime in regimes},
        "curves": _curves(parts["curve"], parts["table"]),
        "read_outs": _read_outs(parts["read-out"], parts["table"]),
    }


def _setting(cell: dict[str, Any]) -> dict[str, Any]:
    """What was chosen for the regime."""
    if cell["regime"] == BAG_OF_WORDS:
        return {}
    return {"c" if cell["regime"] == "head" else "learning_rate": cell["rate"], "passes": cell["passes"]}


def _row(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """One regime's line of the table."""
    first = cells[0]
    seconds = [cell["seconds"] for cell in cells if cell["seconds"] is not None]  # not known of a run that was resumed
    return {
        **_setting(first),
        "texts": first["texts"],
        "parameters": first["parameters"],
        "trained_parameters": first["trained_parameters"],
        "trained_share": round(first["trained_parameters"] / first["parameters"], 6),
        "stored_bytes": first["stored_bytes"],
        "seconds": round(fmean(seconds), 1) if seconds else None,
        "accuracy": _accuracy(cells),
    }


def _accuracy(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """By split, over the seeds."""
    return {
        split: over_seeds([cell["accuracy"][split]["accuracy"] for cell in cells]) | {"n": measured["n"]}
        for split, measured in cells[0]["accuracy"].items()
    }


def _curves(curve: list[dict[str, Any]], table: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Each regime's points by number of texts; the last is the table's."""
    points: dict[str, list[dict[str, Any]]] = {}
    for regime in dict.fromkeys(cell["regime"] for cell in curve):
        by_texts: dict[int, list[dict[str, Any]]] = {}
        for cell in (*curve, *table):
            if cell["regime"] == regime:
                by_texts.setdefault(cell["texts"], []).append(cell)
        split = next(iter(curve[0]["accuracy"]))
        points[regime] = [
            {"texts": texts, **over_seeds([cell["accuracy"][split]["accuracy"] for cell in cells])}
            for texts, cells in sorted(by_texts.items())
        ]
    return points


def _read_outs(elsewhere: list[dict[str, Any]], table: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By regime and place, the last token of the table first."""
    found: dict[str, dict[str, Any]] = {}
    for regime in dict.fromkeys(cell["regime"] for cell in elsewhere):
        cells = [
            {**cell, "accuracy": {split: cell["accuracy"][split] for split in elsewhere[0]["accuracy"]}}
            for cell in (*table, *elsewhere)
            if cell["regime"] == regime
        ]
        places = dict.fromkeys(cell["read_out"] for cell in cells)
        found[regime] = {place: _accuracy([c for c in cells if c["read_out"] == place]) for place in places}
    return found
