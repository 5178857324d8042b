"""Sentences to try, by kind; pressing a kind again brings its next sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .base import ScriptedHTML


class ExamplePicker(ScriptedHTML):
    """``select`` is triggered with ``text``.

    Args:
        groups: kind → sentences.
    """

    def __init__(self, groups: Mapping[str, Sequence[str]], **props: Any) -> None:  # noqa: ANN401
        super().__init__(
            "example_picker",
            template='<div class="examples"><span class="small">Try:</span></div>',
            groups={kind: list(texts) for kind, texts in groups.items()},
            **props,
        )
