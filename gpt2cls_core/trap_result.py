"""What a trap gives: one text, read rightly, read by a mistake, and read with the remedy; see `traps` and `input_traps`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from .classifier import Classifier
from .feeding import Run
from .lens import head_logits
from .trace import Trace

__all__ = ["PAD", "Kind", "Trap", "as_trap"]

PAD = "[pad]"
Kind = Literal["text", "pad", "filler"]


@dataclass(frozen=True, eq=False)
class Trap:
    """One mistake on one text, and its remedy.

    Attributes:
        name: the mistake in a few words.
        fed: what the mistaken run was fed, in words.
        tokens: what it was fed, as shown; a pad is shown as `PAD`.
        kinds: for each token, whether it is the text's, a pad, or neutral filler.
        margins: what the head makes of every cell of that run [layer+1 pos].
        read: the position that the mistake reads.
        should_read: the position of the last token in the same run. Equal to `read` where the place is right and its
            vector wrong; None where the text's last token is not in the run.
        logits_right, logits_wrong, logits_remedied: [class]. The first is the honest reading; the last is computed in
            the remedy's own way, and equals it up to rounding.
        target, other: the class explained and its strongest rival on the text as it stands; the same in all traps.
        mistake, remedy: one line of code each.
    """

    name: str
    fed: str
    labels: tuple[str, ...]
    tokens: tuple[str, ...]
    kinds: tuple[Kind, ...]
    margins: Tensor
    read: int
    should_read: int | None
    logits_right: Tensor
    logits_wrong: Tensor
    logits_remedied: Tensor
    target: int
    other: int
    mistake: str
    remedy: str

    @property
    def margin_right(self) -> float:
        """The honest margin, in logits; positive speaks for `target` against `other`."""
        return self._margin(self.logits_right)

    @property
    def margin_wrong(self) -> float:
        """What the mistake makes of it."""
        return self._margin(self.logits_wrong)

    @property
    def margin_remedied(self) -> float:
        """What the remedy gives: `margin_right`, up to rounding."""
        return self._margin(self.logits_remedied)

    @property
    def change(self) -> float:
        """How far the mistake moves the margin: wrong − right."""
        return self.margin_wrong - self.margin_right

    @property
    def label_right(self) -> str:
        """The label of the honest reading."""
        return self.labels[int(self.logits_right.argmax())]

    @property
    def label_wrong(self) -> str:
        """The label that the mistake gives."""
        return self.labels[int(self.logits_wrong.argmax())]

    @property
    def flips(self) -> bool:
        """Whether the mistake changes the label."""
        return self.label_wrong != self.label_right

    def _margin(self, logits: Tensor) -> float:
        return float(logits[self.target] - logits[self.other])


def as_trap(
    clf: Classifier,
    trace: Trace,
    run: Run,
    *,
    target: int | str | None,
    right: Tensor,
    wrong: Tensor,
    remedied: Tensor,
    **described: object,
) -> Trap:
    """A `Trap` from the mistaken run and the three readings; `described` holds its remaining fields.

    Raises:
        OptionError: there is no such class.
    """
    chosen, other = clf.target(target, trace.logits)
    cells = head_logits(clf, run.resid)
    return Trap(
        labels=trace.labels,
        margins=cells[..., chosen] - cells[..., other],
        logits_right=right,
        logits_wrong=wrong,
        logits_remedied=remedied,
        target=chosen,
        other=other,
        **described,
    )
