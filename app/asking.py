"""A question to the page (which text, which model, which chapter, with which options) and the pictures that answer it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from gpt2cls_core import Trace

from . import models
from .chapters import CHAPTERS, stem
from .chapters.frame import Explained
from .header import verdict_value

__all__ = ["Picture", "Question", "delayed_value", "pictures"]

WORDS = {
    "waiting": "Many readers are asking at once: {before} explanations come before yours. Your text is kept.",
    "waiting one": "Many readers are asking at once: one explanation comes before yours. Your text is kept.",
    "busy": "Too many readers are asking at once, and this chapter was not worked out for your text. The text is kept: wait a "
    "moment, then open another chapter or change a letter.",
}
"""What stands below the verdict while others come first."""


class Question(NamedTuple):
    """Equal questions have equal answers.

    Attributes:
        options: of the chapter alone, as JSON.
    """

    model: str
    text: str
    chapter: str
    options: str = "{}"

    @staticmethod
    def of(model: str, text: str, chapter: str, options: Mapping[str, Any]) -> Question:
        return Question(model, text, chapter, json.dumps(options))


@dataclass(frozen=True, eq=False)
class Picture:
    """What a chapter says, ready to be sent and small to keep: the figure is JSON already.

    Attributes:
        rest: all but the figure.
    """

    figure: str
    rest: Explained

    @property
    def explained(self) -> Explained:
        return replace(self.rest, figure=json.loads(self.figure))

    @property
    def size(self) -> int:
        """Bytes, nearly: of the points and the table none, which are short."""
        return len(self.figure) + len(json.dumps([self.rest.strip, self.rest.takeaway]))


def pictures(question: Question) -> Iterator[Picture]:
    """The answer, better and better.

    Raises:
        Gpt2clsError: text or model can't be read.
    """
    explain = next(chapter.explain for chapter in CHAPTERS if stem(chapter) == question.chapter)
    clf, read = models.classifier(question.model), models.read(question.model, question.text)
    for explained in explain(clf, read, **json.loads(question.options)):
        yield Picture(_as_json(explained.figure), replace(explained, figure=None))


def _as_json(figure: Any) -> str:  # noqa: ANN401
    """A chapter gives a Plotly figure, or what its JSON says."""
    return figure.to_json() if hasattr(figure, "to_json") else json.dumps(figure)


def delayed_value(read: Trace, why: str, before: int = 0) -> dict[str, Any]:
    """The verdict, and why what stands below it is still of another text or chapter.

    Args:
        why: "waiting" or "busy".
        before: with "waiting", how many explanations come first.
    """
    words = WORDS["waiting one" if before == 1 else why].format(before=before)
    return verdict_value(read) | {"notice": words, "stale": True}
