"""Which weights learn, and what of them has to be kept.

A classifier can be had from a pre-trained body in ways that differ in how much of it may change:

    head         nothing of the body; the head alone is fitted to its last vectors
    last-block   the last block, ``ln_f`` and the head
    lora         a product of two thin matrices beside each matrix of the blocks (Hu et al. 2021, arXiv:2106.09685), and the head
    prompt       a few virtual tokens before every text (Lester et al. 2021, arXiv:2104.08691), and the head
    full         everything
    random       everything, from random weights: what pre-training bought is missing

LoRA and soft prompts come from the `peft` library. Of the first four only what changed is kept (see `deltas`).
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AutoConfig, AutoTokenizer, GPT2ForSequenceClassification, GPT2Model, PreTrainedTokenizerBase

from ..deltas import DELTA_REGIMES
from ..errors import ModelError, OptionError
from ..soft_prompt import PromptedEmbedding
from .files import write_json
from .options import REGIMES, FinetuneOptions

if TYPE_CHECKING:
    from peft import PeftModel

__all__ = ["LABELS", "changed_tensors", "count_trained", "load_base", "prepare", "write_changes"]

LORA_MATRICES = ["c_attn", "c_proj", "c_fc"]
"""All of a block: queries, keys and values; both output projections; the MLP's first layer."""


LABELS = {0: "negative", 1: "positive"}


def load_base(options: FinetuneOptions) -> tuple[GPT2ForSequenceClassification, PreTrainedTokenizerBase]:
    """The pre-trained body under a new head with one row per label, and its tokenizer.

    Raises:
        ModelError: the base can't be read, is no GPT-2, lacks weights of the body, or is no language model though only
            what changes of it will be kept.
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
    head = (config.architectures or ["model of unnamed architecture"])[0]
    if options.regime in DELTA_REGIMES and head != "GPT2LMHeadModel":
        raise ModelError(
            f"{options.base!r} is a {head}. With --regime {options.regime} only what changes is kept, on top of a language "
            "model (GPT2LMHeadModel): give one as --base."
        )
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
    if options.regime != "random":
        model.transformer, loading = GPT2Model.from_pretrained(
            options.base, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
        if loading["missing_keys"]:
            raise ModelError(f"{options.base!r} lacks weights: {', '.join(sorted(loading['missing_keys']))}.")
    return model, tokenizer


def prepare(model: GPT2ForSequenceClassification, options: FinetuneOptions) -> PeftModel | None:
    """Freeze what the regime leaves as it is, and put in place what it adds.

    Returns:
        peft's wrapper around the model for lora and prompt, which knows what to save; None for the others.

    Raises:
        OptionError: an unknown regime, a rank or number of virtual tokens out of range.
    """
    if options.regime not in REGIMES:
        raise OptionError(f"There is no regime {options.regime!r}; choose one of {', '.join(REGIMES)}.")
    if options.regime in ("head", "last-block"):
        model.requires_grad_(False)
        learning = [model.score]
        learning += [model.transformer.h[-1], model.transformer.ln_f] if options.regime == "last-block" else []
        for module in learning:
            module.requires_grad_(True)
    if options.regime == "lora":
        return _add_lora(model, options.rank)
    return _add_prompt(model, options.virtual_tokens) if options.regime == "prompt" else None


def _add_lora(model: GPT2ForSequenceClassification, rank: int) -> PeftModel:
    from peft import LoraConfig

    if rank < 1:
        raise OptionError(f"--rank must be 1 or more, not {rank}.")
    config = LoraConfig(
        task_type="SEQ_CLS", r=rank, lora_alpha=2 * rank, target_modules=LORA_MATRICES, fan_in_fan_out=True
    )
    return _wrap(model, config)


def _add_prompt(model: GPT2ForSequenceClassification, n_virtual: int) -> PeftModel:
    from peft import PromptTuningConfig

    room = model.config.n_positions - 1
    if not 1 <= n_virtual <= room:
        raise OptionError(f"--virtual-tokens must lie between 1 and {room}, not {n_virtual}.")
    config = PromptTuningConfig(
        task_type="SEQ_CLS", num_virtual_tokens=n_virtual, prompt_tuning_init="SAMPLE_VOCAB"
    )  # from real words' embeddings, which Lester et al. found to be a better start than noise
    adapter = _wrap(model, config)
    # peft's own forward pass gives the model embeddings without ids, and the model then reads the last slot, be it padding.
    # Here the same trained rows are tokens of the vocabulary, and `pooling` reads every text where it ends.
    rows = adapter.prompt_encoder["default"].embedding.weight
    model.transformer.wte = PromptedEmbedding(model.transformer.wte, rows)
    return adapter


def _wrap(model: GPT2ForSequenceClassification, config: object) -> PeftModel:
    from peft import get_peft_model

    with warnings.catch_warnings():  # peft asks transformers by a name that is about to change
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        return get_peft_model(model, config)


def count_trained(model: nn.Module) -> int:
    """How many numbers learn."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def changed_tensors(
    model: GPT2ForSequenceClassification, adapter: PeftModel | None, regime: str
) -> dict[str, torch.Tensor]:
    """What must be kept of a trained model, on the CPU: what changed of its base, or all of it for full and random."""
    if adapter is not None:
        from peft import get_peft_model_state_dict

        kept = get_peft_model_state_dict(adapter, save_embedding_layers=False)
    elif regime in DELTA_REGIMES:
        kept = {name: p for name, p in model.named_parameters() if p.requires_grad}
    else:
        kept = model.state_dict()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in kept.items()}


def write_changes(
    folder: Path, model: GPT2ForSequenceClassification, adapter: PeftModel | None, record: dict[str, Any]
) -> None:
    """Write what `deltas` reads: the tensors that changed, and a card that says of what base.

    Args:
        folder: exists and is empty.
        record: regime, base and base_fingerprint, as in ``finetune.json``.
    """
    tensors = changed_tensors(model, adapter, record["regime"])
    if adapter is None:
        save_file(tensors, folder / "delta.safetensors", metadata={"format": "pt"})
    else:
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        config = adapter.peft_config["default"]
        config.base_model_name_or_path, config.inference_mode = record["base"], True
        config.save_pretrained(str(folder))
    card = {key: record[key] for key in ("regime", "base", "base_fingerprint")}
    write_json(folder / "card.json", card | {"labels": list(LABELS.values())})
