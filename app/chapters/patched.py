"""The view of `interventions` that copies vectors from the run on one text into the run on another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from gpt2cls_core import (
    Classifier,
    Gpt2clsError,
    OptionError,
    PatchGrid,
    Trace,
    check_pair,
    patch_grid_rows,
    patch_states,
)

from .. import models
from ..figures.grid import grid_figure, mark_cell
from ..lesson import Run, fill, quoted, word
from ..pace import paced
from ..swaps import Swap, fitting, suggested_word
from .frame import Explained
from .swapped import PALE, explain_swap, position_of, second_text, swap_strip, unswapped

ALIKE = 0.05  # logits between two margins, below which shares of the way mean nothing


def explain_patch(clf: Classifier, trace: Trace, at: str, new: str, cell: str) -> Iterator[Explained]:
    """How far one vector of the text (A), copied into the run on the other text (B), moves B's margin; from the top down.

    Args:
        cell: "layer-position" of one to read, or an empty string.
    """
    try:
        swap, other = second_text(clf, trace, at, new)
    except Gpt2clsError as error:
        yield unswapped(clf, trace, str(error))
        return
    try:
        check_pair(trace, other)
    except OptionError as error:
        *_, swapped = explain_swap(clf, trace, at, new)
        place = trace.words.index(swap.word)
        offers = list(fitting(clf, trace.encoding, place, [suggested_word(clf, trace.encoding, place)]))
        names = ["takeaway patch unequal", *(["takeaway patch offer"] if offers else [])]
        said = fill("interventions", *names, problem=str(error), suggestion="".join(map(quoted, offers)))
        yield Explained(swapped.figure, swapped.strip, said)
        return
    chosen = read_cell(cell, (clf.n_layer + 1, len(trace.tokens)))
    caption = word("interventions", "caption patch")
    for grid, goes_on in _grids(clf, trace, other):
        moves = grid.margins - grid.margin_corrupted
        known = moves.nan_to_num()
        best = known.gather(0, known.abs().argmax(0)[None])[0]  # of each column, with its sign
        said = _said(clf, trace, other, swap, grid, chosen, goes_on=goes_on)
        yield Explained(patch_figure(grid, moves, chosen), swap_strip(best, trace, other, swap, caption=caption), said)


def read_cell(raw: str, shape: tuple[int, int]) -> tuple[int, int] | None:
    """A cell as a link or a press gives it ("layer-position"), if the grid has it."""
    layer, _, position = str(raw or "").partition("-")
    cell = position_of(layer, shape[0]), position_of(position, shape[1])
    return None if None in cell else cell


def _grids(clf: Classifier, clean: Trace, corrupted: Trace) -> Iterator[tuple[PatchGrid, bool]]:
    """The grid, and whether more of it is to come; kept, so that pressing a cell is quick."""
    done = models.kept("patch", clf, clean.text, corrupted.text)
    if not done:
        for grid, goes_on in paced(
            patch_grid_rows(clf, clean, corrupted), lambda grid: grid.rows_done == len(grid.margins)
        ):
            if goes_on:
                yield grid, True
        done.append(grid)
    yield done[0], False


def patch_figure(grid: PatchGrid, moves: torch.Tensor, chosen: tuple[int, int] | None) -> Any:  # noqa: ANN401 - a Figure
    """The grid of moves [layer+1 pos], with the chosen cell outlined."""
    pairs = zip(grid.tokens_clean, grid.tokens_corrupted, strict=True)
    figure = grid_figure(
        moves.numpy(),
        [a if a == b else f"{a.strip()}→{b.strip()}" for a, b in pairs],
        scale="signed",
        unit=word("interventions", "move of b"),
        alt=word(
            "interventions",
            "alt patch",
            margin_a=grid.margin_clean,
            margin_b=grid.margin_corrupted,
            done=grid.rows_done,
            rows=len(moves),
        ),
        limit=max(PALE, abs(grid.margin_clean - grid.margin_corrupted)),
        from_the_right=True,
    )
    if chosen:
        mark_cell(figure, x=chosen[1], y=chosen[0])
    return figure


def _said(
    clf: Classifier,
    trace: Trace,
    other: Trace,
    swap: Swap,
    grid: PatchGrid,
    chosen: tuple[int, int] | None,
    *,
    goes_on: bool,
) -> list[Run]:
    if other.text == trace.text:
        return fill("interventions", "takeaway swap same", new=quoted(swap.new))
    values: dict[str, object] = {
        "old": quoted(swap.word.text),
        "new": quoted(swap.new),
        "margin_a": grid.margin_clean,
        "margin_b": grid.margin_corrupted,
        "done": grid.rows_done,
        "rows": len(grid.margins),
    }
    said = fill("interventions", "takeaway patch", **values)
    alike = abs(grid.margin_clean - grid.margin_corrupted) < ALIKE
    if goes_on or grid.rows_done < len(grid.margins):
        name = "takeaway patch progress" if goes_on else "takeaway patch stopped"
        said += [(" ", False), *fill("interventions", name, **values)]
    elif alike:
        said += [(" ", False), *fill("interventions", "takeaway patch alike")]
    else:
        said += [(" ", False), *_travels(grid, swap, values)]
    if chosen:
        said += [(" ", False), *_cell(clf, trace, other, chosen, grid, alike=alike)]
    elif not goes_on:
        said += [(" ", False), *fill("interventions", "takeaway patch press")]
    return said


def _travels(grid: PatchGrid, swap: Swap, values: dict[str, object]) -> list[Run]:
    """From which column the verdict can be brought back, by layer."""
    effects, swapped = grid.effects, list(range(swap.word.start, swap.word.stop))
    last = effects.shape[1] - 1
    if last in swapped:
        return fill("interventions", "takeaway patch last")
    from_word = (effects[:, swapped].amax(1) >= 0.5).long().cumprod(0).sum()  # layers from the bottom, without a gap
    from_last = len(effects) - (effects[:, last] >= 0.5).flip(0).long().cumprod(0).sum()
    names = ["takeaway patch travels" if from_word else "takeaway patch no half"]
    between = [position for position in range(swapped[-1] + 1, last)]
    best = {}
    if between:
        names.append("takeaway patch between")
        place = int(effects[:, between].argmax())
        layer, position = place // len(between), between[place % len(between)]
        best = {
            "token": quoted(grid.tokens_corrupted[position]),
            "layer": word("interventions", "layer", layer=layer),
            "share": percent(float(effects[layer, position])),
        }
    tops = {"word_layer": int(from_word) - 1, "last_layer": int(from_last)}
    layers = {name: word("interventions", "layer", layer=layer) for name, layer in tops.items()}
    return fill("interventions", *names, **{**values, **layers, **best})


def _cell(
    clf: Classifier, trace: Trace, other: Trace, cell: tuple[int, int], grid: PatchGrid, *, alike: bool
) -> list[Run]:
    """The numbers of one cell."""
    effect = patch_states(clf, trace, other, [cell])
    way = grid.margin_clean - grid.margin_corrupted
    return fill(
        "interventions",
        "takeaway patch cell" if alike else "takeaway patch share",
        token=quoted(trace.tokens[cell[1]]),
        layer=word("interventions", "layer", layer=cell[0]),
        margin_b=effect.margin_clean,
        after=effect.margin_after,
        share="" if alike else percent(effect.change / way),
    )


def percent(share: float) -> str:
    """A share without digits, and without a minus before nothing."""
    return f"{share:.0%}".replace("-0%", "0%")
