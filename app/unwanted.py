"""Leaving long work when nobody waits for it any more.

What explains a text calls `go_on` between its steps. In a notebook that does nothing. On the page, where a reader may have typed
on meanwhile, it ends the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local

__all__ = ["Unwanted", "asked_by", "go_on"]

_HERE = local()


class Unwanted(BaseException):
    """Nobody waits for what is computed. No error, so that nothing that handles those holds it up."""


@contextmanager
def asked_by(anybody: Callable[[], bool]) -> Iterator[None]:
    """Within this, in this thread, `go_on` goes on as long as there is anybody."""
    _HERE.anybody = anybody
    try:
        yield
    finally:
        del _HERE.anybody


def go_on() -> None:
    """Between two steps of long work.

    Raises:
        Unwanted: nobody waits for it.
    """
    anybody = getattr(_HERE, "anybody", None)
    if anybody and not anybody():
        raise Unwanted
