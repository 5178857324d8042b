"""What is computed once, however many ask for it: a bounded memory that threads may ask at the same moment.

`functools.lru_cache` computes twice for two who ask before the first has got an answer, and counts entries, not bytes. Here the
second waits for the first's answer, and the answers asked for longest ago go when all of them together are too large.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ["Bounded", "Held", "Once", "once"]

Value = TypeVar("Value")


class Held(NamedTuple):
    """What is in memory now, and what may be."""

    currsize: int
    maxsize: int
    bytes: int
    most_bytes: int


class Bounded(Generic[Value]):
    """The values used last, as many as there is room for; the last one always.

    Args:
        entries, most_bytes: how much there is room for.
    """

    def __init__(self, entries: int, most_bytes: int) -> None:
        self._entries, self._most_bytes, self._bytes = entries, most_bytes, 0
        self._held: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        """The value, which counts as used; None where there is none (any more)."""
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Keep a value of so many bytes, and let others go for it."""
        self._bytes += size - self._held.pop(key, (None, 0))[1]
        self._held[key] = (value, size)
        while len(self._held) > 1 and (len(self._held) > self._entries or self._bytes > self._most_bytes):
            _, (_, freed) = self._held.popitem(last=False)
            self._bytes -= freed

    def clear(self) -> None:
        self._held.clear()
        self._bytes = 0

    def info(self) -> Held:
        return Held(len(self._held), self._entries, self._bytes, self._most_bytes)


class Once(Generic[Value]):
    """A function of hashable arguments that remembers what it returned last. What it raised it does not remember.

    Args:
        make: the function; it may run in several threads at once, for different arguments.
        entries, most_bytes: how much is remembered.
        size: bytes of an answer.
    """

    def __init__(self, make: Callable[..., Value], entries: int, most_bytes: int, size: Callable[[Value], int]) -> None:
        self._make, self._size = make, size
        self._done: Bounded[Future[Value]] = Bounded(entries, most_bytes)
        self._coming: dict[tuple[Hashable, ...], Future[Value]] = {}
        self._lock = Lock()
        self.__doc__, self.__name__ = make.__doc__, make.__name__

    def __call__(self, *key: Hashable) -> Value:
        with self._lock:
            future = self._done.get(key) or self._coming.get(key)
            first = future is None
            if first:
                future = self._coming[key] = Future()
        if first:
            self._fill(key, future)
        return future.result()

    def cache_info(self) -> Held:
        with self._lock:
            return self._done.info()

    def cache_clear(self) -> None:
        with self._lock:
            self._done.clear()

    def _fill(self, key: tuple[Hashable, ...], future: Future[Value]) -> None:
        try:
            value = self._make(*key)
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            future.set_exception(error)  # raised by whoever asks for the result
            return
        future.set_result(value)
        with self._lock:
            del self._coming[key]
            self._done.put(key, future, self._size(value))


def once(
    *, entries: int, most_bytes: int = 2**63, size: Callable[[Any], int] = lambda _value: 0
) -> Callable[[Callable[..., Value]], Once[Value]]:
    """The decorator."""
    return lambda make: Once(make, entries, most_bytes, size)
