"""What chapters say of a text in each of their views, once all is computed: for what is written to files."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from gpt2cls_core import Classifier, OptionError, Trace

from .chapters import CHAPTERS, stem
from .chapters.frame import Explained

__all__ = ["asked_chapters", "last_word", "view_values"]


def asked_chapters(names: Sequence[str] = ()) -> dict[str, ModuleType]:
    """The chapters of these stems, in reading order; no names stand for all.

    Raises:
        OptionError: there is no such chapter.
    """
    known = {stem(chapter): chapter for chapter in CHAPTERS}
    if unknown := sorted(set(names) - set(known)):
        raise OptionError(f"There is no chapter {', '.join(unknown)}; the chapters are {', '.join(known)}.")
    return {name: chapter for name, chapter in known.items() if name in (names or known)}


def view_values(chapter: ModuleType) -> list[str | None]:
    """The values of a chapter's option "view"; None alone where it has none."""
    return [value for _, value in getattr(chapter, "VIEWS", [("", None)])]


def last_word(chapter: ModuleType, clf: Classifier, read: Trace, view: str | None) -> Explained:
    """What it says at last, by its other options' defaults."""
    *_, last = chapter.explain(clf, read, **({"view": view} if view else {}))
    return last
