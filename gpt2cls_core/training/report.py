"""The measured numbers as the tables that README shows: ``python -m gpt2cls_core.training.report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DataError
from ..scoring import METHODS
from .files import read_json

__all__ = ["report"]

SPLITS = {
    "sst2/validation": "SST-2 validation",
    "imdb/test": "IMDb test",
    "product_reviews/test": "product reviews test",
}
BASELINES = {
    "majority": "majority class",
    "bag_of_words": "bag of words, trained on the same source",
    "bag_of_words_joint": "bag of words, trained on all three",
}
WAYS = {"replace": "replaced", "cut": "cut"}
INTERVENTIONS = {
    ("accuracy", "clean"): "as it is: the last token is read, and has read all others",
    ("accuracy", "last_token_alone"): "all attention to earlier tokens cut at the last token: it is left alone",
    ("accuracy", "last_cut_in_lower_half"): "the same in the lower half of the layers only",
    ("accuracy", "last_cut_in_upper_half"): "the same in the upper half only",
    ("read_out", "first"): "the head reads the first token instead",
    ("read_out", "middle"): "the middle token",
    ("read_out", "mean"): "the mean of all tokens",
    ("read_out", "second_to_last"): "the token before the last",
}


def report(results: str) -> str:
    """Markdown: accuracy of classifiers and baselines with 95 % intervals, what interventions leave of it, the curve of
    pre-training, the study of regimes, explanations on trial.

    Raises:
        DataError: the file is missing or holds no measurement.
    """
    measured = read_json(Path(results))
    if not measured or "classifiers" not in measured:
        raise DataError(f"{results} holds no measured classifier; run evaluate first.")
    rows = [(f"`{name}`: {entry['description']}", entry) for name, entry in measured["classifiers"].items()]
    rows += [(title, measured["baselines"][name]) for name, title in BASELINES.items() if name in measured["baselines"]]
    cells = [[name, *(_cell(entry["accuracy"].get(split)) for split in SPLITS)] for name, entry in rows]
    lines = _table(["accuracy (95 % interval)", *SPLITS.values()], cells)
    for name, entry in measured.get("interventions", {}).items():
        rows = [[title, _cell(entry[part][key])] for (part, key), title in INTERVENTIONS.items()]
        lines += ["", *_table([f"what is done to `{name}`", f"{entry['data']}, {entry['n']} sentences"], rows)]
    if curve := measured.get("pretraining", {}).get("curve"):
        points = [
            [f"{p['tokens'] / 1e6:.1f}M", f"{p['held_out_loss']:.2f}", f"{p['probe_accuracy']:.1%}"] for p in curve
        ]
        lines += ["", *_table(["tokens read", "held-out loss", "probe accuracy"], points)]
    if study := measured.get("regimes", {}).get("table"):
        rows = [_regime(name, entry) for name, entry in study.items()]
        lines += [
            "",
            *_table(["what was trained", "weights trained", "stored", "core-seconds", *SPLITS.values()], rows),
        ]
    for name, entry in measured.get("explanations", {}).items():
        lines += ["", *_explanations(name, entry)]
    return "\n".join(lines)


def _explanations(name: str, entry: dict[str, Any]) -> list[str]:
    """What each method's order of tokens does to the verdict's probability, by both ways of taking tokens away."""
    planted = entry.get("shortcut")
    head = [f"explanations of `{name}`, {entry['data']}, {entry['n']} sentences"]
    for way in WAYS.values():
        head += [f"first tokens {way}", f"first tokens alone, others {way}", "beats random"]
    rows = []
    for method, title in {**METHODS, "random": "random order"}.items():
        row = [title]
        for removal in WAYS:
            found = entry["removal"][removal][method]
            row += [_fall(found["comprehensiveness"]), _fall(found["sufficiency"])]
            row.append(f"{found['beats_random_share']['comprehensiveness']['share']:.0%}")
        if planted:
            share = planted["by_chance"] if method == "random" else planted["found"][method]["share"]
            row.append(f"{share:.0%}")
        rows.append(row)
    return _table(head + ["planted word first"] * bool(planted), rows)


def _fall(measured: dict[str, float]) -> str:
    return f"{measured['mean']:.2f} ({measured['low']:.2f} – {measured['high']:.2f})"


def _cell(measured: dict[str, Any] | None) -> str:
    if measured is None:
        return "–"
    return f"{measured['accuracy']:.1%} ({measured['low']:.1%} – {measured['high']:.1%})"


def _regime(name: str, entry: dict[str, Any]) -> list[str]:
    """A line of the study; the intervals are those over seeds."""
    seconds = "–" if entry["seconds"] is None else f"{entry['seconds']:.0f}"
    cells = []
    for split in SPLITS:
        measured = entry["accuracy"].get(split)
        cell = "–" if measured is None else f"{measured['mean']:.1%}"
        if measured is not None and measured["low"] is not None:
            cell += f" ({measured['low']:.1%} – {measured['high']:.1%})"
        cells.append(cell)
    share = f"{entry['trained_parameters']:,} ({entry['trained_share']:.2%})"
    return [f"`{name}`", share, _size(entry["stored_bytes"]), seconds, *cells]


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.0f} KB"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


if __name__ == "__main__":
    print(report("assets/results.json"))
