"""What the components share: a JSON value, a static template, a script from the file beside them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

_HERE = Path(__file__).parent


class ScriptedHTML(gr.HTML):
    """A `gr.HTML` whose value is JSON data and whose content is built by ``<NAME>.js``.

    Args:
        script: name of the script file beside this module, without its ending; None where nothing is shown.
        shared: name of another one with functions that it uses.
        template: static HTML; never holds a value.
        props: further data for the script, as ``props.NAME``.
    """

    def __init__(
        self,
        script: str | None,
        *,
        shared: str | None = None,
        template: str = "<div></div>",
        value: Any = None,  # noqa: ANN401
        **props: Any,  # noqa: ANN401
    ) -> None:
        files = [file for file in (shared, script) if file]
        super().__init__(
            value=value,
            html_template=template,
            js_on_load="\n".join(map(_script, files)),
            apply_default_css=False,
            **props,
        )

    def postprocess(self, value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
        return value

    def preprocess(self, payload: Any) -> Any:  # noqa: ANN401
        return payload

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}

    def get_block_name(self) -> str:
        return "html"


@lru_cache(maxsize=64)  # gradio makes a component anew at each answer that leaves it as it is
def _script(name: str) -> str:
    return (_HERE / f"{name}.js").read_text(encoding="utf-8")
