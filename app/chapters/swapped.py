"""Two views of `interventions` that take a second text, with one word swapped: swap, and read elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from gpt2cls_core import Classifier, Gpt2clsError, Trace, class_lens, read_out_at, read_out_changes
from gpt2cls_core.lens import head_logits

from .. import models
from ..components.token_strip import strip_value
from ..figures.grid import grid_figure
from ..lesson import Run, fill, quoted, word
from ..swaps import Swap, counterparts, make_swap, word_at
from .frame import Explained

PLACES = [("the first token", "first"), ("a middle one", "middle"), ("the mean of all", "mean"), ("the last", "last")]
ROUNDING = 1e-4  # logits: two runs on texts of different lengths add up in another order
PALE = 0.5  # logits of the strongest colour where nothing moves by more, so that next to nothing looks like it


def explain_swap(clf: Classifier, trace: Trace, at: str, new: str) -> Iterator[Explained]:
    """What the swap moves in every cell."""
    try:
        swap, other = second_text(clf, trace, at, new)
    except Gpt2clsError as error:
        yield unswapped(clf, trace, str(error))
        return
    moves = _moved_margins(clf, trace, other)
    alt = word("interventions", "alt swap", change=float(moves[-1, -1]))
    figure = moves_figure(moves, other.tokens, alt)
    yield Explained(figure, swap_strip(moves[-1], trace, other, swap), _said(clf, trace, other, swap, new))


def explain_elsewhere(clf: Classifier, trace: Trace, at: str, new: str, read: str) -> Iterator[Explained]:
    """The head's verdict at other places than the last, and what the swap does to each.

    Args:
        read: a value of PLACES, framed in the grid.
    """
    places = {name: read_out_at(clf, trace, name) for _, name in PLACES}
    read = read if read in places else "first"
    start, middle, end = _columns(trace)
    columns = {"first": (start, start), "middle": (middle, middle), "mean": (start, end), "last": (end, end)}[read]
    alt = word("interventions", "alt elsewhere", margin=places[read].margin_after)
    figure = lens_figure(clf, trace, alt, read=columns)
    labels = {f"{name}_label": effect.label_after for name, effect in places.items()}
    margins = {name: effect.margin_after for name, effect in places.items()}
    middle_token = quoted(trace.tokens[middle])
    said = fill("interventions", "takeaway elsewhere", middle_token=middle_token, **labels, **margins)
    try:
        swap, other = second_text(clf, trace, at, new)
    except Gpt2clsError as error:
        nothing = unswapped(clf, trace, str(error))
        yield Explained(figure, nothing.strip, [*said, (" ", False), *nothing.takeaway])
        return
    found = counterparts(trace.encoding, other.encoding)
    framed = [i for i, source in enumerate(found) if source is not None and columns[0] <= source <= columns[1]]
    strip = swap_strip(_moved_margins(clf, trace, other)[-1], trace, other, swap, read=framed)
    yield Explained(figure, strip, [*said, (" ", False), *_elsewhere(clf, trace, other, swap, margins)])


def second_text(clf: Classifier, trace: Trace, at: str, new: str) -> tuple[Swap, Trace]:
    """The swap, and what the classifier makes of the text after it.

    Raises:
        Gpt2clsError: there is nothing to swap, or the text after it can't be read.
    """
    swap = make_swap(clf, trace, position_of(at, len(trace.tokens)), str(new or ""))
    return swap, models.read_with(clf, swap.text)


def unswapped(clf: Classifier, trace: Trace, problem: str) -> Explained:
    """The text as it is, and why nothing is swapped in it."""
    keys = [trace.words[word_at(trace.encoding, i)].start for i in range(len(trace.tokens))]
    nothing, caption = [None] * len(trace.tokens), word("interventions", "caption unswapped")
    strip = strip_value(trace.tokens, nothing, caption=caption, scale="plain", keys=keys)
    figure = lens_figure(clf, trace, word("interventions", "alt unswapped"))
    return Explained(figure, strip, fill("interventions", "takeaway unswapped", problem=problem))


def swap_strip(
    row: torch.Tensor, trace: Trace, other: Trace, swap: Swap, *, caption: str = "", read: list[int] | None = None
) -> dict[str, Any]:
    """The second text's tokens by a row of moves [pos]; a press on one means the word that stands there in the first text."""
    found = counterparts(trace.encoding, other.encoding)
    keys = [swap.word.start if i is None else trace.words[word_at(trace.encoding, i)].start for i in found]
    scores = [None if move != move else move for move in row.tolist()]  # NaN: no counterpart
    return strip_value(
        other.tokens,
        scores,
        caption=caption or word("interventions", "caption swap"),
        scale="signed",
        unit=" " + word("interventions", "unit"),
        limit=max([PALE, *(abs(score) for score in scores if score is not None)]),
        marks=[i for i, key in enumerate(keys) if key == swap.word.start],
        keys=keys,
        read=read,
    )


