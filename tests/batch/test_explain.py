"""A file in, a file out: nothing lost, nothing done twice, nothing half-written taken for whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import save_tiny

from gpt2cls_core import (
    Classifier,
    DataError,
    Gpt2clsError,
    ModelError,
    OptionError,
    attention_rollout,
    integrated_gradients,
    predict,
    trace,
)
from gpt2cls_core import __main__ as command
from gpt2cls_core.batch import explain
from gpt2cls_core.batch.columns import METHODS, explain_rows, schema
from gpt2cls_core.batch.explain import explain_file
from gpt2cls_core.batch.options import ExplainOptions

TEXTS = ["good film", "not good", "", "good film, but not for me at all", "bad", "\u202e\x1b[31m${1}<b>", "me"]
BAD, CUT = 4, 5  # lines of the file
Make = Callable[..., ExplainOptions]


@pytest.fixture(scope="session")
def tiny2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("tiny2"), 2, seed=1))


@pytest.fixture
def make(tmp_path: Path, tiny2: str, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Options for TEXTS as CSV, in parts of 2 rows; keywords change them."""
    monkeypatch.setattr(explain, "ROWS_IN_A_PART", 2)
    table = "".join(f'{i},"{text}"\n' for i, text in enumerate(TEXTS))
    (tmp_path / "d.csv").write_text("id,text\n" + table, encoding="utf-8")
    tiny = {"data": str(tmp_path / "d.csv"), "output": str(tmp_path / "o.parquet"), "model": tiny2, "methods": METHODS}
    return lambda **changes: ExplainOptions(**{**tiny, **changes})


def rows_of(options: ExplainOptions) -> list[dict]:
    return pq.read_table(options.output).to_pylist()


def left(options: ExplainOptions) -> list[str]:
    return sorted(path.name for path in Path(options.output).parent.iterdir())


# --- columns ---


def test_the_columns_say_what_the_library_says(clf: Classifier) -> None:
    given = [{"line": i, "text": text, "error": None} for i, text in enumerate(["good film", "not for me"])]
    explained = explain_rows(clf, given, baseline="mean")
    for row in explained:
        verdict, scores = predict(clf, row["text"]), integrated_gradients(clf, row["text"], baseline="mean")
        rollout = attention_rollout(trace(clf, row["text"]))
        assert (row["label"], row["target"]) == (verdict.label, verdict.label)  # of five classes the predicted one
        assert row["margin"] == pytest.approx(verdict.margin, abs=1e-5)  # float32, in a batch of two
        assert row["probabilities"] == pytest.approx(verdict.probabilities.tolist(), abs=1e-6)
        assert row["labels"] == clf.labels
        assert row["tokens"] == clf.encode(row["text"]).tokens
        assert row["attribution"] == scores.scores.tolist()
        assert row["rollout"] == rollout.weights[-1].tolist()
        assert row["rollout_null"] == rollout.null[-1].tolist()


def test_scores_add_up_to_what_they_explain_and_shares_to_one(clf2: Classifier) -> None:
    row = explain_rows(clf2, [{"line": 1, "text": "good film, but not", "error": None}])[0]
    change = row["margin"] - row["margin_baseline"]
    assert sum(row["attribution"]) == pytest.approx(change + row["convergence_delta"], abs=1e-5)  # float32
    assert sum(row["rollout"]) == pytest.approx(1, abs=1e-6)
    assert sum(row["rollout_null"]) == pytest.approx(1, abs=1e-6)


def test_a_row_with_an_error_keeps_it_and_gets_nothing_else(clf: Classifier) -> None:
    given = [{"line": 3, "text": None, "error": "broken"}, {"line": 4, "text": " \t", "error": None}]
    assert explain_rows(clf, given) == [given[0], {**given[1], "error": str(blank(clf))}]
    assert given[1]["error"] is None, "what was given is not changed"


def blank(clf: Classifier) -> Exception:
    with pytest.raises(ValueError, match="There is no text") as caught:
        clf.encode(" ")
    return caught.value


@pytest.mark.parametrize("methods", [(), *((method,) for method in METHODS), METHODS])
def test_the_schema_names_exactly_the_columns(methods: tuple[str, ...], clf: Classifier) -> None:
    rows = explain_rows(clf, [{"line": 1, "input_n": "7", "text": "me", "error": None}], methods=methods)
    columns = schema(methods, ("n",))
    assert set(columns.names) == set(rows[0])
    stored = pa.Table.from_pylist(rows, columns).to_pylist()[0]
    assert stored["input_n"] == "7" and stored["tokens"] == list(rows[0]["tokens"])


