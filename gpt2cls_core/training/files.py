"""Files that are whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import OptionError

__all__ = ["claim_folder", "last_checkpoint", "read_json", "whole_folder", "write_json", "write_text"]


def write_text(path: Path, content: str) -> None:
    """Write a file in one move, so that a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(content, encoding="utf-8")
    os.replace(partial, path)


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write JSON in one move."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path, default: Any = None) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """What a JSON file holds, or `default` where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else default


def claim_folder(folder: str | Path, options: dict[str, Any], *, may_change: tuple[str, ...] = ("output",)) -> Path:
    """Make a run's folder, or enter it again with the same options to resume.

    A run that stopped before it wrote anything, over a mistyped source say, leaves nothing to mix and binds nobody.

    Raises:
        OptionError: the folder holds a run with other options; going on would mix the two.
    """
    folder = Path(folder)
    options = json.loads(json.dumps(options))  # as it will be read back: tuples are lists
    begun = folder.is_dir() and any(not path.name.startswith("options.json") for path in folder.iterdir())
    before = read_json(folder / "options.json", options) if begun else options
    changed = [k for k in options if k not in may_change and options[k] != before.get(k)]
    if changed:
        what = ", ".join(f"{k}: {before.get(k)!r} before, {options[k]!r} now" for k in changed)
        raise OptionError(f"{folder} holds a run with other options ({what}). Choose another --output, or delete it.")
    write_json(folder / "options.json", options)
    return folder


def last_checkpoint(folder: str | Path) -> str | None:
    """The newest whole checkpoint in `folder`; one that a kill cut short is passed over: its state file, the last to be written, is
    missing or ends halfway."""
    complete = [p for p in Path(folder).glob("checkpoint-*") if _is_json(p / "trainer_state.json")]
    return str(max(complete, key=lambda p: int(p.name.rpartition("-")[2]))) if complete else None


def _is_json(path: Path) -> bool:
    try:
        return read_json(path) is not None
    except ValueError:
        return False


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `target` in one move when the block ends well, and else is gone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, not in /tmp: a rename is one move only within one file system.
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.", suffix=".partial"))
    try:
        yield partial
        for file in partial.iterdir():
            file.chmod(0o644)
        partial.chmod(0o755)
        _replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _replace(partial: Path, target: Path) -> None:
    """Move a finished folder to its place; the one that was there is gone only when the new one stands."""
    old = target.with_name(target.name + ".old.partial")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(partial, target)
    shutil.rmtree(old, ignore_errors=True)
