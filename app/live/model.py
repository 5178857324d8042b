"""A classifier as files for the browser: its graph, its weights in 16 bits, its tokenizer, and what JavaScript has to know of it.

Classifiers that are kept as a few changed weights of one base can share a lesson: the base's weights are there once, and each
one's change beside them, put on it in the browser as `gpt2cls_core.deltas` does it here. The changes stay in the precision in which
they are kept, and everything is computed in float32.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt2cls_core import Classifier, OptionError
from gpt2cls_core.attribution import FIRST_INTERVALS, MOST_INTERVALS, NOISE, TOLERANCE
from gpt2cls_core.classifier import BUNDLED
from gpt2cls_core.deltas import is_delta
from gpt2cls_core.quadrature import spread_clenshaw_curtis

from .assemble import WEIGHTS_FILE
from .graph import graph_of, weight_names

__all__ = ["ModelFiles", "model_files"]


@dataclass(frozen=True, eq=False)
class ModelFiles:
    """What `opener` in ``engine.js`` takes.

    Attributes:
        graph: an ONNX file without weights.
        weights: a safetensors file in float16.
        tokenizer: ``tokenizer.json``.
        deltas: by model, the safetensors file of what it changes of the weights.
        card: numbers and names.
    """

    graph: bytes
    weights: bytes
    tokenizer: str
    deltas: dict[str, bytes]
    card: dict[str, Any]


def model_files(classifiers: Sequence[Classifier]) -> ModelFiles:
    """The files of one classifier, or of several that stand on one base.

    Raises:
        OptionError: none, more than two classes, or several that don't stand on one base.
    """
    if not classifiers:
        raise OptionError("There is no model to put into the lesson; name one.")
    first = classifiers[0]
    if any(len(clf.labels) != 2 for clf in classifiers):
        raise OptionError("The lesson that needs no server is for two classes.")
    if len(classifiers) > 1 and (first.base is None or any(clf.base is not first.base for clf in classifiers)):
        raise OptionError(
            "Several models can share a lesson only if they stand on one base, such as head, lora and prompt."
        )
    changes = {clf.name: _delta(clf) for clf in classifiers if clf.base is not None}
    return ModelFiles(
        graph=graph_of(first),
        weights=_halves(first),
        tokenizer=first.tokenizer.backend_tokenizer.to_str(),
        deltas={name: file for name, (file, _) in changes.items()},
        card=_card(first)
        | {"models": {clf.name: {"scale": changes.get(clf.name, (b"", 1.0))[1]} for clf in classifiers}},
    )


def _halves(clf: Classifier) -> bytes:
    """The weights of a model, or of the base that it stands on."""
    from safetensors.torch import save

    named = clf.model.named_parameters()
    if clf.base is not None:
        named = ((f"transformer.{name}", weight) for name, weight in clf.base.transformer.named_parameters())
    return save({name: weight.detach().cpu().half().contiguous() for name, weight in named})


def _delta(clf: Classifier) -> tuple[bytes, float]:
    """The file of what a model changes of its base, and by how much LoRA's products count."""
    folder = BUNDLED / clf.name if is_delta(BUNDLED / clf.name) else Path(clf.name)
    adapter = folder / "adapter_config.json"
    if not adapter.is_file():
        return (folder / "delta.safetensors").read_bytes(), 1.0
    settings = json.loads(adapter.read_text(encoding="utf-8"))
    scale = settings["lora_alpha"] / settings["r"] if settings["peft_type"] == "LORA" else 1.0
    return (folder / "adapter_model.safetensors").read_bytes(), scale


def _card(clf: Classifier) -> dict[str, Any]:
    rules, intervals = [], FIRST_INTERVALS
    while intervals <= MOST_INTERVALS:
        points, weights = spread_clenshaw_curtis(intervals)
        rules.append({"points": points.tolist(), "weights": weights.tolist()})
        intervals *= 2
    return {
        "context": clf.context,
        "n_layer": clf.n_layer,
        "eos": clf.tokenizer.eos_token_id,
        "weights_file": WEIGHTS_FILE,
        "weight_names": weight_names(clf),
        "quadrature": rules,
        "asked": TOLERANCE,
        "noise": NOISE,
    }
