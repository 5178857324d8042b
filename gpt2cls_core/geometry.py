"""The last vector is not a word any more.

At layer 0 a token's vector is its embedding plus its position's: two texts that end in the same token at the same
position end in the same vector, to the last bit, and no linear layer could tell them apart. Every block then adds what
the last position read from the others, and the vectors part. Three measurements of that, none of which runs the head on
anything but vectors:

- `compare_geometry`: two texts, layer by layer: angle, distance and the margin that the head would read.
- `sentence_cloud`: many sentences that end in the same token, from one point per length to two groups.
- `nearest_words`: which word's embedding a vector is closest to, and which next token it predicts.

Vectors are compared in the residual stream as it is. Beware of its scale: GPT-2 puts a few very large coordinates into
every vector, so that cosines between any two are high (Ethayarajh 2019, arXiv:1909.00512); read them against each
other, not against 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .base import LanguageModel
from .classifier import Classifier
from .errors import OptionError
from .lens import head_logits, next_tokens, vocabulary_texts
from .trace import Trace

__all__ = ["GeometryComparison", "NearestWords", "compare_geometry", "nearest_words"]


@dataclass(frozen=True, eq=False)
class GeometryComparison:
    """The last vectors of two texts, layer by layer; 0 = embeddings.

    Attributes:
        last_tokens: what each text ends in.
        positions: the position of each text's last token.
        same_token: whether both end in the same token of the vocabulary.
        cosine: [layer+1], −1 to 1.
        distance: Euclidean [layer+1], in units of the residual stream.
        margins_a, margins_b: the raw lens's margin [layer+1]; the last is each text's own.
        token_distance: distance of the two token embeddings; 0 if `same_token`.
        position_distance: distance of the two position embeddings; 0 if both last tokens stand at the same position.
            Where `same_token` holds, it is all of ``distance[0]``.
        target, other: the class explained and its strongest rival on the first text.
    """

    labels: tuple[str, ...]
    last_tokens: tuple[str, str]
    positions: tuple[int, int]
    same_token: bool
    cosine: Tensor
    distance: Tensor
    margins_a: Tensor
    margins_b: Tensor
    token_distance: float
    position_distance: float
    target: int
    other: int

    @property
    def identical_at_start(self) -> bool:
        """Same token at the same position: at layer 0 the two are one vector."""
        return self.same_token and self.positions[0] == self.positions[1]


@dataclass(frozen=True, eq=False)
class NearestWords:
    """What a vector is close to, and what it predicts.

    Attributes:
        words: the tokens whose embeddings have the highest cosine with the vector, nearest first [top].
        cosines: [top]
        next_tokens: the most probable next tokens, most probable first [top].
        probabilities: [top], of the whole vocabulary.
    """

    words: tuple[str, ...]
    cosines: Tensor
    next_tokens: tuple[str, ...]
    probabilities: Tensor


def compare_geometry(
    clf: Classifier, trace_a: Trace, trace_b: Trace, *, target: int | str | None = None
) -> GeometryComparison:
    """Compare the last vectors of two texts at every layer.

    At layer 0 the difference is wte[a] − wte[b] + wpe[i] − wpe[j]: nothing at all for the same token at the same
    position, and the position embeddings' difference alone for the same token at different ones.

    Args:
        target: class index or label; None takes class 1 of two, or the class predicted for the first text of more.

    Raises:
        OptionError: there is no such class.
    """
    chosen, other = clf.target(target, trace_a.logits)
    a, b = trace_a.resid[:, -1], trace_b.resid[:, -1]  # (layer+1, d_model)
    ids = [int(trace.input_ids[-1]) for trace in (trace_a, trace_b)]
    positions = (trace_a.last_token_index, trace_b.last_token_index)
    logits = head_logits(clf, torch.stack([a, b]))
    margins = logits[..., chosen] - logits[..., other]
    return GeometryComparison(
        labels=clf.labels,
        last_tokens=(trace_a.tokens[-1], trace_b.tokens[-1]),
        positions=positions,
        same_token=ids[0] == ids[1],
        cosine=torch.cosine_similarity(a.double(), b.double(), dim=-1).float(),
        distance=(a - b).norm(dim=-1),
        margins_a=margins[0],
        margins_b=margins[1],
        token_distance=_row_distance(clf.body.wte.weight, *ids),
        position_distance=_row_distance(clf.body.wpe.weight, *positions),
        target=chosen,
        other=other,
    )


def nearest_words(model: Classifier | LanguageModel, vector: Tensor, *, top: int = 5) -> NearestWords:
    """The input embeddings nearest to a vector by cosine, and the next tokens that it predicts.

    At layer 0 the nearest word is, as a rule, the token itself. Higher up the vector says less what the token is and
    more what comes next; in a classifier's last layer it need not say either.

    Args:
        vector: [d_model], one cell of the residual stream before ``ln_f`` (see `vector_at`), of the same model.
        top: how many of each.

    Raises:
        OptionError: the vector has another size, or `top` is below 1 or beyond the vocabulary.

    Caveat: "nearest" is only the least far. Look at the cosine before believing the word.
    """
    embeddings = model.unembedding
    if vector.shape != embeddings.shape[1:]:
        raise OptionError(f"A vector of {model.name} has shape [{embeddings.shape[1]}], not {list(vector.shape)}.")
    ids, probabilities = next_tokens(model, vector[None], top=top)
    sizes = embeddings.norm(dim=-1) * vector.norm().to(embeddings.device)
    cosines = (embeddings @ vector.to(embeddings.device) / sizes.clamp(min=1e-12)).float().cpu()
    nearest = cosines.topk(top)
    words = vocabulary_texts(model, nearest.indices.tolist())
    return NearestWords(tuple(words), nearest.values, tuple(vocabulary_texts(model, ids[0].tolist())), probabilities[0])


def _row_distance(matrix: Tensor, a: int, b: int) -> float:
    return float((matrix[a] - matrix[b]).norm())
