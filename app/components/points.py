"""Sentences in order, each with what was measured and a link to the chapter that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..lesson import Run
from .base import ScriptedHTML


@dataclass(frozen=True)
class Point:
    """One sentence.

    Attributes:
        claim: what is said, in words that hold for any text.
        evidence: what was measured, as `app.lesson.fill` makes it.
        opens: stem of the chapter that shows it.
        link: the words of the button that leads there.
    """

    claim: str
    evidence: Sequence[Run]
    opens: str
    link: str


class Points(ScriptedHTML):
    """Shows a list of `Point`; covered, as the takeaway is, until the chapter's question is answered."""

    def __init__(self, **props: Any) -> None:  # noqa: ANN401
        super().__init__("points", template='<ol class="sentences"></ol>', **props)

    def postprocess(self, value: Sequence[Point] | None) -> list[dict[str, Any]]:
        return [
            {"claim": point.claim, "evidence": list(point.evidence), "opens": point.opens, "link": point.link}
            for point in value or ()
        ]
