"""Texts and labels for training and measuring.

Every data set is read through `datasets.load_dataset`, by hub name (``stanfordnlp/sst2``) or from a local folder with
the same layout (``<split>.parquet`` files, the columns ``text`` or ``sentence``, and ``label`` with 0 = negative, 1 =
positive).

Three things are done to the text before a model sees it, and nothing else:

- `clean_markup` turns the ``<br />`` of IMDb into line breaks;
- `naturalise` turns SST-2's tokenised spelling ("it 's", "-lrb-") into the spelling that people type;
- `vary` (training only) changes case and final punctuation at random, because people type carelessly too.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from datasets import Dataset, load_dataset

from ..errors import DataError

__all__ = [
    "LabelledTexts",
    "clean_markup",
    "load_and_hold_out",
    "load_labelled",
    "load_split",
    "load_texts",
    "naturalise",
    "probe_task",
    "split_sentences",
    "vary",
]

_UNCLOSED = {"`": "'", "``": '"', "''": '"', "-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]"}


@dataclass(frozen=True, eq=False)
class LabelledTexts:
    """Texts with one label each: ``texts[i]`` has label ``labels[i]`` (0 = negative, 1 = positive)."""

    texts: list[str]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.texts)

    def __add__(self, other: LabelledTexts) -> LabelledTexts:
        return LabelledTexts(self.texts + other.texts, self.labels + other.labels)

    def __getitem__(self, rows: slice) -> LabelledTexts:
        return LabelledTexts(self.texts[rows], self.labels[rows])

    def sample(self, size: int | None, *, seed: int) -> LabelledTexts:
        """`size` rows without replacement, in random order (all of them where `size` is None or too large)."""
        order = random.Random(seed).sample(range(len(self)), len(self))[:size]
        return LabelledTexts([self.texts[i] for i in order], [self.labels[i] for i in order])

    def draw(self, size: int, *, seed: int) -> LabelledTexts:
        """`size` rows in random order, as many of each class (of an odd number, one more of class 0).

        A smaller draw with the same seed is a part of a larger one, so that a learning curve grows by adding.

        Raises:
            DataError: there are not so many.
        """
        order = random.Random(seed).sample(range(len(self)), len(self))
        by_class = [[i for i in order if self.labels[i] == label] for label in (0, 1)]
        wanted = (size - size // 2, size // 2)
        if any(len(rows) < n for rows, n in zip(by_class, wanted, strict=True)):
            held = " and ".join(str(len(rows)) for rows in by_class)
            raise DataError(f"{size} texts with as many of each class are more than there are ({held}); ask for fewer.")
        chosen = set(by_class[0][: wanted[0]] + by_class[1][: wanted[1]])
        return LabelledTexts(
            *map(list, zip(*[(self.texts[i], self.labels[i]) for i in order if i in chosen], strict=True))
        )


def load_split(source: str, split: str) -> Dataset:
    """One split of a data set, by hub name or local folder.

    Raises:
        DataError: the folder has no file for the split, the hub can't be reached, or the columns are not known ones.
    """
    path = Path(source) / f"{split}.parquet"
    local = Path(source).is_dir()
    if local and not path.is_file():
        held = ", ".join(sorted(p.stem for p in path.parent.glob("*.parquet"))) or "no parquet file"
        raise DataError(f"{source} has no split {split!r} (it holds: {held}).")
    advice = "write the file again" if local else f"check name and network, or give a folder that holds {split}.parquet"
    try:
        files = {"data_files": {split: str(path)}} if local else {}
        rows = load_dataset("parquet" if local else source, split=split, **files)
    except Exception as error:  # the library raises a dozen kinds, its own and others'
        raise DataError(f"{source!r}, split {split!r}, could not be read; {advice}. ({error})") from error
    if not {"text", "sentence"} & set(rows.column_names):
        raise DataError(f"{source} ({split}) needs a column 'text' or 'sentence'; it has {rows.column_names}.")
    return rows


def load_texts(source: str, split: str) -> list[str]:
    """The cleaned texts of one split, without labels.

    Raises:
        DataError: one of them is no text.
    """
    rows = load_split(source, split)
    column, clean = ("sentence", naturalise) if "sentence" in rows.column_names else ("text", clean_markup)
    texts = list(rows[column])
    if (bad := next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)) is not None:
        raise DataError(
            f"{source} ({split}), row {bad}: {column!r} is {texts[bad]!r}, not a text; drop or mend the row."
        )
    return [clean(text) for text in texts]


def load_labelled(source: str, split: str) -> LabelledTexts:
    """The cleaned texts of one split with their labels.

    Raises:
        DataError: there is no label column, a label is not 0 or 1, or only one class occurs.
    """
    rows = load_split(source, split)
    if "label" not in rows.column_names:
        raise DataError(f"{source} ({split}) has no column 'label'; it has {rows.column_names}.")
    labels = list(rows["label"])
    if set(labels) != {0, 1}:
        held = sorted(set(labels), key=str)[:9]
        raise DataError(f"{source} ({split}) must hold the labels 0 and 1, both of them; it holds {held}.")
    return LabelledTexts(load_texts(source, split), [int(label) for label in labels])


@lru_cache(maxsize=8)  # seconds of work on SST-2, and the study of regimes asks for the same again and again
def load_and_hold_out(source: str, *, limit: int | None = None) -> tuple[LabelledTexts, LabelledTexts]:
    """The train split of a source in two parts: one to learn from, one to choose by.

    Held out are 5 % of the rows, 800 at most, and always the same ones, whatever the seed of the run. Where the source
    lists phrases (SST-2, known by its column ``sentence``), full sentences are held out together with all their pieces.

    Args:
        limit: at most so many texts in either part, for trials.

    Returns:
        (train, held-out)
    """
    data = load_labelled(source, "train")
    held_out = min(800, max(1, len(data) // 20))
    if "sentence" in load_split(source, "train").column_names:
        parts = split_sentences(data, held_out=held_out, seed=0)
    else:
        shuffled = data.sample(None, seed=0)
        parts = shuffled[held_out:], shuffled[:held_out]
    if limit is not None:
        parts = parts[0].sample(limit, seed=0), parts[1].sample(limit, seed=0)
    return parts


def probe_task(source: str) -> tuple[LabelledTexts, LabelledTexts]:
    """The task that pre-training is probed with: 6,000 training rows, and the held-out slice."""
    train, held_out = load_and_hold_out(source)
    return train.sample(6000, seed=0), held_out


def clean_markup(text: str) -> str:
    """IMDb's HTML line breaks as real ones; runs of blanks as one."""
    text = re.sub(r"\s*(?:<br\s*/?>\s*)+", "\n", text)
    return re.sub(r"[ \t]+", " ", text).strip()


