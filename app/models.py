"""The classifiers that the page offers, loaded once, and the traces of the texts last read, bounded."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from gpt2cls_core import (
    Attribution,
    Classifier,
    FrozenFeatures,
    LanguageModel,
    LensProbes,
    LiveHead,
    ModelError,
    SentenceCloud,
    States,
    Trace,
    bundled_folder,
    bundled_names,
    cloud_sentences,
    integrated_gradients,
    load_base,
    load_classifier,
    load_features,
    load_lens_probes,
    read_states,
    sentence_cloud,
    trace,
    train_head,
)

from .once import once

_LOADING = Lock()  # lru_cache alone would load twice for two who ask at once
RESULTS = Path(__file__).resolve().parents[1] / "assets" / "results.json"
BUNDLED = "full"
"""What stands in for a model that can't be loaded."""
TRAINED = {
    "head": "the head alone",
    "prompt": "soft prompt",
    "lora": "LoRA",
    "last-block": "last block",
    "full": "everything",
    "random": "everything, from random",
}
"""What was trained, by bundled name, from the least to the most: the switch in the header."""


TRACE_BYTES = 256 * 2**20
"""Of traces kept for the next chapter or press: of 30 tokens one takes 1 MB with a bundled model, of 1,024 with GPT-2 700."""


@dataclass(frozen=True)
class Shape:
    """What the page must know of a model to lay itself out, before the weights are loaded."""

    labels: tuple[str, ...]
    n_layer: int
    n_head: int


def offered(default: str) -> list[str]:
    """The models to switch between: the default first, then the bundled ones that it can be compared with.

    Raises:
        ModelError: the default can't be loaded.
    """
    bundled = [name for name in TRAINED if name in bundled_names() and name != default]
    return [default, *(name for name in bundled if shape(name) == shape(default))]


def fall_back(names: list[str]) -> tuple[list[str], str]:
    """The models to offer where the first may not load: then a bundled one goes before it.

    Returns:
        The names, and what to tell the reader: empty if all is well.
    """
    if bundled_folder(names[0]):
        return names, ""
    try:
        classifier(names[0])
    except ModelError as error:
        return [BUNDLED, *(name for name in names if name != BUNDLED)], f"A bundled model instead: {error}"
    return names, ""


def title(name: str) -> str:
    """What the switch calls a model."""
    return TRAINED.get(name, Path(name).name)


def shape(name: str) -> Shape:
    """Read a local model's files, which takes a millisecond; load a model from the hub.

    Raises:
        ModelError: it can't be loaded.
    """
    folder = bundled_folder(name) or Path(name)
    try:
        card = {} if (folder / "config.json").is_file() else _json(folder / "card.json")
        config = _json((bundled_folder(name).parent / card["base"] if card else folder) / "config.json")
        labels = card.get("labels") or [config["id2label"][str(i)] for i in range(len(config["id2label"]))]
        return Shape(tuple(labels), config["n_layer"], config["n_head"])
    except (OSError, AttributeError, KeyError, TypeError, ValueError):
        clf = classifier(name)
        return Shape(clf.labels, clf.n_layer, clf.n_head)


def classifier(name: str) -> Classifier:
    """Load a classifier, or give the one loaded before; who comes while it is loading waits for it.

    Raises:
        ModelError: it can't be loaded.
    """
    with _LOADING:
        return _classifier(name)


def load_all(names: list[str]) -> None:
    """Load models one after another, so that switching to one later is quick; one that can't be loaded is told when chosen."""
    for name in names:
        with suppress(ModelError):
            classifier(name)


@lru_cache(maxsize=16)  # the bundled ones share a body
def _classifier(name: str) -> Classifier:
    from transformers.utils import logging

    logging.disable_progress_bar()  # of weights, which load in half a second
    return load_classifier(name)


def trace_bytes(read: Trace) -> int:
    """Memory that a trace takes."""
    return sum(part.nbytes for part in (read.resid, read.attn_out, read.mlp_out, read.attention, read.logits))


