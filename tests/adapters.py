"""Tiny classifiers that are kept as what changed of a base, written by hand as training and peft write them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from conftest import randomise, tiny_config, tiny_tokenizer
from safetensors.torch import save_file
from torch import Tensor
from transformers import GPT2LMHeadModel

from gpt2cls_core.weights import fingerprint

LABELS = ["negative", "positive"]
LORA = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "bias": "none", "fan_in_fan_out": True, "use_dora": False}
PROMPT = {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 3}


def drawn(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def save_base(folder: Path, *, seed: int = 3, context: int = 12) -> Path:
    """A "pre-trained" language model: 3 layers, 2 heads, d_model 10."""
    randomise(GPT2LMHeadModel(tiny_config(2, context)), seed).save_pretrained(folder)
    tiny_tokenizer(context).save_pretrained(folder)
    return folder


def changes(regime: str) -> dict[str, Tensor]:
    """The tensors of each regime, under the names that training and peft give them."""
    score = drawn(2, 10)
    if regime == "last-block":
        return {
            "score.weight": score,
            "transformer.h.2.attn.c_attn.weight": drawn(10, 30),
            "transformer.ln_f.bias": drawn(10),
        }
    if regime == "lora":
        block = "base_model.model.transformer.h.1"
        return {
            "base_model.model.score.weight": score,
            f"{block}.attn.c_attn.lora_A.weight": drawn(2, 10, seed=1),
            f"{block}.attn.c_attn.lora_B.weight": drawn(30, 2, seed=2),
            f"{block}.mlp.c_proj.lora_A.weight": drawn(2, 40, seed=3),
            f"{block}.mlp.c_proj.lora_B.weight": drawn(10, 2, seed=4),
        }
    if regime == "prompt":
        return {"base_model.score.weight": score, "prompt_embeddings": drawn(3, 10)}
    return {"score.weight": score}


def save_changes(base: Path, regime: str, *, name: str | None = None, **card: object) -> Path:
    """A folder beside `base` with the changes of a regime; further keywords change its card."""
    folder = base.parent / (name or regime)
    folder.mkdir()
    adapter = {"lora": LORA, "prompt": PROMPT}.get(regime)
    file = "adapter_model" if adapter else "delta"
    save_file(changes(regime), folder / f"{file}.safetensors", metadata={"format": "pt"})
    if adapter:
        (folder / "adapter_config.json").write_text(json.dumps({**adapter, "base_model_name_or_path": base.name}))
    mark = fingerprint(GPT2LMHeadModel.from_pretrained(base).transformer)
    written = {"regime": regime, "base": base.name, "base_fingerprint": mark, "labels": LABELS, **card}
    (folder / "card.json").write_text(json.dumps(written))
    return folder
