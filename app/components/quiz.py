"""A question to answer before the reveal. The answer stays in the reader's browser; Python never hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..prose import Block
from .base import ScriptedHTML


class Quiz(ScriptedHTML):
    """Shows the question and its choices; once one is chosen, what the reader said and the answer.

    Until then ``data-answered`` of the chapter around it is "false", by which the style sheet covers what would give the answer
    away. An element with ``data-reveal`` in the same chapter opens it without a choice.

    Args:
        stem: of the chapter, under which the choice is kept.
        question, answer: blocks, as `app.prose.blocks` makes them.
        choices: plain words.
    """

    def __init__(
        self,
        stem: str,
        question: Sequence[Block],
        choices: Sequence[str],
        answer: Sequence[Block],
        **props: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(
            "quiz",
            shared="runs",
            template=(
                '<div class="quiz" role="group" aria-label="A question before you look"><div class="question"></div>'
                '<div class="choices"></div><div class="answer" tabindex="-1" hidden></div></div>'
            ),
            stem=stem,
            question=list(question),
            choices=list(choices),
            answer=list(answer),
            **props,
        )
