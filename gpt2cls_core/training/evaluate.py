"""Stage four: how often is the classifier right, and how often would something simpler be?

Every accuracy comes with the number of texts and its 95 % interval (Wilson 1927), which for 872 sentences is four
points wide: without it the second decimal looks like knowledge. Baselines are trained on the train split of the very
source that they are measured on; `bag_of_words_joint` has read all the train splits, as the classifier has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..classifier import load_classifier
from ..errors import DataError, OptionError
from ..intervals import wilson
from .baselines import bag_of_words, majority
from .data import LabelledTexts, load_labelled, probe_task
from .files import read_json, write_json
from .options import EvaluateOptions, repeat
from .pooling import predict

__all__ = ["accuracy_of", "evaluate"]


def accuracy_of(predicted: Iterable[int], labels: list[int]) -> dict[str, float | int]:
    """Accuracy with its interval and the number of texts."""
    right = int(np.sum(np.asarray(predicted) == np.asarray(labels)))
    low, high = wilson(right, len(labels))
    return {"accuracy": round(right / len(labels), 4), "low": round(low, 4), "high": round(high, 4), "n": len(labels)}


def split_name(source: str) -> tuple[str, str, str]:
    """``"../shared/datasets/sst2:validation"`` as path, split and the name ``sst2/validation``."""
    path, _, split = source.rpartition(":")
    if not path or not split:
        raise OptionError(f"--data {source!r} must be SOURCE:SPLIT, such as stanfordnlp/sst2:validation.")
    return path, split, f"{Path(path).name}/{split}"


def evaluate(options: EvaluateOptions) -> Path:
    """Measure and merge into the results file, which keeps what this call does not measure; returns its path."""
    if options.model and not options.data:
        raise OptionError("--model needs --data, the splits to measure on.")
    path = Path(options.results)
    results = read_json(path, {})
    named = [split_name(source) for source in options.data]
    splits = {name: (source, split) for source, split, name in named}
    if len(splits) < len(named):
        raise OptionError(
            f"--data: two splits would have the same name in the results: {', '.join(n for *_, n in named)}."
        )
    tests = {name: load_labelled(*split).sample(options.limit, seed=0) for name, split in splits.items()}
    for model in options.model:
        name, entry = measure_classifier(model, tests)
        before = results.setdefault("classifiers", {}).get(name, {})
        if all(before.get(k) == v for k, v in entry.items() if k not in ("measured", "accuracy")):  # not trained anew
            entry["accuracy"] = {**before["accuracy"], **entry["accuracy"]}
        results["classifiers"][name] = entry
        write_json(path, results)  # at once: the next model takes minutes
    if options.baselines and tests:
        sources = {name: source for name, (source, _) in splits.items()}
        for name, entry in measure_baselines(sources, tests, options.limit).items():
            kept = results.setdefault("baselines", {}).setdefault(name, {"accuracy": {}})
            kept["accuracy"].update(entry)
    if options.pretraining:
        results["pretraining"] = read_pretraining([Path(run) for run in options.pretraining])
    write_json(path, results)
    return path


def measure_classifier(source: str, tests: dict[str, LabelledTexts]) -> tuple[str, dict[str, Any]]:
    """A classifier's name and its entry in the results."""
    clf = load_classifier(source, device="cuda" if torch.cuda.is_available() else "cpu")
    clf.model.set_attn_implementation("sdpa")  # the same numbers faster; nobody looks at the attention
    card = clf.card
    entry = {
        key: card.get(key) for key in ("description", "how_trained", "regime", "base", "command", "seed", "date")
    } | {
        "parameters": clf.n_parameters,
        "trained_parameters": card.get("trained_parameters"),
        "measured": date.today().isoformat(),
        "accuracy": {},
    }  # fmt: skip
    for name, test in tests.items():
        entry["accuracy"][name] = accuracy_of(predict(clf.model, clf.tokenizer, test.texts), test.labels)
        print(f"{source} on {name}: {entry['accuracy'][name]}", flush=True)
    return card.get("name", Path(source).name), entry


def measure_baselines(
    sources: dict[str, str], tests: dict[str, LabelledTexts], limit: int | None
) -> dict[str, dict[str, Any]]:
    """The baselines' entries, by baseline and split; each learns from the train split of the source under `sources`."""
    trains = {s: load_labelled(s, "train").sample(limit, seed=0) for s in sorted(set(sources.values()))}
    joint = bag_of_words(sum(trains.values(), LabelledTexts([], [])))
    measured: dict[str, dict[str, Any]] = {"majority": {}, "bag_of_words": {}, "bag_of_words_joint": {}}
    for name, test in tests.items():
        train = trains[sources[name]]
        measured["majority"][name] = accuracy_of(majority(train, test.texts), test.labels)
        measured["bag_of_words"][name] = accuracy_of(bag_of_words(train).predict(test.texts), test.labels)
        measured["bag_of_words_joint"][name] = accuracy_of(joint.predict(test.texts), test.labels)
        print(f"baselines on {name}: {json.dumps({k: v[name]['accuracy'] for k, v in measured.items()})}", flush=True)
    return measured


def read_pretraining(runs: Sequence[Path]) -> dict[str, Any]:
    """The entry of a pre-training in one run, or in several of which each went on from the model of the one before.

    Tokens are counted through; of a later run the first point is left out, because it repeats the last one before it.
    Beside the curve stands what a bag of words reaches on the task of its probe.

    Raises:
        DataError: a run is not finished.
    """
    records, curve = [], []
    for run in runs:
        record, points = read_json(run / "pretrain.json"), read_json(run / "curve.json")
        if record is None or not points:
            raise DataError(f"{run} holds no finished pre-training run (pretrain.json and curve.json).")
        before = curve[-1]["tokens"] if curve else 0
        curve += [{**point, "tokens": before + point["tokens"]} for point in (points[1:] if curve else points)]
        records.append(record)
    train, held_out = probe_task(records[-1]["probe_data"])
    return {
        "commands": [repeat("pretrain", record) for record in records],
        "data": [split_name(source)[2] for source in records[0]["data"]],
        "dates": [record.get("date") for record in records],
        "seeds": [record["seed"] for record in records],
        "curve": curve,
        "probe": {"train": len(train), "held_out": len(held_out)},
        "probe_baseline_bag_of_words": accuracy_of(bag_of_words(train).predict(held_out.texts), held_out.labels),
    }
