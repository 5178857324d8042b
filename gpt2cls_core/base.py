"""The language model that the classifier was before it was fine-tuned.

Pre-training teaches a body to predict the next token: through ``ln_f`` and the *unembedding* (in GPT-2 the token
embedding again, used backwards) each vector becomes a probability for every token. Fine-tuning puts a head of a few
rows in place of that reading. With both bodies at hand one can ask of the same cell what it was for before, and what it
is for now.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .classifier import BUNDLED, Classifier, Encoding, encode_text
from .trace import forward_hooks
from .weights import shared_language_model

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, GPT2Model, PreTrainedTokenizerBase

__all__ = ["LanguageModel", "States", "load_base", "read_states"]


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A loaded GPT-2 that predicts the next token: evaluation mode, float32, no gradients to parameters."""

    name: str
    model: GPT2LMHeadModel
    tokenizer: PreTrainedTokenizerBase

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r}, {self.body.config.n_layer} layers, d_model {self.body.config.n_embd})"

    @property
    def body(self) -> GPT2Model:
        """The GPT-2 body."""
        return self.model.transformer

    @property
    def unembedding(self) -> Tensor:
        """What turns a vector into next-token logits [vocabulary d_model]; in GPT-2 the token embedding itself."""
        return self.model.lm_head.weight.detach()

    def encode(self, text: str) -> Encoding:
        """Turn a text into tokens, words and ids, as `Classifier.encode` does.

        Raises:
            TextError: the text can't be read.
        """
        return encode_text(self.tokenizer, text, self.body.config.n_positions)


@dataclass(frozen=True, eq=False)
class States:
    """The residual stream of one text, float32 on the CPU: the part of a `Trace` that needs no head.

    Attributes:
        encoding: the text, its tokens and ids.
        resid: [layer+1 pos d_model] BEFORE ``ln_f``; 0 = token + position embedding, last = after the last block.
    """

    encoding: Encoding
    resid: Tensor

    @property
    def tokens(self) -> tuple[str, ...]:
        return self.encoding.tokens


def load_base(source: str | Path = "base", *, device: str = "cpu") -> LanguageModel:
    """Load the GPT-2 language model that a classifier started from, or give the one in use (see `weights`): do not change it.

    Args:
        source: the bundled ``base``, a folder written by ``save_pretrained``, or a hub id such as
            ``openai-community/gpt2``. Weights are read from safetensors only and no remote code is run.
        device: where the model runs; results always come back to the CPU.

    Raises:
        ModelError: it can't be loaded, or is not a GPT-2 language model.
    """
    name = str(source)
    location = str(BUNDLED / name) if (BUNDLED / name / "config.json").is_file() else name
    model, tokenizer = shared_language_model(location, name, device=device)
    return LanguageModel(name, model, tokenizer)


def read_states(model: LanguageModel | Classifier, text: str | Encoding) -> States:
    """Run the language model once on one text and keep its residual stream; the counterpart of `trace`.

    Args:
        model: of a classifier, its body is read: what `trace` keeps as ``resid``, at less cost.
        text: a text, or one already encoded by the model's ``encode``.

    Raises:
        TextError: the text can't be read.
    """
    encoding = text if isinstance(text, Encoding) else model.encode(text)
    kept: list[Tensor] = []

    # A forward hook that returns a value replaces the output, so this returns None.
    def keep(_module: nn.Module, _inputs: object, output: Tensor | tuple) -> None:
        kept.append((output[0] if isinstance(output, tuple) else output)[0])

    body = model.body
    with torch.inference_mode(), forward_hooks(*[(module, keep) for module in (body.drop, *body.h)]):
        body(input_ids=encoding.input_ids[None].to(body.device), use_cache=False)
    # Cloned outside inference mode, so that the tensor may be used in any computation.
    return States(encoding, torch.stack(kept).detach().to("cpu", torch.float32).clone())
