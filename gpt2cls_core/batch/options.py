"""What `explain` can be told, and what it refuses before any work is done."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from ..attribution import BASELINES
from ..classifier import bundled_folder
from ..errors import Gpt2clsError, OptionError
from .columns import METHODS

__all__ = ["ExplainOptions", "check_options", "what_binds"]


@dataclass(frozen=True)
class ExplainOptions:
    """What to explain, and how.

    Attributes:
        data: the file to read; see `read_rows`.
        output: the .parquet file to write; see `columns`. There must be none yet.
        text_column, keep: the column with the texts, and columns to copy.
        methods: some of `METHODS`.
        baseline: of integrated gradients.
        model: bundled name, folder or hub id.
        device: where the model runs; of several, the processes take one each in turn.
        processes: how many to run.
    """

    data: str
    output: str
    text_column: str = "text"
    keep: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("verdict", "attribution")
    baseline: str = "eos"
    model: str = "full"
    device: tuple[str, ...] = ("cpu",)
    processes: int = 1


def check_options(options: ExplainOptions) -> Path:
    """The output's path, if nothing speaks against the options.

    Raises:
        OptionError: an option outside its range, or an output that exists.
        Gpt2clsError: `datasets` is not installed.
    """
    try:
        import datasets  # noqa: F401 - only to say in time that it is missing
    except ImportError:
        raise Gpt2clsError('This needs the package datasets: pip install -e ".[batch]".') from None
    output = Path(options.output)
    if output.suffix != ".parquet":
        raise OptionError(f"The output is written as Parquet; give it a name that ends in .parquet, not {output.name}.")
    if output.exists() and not Path(options.output + ".parts").is_dir():
        raise OptionError(f"{output} exists. Delete it, or choose another --output.")
    if options.processes < 1:
        raise OptionError(f"processes must be 1 or more, not {options.processes}.")
    if not options.methods or not set(options.methods) <= set(METHODS):
        raise OptionError(f"methods must be some of {', '.join(METHODS)}, not {', '.join(options.methods) or 'none'}.")
    if options.baseline not in BASELINES:
        raise OptionError(f"There is no baseline {options.baseline!r}; choose one of {', '.join(BASELINES)}.")
    for name in options.device:
        try:
            device = torch.device(name)
        except RuntimeError:
            raise OptionError(f"There is no device {name!r}; try cpu, cuda or cuda:1.") from None
        # Counting does not start CUDA, which would then not work in the processes that are forked from this one.
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise OptionError(
                f"There is no device {name!r}: this machine has {torch.cuda.device_count()} of that kind."
            )
    return output


def what_binds(options: ExplainOptions) -> dict[str, Any]:
    """What must be the same for a run to go on: the options, and the state of data and model, so far as files tell."""
    model = bundled_folder(options.model) or Path(options.model)
    stamps = {"data_is": _stamp(Path(options.data)), "model_is": _stamp(model) if model.exists() else "of the hub"}
    return {**dataclasses.asdict(options), **stamps}


def _stamp(path: Path) -> str:
    """What tells a file or folder from a changed one without reading it."""
    states = [file.stat() for file in ([path] if path.is_file() else path.glob("*"))]
    newest = datetime.fromtimestamp(max((state.st_mtime for state in states), default=0)).isoformat()
    return f"{sum(state.st_size for state in states):,} bytes, changed {newest}"
