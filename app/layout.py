"""The page's layout: header, text, verdict, and the ordered chapters, each in its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gradio as gr
from gradio.context import Context

from . import models
from .chapters import CHAPTERS, chapters_in_order, stem
from .chapters.frame import Frame
from .components.chapter_nav import ChapterNav
from .components.example_picker import ExamplePicker
from .components.glossary import Glossary
from .components.share import Share
from .components.verdict import Verdict
from .glossary import read_glossary
from .header import masthead_html, switch_choices
from .settings import FIRST_TEXT

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples.json"


@dataclass(frozen=True, eq=False)
class Page:
    """The components of the page.

    Attributes:
        frames: of the chapters, by stem, in reading order.
        blocks: the outermost of all, in order.
    """

    masthead: gr.HTML
    model: gr.Radio
    text: gr.Textbox
    examples: ExamplePicker
    share: Share
    verdict: Verdict
    nav: ChapterNav
    frames: Mapping[str, Frame]
    blocks: list[gr.blocks.Block]


def lay_out(offered: list[str], shape: models.Shape, text: str = FIRST_TEXT) -> Page:
    """Put everything in its place, within a `gr.Blocks`; nothing happens yet.

    Args:
        offered: models to choose from, the default first.
        shape: labels, layers and heads of the default model, which the options are made for.
        text: that stands there at first.
    """
    masthead = gr.HTML(masthead_html(""), apply_default_css=False, elem_id="masthead")
    model = gr.Radio(
        switch_choices(offered), value=offered[0], label="What was trained", visible=len(offered) > 1, elem_id="model"
    )
    with gr.Row(elem_classes=["ask"]):
        with gr.Column(elem_classes=["card", "text-card"]):
            box = gr.Textbox(
                text, lines=2, max_lines=6, label="Your text", show_label=False, elem_id="text", container=False,
                placeholder="Type a sentence…",
            )  # fmt: skip
            with gr.Row(elem_classes=["text-tools"]):
                examples = ExamplePicker(_examples(), elem_id="examples")
                share = Share(elem_id="share")
        with gr.Column(elem_classes=["card"]):
            verdict = Verdict(elem_id="verdict")
    nav = ChapterNav(list(chapters_in_order().items()), elem_id="chapters")
    frames = {stem(chapter): chapter.render(shape) for chapter in CHAPTERS}
    Glossary(read_glossary(), elem_id="glossary")
    return Page(masthead, model, box, examples, share, verdict, nav, frames, Context.root_block.children)


def unwired(shape: models.Shape, *offered: str) -> Page:
    """The page as it is laid out for models of this shape, not served and not wired."""

    async def laid_out() -> Page:
        with gr.Blocks(analytics_enabled=False):
            return lay_out(list(offered) or [""], shape)

    # Where no event loop runs, gradio opens some and never closes them; where one does, none can be started: so in a thread.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, laid_out()).result()


@lru_cache(maxsize=8)
def frames_of(shape: models.Shape) -> Mapping[str, Frame]:
    """The chapters as they are laid out for a model of this shape, kept: to look at, not to change."""
    return unwired(shape).frames


def _examples() -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for example in json.loads(EXAMPLES.read_text(encoding="utf-8")):
        groups.setdefault(example["group"], []).append(example["text"])
    return groups
