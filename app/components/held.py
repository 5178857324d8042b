"""An option that a press sets and a link keeps, with nothing to see."""

from __future__ import annotations

from typing import Any

from .base import ScriptedHTML


class Held(ScriptedHTML):
    """Holds a short string, such as the tokens that are cut; ``label`` says of what."""

    def __init__(self, value: str = "", **props: Any) -> None:  # noqa: ANN401
        super().__init__(None, value=value, visible="hidden", **props)

    def api_info(self) -> dict[str, Any]:
        return {"type": "string"}
