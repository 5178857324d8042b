"""A lesson's words, and at its end the way on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..prose import Block
from .base import ScriptedHTML


class Prose(ScriptedHTML):
    """Shows blocks, as `app.prose.blocks` makes them.

    Args:
        on: stem of the chapter that a button at the end opens, and the words on the button.
        lands: where the button puts the focus: "title" of that chapter, or "text" for the reader's text.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        *,
        on: tuple[str, str] | None = None,
        lands: str = "title",
        **props: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(
            "prose",
            shared="runs",
            template='<div class="words"></div>',
            blocks=list(blocks),
            on=on,
            lands=lands,
            **props,
        )
