"""The bench times every view of every chapter; no test asserts a time."""

from __future__ import annotations

import pytest

from app import bench
from app.chapters import CHAPTERS


def test_every_view_of_every_chapter_is_timed_and_the_verdict_comes_last(tiny_folder, monkeypatch):
    monkeypatch.setattr(bench, "TEXT", "good film, but not for me")  # the tiny model reads twelve tokens
    names = [timing.name for timing in bench.chapter_timings(str(tiny_folder), repeats=1)]
    views = [len(getattr(chapter, "VIEWS", [None])) for chapter in CHAPTERS]
    assert len(names) == sum(views) + 1
    for number, (chapter, count) in enumerate(zip(CHAPTERS, views, strict=True), 1):
        assert sum(name.startswith(f"{number}. {chapter.TITLE}") for name in names) == count
    assert names[-1] == "verdict"


def test_every_classifier_is_switched_to_and_shared_bodies_count_once():
    names = ["head", "prompt", "full"]
    assert [timing.name for timing in bench.switch_timings(names, repeats=1)] == [
        "switch to the head alone", "switch to soft prompt", "switch to everything",
    ]  # fmt: skip
    together, apart = bench.memory(names)
    assert 1.9 < 3 * together / apart < 2.2  # head and prompt share one body of three


def test_too_few_repeats_are_refused(capsys):
    with pytest.raises(SystemExit):
        bench.main(["--repeats", "1"])
    assert "a median of fewer says little" in capsys.readouterr().err
