"""How long a reader waits for each chapter: ``python -m app.bench``.

For a text of about 30 tokens that has just been read, each chapter's first picture, in each of its views, is computed and
turned into the JSON that the browser gets, in turns, so that whatever else the machine does falls on all alike. What the
page keeps for the next press is forgotten before each run. The yardstick of the ratios is the verdict: one forward pass with
everything that the chapters share.

Then the switch in the header: what it takes until another classifier has read the text and its first picture is there, and how much
memory all of them need, whose bodies are one where only a part was trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from gpt2cls_core import load_classifier, trace
from gpt2cls_core.bench import FEWEST_REPEATS, TEXT, Timing, in_turns, machine, table

from . import models
from .chapters import CHAPTERS
from .swaps import suggested_swap


def chapter_timings(model: str = "full", *, repeats: int = 7) -> list[Timing]:
    """Seconds to the first picture of every chapter's every view; the verdict comes last."""
    clf = load_classifier(model)
    read = trace(clf, TEXT)

    def first_picture(chapter: object, options: dict[str, str]) -> str:
        for kept in (
            models.kept,
            models.read,
            models.read_with,
            models.base_states,
            models.live_head,
            models.frozen_states,
            suggested_swap,
        ):
            kept.cache_clear()
        return next(chapter.explain(clf, read, **options)).figure.to_json()

    actions = {}
    for number, chapter in enumerate(CHAPTERS, 1):
        name = f"{number}. {chapter.TITLE}"
        for view, value in getattr(chapter, "VIEWS", ()):
            actions[f"{name}: {view}"] = partial(first_picture, chapter, {"view": value})
        if not hasattr(chapter, "VIEWS"):
            actions[name] = partial(first_picture, chapter, {})
    actions["verdict"] = lambda: trace(clf, TEXT).label
    return [Timing(name, seconds) for name, seconds in in_turns(actions, repeats).items()]


def switch_timings(names: Sequence[str], *, repeats: int = 7) -> list[Timing]:
    """Seconds from the choice of each classifier, loaded before, to its verdict and the first chapter's picture."""

    def switch(name: str) -> str:
        models.read.cache_clear()
        clf = models.classifier(name)
        return next(CHAPTERS[0].explain(clf, models.read(name, TEXT))).figure.to_json()

    models.load_all(list(names))
    actions = {f"switch to {models.title(name)}": partial(switch, name) for name in names}
    return [Timing(name, seconds) for name, seconds in in_turns(actions, repeats).items()]


def memory(names: Sequence[str]) -> tuple[int, int]:
    """Bytes of the classifiers' weights as they lie in memory together, and if each lay there alone."""
    each = [
        {
            p.untyped_storage().data_ptr(): p.untyped_storage().nbytes()
            for p in models.classifier(name).model.parameters()
        }
        for name in names
    ]
    together = {pointer: size for one in each for pointer, size in one.items()}
    return sum(together.values()), sum(sum(one.values()) for one in each)


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
    names = models.offered(chosen.model)
    print(f"\n{table(switch_timings(names, repeats=chosen.repeats))}")
    together, apart = memory(names)
    print(
        f"\nweights of {len(names)} classifiers: {together / 1e6:.0f} MB, {apart / 1e6:.0f} MB if none shared its body"
    )


if __name__ == "__main__":
    main()
