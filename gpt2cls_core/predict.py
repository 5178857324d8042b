"""The verdict, and the one dot product that makes it.

The head has one row of weights per class and no bias, so a logit is a dot product with the last vector, and the difference of two
logits (the *margin*) is a dot product too: with the difference of two rows. `head_products` lists its d_model summands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .classifier import Classifier, Encoding
from .errors import OptionError, TextError
from .trace import Trace

__all__ = ["HeadProducts", "Prediction", "head_products", "predict", "predict_batch"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """A verdict.

    Attributes:
        logits: [class]
        target: the class that `margin` speaks for: class 1 of two, the predicted class of more.
        tokens_cut: tokens dropped from the start because the text is longer than the model's context.
    """

    text: str
    labels: tuple[str, ...]
    logits: Tensor
    target: int
    n_tokens: int
    tokens_cut: int

    @property
    def label(self) -> str:
        """The predicted label."""
        return self.labels[int(self.logits.argmax())]

    @property
    def probabilities(self) -> Tensor:
        """Softmax of the logits [class]."""
        return self.logits.softmax(-1)

    @property
    def margin(self) -> float:
        """Logit of `target` minus the best other; with two classes its sign is the verdict."""
        others = torch.cat([self.logits[: self.target], self.logits[self.target + 1 :]])
        return float(self.logits[self.target] - others.max())

    def __repr__(self) -> str:
        shown = ", ".join(f"{label} {p:.3f}" for label, p in zip(self.labels, self.probabilities.tolist(), strict=True))
        cut = f", first {self.tokens_cut} tokens cut" if self.tokens_cut else ""
        return f"Prediction({self.label!r}, margin {self.margin:+.3f}, {shown}{cut})"


@dataclass(frozen=True, eq=False)
class HeadProducts:
    """The margin as a dot product, summand by summand.

    Attributes:
        vector: the last token's vector after ``ln_f`` [d_model].
        weights: the head's row for `target` minus its row for `other` [d_model].
        products: vector * weights [d_model], in logits; they sum to `margin`.
        target, other: the class explained and its strongest rival.
        margin: logit of target minus logit of other, as the model gave it.
    """

    labels: tuple[str, ...]
    vector: Tensor
    weights: Tensor
    products: Tensor
    target: int
    other: int
    margin: float

    @property
    def order(self) -> Tensor:
        """Dimensions from the largest product (by size, not sign) to the smallest [d_model]."""
        return self.products.abs().argsort(descending=True)

    @property
    def residual(self) -> float:
        """Margin minus the sum of the products: rounding error, about 1e-6."""
        return self.margin - float(self.products.sum())


def predict(clf: Classifier, text: str) -> Prediction:
    """The classifier's verdict on one text.

    Raises:
        TextError: the text can't be read.
    """
    return _predict_encoded(clf, [clf.encode(text)], 1)[0]


def predict_batch(clf: Classifier, texts: Sequence[str], *, batch_size: int = 32) -> list[Prediction]:
    """Verdicts on many texts, in their order.

    Texts of similar length share a batch, padded on the right; the last real token's position is passed explicitly, so padding
    is never read and, by the causal mask, never seen.

    Raises:
        TextError: a text can't be read; the message gives its place in `texts`.
        OptionError: `batch_size` is below 1.
    """
    if batch_size < 1:
        raise OptionError(f"batch_size must be 1 or more, not {batch_size}.")
    encodings: list[Encoding] = []
    for place, text in enumerate(texts):
        try:
            encodings.append(clf.encode(text))
        except TextError as error:
            raise TextError(f"texts[{place}]: {error}") from error
    return _predict_encoded(clf, encodings, batch_size)


def _predict_encoded(clf: Classifier, encodings: Sequence[Encoding], batch_size: int) -> list[Prediction]:
    """Verdicts in the order of `encodings`."""
    order = sorted(range(len(encodings)), key=lambda i: len(encodings[i]))
    predictions: dict[int, Prediction] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        logits = _logits(clf, [encodings[i] for i in rows])
        for i, row in zip(rows, logits, strict=True):
            target, _ = clf.target(None, row)
            encoding = encodings[i]
            predictions[i] = Prediction(encoding.text, clf.labels, row, target, len(encoding), encoding.tokens_cut)
    return [predictions[i] for i in range(len(encodings))]


def _logits(clf: Classifier, encodings: Sequence[Encoding]) -> Tensor:
    """Logits [text class] of encoded texts, each read at its own last token."""
    last = torch.tensor([len(encoding) - 1 for encoding in encodings])
    ids = torch.nn.utils.rnn.pad_sequence([encoding.input_ids for encoding in encodings], batch_first=True)
    real = torch.arange(ids.shape[1]) <= last[:, None]
    with torch.inference_mode():
        device = clf.model.device
        hidden = clf.body(input_ids=ids.to(device), attention_mask=real.to(device), use_cache=False).last_hidden_state
        logits = clf.model.score(hidden[torch.arange(len(last)), last.to(device)])
    return logits.float().cpu().clone()


def head_products(clf: Classifier, trace: Trace, *, target: int | str | None = None) -> HeadProducts:
    """Split the margin into the d_model products that the head adds up.

    margin = Σ_d ln_f(resid[-1, last])_d · (W[target] − W[other])_d

    Raises:
        OptionError: there is no such class.
    """
    chosen, other = clf.target(target, trace.logits)
    with torch.no_grad():
        vector = clf.body.ln_f(trace.resid[-1, -1].to(clf.model.device)).float().cpu()
    weights = (clf.score[chosen] - clf.score[other]).float().cpu()
    margin = float(trace.logits[chosen] - trace.logits[other])
    return HeadProducts(clf.labels, vector, weights, vector * weights, chosen, other, margin)
