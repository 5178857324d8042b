"""Rows of a CSV, JSONL or Parquet file, one at a time, each with the line where it stands.

Files that people bring hold what no classifier can read: blank cells, numbers in place of texts, lines that are no JSON, an open
quote, bytes of another encoding. A row like that is no reason to stop after an hour, nor to leave it out, for then the output
no longer lines up with the input. So every line of the input becomes a row, and where it can't be read the row says why.

Whatever the file holds, no more than one line, one row or one small batch is in memory: a line of CSV or JSONL is read up to
1,000,000 characters and a text up to 100,000, the most that the library reads; what goes beyond is said and not kept.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..encoding import MAX_CHARACTERS
from ..errors import DataError

__all__ = ["KEPT", "read_rows"]

KEPT = "input_"
"""Stands before the name of a column that is copied, so that no name can hide one of the output's own."""

MOST_OF_A_LINE = 1_000_000
_NO_CHARACTER = re.compile("[\ud800-\udfff]")
Found = tuple[int, dict[str, Any], str | None]  # line, values by column, what is wrong with the row


def read_rows(path: str, text_column: str, keep: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows of a file in their order, none left out.

    Args:
        path: a .csv (comma, header, UTF-8), .jsonl or .ndjson (one object a line, UTF-8) or .parquet file.
        text_column: the column with the texts.
        keep: columns to copy, as text; what is no text is written as JSON.

    Returns:
        For each row a dictionary: ``line`` (where the row begins, the first line being 1; in Parquet the row, counted from 1),
        ``text`` (None where there is none), ``error`` (None, or why the row can't be read), ``input_NAME`` for each column
        kept.

    Raises:
        DataError: no such file, of another kind, damaged as a whole, or without one of the columns.
    """
    file = Path(path)
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".ndjson": _jsonl_rows, ".parquet": _parquet_rows}
    if file.suffix.lower() not in readers:
        raise DataError(f"{file.name} is none of {', '.join(readers)}. Save the table as one of them.")
    try:
        for line, values, problem in readers[file.suffix.lower()](file, (text_column, *keep)):
            text, unreadable = _text(values, text_column)
            kept = {KEPT + name: _as_text(values.get(name)) for name in keep}
            yield {"line": line, "text": text, "error": problem or unreadable, **kept}
    except OSError as error:
        raise DataError(f"{path} could not be read: {error.strerror or error}.") from error


def _csv_rows(file: Path, wanted: Sequence[str]) -> Iterator[Found]:
    before = csv.field_size_limit(MOST_OF_A_LINE)  # one number for the whole process
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            too_long: list[int] = []
            reader = csv.reader(_lines(stream, too_long), strict=True)
            try:
                header = next(reader, [])
            except csv.Error as error:
                raise DataError(f"The first line of {file.name} is no CSV header: {error}.") from error
            _check_columns(file, header, wanted)
            while True:
                line = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield line, {}, f"Lines {line} to {reader.line_num} are no CSV: {error}."
                    continue
                problem = None
                if not cells:
                    problem = "The line is empty."
                elif too_long and too_long[-1] >= line:
                    problem = f"Line {too_long[-1]} has more than {MOST_OF_A_LINE:,} characters."
                elif len(cells) != len(header):
                    problem = f"The header names {len(header)} columns, the row has {len(cells)}; is a quote missing?"
                yield line, dict(zip(header, cells, strict=False)), problem
    finally:
        csv.field_size_limit(before)


def _jsonl_rows(file: Path, _wanted: Sequence[str]) -> Iterator[Found]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as stream:
        too_long: list[int] = []
        for number, line in enumerate(_lines(stream, too_long), 1):
            problem, values = None, None
            if number in too_long[-1:]:
                problem = f"The line has more than {MOST_OF_A_LINE:,} characters."
            elif not line.strip():
                problem = "The line is empty."
            else:
                try:
                    values = json.loads(line)
                except (ValueError, RecursionError) as error:
                    problem = f"The line is no JSON: {error}."
            if problem is None and not isinstance(values, dict):
                problem = "The line is no JSON object."
            yield number, values if isinstance(values, dict) else {}, problem


def _parquet_rows(file: Path, wanted: Sequence[str]) -> Iterator[Found]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file, memory_map=True) as table:
            _check_columns(file, table.schema_arrow.names, wanted)
            number = 0
            for batch in table.iter_batches(batch_size=64, columns=list(dict.fromkeys(wanted))):
                for row in range(len(batch)):
                    number += 1
                    try:
                        yield number, {name: batch[name][row].as_py() for name in wanted}, None
                    except UnicodeDecodeError:
                        yield number, {}, "A column holds bytes that are not UTF-8."
    except pa.ArrowInvalid as error:
        raise DataError(f"{file.name} is damaged, or no Parquet file: {error}") from error


def _lines(stream: TextIO, too_long: list[int]) -> Iterator[str]:
    """Lines; of one beyond the limit only the start, and its number, counted from 1, is added to `too_long`."""
    number = 0
    while line := stream.readline(MOST_OF_A_LINE + 1):
        number += 1
        start = line
        while len(line) > MOST_OF_A_LINE and not line.endswith(("\n", "\r")):
            too_long += [number] if too_long[-1:] != [number] else []
            line = stream.readline(MOST_OF_A_LINE + 1)
        yield start


def _check_columns(file: Path, found: Sequence[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if found.count(name) != 1:
            held = ", ".join(repr(column)[:40] for column in found[:20]) or "no columns"
            problem = "two columns" if name in found else "no column"
            raise DataError(
                f"{file.name} has {problem} {name!r}; it has {held}. Name another with --text-column or --keep."
            )


def _text(values: dict[str, Any], column: str) -> tuple[str | None, str | None]:
    """The text to keep, and why it can't be read; blank ones are left to the library, which says so itself."""
    if column not in values:
        held = ", ".join(repr(name)[:40] for name in list(values)[:20]) or "none"
        return None, f"There is no column {column!r}; the row's columns: {held}."
    text = values[column]
    if not isinstance(text, str):
        what = "nothing (null)" if text is None else f"a value of type {type(text).__name__}"
        return None, f"The column holds {what}, not a text."
    kept = _as_text(text)
    if len(text) > MAX_CHARACTERS:
        return kept, f"The text has {len(text):,} characters; shorten it to {MAX_CHARACTERS:,} or fewer."
    if broken := _NO_CHARACTER.search(text):
        return kept, f"Character {broken.start() + 1} is none: a byte that is not UTF-8, or half of a surrogate pair."
    return kept, None


def _as_text(value: Any) -> str | None:  # noqa: ANN401 - whatever a file can hold
    """A value as text that can be stored."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return _NO_CHARACTER.sub("\ufffd", text[:MAX_CHARACTERS])
