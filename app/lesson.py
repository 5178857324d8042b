"""The chapters' words, read from ``lessons/<stem>.md``.

Each file has a title line (``# …``) and sections: ``## Question``, ``## Lesson``, ``## Not shown`` and one or more ``## Takeaway``
(with a name, where there are several). Takeaways are templates: ``{name}`` takes a computed number or a token, ``**…**`` makes
a run strong, a pair of backticks code. Filling gives runs of plain text, so that nothing that a person typed can become markup.

``## Words`` is a list ``- name: template`` of short plain texts: captions, units, what a screen reader says of a figure.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

LESSONS = Path(__file__).parent / "lessons"
Run = tuple[str, bool | Literal["code"]]


@lru_cache(maxsize=32)
def read_lesson(stem: str) -> dict[str, str]:
    """The sections of one lesson by their lower-case names, and its "title"."""
    return read_sections(LESSONS / f"{stem}.md")


def read_sections(file: Path) -> dict[str, str]:
    """The sections of a file by their lower-case names, and its "title"."""
    title, *sections = re.split(r"^## ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = {"title": title.strip().removeprefix("# ").strip()}
    for section in sections:
        name, _, body = section.partition("\n")
        named[name.strip().lower()] = body.strip()
    return named


def fill(stem: str, *names: str, **values: object) -> list[Run]:
    """The named takeaway sections, one after the other, with the values put in.

    Returns:
        (text, whether it is strong) runs; "code" in place of that for code.
    """
    runs: list[Run] = []
    for name in names:
        template = " ".join(read_lesson(stem)[name].split())
        for index, part in enumerate(template.split("**")):
            for place, piece in enumerate(part.split("`")):
                if piece:
                    runs.append((piece.format(**values), "code" if place % 2 else index % 2 == 1))
        runs.append((" ", False))
    return runs[:-1]


@lru_cache(maxsize=32)
def read_words(stem: str) -> dict[str, str]:
    """The entries of a lesson's ``## Words`` by name."""
    return entries(read_lesson(stem)["words"])


def entries(section: str) -> dict[str, str]:
    """The lines ``- name: template`` of a section, by name."""
    parted = (line.removeprefix("- ").partition(": ") for line in section.splitlines())
    return {name: template for name, _, template in parted}


def word(stem: str, name: str, **values: object) -> str:
    """One entry of a lesson's ``## Words``, with the values put in."""
    return read_words(stem)[name].format(**values)


def quoted(token: str, most: int = 24) -> str:
    """A token in quotation marks as running text shows it."""
    word = token.strip() or "(blank)"
    return f"“{word if len(word) <= most else word[: most - 1] + '…'}”"
