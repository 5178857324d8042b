"""Stage one: learn to predict the next token. Nothing here knows of sentiment.

On the way, at about ten points from the untrained body on, two numbers are taken: the loss on held-out text, and the accuracy of
a linear probe on frozen last-token vectors of held-out SST-2 sentences. Their curve shows sentiment appearing in the last
vector as a by-product of next-token prediction.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.utils.data import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from .data import LabelledTexts, load_labelled, load_texts, split_sentences
from .files import last_checkpoint, write_json
from .optimizer import MuonAdamW
from .probe import last_token_vectors, probe_accuracy

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class PretrainOptions:
    """Everything that decides the outcome; written beside the model as ``pretrain.json``."""

    data: tuple[str, ...]  # "source:split", hub name or folder
    probe_data: str
    output: str
    base: str | None = None
    vocab_size: int = 8192
    d_model: int = 256
    layers: int = 6
    heads: int = 8
    context: int = 256
    tokens: float = 24e6
    batch_size: int = 16
    learning_rate: float = 3e-3
    warmup_share: float = 0.02
    decay_share: float = 0.25
    measurements: int = 11
    seed: int = 0
    bf16: bool = True
    compile: bool = False
    limit: int | None = None  # texts read per split, for trials


class PackedTokens(Dataset):
    """All texts joined by the end-of-text token and cut into rows of equal length [row context]."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = torch.from_numpy(self.rows[index].astype(np.int64))
        return {"input_ids": ids, "labels": ids}


def train_tokenizer(texts: Iterator[str] | list[str], vocab_size: int, context: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE like GPT-2's own, with ``<|endoftext|>`` as token 0."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


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


def pack(tokenizer: PreTrainedTokenizerBase, texts: list[str], context: int) -> np.ndarray:
    """uint16 or int32 [row context]; what does not fill the last row is dropped."""
    stream: list[np.ndarray] = []
    dtype = np.uint16 if len(tokenizer) < 2**16 else np.int32
    for start in range(0, len(texts), 2000):
        encoded = tokenizer(texts[start : start + 2000], return_attention_mask=False)["input_ids"]
        stream += [np.asarray([*ids, tokenizer.eos_token_id], dtype) for ids in encoded]
    joined = np.concatenate(stream)
    rows = len(joined) // context
    return joined[: rows * context].reshape(rows, context)


class Measure(TrainerCallback):
    """At set steps: held-out next-token loss and probe accuracy, appended to ``curve.json``."""

    def __init__(self, options: PretrainOptions, steps: list[int], held_out: np.ndarray, tokenizer) -> None:  # noqa: ANN001
        self.options, self.steps, self.held_out, self.tokenizer = options, set(steps), held_out, tokenizer
        train, test = split_sentences(load_labelled(options.probe_data, "train"), held_out=800, seed=0)
        self.probe: tuple[LabelledTexts, LabelledTexts] = (train.sample(6000, seed=0), test)
        self.path = Path(options.output) / "curve.json"

    def on_train_begin(self, args, state, control, *, model, **_):  # noqa: ANN001, ANN201 - the trainer's protocol
        if state.global_step == 0:
            write_json(self.path, [])
            self.measure(model, 0)

    def on_step_end(self, args, state, control, *, model, **_):  # noqa: ANN001, ANN201 - the trainer's protocol
        if state.global_step in self.steps or state.global_step == state.max_steps:
            self.measure(model, state.global_step)

    @torch.inference_mode()
    def measure(self, model: GPT2LMHeadModel, step: int) -> None:
        model = getattr(model, "_orig_mod", model)
        model.eval()
        rows = torch.from_numpy(self.held_out.astype(np.int64)).to(model.device)
        losses = [float(model(input_ids=part, labels=part).loss) for part in rows.split(8)]
        context = self.options.context
        vectors = [last_token_vectors(model.transformer, self.tokenizer, d.texts, max_length=context) for d in self.probe]
        point = {
            "tokens": step * self.options.batch_size * context,
            "held_out_loss": round(float(np.mean(losses)), 4),
            "probe_accuracy": round(probe_accuracy(vectors[0], self.probe[0], vectors[1], self.probe[1]), 4),
        }
        model.train()
        curve = [p for p in json.loads(self.path.read_text()) if p["tokens"] < point["tokens"]]
        write_json(self.path, [*curve, point])
        print(f"\n{point}", flush=True)


class PretrainTrainer(Trainer):
    """The Hugging Face trainer with Muon + AdamW."""

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = MuonAdamW(self.model, lr=self.args.learning_rate)
        return self.optimizer


def measuring_steps(total: int, count: int) -> list[int]:
    """`count` steps from 1 % of the run to its end, evenly spaced on a logarithmic scale."""
    return sorted({round(step) for step in np.geomspace(max(1, total / 100), total, count)})


def pretrain(options: PretrainOptions) -> Path:
    """Train (or resume) and save model and tokenizer to ``output/model``; returns that folder.

    The learning rate is constant after the warm-up and falls to zero over the last `decay_share` of the steps, so that a run
    can be resumed with another number of `tokens`.
    """
    set_seed(options.seed)
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    texts: list[str] = []
    for source in options.data:
        name, _, split = source.rpartition(":")
        texts += load_texts(name, split)[: options.limit]
    texts = [texts[i] for i in np.random.default_rng(options.seed).permutation(len(texts))]
    tokenizer_folder = output / "tokenizer"
    if options.base:
        model = AutoModelForCausalLM.from_pretrained(options.base, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(options.base)
    else:
        if not tokenizer_folder.is_dir():
            train_tokenizer(texts[:30_000], options.vocab_size, options.context).save_pretrained(tokenizer_folder)
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
        model = new_model(options, tokenizer)
    rows = pack(tokenizer, texts, options.context)
    held_out, rows = rows[:256], rows[256:]
    if len(rows) < options.batch_size:
        raise ValueError(f"Only {len(rows)} rows of {options.context} tokens: not enough for one batch.")
    steps = max(1, math.ceil(options.tokens / (options.batch_size * options.context)))
    print(f"{rows.size:,} training tokens; {steps:,} steps; {sum(p.numel() for p in model.parameters()):,} parameters")
    arguments = TrainingArguments(
        output_dir=str(output / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        lr_scheduler_type="warmup_stable_decay",
        warmup_steps=round(options.warmup_share * steps),
        lr_scheduler_kwargs={"num_decay_steps": round(options.decay_share * steps)},
        max_grad_norm=1.0,
        use_cpu=not torch.cuda.is_available(),
        bf16=options.bf16,
        torch_compile=options.compile,
        logging_steps=50,
        save_steps=250,
        save_total_limit=2,
        report_to=[],
        seed=options.seed,
        dataloader_drop_last=True,
    )
    measure = Measure(options, measuring_steps(steps, options.measurements - 1), held_out, tokenizer)
    trainer = PretrainTrainer(model, arguments, train_dataset=PackedTokens(rows), callbacks=[measure])
    trainer.train(resume_from_checkpoint=last_checkpoint(arguments.output_dir))
    if trainer.is_world_process_zero():
        model.config.use_cache = True
        model.save_pretrained(output / "model")
        tokenizer.save_pretrained(output / "model")
        write_json(output / "pretrain.json", {**vars(options), "training_tokens": int(rows.size)})
    return output / "model"
