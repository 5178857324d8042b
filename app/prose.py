"""The lessons' markup as data: paragraphs and lists made of runs, which the page turns into text nodes.

Only what the lessons need: blank lines between paragraphs, ``- `` before the items of a list, ``**strong**``, ``*stressed*``,
```` `code` ````, ``{negative}`` and ``{positive}`` for the two classes, and ``[[term]]`` or ``[[words shown|term]]`` for what the
glossary explains. Nothing is ever read as HTML, so a foreign model's labels cannot become markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .glossary import term_id

Run = tuple[str, ...]  # (text, kind), or (text, "term", id of its explanation)
Block = tuple[str, list]  # ("p", runs) or ("ul", [runs of an item, …])
_MARKS = re.compile(
    r"\*\*(?P<strong>.+?)\*\*|\*(?P<em>.+?)\*|`(?P<code>.+?)`"
    r"|\{(?P<side>negative|positive)\}|\[\[(?P<shown>[^|\]]+)(?:\|(?P<term>[^|\]]+))?\]\]"
)


@dataclass(frozen=True)
class Question:
    """What a lesson asks before the reveal."""

    text: str
    choices: tuple[str, ...]


def blocks(markup: str, sides: Mapping[str, str]) -> list[Block]:
    """Paragraphs and lists.

    Args:
        sides: the names of "negative" and "positive".
    """
    made: list[Block] = []
    for part in re.split(r"\n\s*\n", markup.strip()):
        lines = part.strip().splitlines()
        if lines and all(line.startswith("- ") for line in lines):
            made.append(("ul", [runs(line[2:], sides) for line in lines]))
        elif lines:
            made.append(("p", runs(" ".join(lines), sides)))
    return made


def runs(markup: str, sides: Mapping[str, str]) -> list[Run]:
    """One paragraph's runs; the kind of a plain one is empty."""
    made: list[Run] = []
    end = 0
    for mark in _MARKS.finditer(markup):
        if mark.start() > end:
            made.append((markup[end : mark.start()], ""))
        end = mark.end()
        kind, text = next((kind, text) for kind, text in mark.groupdict().items() if text)
        if kind == "side":
            made.append((sides[text], text))
        elif kind == "shown":
            made.append((text, "term", term_id(mark["term"] or text)))
        else:
            made.append((text, kind))
    return [*made, (markup[end:], "")] if end < len(markup) else made


def terms(markup: str) -> list[str]:
    """The glossary's terms that are marked in a lesson's words, in order."""
    return [mark["term"] or mark["shown"] for mark in _MARKS.finditer(markup) if mark["shown"]]


def question(section: str) -> Question:
    """A ``## Question`` section: its words, and the choices in its list."""
    words, *items = re.split(r"^- ", section, flags=re.MULTILINE)
    return Question(words.strip(), tuple(" ".join(item.split()) for item in items))


def sides(labels: tuple[str, ...]) -> dict[str, str]:
    """The words for the two sides of the margin in lessons and takeaways."""
    if len(labels) == 2:
        return {"negative": labels[0], "positive": labels[1]}
    return {"negative": "the strongest other class", "positive": "the predicted class"}
