"""The classifiers that the page offers, loaded once, and the traces of the texts last read, bounded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gpt2cls_core import Classifier, Trace, bundled_folder, load_classifier, trace

RESULTS = Path(__file__).resolve().parents[1] / "assets" / "results.json"


@dataclass(frozen=True)
class Shape:
    """What the page must know of a model to lay itself out, before the weights are loaded."""

    labels: tuple[str, ...]
    n_layer: int
    n_head: int


def shape(name: str) -> Shape:
    """Read a local model's config.json, which takes a millisecond; load a model from the hub.

    Raises:
        ModelError: it can't be loaded.
    """
    path = (bundled_folder(name) or Path(name)) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        labels = tuple(config["id2label"][str(i)] for i in range(len(config["id2label"])))
        return Shape(labels, config["n_layer"], config["n_head"])
    except (OSError, KeyError, ValueError):
        clf = classifier(name)
        return Shape(clf.labels, clf.n_layer, clf.n_head)


@lru_cache(maxsize=4)
def classifier(name: str) -> Classifier:
    """Load a classifier, or give the one loaded before.

    Raises:
        ModelError: it can't be loaded.
    """
    return load_classifier(name)


@lru_cache(maxsize=64)
def read(name: str, text: str) -> Trace:
    """The trace of a text, shared by all chapters.

    Raises:
        TextError: the text can't be read.
    """
    return trace(classifier(name), text)


def facts(name: str) -> str:
    """One line on a model: what it is, its size, and its measured accuracy beside the bag of words."""
    clf = classifier(name)
    parts = [str(clf.card.get("description", Path(name).name)), f"{clf.n_parameters / 1e6:.1f}M parameters"]
    try:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
        measured = results["classifiers"][name]["accuracy"]["sst2/validation"]["accuracy"]
        words = results["baselines"]["bag_of_words"]["accuracy"]["sst2/validation"]["accuracy"]
        parts.append(f"SST-2 accuracy {measured:.1%} (bag of words {words:.1%})")
    except (OSError, KeyError, ValueError):
        parts.append("accuracy not measured here")
    return " · ".join(parts)
