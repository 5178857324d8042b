"""The chapters' words, read from ``lessons/<stem>.md``.

Each file has a title line (``# …``) and sections: ``## Question``, ``## Lesson``, ``## Not shown`` and one or more ``## Takeaway``
(with a name, where there are several). Takeaways are templates: ``{name}`` takes a computed number or a token, ``**…**`` makes
a run strong. Filling gives runs of plain text, so that nothing that a person typed can become markup.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

LESSONS = Path(__file__).parent / "lessons"
Run = tuple[str, bool]


@lru_cache(maxsize=32)
def read_lesson(stem: str) -> dict[str, str]:
    """The sections of one lesson by their lower-case names, and its "title"."""
    title, *sections = re.split(r"^## ", (LESSONS / f"{stem}.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = {"title": title.strip().removeprefix("# ").strip()}
    for section in sections:
        name, _, body = section.partition("\n")
        named[name.strip().lower()] = body.strip()
    return named


def fill(stem: str, *names: str, **values: object) -> list[Run]:
    """The named takeaway sections, one after the other, with the values put in.

    Returns:
        (text, strong) runs.
    """
    runs: list[Run] = []
    for name in names:
        template = " ".join(read_lesson(stem)[name].split())
        for index, part in enumerate(template.split("**")):
            if part:
                runs.append((part.format(**values), index % 2 == 1))
        runs.append((" ", False))
    return runs[:-1]


def quoted(token: str, most: int = 24) -> str:
    """A token in quotation marks as running text shows it."""
    word = token.strip() or "(blank)"
    return f"“{word if len(word) <= most else word[: most - 1] + '…'}”"
