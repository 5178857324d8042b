"""Which word to swap for which, and which tokens of two texts correspond.

Patching needs two texts with as many tokens, so what is suggested has as many as the word in whose place it comes, if any such is
found: an opposite for a word that judges, from a short list, else a word that says little, else another word of the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gpt2cls_core import Classifier, Encoding, OptionError, Trace, Word, class_lens, predict_batch, swap_word

OPPOSITES = (  # of one kind of word each; a word's best opposite stands at the same place
    (
        "good great best better fine perfect lovely wonderful excellent brilliant amazing stunning beautiful funny clever "
        "interesting exciting charming warm crisp fresh happy strong easy quiet young true",
        "bad awful worst worse poor terrible nasty horrible dreadful stupid boring ugly ugly dull silly "
        "boring tedious annoying cold greasy stale sad weak hard loud old false",
    ),
    ("loved liked enjoyed adored laughed smiled praised won", "hated hated endured despised cried frowned cursed lost"),
    ("love like enjoy adore recommend thrill", "hate hate endure despise regret bore"),
    ("loves likes enjoys works lasts fits", "hates hates endures fails breaks leaks"),
    ("joy treat masterpiece success fun thrill delight", "mess bore waste failure pain bore disaster"),
    ("quickly well beautifully always", "slowly badly horribly never"),
    ("everything so very with", "nothing not not without"),
)
NEUTRAL = ("one", "thing", "some", "other", "here", "there", "table", "window", "green", "Tuesday", "seventeen")
SIGNS = (".", ",", "!", ";", "?", "...")
NO_WORD = "There is no word to swap: what the model reads of the text is blank."
ONLY_A_BLANK = "That is only a blank; choose a word that can be read."
MOST_TRIED = 12  # swaps compared by what they do to the verdict


@dataclass(frozen=True)
class Swap:
    """One word of a text and what comes in its place.

    Attributes:
        word: with its tokens in the text as it was.
        new: as typed, or as suggested.
        text: the whole text after the swap.
    """

    word: Word
    new: str
    text: str


def make_swap(clf: Classifier, trace: Trace, position: int | None, new: str) -> Swap:
    """The swap that a person asked for, completed where they left something open.

    Args:
        position: a token of the word to swap; None (or one that the text has not) leaves the choice of the word open.
        new: what to write; blank leaves it open.

    Raises:
        OptionError: the word is only a blank, or the text has no other.
    """
    if position is None or not 0 <= position < len(trace.tokens):
        swap = suggested_swap(clf, trace)
        return swap if not new.strip() else _swapped(trace.encoding, trace.words.index(swap.word), new)
    index = word_at(trace.encoding, position)
    return _swapped(trace.encoding, index, new if new.strip() else suggested_word(clf, trace.encoding, index))


def word_at(encoding: Encoding, position: int) -> int:
    """The word that a token belongs to."""
    return next(i for i, word in enumerate(encoding.words) if word.start <= position < word.stop)


@lru_cache(maxsize=2)  # each keeps a trace
def suggested_swap(clf: Classifier, trace: Trace) -> Swap:
    """Of the words with an opposite the one whose swap moves the margin most; else the word at which the running verdict jumps.

    Raises:
        OptionError: the text has no word.
    """
    encoding = trace.encoding
    known = [(i, next(fitting(clf, encoding, i, opposites(word.text)), None)) for i, word in enumerate(trace.words)]
    swaps = [_swapped(encoding, i, new) for i, new in known if new][:MOST_TRIED]
    if swaps:
        target, other = clf.target(None, trace.logits)
        after = [result.logits for result in predict_batch(clf, [swap.text for swap in swaps])]
        before = trace.logits[target] - trace.logits[other]
        moves = [abs(float(logits[target] - logits[other] - before)) for logits in after]
        return swaps[moves.index(max(moves))]
    running = [0.0, *class_lens(clf, trace).margins[-1].tolist()]
    jumps = {
        abs(running[word.stop] - running[word.start]): i
        for i, word in enumerate(trace.words)
        if word.text.strip() and word.start >= encoding.n_virtual
    }
    if not jumps:
        raise OptionError(NO_WORD)
    index = jumps[max(jumps)]
    return _swapped(encoding, index, suggested_word(clf, encoding, index))


def suggested_word(clf: Classifier, encoding: Encoding, index: int) -> str:
    """What to write for a word: an opposite with as many tokens, else something neutral with as many, else any of them.

    Raises:
        OptionError: the word is only a blank.
    """
    old = encoding.words[index]
    if not old.text.strip():
        raise OptionError(ONLY_A_BLANK)
    count = old.stop - old.start
    letters = any(character.isalnum() for character in old.text)
    plain = NEUTRAL if letters else SIGNS
    typed = [word.text for word in encoding.words if word.text.strip() and word.start >= encoding.n_virtual]
    own = [word for word in typed if word[0].isalnum() == letters]
    neutral = [
        *plain,
        " ".join([plain[0]] * count),
        *own,
    ]  # in a small vocabulary the text's own words may be the only short ones
    candidates = [*opposites(old.text), *(word for word in neutral if word.lower() != old.text.lower())]
    return next(fitting(clf, encoding, index, candidates), candidates[0])


def fitting(clf: Classifier, encoding: Encoding, index: int, candidates: Sequence[str]) -> Iterator[str]:
    """Those of the candidates that leave the text as many tokens as it has."""
    for new in candidates:
        after = clf.encode(swap_word(encoding, index, new))
        if len(after) + after.tokens_cut == len(encoding) + encoding.tokens_cut:
            yield new


def opposites(word: str) -> list[str]:
    """Words that judge the other way, the nearest first, with the word's own capitals; none for a word that is not listed."""
    found: list[str] = []
    for pair in OPPOSITES:
        for one, others in (pair, pair[::-1]):
            listed, turned = one.split(), others.split()
            if word.lower() in listed:
                place = listed.index(word.lower())
                found += [turned[place], *turned]
    capitals = str.upper if word.isupper() and len(word) > 1 else str.capitalize if word[:1].isupper() else str
    return [capitals(opposite) for opposite in dict.fromkeys(found)]


def counterparts(before: Encoding, after: Encoding) -> list[int | None]:
    """For each token of `after` its counterpart in `before`, or None.

    What the texts share at the start and at the end corresponds; so does what lies between if it has as many tokens in both, and
    else its last token alone, which has read all of it. A text longer than the context is compared from its end.
    """
    n_virtual = after.n_virtual  # a soft prompt is the same for both
    ids, old = after.input_ids.tolist()[n_virtual:], before.input_ids.tolist()[n_virtual:]
    shift = after.tokens_cut - before.tokens_cut  # the window of a long text may have moved
    found: list[int | None] = [None] * len(ids)
    left = max(0, -shift)
    while left < len(ids) and left + shift < len(old) and ids[left] == old[left + shift]:
        found[left] = left + shift
        left += 1
    ends = 0
    while ends < min(len(ids) - left, len(old) - left - shift) and ids[-1 - ends] == old[-1 - ends]:
        ends += 1
        found[-ends] = len(old) - ends
    new_middle, old_middle = range(left, len(ids) - ends), range(left + shift, len(old) - ends)
    if len(new_middle) == len(old_middle):
        found[left : len(ids) - ends] = list(old_middle)
    elif new_middle and old_middle:
        found[new_middle[-1]] = old_middle[-1]
    return [*range(n_virtual), *(None if source is None else source + n_virtual for source in found)]


def _swapped(encoding: Encoding, index: int, new: str) -> Swap:
    return Swap(encoding.words[index], new.strip(), swap_word(encoding, index, new))
