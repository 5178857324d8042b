"""Long work in steps: what to show meanwhile, and when to leave it unfinished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from .unwanted import go_on

PARTIAL_SECONDS = 0.7  # between two pictures of unfinished work
MOST_SECONDS = 12.0  # of work on one picture; what takes longer stays unfinished

Step = TypeVar("Step")


def paced(steps: Iterator[Step], whole: Callable[[Step], bool]) -> Iterator[tuple[Step, bool]]:
    """Some of the steps, each with whether more is to come; the last of them is the last that there was time for.

    Args:
        whole: whether a step is the last.
    """
    began = shown = time.monotonic()
    for latest in steps:
        go_on()
        now = time.monotonic()
        if now - began > MOST_SECONDS:
            break
        if now - shown > PARTIAL_SECONDS and not whole(latest):
            shown = now
            yield latest, True
    yield latest, False
