"""Stage two: learn to tell negative from positive.

A linear head with two rows is put on the vector of the last token, and body and head learn together from labelled
texts. The data decide what "positive" means: sentences about films (SST-2), whole film reviews (IMDb), reviews of
things that people buy.

What the run is judged by while choices are still open (learning rate, number of passes) is a held-out slice of each
*train* split. Validation and test splits are read by `evaluate` only.
"""

from __future__ import annotations

import math
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from torch import nn
from transformers import (
    AutoConfig,
    AutoTokenizer,
    GPT2ForSequenceClassification,
    GPT2Model,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from ..errors import ModelError, OptionError
from .data import LabelledTexts, load_and_hold_out
from .examples import Examples, in_batches, make_examples
from .files import claim_folder, last_checkpoint, read_json, write_json
from .optimizer import MuonTrainer
from .options import FinetuneOptions
from .pooling import LastTokenClassifier, collate, predict

__all__ = ["LABELS", "finetune", "load_base"]

LABELS = {0: "negative", 1: "positive"}


def load_base(options: FinetuneOptions) -> tuple[GPT2ForSequenceClassification, PreTrainedTokenizerBase]:
    """The pre-trained body under a new head with one row per label, and its tokenizer.

    Raises:
        ModelError: the base can't be read, is no GPT-2, or lacks weights of the body.
    """
    try:
        config = AutoConfig.from_pretrained(options.base)
        tokenizer = AutoTokenizer.from_pretrained(options.base)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"No model could be read from {options.base!r}; give a folder or a hub name. {error}"
        ) from error
    if config.model_type != "gpt2":
        raise ModelError(f"{options.base!r} is a {config.model_type!r} model; the base must be a GPT-2.")
    config.update({
        "num_labels": len(LABELS),
        "id2label": LABELS,
        "label2id": {name: label for label, name in LABELS.items()},
        "resid_pdrop": options.dropout,
        "embd_pdrop": options.dropout,
        "attn_pdrop": 0.0,  # it would rule out the fast attention kernel
        "pad_token_id": tokenizer.eos_token_id,
    })  # fmt: skip
    model = GPT2ForSequenceClassification(config)
    if not options.from_scratch:
        model.transformer, loading = GPT2Model.from_pretrained(
            options.base, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
        if loading["missing_keys"]:
            raise ModelError(f"{options.base!r} lacks weights: {', '.join(sorted(loading['missing_keys']))}.")
    return model, tokenizer


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


class HeldOut(TrainerCallback):
    """Accuracy on the held-out slices, a few times over the run, appended to ``curve.json``."""

    def __init__(
        self, path: Path, steps: set[int], parts: dict[str, LabelledTexts], tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.path, self.steps, self.parts, self.tokenizer = path, steps, parts, tokenizer

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, *, model: nn.Module, **_: object
    ) -> None:
        """Measure where it is time to."""
        if state.global_step in self.steps and state.is_world_process_zero:
            point = {"step": state.global_step, "accuracy": self.measure(model)}
            before = [p for p in read_json(self.path, []) if p["step"] < state.global_step]
            write_json(self.path, [*before, point])
            print(f"\n{point}", flush=True)

    def measure(self, model: nn.Module) -> dict[str, float]:
        """Accuracy by source."""
        classifier = getattr(model, "module", model).model
        classifier.eval()
        accuracy = {
            name: round(float(np.mean(predict(classifier, self.tokenizer, part.texts) == np.asarray(part.labels))), 4)
            for name, part in self.parts.items()
        }
        classifier.train()
        return accuracy


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


def finetune(options: FinetuneOptions) -> Path:
    """Train (or resume) and save classifier and tokenizer to ``output/model``; returns that folder.

    Beside it, ``curve.json`` holds held-out accuracy over the run and ``finetune.json`` the options and the last of
    these accuracies.
    """
    output = claim_folder(options.output, vars(options))
    set_seed(options.seed)
    model, tokenizer = load_base(options)
    sources = read_sources(options.data, options.limit)
    examples = Examples([], [])
    for passes, train, _ in sources.values():
        examples += make_examples(train, tokenizer, passes=passes, context=model.config.n_positions, seed=options.seed)
    examples = in_batches(examples, options.batch_size, seed=options.seed)
    per_step = options.batch_size * PartialState(cpu=not torch.cuda.is_available()).num_processes
    steps = math.ceil(len(examples) / per_step)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    tokens = sum(map(len, examples.ids))
    print(f"{len(examples):,} examples of {tokens:,} tokens; {trained:,} weights learn", flush=True)
    arguments = training_arguments(options, steps)
    measured = {round(steps * i / options.measurements) for i in range(1, options.measurements + 1)}
    parts = {name: part for name, (_, _, part) in sources.items()}
    trainer = (MuonTrainer if options.optimizer == "muon" else Trainer)(
        LastTokenClassifier(model),
        arguments,
        data_collator=partial(collate, pad=tokenizer.eos_token_id),
        train_dataset=examples,
        callbacks=[HeldOut(output / "curve.json", measured, parts, tokenizer)],
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(arguments.output_dir))
    if trainer.is_world_process_zero():
        model.save_pretrained(output / "model")
        tokenizer.save_pretrained(output / "model")
        record = {
            **vars(options),
            "date": date.today().isoformat(),
            "parameters": model.num_parameters(),
            "trained_parameters": trained,
            "tokens": tokens,
            "held_out_accuracy": read_json(output / "curve.json")[-1]["accuracy"],
            "held_out_texts": {name: len(part) for name, part in parts.items()},
        }
        write_json(output / "finetune.json", record)
    return output / "model"
