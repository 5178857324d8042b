"""Stage one: learn to predict the next token. Nothing here knows of sentiment.

On the way, at about ten points from the untrained body on, two numbers are taken: the loss on held-out text, and the
accuracy of a linear probe on frozen last-token vectors of held-out SST-2 sentences. Their curve shows sentiment
appearing in the last vector as a by-product of next-token prediction.
"""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from ..errors import DataError, ModelError, OptionError
from .data import load_texts, probe_task
from .files import claim_folder, last_checkpoint, read_json, whole_folder, write_json
from .optimizer import MuonTrainer
from .options import PretrainOptions
from .pooling import last_token_vectors
from .probe import probe_accuracy
from .tokens import PackedTokens, pack, train_tokenizer

__all__ = ["measuring_steps", "new_model", "pretrain"]

HELD_OUT_ROWS = 256
"""Rows of `context` tokens, 5 % of all at most, whose loss is measured and which are never trained on."""


def new_model(options: PretrainOptions, tokenizer: PreTrainedTokenizerBase) -> GPT2LMHeadModel:
    """GPT-2 at random initialisation; the activation is GPT-2's (tanh GELU) in torch's fused form."""
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=options.context,
        n_embd=options.d_model,
        n_layer=options.layers,
        n_head=options.heads,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=False,
    )
    return GPT2LMHeadModel(config)


class Measure(TrainerCallback):
    """At set steps: held-out next-token loss and probe accuracy, appended to ``curve.json``."""

    def __init__(
        self, options: PretrainOptions, steps: set[int], held_out: np.ndarray, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.options, self.steps, self.held_out, self.tokenizer = options, steps, held_out, tokenizer
        self.probe = probe_task(options.probe_data)
        self.path = Path(options.output) / "curve.json"

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, *, model: nn.Module, **_: object
    ) -> None:
        """The untrained body is the first point."""
        if state.global_step == 0 and state.is_world_process_zero:
            self.measure(model, 0)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, *, model: nn.Module, **_: object
    ) -> None:
        """Measure where it is time to."""
        if state.is_world_process_zero and (state.global_step in self.steps or state.global_step == state.max_steps):
            self.measure(model, state.global_step * args.train_batch_size * args.world_size * self.options.context)

    @torch.inference_mode()
    def measure(self, model: nn.Module, tokens: int) -> None:
        """Add one point, in place of any later one that a killed run left."""
        model = getattr(model, "module", model)  # out of the wrapper of several processes
        model = getattr(model, "_orig_mod", model)  # out of torch.compile's, which would compile again for every length
        model.eval()
        rows = torch.from_numpy(self.held_out.astype(np.int64)).to(model.device)
        losses = [float(model(input_ids=part, labels=part).loss) for part in rows.split(8)]
        context = self.options.context
        train, test = [
            last_token_vectors(model.transformer, self.tokenizer, part.texts, max_length=context) for part in self.probe
        ]
        point = {
            "tokens": tokens,
            "held_out_loss": round(float(np.mean(losses)), 4),
            "probe_accuracy": round(probe_accuracy(train, self.probe[0], test, self.probe[1]), 4),
        }
        model.train()
        write_json(self.path, [*(p for p in read_json(self.path, []) if p["tokens"] < tokens), point])
        print(f"\n{point}", flush=True)


def measuring_steps(total: int, count: int) -> set[int]:
    """`count` steps from 1 % of the run to its end, evenly spaced on a logarithmic scale."""
    return {round(step) for step in np.geomspace(max(1, total / 100), total, count)}


def read_texts(options: PretrainOptions) -> tuple[list[str], list[int]]:
    """The texts of all sources and how often each is to be read, in an order that is random but always the same.

    So the texts that are held out are the same whatever the seed, and stay unseen when a run goes on from another's model.
    """
    texts: list[str] = []
    passes: list[int] = []
    for source in options.data:
        path, split, times = parse_source(source)
        texts += load_texts(path, split)[: options.limit]
        passes += [times] * (len(texts) - len(passes))
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[i] for i in order], [passes[i] for i in order]


def parse_source(source: str) -> tuple[str, str, int]:
    """``"stanfordnlp/imdb:train"`` or ``"folder:train:3"`` as path, split and passes.

    Raises:
        OptionError: it has no split, or fewer than one pass.
    """
    path, _, split = source.rpartition(":")
    times = "1"
    if split.isdigit():
        times = split
        path, _, split = path.rpartition(":")
    if not path or not split or int(times) < 1:
        raise OptionError(
            f"--data {source!r} must be SOURCE:SPLIT or SOURCE:SPLIT:PASSES, such as stanfordnlp/imdb:train."
        )
    return path, split, int(times)


