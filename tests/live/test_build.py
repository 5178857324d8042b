"""The built lesson: its sizes, what is in it, and what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from app import export, models
from app.live import build
from app.live.model import model_files
from app.settings import FIRST_TEXT
from gpt2cls_core import Classifier, OptionError


def test_one_file_is_within_its_limit_and_asks_for_nothing(lesson_file: Path) -> None:
    page = lesson_file.read_text(encoding="utf-8")
    assert lesson_file.stat().st_size <= 26_000_000
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!data:)', page)
    assert "Apache License" in page
    assert "Copyright (c) Microsoft" in page


def test_a_folder_is_within_its_limits_and_names_what_is_in_it(lesson_folder: Path) -> None:
    sizes = {file.name: file.stat().st_size for file in lesson_folder.iterdir()}
    assert max(sizes.values()) < 10_000_000
    assert sum(sizes.values()) <= 20_000_000
    asked = re.findall(r'<script src="([^"]+)"', (lesson_folder / "index.html").read_text(encoding="utf-8"))
    assert set(sizes) == {*asked, "index.html", "README.md", "licences.txt"}
    assert "sdk: static" in (lesson_folder / "README.md").read_text(encoding="utf-8")


def test_models_that_change_little_of_one_base_share_a_lesson() -> None:
    assert build.models_of("full") == ("full",)
    assert build.models_of("lora") == ("lora", "head", "prompt")


def test_what_can_not_share_a_lesson_is_refused(clf: Classifier) -> None:
    with pytest.raises(OptionError, match="stand on one base"):
        model_files([models.classifier("full"), models.classifier("head")])
    with pytest.raises(OptionError, match="two classes"):
        model_files([clf])
    with pytest.raises(OptionError, match="no model"):
        model_files([])


def test_a_file_that_would_be_too_large_is_not_written(
    node: str, lesson_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MOST_FILE", 1_000_000)
    with pytest.raises(build.BuildError, match=r"lesson.html would have 2\d.\d MB, and 1 MB is the most"):
        build.write_live_file(tmp_path / "lesson.html", "lora")
    assert not (tmp_path / "lesson.html").exists()


def test_without_npm_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "PACKAGES", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(build.BuildError, match=r"Node.js and npm; install them"):
        build.install_packages()


def test_a_script_that_is_broken_is_not_bundled(node: str) -> None:
    with pytest.raises(build.BuildError, match=r"none.js could not be bundled"):
        build.bundled("none.js")


def test_the_command_writes_the_form_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    written: list[tuple] = []
    monkeypatch.setattr(build, "write_live_file", lambda *given: written.append(("file", *given)))
    monkeypatch.setattr(build, "write_live_folder", lambda *given: written.append(("folder", *given)))
    export.main(["--live"])
    export.main(["--live", "--single-file", "Good film.", "--model", "lora", "-o", "course/lesson.html"])
    assert written == [
        ("folder", Path("lesson"), "full", FIRST_TEXT),
        ("file", Path("course/lesson.html"), "lora", "Good film."),
    ]
    assert capsys.readouterr().out == "Written: lesson\nWritten: course/lesson.html\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give the text to explain"),
        (["Good film.", "--single-file"], "--single-file goes with --live"),
        (["--live", "--chapters", "lens"], "--live takes neither --chapters nor --figures"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        export.main(arguments)
    assert problem in capsys.readouterr().err
