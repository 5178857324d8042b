"""Vectors of the frozen base, to train heads on in the page: computed once, packed, shipped without their texts.

To learn from there are rows of the train split as they come, which in SST-2 are phrases and sentences, retyped as people type
(`vary`), as in `finetune`. Held out are sentences of the slice that nothing in this project is trained on. Both parts hold as many
of each class, so that half of them is what knowing nothing reaches.

Each text is read by `read_states`, one at a time, as the page reads a person's sentence.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import torch
from torch import Tensor

from ..base import LanguageModel, load_base, read_states
from ..errors import OptionError
from ..frozen_features import PLACES, FrozenFeatures, Norm, load_features, pack, read_place, save_features
from ..logistic import head_weights
from ..weights import fingerprint
from .command_line import command_line, portable
from .data import LabelledTexts, load_and_hold_out, vary
from .files import whole_folder
from .options import FeaturesOptions

__all__ = ["features", "packing_cost", "place_vectors"]


def features(options: FeaturesOptions) -> Path:
    """The command: write the features' folder in one move, and say what packing costs; returns the folder.

    Raises:
        ModelError: the base can't be loaded.
        DataError: the data can't be read, or has fewer texts of a class than asked for.
        OptionError: fewer than 8 examples or 2 held-out texts, or the output folder holds something else.
    """
    _check(options)
    base = load_base(options.base)
    train, held_out = _texts(options)
    learned, judged = place_vectors(base, train.texts), place_vectors(base, held_out.texts)
    made = FrozenFeatures(
        layers=tuple(range(base.body.config.n_layer + 1)),
        places=PLACES,
        labels=torch.tensor(train.labels),
        held_out_labels=torch.tensor(held_out.labels),
        norm=Norm.of(base),
        base_fingerprint=fingerprint(base.body),
        data=f"{Path(options.data).name}/train",
        packed={key: pack(learned[key], judged[key]) for key in learned},
    )
    target = Path(options.output)
    with whole_folder(target) as partial:
        about = {"command": command_line("features", options), "date": date.today().isoformat()}
        save_features(made, partial, base=portable(options.base), seed=str(options.seed), **about)
    _say(load_features(base, target), learned, judged, target)
    return target


def _texts(options: FeaturesOptions) -> tuple[LabelledTexts, LabelledTexts]:
    """To learn from, and held out."""
    train, held_out = load_and_hold_out(options.data)
    train, generator = train.draw(options.examples, seed=options.seed), random.Random(options.seed)
    retyped = LabelledTexts([vary(text, generator) for text in train.texts], train.labels)
    return retyped, held_out.draw(options.held_out, seed=options.seed)


def _check(options: FeaturesOptions) -> None:
    if options.examples < 8 or options.held_out < 2:
        raise OptionError(
            f"--examples must be 8 or more and --held-out 2 or more, not {options.examples} and {options.held_out}."
        )
    target = Path(options.output)
    others = [file for file in target.iterdir() if file.suffix != ".safetensors"] if target.is_dir() else []
    if others or target.is_file():
        raise OptionError(
            f"--output {target} would be replaced, and it holds no features alone; choose another folder."
        )


def place_vectors(base: LanguageModel, texts: list[str]) -> dict[tuple[int, str], Tensor]:
    """The vectors of texts after the base's ``ln_f``, by layer and place, float32 [text d_model] each."""
    norm, rows = Norm.of(base), []
    for done, text in enumerate(texts, 1):
        vectors = norm(read_states(base, text).resid)
        rows.append(torch.stack([read_place(vectors, place) for place in PLACES]))  # (place, layer+1, d_model)
        if done % 250 == 0:
            print(f"{done} of {len(texts)} texts read", flush=True)
    stacked = torch.stack(rows)  # (text, place, layer+1, d_model)
    layers = range(stacked.shape[2])
    return {(layer, place): stacked[:, i, layer].clone() for layer in layers for i, place in enumerate(PLACES)}


def packing_cost(features: FrozenFeatures, learned: Tensor, judged: Tensor) -> tuple[float, float, int]:
    """Held-out accuracy of a head on the last layer's last tokens, from float32 and from packed vectors.

    Args:
        learned, judged: the float32 vectors that were packed [row d_model].

    Returns:
        (accuracy from float32, accuracy from int8, held-out verdicts that differ)
    """
    verdicts = []
    for train, held_out in ((learned, judged), features.vectors(features.layers[-1], "last")):
        weights = head_weights(train, features.labels)
        verdicts.append(held_out @ (weights[1] - weights[0]) > 0)
    exact, packed = (float((verdict == features.held_out_labels.bool()).float().mean()) for verdict in verdicts)
    return exact, packed, int((verdicts[0] != verdicts[1]).sum())


def _say(features: FrozenFeatures, learned: Mapping, judged: Mapping, folder: Path) -> None:
    top = (features.layers[-1], "last")
    exact, packed, differ = packing_cost(features, learned[top], judged[top])
    examples, n = len(features.labels), len(features.held_out_labels)
    sizes = [file.stat().st_size for file in folder.iterdir()]
    print(
        f"A head on the last layer's last tokens, {examples} examples: {exact:.1%} of {n} held-out texts right from float32, "
        f"{packed:.1%} from int8; {differ} verdicts differ.\n"
        f"{sum(sizes):,} bytes in {len(sizes)} files, the largest {max(sizes):,}; float32 would take four times as much.",
        flush=True,
    )
