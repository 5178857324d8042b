"""The line in which explanations wait, so that a class of readers gets them soon and the machine does nothing in vain.

An explanation may take seconds, and there are few processors: `at_once` are computed at a time, in the order in which they were
asked for. What nobody waits for any more (the reader has typed on) leaves the line, or ends at its next step if it is being
computed. Those who ask the same wait for one computation, and its last picture is kept for who asks later.

All of it lives in the server's event loop; the computing alone is done in threads.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .once import Bounded
from .unwanted import Unwanted, asked_by

__all__ = ["Busy", "Line", "Waiting"]

VISITORS = 4096  # whose last question is remembered
KEPT, KEPT_BYTES = 256, 64 * 2**20  # last pictures
PATIENCE = 1.0  # seconds without a picture, after which a reader is told why

Picture = TypeVar("Picture")


class Busy(Exception):
    """The line is as long as it may get."""


@dataclass(frozen=True)
class Waiting:
    """What a reader gets in place of a picture while others' come first.

    Attributes:
        before: how many, 1 or more.
    """

    before: int


@dataclass(eq=False)
class Work(Generic[Picture]):
    """One explanation that is waited for or being computed.

    Attributes:
        readers: how many wait for it.
        pictures: how many there were so far.
        whole: whether the latest is the last.
    """

    question: Hashable
    readers: int = 0
    pictures: int = 0
    latest: Picture | None = None
    started: bool = False
    ended: bool = False
    whole: bool = False
    error: Exception | None = None
    task: asyncio.Task | None = field(default=None, repr=False)


class Line(Generic[Picture]):
    """Answers questions, some at a time.

    Args:
        explain: gives the pictures of a question, each better than the one before; runs in a thread.
        size: bytes of a picture.
        at_once: explanations computed at the same time.
        longest: explanations that may wait.
    """

    def __init__(
        self,
        explain: Callable[[Hashable], Iterator[Picture]],
        *,
        size: Callable[[Picture], int],
        at_once: int,
        longest: int,
    ) -> None:
        self._explain, self._size, self._longest = explain, size, longest
        self._places = asyncio.Semaphore(at_once)
        self._threads = ThreadPoolExecutor(at_once, "explaining")
        self._works: OrderedDict[Hashable, Work[Picture]] = OrderedDict()  # in the order of the line
        self._kept: Bounded[Picture] = Bounded(KEPT, KEPT_BYTES)
        self._wanted: OrderedDict[Hashable, Hashable] = OrderedDict()
        self._listeners: list[asyncio.Future[None]] = []

    def want(self, visitor: Hashable, question: Hashable) -> None:
        """A visitor asks this now; what the same one asked before is not wanted any more."""
        self._wanted[visitor] = question
        self._wanted.move_to_end(visitor)
        if len(self._wanted) > VISITORS:
            self._wanted.popitem(last=False)
        self._tell()

    def wants(self, visitor: Hashable, question: Hashable) -> bool:
        """Whether a visitor still asks this; of one who never told what is wanted, it is believed."""
        return self._wanted.get(visitor, question) == question

    async def answer(self, visitor: Hashable, question: Hashable) -> AsyncIterator[Picture | Waiting]:
        """Pictures as they come, for as long as the visitor wants them; `Waiting` once if others have to wait, too.

        Raises:
            Busy: the line is too long.
        """
        kept = self._kept.get(question)
        if kept is not None:
            yield kept
            return
        told, until = False, asyncio.get_running_loop().time() + PATIENCE
        while self.wants(visitor, question):
            work = self._works.get(question) or self._start(question)
            work.readers += 1
            seen = 0
            try:
                while self.wants(visitor, question):
                    if work.pictures > seen:
                        seen = work.pictures
                        yield work.latest
                    elif work.ended:
                        break
                    elif not await self._news(None if told or work.started else until):
                        told = True
                        yield Waiting(list(self._works).index(question))
            finally:
                self._leave(work)
            if work.error:
                raise work.error
            if work.whole:
                return

    def _start(self, question: Hashable) -> Work[Picture]:
        if sum(not work.started for work in self._works.values()) >= self._longest:
            raise Busy
        work = self._works[question] = Work(question)
        work.task = asyncio.create_task(self._compute(work))
        work.task.add_done_callback(lambda _task: self._end(work))
        return work

    def _leave(self, work: Work[Picture]) -> None:
        work.readers -= 1
        if not work.readers and not work.started:
            self._end(work)
            work.task.cancel()

    def _end(self, work: Work[Picture]) -> None:
        work.ended = True
        if self._works.get(work.question) is work:
            del self._works[work.question]
        self._tell()

    async def _compute(self, work: Work[Picture]) -> None:
        loop = asyncio.get_running_loop()
        async with self._places:
            work.started = True
            steps = self._explain(work.question)
            try:
                while not work.whole and work.readers:
                    picture = await loop.run_in_executor(self._threads, self._step, steps, work)
                    if picture is None:
                        work.whole = True
                        self._kept.put(work.question, work.latest, self._size(work.latest))
                    else:
                        work.latest, work.pictures = picture, work.pictures + 1
                        self._tell()
            except Unwanted:
                pass
            except Exception as error:
                work.error = error
            finally:
                steps.close()

    @staticmethod
    def _step(steps: Iterator[Picture], work: Work[Picture]) -> Picture | None:
        with asked_by(lambda: work.readers > 0):
            return next(steps, None)

    def _tell(self) -> None:
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            if not listener.done():
                listener.set_result(None)

    async def _news(self, until: float | None) -> bool:
        """Wait until something has changed; False if nothing did until then, by the event loop's clock."""
        loop = asyncio.get_running_loop()
        listener = loop.create_future()
        self._listeners.append(listener)
        done, _ = await asyncio.wait([listener], timeout=until and max(0, until - loop.time()))
        return bool(done)
