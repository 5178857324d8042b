"""The classifiers that the page offers, loaded once, and the traces of the texts last read, bounded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from gpt2cls_core import (
    Classifier,
    LanguageModel,
    LensProbes,
    ModelError,
    SentenceCloud,
    States,
    Trace,
    bundled_folder,
    cloud_sentences,
    load_base,
    load_classifier,
    load_lens_probes,
    read_states,
    sentence_cloud,
    trace,
)

_LOADING = Lock()  # lru_cache alone would load twice for two who ask at once
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
    except (OSError, KeyError, TypeError, ValueError):
        clf = classifier(name)
        return Shape(clf.labels, clf.n_layer, clf.n_head)


def classifier(name: str) -> Classifier:
    """Load a classifier, or give the one loaded before; who comes while it is loading waits for it.

    Raises:
        ModelError: it can't be loaded.
    """
    with _LOADING:
        return _classifier(name)


@lru_cache(maxsize=4)
def _classifier(name: str) -> Classifier:
    from transformers.utils import logging

    logging.disable_progress_bar()  # of weights, which load in half a second
    return load_classifier(name)


@lru_cache(maxsize=64)
def read(name: str, text: str) -> Trace:
    """The trace of a text, shared by all chapters.

    Raises:
        TextError: the text can't be read.
    """
    return trace(classifier(name), text)


@lru_cache(maxsize=16)
def read_with(clf: Classifier, text: str) -> Trace:
    """The trace of a second text, such as one with a word swapped.

    Raises:
        TextError: the text can't be read.
    """
    return trace(clf, text)


@lru_cache(maxsize=4)
def base(clf: Classifier) -> LanguageModel | None:
    """The language model that a classifier started from, or None where it is not at hand."""
    try:
        return load_base() if bundled_folder(clf.name) else None
    except ModelError:
        return None


@lru_cache(maxsize=64)
def base_states(clf: Classifier, text: str) -> States | None:
    """What that language model makes of a text."""
    model = base(clf)
    return read_states(model, text) if model else None


@lru_cache(maxsize=4)
def lens_probes(clf: Classifier) -> LensProbes | None:
    """The classifier's trained lens, or None where it has none."""
    try:
        return load_lens_probes(clf)
    except ModelError:
        return None


@lru_cache(maxsize=4)
def cloud(clf: Classifier) -> SentenceCloud | None:
    """The project's own sentences as this classifier sees them, or None for one without exactly two classes."""
    return sentence_cloud(clf, *cloud_sentences()) if len(clf.labels) == 2 else None


@lru_cache(maxsize=16)
def kept(*_key: object) -> list:
    """A list for each key, empty at first, for what a chapter computed in steps and needs again at the next press."""
    return []


def results() -> dict:
    """What was measured, from assets/results.json; empty where the file is missing."""
    try:
        return json.loads(RESULTS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def facts(name: str) -> str:
    """One line on a model: what it is, its size, and its measured accuracy beside the bag of words."""
    clf = classifier(name)
    parts = [str(clf.card.get("description", Path(name).name)), f"{clf.n_parameters / 1e6:.1f}M parameters"]
    measured = results()
    try:
        accuracy = measured["classifiers"][name]["accuracy"]["sst2/validation"]["accuracy"]
        words = measured["baselines"]["bag_of_words"]["accuracy"]["sst2/validation"]["accuracy"]
        parts.append(f"SST-2 accuracy {accuracy:.1%} (bag of words {words:.1%})")
    except KeyError:
        parts.append("accuracy not measured here")
    return " · ".join(parts)
