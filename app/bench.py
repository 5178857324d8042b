"""How long a reader waits for each chapter: ``python -m app.bench``.

For a text of about 30 tokens that has just been read, each chapter's first picture is computed and turned into the JSON that the
browser gets, in turns, so that whatever else the machine does falls on all alike. The yardstick of the ratios is the verdict: one
forward pass with everything that the chapters share.
"""

from __future__ import annotations

import argparse

from gpt2cls_core import load_classifier, trace
from gpt2cls_core.bench import FEWEST_REPEATS, TEXT, Timing, in_turns, machine, table

from .chapters import CHAPTERS


def chapter_timings(model: str = "full", *, repeats: int = 7) -> list[Timing]:
    """Seconds to every chapter's first picture; the verdict comes last."""
    clf = load_classifier(model)
    read = trace(clf, TEXT)
    actions = {
        f"{number}. {chapter.TITLE}": lambda chapter=chapter: next(chapter.explain(clf, read)).figure.to_json()
        for number, chapter in enumerate(CHAPTERS, 1)
    }
    actions["verdict"] = lambda: trace(clf, TEXT).label
    return [Timing(name, seconds) for name, seconds in in_turns(actions, repeats).items()]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m app.bench", description="Time every chapter on this machine.")
    parser.add_argument("--model", default="full", help="bundled name, folder or hub id (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=7, help="measured runs, 5 or more (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    if chosen.repeats < FEWEST_REPEATS:
        parser.error(f"--repeats must be {FEWEST_REPEATS} or more; a median of fewer says little")
    print(machine())
    print(table(chapter_timings(chosen.model, repeats=chosen.repeats)))


if __name__ == "__main__":
    main()