def moves_figure(moves: torch.Tensor, tokens: tuple[str, ...], alt: str) -> Any:  # noqa: ANN401 - a plotly Figure
    """The grid of changes of the margin [layer+1 pos]."""
    limit = max(PALE, float(moves.nan_to_num().abs().max()))
    unit = word("interventions", "change")
    return grid_figure(moves.numpy(), tokens, scale="signed", unit=unit, alt=alt, limit=limit, from_the_right=True)


def lens_figure(clf: Classifier, trace: Trace, alt: str, **options: Any) -> Any:  # noqa: ANN401 - a plotly Figure
    """The grid of margins, as in `lens`."""
    lens = class_lens(clf, trace)
    unit = word("lens", "margins", target=lens.labels[lens.target])
    return grid_figure(lens.margins.numpy(), trace.tokens, scale="signed", unit=unit, alt=alt, **options)


def margins_in_cells(clf: Classifier, resid: torch.Tensor, target: int, other: int) -> torch.Tensor:
    """The head's margin for one class against another in every cell of a residual stream [layer+1 pos]."""
    logits = head_logits(clf, resid)
    return logits[..., target] - logits[..., other]


def position_of(raw: object, size: int) -> int | None:
    """A place as a link or a press gives it, if it is one of `size`."""
    raw = str(raw)
    place = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 9 else size
    return place if place < size else None


def measured(clf: Classifier) -> dict[str, Any]:
    """What was measured of the interventions on this classifier over many texts; empty where nothing was."""
    return models.results().get("interventions", {}).get(clf.name, {})


def moved(change: float) -> str:
    """A change in two digits, or the fact that there is none at all."""
    return word("interventions", "exactly" if change == 0 else "move", change=change)


def _moved_margins(clf: Classifier, before: Trace, after: Trace) -> torch.Tensor:
    """Margin after minus margin before in every cell of the text after [layer+1 pos]; NaN where it has no counterpart."""
    classes = clf.target(None, before.logits)
    old, new = (margins_in_cells(clf, trace.resid, *classes) for trace in (before, after))
    moves = torch.full(new.shape, torch.nan)
    for column, source in enumerate(counterparts(before.encoding, after.encoding)):
        if source is not None:
            moves[:, column] = new[:, column] - old[:, source]
    return torch.where(moves.abs() < ROUNDING, 0, moves)


def _said(clf: Classifier, trace: Trace, other: Trace, swap: Swap, typed: str) -> list[Run]:
    old, new = quoted(swap.word.text), quoted(swap.new)
    if other.text == trace.text:
        return fill("interventions", "takeaway swap same", new=new)
    target, rival = clf.target(None, trace.logits)
    margins = [float(read.logits[target] - read.logits[rival]) for read in (trace, other)]
    longer = len(other.tokens) + other.tokens_cut - len(trace.tokens) - trace.tokens_cut
    left = read_out_changes(clf, trace, other)[: swap.word.start].abs()
    names = ["takeaway swap flips" if trace.label != other.label else "takeaway swap stays"]
    if trace.tokens_cut != other.tokens_cut:
        names.append("takeaway swap window")
    else:
        names.append("takeaway swap left" if len(left) else "takeaway swap first")
        names += ["takeaway swap length"] * (longer != 0)
    names += ["takeaway suggested"] * (not str(typed or "").strip())
    return fill(
        "interventions",
        *names,
        old=old,
        new=new,
        label=trace.label,
        label_after=other.label,
        margin=margins[0],
        after=margins[1],
        left=moved(float(left.max())) if len(left) else "",
        longer=f"{abs(longer)} token{'s' if abs(longer) > 1 else ''} {'more' if longer > 0 else 'fewer'}",
    )


def _columns(trace: Trace) -> tuple[int, int, int]:
    """The first, the middle and the last token of the text, without a soft prompt before it."""
    start, end = trace.encoding.n_virtual, trace.last_token_index
    return start, (start + end) // 2, end


def _elsewhere(clf: Classifier, trace: Trace, other: Trace, swap: Swap, margins: dict[str, float]) -> list[Run]:
    """What the swap does to the margin read at each place of PLACES."""
    target, rival = clf.target(None, trace.logits)
    at = read_out_changes(clf, trace, other)
    start, middle, end = _columns(trace)
    after = {name: read_out_at(clf, other, name).logits_after for name in ("mean", "last")}
    moves = {name: float(logits[target] - logits[rival]) - margins[name] for name, logits in after.items()}
    moves |= {"first": float(at[start]), "middle": float(at[min(middle, len(at) - 1)])}
    names = ["takeaway elsewhere swap"]
    if start == end:
        names = ["takeaway elsewhere one", *names]
    elif swap.word.start == start:
        names.append("takeaway elsewhere sees")
    elif trace.tokens_cut == other.tokens_cut:
        names.append("takeaway elsewhere blind")
    values: dict[str, Any] = {f"{name}_move": moved(change) for name, change in moves.items()}
    if measured(clf).get("read_out"):
        names.append("takeaway elsewhere measured")
        values |= {name: measured(clf)["read_out"][name]["accuracy"] for _, name in PLACES} | {"n": measured(clf)["n"]}
    return fill("interventions", *names, old=quoted(swap.word.text), new=quoted(swap.new), **values)
