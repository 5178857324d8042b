"""How the verdict forms, along the text and up the layers.

The head is made for one vector, the last token's at the top. But every cell of the grid holds a vector of the same
kind, and nothing forbids to read it too. That is the *logit lens* (nostalgebraist 2020), here with the classifier's own
head:

    margin(layer, pos) = (W[target] − W[other]) · ln_f(resid[layer, pos])

Along the top row this is no approximation. By the causal mask, position t has seen the tokens up to t and nothing else,
so its vector is the one that the head would read if the text ended there: the top row is the verdict on every prefix.

Down the layers it is a question put in a foreign language: lower layers were never trained to be read by ``ln_f`` and
head, and may hold the verdict in other directions. `probe_lens` asks each layer in its own (see `probes`). Where the
two differ, the raw lens misleads; where the probe reads much, the information is there, but nothing says that the model
uses it.

`next_token_lens` puts a language model's unembedding in the head's place: which word would each cell predict?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .base import LanguageModel, States
from .cells import check_index
from .classifier import Classifier
from .errors import OptionError
from .probes import LensProbes, normalised
from .trace import Trace

__all__ = [
    "LensGrid",
    "NextTokenLens",
    "class_lens",
    "head_logits",
    "next_token_lens",
    "next_tokens",
    "probe_lens",
    "vocabulary_texts",
]

VECTORS_AT_ONCE = 512  # bounds memory: each has a logit for every token of the vocabulary


@dataclass(frozen=True, eq=False)
class LensGrid:
    """A margin in every cell of the grid, in logits; positive speaks for `target` against `other`.

    Attributes:
        reader: what read the cells: "head" (`class_lens`) or "probe" (`probe_lens`).
        margins: [layer+1 pos]; 0 = embeddings. With the head, the top row is the margin of every prefix and its last
            cell the model's own.
        verdicts: the class that wins in each cell, int64 [layer+1 pos].
        target, other: the class explained and its strongest rival on the whole text; the same two in every cell.
        first: position of the text's first token; a soft prompt's virtual tokens stand before it.
    """

    tokens: tuple[str, ...]
    labels: tuple[str, ...]
    reader: Literal["head", "probe"]
    margins: Tensor
    verdicts: Tensor
    target: int
    other: int
    first: int = 0

    @property
    def margin(self) -> float:
        """The cell at the top right."""
        return float(self.margins[-1, -1])

    @property
    def flips(self) -> tuple[int, ...]:
        """Positions at which the sign of the top row changes within the text: the tokens that turn the running verdict."""
        speaks_for = self.margins[-1, self.first :] > 0
        return tuple((speaks_for[1:] != speaks_for[:-1]).nonzero().flatten().add(self.first + 1).tolist())

    @property
    def settled_token(self) -> int:
        """The position from which on the running verdict stays what it is at the end."""
        return self.flips[-1] if self.flips else self.first

    @property
    def settled_layer(self) -> int:
        """The layer from which on up the last token's margin has the sign that it has at the top."""
        differs = ((self.margins[:, -1] > 0) != (self.margin > 0)).nonzero()
        return int(differs[-1]) + 1 if len(differs) else 0

    def at(self, layer: int, position: int) -> float:
        """The margin in one cell.

        Raises:
            OptionError: there is no such layer or token.
        """
        layer = check_index("layer", layer, len(self.margins))
        return float(self.margins[layer, check_index("token", position, len(self.tokens))])


@dataclass(frozen=True, eq=False)
class NextTokenLens:
    """The most probable next tokens in every cell, the most probable first.

    Attributes:
        model: name of the model that was asked.
        ids: int64 [layer+1 pos top].
        texts: the same as a reader sees them: a tuple per layer of a tuple per position of `top` strings.
        probabilities: [layer+1 pos top], of the whole vocabulary.
    """

    tokens: tuple[str, ...]
    model: str
    ids: Tensor
    texts: tuple[tuple[tuple[str, ...], ...], ...]
    probabilities: Tensor

    def at(self, layer: int, position: int) -> tuple[tuple[str, float], ...]:
        """One cell's tokens, each with its probability.

        Raises:
            OptionError: there is no such layer or token.
        """
        layer = check_index("layer", layer, len(self.texts))
        position = check_index("token", position, len(self.tokens))
        return tuple(zip(self.texts[layer][position], self.probabilities[layer, position].tolist(), strict=True))


def class_lens(clf: Classifier, trace: Trace, *, target: int | str | None = None) -> LensGrid:
    """Read every cell with ``ln_f`` and the head; costs no forward pass.

    Args:
        target: class index or label; None takes class 1 of two, or the predicted class of more.

    Raises:
        OptionError: there is no such class.

    Caveat: only the top row is what the model computes. Below it the sign may be wrong though the information is there;
    ``assets/results.json`` says how often, per layer, for the bundled model.
    """
    chosen, other = clf.target(target, trace.logits)
    logits = head_logits(clf, trace.resid)
    margins = logits[..., chosen] - logits[..., other]
    first = trace.encoding.n_virtual
    return LensGrid(trace.tokens, trace.labels, "head", margins, logits.argmax(-1), chosen, other, first)