# --- round trip ---


def test_every_row_comes_back_in_its_place(make: Make, clf2: Classifier) -> None:
    options = make(keep=("id",))
    report = explain_file(options)
    rows = rows_of(options)
    assert [row["text"] for row in rows] == TEXTS
    assert [row["input_id"] for row in rows] == [str(i) for i in range(7)]
    assert [row["line"] for row in rows] == list(range(2, 9))
    assert [row["line"] for row in rows if row["error"]] == [BAD]
    assert [row["line"] for row in rows if row["tokens_cut"]] == [CUT, 7]
    assert rows[0]["margin"] == pytest.approx(predict(clf2, TEXTS[0]).margin, abs=1e-5)  # float32, in a batch
    assert all(row["converged"] is not None for row in rows if not row["error"])
    assert (report.n_rows, report.n_errors, report.n_cut) == (7, 1, 2)
    assert report.remarks[0] == "line 4: There is no text to read yet. Type at least one word."
    n_cut = rows[3]["tokens_cut"]
    assert report.remarks[1] == f"line 5: the first {n_cut} tokens were cut; the end is read." and n_cut > 0
    assert left(options) == ["d.csv", "o.parquet"]


def test_jsonl_and_parquet_give_what_csv_gives(make: Make, tmp_path: Path) -> None:
    options = make()
    explain_file(options)
    expected = rows_of(options)
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "d.parquet")
    pa_options = make(data=str(tmp_path / "d.parquet"), output=str(tmp_path / "p.parquet"))
    explain_file(pa_options)
    assert rows_of(pa_options) == [{**row, "line": row["line"] - 1} for row in expected]  # a CSV has a header


# --- resume ---


