"""A test with a known answer: a classifier whose verdict rests on one word, because nothing else could be learned from.

Which tokens a verdict really rests on is not known, so an explanation can't be marked right or wrong; except where the reason was
planted (as in Bastings et al. 2022, "Will you find these shortcuts?", arXiv:2111.07367). Half of many sentences get a word, at a
random place inside, and are of one class; of the other half some are left as they are and some get another word, the decoy, and
they are of the other class. What a sentence says does not matter. A classifier trained on them can do no better than to look for
the word. Whether it does is checked: with the word it must find the one class, without it and with the decoy in its place the
other. Then a method has found the reason if it ranks the word's token first.

A sentence *without* the word has no token that decides, so only those with it are asked about. This is also why the two classes are
not two words, one each: a model that looks for one of them, and takes its absence for the other, is right every time.

Caveat: one token that decides alone is the easiest case there is. A method that fails here can't be trusted; one that succeeds may
still fail where several words work together.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from tqdm import tqdm

from ..classifier import Classifier, Encoding, load_classifier
from ..errors import DataError
from ..scoring import METHODS, token_scores
from ..trace import trace
from .data import LabelledTexts
from .evaluate import accuracy_of
from .finetune import finetune
from .options import FinetuneOptions
from .pooling import predict

__all__ = ["Planted", "label_planted", "learn_shortcut", "measure_shortcut", "plant", "planted_token", "share_of"]

FEWEST_WORDS = 5


@dataclass(frozen=True)
class Planted:
    """A sentence, and the same with a word put into it.

    Attributes:
        plain: as it was.
        with_word, with_decoy: with either word at the same place.
        start: of the word in `with_word`, in characters.
    """

    plain: str
    with_word: str
    with_decoy: str
    start: int


def plant(texts: Sequence[str], words: tuple[str, str], *, seed: int) -> list[Planted]:
    """Put word and decoy into each sentence of five words or more, never as its first or last word.

    Sentences that hold one of the two already are left out.
    """
    generator = random.Random(seed)
    planted = []
    for text in texts:
        parts = text.split(" ")
        if len(parts) < FEWEST_WORDS or any(word in text.lower() for word in words):
            continue
        place = generator.randrange(1, len(parts))
        before, after = " ".join(parts[:place]), " ".join(parts[place:])
        planted.append(Planted(text, *(f"{before} {word} {after}" for word in words), start=len(before) + 1))
    return planted


def label_planted(planted: Sequence[Planted], *, seed: int) -> LabelledTexts:
    """What to learn from: half of the sentences with the word (label 1), the others plain or with the decoy (label 0)."""
    generator = random.Random(seed)
    kinds = [generator.choice(("with_word", "with_word", "plain", "with_decoy")) for _ in planted]
    texts = [getattr(each, kind) for each, kind in zip(planted, kinds, strict=True)]
    return LabelledTexts(texts, [int(kind == "with_word") for kind in kinds])


def learn_shortcut(
    base: str, data: LabelledTexts, output: Path, *, seed: int, learning_rate: float | None = None
) -> Classifier:
    """Fine-tune a base in full on planted sentences, in one pass; a finished run in `output` is taken as it is.

    Args:
        learning_rate: None for `finetune`'s own.
    """
    source, run = output / "planted", output / "run"
    if not (run / "finetune.json").is_file():
        source.mkdir(parents=True, exist_ok=True)
        Dataset.from_dict({"text": data.texts, "label": data.labels}).to_parquet(source / "train.parquet")
        settings = FinetuneOptions(
            base=base,
            data=(str(source),),
            output=str(run),
            measurements=1,
            seed=seed,
            bf16=False,
            learning_rate=learning_rate,
        )
        finetune(settings)
    return load_classifier(run / "model")


def measure_shortcut(clf: Classifier, planted: Sequence[Planted], word: str) -> dict[str, Any]:
    """Whether the verdict rests on the word, and how often each method ranks its token first.

    Returns:
        - ``accuracy``: how often the verdict is as taught, ``with`` the word, ``without`` it, and with the ``decoy`` in its place.
        - ``n``: sentences that are judged rightly in all three ways, so that the word decides; the rest is about these.
        - ``found``: by method, in how many of them the word's token has the highest score of all tokens of the text.
        - ``by_chance``: how often a random order would have it first.

    Raises:
        DataError: the word is not one token, or decides nowhere.
    """
    variants = {"with": "with_word", "without": "plain", "decoy": "with_decoy"}
    right = {}
    for name, variant in variants.items():
        verdicts = predict(clf.model, clf.tokenizer, [getattr(each, variant) for each in planted])
        right[name] = [int(verdict == (name == "with")) for verdict in verdicts.tolist()]
    decided = [each for each, *rights in zip(planted, *right.values(), strict=True) if all(rights)]
    if not decided:
        raise DataError(f"{word!r} decides no verdict, so the shortcut was not learned; train on more sentences.")
    ranked = list(_ranked_first(clf, decided, word))
    return {
        "accuracy": {name: accuracy_of(hits, [1] * len(hits)) for name, hits in right.items()},
        "n": len(decided),
        "found": {method: share_of([int(hits[method]) for hits, _ in ranked]) for method in METHODS},
        "by_chance": round(sum(chance for _, chance in ranked) / len(ranked), 4),
    }


def share_of(hits: Sequence[int]) -> dict[str, float | int]:
    """The share of ones with its 95 % interval (Wilson)."""
    counted = accuracy_of(hits, [1] * len(hits))
    return {"share" if key == "accuracy" else key: value for key, value in counted.items()}


def planted_token(encoding: Encoding, start: int, word: str) -> int:
    """The position of the token that is the planted word.

    Raises:
        DataError: the word is not one token for this tokenizer.
    """
    end = start + len(word)  # with the blank before it, which is a part of the token
    touched = [i for i, (first, after) in enumerate(encoding.offsets) if first < end and after >= start]
    if len(touched) != 1:
        raise DataError(
            f"{word!r} is {len(touched)} tokens of this model inside a text, not 1; choose another to plant."
        )
    return touched[0]


def _ranked_first(clf: Classifier, planted: Sequence[Planted], word: str) -> Iterator[tuple[dict[str, bool], float]]:
    """For each sentence: by which methods the word's token is first, and how likely that is for a random order."""
    for each in tqdm(planted, "the planted word", unit="text"):
        encoding = clf.encode(each.with_word)
        first = encoding.n_virtual
        position, read = planted_token(encoding, each.start, word) - first, trace(clf, encoding)
        hits = {method: int(token_scores(clf, read, method)[first:].argmax()) == position for method in METHODS}
        yield hits, 1 / (len(encoding) - first)
