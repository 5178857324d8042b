"""Computed once for all who ask, within bounds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from app.once import once


def test_those_who_ask_at_the_same_moment_wait_for_one_computation():
    made, go, ready = [], Event(), Barrier(4)

    @once(entries=4)
    def slow(name: str) -> object:
        made.append(name)
        assert go.wait(20)
        return object()

    def ask() -> object:
        ready.wait()
        return slow("a")

    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(ask) for _ in range(3)]
        ready.wait()
        go.set()
        got = [future.result() for future in asked]
    assert made == ["a"]
    assert got[0] is got[1] is got[2] is slow("a")


def test_other_arguments_do_not_wait():
    go = Event()

    @once(entries=4)
    def named(name: str) -> str:
        assert name != "slow" or go.wait(20)
        return name.upper()

    with ThreadPoolExecutor(1) as thread:
        slow = thread.submit(named, "slow")
        assert named("quick") == "QUICK"  # though the other is still being computed
        assert not slow.done()
        go.set()
        assert slow.result() == "SLOW"


def test_the_oldest_go_when_there_are_too_many_or_they_are_too_large():
    made = []

    @once(entries=3, most_bytes=10, size=len)
    def text(name: str) -> str:
        made.append(name)
        return name

    for name in ("a", "b", "a", "c", "d"):
        text(name)
    assert text.cache_info() == (3, 3, 3, 10)
    text("b")  # the one asked for longest ago
    assert made == ["a", "b", "c", "d", "b"]
    text("nine more")
    assert text.cache_info()[::2] == (2, 10)
    text("larger than all that may be held")
    assert text.cache_info().currsize == 1


def test_an_error_is_everybodys_who_waits_and_is_not_kept():
    made = []

    @once(entries=3)
    def failing(name: str) -> str:
        made.append(name)
        if len(made) == 1:
            raise ValueError("on purpose")
        return name

    with pytest.raises(ValueError, match="on purpose"):
        failing("a")
    assert failing("a") == "a"
    assert made == ["a", "a"]


def test_what_was_computed_is_forgotten_when_asked():
    made = []
    numbered = once(entries=3)(lambda name: made.append(name) or len(made))
    assert [numbered("a"), numbered("a")] == [1, 1]
    numbered.cache_clear()
    assert numbered("a") == 2
