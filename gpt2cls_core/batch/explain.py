"""Explain every text of a file: resumable, in memory that does not grow with the file, by several processes.

The work is cut into *parts* of 64 rows. Hugging Face `datasets` copies the rows into a memory-mapped file, shares the parts out
among processes and shows how far they are. A finished part is written to ``OUTPUT.parts`` in one move, so that after a kill
the same command finds what is finished and does the rest; which process made a part does not matter for what is in it. At the
end the parts are joined into the output, in one move too, and the folder goes.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..classifier import Classifier, load_classifier
from ..errors import DataError, Gpt2clsError
from ..training.files import claim_folder
from .columns import explain_rows, schema
from .options import ExplainOptions, check_options, what_binds
from .rows import KEPT, read_rows

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

__all__ = ["MOST_SHOWN", "ExplainReport", "explain_file"]

ROWS_IN_A_PART = 64
PARTS_IN_A_GROUP = 16  # joined to one row group of the output
MOST_SHOWN = 20


@dataclass(frozen=True)
class ExplainReport:
    """What was written.

    Attributes:
        n_rows, n_errors, n_cut: rows of the output; those that could not be read; those whose start was cut.
        remarks: of the first 20 such rows, the line and what was wrong.
    """

    output: str
    n_rows: int
    n_errors: int
    n_cut: int
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.output} ({self.n_rows:,} rows, {self.n_errors:,} with an error, {self.n_cut:,} cut at the start)"


def explain_file(options: ExplainOptions) -> ExplainReport:
    """Explain a file, or go on where a killed run with the same options stopped.

    Raises:
        OptionError: an option outside its range, an output that exists, or parts in ``OUTPUT.parts`` of a run with other options.
        DataError: the file can't be read as a whole; see `read_rows` for rows that can't.
        ModelError: the model can't be loaded.
        Gpt2clsError: `datasets` is not installed, or a process was killed.
    """
    output, folder = check_options(options), Path(options.output + ".parts")
    if next(read_rows(options.data, options.text_column, options.keep), None) is None:
        raise DataError(f"{options.data} holds no rows.")
    claim_folder(folder, what_binds(options), may_change=("data", "output", "device", "processes"))
    rows = _copy_rows(options, folder / "rows")
    starts = range(0, len(rows), ROWS_IN_A_PART)
    if missing := [start for start in starts if not _part(folder, start).is_file()]:
        try:
            _explain_parts(options, folder, rows, missing)
        except Gpt2clsError:
            if not any(_part(folder, start).is_file() for start in starts):
                shutil.rmtree(folder)  # a mistyped model, say, which should not bind the next try
            raise
    report = _join([_part(folder, start) for start in starts], output, schema(options.methods, options.keep))
    finished = Path(options.output + ".finished.partial")
    shutil.rmtree(finished, ignore_errors=True)
    os.replace(folder, finished)  # killed while it is being deleted, the folder can't be taken for one to go on with
    shutil.rmtree(finished)
    return report


def _copy_rows(options: ExplainOptions, folder: Path) -> Dataset:
    """All rows as a file that is read where it lies; made once, for the run that was killed and the one that goes on."""
    from datasets import Dataset, Features, NamedSplit, Value
    from datasets.exceptions import DatasetGenerationError

    names = ["text", "error", *(KEPT + name for name in options.keep)]
    try:
        return Dataset.from_generator(
            read_rows,
            features=Features({"line": Value("int64"), **{name: Value("string") for name in names}}),
            gen_kwargs={"path": options.data, "text_column": options.text_column, "keep": options.keep},
            cache_dir=str(folder),
            split=NamedSplit("rows"),
            fingerprint="rows",
            writer_batch_size=ROWS_IN_A_PART,
        )
    except DatasetGenerationError as error:
        raise DataError(f"{options.data} could not be read to its end: {error.__cause__ or error}") from error


def _explain_parts(options: ExplainOptions, folder: Path, rows: Dataset, starts: Sequence[int]) -> None:
    from datasets import Dataset

    processes = min(options.processes, len(starts))
    try:
        Dataset.from_dict({"start": list(starts)}).map(
            partial(_explain_part, options=options, folder=folder, rows=rows),
            input_columns="start",
            with_rank=True,
            num_proc=processes if processes > 1 else None,
            load_from_cache_file=False,
            new_fingerprint="parts",  # nothing is cached, so nothing need be hashed
            desc=f"Explaining, in parts of {ROWS_IN_A_PART} rows",
        )
    except RuntimeError as error:
        if "abruptly died" not in str(error):
            raise
        advice = "Finished parts are kept: give the command again, with fewer --processes if memory ran out."
        raise Gpt2clsError(f"A process was killed. {advice}") from error


def _explain_part(start: int, rank: int | None, *, options: ExplainOptions, folder: Path, rows: Dataset) -> None:
    """Explain `ROWS_IN_A_PART` rows and write them in one move."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    device = options.device[(rank or 0) % len(options.device)]
    clf = _classifier(options.model, device, 1 if rank is None else options.processes)
    part = rows.select(range(start, min(start + ROWS_IN_A_PART, len(rows)))).to_list()
    explained = explain_rows(clf, part, methods=options.methods, baseline=options.baseline)
    target = _part(folder, start)
    partial_file = target.with_name(f"{target.name}.{os.getpid()}.partial")
    pq.write_table(pa.Table.from_pylist(explained, schema(options.methods, options.keep)), partial_file)
    os.replace(partial_file, target)


@lru_cache(maxsize=1)
def _classifier(model: str, device: str, processes: int) -> Classifier:
    """The model of this process; one of several takes its share of the cores, and ends when the command does."""
    if processes > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // processes))
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    return load_classifier(model, device=device)


def _end_with(parent: int) -> None:
    """End this process once `parent` is no longer its parent: the command was killed, and nobody wants the rest."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _part(folder: Path, start: int) -> Path:
    return folder / f"{start:012d}.parquet"


def _join(parts: Sequence[Path], output: Path, columns: pa.Schema) -> ExplainReport:
    """Join the parts in their order, a few at a time, and count what there is to say."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_rows = n_errors = n_cut = 0
    remarks: list[str] = []
    partial_file = output.with_name(f"{output.name}.{os.getpid()}.partial")
    with pq.ParquetWriter(partial_file, columns) as writer:
        for first in range(0, len(parts), PARTS_IN_A_GROUP):
            group = pa.concat_tables([pq.ParquetFile(part).read() for part in parts[first : first + PARTS_IN_A_GROUP]])
            writer.write_table(group)
            n_rows += len(group)
            for line, error, cut in _remarkable(group):
                n_errors, n_cut = n_errors + (error is not None), n_cut + (error is None)
                if len(remarks) < MOST_SHOWN:
                    remarks.append(f"line {line}: {error or f'the first {cut:,} tokens were cut; the end is read.'}")
    os.replace(partial_file, output)
    return ExplainReport(str(output), n_rows, n_errors, n_cut, tuple(remarks))


def _remarkable(group: pa.Table) -> Iterator[tuple[int, str | None, Any]]:
    """Line, error and tokens cut of the rows of which there is something to say."""
    for row in group.select(["line", "error", "tokens_cut"]).to_pylist():
        if row["error"] is not None or row["tokens_cut"]:
            yield row["line"], row["error"], row["tokens_cut"]
