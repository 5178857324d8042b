"""Every line of a file becomes a row, whatever it holds; one that can't be read says why."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt2cls_core import DataError
from gpt2cls_core.batch import rows
from gpt2cls_core.batch.rows import read_rows

ANY = settings(
    deadline=None, max_examples=100, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(path: Path, content: bytes | str, *, column: str = "text", keep: tuple[str, ...] = ()) -> list[tuple]:
    """(line, text, error, kept …) of every row."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return [tuple(row.values()) for row in read_rows(str(path), column, keep)]


# --- CSV ---


def test_csv_worked_out_by_hand(tmp_path: Path) -> None:
    content = (
        "\ufeffid,text\r\n"
        "a,one\r\n"
        'b,"two\nlines, a comma and ""quotes"""\r\n'
        "c,NA\r\n"
        "d,\r\n"
        "\r\n"
        "e\r\n"
        "f,split, at a comma\r\n"
        "g,last"
    )
    assert read(tmp_path / "d.csv", content, keep=("id",)) == [
        (2, "one", None, "a"),
        (3, 'two\nlines, a comma and "quotes"', None, "b"),
        (5, "NA", None, "c"),  # a text, though many readers take it for a missing value
        (6, "", None, "d"),  # the library says itself what is wrong with it
        (7, None, "The line is empty.", None),
        (8, None, "The header names 2 columns, the row has 1; is a quote missing?", "e"),
        (9, "split", "The header names 2 columns, the row has 3; is a quote missing?", "f"),
        (10, "last", None, "g"),
    ]


def test_an_open_quote_is_reported_with_the_lines_that_it_took(tmp_path: Path) -> None:
    found = read(tmp_path / "d.csv", 'text\n"open\nswallowed\n"closed" and more\nfine\n"open to the end\n')
    assert [(line, text) for line, text, _ in found] == [(2, None), (5, "fine"), (6, None)]
    assert found[0][2].startswith("Lines 2 to 4 are no CSV: ")
    assert found[2][2].startswith("Lines 6 to 6 are no CSV: ")


def test_bytes_that_are_not_utf_8_are_reported_and_can_be_stored(tmp_path: Path) -> None:
    found = read(tmp_path / "d.csv", "text,id\ncafé,ü\nfine,1\n".encode("latin-1"), keep=("id",))
    problem = "Character 4 is none: a byte that is not UTF-8, or half of a surrogate pair."
    assert found == [(2, "caf\ufffd", problem, "\ufffd"), (3, "fine", None, "1")]


@ANY
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_texts_that_csv_wrote_come_back(texts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["text", "n"], *([text, 1] for text in texts)])
    found = list(read_rows(str(path), "text"))
    assert [(row["text"], row["error"]) for row in found] == [(text, None) for text in texts]
    lines = path.read_text(encoding="utf-8").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert [row["line"] for row in found] == sorted({row["line"] for row in found}) and found[-1]["line"] <= len(lines)


@ANY
@given(content=st.binary(max_size=200))
def test_any_bytes_after_a_header_make_rows_that_can_be_stored(content: bytes, tmp_path: Path) -> None:
    found = read(tmp_path / "d.csv", b"text,id\n" + content, keep=("id",))
    lines = [row[0] for row in found]
    assert lines == sorted(set(lines)) and all(line > 1 for line in lines)
    assert all(text is not None or error for _, text, error, _ in found)
    pa.array([value for row in found for value in row[1:]], pa.string())  # raises where a string is no UTF-8
    assert bool(found) == bool(content)


def test_the_limit_of_the_csv_module_is_left_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    read(tmp_path / "d.csv", "text\na\n")
    assert csv.field_size_limit() == before


# --- JSONL ---


def test_jsonl_worked_out_by_hand(tmp_path: Path) -> None:
    content = (
        '{"text": "one", "n": 1, "deep": {"a": [1]}}\n'
        '{"text": 5, "n": "x"}\n'
        '{"text": null}\n'
        '{"txt": "typo"}\n'
        "\n"
        "[1, 2]\n"
        '{"text": "cut sho\n'
        '{"text": "\\ud800 half"}\n'
        '{"text": "line\\nbreak \\u2028"}'
    )
    assert read(tmp_path / "d.jsonl", content, keep=("n", "deep")) == [
        (1, "one", None, "1", '{"a": [1]}'),
        (2, None, "The column holds a value of type int, not a text.", "x", None),
        (3, None, "The column holds nothing (null), not a text.", None, None),
        (4, None, "There is no column 'text'; the row's columns: 'txt'.", None, None),
        (5, None, "The line is empty.", None, None),
        (6, None, "The line is no JSON object.", None, None),
        (7, None, "The line is no JSON: Invalid control character at: line 1 column 18 (char 17).", None, None),
        (8, "\ufffd half", "Character 1 is none: a byte that is not UTF-8, or half of a surrogate pair.", None, None),
        (9, "line\nbreak \u2028", None, None, None),
    ]


