"""The page's controls that the browser can answer, as plain elements with the classes that the style sheet knows."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping
from typing import Any

import gradio as gr

from ..components.base import ScriptedHTML
from ..layout import Page
from ..static_page import StaticPage, attributes, radio_markup
from .book import LIVE_VIEWS, live_words

__all__ = ["LivePage"]

Named = tuple[str, str]
"""A chapter's stem and the name of an option in it."""


class LivePage(StaticPage):
    """The static page with a box to type into, the chapters' options, and the buttons that set them.

    Attributes:
        options: chapter, name and component of each option by the id of its element.
        presets: chapter and what is set, by the id of the button.
    """

    def __init__(self, made: Page, titles: Mapping[str, str], text: str, masthead: str) -> None:
        box = f'aria-label="{html.escape(made.text.label)}" placeholder="{html.escape(made.text.placeholder)}"'
        written = {
            made.masthead: f'<div id="masthead">{masthead}</div>',
            made.text: f'<div id="text"><textarea rows="2" {box}>\n{html.escape(text)}</textarea></div>',
            made.share: '<div id="live-status" class="small" role="status"></div>',
        }
        others = {f"chapter-{name}" for name in made.frames if name not in titles}
        super().__init__(kept=[made.model] if made.model.visible else [], written=written, left_out=others)
        self.options: dict[str, tuple[Named, gr.components.Component]] = {}
        self.presets: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for name in titles:
            self._control(name, made)

    def _control(self, name: str, made: Page) -> None:
        """Write a chapter's options and the buttons that set them."""
        frame = made.frames[name]
        for option, component in frame.options.items():
            component.elem_id = f"{name}-{option}"
            self.options[component.elem_id] = (name, option), component
            gone = _keep_views(component, LIVE_VIEWS[name]) if option == "view" and name in LIVE_VIEWS else []
            self.written[component] = _control(component) + _note(gone)
        for number, (button, changes) in enumerate(frame.presets.items()):
            button.elem_id = f"{name}-preset-{number}"
            self.presets[button.elem_id] = name, changes
            name_of_it = html.escape(button.value)
            self.written[button] = f'<button {attributes(button, "block")} type="button">{name_of_it}</button>'


def _keep_views(views: gr.Radio, kept: Collection[str]) -> list[str]:
    """Take the other views out of the choice; returns their titles."""
    gone = [title for title, value in views.choices if value not in kept]
    views.choices = [choice for choice in views.choices if choice[1] in kept]
    return gone


def _note(gone: Collection[str]) -> str:
    """Which views are left out."""
    said = live_words()["left out"].format(views=", ".join(gone))
    return f'<div class="left-out">{html.escape(said)}</div>' if gone else ""


def _control(component: gr.components.Component) -> str:
    """An option as a plain element of HTML; nothing for one that only presses set."""
    if isinstance(component, gr.Radio):
        return radio_markup(component)
    if isinstance(component, ScriptedHTML):
        return ""
    if isinstance(component, gr.Checkbox):
        box = f'<input type="checkbox"{" checked" if component.value else ""}>'
        label = f"<label>{box}<span>{html.escape(component.label)}</span></label>"
        return f"<div {attributes(component, 'block checkbox')}>{label}</div>"
    if isinstance(component, gr.Dropdown):
        inner = f"<select>{''.join(_choice(*choice, component.value) for choice in component.choices)}</select>"
    else:
        placeholder = html.escape(component.placeholder or "")
        inner = f'<input type="text" placeholder="{placeholder}">'
    caption = f'<span data-testid="block-info">{html.escape(component.label)}</span>'
    return f"<label {attributes(component, 'block')}>{caption}{inner}</label>"


def _choice(title: str, value: object, chosen: object) -> str:
    selected = " selected" if value == chosen else ""
    return f'<option value="{html.escape(str(value))}"{selected}>{html.escape(title)}</option>'
