"""What each command of `python -m gpt2cls_core.training` can be told, in one light module.

Nothing heavy is imported here, so that ``--help`` answers at once. Every field of a class below is an option of the
command of the same name: `learning_rate` is ``--learning-rate``, a field without a default is required, and the text
beside a field is its help.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from .command_line import command_line, option

__all__ = [
    "LEARNING_RATES",
    "REGIMES",
    "EvaluateOptions",
    "ExplanationsOptions",
    "FeaturesOptions",
    "FinetuneOptions",
    "InterventionsOptions",
    "LabelMapOptions",
    "PretrainOptions",
    "ProbesOptions",
    "RegimesOptions",
    "ShipOptions",
    "repeat",
]


REGIMES = ("full", "head", "last-block", "lora", "prompt", "random")
"""Ways to train a classifier from a base; see `FinetuneOptions.regime`."""

LEARNING_RATES = {"full": 3e-4, "last-block": 1e-3, "lora": 2e-3, "prompt": 3e-2, "random": 3e-4}
"""Learning rates that serve a model of the bundled one's size; the head is solved for, not walked to."""


@dataclass(frozen=True)
class PretrainOptions:
    """Everything that decides the outcome of `pretrain`; written beside the model as ``pretrain.json``."""

    data: tuple[str, ...] = option(
        "texts to read, each as SOURCE:SPLIT or SOURCE:SPLIT:PASSES; a source is a hub name or a folder"
    )
    probe_data: str = option("SST-2, by hub name or folder: its train split serves to probe for sentiment on the way")
    output: str = option("folder for checkpoints, tokenizer, curve.json and the final model/")
    base: str | None = option("go on from this model (folder or hub name) instead of from random weights", None)
    vocab_size: int = option("size of the byte-level BPE vocabulary that is trained first", 8192)
    d_model: int = option("width of the residual stream", 256)
    layers: int = option("number of blocks", 6)
    heads: int = option("attention heads per block", 8)
    context: int = option("longest text in tokens", 256)
    tokens: float = option("length of the run in tokens", 24e6)
    batch_size: int = option("rows of `context` tokens per step", 16)
    learning_rate: float = option("peak learning rate of Muon and AdamW", 3e-3)
    warmup_share: float = option("part of the run in which the learning rate rises", 0.02)
    decay_share: float = option("part of the run, at its end, in which the learning rate falls to zero", 0.25)
    measurements: int = option("points on the curve, the untrained body included", 11)
    seed: int = option("seed of everything random", 0)
    bf16: bool = option("compute in bfloat16", True)
    compile: bool = option("torch.compile the model: slower to start, faster to run", False)
    limit: int | None = option("read only so many texts per split, for a trial", None)


@dataclass(frozen=True)
class FinetuneOptions:
    """Everything that decides the outcome of `finetune`; written beside the model as ``finetune.json``."""

    base: str = option("the pre-trained model to start from: the model/ folder of pretrain, or a hub name")
    data: tuple[str, ...] = option("labelled sources, each as SOURCE or SOURCE:PASSES; only the train split is read")
    output: str = option("folder for checkpoints, curve.json and the final model/")
    regime: str = option(
        "which weights learn: full = all of them; head = the linear head alone, on a frozen body; last-block = the last "
        "block, ln_f and head; lora = thin matrices beside those of the blocks, and head; prompt = virtual tokens before "
        "the text, and head; random = all of them, from random weights in the shape of the base",
        "full",
        choices=REGIMES,
    )
    examples: int | None = option(
        "learn from so many texts in all, as many of each class, drawn by --seed (default: from all)", None
    )
    rank: int = option("lora: rank of the products that are added", 4)
    virtual_tokens: int = option("prompt: number of virtual tokens", 10)
    head_c: float = option("head: C of the logistic regression, the inverse of its penalty", 0.1)
    optimizer: str = option("adamw, or muon for the matrices inside the blocks", "adamw", choices=("adamw", "muon"))
    learning_rate: float | None = option(
        "peak learning rate; it falls linearly to zero (default: "
        + ", ".join(f"{regime} {rate:g}" for regime, rate in LEARNING_RATES.items())
        + ")",
        None,
    )
    weight_decay: float = option("weight decay of the matrices", 0.01)
    warmup_share: float = option("part of the run in which the learning rate rises", 0.06)
    dropout: float = option("dropout on embeddings and residual branches while training", 0.1)
    prefix_weight: float = option(
        "weight of the loss at the ends of sentences inside a text, read as shorter texts (untried above 0.5)", 0.0
    )
    batch_size: int = option("texts per step", 32)
    measurements: int = option("how often the held-out slices are measured, the end included", 5)
    seed: int = option("seed of everything random", 0)
    bf16: bool = option("compute in bfloat16", True)
    limit: int | None = option("use only so many texts per source, for a trial", None)


@dataclass(frozen=True)
class EvaluateOptions:
    """What `evaluate` measures and where it writes."""

    results: str = option("JSON file that the numbers are merged into")
    data: tuple[str, ...] = option("labelled splits to measure on, each as SOURCE:SPLIT", ())
    model: tuple[str, ...] = option("classifiers to measure: shipped folders, model/ folders or hub names", ())
    baselines: bool = option("measure majority class and bag of words on the same splits", True)
    pretraining: tuple[str, ...] = option(
        "output folders of pretrain, in their order, whose curve goes into the results", ()
    )
    limit: int | None = option("use only so many texts per split, for a trial", None)


