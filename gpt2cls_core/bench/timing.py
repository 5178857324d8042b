"""Measuring: seconds and memory of actions that take turns, on a machine that is named."""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch

from ..classifier import Classifier, Encoding

__all__ = ["FEWEST_REPEATS", "TEXT", "Timing", "in_turns", "machine", "peak_bytes", "table", "text_of"]

TEXT = (
    "The first half hour is slow and a little silly, but then the two sisters finally meet, and from that scene on "
    "I could not look away."
)
FEWEST_REPEATS = 5


@dataclass(frozen=True)
class Timing:
    """How long one thing took.

    Attributes:
        seconds: wall-clock seconds of each run, in order.
        note: what else is to be known of it, such as steps and delta; may be empty.
    """

    name: str
    seconds: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        """Median of the runs, in seconds."""
        return median(self.seconds)


def in_turns(
    actions: Mapping[str, Callable[[], object]], repeats: int, *, warm: bool = False
) -> dict[str, tuple[float, ...]]:
    """Run each action once unmeasured, then all of them in turn `repeats` times; seconds of each run by name.

    Args:
        warm: leave the unmeasured runs out; they have been made already.
    """
    for action in () if warm else actions.values():
        action()
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - start)
    return {name: tuple(runs) for name, runs in seconds.items()}


def text_of(clf: Classifier, n_tokens: int) -> Encoding:
    """`TEXT`, again and again, cut to at most `n_tokens` tokens; the text is cut too."""
    text = TEXT
    while len(clf.encode(text)) < min(n_tokens, clf.context):
        text += " " + TEXT
    long = clf.encode(text)
    first, last = long.n_virtual, min(n_tokens, len(long)) - 1
    return clf.encode(text[long.offsets[first][0] : long.offsets[last][1]])


def peak_bytes(action: Callable[[], object]) -> int | None:
    """The most memory that an action holds at once, above what was held before; None where Linux can't be asked."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # gives back what was freed before
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = _memory("VmRSS")
    except (OSError, AttributeError):
        action()
        return None
    action()
    return max(0, _memory("VmHWM") - before)


def _memory(name: str) -> int:
    """A line of this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def table(timings: Sequence[Timing]) -> str:
    """Medians in milliseconds as lines of plain text, each with its ratio to the last one."""
    yardstick = timings[-1]
    width = max(len(timing.name) for timing in timings)
    lines = [f"{'':{width}}  {'median':>10}  {'fastest':>10}  {'ratio':>6}"]
    for timing in timings:
        numbers = f"{1000 * timing.median:7.1f} ms  {1000 * min(timing.seconds):7.1f} ms"
        ratio = f"{timing.median / yardstick.median:6.2f}"
        lines.append(f"{timing.name:{width}}  {numbers}  {ratio}  {timing.note}".rstrip())
    return "\n".join(lines)


def machine() -> str:
    """The processor, its cores, and the versions that matter, on two lines."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "captum", "gradio"))
    return (
        f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, {platform.system()}\n"
        f"Python {platform.python_version()}, {packages}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
