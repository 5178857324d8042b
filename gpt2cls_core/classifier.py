"""The classifier that everything else explains, and the only way to load one.

A GPT-2 sequence classifier is a GPT-2 body and one linear layer without bias, called ``score``. The body turns a text of n tokens
into n vectors; ``score`` reads the last one alone. `load_classifier` loads such a model from the bundled ones, a local folder or
the Hugging Face hub, and refuses anything that could not be explained truthfully: other architectures, checkpoints without
a trained head, damaged files, weights that are not numbers. A classifier of which only a small part was trained is kept as that
part alone and put on its base (see `deltas`).
"""

from __future__ import annotations

import json
import operator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .deltas import is_delta, load_delta, read_card
from .encoding import Encoding, encode_text, with_prompt
from .errors import ModelError, OptionError
from .soft_prompt import virtual_ids
from .weights import first_line, read_whole

if TYPE_CHECKING:
    from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model, PreTrainedTokenizerBase

__all__ = ["BUNDLED", "Classifier", "Encoding", "bundled_folder", "bundled_names", "encode_text", "load_classifier"]

BUNDLED = Path(__file__).resolve().parents[1] / "assets" / "models"


@dataclass(frozen=True, eq=False)
class Classifier:
    """A loaded GPT-2 sequence classifier: eager attention, evaluation mode, float32, no gradients to parameters.

    Attributes:
        name: bundled name, folder or hub id, as asked for.
        labels: one name per class.
        card: what is known of how it was trained (``card.json`` beside the weights; empty for foreign models).
        base: the language model whose weights it shares and keeps in memory; None for a whole model of its own.
    """

    name: str
    model: GPT2ForSequenceClassification
    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...]
    card: dict[str, Any] = field(default_factory=dict)
    base: GPT2LMHeadModel | None = None

    def __repr__(self) -> str:
        size = f"{self.n_layer} layers, d_model {self.d_model}"
        return f"Classifier({self.name!r}, {size}, labels={list(self.labels)})"

    @property
    def body(self) -> GPT2Model:
        """The GPT-2 body under the head."""
        return self.model.transformer

    @property
    def n_layer(self) -> int:
        return self.model.config.n_layer

    @property
    def n_head(self) -> int:
        return self.model.config.n_head

    @property
    def d_model(self) -> int:
        return self.model.config.n_embd

    @property
    def context(self) -> int:
        """The most tokens that the model can read at once, virtual ones included."""
        return self.model.config.n_positions

    @property
    def n_virtual(self) -> int:
        """Tokens of the soft prompt that is put before every text; 0 for most classifiers."""
        return len(virtual_ids(self.body))

    @property
    def unembedding(self) -> Tensor:
        """The token embeddings [vocabulary d_model], which in GPT-2 also turn a vector into next-token logits.

        Virtual tokens, which nobody can read, are not among them; ``body.wte.weight`` has them at its end.
        """
        wte = self.body.wte
        return wte.weight.detach()[: wte.num_embeddings - self.n_virtual]

    @cached_property
    def n_parameters(self) -> int:
        """Parameters of body and head."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def score(self) -> Tensor:
        """The head's weights [class d_model]; GPT-2's head has no bias."""
        return self.model.score.weight.detach()

    def encode(self, text: str) -> Encoding:
        """Turn a text into tokens, words and ids, a soft prompt before them where the classifier has one.

        A literal ``<|endoftext|>`` is read as the characters that it is, never as the special token. A text longer than the
        context keeps its end, and `Encoding.tokens_cut` says how many tokens were dropped.

        Raises:
            TextError: not a string, empty, only blanks, more than 100,000 characters, or half of a surrogate pair in it.
        """
        encoding = encode_text(self.tokenizer, text, self.context - self.n_virtual)
        return with_prompt(encoding, virtual_ids(self.body)) if self.n_virtual else encoding

    def target(self, target: int | str | None, logits: Tensor) -> tuple[int, int]:
        """The class to explain and its strongest rival, which together make the margin.

        Args:
            target: a class index or label. None takes class 1 of two (so that the margin's sign is the verdict), or the
                predicted class of more.
            logits: [class]

        Raises:
            OptionError: there is no such class.
        """
        if target is None:
            target = 1 if len(self.labels) == 2 else int(logits.argmax())
        if isinstance(target, str):
            if target not in self.labels:
                raise OptionError(f"There is no class {target!r}; the classes are {', '.join(self.labels)}.")
            target = self.labels.index(target)
        try:
            target = int(operator.index(target))
        except TypeError:
            raise OptionError(f"A class is a label or a whole number, not {target!r}.") from None
        if not 0 <= target < len(self.labels):
            raise OptionError(f"There is no class {target}; the classes are 0 to {len(self.labels) - 1}.")
        others = logits.clone()
        others[target] = -torch.inf
        return target, int(others.argmax())


def bundled_names() -> list[str]:
    """Names of the classifiers that ship with the project."""
    return sorted(
        folder.name
        for folder in BUNDLED.glob("*")
        if _architecture(folder).endswith("SequenceClassification") or is_delta(folder)
    )


def bundled_folder(name: str) -> Path | None:
    """The folder of a bundled classifier, or None if no such one ships."""
    return BUNDLED / name if name in bundled_names() else None


def load_classifier(source: str | Path = "full", *, device: str = "cpu") -> Classifier:
    """Load a GPT-2 sequence classifier.

    Args:
        source: a bundled name (see `bundled_names`), a folder written by ``save_pretrained`` or by training (an adapter on
            a base, see `deltas`), or a hub id such as ``PavanNeerudu/gpt2-finetuned-sst2``. Weights are read from
            safetensors only and no remote code is run.
        device: where the model runs; results always come back to the CPU.

    Raises:
        ModelError: no such model, not a GPT-2 sequence classifier, files missing or damaged, an adapter without its base
            or with another one, or the hub can't be reached.
    """
    name, base = str(source), None
    folder = bundled_folder(name) or Path(source)
    if is_delta(folder):
        model, tokenizer, base = load_delta(folder, bundled=BUNDLED, device=device)
    elif folder.is_dir():
        _check_folder(folder)
        model, tokenizer = _read(str(folder), name)
    elif name.count("/") == 1 and not name.startswith((".", "/", "~")):
        model, tokenizer = _read(name, name)
    else:
        raise ModelError(
            f"There is no model {name!r}. Bundled: {', '.join(bundled_names())}. Or give a folder or a hub id."
        )
    labels = tuple(str(model.config.id2label[i]) for i in range(model.config.num_labels))
    return Classifier(name, model.to(device), tokenizer, labels, read_card(folder), base)


def _architecture(folder: Path) -> str:
    """The architecture that a folder's config.json names, or an empty string."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return str((config.get("architectures") or [""])[0])
    except (OSError, ValueError, AttributeError):
        return ""


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no config.json. Save the model there with save_pretrained().")
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("pytorch_model*.bin"))
        found = "only pickled weights, which are not loaded because they can run code" if pickled else "no weights"
        raise ModelError(f"{folder} holds {found}. Save it with save_pretrained(), which writes safetensors.")
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        raise ModelError(f"{folder} holds no tokenizer. Save it there with tokenizer.save_pretrained().")


def _read(location: str, name: str) -> tuple[GPT2ForSequenceClassification, PreTrainedTokenizerBase]:
    from transformers import AutoConfig, GPT2ForSequenceClassification

    try:
        config = AutoConfig.from_pretrained(location)
        if config.model_type != "gpt2":
            raise ModelError(
                f"{name} is a {config.model_type} model. Only GPT-2 sequence classifiers can be explained here."
            )
        if config.num_labels < 2:
            raise ModelError(f"{name} has {config.num_labels} output; a classifier needs two classes or more.")
        return read_whole(GPT2ForSequenceClassification, location, name, config)
    except ModelError:
        raise
    except Exception as error:  # the hub, the safetensors and the JSON readers each raise their own kinds
        raise ModelError(_loading_message(location, name, error)) from error


def _loading_message(location: str, name: str, error: Exception) -> str:
    if Path(location).is_dir():
        return (
            f"The files of {name} can't be read; one is damaged or incomplete. Save or download them again. ({error})"
        )
    return (
        f"{name} could not be loaded from the Hugging Face hub: check the id and the network, or use a bundled model "
        f"({', '.join(bundled_names())}) or a local folder. ({first_line(error)})"
    )
