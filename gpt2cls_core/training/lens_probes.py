"""A linear probe for every layer of a finished classifier, bundled with it, and the accuracy of both lenses.

The probes learn from train rows of SST-2, written as people type (`vary`), at their last token. What is reported is the
held-out slice of the train split, which neither classifier nor probes have learned from: for every layer, how often the
raw lens (``ln_f`` and the head) is right, and how often the layer's probe.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ..classifier import Classifier, bundled_folder, load_classifier
from ..cloud import last_token_states
from ..errors import DataError, ModelError, OptionError
from ..lens import head_logits
from ..probes import LensProbes, normalised, save_lens_probes
from .data import LabelledTexts, load_and_hold_out, vary
from .files import read_json, write_json
from .options import ProbesOptions

__all__ = ["fit_lens_probes", "probes", "train_lens_probes"]


def probes(options: ProbesOptions) -> Path:
    """The command: `train_lens_probes` with options from the command line; returns the probes' file."""
    return train_lens_probes(
        options.model, options.data, results=options.results, texts=options.texts, seed=options.seed
    )


def train_lens_probes(model: str, data: str, *, results: str, texts: int = 8000, seed: int = 0) -> Path:
    """Fit the probes, write them into the model's folder and both lenses' accuracies into a results file.

    Args:
        model: folder of a classifier with two classes, 0 = negative and 1 = positive.
        data: SST-2, by hub name or folder; only its train split is read.
        results: JSON file; ``["lens"][name of the model]`` becomes {"n": held-out texts, "n_train", "head": [layer+1],
            "probe": [layer+1], "majority"}, the rest stays.
        texts: how many train rows to learn from.
        seed: of their choice and of `vary`.

    Returns:
        The probes' file.

    Raises:
        ModelError: the classifier can't be loaded, or is no folder.
        DataError: the data can't be read, or the rows that were drawn are all of one class.
        OptionError: the classifier has more than two classes, or `texts` is below 2.
    """
    clf = load_classifier(model)
    if not (bundled_folder(model) or Path(model)).is_dir():  # before minutes of work that would have no place
        raise ModelError(f"{model} is no folder, so its probes have no place. Save the classifier to a folder first.")
    if len(clf.labels) != 2:
        raise OptionError(f"Probes tell two classes apart; {model} has {len(clf.labels)}.")
    if texts < 2:
        raise OptionError(f"texts must be 2 or more, not {texts}.")
    train, held_out = load_and_hold_out(data)
    train = train.sample(texts, seed=seed)
    if len(set(train.labels)) < 2:
        raise DataError(f"The {len(train)} texts drawn from {data} are all of one class; learn from more (--texts).")
    generator = random.Random(seed)
    train = LabelledTexts([vary(text, generator) for text in train.texts], train.labels)
    probes = fit_lens_probes(normalised(clf, _states(clf, train)), train.labels)
    entry = measure_lenses(clf, probes, held_out) | {"n_train": len(train)}
    file = save_lens_probes(clf, probes)
    measured = read_json(Path(results), {})
    measured.setdefault("lens", {})[clf.card.get("name", Path(model).name)] = entry
    write_json(Path(results), measured)
    return file


def fit_lens_probes(vectors: Tensor, labels: list[int]) -> LensProbes:
    """One logistic regression per layer (standardised inputs, C = 0.1), written as weights on the vectors as they are.

    Args:
        vectors: normalised last-token vectors [layer+1 text d_model].
        labels: 0 or 1 of each text.
    """
    weights, biases = [], []
    for layer in vectors.double().numpy():
        scaler = StandardScaler().fit(layer)
        probe = LogisticRegression(C=0.1, max_iter=2000).fit(scaler.transform(layer), labels)
        weight = probe.coef_[0] / scaler.scale_
        weights.append(weight)
        biases.append(probe.intercept_[0] - weight @ scaler.mean_)
    return LensProbes(torch.tensor(np.stack(weights)).float(), torch.tensor(np.array(biases)).float())


def measure_lenses(clf: Classifier, probes: LensProbes, texts: LabelledTexts) -> dict[str, int | float | list[float]]:
    """Accuracy per layer of the head and of the probes, and of always saying the more frequent class."""
    vectors, truth = _states(clf, texts), torch.tensor(texts.labels)
    by_head = head_logits(clf, vectors).argmax(-1)
    by_probe = (torch.einsum("ltd,ld->lt", normalised(clf, vectors), probes.weights) + probes.bias[:, None] > 0).long()
    share = float(truth.float().mean())
    return {
        "n": len(texts),
        "head": [round(float((row == truth).float().mean()), 4) for row in by_head],
        "probe": [round(float((row == truth).float().mean()), 4) for row in by_probe],
        "majority": round(max(share, 1 - share), 4),
    }


def _states(clf: Classifier, texts: LabelledTexts) -> Tensor:
    """Residual stream at the last tokens [layer+1 text d_model]."""
    return last_token_states(clf, [clf.encode(text) for text in texts.texts], batch_size=64)
