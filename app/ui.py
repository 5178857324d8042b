"""The page, wired: what is computed when something is typed, pressed or chosen."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr

from gpt2cls_core import Gpt2clsError, Trace

from . import models
from .api import add_endpoints
from .asking import Picture, Question, delayed_value, pictures
from .chapters import CHAPTERS, stem
from .chapters.frame import Frame, Press
from .export import chapter_values, lesson_html
from .header import TITLE, masthead_html, unread_value, verdict_value
from .layout import frames_of, lay_out
from .lean import LeanBlocks
from .line import Busy, Line, Waiting
from .settings import Settings
from .urlstate import parse_option, read_query

ONE_AT_A_TIME = {"concurrency_id": "model", "concurrency_limit": 1}
AT_ONCE = 2  # explanations; hooks of one are not felt by the other
READING = 2  # texts read at once for their verdicts


def build(offered: list[str], settings: Settings | None = None, *, notice: str = "") -> gr.Blocks:
    """The whole page, wired.

    Args:
        offered: models to choose from, the default first; loaded on first use.
        notice: what readers must be told of the models.

    Raises:
        ModelError: the default's files can't be read.
    """
    settings, shape = settings or Settings(), models.shape(offered[0])
    with LeanBlocks(title=TITLE, analytics_enabled=False) as demo:
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
            return options if fits == shape else [frames_of(fits)[name].options[option] for name, option in named]

        line: Line[Picture] = Line(pictures, size=lambda picture: picture.size, at_once=AT_ONCE, longest=settings.queue)
        readers = ThreadPoolExecutor(READING, "reading")

        def question(text: str, model: str, chapter: str, *values: Any) -> Question:  # noqa: ANN401
            chapter = chapter if chapter in frames else next(iter(frames))
            chosen = {option: v for (name, option), v in zip(named, values, strict=True) if name == chapter}
            return Question.of(model, text, chapter, chosen)

        def read(text: str, model: str) -> Trace | str:
            """The text as it was read, or why it can't be."""
            try:
                return models.read(model, settings.within(text))
            except Gpt2clsError as error:
                return str(error)

        async def judge(request: gr.Request, text: str, model: str, *asked: Any) -> dict:  # noqa: ANN401
            """The verdict, which waits for no explanation; what the visitor asked before is not wanted any more."""
            line.want(request.session_hash, question(text, model, *asked))
            found = await asyncio.get_running_loop().run_in_executor(readers, read, text, model)
            if isinstance(found, str):
                return {verdict: unread_value(found)}
            return {verdict: verdict_value(found), masthead: masthead_html(models.facts(model), notice)}

        async def page(request: gr.Request, text: str, model: str, *asked: Any) -> AsyncIterator[dict]:  # noqa: ANN401
            """The chapter that is seen, as it comes."""
            found = await asyncio.get_running_loop().run_in_executor(readers, read, text, model)
            if isinstance(found, str):
                yield {verdict: unread_value(found)}
                return
            answer, told = question(text, model, *asked), {}
            yield gr.skip()  # of a step that gives nothing Gradio would empty everything
            try:
                async for picture in line.answer(request.session_hash, answer):
                    if isinstance(picture, Waiting):
                        told = {verdict: delayed_value(found, "waiting", before=picture.before)}
                        yield told
                    else:
                        told = {verdict: verdict_value(found)} if told else {}
                        yield frames[answer.chapter].values(picture.explained) | told
            except Busy:
                yield {verdict: delayed_value(found, "busy")}

        async def first(request: gr.Request, *asked: Any) -> AsyncIterator[dict]:  # noqa: ANN401
            """Verdict and chapter, where the visitor has not asked for anything else meanwhile."""
            if line.wants(request.session_hash, question(*asked)):
                yield await judge(request, *asked)
                async for shown in page(request, *asked):
                    yield shown

        async def open_link(request: gr.Request) -> AsyncIterator[dict]:
            """Put what the link says into the page, then read it."""
            query = dict(request.query_params)
            state = read_query(
                query,
                text=settings.text,
                models=offered,
                chapters=list(frames),
                options={option for _, option in named},
            )
            fitting = await asyncio.get_running_loop().run_in_executor(readers, fitting_of, state.model)
            values = [
                _from_link(component, state.options.get(option)) if name == state.chapter else component.value
                for (name, option), component in zip(named, fitting, strict=True)
            ]
            yield {text: state.text, model: state.model, nav: state.chapter} | {
                option: _refitted(option, fit, value)
                for option, fit, value in zip(options, fitting, values, strict=True)
            }
            if state.text == settings.text:  # another text is read when it has changed
                async for shown in first(request, state.text, state.model, state.chapter, *values):
                    yield shown

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
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        latest = {"trigger_mode": "always_last", **quiet}
        in_line = {"concurrency_id": "line", "concurrency_limit": None}  # the line is `Line`'s
        demo.load(open_link, None, everything, **quiet, **in_line)
        # `change`, because a Textbox's `input` comes from key presses alone: not when a text is pasted, cut or dictated.
        changes = [text.change, nav.select, *(o.change if isinstance(o, gr.Textbox) else o.input for o in options)]
        # One after the other: Gradio's browser side starts what listens to the same event in this order.
        gr.on(changes, None, inputs, None, js=remember, api_visibility="private")
        gr.on(changes, judge, inputs, [masthead, verdict], queue=False, **latest)
        gr.on(changes, page, inputs, outputs, **latest, **in_line)
        made.examples.select(_picked, None, text, queue=False, **quiet)

        def then_answer(step: gr.events.Dependency) -> None:
            """The same after a step that changes options."""
            step.then(None, inputs, None, js=remember, api_visibility="private")
            judged = step.then(judge, inputs, [masthead, verdict], queue=False, **latest)
            judged.then(page, inputs, outputs, **latest, **in_line)

        then_answer(model.input(refit, [model, *options], options, queue=False, **latest))
        for frame in frames.values():
            own = list(frame.options.values())
            for listen, press in _presses(frame):
                then_answer(listen(press, own, own, queue=False, trigger_mode="multiple", **quiet))
        compute = {**quiet, **ONE_AT_A_TIME}
        # The browser asks for the next chapter while the last answer is on its way in: "once" would not hear it.
        made.share.save(_saving(settings), [text, model], made.share, trigger_mode="multiple", **compute)
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


def _saving(settings: Settings) -> Callable[[gr.EventData, str, str], dict[str, Any]]:
    """The step that writes a lesson: a chapter at each call, so that others get their turn, and the file at the last."""
    chapters = list(map(stem, CHAPTERS))

    def save(event: gr.EventData, text: str, model: str) -> dict[str, Any]:
        done = getattr(event, "done", None)
        try:
            if not isinstance(done, int) or done not in range(len(chapters)):
                return {"file": "lesson.html", "document": lesson_html(model, settings.within(text))}
            chapter_values(model, settings.within(text), chapters[done])
        except Gpt2clsError as error:
            return {"problem": str(error)}
        return {"done": done + 1, "of": len(chapters)}

    return save


def _picked(event: gr.EventData) -> str:
    return str(event.text)


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
