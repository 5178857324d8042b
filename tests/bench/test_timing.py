"""Seconds and memory are measured as they are said to be; no test asserts a time."""

from __future__ import annotations

import pytest
import torch
from conftest import TEXT

from gpt2cls_core import Classifier
from gpt2cls_core.bench import TEXT as LONG
from gpt2cls_core.bench import Timing, in_turns, machine, table
from gpt2cls_core.bench.timing import peak_bytes, text_of


@pytest.mark.parametrize(("warm", "expected"), [(False, "ab" + "ababab"), (True, "ababab")])
def test_in_turns_warms_up_once_and_then_alternates(warm: bool, expected: str):
    calls: list[str] = []
    runs = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3, warm=warm)
    assert "".join(calls) == expected
    assert {name: len(seconds) for name, seconds in runs.items()} == {"a": 3, "b": 3}
    assert all(second >= 0 for seconds in runs.values() for second in seconds)


def test_table_shows_medians_and_ratios_to_the_last_line():
    text = table([Timing("fast", (0.030, 0.010, 0.020), "16 steps"), Timing("yardstick", (0.080, 0.080, 0.090))])
    head, fast, yardstick = text.splitlines()
    assert head.split() == ["median", "fastest", "ratio"]
    assert fast.split() == ["fast", "20.0", "ms", "10.0", "ms", "0.25", "16", "steps"]
    assert yardstick.split() == ["yardstick", "80.0", "ms", "80.0", "ms", "1.00"]


def test_the_machine_is_named():
    assert f"torch {torch.__version__}" in machine()
    assert f"{torch.get_num_threads()} torch threads" in machine()


@pytest.mark.parametrize("n_tokens", [1, 7, 12])
def test_a_text_of_so_many_tokens(clf: Classifier, n_tokens: int):
    encoding = text_of(clf, n_tokens)
    assert len(encoding) == n_tokens
    assert encoding.text in LONG
    assert encoding.tokens_cut == 0


def test_a_text_is_no_longer_than_the_context(clf: Classifier):
    assert len(text_of(clf, 500)) == clf.context


def test_a_text_is_repeated_where_it_is_too_short(clf: Classifier, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gpt2cls_core.bench.timing.TEXT", TEXT[:9])
    assert text_of(clf, 5).text == "good film good film"


def test_the_peak_is_what_was_held_at_once_and_freed_again():
    def hold(megabytes: int, times: int) -> None:
        for _ in range(times):
            torch.ones(megabytes * 250_000)  # four bytes each; written to, so that the pages are really there

    small, large = peak_bytes(lambda: hold(100, 4)), peak_bytes(lambda: hold(400, 1))
    if small is None:
        pytest.skip("this system does not tell a process its peak")
    assert 95e6 < small < 150e6, "four times 100 MB one after another are 100 MB at once; the rest is the allocator's"
    assert 380e6 < large < 450e6


def test_where_the_peak_is_not_known_the_action_runs_all_the_same(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    calls: list[int] = []
    assert peak_bytes(lambda: calls.append(1)) is None
    assert calls == [1]