@once(entries=64, most_bytes=TRACE_BYTES, size=trace_bytes)
def read(name: str, text: str) -> Trace:
    """The trace of a text, shared by the verdict and all chapters.

    Raises:
        TextError: the text can't be read.
    """
    return trace(classifier(name), text)


@once(entries=16, most_bytes=TRACE_BYTES, size=trace_bytes)
def read_with(clf: Classifier, text: str) -> Trace:
    """The trace of a second text, such as one with a word swapped.

    Raises:
        TextError: the text can't be read.
    """
    return trace(clf, text)


@once(entries=64)
def attributed(clf: Classifier, text: str, baseline: str) -> Attribution:
    """Integrated gradients of a text, which several chapters need.

    Raises:
        TextError, OptionError: as `integrated_gradients`.
    """
    return integrated_gradients(clf, text, baseline=baseline)


@lru_cache(maxsize=8)
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


def beside(clf: Classifier) -> list[Classifier]:
    """A classifier among the bundled ones with the same labels, in the order of the switch; a foreign one comes first."""
    names = [name for name in TRAINED if name in bundled_names()]
    found = [] if clf.name in names else [clf]
    for name in names:
        with suppress(ModelError):  # told when it is chosen
            found.append(clf if name == clf.name else classifier(name))
    return [other for other in found if other.labels == clf.labels]


@once(entries=1)
def features() -> FrozenFeatures | None:
    """What the bundled base makes of labelled sentences, to train heads on; None where it does not ship."""
    try:
        return load_features(load_base())
    except ModelError:
        return None


@lru_cache(maxsize=64)
def live_head(examples: int, layer: int, place: str, seed: int) -> LiveHead:
    """A head trained on these features, which must be there; the same choice is trained once.

    Raises:
        OptionError: they have not so many examples, or no such layer or place.
    """
    return train_head(features(), examples=examples, layer=layer, place=place, seed=seed)


@lru_cache(maxsize=16)
def frozen_states(text: str) -> States | None:
    """What the bundled base makes of a text, whatever the page's model; None where there is no base."""
    try:
        return read_states(load_base(), text)
    except ModelError:
        return None


@lru_cache(maxsize=8)
def lens_probes(clf: Classifier) -> LensProbes | None:
    """The classifier's trained lens, or None where it has none."""
    try:
        return load_lens_probes(clf)
    except ModelError:
        return None


@once(entries=8)
def cloud(clf: Classifier) -> SentenceCloud | None:
    """The project's own sentences as this classifier sees them, or None for one without exactly two classes."""
    return sentence_cloud(clf, *cloud_sentences()) if len(clf.labels) == 2 else None


@lru_cache(maxsize=16)
def kept(*_key: object) -> list:
    """A list for each key, empty at first, for what a chapter computed in steps and needs again at the next press."""
    return []


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def results() -> dict:
    """What was measured, from assets/results.json; empty where the file is missing."""
    try:
        return _json(RESULTS)
    except (OSError, ValueError):
        return {}


def facts(name: str) -> str:
    """One line on a model: what it is, how much of it was trained, and its measured accuracy beside the bag of words."""
    clf = classifier(name)
    n_all, trained = clf.n_parameters, clf.card.get("trained_parameters")
    size = f"{n_all / 1e6:.1f}M parameters"
    if trained is not None:
        size += ", all trained" if trained == n_all else f", {trained:,} of them trained"
    parts = [str(clf.card.get("description", Path(name).name)), size]
    measured = results()
    try:
        accuracy = measured["classifiers"][name]["accuracy"]["sst2/validation"]["accuracy"]
        words = measured["baselines"]["bag_of_words"]["accuracy"]["sst2/validation"]["accuracy"]
        parts.append(f"SST-2 accuracy {accuracy:.1%} (bag of words {words:.1%})")
    except KeyError:
        parts.append("accuracy not measured here")
    return " · ".join(parts)
