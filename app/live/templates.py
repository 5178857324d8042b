"""What JavaScript needs of the chapters to say what they say: words and figures, made by Python when the live lesson is built.

Nothing is written down twice. Words are those of the lessons; errors are the library's own, each provoked once. A figure comes from
the chapter's own function, on two tokens and zeros: JavaScript puts in other numbers and tokens. What else changes with the number
of tokens, such as the least width or the place of the frame, is read off figures of several lengths (`LENGTHS`) and is linear
between them; a test compares the lengths between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from gpt2cls_core import (
    Attribution,
    Classifier,
    Gpt2clsError,
    GradientRollout,
    HeadProducts,
    LensGrid,
    PatchGrid,
    Rollout,
    check_pair,
    swap_word,
)
from gpt2cls_core.encoding import MAX_CHARACTERS
from gpt2cls_core.words import Word

from .. import swaps
from ..chapters import attribution, lens, patched, predict, rollout, swapped
from ..figures.grid import FINE, grid_figure, mark_cell
from ..models import Shape

__all__ = ["errors", "figures"]

LENGTHS = (1, 2, 3, 4, 5, 6, 58, 59, 60, 61, 62)  # of texts; the longest that the model reads comes last
TARGET, OTHER = 1, 0  # of two classes
FILLED = ("tickvals", "ticktext", "alt", "template")  # by JavaScript, whatever the length
FILLED_DATA = ("x", "y", "z", "zmin", "zmax", "customdata", "color")


def figures(shape: Shape, d_model: int, context: int) -> dict[str, Any]:
    """Every figure of the live chapters, by name, and how the two that have a token axis change with the number of tokens."""
    lengths = [*(n for n in LENGTHS if n < context), context]
    grids = _grids(shape, 2)
    marked = grid_figure(torch.zeros(2, 2).numpy(), _tokens(2), scale="signed", unit="", alt="")
    mark_cell(marked, x=0, y=0)
    return {
        "products": _json(predict.products_figure(_products(shape, d_model))),
        "bars": _json(_bars(shape, 2)),
        **{name: _json(figure) for name, figure in grids.items()},
        "mark": _json(marked)["layout"]["shapes"][-1],
        "lengths": {
            "grid": _by_length(lambda n: _grids(shape, n)["lens"], lengths),
            "bars": _by_length(lambda n: _bars(shape, n), lengths),
        },
        "per_cent": {"above": FINE, "formats": [_per_cent(shape, limit) for limit in (FINE / 2, 2 * FINE)]},
    }


def errors(clf: Classifier) -> dict[str, str]:
    """What the library says of a text or a swap that it refuses, with names in braces where a number or a word stands."""
    blank = clf.encode("a  \n\n  b")
    virtual = SimpleNamespace(words=[Word("", 0, 1)] * 9, encoding=SimpleNamespace(n_virtual=9))
    index = next(i for i, word in enumerate(blank.words) if not word.text.strip())
    most = MAX_CHARACTERS + 1
    return {
        "empty": _provoked(lambda: clf.encode(" ")),
        "long": _provoked(lambda: clf.encode("x" * most), {f"{most:,}": "{n:,}"}),
        "surrogate": _provoked(lambda: clf.encode("12345678\ud800"), {"Character 9": "Character {place}"}),
        "virtual": _provoked(lambda: swap_word(virtual, 8, "a"), {"Word 8": "Word {index}"}),
        "blank": _provoked(lambda: swap_word(blank, index, "a"), {f"Word {index}": "Word {index}"}),
        "pair": _unequal(0, 0),
        "pair word": _unequal(8, 9),
        "pair word one": _unequal(1, 9),
        "no word": swaps.NO_WORD,
        "only a blank": swaps.ONLY_A_BLANK,
    }


def _unequal(a: int, b: int) -> str:
    """Of two texts with 123 and 456 tokens whose first different words have `a` and `b`; of unlike words for 0."""
    texts = [("{old}", 123, a), ("{new}", 456, b)]
    read = [SimpleNamespace(tokens=range(n), words=[Word(text, 0, size)] * (1 if a else n)) for text, n, size in texts]
    names = {"123": "{n_a}", "456": "{n_b}", "8 tokens": "{a} tokens", " 9.": " {b}.", " 9 tokens": " {b}"}
    return _provoked(lambda: check_pair(*read), names)


def _provoked(act: Callable[[], object], names: dict[str, str] | None = None) -> str:
    try:
        act()
    except Gpt2clsError as error:
        message = str(error)
        for shown, name in (names or {}).items():
            message = message.replace(shown, name)
        return message
    raise AssertionError("nothing was refused")


def _tokens(n: int) -> tuple[str, ...]:
    return ("t",) * n


def _grids(shape: Shape, n: int) -> dict[str, Any]:
    """Every figure with a grid, on `n` tokens and zeros."""
    tokens, labels, rows = _tokens(n), shape.labels, shape.n_layer + 1
    cells, square, nothing = torch.zeros(rows, n), torch.zeros(n, n), torch.zeros(rows, n, dtype=torch.int64)
    margins = LensGrid(tokens, labels, "head", cells, nothing, TARGET, OTHER)
    rolled = Rollout(tokens, square, square, cells, cells, False)
    gradient = GradientRollout(tokens, labels, square, cells, TARGET, OTHER)
    read = SimpleNamespace(attention=torch.zeros(shape.n_layer, shape.n_head, n, n))
    grid = PatchGrid(tokens, tokens, labels, TARGET, OTHER, 0.0, 0.0, cells)
    pictures = {view: rollout.picture(view, read, rolled, gradient) for _, view in rollout.VIEWS}
    return {
        "lens": lens.margins_figure(margins),
        **{f"rollout {view}": rollout.picture_figure(p, tokens, shape.n_layer) for view, p in pictures.items()},
        "moves": swapped.moves_figure(cells, tokens, ""),
        "patch": patched.patch_figure(grid, cells, None),
    }


def _bars(shape: Shape, n: int) -> Any:  # noqa: ANN401 - a plotly Figure
    """One bar up, one down, so that both colours are seen; then nothing but zeros."""
    scores = torch.tensor([1.0, -1.0, *[0.0] * n][:n])
    words = tuple(Word("t", i, i + 1) for i in range(n))
    named = (_tokens(n), words, shape.labels, scores, TARGET, OTHER, "eos")
    return attribution.picture(Attribution(*named, 0.0, 0.0, 0.0, 0), "words")[0]


def _products(shape: Shape, d_model: int) -> HeadProducts:
    """One product up, one down."""
    products = torch.zeros(d_model)
    products[:2] = torch.tensor([2.0, -1.0])
    return HeadProducts(shape.labels, products, products, products, TARGET, OTHER, 0.0)


def _per_cent(shape: Shape, limit: float) -> str:
    """How the colour bar of per cents is written up to a limit."""
    values = torch.full((shape.n_layer + 1, 1), limit)
    picture = rollout.picture("raw", None, Rollout((), values, values, values, values, False), None)
    return rollout.picture_figure(picture, _tokens(1), shape.n_layer).data[0].colorbar.tickformat


def _by_length(make: Callable[[int], Any], lengths: Sequence[int]) -> dict[str, Any]:
    """The lengths, and each leaf of a figure that is not the same at all of them: its path, and its value at each."""
    made = [dict(_leaves(_json(make(n)))) for n in lengths]
    everywhere = [path for path in made[-1] if all(path in leaves for leaves in made)]
    values = {path: [leaves[path] for leaves in made] for path in everywhere}
    return {"at": lengths, "leaves": [[list(path), found] for path, found in values.items() if len(set(found)) > 1]}


def _leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], object]]:  # noqa: ANN401
    """Numbers and strings of a figure, without what JavaScript puts in itself."""
    if path and path[-1] in (FILLED_DATA if path[0] == "data" else FILLED):
        return
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if inner is None:
        yield path, node
        return
    for key, value in inner:
        yield from _leaves(value, (*path, key))


def _json(figure: Any) -> dict[str, Any]:  # noqa: ANN401 - a plotly Figure
    return json.loads(figure.to_json())
