"""Stage three: pack a finished model so that it can lie in a git repository and be loaded by anyone.

Weights are rounded to 16 bits, which changes a logit in its third decimal, and cut into files of a few megabytes. The
config still says float32, so that every loader computes in 32 bits: many processors are slow or inexact in 16. Of a
classifier that left most of its base as it was, only what changed is packed (see `deltas`); its card names the shipped
base, which must be the one that it was trained on. Beside the weights lies ``card.json``: what the model is and how it
came to be, for the person who reads the page's header.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer, GPT2ForSequenceClassification, GPT2LMHeadModel, PreTrainedModel

from ..deltas import is_delta, read_card, read_delta
from ..errors import ModelError, OptionError
from ..weights import fingerprint
from .command_line import portable
from .files import read_json, whole_folder, write_json
from .options import ShipOptions, repeat

__all__ = ["make_card", "ship"]


def ship(options: ShipOptions) -> Path:
    """Write ``to/name``: weights, tokenizer and card, in one move; an older folder of that name is replaced.

    Raises:
        ModelError: the folder holds no GPT-2 that `pretrain` or `finetune` finished, weights that are damaged, or changes
            of another base than the one shipped.
        OptionError: a single weight matrix is larger than a file may be.
    """
    target = Path(options.to) / options.name
    if is_delta(Path(options.model)):
        return _ship_changes(options, target)
    model, tokenizer = _read(options.model)
    card = make_card(options, model.num_parameters(), model.config.n_positions)
    with whole_folder(target) as partial:
        _halve(model).save_pretrained(partial, max_shard_size=f"{options.shard_mb}MB")
        config = read_json(partial / "config.json")
        write_json(partial / "config.json", {**config, "dtype": "float32"})
        tokenizer.save_pretrained(partial)
        write_json(partial / "card.json", card)
        _check_sizes(partial, options)
    return target


def _ship_changes(options: ShipOptions, target: Path) -> Path:
    """Pack what changed of a base."""
    source = Path(options.model)
    changes = read_delta(source)  # refuses what is damaged
    record = read_json(source.parent / "finetune.json", {})
    base = options.base or ("base" if Path(changes.base).is_dir() else changes.base)
    context = _check_base(Path(options.to) / base, base, read_card(source))
    card = make_card(options, record.get("parameters", 0), context)
    card |= {"base": base, "base_fingerprint": changes.fingerprint, "labels": list(changes.labels)}
    with whole_folder(target) as partial:
        for file in source.glob("*.safetensors"):
            halves = {name: tensor.half() for name, tensor in load_file(file).items()}
            if not all(tensor.isfinite().all() for tensor in halves.values()):
                raise ModelError(
                    f"{file} holds weights that are not finite in 16 bits; train with a lower --learning-rate."
                )
            save_file(halves, partial / file.name, metadata={"format": "pt"})
        if (adapter := read_json(source / "adapter_config.json")) is not None:
            write_json(partial / "adapter_config.json", {**adapter, "base_model_name_or_path": base})
        write_json(partial / "card.json", card)
        _check_sizes(partial, options)
    return target


def _check_base(folder: Path, name: str, card: dict[str, Any]) -> int | None:
    """Refuse a shipped base that is not the one that was trained on; its context, or None where it lies on the hub.

    Raises:
        ModelError: it is another, or not there.
    """
    if not folder.is_dir():
        if name == card["base"]:
            return None
        raise ModelError(f"{folder} is not there: ship the base first, from {card['base']}, or name it (--base).")
    base, _ = _read(str(folder))
    if fingerprint(base.transformer) != card["base_fingerprint"]:
        raise ModelError(
            f"The model was trained on another base ({card['base']}) than {folder}; ship that base, or train on this one."
        )
    return base.config.n_positions


def _check_sizes(folder: Path, options: ShipOptions) -> None:
    for file in folder.iterdir():
        if file.stat().st_size > options.shard_mb * 1_000_000:
            raise OptionError(f"{file.name} is larger than --shard-mb {options.shard_mb}; one matrix can't be cut.")


def make_card(options: ShipOptions, parameters: int, context: int | None) -> dict[str, Any]:
    """What a reader wants to know of a model, from the record that its training left beside the folder."""
    run = Path(options.model).parent
    card: dict[str, Any] = {"name": options.name}
    if (record := read_json(run / "finetune.json")) is not None:
        sources = ", ".join(Path(source.partition(":")[0]).name for source in record["data"])
        card |= {
            "description": f"GPT-2 classifier, {parameters / 1e6:.1f} M weights, {_what_learned(record, parameters)}",
            "how_trained": f"on {sources} (train splits), {record['tokens'] / 1e6:.1f} M tokens",
            "regime": record["regime"],
            "base": "random weights" if record["regime"] == "random" else portable(record["base"]),
            "command": repeat("finetune", record),
            "trained_parameters": record["trained_parameters"],
            "held_out_accuracy": record["held_out_accuracy"],
        }
    elif (record := read_json(run / "pretrain.json")) is not None:
        sources = ", ".join(sorted({Path(source.rpartition(":")[0]).name for source in record["data"]}))
        card |= {
            "description": f"GPT-2, {parameters / 1e6:.1f} M weights, that predicts the next token",
            "how_trained": f"on raw text of {sources}, {record['tokens'] / 1e6:.0f} M tokens, labels unseen",
            "regime": "pretrained",
            "base": portable(record["base"]) if record["base"] else "random weights",
            "command": repeat("pretrain", record),
            "trained_parameters": parameters,
        }
    else:
        raise ModelError(
            f"{run} holds neither pretrain.json nor finetune.json: --model is the model/ folder of such a run."
        )
    card |= {
        "parameters": parameters,
        "context": context,
        "seed": record["seed"],
        "date": record.get("date"),
    }
    return card | ({"description": options.description} if options.description else {})


def _what_learned(record: dict[str, Any], parameters: int) -> str:
    """In words, how much of it was trained."""
    trained = record["trained_parameters"]
    if record["regime"] in ("full", "random"):
        return "all of them trained" + (" from random ones" if record["regime"] == "random" else "")
    return f"{record['regime']}: {trained:,} trained ({trained / parameters:.2%})"


def _read(folder: str) -> tuple[PreTrainedModel, Any]:
    """The model with the head that its config names, and its tokenizer."""
    if not (Path(folder) / "config.json").is_file():
        raise ModelError(f"{folder} holds no model (no config.json); give the model/ folder of pretrain or finetune.")
    heads = {c.__name__: c for c in (GPT2ForSequenceClassification, GPT2LMHeadModel)}
    try:
        head = (AutoConfig.from_pretrained(folder).architectures or ["none"])[0]
        if head not in heads:
            raise ModelError(f"{folder} holds a {head}; only {' and '.join(heads)} can be shipped.")
        model, loading = heads[head].from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"{folder} can't be read; train again, which goes on at the last checkpoint. {error}"
        ) from error
    if missing := loading["missing_keys"]:
        raise ModelError(f"{folder} lacks weights: {', '.join(sorted(missing))}.")
    return model, tokenizer


def _halve(model: PreTrainedModel) -> PreTrainedModel:
    """The model in 16 bits, whose largest number is 65,504."""
    model = model.half()
    if not all(torch.isfinite(p).all() for p in model.parameters()):
        raise ModelError("The model holds weights that are not finite in 16 bits; train with a lower --learning-rate.")
    return model
