"""What the views of the study of regimes share: names, kinds, and how two means compare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .. import models
from ..components.token_strip import strip_value
from ..figures.dots import Dot, Kind
from ..figures.style import note_figure
from ..lesson import fill
from .frame import Explained

FROZEN = ("head", "prompt", "lora")
BAG, MAJORITY = "bag-of-words", "majority"
WITHOUT_BODY = {BAG: "bag of words", MAJORITY: "always the commoner class"}
SPLITS = {"sst2/validation": "SST-2", "imdb/test": "IMDb", "product_reviews/test": "product reviews"}
PLACES = {
    "first": "the first token",
    "middle": "a random middle token",
    "mean": "the mean of all",
    "last": "the last token",
}
NO_STRIP = strip_value([], [], caption="", scale="plain")  # of what is not about the text
Entry = Mapping[str, Any]


def title(regime: str) -> str:
    """What a regime is called, as in the page's header."""
    return WITHOUT_BODY.get(regime) or models.title(regime)


def kind(regime: str) -> Kind:
    """What became of the body."""
    return "none" if regime in WITHOUT_BODY else "frozen" if regime in FROZEN else "trained"


def in_order(regimes: Mapping[str, Any]) -> list[str]:
    """From the least trained to the most, then what has no body."""
    known = [*models.TRAINED, *WITHOUT_BODY]
    return sorted(regimes, key=lambda name: known.index(name) if name in known else -1)


def dot(entry: Entry) -> Dot:
    """A mean over seeds as it is drawn."""
    return Dot(entry["mean"], entry.get("low"), entry.get("high"))


def split_title(split: str) -> str:
    return SPLITS.get(split, split)


def first_split(study: Entry) -> str:
    """The split that curves and read-outs were measured on."""
    return next(iter(next(iter(study["table"].values()))["accuracy"])) if study.get("table") else "sst2/validation"


def most_texts(study: Entry) -> int:
    """How many labelled texts the table's runs learned from."""
    return max(row["texts"] for row in study["table"].values())


def points(one: Entry, other: Entry) -> float:
    """Difference of two means in percentage points."""
    return 100 * (one["mean"] - other["mean"])


def clearly_above(one: Entry, other: Entry) -> bool:
    """Whether their intervals over seeds do not even touch; of one seed nothing is clear."""
    low = one["low"] if one["low"] is not None else -math.inf
    high = other["high"] if other["high"] is not None else math.inf
    return low > high


def not_measured(what: str) -> Explained:
    """A picture and words for what the results do not hold."""
    said = fill("regimes", "takeaway not measured", what=what)
    return Explained(note_figure("Not measured yet"), NO_STRIP, said)
