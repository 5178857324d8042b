"""How long training takes, told so that two runs can be compared."""

from __future__ import annotations

import time

import torch

__all__ = ["clock"]


def clock() -> float:
    """Seconds of computing so far; only differences mean something.

    On a GPU these are seconds on the wall. Without one it is the processor time of all threads together, in core-seconds, which
    other work on the same machine hardly changes.
    """
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()
