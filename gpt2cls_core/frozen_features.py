"""What the frozen base makes of labelled sentences: vectors without their texts.

To train a head on a body that does not change, one needs the body's vectors and the labels, and nothing else. So they are computed
once (`python -m gpt2cls_core.training features`) and shipped; a head is then trained in a moment on any machine (`live_head`).

Every vector is the residual stream *after the base's* ``ln_f``. The head of GPT-2 reads through that LayerNorm, so at the last
layer these are exactly the vectors that training the head alone works with; at a lower layer they are what the head would be
given if the model ended there. It also makes layers comparable, for the stream itself grows from layer to layer.

They are packed as int8 with one scale per layer, place and coordinate, x ≈ scale · q with q from −127 to 127: a quarter of
float32's size, and an error of at most half a step. The command prints what that costs in accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .base import LanguageModel
from .classifier import BUNDLED
from .errors import ModelError, OptionError
from .weights import fingerprint

__all__ = [
    "FEATURES",
    "PLACES",
    "FrozenFeatures",
    "Norm",
    "Packed",
    "load_features",
    "pack",
    "read_place",
    "save_features",
]

FEATURES = BUNDLED.parent / "features"
PLACES = ("first", "middle", "last", "mean")
"""Where a text is read: at its first token, its middle one (position (n − 1) // 2 of n), its last, or the mean over all. The
study of `training.regimes` reads a random token for "middle", one of its own for each text."""

_ROWS = "rows.safetensors"
_ADVICE = "Write them again with: python -m gpt2cls_core.training features"


@dataclass(frozen=True, eq=False)
class Norm:
    """A model's ``ln_f``: scale and shift [d_model], and ε."""

    weight: Tensor
    bias: Tensor
    epsilon: float

    @classmethod
    def of(cls, model: LanguageModel) -> Norm:
        """The last LayerNorm of a language model, as a copy."""
        norm = model.body.ln_f
        return cls(norm.weight.detach().float().cpu().clone(), norm.bias.detach().float().cpu().clone(), norm.eps)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Vectors of the residual stream [… d_model] as the head would be given them."""
        return nn.functional.layer_norm(vectors, self.weight.shape, self.weight, self.bias, self.epsilon)


@dataclass(frozen=True, eq=False)
class Packed:
    """Vectors of one layer and place: int8 `train` and `held_out` [row d_model], and the size of a step, `scale` [d_model]."""

    train: Tensor
    held_out: Tensor
    scale: Tensor


@dataclass(frozen=True, eq=False)
class FrozenFeatures:
    """Vectors that the frozen base makes of labelled texts, to train heads on and to judge them by.

    Attributes:
        layers: 0 = embeddings, last = after the last block.
        places: of `PLACES`.
        labels, held_out_labels: 0 = negative, 1 = positive, int64 [row]; as many of each class.
        norm: the base's ``ln_f``, through which everything here was read.
        base_fingerprint: of the base's body, see `weights.fingerprint`.
        data: where the texts are from, such as ``sst2/train``; held out are rows of the same split that none was learned from.
        packed: by layer and place.
    """

    layers: tuple[int, ...]
    places: tuple[str, ...]
    labels: Tensor
    held_out_labels: Tensor
    norm: Norm
    base_fingerprint: str
    data: str
    packed: dict[tuple[int, str], Packed] = field(repr=False)

    def vectors(self, layer: int, place: str) -> tuple[Tensor, Tensor]:
        """The vectors to learn from and those held out, after the base's ``ln_f``, float32 [row d_model] each.

        Raises:
            OptionError: there is no such layer or place.
        """
        if layer not in self.layers:
            raise OptionError(f"There is no layer {layer}; the layers are 0 to {self.layers[-1]}.")
        if place not in self.places:
            raise OptionError(f"There is no place {place!r}; the places are {', '.join(self.places)}.")
        packed = self.packed[layer, place]
        return packed.train * packed.scale, packed.held_out * packed.scale


def read_place(vectors: Tensor, place: str) -> Tensor:
    """Of vectors at every position [… pos d_model] the one that a place names [… d_model].

    Raises:
        OptionError: there is no such place.
    """
    if place not in PLACES:
        raise OptionError(f"There is no place {place!r}; the places are {', '.join(PLACES)}.")
    if place == "mean":
        return vectors.mean(-2)
    last = vectors.shape[-2] - 1
    return vectors[..., {"first": 0, "middle": last // 2, "last": last}[place], :]


def pack(train: Tensor, held_out: Tensor) -> Packed:
    """Round vectors [row d_model] to 255 steps per coordinate, the largest value of either part being the last step."""
    scale = torch.cat([train, held_out]).abs().amax(0) / 127
    scale[scale == 0] = 1
    return Packed(*((part / scale).round().to(torch.int8) for part in (train, held_out)), scale.float())


def save_features(features: FrozenFeatures, folder: Path, **about: str) -> None:
    """Write features into an empty folder: a file for the labels, and one per layer; each says what all of them say.

    Args:
        about: more to say of how they came to be, such as a seed.
    """
    from safetensors.torch import save_file

    metadata = about | {
        "base_fingerprint": features.base_fingerprint,
        "data": features.data,
        "layers": str(len(features.layers)),
        "epsilon": repr(features.norm.epsilon),
    }
    rows = {
        "labels": features.labels.to(torch.uint8),
        "held_out_labels": features.held_out_labels.to(torch.uint8),
        "ln_f.weight": features.norm.weight,
        "ln_f.bias": features.norm.bias,
    }
    save_file(rows, folder / _ROWS, metadata=metadata)
    for layer in features.layers:
        tensors = {}
        for place in features.places:
            for part, tensor in vars(features.packed[layer, place]).items():
                tensors[f"{place}.{part}"] = tensor.contiguous()
        save_file(tensors, folder / f"layer-{layer}.safetensors", metadata=metadata)


def load_features(base: LanguageModel | None = None, path: str | Path = FEATURES) -> FrozenFeatures:
    """The features that ship with the project, or those of another folder.

    Args:
        base: the base whose features they must be; None takes them as they are.
        path: the folder.

    Raises:
        ModelError: there are none, a file is missing or damaged, the files are of different runs, or the features are of
            another base.
    """
    folder = Path(path)
    rows, about = _read(folder / _ROWS)
    try:
        layers = tuple(range(int(about["layers"])))
        norm = Norm(rows["ln_f.weight"], rows["ln_f.bias"], float(about["epsilon"]))
        labels, held_out_labels = rows["labels"].long(), rows["held_out_labels"].long()
        packed: dict[tuple[int, str], Packed] = {}
        for layer in layers:
            tensors, same = _read(folder / f"layer-{layer}.safetensors")
            if same != about:
                raise ModelError(f"{folder} holds files of different runs. {_ADVICE}")
            for place in PLACES:
                packed[layer, place] = Packed(*(tensors[f"{place}.{part}"] for part in Packed.__annotations__))
        features = FrozenFeatures(
            layers, PLACES, labels, held_out_labels, norm, about["base_fingerprint"], about["data"], packed
        )
    except (KeyError, ValueError) as error:
        raise ModelError(f"{folder} holds something else than features ({error}). {_ADVICE}") from error
    _check(features, folder)
    if base is not None and (found := fingerprint(base.body)) != features.base_fingerprint:
        raise ModelError(
            f"The features in {folder} are of another base ({features.base_fingerprint}) than {base.name} ({found}). {_ADVICE}"
        )
    return features


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the metadata of one file."""
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise ModelError(f"There is no {file}. {_ADVICE}")
    try:
        with safe_open(str(file), "pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}, stored.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} can't be read; it is damaged. {_ADVICE} ({error})") from error


def _check(features: FrozenFeatures, folder: Path) -> None:
    """Refuse features whose parts do not fit each other."""
    shapes = [(len(labels), len(features.norm.weight)) for labels in (features.labels, features.held_out_labels)]
    for packed in features.packed.values():
        fits = [part.shape == shape for part, shape in zip((packed.train, packed.held_out), shapes, strict=True)]
        if not all(fits) or packed.train.dtype != torch.int8 or packed.held_out.dtype != torch.int8:
            raise ModelError(f"{folder} holds vectors that do not fit their labels. {_ADVICE}")
        if packed.scale.shape != shapes[0][1:] or not packed.scale.isfinite().all():
            raise ModelError(f"{folder} holds scales that are not numbers, or not one per coordinate. {_ADVICE}")
    for labels in (features.labels, features.held_out_labels):
        sizes = labels.bincount(minlength=2).tolist()
        if len(sizes) != 2 or abs(sizes[0] - sizes[1]) > 1:
            raise ModelError(f"{folder} must hold as many rows of class 0 as of class 1; it holds {sizes}. {_ADVICE}")