def test_json_too_deep_for_python_is_one_bad_row(tmp_path: Path) -> None:
    found = read(tmp_path / "d.ndjson", "[" * 100_000 + '\n{"text": "fine"}\n')
    assert [row[:2] for row in found] == [(1, None), (2, "fine")]
    assert found[0][2].startswith("The line is no JSON")


LINES = st.text().map(lambda text: text.replace("\n", " ")) | st.text().map(lambda text: json.dumps({"text": text}))


@ANY
@given(lines=st.lists(LINES))
def test_every_line_is_a_row_that_can_be_stored(lines: list[str], tmp_path: Path) -> None:
    content = "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")
    found = read(tmp_path / "d.jsonl", content)
    assert [row[0] for row in found] == list(range(1, len(lines) + 1))
    pa.array([value for row in found for value in row[1:]], pa.string())  # raises where a string is no UTF-8


# --- Parquet ---


def test_parquet_rows_are_counted_from_1(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    texts = [f"text {i}" for i in range(150)] + [None]
    pq.write_table(pa.table({"n": range(151), "text": texts, "number": range(151)}), path, row_group_size=100)
    found = list(read_rows(str(path), "text", ("n",)))
    assert [row["line"] for row in found] == list(range(1, 152))
    assert [row["text"] for row in found] == texts
    assert found[149] == {"line": 150, "text": "text 149", "error": None, "input_n": "149"}
    assert found[150]["error"] == "The column holds nothing (null), not a text."
    assert next(read_rows(str(path), "number"))["error"] == "The column holds a value of type int, not a text."


def test_a_parquet_text_that_is_not_utf_8_is_one_bad_row(tmp_path: Path) -> None:
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"\xff\xfea"))
    pq.write_table(pa.table({"text": broken}), tmp_path / "d.parquet")
    found = list(read_rows(str(tmp_path / "d.parquet"), "text"))
    assert found[0] == {"line": 1, "text": None, "error": "A column holds bytes that are not UTF-8."}
    assert found[1] == {"line": 2, "text": "a", "error": None}


# --- bounds ---


def test_what_is_longer_than_the_limits_is_said_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_OF_A_LINE", 30)
    monkeypatch.setattr(rows, "MAX_CHARACTERS", 9)
    assert read(tmp_path / "d.jsonl", '{"text": "' + "x" * 70 + '"}\n{"text": "1234567890"}\n{"text": "fine"}\n') == [
        (1, None, "The line has more than 30 characters."),
        (2, "123456789", "The text has 10 characters; shorten it to 9 or fewer."),
        (3, "fine", None),
    ]
    # Line 3 would be cut inside its text without a word, were it not looked at; the field of line 6 is long by lines.
    content = (
        "n,text\n1,"
        + "x" * 70
        + "\n"
        + "2" * 25
        + ',"the line\nis cut in this text"\n3,fine\n4,"'
        + "a few words\n" * 3
    )
    found = read(tmp_path / "d.csv", content)
    assert [row[0] for row in found] == [2, 3, 5, 6]
    assert [row[2] for row in found[:3]] == [f"Line {i} has more than 30 characters." for i in (2, 3)] + [None]
    assert found[3][2] == "Lines 6 to 8 are no CSV: field larger than field limit (30)."


@pytest.mark.parametrize("kind", ["csv", "jsonl", "one line"])
def test_memory_does_not_grow_with_the_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("d.csv" if kind == "csv" else "d.jsonl")
    line = {"csv": "x" * 99 + "\n", "jsonl": json.dumps({"text": "x" * 87}) + "\n", "one line": "x" * 100}[kind]
    with path.open("w") as stream:
        stream.write("text\n" if kind == "csv" else "")
        stream.writelines(line for _ in range(100_000))
    size = path.stat().st_size
    tracemalloc.start()
    try:
        n_rows = sum(1 for _ in read_rows(str(path), "text"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 9_900_000 and n_rows == (1 if kind == "one line" else 100_000)
    assert (
        peak < 5_000_000
    )  # a line of a million characters and what decodes it; a list of all rows would be over 20 MB


# --- what is no table at all ---


def test_files_that_can_not_be_read_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"d\.xlsx is none of \.csv, \.jsonl, \.ndjson, \.parquet\. Save the table"):
        read(tmp_path / "d.xlsx", "")
    with pytest.raises(DataError, match=r"none\.csv could not be read: No such file"):
        list(read_rows(str(tmp_path / "none.csv"), "text"))
    with pytest.raises(DataError, match=r"d\.parquet is damaged, or no Parquet file"):
        read(tmp_path / "d.parquet", "text\na\n")
    with pytest.raises(DataError, match=r"no column 'text'; it has 'id', 'review'\. Name another with --text-column"):
        read(tmp_path / "d.csv", "id,review\n1,a\n")
    with pytest.raises(DataError, match=r"two columns 'text'"):
        read(tmp_path / "d.csv", "text,text\n1,a\n")
    with pytest.raises(DataError, match=r"no column 'text'; it has no columns"):
        read(tmp_path / "d.csv", "")
    with pytest.raises(DataError, match=r"The first line of d\.csv is no CSV header"):
        read(tmp_path / "d.csv", '"te"xt\n')
