"""The same text through classifiers that differ in what was trained.

Does it matter which weights learned? A head on a frozen body reads what next-token prediction happened to put at the last token; a
body that was trained along has been taught to put the verdict there. Side by side, on one text, that is to be seen in two ways: in
the verdicts and their margins, and in the layer at which the verdict comes about, read with each classifier's own head as in
`class_lens`.

One text illustrates. How often each of them is right is measured over thousands, by `python -m gpt2cls_core.training regimes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from .classifier import Classifier
from .errors import OptionError
from .lens import class_lens
from .trace import trace

__all__ = ["RegimeReading", "read_regimes"]


@dataclass(frozen=True, eq=False)
class RegimeReading:
    """What one classifier makes of a text.

    Attributes:
        name: of the classifier.
        regime: which of its weights were trained, by its card; "" where that is not known.
        labels: one name per class.
        target: the class that margins speak for; the same in all readings of one text.
        margin: logit of `target` minus the best other's.
        probabilities: [class]
        layer_margins: what the classifier's own ``ln_f`` and head make of the residual stream at the last token [layer+1];
            0 = embeddings, and the last is `margin`.
    """

    name: str
    regime: str
    labels: tuple[str, ...]
    target: int
    margin: float
    probabilities: Tensor
    layer_margins: Tensor

    @property
    def label(self) -> str:
        """The predicted label."""
        return self.labels[int(self.probabilities.argmax())]


def read_regimes(classifiers: Sequence[Classifier], text: str) -> tuple[RegimeReading, ...]:
    """Run each classifier once on a text, in the order given.

    The target is class 1 of two; of more classes it is the one that the first classifier predicts.

    Raises:
        TextError: the text can't be read.
        OptionError: there is no classifier, or they name their classes differently.

    Caveat: margins are in each classifier's own logits. Signs and probabilities compare; sizes of margins do so only within one
    classifier. Below the last layer, the head reads what it was not trained to read.
    """
    if not classifiers:
        raise OptionError("There is no classifier to read the text; give at least one.")
    labels = classifiers[0].labels
    for clf in classifiers:
        if clf.labels != labels:
            raise OptionError(
                f"{clf.name} tells {', '.join(clf.labels)} apart and {classifiers[0].name} {', '.join(labels)}; "
                "only classifiers with the same labels in the same order can stand side by side."
            )
    readings: list[RegimeReading] = []
    for clf in classifiers:
        read = trace(clf, text)
        lens = class_lens(clf, read, target=readings[0].target if readings else None)
        margin = float(read.logits[lens.target] - read.logits[lens.other])
        regime = str(clf.card.get("regime", ""))
        readings.append(
            RegimeReading(clf.name, regime, labels, lens.target, margin, read.probabilities, lens.margins[:, -1])
        )
    return tuple(readings)
