"""The page's look: one style sheet over Gradio's plain theme. System fonts only, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import gradio as gr

from .palette import DARK, FONT, LIGHT, MONO, css_variables


def theme() -> gr.themes.Base:
    """Gradio's base theme in the page's colours."""
    colours = {}
    for suffix, palette in (("", LIGHT), ("_dark", DARK)):
        colours |= {
            f"body_background_fill{suffix}": palette["bg"],
            f"body_text_color{suffix}": palette["ink"],
            f"body_text_color_subdued{suffix}": palette["mute"],
            f"background_fill_primary{suffix}": palette["card"],
            f"background_fill_secondary{suffix}": palette["soft"],
            f"block_background_fill{suffix}": palette["card"],
            f"block_label_text_color{suffix}": palette["mute"],
            f"block_title_text_color{suffix}": palette["mute"],
            f"border_color_primary{suffix}": palette["line"],
            f"input_background_fill{suffix}": palette["card"],
            f"checkbox_background_color_selected{suffix}": palette["attention"],
            f"checkbox_label_background_fill{suffix}": palette["card"],
            f"checkbox_label_background_fill_selected{suffix}": palette["soft"],
            f"checkbox_label_text_color_selected{suffix}": palette["ink"],
            f"slider_color{suffix}": palette["attention"],
            f"color_accent_soft{suffix}": palette["soft"],
        }
    base = gr.themes.Base(font=[gr.themes.Font("system-ui")], font_mono=[gr.themes.Font("ui-monospace")])
    return base.set(
        **colours, block_border_width="0px", block_shadow="none", block_label_shadow="none", layout_gap="12px"
    )


def css(chapters: Iterable[str]) -> str:
    """The palette as CSS variables for light and dark pages, ``theme.css``, and a rule that shows the chapter seen."""
    light, dark = css_variables(LIGHT), css_variables(DARK)
    variables = f":root{{{light}--font-page:{FONT};--font-token:{MONO};}}body.dark{{{dark}}}\n"
    sheet = Path(__file__).with_name("theme.css").read_text(encoding="utf-8")
    seen = ",".join(f':root[data-chapter="{stem}"] #chapter-{stem}' for stem in chapters)
    return f"{variables}{sheet}{seen}{{display:flex !important}}\n"
