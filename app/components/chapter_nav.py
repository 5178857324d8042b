"""The row of chapters. The page changes at once, in the browser; Python hears of it and computes the chapter that is now seen.

Any button on the page with ``data-opens`` leads to the chapter of that stem too, as those at the ends of lessons do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import ScriptedHTML


class ChapterNav(ScriptedHTML):
    """Value: the stem of the chapter that is seen; ``select`` is triggered when it changes.

    Args:
        chapters: (stem, title) in reading order.
    """

    def __init__(self, chapters: Sequence[tuple[str, str]], **props: Any) -> None:  # noqa: ANN401
        super().__init__(
            "chapter_nav",
            template='<div class="chapter-nav" role="tablist" aria-label="Chapters"></div>',
            value=chapters[0][0],
            chapters=[list(chapter) for chapter in chapters],
            **props,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "string"}
