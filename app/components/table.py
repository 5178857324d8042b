"""A small table of plain words under a figure, for what can't be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .base import ScriptedHTML


@dataclass(frozen=True)
class Table:
    """Plain words in rows.

    Attributes:
        caption: what stands above it.
        columns: heads, the first over the rows' names.
        rows: a name and cells; a line break in a cell is kept.
        strong: rows whose name stands out.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: Sequence[int] = ()


class TableView(ScriptedHTML):
    """Shows a `Table`, or nothing for None."""

    def __init__(self, **props: Any) -> None:  # noqa: ANN401
        super().__init__("table", template='<div class="table-scroll"><table></table></div>', **props)

    def postprocess(self, value: Table | None) -> dict[str, Any] | None:
        if value is None:
            return None
        rows = [list(row) for row in value.rows]
        return {"caption": value.caption, "columns": list(value.columns), "rows": rows, "strong": list(value.strong)}
