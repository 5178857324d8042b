"""The page, wired: what is computed when something is typed, pressed or chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from gpt2cls_core import Gpt2clsError

from . import models
from .chapters import CHAPTERS, stem
from .chapters.frame import Frame, Press
from .export import lesson_html
from .header import TITLE, masthead_html, unread_value, verdict_value
from .layout import FIRST_TEXT, lay_out
from .urlstate import parse_option, read_query

ONE_AT_A_TIME = {"concurrency_id": "model", "concurrency_limit": 1}


def build(offered: list[str], shape: models.Shape) -> gr.Blocks:
    """The whole page, wired.

    Args:
        offered: models to choose from, the default first; loaded on first use.
        shape: as in `lay_out`.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False) as demo:
        made = lay_out(offered, shape)
        masthead, model, text, verdict, nav, frames = (
            made.masthead, made.model, made.text, made.verdict, made.nav, made.frames
        )  # fmt: skip

        named = [(name, option) for name in frames for option in frames[name].options]
        options = [frames[name].options[option] for name, option in named]
        inputs = [text, model, nav, *options]
        outputs = [masthead, verdict, *(output for frame in frames.values() for output in frame.outputs)]

        def page(text: str, model: str, chapter: str, *values: Any) -> Iterator[dict]:  # noqa: ANN401
            """The verdict at once, then the chapter that is seen, as it comes."""
            chapter = chapter if chapter in frames else next(iter(frames))
            try:
                clf, read = models.classifier(model), models.read(model, text)
            except Gpt2clsError as error:
                yield {verdict: unread_value(str(error))}
                return
            yield {verdict: verdict_value(read), masthead: masthead_html(models.facts(model))}
            chosen = {option: v for (name, option), v in zip(named, values, strict=True) if name == chapter}
            explain = next(c.explain for c in CHAPTERS if stem(c) == chapter)
            for explained in explain(clf, read, **chosen):
                yield frames[chapter].values(explained)

        def open_link(request: gr.Request) -> Iterator[dict]:
            """Put what the link says into the page, then read it."""
            query = dict(request.query_params) if request else {}
            state = read_query(
                query, text=FIRST_TEXT, models=offered, chapters=list(frames), options={option for _, option in named}
            )
            values = [
                _from_link(component, state.options.get(option)) if name == state.chapter else component.value
                for (name, option), component in zip(named, options, strict=True)
            ]
            yield {text: state.text, model: state.model, nav: state.chapter, **dict(zip(options, values, strict=True))}
            if state.text == FIRST_TEXT:  # another text is read when it has changed
                yield from page(state.text, state.model, state.chapter, *values)

        everything = [*inputs, *outputs]
        compute = {"show_progress": "hidden", "api_visibility": "private", **ONE_AT_A_TIME}
        demo.load(open_link, None, everything, **compute)
        # `change`, because a Textbox's `input` comes from key presses alone: not when a text is pasted, cut or dictated.
        gr.on([text.change], page, inputs, outputs, trigger_mode="always_last", **compute)
        changes = [nav.select, model.input, *(o.change if isinstance(o, gr.Textbox) else o.input for o in options)]
        gr.on(changes, page, inputs, outputs, trigger_mode="always_last", **compute)
        made.examples.select(_picked, None, text, **compute)
        remember = _remember_script(named)
        gr.on([text.change, *changes], None, inputs, None, js=remember, api_visibility="private")
        for frame in frames.values():
            own = list(frame.options.values())
            for listen, press in _presses(frame):
                pressed = listen(press, own, own, queue=False, trigger_mode="multiple", api_visibility="private")
                pressed.then(page, inputs, outputs, trigger_mode="always_last", **compute)
                pressed.then(None, inputs, None, js=remember, api_visibility="private")
        made.share.save(_save, [text, model], made.share, **compute)
    return demo


def _presses(frame: Frame) -> list[tuple[Callable, Callable]]:
    """Listeners of a chapter, each with the step that sets the options; that takes no model, so it waits for none."""
    names = list(frame.options)

    def setting(press: Press) -> Callable[..., dict]:
        def pressed(event: gr.EventData, *values: Any) -> dict:  # noqa: ANN401
            told = {name: getattr(event, name, None) for name in ("index", "back", "key", "x", "y")}
            changes = press(dict(zip(names, values, strict=True)), told)
            return {frame.options[name]: changes.get(name, gr.skip()) for name in names}

        return pressed

    def preset(changes: Mapping[str, Any]) -> Callable[..., dict]:
        return lambda *_values: {frame.options[name]: changes.get(name, gr.skip()) for name in names}

    marks = [(frame.strip.token_click, frame.press_token), (frame.figure.point_click, frame.press_cell)]
    steps = [(listen, setting(press)) for listen, press in marks if press]
    return [*steps, *((button.click, preset(changes)) for button, changes in frame.presets.items())]


def _save(text: str, model: str) -> dict[str, str]:
    try:
        return {"file": "lesson.html", "document": lesson_html(model, text)}
    except Gpt2clsError as error:
        return {"problem": str(error)}


def _picked(event: gr.EventData) -> str:
    return str(event.text)


def _from_link(component: gr.components.Component, raw: str | None) -> object:
    if raw is None:
        return component.value
    choices = [value for _, value in getattr(component, "choices", [])]
    bounds = None
    if isinstance(component, (gr.Slider, gr.Number)):
        low, high = component.minimum, component.maximum
        bounds = (-math.inf if low is None else low, math.inf if high is None else high)
    return parse_option(raw, component.value, choices, bounds)


def _remember_script(named: list[tuple[str, str]]) -> str:
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
    body = script[script.index("(names") :]
    return f"(...values) => ({body})({json.dumps(named)}, ...values)"
