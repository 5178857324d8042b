"""A verdict before and after something was done to the model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from .classifier import Classifier
from .edits import Edit, edited
from .trace import Trace
from .trace import trace as read

__all__ = ["InterventionEffect", "effect_of", "trace_with"]


@dataclass(frozen=True, eq=False)
class InterventionEffect:
    """A verdict before and after one intervention.

    Attributes:
        name: what was done, for a reader, who counts layers and heads from 1.
        logits_clean, logits_after: [class]
        target, other: the class explained and its strongest rival before; the same two after.
        resid: the residual stream after the intervention [layer+1 pos d_model], before ``ln_f``, as in `Trace`.
    """

    name: str
    tokens: tuple[str, ...]
    labels: tuple[str, ...]
    target: int
    other: int
    logits_clean: Tensor
    logits_after: Tensor
    resid: Tensor

    @property
    def margin_clean(self) -> float:
        """Logit of `target` minus logit of `other`, of the model as it is."""
        return float(self.logits_clean[self.target] - self.logits_clean[self.other])

    @property
    def margin_after(self) -> float:
        """The same two logits after the intervention."""
        return float(self.logits_after[self.target] - self.logits_after[self.other])

    @property
    def change(self) -> float:
        """margin_after − margin_clean: negative where what was taken away spoke for `target`."""
        return self.margin_after - self.margin_clean

    @property
    def label_clean(self) -> str:
        return self.labels[int(self.logits_clean.argmax())]

    @property
    def label_after(self) -> str:
        return self.labels[int(self.logits_after.argmax())]

    @property
    def flipped(self) -> bool:
        """Whether the verdict is another one."""
        return self.label_clean != self.label_after

    def __repr__(self) -> str:
        verdict = f"{self.label_clean} → {self.label_after}" if self.flipped else f"still {self.label_after}"
        return (
            f"InterventionEffect({self.name!r}, margin {self.margin_clean:+.3f} → {self.margin_after:+.3f}, {verdict})"
        )


def effect_of(
    clf: Classifier, trace: Trace, name: str, edits: Iterable[Edit], target: int | str | None
) -> InterventionEffect:
    """What becomes of a trace's verdict when the whole model runs again with the edits in force.

    Raises:
        OptionError: there is no such class.
    """
    chosen, other = clf.target(target, trace.logits)
    after = trace_with(clf, trace, edits)
    return InterventionEffect(name, trace.tokens, trace.labels, chosen, other, trace.logits, after.logits, after.resid)


def trace_with(clf: Classifier, trace: Trace, edits: Iterable[Edit]) -> Trace:
    """The trace of the same text, with the edits in force while the model runs."""
    with edited(edits):
        return read(clf, trace.encoding)
