"""Stage three: pack a finished model so that it can lie in a git repository and be loaded by anyone.

Weights are rounded to 16 bits, which changes a logit in its third decimal, and cut into files of a few megabytes. The
config still says float32, so that every loader computes in 32 bits: many processors are slow or inexact in 16. Beside
the weights lies ``card.json``: what the model is and how it came to be, for the person who reads the page's header.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, GPT2ForSequenceClassification, GPT2LMHeadModel, PreTrainedModel

from ..errors import ModelError, OptionError
from .files import read_json, write_json
from .options import ShipOptions, portable, repeat

__all__ = ["make_card", "ship"]


def ship(options: ShipOptions) -> Path:
    """Write ``to/name``: weights, tokenizer and card, in one move; an older folder of that name is replaced.

    Raises:
        ModelError: the folder holds no GPT-2 that `pretrain` or `finetune` finished, or weights that are damaged.
        OptionError: a single weight matrix is larger than a file may be.
    """
    model, tokenizer = _read(options.model)
    card = make_card(options, model)
    target = Path(options.to) / options.name
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, not in /tmp: a rename is one move only within one file system.
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{options.name}.", suffix=".partial"))
    try:
        _halve(model).save_pretrained(partial, max_shard_size=f"{options.shard_mb}MB")
        config = read_json(partial / "config.json")
        write_json(partial / "config.json", {**config, "dtype": "float32"})
        tokenizer.save_pretrained(partial)
        write_json(partial / "card.json", card)
        for file in partial.iterdir():
            file.chmod(0o644)
            if file.stat().st_size > options.shard_mb * 1_000_000:
                raise OptionError(f"{file.name} is larger than --shard-mb {options.shard_mb}; one matrix can't be cut.")
        partial.chmod(0o755)
        _replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def make_card(options: ShipOptions, model: PreTrainedModel) -> dict[str, Any]:
    """What a reader wants to know of a model, from the record that its training left beside the folder."""
    run = Path(options.model).parent
    card: dict[str, Any] = {"name": options.name}
    if (record := read_json(run / "finetune.json")) is not None:
        sources = ", ".join(Path(source.partition(":")[0]).name for source in record["data"])
        card |= {
            "description": f"GPT-2 classifier, {model.num_parameters() / 1e6:.1f} M weights, all of them trained",
            "how_trained": f"on {sources} (train splits), {record['tokens'] / 1e6:.1f} M tokens",
            "regime": record["regime"],
            "base": "random weights" if record["from_scratch"] else portable(record["base"]),
            "command": repeat("finetune", record),
            "trained_parameters": record["trained_parameters"],
            "held_out_accuracy": record["held_out_accuracy"],
        }
    elif (record := read_json(run / "pretrain.json")) is not None:
        sources = ", ".join(sorted({Path(source.rpartition(":")[0]).name for source in record["data"]}))
        card |= {
            "description": f"GPT-2, {model.num_parameters() / 1e6:.1f} M weights, that predicts the next token",
            "how_trained": f"on raw text of {sources}, {record['tokens'] / 1e6:.0f} M tokens, labels unseen",
            "regime": "pretrained",
            "base": portable(record["base"]) if record["base"] else "random weights",
            "command": repeat("pretrain", record),
            "trained_parameters": model.num_parameters(),
        }
    else:
        raise ModelError(
            f"{run} holds neither pretrain.json nor finetune.json: --model is the model/ folder of such a run."
        )
    card |= {
        "parameters": model.num_parameters(),
        "context": model.config.n_positions,
        "seed": record["seed"],
        "date": record.get("date"),
    }
    return card | ({"description": options.description} if options.description else {})


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


def _replace(partial: Path, target: Path) -> None:
    """Move a finished folder to its place; the one that was there is gone only when the new one stands."""
    old = target.with_name(target.name + ".old.partial")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(partial, target)
    shutil.rmtree(old, ignore_errors=True)
