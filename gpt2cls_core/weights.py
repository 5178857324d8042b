"""Weights: checked before they are believed, and kept once where several models share them.

Most ways to train a classifier leave most of the body as pre-training made it. Those classifiers stand on one language model,
which is loaded once, however many of them are in use; `sharing_copy` gives each a body of its own modules (so that hooks in one
are not felt in another) over the very same numbers.
"""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from torch import nn

from .errors import ModelError

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, GPT2Model, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["fingerprint", "first_line", "read_whole", "shared_language_model", "sharing_copy"]

Model = TypeVar("Model", bound="PreTrainedModel")

# Weak: a language model goes when the last classifier on it goes.
_MODELS: WeakValueDictionary[tuple, GPT2LMHeadModel] = WeakValueDictionary()
_TOKENIZERS: WeakKeyDictionary[GPT2LMHeadModel, PreTrainedTokenizerBase] = WeakKeyDictionary()
_LOADING = Lock()


def _check_loaded(
    name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, report: dict[str, Any]
) -> None:
    """Refuse a model that loads and is not whole.

    Args:
        report: what ``from_pretrained(…, output_loading_info=True)`` gives beside the model.

    Raises:
        ModelError: weights missing, left over or not finite, or a tokenizer that does not fit.
    """
    missing = sorted(key for key in report["missing_keys"] if not _is_mask(key))
    if any(key.startswith("score") for key in missing):
        raise ModelError(f"{name} has no trained head (score.weight). It is no classifier yet: fine-tune it first.")
    if missing:
        raise ModelError(f"{name} does not hold all weights; missing: {', '.join(missing)}.")
    unread = sorted(key for key in report["unexpected_keys"] if ".h." in f".{key}" and not _is_mask(key))
    if unread:
        raise ModelError(
            f"{name} holds weights that its config.json leaves out, such as {unread[0]}; is n_layer right?"
        )
    if not all(torch.isfinite(p).all() for p in model.parameters()):
        raise ModelError(f"{name} holds weights that are not numbers (NaN or infinite). Train or export it again.")
    if not tokenizer.is_fast:
        raise ModelError(f"{name} has no fast tokenizer (tokenizer.json), which is needed to place tokens in the text.")
    if tokenizer.vocab_size > model.config.vocab_size:
        raise ModelError(
            f"The tokenizer of {name} knows {tokenizer.vocab_size:,} tokens and the model only {model.config.vocab_size:,}; "
            "they do not belong together. Save the tokenizer that the model was trained with."
        )


def _is_mask(key: str) -> bool:
    """Whether a key names the causal mask, which old checkpoints hold though it is no weight."""
    return key.endswith((".attn.bias", ".attn.masked_bias"))


def read_whole(
    kind: type[Model], location: str, name: str, config: PreTrainedConfig
) -> tuple[Model, PreTrainedTokenizerBase]:
    """A model of the given class and its tokenizer: evaluation mode, float32, eager attention, no gradients to parameters.

    Raises:
        ModelError: it is not whole (see `_check_loaded`). The hub, the safetensors and the JSON readers raise their own kinds.
    """
    from transformers import AutoTokenizer

    model, report = kind.from_pretrained(
        location,
        config=config,
        attn_implementation="eager",  # sdpa returns no attention weights
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(location)
    _check_loaded(name, model, tokenizer, report)
    return model.eval().requires_grad_(False), tokenizer


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def shared_language_model(
    location: str, name: str, *, device: str = "cpu"
) -> tuple[GPT2LMHeadModel, PreTrainedTokenizerBase]:
    """A GPT-2 language model and its tokenizer; the same objects as long as anyone holds the model.

    Evaluation mode, float32, eager attention, no gradients to parameters. Nobody may change it.

    Args:
        location: a folder or hub id.
        name: what to call it in messages.

    Raises:
        ModelError: it can't be loaded, is not a GPT-2 language model, or is not whole.
    """
    key = (_version(location), device)
    with _LOADING:
        model = _MODELS.get(key)
        if model is None:
            model, tokenizer = _read_language_model(location, name)
            _MODELS[key] = model.to(device)
            _TOKENIZERS[model] = tokenizer
        return model, _TOKENIZERS[model]


def _version(location: str) -> tuple:
    """What tells one state of a folder's files from another, or a hub id."""
    folder = Path(location)
    if not folder.is_dir():
        return (location,)
    stamps = sorted((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in folder.iterdir())
    return (str(folder.resolve()), *stamps)


def _read_language_model(location: str, name: str) -> tuple[GPT2LMHeadModel, PreTrainedTokenizerBase]:
    from transformers import AutoConfig, GPT2LMHeadModel

    folder = Path(location)
    if folder.is_dir() and not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.json")):
        raise ModelError(f"{name} holds no tokenizer. Save it there with tokenizer.save_pretrained().")
    try:
        config = AutoConfig.from_pretrained(location)
        head = (config.architectures or ["model of unnamed architecture"])[0]
        if head != "GPT2LMHeadModel":
            raise ModelError(f"{name} is a {head}. A language model (GPT2LMHeadModel) is needed here.")
        return read_whole(GPT2LMHeadModel, location, name, config)
    except ModelError:
        raise
    except Exception as error:  # the hub, the safetensors and the JSON readers each raise their own kinds
        raise ModelError(
            f"The language model {name} can't be loaded: check name, files and network. ({first_line(error)})"
        ) from error


def sharing_copy(module: nn.Module) -> nn.Module:
    """A copy with modules, hooks and configuration of its own, whose parameters are those of `module`."""
    return copy.deepcopy(module, {id(parameter): parameter for parameter in module.parameters()})


def fingerprint(body: GPT2Model) -> str:
    """What tells one body from another: 16 hexadecimal digits of its weights rounded to 16 bits.

    A model and its shipped copy, which is rounded so, have the same fingerprint.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(body.state_dict().items()):
        digest.update(f"{name}{list(weight.shape)}".encode())
        digest.update(weight.detach().to("cpu", torch.float16).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
