"""Sentences with computed numbers: plain and strong runs of text, never markup; covered until the reader has answered."""

from __future__ import annotations

from typing import Any

from .base import ScriptedHTML


class Takeaway(ScriptedHTML):
    """Shows ``[[text, strong], …]``, as `app.lesson.fill` makes them; code on a line of its own.

    While the chapter's `Quiz` is open, a cover stands here instead, and screen readers find the cover alone too.
    """

    def __init__(self, **props: Any) -> None:  # noqa: ANN401
        template = (
            '<div class="cover">What your text gives is covered until you have answered the question. '
            '<button type="button" data-reveal>Just show me</button></div><div class="takeaway" aria-live="polite"></div>'
        )
        super().__init__("takeaway", template=template, **props)
