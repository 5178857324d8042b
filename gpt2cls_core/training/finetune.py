"""Stage two: learn to tell negative from positive.

A linear head with two rows is put on the vector of the last token, and learns from labelled texts: together with the
body, with a part of it, or alone (see `trainable`). The data decide what "positive" means: sentences about films (SST-2),
whole film reviews (IMDb), reviews of things that people buy.

What the run is judged by while choices are still open (learning rate, number of passes) is a held-out slice of each
*train* split. Validation and test splits are read by `evaluate` only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from transformers import GPT2ForSequenceClassification, PreTrainedTokenizerBase, Trainer, TrainingArguments, set_seed

from ..deltas import DELTA_REGIMES
from ..errors import DataError, OptionError
from ..soft_prompt import virtual_ids
from ..weights import fingerprint
from .clock import clock
from .data import LabelledTexts, load_and_hold_out
from .examples import Examples, in_batches, make_examples
from .files import claim_folder, last_checkpoint, read_json, whole_folder, write_json
from .head import fit_head
from .held_out import HeldOut
from .optimizer import MuonTrainer
from .options import LEARNING_RATES, FinetuneOptions
from .pooling import LastTokenClassifier, collate
from .prefixes import sentence_ends
from .trainable import LABELS, count_trained, load_base, prepare, write_changes

if TYPE_CHECKING:
    from peft import PeftModel

__all__ = ["Trained", "draw_sources", "finetune", "read_sources", "train"]


@dataclass(frozen=True, eq=False)
class Trained:
    """A classifier that was just trained, in memory.

    Attributes:
        model: whole, in evaluation mode.
        adapter: peft's wrapper around it for the regimes lora and prompt.
        record: options and what came of them; ``finetune.json``.
    """

    model: GPT2ForSequenceClassification
    adapter: PeftModel | None
    tokenizer: PreTrainedTokenizerBase
    record: dict[str, Any]


def read_sources(sources: tuple[str, ...], limit: int | None) -> dict[str, tuple[int, LabelledTexts, LabelledTexts]]:
    """Each source's passes, training part and held-out part, by its short name."""
    read = {}
    for source in sources:
        path, _, passes = source.rpartition(":")
        if not path or not passes.isdigit():
            path, passes = source, "1"
        name = Path(path).name
        if name in read or int(passes) < 1:
            raise OptionError(f"--data {source}: name each source once, with one pass or more.")
        read[name] = (int(passes), *load_and_hold_out(path, limit=limit))
    return read


