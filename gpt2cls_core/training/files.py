"""Files that are whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write JSON in one move, so that a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def last_checkpoint(folder: str | Path) -> str | None:
    """The newest complete trainer checkpoint in `folder`; one that a kill cut short lacks its state file and is passed over."""
    complete = [p for p in Path(folder).glob("checkpoint-*") if (p / "trainer_state.json").is_file()]
    return str(max(complete, key=lambda p: int(p.name.rpartition("-")[2]))) if complete else None
