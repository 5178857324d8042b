"""A cloud of sentences that all end in the same token, seen at every layer.

At layer 0 the last vectors of sentences that end in "." are one point per length: the embedding of "." plus a position.
If a linear layer can tell the sentences apart at the top, the blocks have put the difference there. The cloud shows
that twice: to the eye, as a projection that is fitted once and the same for all layers, and as a number, the accuracy
of a linear classifier that is fitted anew in each layer and measured on sentences that it has not seen.

The eye sees two dimensions of d_model, so it can see less than there is: a layer may be separable along directions that
the picture does not show. It cannot see more: nothing in the projection depends on the labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .classifier import BUNDLED, Classifier, Encoding
from .errors import OptionError, TextError
from .lens import head_logits
from .probes import normalised
from .separation import cross_validated_accuracy, shuffled_labels, stratified_folds
from .trace import Trace, forward_hooks

__all__ = ["SentenceCloud", "cloud_sentences", "last_token_states", "sentence_cloud"]

SENTENCES = BUNDLED.parent / "cloud.json"


@dataclass(frozen=True, eq=False)
class SentenceCloud:
    """The last vectors of many sentences at every layer; 0 = embeddings.

    The projection reads a vector x of the residual stream as ``axes · x̂ + offset``, with x̂ = x normalised to mean 0
    and variance 1, which makes it `ln_f` followed by

    - first coordinate: the head, W[target] − W[other]. It is the raw lens's margin, in logits, at the last layer the
      model's own; 0 is where the verdict turns.
    - second coordinate: the direction of largest variance among the last layer's vectors that the head does not read
      (the first principal component orthogonal to it), of unit length, centred on the last layer.

    Attributes:
        classes: the given labels as class indices, int64 [sentence].
        last_tokens: what each sentence ends in.
        lengths: tokens of each sentence, int64 [sentence].
        vectors: residual stream at each sentence's last token, before ``ln_f`` [layer+1 sentence d_model].
        coordinates: [layer+1 sentence 2]
        axes, offset, epsilon: the projection, [2 d_model], [2] and LayerNorm's ε.
        variance_shown: share of the sentences' variance after ``ln_f`` that lies in the picture's plane [layer+1].
        head_accuracy: share of sentences that the head gets right when it reads this layer through ``ln_f`` [layer+1].
        separation: cross-validated accuracy of a linear classifier fitted in each layer [layer+1].
        control: the same with shuffled labels [layer+1 shuffle]: what it is when there is nothing to find.
        target, other: the class on the right of the picture, and on the left.
    """

    sentences: tuple[str, ...]
    labels: tuple[str, ...]
    classes: Tensor
    last_tokens: tuple[str, ...]
    lengths: Tensor
    vectors: Tensor
    coordinates: Tensor
    axes: Tensor
    offset: Tensor
    epsilon: float
    variance_shown: Tensor
    head_accuracy: Tensor
    separation: Tensor
    control: Tensor
    target: int
    other: int

    @property
    def control_mean(self) -> Tensor:
        """Mean accuracy over the shuffles [layer+1]."""
        return self.control.mean(-1)

    @property
    def control_spread(self) -> Tensor:
        """Standard deviation over the shuffles [layer+1]; the accuracy itself is uncertain by about as much."""
        return self.control.std(-1)

    def place(self, trace: Trace) -> Tensor:
        """Where the last vector of one more text stands in the picture, at every layer [layer+1 2]."""
        return self.project(trace.resid[:, -1])

    def project(self, vectors: Tensor) -> Tensor:
        """Vectors of the residual stream [… d_model] in the picture [… 2]."""
        return nn.functional.layer_norm(vectors, vectors.shape[-1:], eps=self.epsilon) @ self.axes.T + self.offset


def cloud_sentences(file: Path = SENTENCES) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The project's own sentences, all ending in ".", and their labels (0 = negative, 1 = positive).

    About half say plainly what they mean; the others negate, contrast, understate or hint, which a small model often
    takes the wrong way. They illustrate, and are no test set: 18 pairs that hinted were rewritten to speak plainly after
    a half-trained classifier had misread many of the first version. Accuracy proper is in ``assets/results.json``.
    """
    rows = json.loads(file.read_text(encoding="utf-8"))
    return tuple(row["text"] for row in rows), tuple(int(row["label"] == "positive") for row in rows)


