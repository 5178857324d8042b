"""It is cause, not correlation: cut, swap, patch, silence, read elsewhere, and see whether the verdict follows.

The views themselves are in `removed` (cut, ablate), `swapped` (swap, read elsewhere) and `patched` (patch).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from gpt2cls_core import Classifier, Trace

from ..components.held import Held
from ..models import Shape
from .frame import Explained, Frame, render_frame
from .patched import explain_patch
from .removed import explain_ablate, explain_cut
from .swapped import PLACES, explain_elsewhere, explain_swap, position_of

TITLE = "Prove it"
VIEWS = [("cut", "cut"), ("swap", "swap"), ("patch", "patch"), ("ablate", "ablate"), ("read elsewhere", "elsewhere")]
ROUTES = [("every route", "every"), ("direct edges only", "direct")]
ALL = "all"  # instead of positions: every token but the last is cut, without those that are named


def explain(
    clf: Classifier,
    trace: Trace,
    *,
    view: str = "cut",
    cut: str = "",
    route: str = "every",
    low: int = 1,
    high: int = 0,
    at: str = "",
    new: str = "",
    cell: str = "",
    part: str = "",
    read: str = "first",
) -> Iterator[Explained]:
    """One way to act on the model.

    Args:
        view: a value of VIEWS.
        cut: for "cut": positions with commas between; after "all" the ones that are left.
        route: a value of ROUTES.
        low, high: the layers in which is cut, from 1; 0 for the last one.
        at, new: for "swap", "patch" and "elsewhere": a position in the word that is swapped, and what comes in its place;
            empty where the page shall choose.
        cell: for "patch": "layer-position".
        part: for "ablate": "layer-head" from 1, or "layer-0" for the MLP; empty for the one that moves the margin most.
        read: for "elsewhere": a value of PLACES.
    """
    if view == "swap":
        yield from explain_swap(clf, trace, at, new)
    elif view == "patch":
        yield from explain_patch(clf, trace, at, new, cell)
    elif view == "elsewhere":
        yield from explain_elsewhere(clf, trace, at, new, read)
    elif view == "ablate":
        yield from explain_ablate(clf, trace, part)
    else:
        first, last = sorted(min(max(int(i or clf.n_layer), 1), clf.n_layer) for i in (low, high))
        yield from explain_cut(clf, trace, cut_positions(cut, len(trace.tokens)), route, tuple(range(first - 1, last)))


def render(shape: Shape) -> Frame:
    """Options: the view, and what each view acts on; presses set most of them."""
    return render_frame(
        "interventions",
        shape,
        lambda: _options(shape),
        press_token=press_token,
        press_cell=press_cell,
        presets=lambda: {
            gr.Button("cut all but the last", elem_classes=["preset", "for-cut"], size="sm"): {"cut": ALL},
            gr.Button("restore", elem_classes=["preset", "for-cut"], size="sm"): {"cut": ""},
        },
    )


def _options(shape: Shape) -> dict[str, gr.components.Component]:
    top = shape.n_layer
    layers = [(str(layer), layer) for layer in range(1, top + 1)]
    heads = [
        (f"head {head} of layer {layer}", f"{layer}-{head}")
        for _, layer in layers
        for head in range(1, shape.n_head + 1)
    ]
    mlps = [(f"MLP of layer {layer}", f"{layer}-0") for _, layer in layers]
    return {
        "view": gr.Radio(VIEWS, value="cut", label="Act"),
        "route": gr.Radio(ROUTES, value="every", label="What is cut", elem_classes=["for-cut"]),
        "low": gr.Dropdown(layers, value=1, label="From layer", elem_classes=["for-cut"]),
        "high": gr.Dropdown([*layers[:-1], (str(top), 0)], value=0, label="To layer", elem_classes=["for-cut"]),
        "new": gr.Textbox(
            "", label="The new word", placeholder="chosen for you", max_lines=1, elem_classes=["for-swap"]
        ),
        "part": gr.Dropdown(
            [("what moves most", ""), *heads, *mlps], value="", label="Silence", elem_classes=["for-ablate"]
        ),
        "read": gr.Radio(PLACES, value="first", label="Read at", elem_classes=["for-elsewhere"]),
        "cut": Held(label="Tokens that are cut"),
        "at": Held(label="The word that is swapped"),
        "cell": Held(label="The vector that is copied"),
    }


def press_token(options: Mapping[str, Any], pressed: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a token or restore it; or choose the word to swap, and leave the choice to the page again at a second press."""
    if pressed["key"] is None:
        return {}
    key = int(pressed["key"])
    if options["view"] == "cut":
        return {"cut": toggled(options["cut"], key)} if int(pressed["back"]) else {}
    return {"at": "" if str(options["at"]) == str(key) else str(key)}


def press_cell(options: Mapping[str, Any], pressed: Mapping[str, Any]) -> dict[str, Any]:
    """Cut the token of a column; choose the vector to copy; choose the head or MLP to silence."""
    x, y = pressed["x"], pressed["y"]
    if options["view"] == "cut":
        return {"cut": toggled(options["cut"], int(x))}
    if options["view"] == "patch":
        cell = f"{int(y)}-{int(x)}"
        return {"cell": "" if options["cell"] == cell else cell}
    if options["view"] == "ablate":
        part = f"{str(y).removeprefix('layer ')}-{str(x).removeprefix('head ').replace('MLP', '0')}"
        return {"part": "" if options["part"] == part else part}
    return {}


def cut_positions(raw: str, n_tokens: int) -> tuple[int, ...]:
    """The tokens that a link or a press names, as far as the text has them; never the last, which nothing comes after."""
    named = {position_of(piece, n_tokens - 1) for piece in str(raw or "").split(",")} - {None}
    return tuple(sorted(set(range(n_tokens - 1)) - named if str(raw).startswith(ALL) else named))


def toggled(raw: str, position: int) -> str:
    """The same with one token cut that was not, or the other way round."""
    pieces = set(filter(None, str(raw or "").split(","))) ^ {str(position)}
    numbers = sorted((piece for piece in pieces if piece.isascii() and piece.isdigit()), key=int)
    return ",".join([*([ALL] if ALL in pieces else []), *numbers])
