"""The library from a command line: ``python -m gpt2cls_core explain data.csv --text-column text -o out.parquet``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from .attribution import BASELINES
from .batch.columns import METHODS
from .batch.explain import MOST_SHOWN, explain_file
from .batch.options import ExplainOptions
from .errors import Gpt2clsError

_EXPLAIN = """\
Explain every text of a file: the verdict with its margin and probabilities, the tokens, and for each token what it did
for the margin (integrated gradients, with the convergence delta of each text).

In:   .csv (commas, a header, UTF-8), .jsonl (one object a line, UTF-8) or .parquet
Out:  .parquet, one row for each of the input, in its order. The column "line" says where the row begins in the input (in
      Parquet: which row it is). A row that can't be read stays, with the reason in the column "error"; a text longer than
      the model's context keeps its end, and "tokens_cut" says how much was cut. Both are reported when all is done.

A command that was killed goes on where it was when it is given again: finished parts are in OUT.parts until the output
is whole. Memory does not grow with the file. With --processes each process loads a model of its own.

Examples:
  python -m gpt2cls_core explain reviews.csv --text-column review -o explained.parquet
  python -m gpt2cls_core explain reviews.jsonl --keep id stars --methods verdict attribution rollout --processes 4 \\
      --model PavanNeerudu/gpt2-finetuned-sst2 -o explained.parquet
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    raw = argparse.RawDescriptionHelpFormatter
    root = argparse.ArgumentParser("gpt2cls_core", description="GPT-2 classifiers explained, from a command line.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    explain = commands.add_parser(
        "explain", help="explain every text of a file", description=_EXPLAIN, formatter_class=raw
    )

    def add(*names: str, **how: Any) -> None:  # noqa: ANN401 - as `add_argument`
        default = getattr(ExplainOptions, names[-1].lstrip("-").replace("-", "_"), None)
        shown = " ".join(default) if isinstance(default, tuple) else default
        how["help"] += f" (default: {shown})" if shown else ""
        explain.add_argument(*names, default=default, **how)

    add("data", help="the file to read")
    add("-o", "--output", required=True, help="the .parquet file to write; there must be none yet")
    add("--text-column", metavar="COLUMN", help="the column with the texts")
    add("--keep", nargs="+", metavar="COLUMN", help="columns to copy, as text, under the name input_COLUMN")
    what = "attribution is integrated gradients; rollout is of attention, beside what the causal mask alone would give"
    add("--methods", nargs="+", choices=METHODS, help=f"what to compute; {what}")
    add("--baseline", choices=BASELINES, help="where integrated gradients start")
    add("--model", help="bundled name, folder, or hub id")
    add("--device", nargs="+", help="where the model runs, such as cuda; several are shared out among the processes")
    add("--processes", type=int, help="how many to run side by side")
    return root


def options_of(arguments: argparse.Namespace) -> ExplainOptions:
    """The options that were given."""
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in vars(arguments).items() if name != "command"}
    return ExplainOptions(**given)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; our own errors are one clear line and status 2."""
    options = options_of(parser().parse_args(arguments))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if "/" not in options.model or Path(options.model).is_dir():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing to ask the hub for
    try:
        report = explain_file(options)
    except Gpt2clsError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. Give the command again to go on.", file=sys.stderr)
        return 130
    for remark in report.remarks:
        print(remark, file=sys.stderr)
    if (more := report.n_errors + report.n_cut - MOST_SHOWN) > 0:
        print(f"and {more:,} more: see the columns error and tokens_cut", file=sys.stderr)
    print(f"Written: {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
