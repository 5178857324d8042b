"""What the head says: label, a bar from negative to positive, margin and probability."""

from __future__ import annotations

from typing import Any

from .base import ScriptedHTML


class Verdict(ScriptedHTML):
    """Shows ``{"label", "sign", "place", "facts", "count", "notice", "stale", "sides"}``; ``place`` from 0 to 1 puts the mark on
    the bar, ``sides`` are the words for the classes in the lessons.
    """

    def __init__(self, **props: Any) -> None:  # noqa: ANN401
        template = (
            '<div class="verdict" role="status" aria-live="polite"><div class="small">the head says</div>'
            '<div class="verdict-label"></div><div class="verdict-bar" aria-hidden="true"><i></i></div>'
            '<div class="small verdict-facts"></div>'
            '<div class="small verdict-count"></div><div class="verdict-notice" role="alert"></div></div>'
        )
        super().__init__("verdict", template=template, **props)
