"""The chapters in reading order. Each module has TITLE, `explain` (no Gradio needed) and `render`."""

from . import answer, attribution, geometry, interventions, ledger, lens, predict, referee, regimes, rollout, traps

CHAPTERS = (predict, lens, geometry, rollout, attribution, ledger, interventions, referee, regimes, traps, answer)


def stem(chapter: object) -> str:
    """The name that module, lesson and test of a chapter share."""
    return chapter.__name__.rpartition(".")[2]


def chapters_in_order() -> dict[str, str]:
    """Titles by stem."""
    return {stem(chapter): chapter.TITLE for chapter in CHAPTERS}
