"""What a link says: text, model, chapter and the chapter's options, so that a link reproduces the view.

The query is written by anybody, so everything is checked against what exists and clipped; whatever is off falls back to its
default, silently, because a stale link should still open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

MOST_CHARACTERS = 4000  # of a text in a link
MOST_OF_AN_OPTION = 1000  # characters: all cut tokens of a long text, or a second text


@dataclass(frozen=True)
class UrlState:
    """The checked parts of a link; `options` holds raw strings by name."""

    text: str
    model: str
    chapter: str
    options: dict[str, str]


def read_query(
    query: Mapping[str, str], *, text: str, models: Collection[str], chapters: Collection[str], options: Collection[str]
) -> UrlState:
    """Read a query.

    Args:
        text: the default text.
        models, chapters: those that exist, the default first.
        options: names that options may have.
    """
    given = query.get("text", "")[:MOST_CHARACTERS]
    model, chapter = query.get("model"), query.get("chapter")
    return UrlState(
        text=given if given.strip() else text,
        model=model if model in models else next(iter(models)),
        chapter=chapter if chapter in chapters else next(iter(chapters)),
        options={name: query[name][:MOST_OF_AN_OPTION] for name in options if name in query},
    )


def parse_option(
    raw: str, default: object, choices: Collection[object] = (), bounds: tuple[float, float] | None = None
) -> object:
    """An option's value from its string in a link, of the default's type; the default where it does not fit."""
    value: object = raw
    try:
        if isinstance(default, bool):
            value = {"true": True, "false": False}[raw.lower()]
        elif isinstance(default, (int, float)):
            value = type(default)(raw)
    except (KeyError, ValueError):
        return default
    fits = (not choices or value in choices) and (bounds is None or bounds[0] <= value <= bounds[1])
    return value if fits else default
