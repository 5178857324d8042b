"""The page without a server: the layout that `ui.lay_out` makes, as one HTML file that opens from anywhere.

There is no second layout and no second drawing. The tree of Gradio's blocks is walked and written as plain elements with the same
ids and classes, so that ``theme.css`` fits them; the components' own scripts run on them (``static_runtime.js`` gives each what
Gradio would: its element, its props, `watch` and `trigger`); and their values are what the chapters computed.

Values, and plotly.js, are packed (gzip, base64) and unpacked by the browser: a third of the size, and nothing that a person typed
can become markup.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from . import theme
from .components.base import ScriptedHTML
from .components.plotly_view import PLOTLY_JS

_HERE = Path(__file__).parent
Values = Mapping[str, Any]
"""A component's value, as its `postprocess` gives it, by ``elem_id``."""


class StaticPage:
    """Writes a tree of blocks: `ScriptedHTML`, titles, and what holds them.

    Args:
        kept: choices that are written too; all other components of Gradio's own are left out.
        written: HTML in place of a component.
        left_out: ``elem_id`` of blocks that are left out with all that they hold.
    """

    def __init__(
        self,
        *,
        kept: Collection[gr.Radio] = (),
        written: Mapping[gr.components.Component, str] | None = None,
        left_out: Collection[str] = (),
    ) -> None:
        self.kept, self.written, self.left_out = set(kept), dict(written or {}), set(left_out)
        self.parts: list[dict[str, Any]] = []  # id, script, props and value of each scripted component, in order
        self.scripts: dict[str, str] = {}

    def markup(self, block: gr.blocks.Block) -> str:
        """The HTML of a block and all that it holds."""
        if block.elem_id in self.left_out:
            return ""
        if block in self.written:
            return self.written[block]
        if isinstance(block, ScriptedHTML):
            return self._scripted(block)
        if isinstance(block, gr.Markdown):
            return f"<h2>{html.escape(block.value.removeprefix('## '))}</h2>"
        if isinstance(block, gr.Radio) and block in self.kept:
            return radio_markup(block)
        if isinstance(block, gr.components.Component):
            return ""
        name = "row" if isinstance(block, gr.Row) else "column"
        inner = "".join(map(self.markup, getattr(block, "children", ())))
        return f"<div {attributes(block, name)}>{inner}</div>" if inner or block.elem_id else ""

    def _scripted(self, block: ScriptedHTML) -> str:
        if not block.js_on_load:  # holds something, and shows nothing
            return ""
        name = type(block).__name__
        self.scripts[name] = block.js_on_load
        key = block.elem_id or f"part-{len(self.parts)}"
        self.parts.append({"id": key, "script": name, "props": block.props, "value": block.value})
        return f"<div {attributes(block, 'html-container', key)}>{block.html_template}</div>"


def attributes(block: gr.blocks.Block, name: str, key: str | None = None) -> str:
    """``id`` and ``class`` of a block's element, as HTML."""
    key = key or block.elem_id
    classes = html.escape(" ".join([name, *block.elem_classes]))
    return (f'id="{html.escape(key)}" ' if key else "") + f'class="{classes}"'


def radio_markup(block: gr.Radio) -> str:
    """Gradio's structure, as far as the style sheet asks for it."""
    labels = "".join(
        f'<label><input type="radio" name="{html.escape(block.elem_id)}" value="{html.escape(str(value))}"'
        f"{' checked' if value == block.value else ''}><span>{html.escape(title)}</span></label>"
        for title, value in block.choices
    )
    caption = f'<span data-testid="block-info">{html.escape(block.label)}</span>'
    return f'<div {attributes(block, "block radio")} role="radiogroup">{caption}<div class="wrap">{labels}</div></div>'


def pack(content: bytes | str) -> str:
    """gzip, then base64."""
    raw = content.encode() if isinstance(content, str) else content
    return base64.b64encode(gzip.compress(raw, 9, mtime=0)).decode()


def document(
    body: str, page: StaticPage, *, title: str, chapters: Collection[str], states: Mapping[str, Mapping[str, Values]]
) -> str:
    """The file.

    Args:
        body: what `page` made of the blocks.
        chapters: stems of those in it.
        states: values by ``elem_id``, by the value of the radio with this ``elem_id``; the state of "" is there from the start.
    """
    data = {"parts": page.parts, "states": states}
    fill = {
        "TITLE": html.escape(title),
        "CSS": theme.css(chapters) + (_HERE / "static_page.css").read_text(encoding="utf-8"),
        "BODY": body,
        "DATA": pack(json.dumps(data, ensure_ascii=False, separators=(",", ":"))),
        "PLOTLY": pack(PLOTLY_JS.read_bytes()),
        "SCRIPTS": script_functions(page),
        "RUNTIME": "\n".join((_HERE / f"static_{name}.js").read_text(encoding="utf-8") for name in ("runtime", "page")),
    }
    return filled(_HERE / "static_page.html", fill)


def script_functions(page: StaticPage) -> str:
    """The components' scripts as properties of a JavaScript object, by name."""
    return ",\n".join(
        f"{name}: (element, props, trigger, watch) => {{\n{script}\n}}" for name, script in page.scripts.items()
    )


def filled(template: Path, fill: Mapping[str, str]) -> str:
    """A template with every ``{{NAME}}`` replaced; what is put in is not read again."""
    head, *rest = template.read_text(encoding="utf-8").split("{{")
    return head + "".join(fill[part.partition("}}")[0]] + part.partition("}}")[2] for part in rest)
