"""Classifiers that are kept as what training changed: a few kilobytes on top of one language model.

A folder of this kind holds no ``config.json`` but

    card.json                   the regime, the base by name, the base's fingerprint, the labels
    delta.safetensors           head, last-block: the weights that are not the base's, under their own names
    adapter_config.json and     lora, prompt: as the `peft` library writes them, the head among them
    adapter_model.safetensors

and is loaded by putting that on the base. Two of peft's formats are read here in a few lines, because the page then starts
without that library; `peft.PeftModel.from_pretrained` reads the same files.

- LoRA (Hu et al. 2021, arXiv:2106.09685) adds to a matrix W the product of two thin ones, W + (alpha / r) · B A. It is added once,
  on loading, so the model runs as fast as any other.
- A soft prompt becomes rows of the token embedding (see `soft_prompt`).

An adapter fits the base that it was trained on and no other: on another it would give verdicts, and all of them would be
nonsense. So the card holds the base's fingerprint, and another base is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .errors import ModelError
from .soft_prompt import PromptedEmbedding
from .weights import fingerprint, shared_language_model, sharing_copy

if TYPE_CHECKING:
    from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel, PreTrainedTokenizerBase

__all__ = ["DELTA_REGIMES", "Delta", "is_delta", "load_delta", "read_card", "read_delta"]

DELTA_REGIMES = ("head", "last-block", "lora", "prompt")
"""Ways of training that leave most of the body as it is (see `training.trainable`)."""

_PEFT = {"LORA": "lora", "PROMPT_TUNING": "prompt"}
_NOT_READ = (  # what LoRA can do in peft beyond the plain product
    "alora_invocation_tokens", "alpha_pattern", "layer_replication", "lora_bias", "rank_pattern", "target_parameters",
    "trainable_token_indices", "use_dora", "use_qalora", "use_rslora",
)  # fmt: skip
_FINGERPRINTS: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()  # of shared models, which nobody changes


@dataclass(frozen=True, eq=False)
class Delta:
    """What a way of training changed of its base.

    Attributes:
        regime: one of `DELTA_REGIMES`.
        base: the base's name, folder or hub id.
        fingerprint: of the base's body; None where it is not known (an adapter from elsewhere).
        labels: one name per class.
        replaced: weights in place of the base's, and the head, by their names in a `GPT2ForSequenceClassification`.
        added: what is added to the base's matrices, by name.
        prompt: the soft prompt [virtual d_model], or None.
    """

    regime: str
    base: str
    fingerprint: str | None
    labels: tuple[str, ...]
    replaced: dict[str, Tensor]
    added: dict[str, Tensor]
    prompt: Tensor | None


def is_delta(folder: Path) -> bool:
    """Whether a folder holds what was changed of a base, instead of a whole model."""
    files = ("delta.safetensors", "adapter_config.json")
    return not (folder / "config.json").is_file() and any((folder / file).is_file() for file in files)


def read_card(folder: Path) -> dict[str, Any]:
    """What ``card.json`` says, or nothing where there is none.

    Raises:
        ModelError: it is damaged.
    """
    return _read_object(folder / "card.json") if (folder / "card.json").is_file() else {}


def _read_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} is not valid JSON; write it again or remove it. ({error})") from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{file} must hold a JSON object, not a {type(content).__name__}; write it again or remove it."
        )
    return content


def read_delta(folder: Path) -> Delta:
    """Read a folder for which `is_delta` holds.

    Raises:
        ModelError: files missing or damaged, an unknown regime, or an adapter of a kind that is not read here.
    """
    card = read_card(folder)
    adapter = _read_object(folder / "adapter_config.json") if (folder / "adapter_config.json").is_file() else {}
    kind = adapter.get("peft_type")
    regime = card.get("regime") or _PEFT.get(str(kind))
    if regime not in DELTA_REGIMES or (regime in _PEFT.values() and _PEFT.get(str(kind)) != regime):
        found = card.get("regime") or kind
        detail = f" with an adapter of type {kind}" if card.get("regime") and kind else ""
        raise ModelError(f"{folder} was trained by {found!r}{detail}; what can be read is {', '.join(DELTA_REGIMES)}.")
    base = card.get("base") or adapter.get("base_model_name_or_path")
    if not base:
        raise ModelError(f'{folder} does not say which base it stands on; give "base" in its card.json.')
    tensors = _read_tensors(folder, "adapter_model" if regime in _PEFT.values() else "delta")
    added = _products(folder, tensors, adapter) if regime == "lora" else {}
    prompt = tensors.pop("prompt_embeddings", None) if regime == "prompt" else None
    if "score.weight" not in tensors:
        raise ModelError(f"{folder} has no trained head (score.weight). It is no classifier yet: fine-tune it first.")
    if regime == "prompt" and (prompt is None or prompt.ndim != 2 or not len(prompt)):
        raise ModelError(f"{folder} holds no soft prompt (prompt_embeddings). Train it again.")
    n_labels = len(tensors["score.weight"])
    labels = tuple(card.get("labels") or (f"LABEL_{i}" for i in range(n_labels)))
    if len(labels) != n_labels or n_labels < 2:
        raise ModelError(
            f"{folder} names {len(labels)} labels and has {n_labels} outputs; a classifier has two or more."
        )
    return Delta(regime, str(base), card.get("base_fingerprint"), labels, tensors, added, prompt)


def _read_tensors(folder: Path, stem: str) -> dict[str, Tensor]:
    """The tensors of a file in float32, by name without peft's prefixes."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = folder / f"{stem}.safetensors"
    if not file.is_file():
        raise ModelError(f"{folder} holds no {file.name}. Train or download it again.")
    try:
        stored = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} can't be read; it is damaged. Train or download it again. ({error})") from error
    if not all(tensor.isfinite().all() for tensor in stored.values()):
        raise ModelError(f"{file} holds weights that are not numbers (NaN or infinite). Train or export it again.")
    return {key.removeprefix("base_model.").removeprefix("model."): tensor.float() for key, tensor in stored.items()}


