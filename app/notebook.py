"""Run the notebook and keep what it prints: ``python -m app.notebook`` (needs the test extra).

What is printed is kept, so that whoever reads the notebook where nothing runs, on a hosting site say, reads its numbers too; a test
holds them to what a run gives. Figures are left out: they are large, differ with every version of Plotly, and are not drawn there.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTEBOOK = Path(__file__).resolve().parents[1] / "assets" / "notebooks" / "last_token.ipynb"


def run(file: Path = NOTEBOOK) -> NotebookNode:
    """The notebook with all outputs of a run from top to bottom, in a Python process of its own.

    Raises:
        CellExecutionError: a cell failed.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(file, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False, coalesce_streams=True).execute()
    return notebook


def only_printed(notebook: NotebookNode) -> NotebookNode:
    """The notebook without figures and progress bars; changed in place."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") == "stdout"]
    notebook.metadata.pop("language_info", None)  # names the Python version that ran it
    return notebook


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, run, and write the notebook in one move."""
    import nbformat

    parser = argparse.ArgumentParser(prog="python -m app.notebook", description="Run the notebook and keep its text.")
    parser.add_argument("-o", "--output", type=Path, default=NOTEBOOK, help="where to write it (default: in its place)")
    chosen = parser.parse_args(arguments)
    partial = chosen.output.with_name(chosen.output.name + ".partial")
    nbformat.write(only_printed(run()), partial)
    os.replace(partial, chosen.output)


if __name__ == "__main__":
    main()
