from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gpt2cls_core.errors import OptionError
from gpt2cls_core.training.files import claim_folder, last_checkpoint, read_json, whole_folder, write_json


def test_json_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    assert read_json(path) is None
    write_json(path, {"ä": [1, 2.5, None]})
    assert read_json(path) == {"ä": [1, 2.5, None]}
    assert os.listdir(path.parent) == ["a.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(path, {"half": 2, "bad": object()})
    assert read_json(path) == 1

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, 2)
    assert read_json(path) == 1


def test_the_last_checkpoint_is_the_newest_whole_one(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "none") is None
    for step in (9, 80, 700):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert last_checkpoint(tmp_path) is None
    for step in (9, 80):  # 700 was cut short: the state file is written last
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text('{"epoch": 1}')
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-80")  # by number, not by name
    (tmp_path / "checkpoint-700" / "trainer_state.json").write_text('{"epoch": ')  # in the middle of that file
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-80")


def test_a_folder_is_not_shared_by_runs_with_other_options(tmp_path: Path) -> None:
    folder = claim_folder(tmp_path / "run", {"data": ("a", "b"), "lr": 0.1, "output": "x"})
    assert json.loads((folder / "options.json").read_text())["data"] == ["a", "b"]
    assert claim_folder(folder, {"data": ("typo",), "lr": 0.1, "output": "x"}) == folder  # nothing was written yet
    assert claim_folder(folder, {"data": ("a", "b"), "lr": 0.1, "output": "x"}) == folder
    (folder / "checkpoints").mkdir()
    assert claim_folder(folder, {"data": ("a", "b"), "lr": 0.1, "output": "elsewhere"}) == folder
    with pytest.raises(OptionError, match=r"lr: 0\.1 before, 0\.2 now.*another --output"):
        claim_folder(folder, {"data": ("a", "b"), "lr": 0.2, "output": "x"})
    assert claim_folder(folder, {"data": ("a", "b"), "lr": 0.2, "output": "x"}, may_change=("output", "lr")) == folder


def test_a_folder_takes_its_place_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "model"
    with whole_folder(target) as partial:
        (partial / "a").write_text("1")
        assert not target.exists()
    assert os.listdir(target.parent) == ["model"] and os.listdir(target) == ["a"]
    with pytest.raises(KeyboardInterrupt), whole_folder(target) as partial:
        (partial / "b").write_text("2")
        raise KeyboardInterrupt
    assert os.listdir(target.parent) == ["model"] and os.listdir(target) == ["a"]
    with whole_folder(target) as partial:
        (partial / "c").write_text("3")
    assert os.listdir(target.parent) == ["model"] and os.listdir(target) == ["c"]
    assert (target.stat().st_mode & 0o777, (target / "c").stat().st_mode & 0o777) == (0o755, 0o644)
