"""The head is one dot product with one vector."""

from __future__ import annotations

from collections.abc import Iterator

from gpt2cls_core import Classifier, HeadProducts, Trace, head_products

from ..components.token_strip import strip_value
from ..figures.bars import waterfall_figure
from ..lesson import fill, word
from ..models import Shape
from .frame import Explained, Frame, render_frame, sides

TITLE = "One dot product"
SHOWN = 16  # products with a bar of their own


def explain(clf: Classifier, trace: Trace) -> Iterator[Explained]:
    """The margin as its largest products, the rest in one bar, and their sum."""
    result = head_products(clf, trace)
    products = result.products
    up, down = float(products.clamp(min=0).sum()), float(products.clamp(max=0).sum())
    label = trace.label
    strip = strip_value(
        trace.tokens,
        [None] * (len(trace.tokens) - 1) + [result.margin],
        caption=word("predict", "caption"),
        scale="signed",
        unit=" " + word("predict", "unit"),
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
        largest=float(products[result.order[0]]),
        half=_products_for_half(result),
    )
    yield Explained(products_figure(result), strip, takeaway)


def render(shape: Shape) -> Frame:
    """The chapter has no options."""
    return render_frame("predict", shape)


def products_figure(result: HeadProducts) -> object:
    """The waterfall of the products."""
    names, values = _summands(result)
    return waterfall_figure(
        names,
        values,
        total=word("predict", "total"),
        unit=word("predict", "unit"),
        alt=word("predict", "alt", d_model=len(result.products), margin=result.margin),
    )


def _summands(result: HeadProducts) -> tuple[list[str], list[float]]:
    """The largest products by name, then the sum of all others."""
    order = result.order.tolist()
    shown, rest = order[:SHOWN], order[SHOWN:]
    names = [word("predict", "product", index=d) for d in shown]
    values = [float(result.products[d]) for d in shown]
    if rest:
        names.append(word("predict", "rest", count=len(rest)))
        values.append(float(result.products[rest].sum()))
    return names, values


def _products_for_half(result: HeadProducts) -> int:
    """How many of the largest products make half of the sum of all sizes."""
    sizes = result.products[result.order].abs()
    return int((sizes.cumsum(0) < sizes.sum() / 2).sum()) + 1
