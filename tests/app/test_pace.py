"""Long work shown in steps, with a clock of the test's own."""

from __future__ import annotations

import pytest

from app import pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed; a step adds to it."""
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


def steps(clock: list[float], seconds: list[float]):
    for number, duration in enumerate(seconds):
        clock[0] += duration
        yield number


def test_quick_work_is_shown_once(clock):
    assert list(pace.paced(steps(clock, [0.1, 0.1, 0.1]), lambda step: step == 2)) == [(2, False)]


def test_slow_work_is_shown_on_the_way(clock):
    shown = list(pace.paced(steps(clock, [0.5] * 5), lambda step: step == 4))
    assert shown == [(1, True), (3, True), (4, False)]


def test_what_takes_too_long_is_left_with_what_there_is(clock):
    shown = list(pace.paced(steps(clock, [5.0] * 10), lambda step: step == 9))
    assert shown == [(0, True), (1, True), (2, False)]
    assert clock[0] < 100 + 2 * pace.MOST_SECONDS


def test_a_single_step_is_the_last(clock):
    assert list(pace.paced(steps(clock, [60.0]), lambda step: True)) == [(0, False)]