def make_rows(
    tokenizer: PreTrainedTokenizerBase, texts: list[str], passes: list[int], context: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and held-out rows, both [row context].

    Held out are the first rows of the texts as they come. A text of which a part is held out is not read again in a
    later pass.
    """
    once = pack(tokenizer, texts, context)
    held_out = min(HELD_OUT_ROWS, max(1, len(once) // 20))
    ends = np.cumsum([len(ids) + 1 for ids in tokenizer(texts[: held_out * context], verbose=False)["input_ids"]])
    first = int(np.searchsorted(ends, held_out * context)) + 1
    again = [
        text
        for time in range(1, max(passes))
        for text, n in zip(texts[first:], passes[first:], strict=True)
        if n > time
    ]
    return np.concatenate([once[held_out:], pack(tokenizer, again, context)]), once[:held_out]


def start(options: PretrainOptions, texts: list[str]) -> tuple[GPT2LMHeadModel, PreTrainedTokenizerBase]:
    """The model to begin with and its tokenizer: those of the base, or new ones.

    Raises:
        ModelError: the base can't be read.
    """
    if options.base:
        try:
            model = AutoModelForCausalLM.from_pretrained(options.base, dtype=torch.float32, use_safetensors=True)
            return model, AutoTokenizer.from_pretrained(options.base)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"No model could be read from {options.base!r}; give a folder or a hub name. {error}"
            ) from error
    folder = Path(options.output) / "tokenizer"
    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():  # one process trains it, all read it
        if not (folder / "tokenizer_config.json").is_file():
            with whole_folder(folder) as partial:
                train_tokenizer(texts[:30_000], options.vocab_size, options.context).save_pretrained(partial)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return new_model(options, tokenizer), tokenizer


def training_arguments(options: PretrainOptions, steps: int) -> TrainingArguments:
    """The trainer's settings.

    The learning rate is constant after the warm-up and falls to zero over the last `decay_share` of the steps, so that
    a run can be resumed with another number of `tokens`.
    """
    return TrainingArguments(
        output_dir=str(Path(options.output) / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=0.01,
        lr_scheduler_type="warmup_stable_decay",
        warmup_steps=round(options.warmup_share * steps),
        lr_scheduler_kwargs={"num_decay_steps": round(options.decay_share * steps)},
        max_grad_norm=1.0,
        use_cpu=not torch.cuda.is_available(),
        bf16=options.bf16,
        torch_compile=options.compile,
        logging_steps=50,
        save_steps=max(1, min(250, steps // 4)),
        save_total_limit=2,
        report_to=[],
        seed=options.seed,
        dataloader_drop_last=True,
    )


def pretrain(options: PretrainOptions) -> Path:
    """Train (or resume) and save model and tokenizer to ``output/model``; returns that folder.

    Raises:
        DataError: the texts do not fill one batch.
    """
    output = claim_folder(options.output, vars(options), may_change=("output", "tokens", "compile"))
    set_seed(options.seed)
    texts, passes = read_texts(options)
    model, tokenizer = start(options, texts)
    rows, held_out = make_rows(tokenizer, texts, passes, options.context)
    per_step = options.batch_size * PartialState(cpu=not torch.cuda.is_available()).num_processes
    if len(rows) < per_step:
        raise DataError(
            f"Only {len(rows)} rows of {options.context} tokens to train on, fewer than one batch of {per_step}."
        )
    steps = max(1, math.ceil(options.tokens / (per_step * options.context)))
    weights = model.num_parameters()
    print(f"{rows.size:,} training tokens; {steps:,} steps; {weights:,} weights", flush=True)
    measure = Measure(options, measuring_steps(steps, options.measurements - 1), held_out, tokenizer)
    arguments = training_arguments(options, steps)
    trainer = MuonTrainer(model, arguments, train_dataset=PackedTokens(rows), callbacks=[measure])
    trainer.train(resume_from_checkpoint=last_checkpoint(arguments.output_dir))
    if trainer.is_world_process_zero():
        model.config.use_cache = True
        with whole_folder(output / "model") as partial:
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        record = {**vars(options), "training_tokens": int(rows.size), "date": date.today().isoformat()}
        write_json(output / "pretrain.json", record)
    return output / "model"
