"""The page under load: as many simulated students as a class has, all at once.

Each types a text of their own, a few words more each time, looks at chapters in an order of their own, and thinks for a while
between. Every text holds a word that nobody else's does, so that an answer that shows another's can be told; so nothing can be
answered from what another asked before, which is the worst case. In a class, many try the examples first, and a share of the texts
can be those. The app runs in a process of its own, whose memory is looked at along the way.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median

from .client import Answer, Page, ask, read_page
from .page import APP, ROOT, answering, free_port

__all__ = ["Crowd", "load_table", "percentile", "simulate", "under_load"]

SENTENCE = (
    "a slow start but what an ending I did not expect to like it and yet the two sisters made me laugh until "
    "the last scene which was neither clever nor dull only warm and very well played"
)
EXAMPLES = ROOT / "assets" / "examples.json"
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
        again: requests for a chapter on a text that somebody had asked for before.
        pause: seconds of thought between two requests of a student, on average.
        processor: seconds of processor time that the app took in all; None where not known.
    """

    n_students: int
    answers: tuple[Answer, ...]
    strangers: int
    recognised: int
    memory: tuple[int, ...]
    again: int = 0
    pause: float = PAUSE
    processor: float | None = None


def under_load(n_students: int, n_requests: int, *, model: str, pause: float = PAUSE, examples: float = 0.0) -> Crowd:
    """Start the app, let the students at it, and end it.

    Args:
        pause, examples: as for `simulate`.

    Raises:
        Gpt2clsError: the app does not start.
    """
    port = free_port()
    with answering((*APP, "--model", model, "--port", str(port)), port, timeout=START_TIMEOUT) as process:
        page = read_page(port)
        for chapter in page.chapters:  # what the first reader of the day waits for is loaded
            ask(page, "warm-up", SENTENCE, chapter)
        before = _processor(process.pid)
        options = {"pause": pause, "examples": examples, "memory": lambda: _resident(process.pid)}
        crowd = simulate(page, n_students, n_requests, **options)
        return crowd if before is None else replace(crowd, processor=_processor(process.pid) - before)


def simulate(
    page: Page,
    n_students: int,
    n_requests: int,
    *,
    pause: float,
    examples: float = 0.0,
    memory: Callable[[], int | None] = lambda: None,
) -> Crowd:
    """Let `n_students` make `n_requests` in all.

    Args:
        pause: seconds of thought between two requests of a student, on average.
        examples: share of the requests that are about one of the page's examples, not about a text of the student's own.
        memory: asked after each answer.
    """
    numbers, words = count(), SENTENCE.split()
    offered = [example["text"] for example in json.loads(EXAMPLES.read_text(encoding="utf-8"))]
    answers: list[tuple[str, Answer]] = []
    asked: list[tuple[str, str]] = []
    sizes: list[int] = []

    def study(student: int) -> None:
        mine, draw = f"qz{student:04d}x", random.Random(student)
        n_words, chapter = draw.randrange(6, 12), draw.choice(page.chapters)
        time.sleep(draw.random() * pause)
        while next(numbers) < n_requests:
            text = " ".join([*words[:3], mine, *words[3:n_words]])
            if draw.random() < examples:
                text = draw.choice(offered)
            asked.append((text, chapter))
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
    given = tuple(answer for _, answer in answers)
    return Crowd(n_students, given, strangers, recognised, tuple(sizes), len(asked) - len(set(asked)), pause)


def load_table(crowd: Crowd) -> str:
    """Seconds, problems and memory as plain text."""
    good = [answer for answer in crowd.answers if not answer.problem]
    lines = [
        f"{crowd.n_students} students, {len(crowd.answers):,} requests, {len(good):,} answered",
        f"{crowd.pause:g} s of thought on average between two of a student; {crowd.again:,} asked again what somebody had",
    ]
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
    if crowd.processor is not None and crowd.answers:
        lines.append(f"processor time of the app: {crowd.processor / len(crowd.answers):.2f} s for each request")
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


def _processor(pid: int) -> float | None:
    """Seconds of processor time that a process has taken; None where Linux can't be asked."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
