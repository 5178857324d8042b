"""The page: header, text, verdict, and the ordered chapters. Nothing is computed here but the verdict's words."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from gpt2cls_core import Gpt2clsError, Trace

from . import models
from .chapters import CHAPTERS, chapters_in_order, stem
from .chapters.frame import Frame, Press
from .components.chapter_nav import ChapterNav
from .components.example_picker import ExamplePicker
from .components.glossary import Glossary
from .components.verdict import Verdict
from .glossary import read_glossary, term_id
from .urlstate import parse_option, read_query

QUESTION = "How can one last token know the whole sentence?"
TERMS_IN_FACTS = ("SST-2", "bag of words")  # of the glossary
EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples.json"
FIRST_TEXT = "It starts slowly, but by the end I loved every minute of it."
ONE_AT_A_TIME = {"concurrency_id": "model", "concurrency_limit": 1}


def build(offered: list[str], shape: models.Shape) -> gr.Blocks:
    """The whole page.

    Args:
        offered: models to choose from, the default first; loaded on first use.
        shape: labels, layers and heads of the default model, which the options are made for.
    """
    with gr.Blocks(title="gpt2cls · " + QUESTION, analytics_enabled=False) as demo:
        masthead = gr.HTML(_masthead(""), apply_default_css=False, elem_id="masthead")
        with gr.Row(elem_classes=["ask"]):
            with gr.Column(elem_classes=["card", "text-card"]):
                text = gr.Textbox(
                    FIRST_TEXT, lines=2, max_lines=6, label="Your text", show_label=False, elem_id="text", container=False,
                    placeholder="Type a sentence…",
                )  # fmt: skip
                with gr.Row(elem_classes=["text-tools"]):
                    examples = ExamplePicker(_examples(), elem_id="examples")
                    copy = gr.Button("copy link", elem_id="copy-link", size="sm")
                    model = gr.Dropdown(
                        offered, value=offered[0], label="Model", show_label=False, container=False,
                        visible=len(offered) > 1, elem_id="model",
                    )  # fmt: skip
            with gr.Column(elem_classes=["card"]):
                verdict = Verdict(elem_id="verdict")
        nav = ChapterNav(list(chapters_in_order().items()), elem_id="chapters")
        frames = {stem(chapter): chapter.render(shape) for chapter in CHAPTERS}
        Glossary(read_glossary(), elem_id="glossary")

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
                yield {verdict: _unread(str(error))}
                return
            yield {verdict: _verdict(read), masthead: _masthead(models.facts(model))}
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
        examples.select(_picked, None, text, **compute)
        remember = _remember_script(named)
        gr.on([text.change, *changes], None, inputs, None, js=remember, api_visibility="private")
        for frame in frames.values():
            own = list(frame.options.values())
            for listen, press in _presses(frame):
                pressed = listen(press, own, own, queue=False, trigger_mode="multiple", api_visibility="private")
                pressed.then(page, inputs, outputs, trigger_mode="always_last", **compute)
                pressed.then(None, inputs, None, js=remember, api_visibility="private")
        copy.click(
            None,
            None,
            None,
            js="() => { navigator.clipboard.writeText(window.location.href); }",
            api_visibility="private",
        )
    return demo


def _masthead(facts: str) -> str:
    # Facts may name a foreign checkpoint, so they are escaped; braces would be read as a template.
    safe = html.escape(facts).replace("{", "&#123;").replace("$", "&#36;")
    for term in TERMS_IN_FACTS:
        safe = safe.replace(
            term, f'<span class="term" tabindex="0" role="button" aria-describedby="{term_id(term)}">{term}</span>'
        )
    return f'<header class="masthead"><h1>{QUESTION}</h1><div class="facts">{safe}</div></header>'


def _examples() -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for example in json.loads(EXAMPLES.read_text(encoding="utf-8")):
        groups.setdefault(example["group"], []).append(example["text"])
    return groups


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


def _picked(event: gr.EventData) -> str:
    return str(event.text)


def _verdict(trace: Trace) -> dict[str, Any]:
    probabilities = trace.probabilities.tolist()
    n = len(trace.tokens)
    count = f"{n} token{'s' if n > 1 else ''}"
    cut = (
        f"The model reads {n} tokens at once; the first {trace.tokens_cut} of your text were cut. "
        "Shorten it to have all of it read."
        if trace.tokens_cut
        else ""
    )
    if len(trace.labels) == 2:
        margin = float(trace.logits[1] - trace.logits[0])
        facts = f"margin {margin:+.2f} · P({trace.labels[1]}) {probabilities[1]:.3f}"
        sign, place = ("positive" if margin > 0 else "negative"), probabilities[1]
    else:
        best = sorted(zip(probabilities, trace.labels, strict=True), reverse=True)[:3]
        facts = " · ".join(f"{label} {p:.3f}" for p, label in best)
        sign, place = "", None
    return {
        "label": trace.label,
        "sign": sign,
        "place": place,
        "facts": facts,
        "count": count,
        "notice": cut,
        "stale": False,
    }


def _unread(message: str) -> dict[str, Any]:
    return {"label": "—", "sign": "", "place": None, "facts": "", "count": "", "notice": message, "stale": True}


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