def test_a_stopped_run_goes_on_where_it_was(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options, whole = make(), make(output=str(tmp_path / "whole.parquet"))
    explain_file(whole)
    lines: list[int] = []

    def explain_and_stop(clf: Classifier, rows: list[dict], **options: object) -> list[dict]:
        lines.extend(row["line"] for row in rows)
        if 6 in lines:
            raise KeyboardInterrupt
        return explain_rows(clf, rows, **options)

    monkeypatch.setattr(explain, "explain_rows", explain_and_stop)
    with pytest.raises(KeyboardInterrupt):
        explain_file(options)
    parts = tmp_path / "o.parquet.parts"
    assert lines == [2, 3, 4, 5, 6, 7]
    assert not Path(options.output).exists()
    (parts / "000000000004.parquet.99.partial").write_bytes(b"half of a part")  # what a kill while writing leaves

    def explain_and_note(clf: Classifier, rows: list[dict], **options: object) -> list[dict]:
        lines.extend(row["line"] for row in rows)
        return explain_rows(clf, rows, **options)

    lines.clear()
    monkeypatch.setattr(explain, "explain_rows", explain_and_note)
    explain_file(options)
    assert lines == [6, 7, 8], "what was finished is not done again"
    assert rows_of(options) == rows_of(whole)
    assert left(options) == ["d.csv", "o.parquet", "whole.parquet"]


@pytest.mark.parametrize("moment", ["replace", "rmtree"])
def test_a_run_killed_after_its_output_was_written_ends_when_given_again(
    moment: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = make()
    module, real = {"replace": (explain.os, explain.os.replace), "rmtree": (explain.shutil, explain.shutil.rmtree)}[
        moment
    ]

    def killed(path: Path, *more: object, **how: object) -> None:
        if Path(options.output).exists():
            raise KeyboardInterrupt
        real(path, *more, **how)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, moment, killed)
        explain_file(options)
    assert left(options) == ["d.csv", "o.parquet", "o.parquet.parts"]
    before = rows_of(options)
    explain_file(options)
    assert left(options) == ["d.csv", "o.parquet"]
    assert rows_of(options) == before


def test_parts_of_another_run_are_not_mixed_in(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(explain, "_join", stop)
        explain_file(make())
    with pytest.raises(OptionError, match=r"baseline: 'eos' before, 'zero' now.*Choose another --output, or delete it"):
        explain_file(make(baseline="zero"))
    Path(make().data).write_text("text\nchanged\n", encoding="utf-8")
    with pytest.raises(OptionError, match=r"data_is: '.* bytes, changed .*' before"):
        explain_file(make())


def in_a_session(options: ExplainOptions, *more: str) -> subprocess.Popen[str]:
    line = [options.data, "-o", options.output, "--model", options.model, *more]
    return subprocess.Popen(
        [sys.executable, "-m", "gpt2cls_core", "explain", *line],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_killed_and_given_again_two_processes_give_what_one_gives(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "many.csv"
    data.write_text("text\n" + "".join(f"good film {i}\n" for i in range(3000)) + '""\n', encoding="utf-8")
    one, two = (make(data=str(data), output=str(tmp_path / f"{name}.parquet"), methods=("verdict",)) for name in "12")
    methods = ("--methods", "verdict", "--processes", "2")
    parts = tmp_path / "2.parquet.parts"
    run = in_a_session(two, *methods)
    deadline = time.monotonic() + 300
    while len(list(parts.glob("*.parquet"))) < 2 and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    run.stderr.close()
    finished = {part: part.stat().st_mtime_ns for part in parts.glob("*.parquet")}
    assert len(finished) >= 2 and not Path(two.output).exists()

    again = in_a_session(two, *methods)
    said, progress = again.communicate(timeout=300)
    assert again.returncode == 0, progress
    assert said == f"Written: {two.output} (3,001 rows, 1 with an error, 0 cut at the start)\n"
    assert "Explaining, in parts of 64 rows" in progress
    assert progress.endswith("line 3002: There is no text to read yet. Type at least one word.\n")
    monkeypatch.setattr(explain, "ROWS_IN_A_PART", 64)  # as in the processes
    explain_file(one)
    assert rows_of(two) == rows_of(one)
    try:
        assert ended(run.pid), "the killed command's processes go on without it"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)  # the manager, which does not notice by itself


def ended(session: int, seconds: float = 60) -> bool:
    """Whether of a killed command's processes none is left after a while, but for the manager of their queue."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if sum(session_of(process) == session for process in Path("/proc").glob("[0-9]*")) <= 1:
            return True
        time.sleep(0.1)
    return False


def session_of(process: Path) -> int | None:
    try:
        state, _, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:  # it ended meanwhile
        return None
    return None if state == "Z" else int(session)


# --- bounds ---


def test_no_more_is_held_than_a_part_of_the_input_and_a_group_of_the_output(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = make(data=str(Path(make().data).with_name("many.csv")), methods=("verdict",))
    Path(options.data).write_text("text\n" + "good\n" * 23, encoding="utf-8")
    sizes: list[int] = []

    def counted(clf: Classifier, rows: list[dict], **options: object) -> list[dict]:
        sizes.append(len(rows))
        return explain_rows(clf, rows, **options)

    monkeypatch.setattr(explain, "explain_rows", counted)
    monkeypatch.setattr(explain, "PARTS_IN_A_GROUP", 3)
    explain_file(options)
    assert sizes == [2] * 11 + [1]
    written = pq.ParquetFile(options.output).metadata
    assert [written.row_group(i).num_rows for i in range(written.num_row_groups)] == [6, 6, 6, 5]


def test_processes_take_the_devices_in_turn(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def classifier(_model: str, device: str, processes: int) -> None:
        asked.append((device, processes))
        raise ModelError("not loaded here")

    monkeypatch.setattr(explain, "_classifier", classifier)
    options = make(device=("cuda:0", "cuda:1"), processes=3)
    for rank in (None, 0, 1, 2):
        with pytest.raises(ModelError):
            explain._explain_part(0, rank, options=options, folder=Path(), rows=None)
    assert asked == [("cuda:0", 1), ("cuda:0", 3), ("cuda:1", 3), ("cuda:0", 3)]


# --- what can't be done ---


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"output": "o.csv"}, OptionError, r"a name that ends in \.parquet, not o\.csv"),
        ({"processes": 0}, OptionError, "processes must be 1 or more, not 0"),
        ({"methods": ()}, OptionError, "methods must be some of verdict, attribution, rollout, not none"),
        ({"methods": ("verdict", "magic")}, OptionError, "not verdict, magic"),
        ({"baseline": "black"}, OptionError, "no baseline 'black'; choose one of eos, zero, mean"),
        ({"device": ("cpu", "gpu!")}, OptionError, "no device 'gpu!'; try cpu, cuda or cuda:1"),
        ({"device": ("cuda:99",)}, OptionError, "no device 'cuda:99': this machine has"),
        ({"data": "none.csv"}, DataError, "none.csv could not be read: No such file"),
        ({"model": "nobody"}, ModelError, "There is no model 'nobody'"),
    ],
)
def test_what_can_not_be_done_is_said(changes: dict, error: type[Exception], message: str, make: Make) -> None:
    with pytest.raises(error, match=message):
        explain_file(make(**changes))
    assert left(make()) == ["d.csv"]


def test_an_output_that_exists_is_not_overwritten(make: Make) -> None:
    Path(make().output).write_text("precious")
    with pytest.raises(OptionError, match=r"o\.parquet exists\. Delete it, or choose another --output"):
        explain_file(make())
    assert Path(make().output).read_text() == "precious"


def test_a_file_without_rows_is_refused_and_leaves_nothing(make: Make) -> None:
    options = make()
    Path(options.data).write_text("text\n")
    with pytest.raises(DataError, match="holds no rows"):
        explain_file(options)
    assert left(options) == ["d.csv"]


def test_a_file_that_breaks_off_is_refused(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    pq.write_table(pa.table({"text": [f"{i} good film" for i in range(2000)]}), path, row_group_size=500)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = b"\0" * 400
    path.write_bytes(content)
    options = make(data=str(path))
    with pytest.raises(DataError, match=r"could not be read to its end: |is damaged"):
        explain_file(options)
    assert not Path(options.output).exists()


def test_without_datasets_it_is_said_what_to_install(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(Gpt2clsError, match=r'needs the package datasets: pip install -e "\.\[batch\]"'):
        explain_file(make())


def test_a_process_that_was_killed_is_reported_with_what_to_do(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def died(*_: object, **__: object) -> None:
        raise RuntimeError("One of the subprocesses has abruptly died during map operation.")

    monkeypatch.setattr("datasets.Dataset.map", died)
    with pytest.raises(Gpt2clsError, match=r"A process was killed\. Finished parts are kept: give the command again"):
        explain_file(make(processes=2))


# --- the command ---


def test_help_explains_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["explain", "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0
    assert all(word in said for word in ("In:", "Out:", "Examples:", "python -m gpt2cls_core explain reviews.csv"))
    options = ("--output", "--text-column", "--keep", "--methods", "--baseline", "--model", "--device", "--processes")
    assert all(option in said for option in options)


def test_options_arrive_and_have_one_default() -> None:
    given = command.options_of(command.parser().parse_args(["explain", "d.csv", "-o", "o.parquet"]))
    assert given == ExplainOptions("d.csv", "o.parquet")
    line = "explain d.csv -o o --text-column t --keep a b --methods rollout --device cuda:0 cuda:1 --processes 2"
    given = command.options_of(command.parser().parse_args([*line.split(), "--baseline", "mean", "--model", "m"]))
    devices = ("cuda:0", "cuda:1")
    assert given == ExplainOptions("d.csv", "o", "t", ("a", "b"), ("rollout",), "mean", "m", devices, 2)


def test_what_people_wrote_reaches_the_output_but_no_terminal(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    options = make(methods=("verdict",))
    hostile = "\x1b[31m\u202e<script>${alert(1)}{{value}}</script>\x00"
    Path(options.data).write_text(f'id,text\n1,"{hostile}"\n2,"{hostile}",{hostile}\n', encoding="utf-8")
    line = ["explain", options.data, "-o", options.output, "--model", options.model, "--methods", "verdict"]
    assert command.main(line) == 0
    assert [row["text"] for row in rows_of(options)] == [hostile, hostile]
    said = capfd.readouterr()
    assert "line 3: The header names 2 columns, the row has 3" in said.err
    assert not any(part in said.out + said.err for part in ("script", "\x1b[31m", "\u202e", "alert", "\x00"))


def test_many_remarks_are_counted_not_listed(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    options = make(methods=("verdict",))
    Path(options.data).write_text("text\n" + "\n" * 25 + "fine\n")
    line = ["explain", options.data, "-o", options.output, "--model", options.model, "--methods", "verdict"]
    assert command.main(line) == 0
    said = capsys.readouterr()
    assert said.err.count("The line is empty.") == 20
    assert said.err.endswith("and 5 more: see the columns error and tokens_cut\n")
    assert said.out == f"Written: {options.output} (26 rows, 25 with an error, 0 cut at the start)\n"


def test_errors_are_one_line_and_status_2(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    options = make()
    assert command.main(["explain", options.data, "-o", options.output, "--text-column", "review"]) == 2
    assert capsys.readouterr().err == (
        "error: d.csv has no column 'review'; it has 'id', 'text'. Name another with --text-column or --keep.\n"
    )


def test_an_interrupted_command_says_how_to_go_on(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "explain_file", stop)
    assert command.main(["explain", make().data, "-o", make().output]) == 130
    assert capsys.readouterr().err == "Stopped. Give the command again to go on.\n"
