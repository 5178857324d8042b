"""The colours, once, for the page's CSS, the figures and the token strip.

Every colour means one thing: orange–blue is negative–positive, violet is attention (which has no sign), gold marks what the head
reads, teal is a body that stayed frozen. Never red and green. Figures are written in `LIGHT`; the page swaps each of these values
for its `DARK` namesake when the reader's page is dark, so no figure is computed twice.
"""

from __future__ import annotations

LIGHT = {
    "bg": "#fbfaf7",
    "card": "#fffffe",
    "soft": "#f3f1ea",
    "line": "#e4e1d8",
    "ink": "#1c2230",
    "mute": "#5d6471",
    "zero": "#f6f4ee",
    "negative": "#b3510e",
    "positive": "#2166c4",
    "attention": "#6a4fb6",
    "less": "#6b7a76",
    "read": "#8f6800",
    "frozen": "#0f766e",
}
DARK = {
    "bg": "#12151b",
    "card": "#191d25",
    "soft": "#20252f",
    "line": "#2f3642",
    "ink": "#e8eaef",
    "mute": "#a3abb9",
    "zero": "#242a35",
    "negative": "#f0934e",
    "positive": "#6aa5ff",
    "attention": "#b39bff",
    "less": "#8fa39d",
    "read": "#e6b93d",
    "frozen": "#45c4b5",
}
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
MONO = 'ui-monospace, "SF Mono", Menlo, Consolas, "Noto Sans Mono", monospace'


def css_variables(palette: dict[str, str]) -> str:
    """The palette as CSS custom properties ``--c-NAME``."""
    return "".join(f"--c-{name}:{value};" for name, value in palette.items())
