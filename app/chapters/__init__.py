"""The chapters in reading order. Each module has TITLE, `explain` (no Gradio needed) and `render`."""

from . import attribution, geometry, ledger, lens, predict, rollout

CHAPTERS = (predict, lens, geometry, rollout, attribution, ledger)


def stem(chapter: object) -> str:
    """The name that module, lesson and test of a chapter share."""
    return chapter.__name__.rpartition(".")[2]
