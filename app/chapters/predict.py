"""The head is one dot product with one vector."""

from __future__ import annotations

from collections.abc import Iterator

from gpt2cls_core import Classifier, HeadProducts, Trace, head_products

from ..components.token_strip import strip_value
from ..figures.bars import waterfall_figure
from ..lesson import fill
from ..models import Shape
from .frame import Explained, Frame, render_frame, sides

TITLE = "One dot product"
SHOWN = 16  # products with a bar of their own


def explain(clf: Classifier, trace: Trace) -> Iterator[Explained]:
    """The margin as its largest products, the rest in one bar, and their sum."""
    result = head_products(clf, trace)
    names, values = _summands(result)
    products = result.products
    up, down = float(products.clamp(min=0).sum()), float(products.clamp(max=0).sum())
    label = trace.label
    figure = waterfall_figure(
        names,
        values,
        total="margin",
        unit="logits",
        alt=f"Waterfall of the {len(products)} products that add up to the margin {result.margin:+.2f}.",
    )
    strip = strip_value(
        trace.tokens,
        [None] * (len(trace.tokens) - 1) + [result.margin],
        caption="Of all these tokens' vectors the head reads the framed one alone:",
        scale="signed",
        unit=" logits",
        limit=4.0,
    )
    takeaway = fill(
        "predict",
        "takeaway",
        "takeaway spread",
        **sides(clf.labels),
        d_model=len(products),
        up=up,
        down=down,
        margin=result.margin,
        label=label,
        largest=values[0],
        half=_products_for_half(result),
    )
    yield Explained(figure, strip, takeaway)


def render(shape: Shape) -> Frame:
    """The chapter has no options."""
    return render_frame("predict", shape)


def _summands(result: HeadProducts) -> tuple[list[str], list[float]]:
    """The largest products by name, then the sum of all others."""
    order = result.order.tolist()
    shown, rest = order[:SHOWN], order[SHOWN:]
    names = [f"number {d}" for d in shown]
    values = [float(result.products[d]) for d in shown]
    if rest:
        names.append(f"{len(rest)} others")
        values.append(float(result.products[rest].sum()))
    return names, values


def _products_for_half(result: HeadProducts) -> int:
    """How many of the largest products make half of the sum of all sizes."""
    sizes = result.products[result.order].abs()
    return int((sizes.cumsum(0) < sizes.sum() / 2).sum()) + 1