def sentence_cloud(
    clf: Classifier,
    sentences: Sequence[str],
    labels: Sequence[int | str],
    *,
    target: int | str | None = None,
    folds: int = 5,
    shuffles: int = 20,
    seed: int = 0,
) -> SentenceCloud:
    """Read many sentences and lay their last vectors out, layer by layer.

    Args:
        sentences: best with a common last token; see `cloud_sentences`.
        labels: the true class of each, as index or label; at least two classes with `folds` sentences each.
        target: class on the right; None takes class 1 of two, or the one that the head prefers on average of more.
        folds: parts of the cross-validation.
        shuffles: how often the control shuffles the labels.
        seed: of the shuffles.

    Raises:
        TextError: a sentence can't be read; the message gives its place.
        OptionError: not one label per sentence, no such class, too few sentences for `folds`, or fewer than 2 shuffles.
    """
    if len(labels) != len(sentences):
        raise OptionError(f"Give one label per sentence, not {len(labels)} for {len(sentences)}.")
    n_classes = len(clf.labels)
    classes = torch.tensor([clf.target(label, torch.zeros(n_classes))[0] for label in labels], dtype=torch.int64)
    parts = stratified_folds(classes, folds)
    truths = torch.cat([classes[None], shuffled_labels(classes, parts, shuffles, seed=seed)])
    encodings = _encode(clf, sentences)
    vectors = last_token_states(clf, encodings)
    logits = head_logits(clf, vectors)
    chosen, other = clf.target(target, logits[-1].mean(0))
    axes, offset, variance_shown = _plane(clf, vectors, chosen, other)
    accuracy = cross_validated_accuracy(normalised(clf, vectors), truths, parts)
    return SentenceCloud(
        sentences=tuple(sentences),
        labels=clf.labels,
        classes=classes,
        last_tokens=tuple(encoding.tokens[-1] for encoding in encodings),
        lengths=torch.tensor([len(encoding) for encoding in encodings]),
        vectors=vectors,
        coordinates=normalised(clf, vectors) @ axes.T + offset,
        axes=axes,
        offset=offset,
        epsilon=clf.body.ln_f.eps,
        variance_shown=variance_shown,
        head_accuracy=(logits.argmax(-1) == classes).float().mean(-1),
        separation=accuracy[:, 0],
        control=accuracy[:, 1:],
        target=chosen,
        other=other,
    )


def last_token_states(clf: Classifier, encodings: Sequence[Encoding], *, batch_size: int = 32) -> Tensor:
    """The residual stream at each text's last token, before ``ln_f`` [layer+1 text d_model], in the order given.

    Texts of similar length share a batch and are padded on the right, which by the causal mask no real token ever sees.
    """
    order = sorted(range(len(encodings)), key=lambda i: len(encodings[i]))
    kept: list[list[Tensor]] = [[] for _ in range(clf.n_layer + 1)]
    for start in range(0, len(order), batch_size):
        batch = [encodings[i].input_ids for i in order[start : start + batch_size]]
        last = torch.tensor([len(ids) - 1 for ids in batch])
        ids = nn.utils.rnn.pad_sequence(batch, batch_first=True).to(clf.model.device)
        real = (torch.arange(ids.shape[1]) <= last[:, None]).to(ids.device)
        hooks = [_keep_last(layer, last) for layer in kept]
        with torch.inference_mode(), forward_hooks(*zip((clf.body.drop, *clf.body.h), hooks, strict=True)):
            clf.body(input_ids=ids, attention_mask=real, use_cache=False)
    place = torch.tensor(order).argsort()
    # Cloned outside inference mode, so that the tensor may be used in any computation.
    return torch.stack([torch.cat(layer)[place] for layer in kept]).clone()


def _encode(clf: Classifier, sentences: Sequence[str]) -> list[Encoding]:
    encodings: list[Encoding] = []
    for place, sentence in enumerate(sentences):
        try:
            encodings.append(clf.encode(sentence))
        except TextError as error:
            raise TextError(f"sentences[{place}]: {error}") from error
    return encodings


def _keep_last(kept: list[Tensor], last: Tensor) -> Callable[[nn.Module, object, Tensor | tuple], None]:
    """A hook that keeps a block's output [batch pos d_model] at each text's last token."""

    # A forward hook that returns a value replaces the output, so this returns None.
    def keep(_module: nn.Module, _inputs: object, output: Tensor | tuple) -> None:
        stream = output[0] if isinstance(output, tuple) else output
        kept.append(stream[torch.arange(len(last)), last].float().cpu())

    return keep


def _plane(clf: Classifier, vectors: Tensor, target: int, other: int) -> tuple[Tensor, Tensor, Tensor]:
    """The projection: axes [2 d_model] on normalised vectors, offset [2], and the variance it shows [layer+1]."""
    scale, shift = (p.detach().double().cpu() for p in (clf.body.ln_f.weight, clf.body.ln_f.bias))
    head = (clf.score[target] - clf.score[other]).double().cpu()
    read = normalised(clf, vectors).double() * scale + shift  # (layer+1, sentence, d_model), after ln_f
    unit = head / head.norm()
    mean = read[-1].mean(0)
    unread = (read[-1] - mean) - ((read[-1] - mean) @ unit)[:, None] * unit
    second = torch.linalg.svd(unread, full_matrices=False).Vh[0]
    second = second * second[second.abs().argmax()].sign()  # an SVD's sign is arbitrary
    axes, offset = torch.stack([head, second]), torch.stack([torch.zeros_like(mean), -mean])
    offset = ((offset + shift) * axes).sum(-1)
    centred = read - read.mean(1, keepdim=True)
    shown = (centred @ torch.stack([unit, second]).T).square().sum((1, 2))
    whole = centred.square().sum((1, 2)).clamp(min=1e-12)
    return (axes * scale).float(), offset.float(), (shown / whole).float()
