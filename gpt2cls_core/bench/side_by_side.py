"""Integrated gradients of three makers, side by side: the same model, the same texts, in turns, in one process.

Each line gives seconds, the most memory held at once, the convergence delta as a share of the change that was explained, the
number of gradients, how much faster than plain Captum it was, and how many times the bound it took (see `bound`). Ours is asked
twice: for the 1 % that the page asks, and for a delta as small as Captum's own.

Captum runs all its points through the model at once, as its tutorials do. Where that would need more memory than the machine
has free, it is done in parts, and the line says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from torch import Tensor

from ..attribution import TOLERANCE, integrated_gradients
from ..classifier import Classifier, Encoding
from ..path_gradients import PRECISIONS, Precision
from .bound import matmul_rate, needed_flops
from .rivals import CAPTUM_STEPS, has_interpret, plain_captum, transformers_interpret
from .timing import in_turns, peak_bytes, text_of

__all__ = ["LENGTHS", "Line", "memory_by_steps", "side_by_side", "side_by_side_table"]

LENGTHS = (20, 60, 200)
STEPS = (25, 50, 100)
SMALLEST_TOLERANCE = 1e-9
SHARE_OF_FREE = 0.7  # of the memory that is free, what a rival may take
CAPTUM = "Captum LayerIntegratedGradients"
INTERPRET = "transformers-interpret"


@dataclass(frozen=True)
class Line:
    """One maker on one text.

    Attributes:
        seconds: wall-clock seconds of each run.
        peak: bytes held at most, above what was held before; None where not known.
        delta: |convergence delta| as a share of the change explained; NaN where there is none.
        bound: seconds that the arithmetic alone would take; None for others' methods.
        note: what else is to be known.
    """

    name: str
    n_tokens: int
    seconds: tuple[float, ...]
    peak: int | None
    delta: float
    n_steps: int
    bound: float | None = None
    note: str = ""


def side_by_side(clf: Classifier, n_tokens: int, *, repeats: int, captum_peak: float | None = None) -> list[Line]:
    """Plain Captum first, then transformers-interpret where it is installed, then ours.

    Args:
        n_tokens: of the text, at most.
        repeats: measured runs of each; one more goes before them, in which memory is measured.
        captum_peak: bytes that Captum is expected to need for all points at once; None where nobody knows.
    """
    encoding = text_of(clf, n_tokens)
    at_once, note = _parts(captum_peak)
    captum = partial(plain_captum, clf, encoding, at_once=at_once)
    change = _change(clf, encoding)
    missed = abs(float(captum().double().sum()) / change - 1)
    entries = [_Entry(CAPTUM, captum, CAPTUM_STEPS, missed, None, note)]
    if has_interpret():
        action = partial(transformers_interpret, clf, encoding.text, at_once=at_once)
        entries.append(_interpret_entry(action, note))
    for precision in PRECISIONS:
        entries.append(_own_entry(clf, encoding, f"ours to {TOLERANCE:.0%}, {precision}", TOLERANCE, precision))
    asked = max(SMALLEST_TOLERANCE, min(TOLERANCE, missed))
    entries.append(_own_entry(clf, encoding, "ours to Captum's delta, float32", asked, "float32"))
    peaks = [peak_bytes(entry.action) for entry in entries]
    runs = in_turns({entry.name: entry.action for entry in entries}, repeats, warm=True)
    return [
        Line(e.name, len(encoding), runs[e.name], peak, e.delta, e.n_steps, e.bound, e.note)
        for e, peak in zip(entries, peaks, strict=True)
    ]


def memory_by_steps(clf: Classifier, n_tokens: int, steps: Sequence[int] = STEPS) -> list[tuple[int, int | None]]:
    """Bytes that ours holds at most, by the number of gradients."""
    encoding = text_of(clf, n_tokens)
    return [(n, peak_bytes(partial(integrated_gradients, clf, encoding, n_steps=n))) for n in steps]


def side_by_side_table(lines: Sequence[Line]) -> str:
    """The lines as plain text; the first is the yardstick."""
    width = max(len(line.name) for line in lines)
    heads = ("seconds", "peak MB", "delta", "steps", "faster", "× bound")
    table = [f"{'':{width}}" + "".join(f"  {head:>9}" for head in heads)]
    for line in lines:
        seconds = median(line.seconds)
        cells = (
            f"{seconds:.3f}",
            "–" if line.peak is None else f"{line.peak / 1e6:.0f}",
            "–" if line.delta != line.delta else f"{line.delta:.4%}",
            str(line.n_steps),
            f"{median(lines[0].seconds) / seconds:.1f}×",
            "" if line.bound is None else f"{seconds / line.bound:.2f}",
        )
        table.append((f"{line.name:{width}}" + "".join(f"  {cell:>9}" for cell in cells) + f"  {line.note}").rstrip())
    return "\n".join(table)


@dataclass(frozen=True)
class _Entry:
    """What is to be run, and what is known of its result; as in `Line`."""

    name: str
    action: Callable[[], object]
    n_steps: int
    delta: float
    bound: float | None
    note: str


def _own_entry(clf: Classifier, encoding: Encoding, name: str, tolerance: float, precision: Precision) -> _Entry:
    action = partial(integrated_gradients, clf, encoding, tolerance=tolerance, precision=precision)
    found = action()
    bound = needed_flops(clf, len(encoding), found.n_steps) / matmul_rate(clf, precision)
    reached = found.relative_delta <= tolerance or (tolerance == TOLERANCE and found.converged)
    notes = [] if reached else ["ended at what rounding leaves"]
    if precision == "bfloat16":
        fixed = partial(integrated_gradients, clf, encoding, n_steps=found.n_steps)
        exact, rounded = fixed().scores, fixed(precision=precision).scores
        error = float((exact - rounded).abs().max() / exact.abs().max())
        notes.append(f"scores within {error:.2%} of the largest of float32's")
    return _Entry(name, action, found.n_steps, found.relative_delta, bound, "; ".join(notes))


def _interpret_entry(action: Callable[[], tuple[Tensor, float]], note: str) -> _Entry:
    scores, delta = action()
    if scores.isfinite().all():
        words = "delta in probability, not a share"
    else:
        delta, words = float("nan"), f"NaN for {int(scores.isnan().sum())} of {len(scores)} tokens"
    return _Entry(INTERPRET, action, CAPTUM_STEPS, delta, None, "; ".join(filter(None, (note, words))))


def _change(clf: Classifier, encoding: Encoding) -> float:
    """How far the margin moves from the baseline to the text."""
    ends = integrated_gradients(clf, encoding, n_steps=1)
    return ends.margin_input - ends.margin_baseline


def _parts(expected: float | None) -> tuple[int | None, str]:
    """How many of Captum's points fit into memory together (None: all), and the words for it."""
    free = _free_bytes()
    if expected is None or free is None or expected < SHARE_OF_FREE * free:
        return None, ""
    fit = max(1, int(CAPTUM_STEPS * SHARE_OF_FREE * free / expected))
    return fit, f"{fit} points at a time: all {CAPTUM_STEPS} would need about {expected / 1e9:.0f} GB"


def _free_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
