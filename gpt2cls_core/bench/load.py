"""The page under load: as many simulated students as a class has, all at once.

Each types a text of their own, a few words more each time, looks at chapters in an order of their own, and thinks for a while
between. Every text holds a word that nobody else's does, so that an answer that shows another's can be told. The app runs in a
process of its own, whose memory is looked at along the way.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median

from .client import Answer, Page, ask, read_page
from .page import APP, answering, free_port

__all__ = ["Crowd", "load_table", "percentile", "simulate", "under_load"]

SENTENCE = (
    "a slow start but what an ending I did not expect to like it and yet the two sisters made me laugh until "
    "the last scene which was neither clever nor dull only warm and very well played"
)
PAUSE = 5.0  # seconds of thought between two requests, on average
TYPED = 0.5  # share of requests in which more is typed; in the others the chapter is switched
START_TIMEOUT = 300.0  # seconds
MARK = re.compile(r"qz\d{4}x")
MOMENTS = 5  # at which the app's memory is told, from the first answer to the last


@dataclass(frozen=True)
class Crowd:
    """What a crowd of students met.

    Attributes:
        answers: in the order in which they came.
        strangers: answers in which another student's word stood.
        recognised: answers in whose strip the student's own word was found.
        memory: bytes of the app after each answer; empty where not known.
    """

    n_students: int
    answers: tuple[Answer, ...]
    strangers: int
    recognised: int
    memory: tuple[int, ...]


def under_load(n_students: int, n_requests: int, *, model: str, pause: float = PAUSE) -> Crowd:
    """Start the app, let the students at it, and end it.

    Raises:
        Gpt2clsError: the app does not start.
    """
    port = free_port()
    with answering((*APP, "--model", model, "--port", str(port)), port, timeout=START_TIMEOUT) as process:
        page = read_page(port)
        for chapter in page.chapters:  # what the first reader of the day waits for is loaded
            ask(page, "warm-up", SENTENCE, chapter)
        return simulate(page, n_students, n_requests, pause=pause, memory=lambda: _resident(process.pid))


def simulate(
    page: Page, n_students: int, n_requests: int, *, pause: float, memory: Callable[[], int | None] = lambda: None
) -> Crowd:
    """Let `n_students` make `n_requests` in all.

    Args:
        pause: seconds of thought between two requests of a student, on average.
        memory: asked after each answer.
    """
    numbers, words = count(), SENTENCE.split()
    answers: list[tuple[str, Answer]] = []
    sizes: list[int] = []

    def study(student: int) -> None:
        mine, draw = f"qz{student:04d}x", random.Random(student)
        n_words, chapter = draw.randrange(6, 12), draw.choice(page.chapters)
        time.sleep(draw.random() * pause)
        while next(numbers) < n_requests:
            text = " ".join([*words[:3], mine, *words[3:n_words]])
            answers.append((mine, ask(page, mine, text, chapter)))
            size = memory()
            sizes.extend([] if size is None else [size])
            if draw.random() < TYPED:
                n_words = n_words % len(words) + draw.randrange(1, 4)
            else:
                chapter = draw.choice(page.chapters)
            time.sleep(draw.expovariate(1 / pause) if pause else 0)

    with ThreadPoolExecutor(n_students) as students:
        list(students.map(study, range(n_students)))
    strangers = sum(any(mark != mine for mark in MARK.findall(a.shown + " " + a.body)) for mine, a in answers)
    recognised = sum(mine in answer.shown for mine, answer in answers)
    return Crowd(n_students, tuple(answer for _, answer in answers), strangers, recognised, tuple(sizes))


def load_table(crowd: Crowd) -> str:
    """Seconds, problems and memory as plain text."""
    good = [answer for answer in crowd.answers if not answer.problem]
    lines = [f"{crowd.n_students} students, {len(crowd.answers):,} requests, {len(good):,} answered"]
    if good:
        width = max(len("explanation, whole"), *(len(answer.chapter) for answer in good))
        lines.append(f"{'':{width}}  {'median':>8}  {'95 %':>8}  {'longest':>8}")
        verdicts = [answer.verdict_seconds for answer in good]
        lines += [_row("verdict", verdicts, width), _row("explanation, whole", [a.seconds for a in good], width)]
        for chapter in sorted({answer.chapter for answer in good}):
            lines.append(_row(chapter, [a.seconds for a in good if a.chapter == chapter], width))
    problems = [answer.problem for answer in crowd.answers if answer.problem]
    lines.append(f"problems: {len(problems)}")
    lines += [f"  {problems.count(problem)} × {problem}" for problem in dict.fromkeys(problems)]
    lines.append(
        f"another's text shown: {crowd.strangers} of {len(good):,}; one's own recognised in {crowd.recognised:,} strips"
    )
    if crowd.memory:
        at = [round(i * (len(crowd.memory) - 1) / (MOMENTS - 1)) for i in range(MOMENTS)]
        told = ", ".join(f"{crowd.memory[i] / 1e6:,.0f}" for i in at)
        lines.append(f"memory of the app from the first answer to the last, MB: {told}")
    return "\n".join(lines)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _row(name: str, seconds: Sequence[float], width: int) -> str:
    cells = (median(seconds), percentile(seconds, 0.95), max(seconds))
    return f"{name:{width}}" + "".join(f"  {cell:6.2f} s" for cell in cells)


def _resident(pid: int) -> int | None:
    """Bytes of memory that a process holds; None where Linux can't be asked."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), None)
