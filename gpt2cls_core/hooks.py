"""Hooks that hold for one thread.

A hook changes a module for whoever runs it. On a page that many readers ask at once, one thread may cut attention at the very
moment at which another reads a verdict with the same weights. So a hook here acts on what its own thread runs, and every other
thread passes through the module as if the hook were not there: the verdict beside an intervention is the verdict alone, bit for
bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any

from torch.utils.hooks import RemovableHandle

__all__ = ["here", "hooked"]

_REGISTERING = Lock()  # torch numbers its hooks without one, and two with one number would be one hook


def here(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The hook, for forward passes of the thread that calls this alone.

    To torch, a hook that returns None has changed nothing; that is what other threads get.
    """
    thread = get_ident()

    def guarded(*given: Any, **named: Any) -> Any:  # noqa: ANN401
        return hook(*given, **named) if get_ident() == thread else None

    return guarded


@contextmanager
def hooked(registrations: Iterable[Callable[[], RemovableHandle]]) -> Iterator[None]:
    """Register hooks and remove every one of them, also after an exception."""
    handles: list[RemovableHandle] = []
    try:
        for register in registrations:
            with _REGISTERING:
                handles.append(register())
        yield
    finally:
        for handle in handles:
            with _REGISTERING:
                handle.remove()
