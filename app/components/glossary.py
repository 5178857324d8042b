"""Explanations of terms, shown beside the term that the reader points at, tabs to or taps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..glossary import term_id
from .base import ScriptedHTML


class Glossary(ScriptedHTML):
    """One for the page: holds the explanations for screen readers, and shows one at a time to those who see.

    Args:
        entries: explanations by term.
    """

    def __init__(self, entries: Mapping[str, str], **props: Any) -> None:  # noqa: ANN401
        super().__init__(
            "glossary",
            template='<div class="explanations" hidden></div><div class="explanation" role="tooltip" hidden></div>',
            entries=[[term_id(term), term, explanation] for term, explanation in entries.items()],
            **props,
        )
