"""The line in which explanations wait: some at a time, no two alike, none in vain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from threading import Event

import pytest

from app import line as module
from app.line import Busy, Line, Waiting
from app.unwanted import Unwanted, asked_by, go_on

SECONDS = 20  # after which a test that hangs has failed


class Work:
    """Explains ``name``: two pictures, the second as soon as the test lets it."""

    def __init__(self, *held: str) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.running = self.most = 0
        self.go = {name: Event() for name in held}

    def __call__(self, name: str) -> Iterator[str]:
        self.started.append(name)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            yield f"{name} 1"
            while name in self.go and not self.go[name].wait(0.01):
                go_on()
            yield f"{name} 2"
            self.finished.append(name)
        finally:
            self.running -= 1


def line_of(explain: Callable[[str], Iterator[str]], at_once: int = 1, longest: int = 9) -> Line[str]:
    return Line(explain, size=len, at_once=at_once, longest=longest)


async def collected(line: Line[str], visitor: str, question: str, seen: list[object] | None = None) -> list[object]:
    seen = [] if seen is None else seen
    async for picture in line.answer(visitor, question):
        seen.append(picture)
    return seen


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def run(test: Callable[[], object]) -> None:
    asyncio.run(asyncio.wait_for(test(), SECONDS))


def test_pictures_come_one_after_the_other_and_the_last_is_kept():
    async def test() -> None:
        line = line_of(work := Work())
        assert await collected(line, "me", "a") == ["a 1", "a 2"]
        assert await collected(line, "you", "a") == ["a 2"]
        assert work.started == ["a"]

    run(test)


def test_those_who_ask_the_same_at_once_wait_for_one_computation():
    async def test() -> None:
        line = line_of(work := Work("a"))
        asked = [asyncio.create_task(collected(line, f"reader {i}", "a")) for i in range(3)]
        await until(lambda: work.started)
        work.go["a"].set()
        assert await asyncio.gather(*asked) == [["a 1", "a 2"]] * 3
        assert work.started == ["a"]

    run(test)


@pytest.mark.parametrize("at_once", [1, 2])
def test_so_many_are_computed_at_a_time_and_the_others_in_their_order(at_once: int):
    async def test() -> None:
        names = [f"q{i}" for i in range(6)]
        line = line_of(work := Work(*names[:at_once]), at_once)
        asked = [asyncio.create_task(collected(line, name, name)) for name in names]
        await until(lambda: len(work.started) == at_once)
        await asyncio.sleep(0.05)
        assert work.started == names[:at_once]
        for held in work.go.values():
            held.set()
        assert await asyncio.gather(*asked) == [[f"{name} 1", f"{name} 2"] for name in names]
        assert sorted(work.started) == names
        assert work.most == at_once

    run(test)


def test_what_a_visitor_does_not_want_any_more_ends_at_its_next_step():
    async def test() -> None:
        line = line_of(work := Work("old"))
        line.want("me", "old")
        old = asyncio.create_task(collected(line, "me", "old", seen := []))
        await until(lambda: seen)
        line.want("me", "new")
        assert await old == ["old 1"]
        assert await collected(line, "me", "new") == ["new 1", "new 2"]
        assert (work.finished, work.running) == (["new"], 0)

    run(test)


def test_what_another_waits_for_too_goes_on():
    async def test() -> None:
        line = line_of(work := Work("a"))
        line.want("me", "a")
        mine = asyncio.create_task(collected(line, "me", "a", seen := []))
        yours = asyncio.create_task(collected(line, "you", "a"))
        await until(lambda: seen)
        line.want("me", "b")
        assert await mine == ["a 1"]
        work.go["a"].set()
        assert await yours == ["a 1", "a 2"]
        assert work.started == ["a"]

    run(test)


def test_who_types_on_leaves_the_line_without_a_step():
    async def test() -> None:
        line = line_of(work := Work("first"))
        first = asyncio.create_task(collected(line, "you", "first"))
        await until(lambda: work.started)
        line.want("me", "g")
        waiting = asyncio.create_task(collected(line, "me", "g"))
        await asyncio.sleep(0.02)
        line.want("me", "go")
        assert await waiting == []
        work.go["first"].set()
        await first
        assert await collected(line, "me", "g") == []  # asked for by hand though no longer wanted
        assert await collected(line, "me", "go") == ["go 1", "go 2"]
        assert work.started == ["first", "go"]

    run(test)


def test_who_goes_away_holds_nobody_up():
    async def test() -> None:
        line = line_of(work := Work("a"))
        reader = line.answer("me", "a")
        assert await anext(reader) == "a 1"
        await reader.aclose()  # as gradio does when the browser is gone
        assert await collected(line, "you", "b") == ["b 1", "b 2"]
        assert work.finished == ["b"]

    run(test)


def test_a_line_that_is_full_says_so_and_takes_others_later():
    async def test() -> None:
        line = line_of(work := Work("a"), longest=1)
        asked = [asyncio.create_task(collected(line, "a", "a"))]
        await until(lambda: work.started)
        asked.append(asyncio.create_task(collected(line, "b", "b")))
        await asyncio.sleep(0.02)
        with pytest.raises(Busy):
            await collected(line, "c", "c")
        also = asyncio.create_task(collected(line, "d", "b"))  # it is in the line already
        await asyncio.sleep(0.02)
        work.go["a"].set()
        assert await asyncio.gather(*asked, also) == [["a 1", "a 2"], ["b 1", "b 2"], ["b 1", "b 2"]]
        assert await collected(line, "c", "c") == ["c 1", "c 2"]

    run(test)


def test_who_waits_long_is_told_how_many_come_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)

    async def test() -> None:
        line = line_of(work := Work("a"))
        asked = []
        for name in ("a", "b", "c"):
            asked.append(asyncio.create_task(collected(line, name, name)))
            await until(lambda: work.started)
        await asyncio.sleep(0.3)
        work.go["a"].set()
        first, second, third = await asyncio.gather(*asked)
        assert first == ["a 1", "a 2"]  # what is being computed is waited for without a word
        assert second == [Waiting(1), "b 1", "b 2"]
        assert third == [Waiting(2), "c 1", "c 2"]

    run(test)


def test_an_error_is_the_askers_and_the_next_is_answered():
    def explain(name: str) -> Iterator[str]:
        if name == "bad":
            raise ValueError("on purpose")
        yield name

    async def test() -> None:
        line = line_of(explain)
        with pytest.raises(ValueError, match="on purpose"):
            await collected(line, "me", "bad")
        assert await collected(line, "me", "good") == ["good"]

    run(test)


def test_a_visitor_of_whom_nothing_is_known_is_answered_and_few_are_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "VISITORS", 2)

    async def test() -> None:
        line = line_of(Work())
        for visitor in ("a", "b", "c"):
            line.want(visitor, "that")
        assert line.wants("a", "this")  # forgotten
        assert not line.wants("b", "this")
        assert line.wants("c", "that")

    run(test)


def test_going_on_is_nothing_where_nobody_asked():
    go_on()
    with asked_by(lambda: True):
        go_on()
    with pytest.raises(Unwanted), asked_by(lambda: False):
        go_on()
    go_on()
