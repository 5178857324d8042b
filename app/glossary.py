"""What the lessons' terms mean, read from ``glossary.md``: one line ``- **term** explanation`` for each.

A lesson marks a term as ``[[term]]``, or ``[[words shown|term]]``. The page shows the explanation when the reader points at it,
tabs to it or taps on it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

GLOSSARY = Path(__file__).with_name("glossary.md")
_ENTRY = re.compile(r"- \*\*(.+?)\*\* (.+)")


@lru_cache(maxsize=1)
def read_glossary() -> dict[str, str]:
    """Explanations by term, in the file's order.

    Raises:
        ValueError: a line is no entry, or a term has two.
    """
    entries: dict[str, str] = {}
    for line in filter(None, GLOSSARY.read_text(encoding="utf-8").splitlines()):
        entry = _ENTRY.fullmatch(line)
        if entry is None or entry[1] in entries:
            raise ValueError(f"{GLOSSARY.name}: write “- **term** explanation”, each term once, not {line!r}.")
        entries[entry[1]] = entry[2]
    return entries


def term_id(term: str) -> str:
    """The id on the page of a term's explanation."""
    return "term-" + re.sub(r"\W+", "-", term.lower())
