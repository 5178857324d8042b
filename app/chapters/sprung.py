"""All traps on one text, and each by its name; the view of all of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gpt2cls_core import (
    Classifier,
    Gpt2clsError,
    Trace,
    Trap,
    batch_pooling,
    class_lens,
    context_overrun,
    embeddings_as_input,
    final_punctuation,
    left_padding,
    right_padding,
    typed_pad,
)

from ..components.token_strip import strip_value
from ..figures.traps import Shift, shifts_figure
from ..lesson import Run, fill
from ..unwanted import go_on
from .frame import Explained, sides

ROWS: tuple[tuple[str, dict[str, str]], ...] = (  # of the view of all: a name, and the options that show it alone
    ("right padding, last slot", {"view": "right"}),
    ("left padding, no positions", {"view": "left", "without": "positions"}),
    ("left padding, no mask", {"view": "left", "without": "mask"}),
    ("left padding, neither", {"view": "left", "without": "both"}),
    ("batch of two, last slot", {"view": "batch"}),
    ("inputs_embeds, last slot", {"view": "embeds"}),
    ("typed end of text, skipped", {"view": "typed"}),
    ("full stop more or less", {"view": "stop"}),
    ("too long, end cut", {"view": "long", "keep": "head"}),
    ("too long, start cut", {"view": "long", "keep": "tail"}),
)


def explain_all(clf: Classifier, trace: Trace, n_pad: int, n_cut: int) -> Iterator[Explained]:
    """Every trap; the long ones, which take as long as the context is, come last."""
    chosen = {"n_pad": n_pad, "n_cut": n_cut, "without": "positions", "keep": "head"}
    made: list[Trap | str | None] = [None] * len(ROWS)
    short = [place for place, (_, row) in enumerate(ROWS) if row["view"] != "long"]
    long = [place for place in range(len(ROWS)) if place not in short]
    strip = own_strip(clf, trace)
    for places in (short, long):
        for place in places:
            go_on()
            options = {**chosen, **ROWS[place][1]}
            try:
                made[place] = spring(clf, trace, options.pop("view"), **options)
            except Gpt2clsError as error:
                made[place] = str(error)
        yield Explained(_all_figure(clf, made), strip, _all_takeaway(trace, made))


def spring(clf: Classifier, trace: Trace, trap: str, *, n_pad: int, without: str, keep: str, n_cut: int) -> Trap:
    """The library's result for one trap.

    Raises:
        OptionError: the text and the context have no room for it.
    """
    makers: dict[str, Callable[[], Trap]] = {
        "right": lambda: right_padding(clf, trace, n_pad=n_pad),
        "left": lambda: left_padding(clf, trace, n_pad=n_pad, missing=without),
        "batch": lambda: batch_pooling(clf, trace),
        "embeds": lambda: embeddings_as_input(clf, trace, n_pad=n_pad),
        "typed": lambda: typed_pad(clf, trace),
        "stop": lambda: final_punctuation(clf, trace),
        "long": lambda: context_overrun(
            clf, trace, keep=keep, n_cut=min(n_cut, len(trace.tokens) - trace.encoding.n_virtual)
        ),
    }
    return makers[trap]()


def own_strip(clf: Classifier, trace: Trace) -> dict[str, Any]:
    return strip_value(
        trace.tokens,
        class_lens(clf, trace).margins[-1].tolist(),
        caption="Your text, rightly read at the framed token:",
        scale="signed",
        unit=" logits",
    )


def _all_figure(clf: Classifier, made: list[Trap | str | None]) -> object:
    shifts = []
    for (name, _), trap in zip(ROWS, made, strict=True):
        if isinstance(trap, Trap):
            shifts.append(Shift(name, trap.margin_right, trap.margin_wrong, trap.flips))
        else:
            shifts.append(Shift(name, instead="no room in the context" if trap else "…"))
    named = sides(clf.labels)
    told = [f"{shift.name} {shift.right:+.2f} to {shift.wrong:+.2f}" for shift in shifts if not shift.instead]
    alt = f"{len(told)} mistakes, each with the margin read rightly and by the mistake: {'; '.join(told)}."
    return shifts_figure(shifts, sides=(named["negative"], named["positive"]), alt=alt)


def _all_takeaway(trace: Trace, made: list[Trap | str | None]) -> list[Run]:
    done = [(name, trap) for (name, _), trap in zip(ROWS, made, strict=True) if isinstance(trap, Trap)]
    problem = next((trap for trap in made if isinstance(trap, str)), "")
    if not done:
        return fill("traps", "takeaway no room", problem=problem)
    turned = [name for name, trap in done if trap.flips]
    name, most = max(done, key=lambda pair: abs(pair[1].change))
    return fill(
        "traps",
        "takeaway all",
        "takeaway all turn" if turned else "takeaway all stay",
        "takeaway all most",
        *(["takeaway all no room"] if problem else []),
        *([] if all(made) else ["takeaway all wait"]),
        label=trace.label,
        n=len(done),
        turned=len(turned),
        names=listed(turned),
        most=name,
        right=most.margin_right,
        wrong=most.margin_wrong,
        problem=problem,
    )


def listed(names: list[str]) -> str:
    """“a”, “b” and “c”."""
    *others, last = [f"“{name}”" for name in names] or [""]
    return f"{', '.join(others)} and {last}" if others else last
