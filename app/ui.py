"""The page, wired: what is computed when something is typed, pressed or chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import gradio as gr

from gpt2cls_core import Gpt2clsError

from . import models
from .api import add_endpoints
from .chapters import CHAPTERS, stem
from .chapters.frame import Frame, Press
from .export import lesson_html
from .header import TITLE, masthead_html, unread_value, verdict_value
from .layout import lay_out, unwired
from .settings import Settings
from .urlstate import parse_option, read_query

ONE_AT_A_TIME = {"concurrency_id": "model", "concurrency_limit": 1}


def build(offered: list[str], settings: Settings | None = None, *, notice: str = "") -> gr.Blocks:
    """The whole page, wired.

    Args:
        offered: models to choose from, the default first; loaded on first use.
        notice: what readers must be told of the models.

    Raises:
        ModelError: the default's files can't be read.
    """
    settings, shape = settings or Settings(), models.shape(offered[0])
    with gr.Blocks(title=TITLE, analytics_enabled=False) as demo:
        made = lay_out(offered, shape, settings.text)
        masthead, model, text, verdict, nav, frames = (
            made.masthead, made.model, made.text, made.verdict, made.nav, made.frames
        )  # fmt: skip

        named = [(name, option) for name in frames for option in frames[name].options]
        options = [frames[name].options[option] for name, option in named]
        inputs = [text, model, nav, *options]
        outputs = [masthead, verdict, *(output for frame in frames.values() for output in frame.outputs)]

        def fitting_of(model: str) -> list[gr.components.Component]:
            """The options as they would be made for a model; those here where it can't be loaded, which `page` will say."""
            try:
                fits = models.shape(model)
            except Gpt2clsError:
                return options
            return options if fits == shape else [_frames(fits)[name].options[option] for name, option in named]

        def page(text: str, model: str, chapter: str, *values: Any) -> Iterator[dict]:  # noqa: ANN401
            """The verdict at once, then the chapter that is seen, as it comes."""
            chapter = chapter if chapter in frames else next(iter(frames))
            try:
                clf, read = models.classifier(model), models.read(model, settings.within(text))
            except Gpt2clsError as error:
                yield {verdict: unread_value(str(error))}
                return
            yield {verdict: verdict_value(read), masthead: masthead_html(models.facts(model), notice)}
            chosen = {option: v for (name, option), v in zip(named, values, strict=True) if name == chapter}
            explain = next(c.explain for c in CHAPTERS if stem(c) == chapter)
            for explained in explain(clf, read, **chosen):
                yield frames[chapter].values(explained)

        def open_link(request: gr.Request) -> Iterator[dict]:
            """Put what the link says into the page, then read it."""
            query = dict(request.query_params) if request else {}
            state = read_query(
                query,
                text=settings.text,
                models=offered,
                chapters=list(frames),
                options={option for _, option in named},
            )
            fitting = fitting_of(state.model)
            values = [
                _from_link(component, state.options.get(option)) if name == state.chapter else component.value
                for (name, option), component in zip(named, fitting, strict=True)
            ]
            yield {text: state.text, model: state.model, nav: state.chapter} | {
                option: _refitted(option, fit, value)
                for option, fit, value in zip(options, fitting, values, strict=True)
            }
            if state.text == settings.text:  # another text is read when it has changed
                yield from page(state.text, state.model, state.chapter, *values)

        def refit(model: str, *values: Any) -> list:  # noqa: ANN401
            """The options for a model that may have other layers and heads."""
            fitting = fitting_of(model)
            if fitting is options:
                return [gr.skip()] * len(options)
            kept = [
                value if value in _choices(fit) or not _choices(fit) else fit.value
                for fit, value in zip(fitting, values, strict=True)
            ]
            return [_refitted(*each) for each in zip(options, fitting, kept, strict=True)]

        remember = _remember_script(named)
        everything = [*inputs, *outputs]
        compute = {"show_progress": "hidden", "api_visibility": "private", **ONE_AT_A_TIME}
        demo.load(open_link, None, everything, **compute)
        # `change`, because a Textbox's `input` comes from key presses alone: not when a text is pasted, cut or dictated.
        gr.on([text.change], page, inputs, outputs, trigger_mode="always_last", **compute)
        changes = [nav.select, *(o.change if isinstance(o, gr.Textbox) else o.input for o in options)]
        gr.on(changes, page, inputs, outputs, trigger_mode="always_last", **compute)
        switched = model.input(refit, [model, *options], options, trigger_mode="always_last", **compute)
        switched.then(page, inputs, outputs, trigger_mode="always_last", **compute)
        switched.then(None, inputs, None, js=remember, api_visibility="private")
        made.examples.select(_picked, None, text, **compute)
        gr.on([text.change, *changes], None, inputs, None, js=remember, api_visibility="private")
        for frame in frames.values():
            own = list(frame.options.values())
            for listen, press in _presses(frame):
                pressed = listen(press, own, own, queue=False, trigger_mode="multiple", api_visibility="private")
                pressed.then(page, inputs, outputs, trigger_mode="always_last", **compute)
                pressed.then(None, inputs, None, js=remember, api_visibility="private")
        made.share.save(partial(_save, settings), [text, model], made.share, **compute)
        add_endpoints(offered, settings, **ONE_AT_A_TIME)
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


def _save(settings: Settings, text: str, model: str) -> dict[str, str]:
    try:
        return {"file": "lesson.html", "document": lesson_html(model, settings.within(text))}
    except Gpt2clsError as error:
        return {"problem": str(error)}


def _picked(event: gr.EventData) -> str:
    return str(event.text)


@lru_cache(maxsize=8)
def _frames(shape: models.Shape) -> Mapping[str, Frame]:
    return unwired(shape).frames


def _refitted(option: gr.components.Component, fit: gr.components.Component, value: object) -> object:
    """A value for an option, with other choices where it is made for another model."""
    return gr.update(choices=fit.choices, value=value) if _choices(fit) != _choices(option) else value


def _choices(component: gr.components.Component) -> list[object]:
    return [value for _, value in getattr(component, "choices", [])]


def _from_link(component: gr.components.Component, raw: str | None) -> object:
    if raw is None:
        return component.value
    choices = _choices(component)
    bounds = None
    if isinstance(component, (gr.Slider, gr.Number)):
        low, high = component.minimum, component.maximum
        bounds = (-math.inf if low is None else low, math.inf if high is None else high)
    return parse_option(raw, component.value, choices, bounds)


def _remember_script(named: list[tuple[str, str]]) -> str:
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
    body = script[script.index("(names") :]
    return f"(...values) => ({body})({json.dumps(named)}, ...values)"