def _products(folder: Path, tensors: dict[str, Tensor], adapter: dict[str, Any]) -> dict[str, Tensor]:
    """Take LoRA's thin matrices out of `tensors`; their products, in the shape of GPT-2's weights [in out], by name."""
    beyond = [key for key in _NOT_READ if adapter.get(key)]
    beyond += [f"bias={adapter['bias']}"] if adapter.get("bias", "none") != "none" else []
    if beyond:
        raise ModelError(
            f"{folder} uses LoRA with {', '.join(beyond)}, which is not read here. "
            "Merge it with peft's merge_and_unload() and save the whole model."
        )
    try:
        scale = adapter["lora_alpha"] / adapter["r"]
        names = [key.removesuffix(".lora_A.weight") for key in tensors if key.endswith(".lora_A.weight")]
        thin = {name: [tensors.pop(f"{name}.lora_{side}.weight") for side in "BA"] for name in names}
        return {f"{name}.weight": scale * (b @ a).T for name, (b, a) in thin.items()}
    except (KeyError, TypeError, ZeroDivisionError, RuntimeError) as error:
        raise ModelError(f"{folder} holds a LoRA adapter that is not whole ({error}). Train it again.") from error


def load_delta(
    folder: Path, *, bundled: Path, device: str = "cpu"
) -> tuple[GPT2ForSequenceClassification, PreTrainedTokenizerBase, GPT2LMHeadModel]:
    """The classifier that a folder's delta and its base make, in evaluation mode; with it tokenizer and base.

    Every weight that was not changed is the base's own tensor. The base is looked for beside the folder, among the
    bundled models, as a folder, and on the hub.

    Raises:
        ModelError: the delta or its base can't be read, or they do not belong together.
    """
    delta = read_delta(folder)
    try:
        base, tokenizer = shared_language_model(_place_of(delta.base, folder, bundled), delta.base, device=device)
    except ModelError as error:
        raise ModelError(
            f"{folder} stands on the base {delta.base!r}, which can't be used: put it beside the folder. {error}"
        ) from error
    if base not in _FINGERPRINTS:
        _FINGERPRINTS[base] = fingerprint(base.transformer)
    if delta.fingerprint not in (None, _FINGERPRINTS[base]):
        raise ModelError(
            f"{folder} was trained on another base than {delta.base!r}: it needs {delta.fingerprint}, this one is "
            f"{_FINGERPRINTS[base]}. Train it again on this base, or put its own beside it."
        )
    return _put_on(folder, delta, base, device), tokenizer, base


def _place_of(base: str, folder: Path, bundled: Path) -> str:
    """Where a base lies, or its hub id.

    Raises:
        ModelError: it is nowhere here, and no hub id.
    """
    near = [place for place in (folder.parent / base, bundled / base, Path(base)) if (place / "config.json").is_file()]
    if not near and base.count("/") != 1:
        raise ModelError(f"There is no folder {base}.")
    return str(near[0]) if near else base


def _put_on(folder: Path, delta: Delta, base: GPT2LMHeadModel, device: str) -> GPT2ForSequenceClassification:
    from transformers import GPT2ForSequenceClassification

    body = sharing_copy(base.transformer)
    body.config.update({
        "architectures": ["GPT2ForSequenceClassification"],
        "id2label": dict(enumerate(delta.labels)),
        "label2id": {label: i for i, label in enumerate(delta.labels)},
    })  # fmt: skip
    with torch.device("meta"):  # its own weights would only be thrown away
        model = GPT2ForSequenceClassification(body.config)
    model.transformer = body
    own = dict(model.named_parameters())
    changed = delta.replaced | {
        name: own[name].detach().cpu() + more
        for name, more in delta.added.items()
        if name in own and own[name].shape == more.shape
    }
    unfit = sorted(delta.added.keys() - changed.keys())
    unfit += sorted(k for k, v in delta.replaced.items() if k not in own or own[k].shape != v.shape)
    unfit += ["the soft prompt"] if delta.prompt is not None and not _prompt_fits(delta.prompt, body.config) else []
    if unfit:
        raise ModelError(f"{folder} does not fit its base {delta.base!r}: {', '.join(unfit[:3])}.")
    for name, weight in changed.items():
        place, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(place), leaf, nn.Parameter(weight.to(device), requires_grad=False))
    if delta.prompt is not None:
        body.wte = PromptedEmbedding(body.wte, nn.Parameter(delta.prompt.to(device), requires_grad=False))
    return model.eval().requires_grad_(False)


def _prompt_fits(prompt: Tensor, config: Any) -> bool:  # noqa: ANN401 - a GPT2Config
    """Vectors of the model's size, and room for a text after them."""
    return prompt.shape[1] == config.n_embd and len(prompt) < config.n_positions
