"""The answer, gathered: how can one last vector hold what a whole text says?

Each method here shows one side of it. `answer` runs those whose numbers make up the argument, on one text:

1. the head reads one vector (`head_products`);
2. at layer 0 this vector is a word's, at the top it is not (`Answer.cosine`);
3. attention brings the earlier tokens to it: with all of them cut off, only the last token is left (`cut_attention`);
4. every position can read what came before it, and only the last one all (`class_lens`);
5. it arrives by many roads: part is written directly (`margin_ledger`), part comes by way of other positions (`cut_each`
   by both routes).

The evidence may be weak, or speak against a sentence, on a given text: the result says so (`Answer.rests_on_the_others`,
`Answer.surest`, `Answer.by_detours`), and nothing is left out of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .classifier import Classifier
from .effect import InterventionEffect
from .interventions import cut_attention, cut_each
from .ledger import Ledger, margin_ledger
from .lens import LensGrid, class_lens
from .predict import HeadProducts, head_products
from .trace import Trace

__all__ = ["Answer", "answer"]

HALF = 0.5  # of an effect, from which on it is called most of it


@dataclass(frozen=True, eq=False)
class Answer:
    """What one text says for and against the answer; margins in logits, positive for `target` against `other`.

    Attributes:
        products: what the head multiplies and adds up.
        lens: the head's margin in every cell; the top row is the verdict on every prefix.
        cosine: of the last vector at the top with what it was at layer 0, both before ``ln_f``.
        alone: the verdict when no earlier token can be read, nor a soft prompt, so that the last word is left alone; None for one
            token.
        brought: what each token brings [pos]: margin minus the margin when no later position may read the token; NaN where
            not known.
        brought_directly: the same when the last position alone may not read it.
        ledger: who wrote the margin into the last vector.
        first: position of the text's first token: 0, or what comes after a soft prompt.
    """

    products: HeadProducts
    lens: LensGrid
    cosine: float
    alone: InterventionEffect | None
    brought: Tensor
    brought_directly: Tensor
    ledger: Ledger
    first: int = 0

    @property
    def tokens(self) -> tuple[str, ...]:
        return self.lens.tokens

    @property
    def margin(self) -> float:
        return self.products.margin

    @property
    def label(self) -> str:
        """The verdict, of the two classes that the margin compares."""
        return self.lens.labels[self.lens.target if self.margin > 0 else self.lens.other]

    @property
    def rests_on_the_others(self) -> bool:
        """Whether cutting all earlier tokens moves the margin by half of its size or more."""
        return self.alone is not None and abs(self.alone.change) >= HALF * abs(self.margin)

    @property
    def flips(self) -> tuple[int, ...]:
        """Positions at which the verdict changes sides while the text is read, as in `LensGrid.flips`."""
        return self.lens.flips

    @property
    def surest(self) -> int:
        """The position at which the head, reading the text up to there, speaks most for the final verdict; the last of equals."""
        side = 1.0 if self.margin > 0 else -1.0
        row = side * self.lens.margins[-1, self.first :]
        return len(self.tokens) - 1 - int(row.flip(0).argmax())

    @property
    def strongest(self) -> int | None:
        """The text's token before the last that brings most, by size; None for one token."""
        earlier = self.brought[self.first : -1].nan_to_num().abs()
        return self.first + int(earlier.argmax()) if len(earlier) else None

    @property
    def by_detours(self) -> bool:
        """Whether the strongest token brings less than half directly: later positions read it and passed it on."""
        i = self.strongest
        return i is not None and abs(float(self.brought_directly[i])) < HALF * abs(float(self.brought[i]))


def answer(clf: Classifier, trace: Trace, *, target: int | str | None = None, cut: Tensor | None = None) -> Answer:
    """Gather the evidence on one text.

    Args:
        target: class index or label; None takes class 1 of two, or the predicted class of more.
        cut: margins after cutting each token alone [pos], if `cut_each` has given them already; NaN where not known.

    Raises:
        OptionError: there is no such class.

    Caveat: one text is an example. What it brings is measured one token at a time; where two tokens say the same, each may
    seem to bring nothing.
    """
    start, end = trace.resid[0, -1].double(), trace.resid[-1, -1].double()
    products = head_products(clf, trace, target=target)
    earlier = range(trace.last_token_index)
    return Answer(
        products=products,
        lens=class_lens(clf, trace, target=target),
        cosine=float(torch.cosine_similarity(start, end, dim=0)),
        alone=cut_attention(clf, trace, earlier, target=target) if earlier else None,
        brought=products.margin - (cut_each(clf, trace, target=target) if cut is None else cut),
        brought_directly=products.margin - cut_each(clf, trace, route="direct", target=target),
        ledger=margin_ledger(clf, trace, target=target),
        first=trace.encoding.n_virtual,
    )
