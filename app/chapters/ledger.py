"""The margin is a sum of what each part wrote: the exact account."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import torch

from gpt2cls_core import Attribution, Classifier, Ledger, Trace, margin_ledger

from .. import models
from ..components.token_strip import strip_value
from ..figures.bars import waterfall_figure
from ..figures.grid import grid_figure, matrix_figure
from ..lesson import Run, fill, quoted
from ..models import Shape
from .frame import Explained, Frame, render_frame

TITLE = "The exact account"
VIEWS = [("layer by layer", "account"), ("heads and MLPs", "heads"), ("by the token read", "tokens")]


def explain(
    clf: Classifier, trace: Trace, *, view: str = "account", layer: int = 0, head: int = 0
) -> Iterator[Explained]:
    """The account as summands, as a table of heads, or by source token; then the comparison with integrated gradients.

    Args:
        view: a value of VIEWS.
        layer, head: for the view "tokens": one head counted from 1, or all where `head` is 0.
    """
    ledger = margin_ledger(clf, trace)
    head = head if layer else 0
    if view == "account":
        figure = _account(ledger)
    elif view == "heads":
        figure = _heads(ledger)
    else:
        figure = _tokens(ledger, layer, head)
    written, who = _written(ledger, view, layer, head)
    strip = strip_value(
        trace.tokens,
        written.tolist(),
        caption=f"What {who} copied from each token directly into the last vector:",
        scale="signed",
        unit=" logits",
    )
    takeaway = _takeaway(ledger)
    yield Explained(figure, strip, takeaway)
    if len(trace.tokens) > 1:
        attribution = models.attributed(clf, trace.text, "eos")
        yield Explained(figure, strip, [*takeaway, (" ", False), *_beside(ledger, attribution)])


def render(shape: Shape) -> Frame:
    """Options: the view; one head to follow."""
    layers = [("all", 0), *((str(i), i) for i in range(1, shape.n_layer + 1))]
    heads = [("all", 0), *((str(i), i) for i in range(1, shape.n_head + 1))]
    return render_frame(
        "ledger",
        shape,
        lambda: {
            "view": gr.Radio(VIEWS, value="account", label="Book it"),
            "layer": gr.Dropdown(layers, value=0, label="Layer", elem_classes=["for-tokens"]),
            "head": gr.Dropdown(heads, value=0, label="Head of that layer", elem_classes=["for-tokens"]),
        },
    )


def _account(ledger: Ledger) -> object:
    names, values = ["token embedding", "position"], [ledger.token_embedding, ledger.position_embedding]
    for i, (heads, bias, mlp) in enumerate(
        zip(ledger.heads.sum(-1).tolist(), ledger.attention_bias.tolist(), ledger.mlps.tolist(), strict=True)
    ):
        names += [f"attention {i + 1}", f"MLP {i + 1}"]
        values += [heads + bias, mlp]
    names.append("final bias")
    values.append(ledger.final_bias)
    alt = f"Waterfall of {len(names)} entries, from the embedding to the last MLP, that add up to {ledger.margin:+.2f}."
    return waterfall_figure(names, values, total="margin", unit="logits", alt=alt)


def _heads(ledger: Ledger) -> object:
    table = torch.cat([ledger.heads, ledger.attention_bias[:, None], ledger.mlps[:, None]], -1)  # (layer, head+2)
    columns = [*(f"head {i + 1}" for i in range(ledger.heads.shape[1])), "bias", "MLP"]
    rows = [f"layer {i + 1}" for i in range(len(table))]
    alt = "What each head and each MLP wrote into the last vector, in logits of margin, by layer."
    return matrix_figure(table.numpy(), columns, rows, unit="logits", alt=alt)


def _tokens(ledger: Ledger, layer: int, head: int) -> object:
    grid = ledger.by_source[:, head - 1] if head else ledger.by_source.sum(1)  # (layer, pos)
    if layer:
        kept = torch.full_like(grid, torch.nan)
        kept[layer - 1] = grid[layer - 1]
        grid = kept
    return grid_figure(
        grid.numpy(),
        ledger.tokens,
        scale="signed",
        unit="logits",
        alt="What attention in each layer copied from each token into the last vector, in logits of margin.",
        rows=[f"layer {i + 1}" for i in range(len(grid))],
    )


def _written(ledger: Ledger, view: str, layer: int, head: int) -> tuple[torch.Tensor, str]:
    """The strip's row [pos] and who wrote it; all heads unless one layer or head is followed."""
    if view != "tokens" or not layer:
        return ledger.written_by_token, "all heads together"
    if head:
        return ledger.sources(layer - 1, head - 1), f"head {head} of layer {layer}"
    return ledger.by_source[layer - 1].sum(0), f"layer {layer}"


def _takeaway(ledger: Ledger) -> list[Run]:
    largest = max(ledger.terms, key=lambda term: abs(term.value))
    source = int(ledger.written_by_token.abs().argmax())
    heads, mlps = float(ledger.heads.sum()), float(ledger.mlps.sum())
    runs = fill(
        "ledger",
        "takeaway",
        "takeaway source",
        heads=heads,
        mlps=mlps,
        rest=ledger.from_no_source - mlps,
        total=sum(term.value for term in ledger.terms),
        margin=ledger.margin,
        residual=abs(ledger.residual),
        largest=largest.name,
        value=largest.value,
        source=quoted(ledger.tokens[source]),
        written=float(ledger.written_by_token[source]),
    )
    alone = fill("ledger", "takeaway one token", source=quoted(ledger.tokens[0]))
    return [*runs, (" ", False), *alone] if len(ledger.tokens) == 1 else runs


def _beside(ledger: Ledger, attribution: Attribution) -> list[Run]:
    top = int(attribution.scores.abs().argmax())
    same = top == int(ledger.written_by_token.abs().argmax())
    return fill("ledger", "takeaway ig agree" if same else "takeaway ig differ", top=quoted(ledger.tokens[top]))