def naturalise(sentence: str) -> str:
    """SST-2's tokenised lower-case spelling as a person would type it (case is left alone).

    >>> naturalise("it 's a charming and often affecting journey . ")
    "it's a charming and often affecting journey."
    >>> naturalise("do n't -lrb- really -rrb- bother ...")
    "don't (really) bother..."
    """
    text = " ".join(_UNCLOSED.get(word, word) for word in sentence.split())
    text = re.sub(r" (n't|'(?:s|re|ve|ll|d|m))\b", r"\1", text)
    text = re.sub(r" ([.,;:!?%)\]]+|\.\.\.)", r"\1", text)
    text = re.sub(r"([(\[$]) ", r"\1", text)
    text = re.sub(r'" ([^"]*?) "', r'"\1"', text)
    text = re.sub(r"(^| )' ([^']*?) '(?= |$|[.,;!?])", r"\1'\2'", text)
    return text.strip()


def vary(text: str, generator: random.Random) -> str:
    """The text as another person might have typed it: another case, a final stop or none."""
    draw = generator.random()
    if draw < 0.5:
        text = text[:1].upper() + text[1:]
    elif draw < 0.52:
        text = text.upper()
    elif draw < 0.6:
        text = text.lower()
    text = re.sub(r"\bi\b(?=['\s])", "I", text) if generator.random() < 0.7 else text
    draw = generator.random()
    if draw < 0.45 and text[-1:].isalnum():
        text += generator.choices([".", "!", "..."], [8, 2, 1])[0]
    elif draw > 0.8 and text.endswith("."):
        text = text.rstrip(".")
    return text or "."


def split_sentences(data: LabelledTexts, *, held_out: int, seed: int) -> tuple[LabelledTexts, LabelledTexts]:
    """Split SST-2's train phrases so that no held-out sentence has been seen in pieces.

    SST-2 lists every phrase of a sentence as a row of its own, so a random split leaks. Held out are `held_out` full
    sentences (ten words or more, ending in a full stop); every phrase of three words or more that stands inside one of
    them, or contains one, leaves the training part.

    Returns:
        (train, held-out)
    """
    full = [i for i, text in enumerate(data.texts) if text.endswith(".") and len(text.split()) >= 10]
    if len(full) <= held_out:
        raise DataError(f"Asked to hold out {held_out} full sentences, but there are only {len(full)}.")
    chosen = set(random.Random(seed).sample(full, held_out))
    sentences = [data.texts[i] for i in sorted(chosen)]
    joined = "\n".join(sentences)
    by_start: dict[str, list[str]] = {}  # four words find the few sentences worth comparing
    for sentence in sentences:
        by_start.setdefault(" ".join(sentence.split()[:4]), []).append(sentence)

    def leaks(text: str) -> bool:
        if len(text.split()) < 3:
            return False
        return text in joined or any(s in text for start, those in by_start.items() if start in text for s in those)

    kept = [i for i, text in enumerate(data.texts) if i not in chosen and not leaks(text)]
    return (
        LabelledTexts([data.texts[i] for i in kept], [data.labels[i] for i in kept]),
        LabelledTexts(sentences, [data.labels[i] for i in sorted(chosen)]),
    )
