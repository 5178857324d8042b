"""The text as a row of tokens or words, coloured by one number each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from .base import ScriptedHTML

Scale = Literal["signed", "attention", "more-or-less", "plain"]


class TokenStrip(ScriptedHTML):
    """Shows what `strip_value` gives.

    A click triggers ``token_click`` with ``index``, ``back`` (the same from the end) and ``key``.
    """

    def __init__(self, **props: Any) -> None:  # noqa: ANN401
        super().__init__("token_strip", template='<div class="strip-caption"></div><div class="strip"></div>', **props)


def strip_value(
    texts: Sequence[str],
    scores: Sequence[float | None],
    *,
    caption: str,
    scale: Scale,
    unit: str = "",
    marks: Sequence[int] = (),
    cut: Sequence[int] = (),
    keys: Sequence[int] | None = None,
    read: Sequence[int] | None = None,
    limit: float | None = None,
    digits: int = 2,
) -> dict[str, Any]:
    """What a `TokenStrip` shows.

    Args:
        texts, scores: one each per token or word; None where there is nothing to say. Scores stay as they are, only colours are
            scaled.
        scale: "signed" (orange–blue around 0), "attention" (violet from 0), "more-or-less" (grey–violet around 0) or "plain".
        marks: places to underline, such as where the verdict flips.
        cut: places to strike through.
        keys: what a press on each place stands for, which makes the places look pressable.
        read: what the head reads; None takes the last place.
        limit: score of the strongest colour; None takes the largest by size.
    """
    limit = limit or max((abs(s) for s in scores if s is not None), default=0) or 1.0
    shown = f"+.{digits}f" if scale in ("signed", "more-or-less") else f".{digits}f"
    items = [
        {"text": text, "share": 0.0, "label": ""}
        if score is None
        else {"text": text, "share": max(-1.0, min(1.0, score / limit)), "label": f"{score:{shown}}{unit}"}
        for text, score in zip(texts, scores, strict=True)
    ]
    return {
        "items": items,
        "scale": scale,
        "caption": caption,
        "marks": list(marks),
        "cut": list(cut),
        "keys": None if keys is None else list(keys),
        "read": [len(items) - 1] if read is None else list(read),
    }