@dataclass(frozen=True)
class ShipOptions:
    """What `ship` packs."""

    model: str = option("the model/ folder of pretrain or finetune")
    name: str = option("name under which it is loaded, such as full or base")
    to: str = option("folder that holds the shipped models", "assets/models")
    base: str | None = option(
        "of a classifier that is kept as changes of a base, the base's name under TO (default: base, or its hub name)",
        None,
    )
    description: str | None = option("one sentence for the page's header; made from the options where left out", None)
    shard_mb: int = option("largest size of one weight file, in megabytes", 9)


@dataclass(frozen=True)
class ProbesOptions:
    """What `probes` learns from and where it writes."""

    model: str = option("folder of a shipped classifier with two classes; the probes are put there")
    data: str = option("SST-2, by hub name or folder; only the train split is read")
    results: str = option("JSON file that the accuracies are merged into")
    texts: int = option("how many train rows to learn from", 8000)
    seed: int = option("seed of their choice and of the spelling that they are given", 0)


@dataclass(frozen=True)
class RegimesOptions:
    """What `regimes` compares, on what, and for how long."""

    base: str = option("the pre-trained model that all regimes start from: a folder or hub name")
    data: tuple[str, ...] = option("labelled sources by hub name or folder; only the train split is learned from")
    test: tuple[str, ...] = option(
        "labelled splits to measure on, each as SOURCE:SPLIT; curves and read-outs use the first alone"
    )
    output: str = option("folder for the finished cells, one JSON file each, and for the run that is under way")
    results: str = option("JSON file that the summary is merged into, under regimes")
    regimes: tuple[str, ...] = option("regimes to compare", REGIMES)
    seeds: int = option("runs of everything but the search, each with another seed", 3)
    examples: int | None = option("texts to learn from in the table and the read-outs (default: all)", None)
    sizes: tuple[int, ...] = option(
        "texts to learn from in the learning curves, beside --examples", (32, 128, 512, 2048, 8192)
    )
    search_examples: int | None = option("texts to learn from in the search for learning rate and passes", 8192)
    passes: tuple[int, ...] = option("numbers of passes over the texts that the search tries", (1, 3))
    fewest_texts: int = option("a run reads so many texts at least: small sets are passed over more often", 6400)
    sample: int | None = option("measure on so many texts of a test split at most, always the same ones", 2000)
    minutes: float | None = option("start no new run after so many minutes; the same command goes on later", None)
    batch_size: int = option("texts per step", 32)
    bf16: bool = option("compute in bfloat16", True)
    limit: int | None = option("use only so many texts per source, for a trial", None)


@dataclass(frozen=True)
class InterventionsOptions:
    """What `interventions` measures and where it writes."""

    model: str = option("a classifier with two classes: a shipped folder, a model/ folder or a hub name")
    data: str = option("SST-2, by hub name or folder; only the validation split is read, to measure on")
    results: str = option("JSON file that the numbers are merged into")
    sample: int = option("in how many texts single tokens are cut, the slow part", 300)
    limit: int | None = option("use only so many texts, for a trial", None)
    seed: int = option("seed of the control's positions, and of the choice where there is a limit", 0)


@dataclass(frozen=True)
class ExplanationsOptions:
    """What `explanations` measures and where it writes."""

    model: str = option("a classifier: a shipped folder, a model/ folder or a hub name")
    data: str = option("SST-2, by hub name or folder; the validation split is measured on")
    output: str = option("folder for the finished texts, one small file each, so that a run can go on")
    results: str = option("JSON file that the numbers are merged into")
    sample: int = option("on how many texts", 300)
    draws: int = option("random orders per text", 20)
    points: int = option("steps of the curves between no tokens and all, beside those of the fractions", 5)
    shortcut: str | None = option(
        "also fine-tune this base (folder or hub name) on sentences in which one planted word decides, and count how often "
        "each method finds it",
        None,
    )
    shortcut_texts: int = option("how many of SST-2's training sentences the word is planted in", 6400)
    shortcut_words: tuple[str, ...] = option("the word, which must be one token, and the decoy", ("table", "river"))
    seed: int = option("seed of the choice of texts and of the random orders", 0)


@dataclass(frozen=True)
class FeaturesOptions:
    """What `features` computes and where it writes."""

    base: str = option("the pre-trained model whose vectors they are: a folder or hub name")
    data: str = option("SST-2, by hub name or folder; only the train split is read")
    output: str = option("folder for the vectors, replaced in one move")
    examples: int = option("rows to learn from, as many of each class", 1000)
    held_out: int = option("rows of the held-out slice to measure on, as many of each class", 500)
    seed: int = option("seed of their choice and of the spelling that those to learn from are given", 0)


@dataclass(frozen=True)
class LabelMapOptions:
    """What `label-map` measures and where it writes."""

    base: str = option("the pre-trained model: a folder or hub name")
    model: str = option("a classifier with two classes that was made from it: a folder or hub name")
    data: str = option("SST-2, by hub name or folder; only the train split is read")
    results: str = option("JSON file that the numbers are merged into")
    texts: int = option("sentences to learn from, as many of each class", 2000)
    fewest_tokens: int = option("leave out sentences of fewer tokens", 8)
    shuffles: int = option("how often the control shuffles the labels", 5)
    seed: int = option("seed of the choice of sentences and of the shuffles", 0)


def repeat(command: str, record: dict[str, Any]) -> str:
    """The command behind a run, from the ``pretrain.json`` or ``finetune.json`` that it left."""
    kind = {"pretrain": PretrainOptions, "finetune": FinetuneOptions}[command]
    names = {field.name for field in dataclasses.fields(kind)}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items() if k in names}
    return command_line(command, kind(**given))