def probe_lens(clf: Classifier, trace: Trace, probes: LensProbes, *, target: int | str | None = None) -> LensGrid:
    """Read every cell with the probe of its layer.

    Args:
        probes: from `load_lens_probes`.
        target: class index or label; None takes class 1.

    Raises:
        OptionError: there is no such class, the classifier has more than two, or the probes are another model's.

    Caveat: the probes were trained on last tokens. At a word in the middle they read a prefix that ends oddly, as the
    head does. And a probe tells what a layer holds, not what later layers make of it.
    """
    if len(clf.labels) != 2:
        raise OptionError(f"Probes tell two classes apart; {clf.name} has {len(clf.labels)}. Use class_lens.")
    expected = (len(trace.resid), trace.resid.shape[-1])
    if probes.weights.shape != expected:
        raise OptionError(f"Probes of {clf.name} have the shape {list(expected)}, not {list(probes.weights.shape)}.")
    chosen, other = clf.target(target, trace.logits)
    speaks_for_1 = torch.einsum("lpd,ld->lp", normalised(clf, trace.resid), probes.weights) + probes.bias[:, None]
    margins = speaks_for_1 if chosen == 1 else -speaks_for_1
    first = trace.encoding.n_virtual
    return LensGrid(trace.tokens, trace.labels, "probe", margins, (speaks_for_1 > 0).long(), chosen, other, first)


def next_token_lens(model: Classifier | LanguageModel, read: Trace | States, *, top: int = 5) -> NextTokenLens:
    """Ask every cell for the next token: softmax(U · ln_f(resid)), with U the unembedding.

    Args:
        model: a language model, or a classifier, whose fine-tuned body is read through its own token embedding, the
            unembedding that it was pre-trained with.
        read: what the same model made of a text: `read_states` of a language model, `trace` of a classifier.
        top: how many tokens to keep per cell.

    Raises:
        OptionError: `top` is below 1 or beyond the vocabulary.

    Caveat: of a classifier, this is a reading that fine-tuning no longer asked for. As in `class_lens`, only the top
    row is one that a model was ever trained to give.
    """
    ids, probabilities = next_tokens(model, read.resid.flatten(0, 1), top=top)
    shape = (*read.resid.shape[:2], top)  # (layer+1, pos, top)
    ids, probabilities = ids.reshape(shape), probabilities.reshape(shape)
    names = vocabulary_texts(model, ids.flatten().tolist())
    n_tokens = len(read.tokens)
    cells = [tuple(names[i : i + top]) for i in range(0, len(names), top)]
    texts = tuple(tuple(cells[i : i + n_tokens]) for i in range(0, len(cells), n_tokens))
    return NextTokenLens(read.tokens, model.name, ids, texts, probabilities)


def head_logits(clf: Classifier, vectors: Tensor) -> Tensor:
    """What ``ln_f`` and the head make of vectors of the residual stream: logits [… class] of [… d_model]."""
    with torch.no_grad():
        return clf.model.score(clf.body.ln_f(vectors.to(clf.model.device))).float().cpu()


def next_tokens(model: Classifier | LanguageModel, vectors: Tensor, *, top: int) -> tuple[Tensor, Tensor]:
    """The most probable next tokens of vectors [vector d_model] of the residual stream.

    Returns:
        (ids, probabilities), each [vector top], the most probable first.

    Raises:
        OptionError: `top` is below 1 or beyond the vocabulary, or the vectors are of another size than the model's.
    """
    unembedding = model.unembedding
    if not 1 <= top <= len(unembedding):
        raise OptionError(f"top must lie between 1 and the vocabulary's {len(unembedding):,} tokens, not {top}.")
    if vectors.shape[-1] != unembedding.shape[1]:
        raise OptionError(f"{model.name} has vectors of {unembedding.shape[1]} numbers, not {vectors.shape[-1]}.")
    ids, probabilities = [], []
    with torch.no_grad():
        for part in vectors.to(unembedding.device).split(VECTORS_AT_ONCE):
            logits = model.body.ln_f(part) @ unembedding.T  # (vector, vocabulary)
            best = logits.topk(top, -1)
            ids.append(best.indices.cpu())
            probabilities.append((best.values - logits.logsumexp(-1, keepdim=True)).exp().float().cpu())
    return torch.cat(ids), torch.cat(probabilities)


def vocabulary_texts(model: Classifier | LanguageModel, ids: Sequence[int]) -> list[str]:
    """Tokens of the vocabulary as a reader sees them, with the blank before a word.

    A token that is only a part of a character is shown as it stands in the vocabulary, between ⟨ and ⟩; one that the
    tokenizer does not know, by its number.
    """
    tokenizer = model.tokenizer
    names: dict[int, str] = {}
    for i in set(ids):
        text = tokenizer.decode([i])
        names[i] = f"⟨{tokenizer.convert_ids_to_tokens(i) or i}⟩" if text == "" or "�" in text else text
    return [names[i] for i in ids]