def training_arguments(options: FinetuneOptions, steps: int) -> TrainingArguments:
    """The trainer's settings: one walk through the examples in the order that they have."""
    return TrainingArguments(
        output_dir=str(Path(options.output) / "checkpoints"),
        num_train_epochs=1,
        per_device_train_batch_size=options.batch_size,
        train_sampling_strategy="sequential",
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        lr_scheduler_type="linear",
        warmup_steps=round(options.warmup_share * steps),
        max_grad_norm=1.0,
        use_cpu=not torch.cuda.is_available(),
        bf16=options.bf16,
        logging_steps=50,
        save_steps=max(1, min(500, steps // 4)),
        save_total_limit=2,
        remove_unused_columns=False,
        report_to=[],
        seed=options.seed,
    )


def draw_sources(options: FinetuneOptions) -> dict[str, tuple[int, LabelledTexts, LabelledTexts]]:
    """`read_sources` with as many training texts as asked for, an equal share of each source.

    Raises:
        DataError: the texts are of one class only, or fewer than asked for.
    """
    sources = read_sources(options.data, options.limit)
    if options.examples is not None:
        each, rest = divmod(options.examples, len(sources))
        for i, (name, (passes, train, held_out)) in enumerate(sources.items()):
            sources[name] = (passes, train.draw(each + (i < rest), seed=options.seed), held_out)
    drawn = [train for _, train, _ in sources.values()]
    if len(set().union(*(train.labels for train in drawn))) < len(LABELS):
        raise DataError(
            f"The {sum(map(len, drawn))} texts to learn from are not of two classes; take more (--examples, --limit)."
        )
    return sources


def lay_out(
    options: FinetuneOptions,
    sources: dict[str, tuple[int, LabelledTexts, LabelledTexts]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    room: int,
) -> Examples:
    """All that will be learned from, in its order; a text has at most `room` tokens."""
    examples = Examples([], [])
    for passes, drawn, _ in sources.values():
        examples += make_examples(drawn, tokenizer, passes=passes, context=room, seed=options.seed)
    return in_batches(examples, options.batch_size, seed=options.seed)


def walk(
    options: FinetuneOptions, learner: LastTokenClassifier, examples: Examples, held_out: HeldOut, *, pad: int
) -> float | None:
    """Train by gradient descent; the seconds of it (see `clock`), or None where the run went on from a checkpoint."""
    per_step = options.batch_size * PartialState(cpu=not torch.cuda.is_available()).num_processes
    steps = math.ceil(len(examples) / per_step)
    held_out.steps |= {round(steps * i / options.measurements) for i in range(1, options.measurements + 1)}
    arguments = training_arguments(options, steps)
    trainer = (MuonTrainer if options.optimizer == "muon" else Trainer)(
        learner,
        arguments,
        data_collator=partial(collate, pad=pad),
        train_dataset=examples,
        callbacks=[held_out],
    )
    checkpoint = last_checkpoint(arguments.output_dir)
    start = clock()
    trainer.train(resume_from_checkpoint=checkpoint)
    return None if checkpoint else clock() - start - held_out.seconds


def train(options: FinetuneOptions, *, read_out: str = "last") -> Trained:
    """Train (or resume) in ``options.output``, where ``curve.json`` and checkpoints are put.

    Args:
        read_out: where texts are read, one of `pooling.READ_OUTS`; for anything but "last" there is no saving (a saved
            classifier is read at its last token), only measuring.
    """
    options = replace(options, learning_rate=options.learning_rate or LEARNING_RATES.get(options.regime))
    output = claim_folder(options.output, vars(options))
    set_seed(options.seed)
    model, tokenizer = load_base(options)
    parameters, body = model.num_parameters(), fingerprint(model.transformer)
    adapter = prepare(model, options)
    room = model.config.n_positions - len(virtual_ids(model.transformer))
    sources = draw_sources(options)
    examples = lay_out(options, sources, tokenizer, room=room)
    parts = {name: part for name, (_, _, part) in sources.items()}
    trained, tokens = count_trained(model), sum(map(len, examples.ids))
    print(f"{len(examples):,} examples of {tokens:,} tokens; {trained:,} weights learn", flush=True)
    held_out = HeldOut(output / "curve.json", set(), parts, tokenizer, read_out=read_out)
    learner = LastTokenClassifier(
        model, ends=sentence_ends(tokenizer), prefix_weight=options.prefix_weight, read_out=read_out
    )
    pad = tokenizer.eos_token_id
    if options.regime == "head":
        seconds = fit_head(learner, examples, c=options.head_c, pad=pad, body=body)
        held_out.add_point(learner, 1)
    else:
        seconds = walk(options, learner, examples, held_out, pad=pad)
    record = {
        **vars(options),
        "date": date.today().isoformat(),
        "parameters": parameters,
        "trained_parameters": trained,
        "texts": sum(len(drawn) for _, drawn, _ in sources.values()),
        "tokens": tokens,
        "seconds": seconds and round(seconds, 1),
        "base_fingerprint": None if options.regime == "random" else body,
        "held_out_accuracy": read_json(output / "curve.json")[-1]["accuracy"],
        "held_out_texts": {name: len(part) for name, part in parts.items()},
    }
    return Trained(model.eval(), adapter, tokenizer, record)


def finetune(options: FinetuneOptions) -> Path:
    """Train (or resume) and save classifier and tokenizer to ``output/model``; returns that folder.

    Of the regimes that leave most of the base as it is, what changed is saved instead (see `deltas`). Beside the folder,
    ``curve.json`` holds held-out accuracy over the run and ``finetune.json`` the options and the last of these accuracies.
    """
    trained = train(options)
    folder = Path(options.output) / "model"
    if PartialState(cpu=not torch.cuda.is_available()).is_main_process:
        with whole_folder(folder) as partial_folder:
            if options.regime in DELTA_REGIMES:
                write_changes(partial_folder, trained.model, trained.adapter, trained.record)
            else:
                trained.model.save_pretrained(partial_folder)
                trained.tokenizer.save_pretrained(partial_folder)
        write_json(folder.with_name("finetune.json"), trained.record)
    return folder
