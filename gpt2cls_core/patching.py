"""Where in the model the difference between two texts is, cell by cell.

Take two texts with as many tokens, one word swapped, and opposite verdicts. Run the second (*corrupted*), but copy one
vector, of one layer at one position, from the run on the first (*clean*). If the verdict moves to the clean one, that cell held
what made the difference. Doing so for every cell draws a map (activation patching, or causal tracing: Meng et al. 2022,
arXiv:2202.05262): at the bottom the swapped word's own cell decides, at the top the last token's, and in between the information
is seen to travel.

    effect(layer, pos) = (margin(layer, pos) − margin_corrupted) / (margin_clean − margin_corrupted)

0 = as if nothing had been copied, 1 = as if the clean text had been read. Cells at positions before the swapped word are the same
in both runs and give exactly 0; the cell at the top right is what the head reads and gives 1. Values are not clipped: below 0 and
above 1 mean that a cell moves the verdict the other way, or further than the text would.

Caveat: a cell that moves the verdict held enough to do so, alone. One that does not may still be used together with others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .cells import check_index
from .classifier import Classifier, Encoding
from .edits import state_edits
from .effect import InterventionEffect, trace_with
from .errors import OptionError
from .resume import Memory, in_batches, remember, resume
from .trace import Trace

__all__ = ["PatchGrid", "check_pair", "patch_grid", "patch_grid_rows", "patch_states", "swap_word"]


@dataclass(frozen=True, eq=False)
class PatchGrid:
    """What copying each cell of the clean run into the corrupted run makes of the margin.

    Attributes:
        margin_clean, margin_corrupted: of the two texts as they are.
        margins: [layer+1 pos], in logits; NaN where not computed yet (`patch_grid_rows`).
        target, other: the class explained and its strongest rival on the clean text.
    """

    tokens_clean: tuple[str, ...]
    tokens_corrupted: tuple[str, ...]
    labels: tuple[str, ...]
    target: int
    other: int
    margin_clean: float
    margin_corrupted: float
    margins: Tensor

    @property
    def effects(self) -> Tensor:
        """How far each cell moves the margin from corrupted (0) to clean (1), unclipped [layer+1 pos].

        NaN everywhere where both texts have the same margin: there is no way to go.
        """
        way = self.margin_clean - self.margin_corrupted
        return (self.margins - self.margin_corrupted) / (way if way else torch.nan) + 0.0  # no −0

    @property
    def rows_done(self) -> int:
        """Layers computed so far, from the top down."""
        return int((~self.margins.isnan().any(-1)).sum())


def patch_states(
    clf: Classifier,
    clean: Trace,
    corrupted: Trace,
    cells: Sequence[tuple[int, int]],
    *,
    target: int | str | None = None,
) -> InterventionEffect:
    """Copy cells (layer, position) of the clean run into the run on the corrupted text, all at once.

    Returns:
        The corrupted text's verdict before and after: ``margin_clean`` there is that of the run without patches.

    Raises:
        OptionError: texts of different token lengths, no cells, no such layer, token or class.
    """
    check_pair(clean, corrupted)
    n_layers, n_tokens = clean.resid.shape[:2]
    cells = [(check_index("layer", i, n_layers), check_index("token", p, n_tokens)) for i, p in cells]
    if not cells:
        raise OptionError("There is no cell to copy; choose one or more.")
    chosen, other = clf.target(target, clean.logits)
    after = trace_with(clf, corrupted, state_edits(clf, clean.resid, cells))
    name = f"{len(cells)} cell{'s' * (len(cells) > 1)} copied from the other text"
    return InterventionEffect(
        name, corrupted.tokens, clf.labels, chosen, other, corrupted.logits, after.logits, after.resid
    )


def patch_grid(clf: Classifier, clean: Trace, corrupted: Trace, *, target: int | str | None = None) -> PatchGrid:
    """Copy each state of the clean text into the run on the corrupted one, one cell at a time, and read the verdict.

    ``margins[l, p]`` is the corrupted text's margin with the one vector of layer l, position p replaced by the clean text's;
    `PatchGrid.effects` says what share of the way back to the clean margin that is.

    Args:
        clean, corrupted: traces of two texts with as many tokens (`swap_word` makes one from the other).
        target: class index or label; None takes class 1 of two, or the class predicted for the clean text of more.

    Raises:
        OptionError: texts of different token lengths, or no such class.
    """
    *_, grid = patch_grid_rows(clf, clean, corrupted, target=target)
    return grid


def patch_grid_rows(
    clf: Classifier, clean: Trace, corrupted: Trace, *, target: int | str | None = None
) -> Iterator[PatchGrid]:
    """The same as `patch_grid`, yielding the grid after each row: the top, which costs nothing, first.

    Raises:
        OptionError: as `patch_grid`, at the call and not at the first row.
    """
    check_pair(clean, corrupted)
    chosen, other = clf.target(target, clean.logits)
    return _rows(clf, clean, corrupted, chosen, other)


def _rows(clf: Classifier, clean: Trace, corrupted: Trace, target: int, other: int) -> Iterator[PatchGrid]:
    before, goal = (float(t.logits[target] - t.logits[other]) for t in (corrupted, clean))
    margins = torch.full(clean.resid.shape[:2], torch.nan)
    memory = remember(clf, corrupted.resid)
    for layer in range(clf.n_layer, -1, -1):
        margins[layer] = before
        if (
            layer == clf.n_layer
        ):  # above the last block only the last position is read, and what it holds is the verdict
            margins[layer, -1] = goal
        else:
            _patch_row(clf, clean, corrupted, memory, layer, margins, target, other)
        tokens = clean.tokens, corrupted.tokens
        yield PatchGrid(*tokens, clf.labels, target, other, goal, before, margins.clone())


def _patch_row(
    clf: Classifier,
    clean: Trace,
    corrupted: Trace,
    memory: Memory,
    layer: int,
    margins: Tensor,
    target: int,
    other: int,
) -> None:
    """Fill one row of margins; a cell that holds the same in both runs is left as it is."""
    differ = (clean.resid[layer] != corrupted.resid[layer]).any(-1).nonzero().flatten().tolist()
    for positions in in_batches(differ, margins.shape[1]):
        start = positions[0]
        stream = corrupted.resid[layer, start:].repeat(len(positions), 1, 1)
        for row, position in enumerate(positions):
            stream[row, position - start] = clean.resid[layer, position]
        logits = resume(clf, memory, stream, layer=layer, start=start)
        margins[layer, positions] = logits[:, target] - logits[:, other]


def check_pair(clean: Trace | Encoding, corrupted: Trace | Encoding) -> None:
    """Pass where two texts have as many tokens, as patching needs: then each cell has its counterpart.

    Raises:
        OptionError: they have not; the message gives both lengths, and which word to change if it can be told.
    """
    lengths = len(clean.tokens), len(corrupted.tokens)
    if lengths[0] == lengths[1]:
        return
    message = f"Patching needs two texts with as many tokens; these have {lengths[0]} and {lengths[1]}. "
    words = [[word for word in read.words if word.text.strip()] for read in (clean, corrupted)]
    if len(words[0]) == len(words[1]):
        for a, b in zip(*words, strict=True):
            if a.stop - a.start != b.stop - b.start:
                message += f"“{a.text}” is {_tokens(a.stop - a.start)} and “{b.text}” {b.stop - b.start}. "
                break
    raise OptionError(message + "Swap a word for one with as many tokens.")


def swap_word(read: Trace | Encoding, word: int, new: str) -> str:
    """The text with one word replaced, and everything around it as it was.

    Args:
        word: index into ``read.words``.
        new: what to write in its place; blanks around it are dropped.

    Raises:
        OptionError: there is no such word, it is only a blank or of a soft prompt, or there is nothing to write.

    Caveat: a word may become other tokens, and other words; `check_pair` says whether the two texts can be patched.
    """
    encoding = read if isinstance(read, Encoding) else read.encoding
    old = read.words[check_index("word", word, len(read.words))]
    if old.start < encoding.n_virtual:
        raise OptionError(
            f"Word {word} is a virtual token of the soft prompt and stands in no text; choose a later one."
        )
    if not old.text.strip():
        raise OptionError(f"Word {word} is only a blank; choose one that can be read.")
    if not new.strip():
        raise OptionError(f"Give a word to write in the place of “{old.text}”.")
    start, stop = read.offsets[old.start]
    piece = read.text[start:stop]
    first = start + len(piece) - len(piece.lstrip())
    begin = next(
        i for i in range(first, -1, -1) if read.text.startswith(old.text, i)
    )  # it may begin in the token before
    return read.text[:begin] + new.strip() + read.text[begin + len(old.text) :]


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count} tokens"
