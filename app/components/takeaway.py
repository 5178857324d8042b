"""Sentences with computed numbers: plain and strong runs of text, never markup."""

from __future__ import annotations

from typing import Any

from .base import ScriptedHTML


class Takeaway(ScriptedHTML):
    """Shows ``[[text, strong], …]``, as `app.lesson.fill` makes them."""

    def __init__(self, **props: Any) -> None:  # noqa: ANN401
        super().__init__("takeaway", template='<div class="takeaway" aria-live="polite"></div>', **props)
