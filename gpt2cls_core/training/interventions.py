"""What becomes of the accuracy when the running model is changed, over the validation split of SST-2.

A single text shows that an intervention *can* turn a verdict. Whether it does in general is a count over many texts, and each
number here carries the number of texts and its 95 % interval: Wilson's for accuracies, mean ± 1.96 standard errors for margins.
Each intervention has its control beside it: as many other positions, or all the other tokens. The split is measured on only;
nothing is chosen by it. A soft prompt is left out wherever places in the *text* are meant.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from torch import Tensor

from ..ablation import MARKS, punctuation_positions, sentiment_directions
from ..attribution import integrated_gradients
from ..classifier import Classifier, Encoding, load_classifier
from ..edits import cut_edits, direction_edits
from ..errors import ModelError, OptionError
from ..interventions import cut_each
from ..probes import load_lens_probes
from ..trace import trace
from .command_line import command_line
from .data import LabelledTexts, load_labelled
from .edited_batches import margins_of
from .evaluate import accuracy_of
from .files import read_json, write_json
from .options import InterventionsOptions

__all__ = [
    "draw_others",
    "interventions",
    "measure_direction",
    "measure_interventions",
    "measure_single_cuts",
    "within",
]

PERCENT = tuple(range(0, 101, 10))


def interventions(options: InterventionsOptions) -> Path:
    """The command: measure one classifier and merge the numbers into the results file; returns its path.

    Raises:
        ModelError: the classifier can't be loaded.
        DataError: the data can't be read.
        OptionError: the classifier has more than two classes, or `sample` is below 2.
    """
    clf = load_classifier(options.model)
    if len(clf.labels) != 2:
        raise OptionError(f"SST-2 has two classes; {options.model} has {len(clf.labels)}.")
    if options.sample < 2:
        raise OptionError(f"sample must be 2 or more, not {options.sample}.")
    texts = load_labelled(options.data, "validation").sample(options.limit, seed=options.seed)
    path = Path(options.results)
    entry = {
        "command": command_line("interventions", options),
        "date": date.today().isoformat(),
        "seed": options.seed,
        "data": f"{Path(options.data).name}/validation",
        **measure_interventions(clf, texts, sample=options.sample, seed=options.seed),
    }
    results = read_json(path, {})
    results.setdefault("interventions", {})[clf.card.get("name", Path(options.model).name)] = entry
    write_json(path, results)
    return path


def measure_interventions(clf: Classifier, texts: LabelledTexts, *, sample: int, seed: int) -> dict[str, Any]:
    """Every number of this module.

    Args:
        sample: texts in which single tokens are cut; those of fewer than three tokens are passed over.
        seed: of the control's positions.

    Returns:
        - ``n``
        - ``accuracy``: of the model as it is (``clean``); with the last position's attention to all earlier tokens (a soft
          prompt too) cut in every layer (``last_token_alone``: its vector then knows its own token and place), in the lower half
          of the layers, and in the upper half.
        - ``read_out``: where the head, trained on the last position, reads another vector of the same run.
        - ``prefix``: the head's reading at the token that lies so many percent on the way from the first to the last.
        - ``direction``: see `measure_direction`.
        - ``one_token``: see `measure_single_cuts`.
    """
    encodings = [clf.encode(text) for text in texts.texts]
    half = clf.n_layer // 2
    cuts = {
        "last_token_alone": range(clf.n_layer),
        "last_cut_in_lower_half": range(half),
        "last_cut_in_upper_half": range(half, clf.n_layer),
    }
    clean = margins_of(clf, encodings)
    accuracy = {"clean": _accuracy([margins[-1] for margins in clean], texts.labels)}
    for name, layers in cuts.items():
        cut = margins_of(clf, encodings, lambda batch, at=layers: cut_edits(clf, batch.only_last(), at))
        accuracy[name] = _accuracy([margins[-1] for margins in cut], texts.labels)
    _say("accuracy", accuracy)
    return {
        "n": len(texts),
        "accuracy": accuracy,
        **_measure_places(
            [m[encoding.n_virtual :] for m, encoding in zip(clean, encodings, strict=True)], texts.labels
        ),
        "direction": measure_direction(clf, encodings, texts.labels, seed=seed),
        "one_token": measure_single_cuts(clf, encodings, sample=sample),
    }


def _measure_places(margins: Sequence[Tensor], labels: Sequence[int]) -> dict[str, Any]:
    """Accuracy of what the head reads elsewhere, from its margins at every position of each text [pos]."""
    read_out = {
        "first": _accuracy([m[0] for m in margins], labels),
        "middle": _accuracy([m[(len(m) - 1) // 2] for m in margins], labels),
        "mean": _accuracy([m.mean() for m in margins], labels),  # the head is linear: its margin of the mean vector
        "second_to_last": _accuracy([m[max(0, len(m) - 2)] for m in margins], labels),
        "last": _accuracy([m[-1] for m in margins], labels),
    }
    prefix = [_accuracy([m[round(share / 100 * (len(m) - 1))] for m in margins], labels) for share in PERCENT]
    _say("read_out", read_out)
    _say("prefix", dict(zip(PERCENT, prefix, strict=True)))
    return {"read_out": read_out, "prefix": {"percent": list(PERCENT), "accuracy": prefix}}


def measure_direction(
    clf: Classifier, encodings: Sequence[Encoding], labels: Sequence[int], *, seed: int
) -> dict[str, Any]:
    """Accuracy with the direction of sentiment projected out after the embedding and every block, at some positions.

    Only texts count that have punctuation before the last token (``n``). Positions: ``punctuation`` (such marks),
    ``random`` (as many others before the last, or all of them where there are fewer), ``all_but_last``, and ``everywhere``,
    the last too. Directions: the head's own, without which ``everywhere`` leaves the head nothing but the constant that
    ``ln_f``'s shift gives to every text; and the probes' of each layer, where the model has some.
    """
    marks = [punctuation_positions(encoding) for encoding in encodings]
    rows = [i for i, found in enumerate(marks) if found]
    if not rows:
        return {"n": 0, "marks": MARKS}
    kept, truth = [encodings[i] for i in rows], [labels[i] for i in rows]
    generator = random.Random(seed)
    places = {
        "punctuation": [marks[i] for i in rows],
        "random": [draw_others(encodings[i], marks[i], generator) for i in rows],
        "all_but_last": [range(len(encoding) - 1) for encoding in kept],
        "everywhere": [range(len(encoding)) for encoding in kept],
    }
    directions = {"head": sentiment_directions(clf)}
    try:
        directions["probes"] = sentiment_directions(clf, load_lens_probes(clf))
    except ModelError:
        print("No probes of this model: the head's direction alone.", flush=True)
    clean = _accuracy([margins[-1] for margins in margins_of(clf, kept)], truth)
    measured: dict[str, Any] = {"n": len(rows), "marks": MARKS, "clean": clean}
    for name, direction in directions.items():
        measured[name] = {}
        for where, positions in places.items():
            after = margins_of(
                clf, kept, lambda batch, v=direction, at=positions: direction_edits(clf, v, batch.at(at))
            )
            measured[name][where] = _accuracy([margins[-1] for margins in after], truth)
        _say(f"direction of the {name}", measured[name])
    return measured


def draw_others(encoding: Encoding, marks: Sequence[int], generator: random.Random) -> list[int]:
    """As many positions of the text before its last token as there are marks, none of them a mark; all where there are fewer."""
    others = [i for i in range(encoding.n_virtual, len(encoding) - 1) if i not in marks]
    return sorted(generator.sample(others, min(len(marks), len(others))))


def measure_single_cuts(clf: Classifier, encodings: Sequence[Encoding], *, sample: int) -> dict[str, Any]:
    """How far the margin moves when one token is cut, by every route and by direct edges alone.

    In each text ``top`` is the token before the last with the largest |integrated gradients| (baseline eos), ``other`` the mean
    over all other tokens before the last, which is what a random one gives on average. Changes are absolute, in logits;
    ``margin`` is the size of the margin that they change. ``top_moves_most`` counts the texts in which no other cut by every
    route moves the margin further; ``by_chance`` is what a random choice would reach.
    """
    moved: dict[str, list[float]] = {f"{who}_{route}": [] for who in ("top", "other") for route in ("every", "direct")}
    most, chance, margins = [], [], []
    usable = [encoding for encoding in encodings if len(encoding) - encoding.n_virtual >= 3][:sample]
    for done, encoding in enumerate(usable, 1):
        read, text = trace(clf, encoding), slice(encoding.n_virtual, len(encoding) - 1)
        top = int(integrated_gradients(clf, encoding).scores[text].abs().argmax())
        margin = float(read.logits[1] - read.logits[0])
        for route in ("every", "direct"):
            changes = (cut_each(clf, read, route=route)[text] - margin).abs()
            moved[f"top_{route}"].append(float(changes[top]))
            moved[f"other_{route}"].append(float(changes.sum() - changes[top]) / (len(changes) - 1))
            if route == "every":
                most.append(int(changes.argmax() == top))
                chance.append(1 / len(changes))
        margins.append(abs(margin))
        if done % 50 == 0:
            print(f"single cuts: {done} of {len(usable)} texts", flush=True)
    if len(usable) < 2:
        return {"n": len(usable)}
    differences = [a - b for a, b in zip(moved["top_every"], moved["top_direct"], strict=True)]
    measured = {name: within(values) for name, values in moved.items()}
    measured |= {"top_every_minus_direct": within(differences), "margin": within(margins)}
    _say("one token cut", measured)
    share = accuracy_of(most, [1] * len(most))
    found = {"share" if key == "accuracy" else key: value for key, value in share.items()}
    return {"n": len(usable), **measured, "top_moves_most": found, "by_chance": round(sum(chance) / len(chance), 4)}


def within(values: Sequence[float]) -> dict[str, float | int]:
    """The mean of values with its 95 % interval, ± 1.96 standard errors."""
    n, mean = len(values), sum(values) / len(values)
    error = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)
    low, high = mean - 1.959964 * error, mean + 1.959964 * error
    return {"mean": round(mean, 4), "low": round(low, 4), "high": round(high, 4), "n": n}


def _accuracy(margins: Sequence[Tensor], labels: Sequence[int]) -> dict[str, float | int]:
    return accuracy_of([int(margin > 0) for margin in margins], list(labels))


def _say(what: str, measured: Mapping[Any, Mapping[str, float | int]]) -> None:
    shown = ", ".join(f"{name} {next(iter(entry.values()))}" for name, entry in measured.items())
    print(f"{what}: {shown}", flush=True)
