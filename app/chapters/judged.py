"""What `referee` says of a contest: who predicts the model, who does no better than random orders, and when to trust none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

import torch

from gpt2cls_core import Classifier, Contest, Trace

from .. import models
from ..lesson import Run, fill, quoted

NAMES = {  # short, for narrow pages; IG is integrated gradients
    "ig-eos": "IG (end of text)",
    "ig-zero": "IG (zero)",
    "ig-mean": "IG (mean)",
    "gradient-x-input": "gradient × input",
    "rollout": "raw rollout",
    "rollout-beyond-null": "learned rollout",
    "rollout-gradient": "gradient rollout",
    "last-attention": "last attention",
    "ledger": "direct writes",
    "occlusion": "occlusion",
}
MEASURES = ("comprehensiveness", "sufficiency")
WAYS = {"replace": "replaced by the end-of-text token", "cut": "cut off from all that come later"}
BEST = 3  # methods whose orders are compared
AGREE = 0.6  # rank correlation from which on orders are said to agree
LITTLE = 0.1  # of probability: what a text can lose that hardly matters
SHORT = 20  # tokens below which more than one random order in twenty starts with the right one
SAME = 0.005  # of probability: what two digits do not show


def nothing_to_rank(trace: Trace) -> list[Run]:
    n = len(trace.tokens) - trace.encoding.n_virtual
    return fill("referee", "takeaway one" if n == 1 else "takeaway two")


def still_waiting(some: Contest) -> list[Run]:
    """What is said while the methods that cost more, and random orders, are on their way."""
    return fill("referee", "takeaway wait", done=len(some.results), n=len(NAMES), way=WAYS[some.removal])


def too_long(some: Contest, most: int) -> list[Run]:
    """What is said where the rest would take too long: the text has more than `most` tokens."""
    values = {"tokens": len(some.tokens), "done": len(some.results), "n": len(NAMES), "most": most}
    return fill("referee", "takeaway long", **values)


def verdict(clf: Classifier, trace: Trace, contest: Contest) -> list[Run]:
    """The whole takeaway: who wins, who is beyond random orders, reasons for doubt, and what was measured over many texts."""
    values: dict[str, Any] = {"way": WAYS[contest.removal], "label": contest.label, "draws": contest.n_draws}
    parts = (_winners(contest, values), _beyond(contest, values), _trust(trace, contest, values))
    said: list[Run] = []
    for part in (*parts, _measured(clf, contest, values)):
        names = list(part)
        said += [("\n\n", False)] * bool(said and names) + (fill("referee", *names, **values) if names else [])
    return said


def beyond(contest: Contest, stem: str) -> tuple[bool, bool]:
    """Whether a method is beyond random orders in comprehensiveness, and in sufficiency."""
    return tuple(contest.beats_random(stem, measure) for measure in MEASURES)


def capital(name: str) -> str:
    """A name at the start of a sentence."""
    return name[0].upper() + name[1:]


def listed(stems: Iterable[str]) -> str:
    """Names as in a sentence; empty for none."""
    *others, last = [NAMES[stem] for stem in stems] or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _winners(contest: Contest, values: dict[str, Any]) -> Iterator[str]:
    """Who comes first in each test."""
    first, *others = contest.ranking("comprehensiveness")
    result = contest.results
    tied = [stem for stem in others if result[first].comprehensiveness - result[stem].comprehensiveness < SAME]
    keeps = contest.ranking("sufficiency")[0]
    as_well = result[first].sufficiency - result[keeps].sufficiency < SAME
    means = {measure: contest.random[measure][0] for measure in MEASURES}
    values |= {
        "best": NAMES[first],
        "tied": listed(tied),
        "other": NAMES[keeps],
        "fell": _falls(result[first].comprehensiveness),
        "random_fell": _falls(means["comprehensiveness"]),
        "kept": _falls(result[first if as_well else keeps].sufficiency),
        "random_kept": _falls(means["sufficiency"]),
    }
    yield "takeaway"
    if tied:
        yield "takeaway tie"
    yield "takeaway both" if as_well else "takeaway other"


def _falls(by: float) -> str:
    """What a probability does."""
    return "stays the same" if abs(by) < SAME else f"{'falls' if by > 0 else 'rises'} by {abs(by):.2f}"


def _beyond(contest: Contest, values: dict[str, Any]) -> Iterator[str]:
    """Who gets beyond random orders, in both tests, in one, and in none."""
    count = {stem: sum(beyond(contest, stem)) for stem in contest.ranking()}
    if not any(count.values()):
        yield "takeaway none beyond"
        return
    for times, name in ((2, "both"), (1, "half"), (0, "inside")):
        values[name] = listed(stem for stem in count if count[stem] == times)
    yield "takeaway beyond" if values["both"] else "takeaway none in both"
    if values["half"]:
        yield "takeaway half"
    if values["inside"]:
        yield "takeaway inside"


def _trust(trace: Trace, contest: Contest, values: dict[str, Any]) -> Iterator[str]:
    """Reasons not to trust a ranking of this text."""
    whole, left = (float(p) for p in contest.results[contest.ranking()[0]].deletion[[0, -1]])
    n = len(trace.tokens) - trace.encoding.n_virtual
    values |= {"whole": whole, "left": left, "n": n}
    if whole - left < LITTLE:
        yield "takeaway little"
    if n < SHORT:
        yield "takeaway short"
    best = [stem for stem in contest.ranking() if all(beyond(contest, stem))][:BEST]
    if len(best) < 2:
        return
    first = {stem: contest.results[stem].order[0] for stem in best}
    tokens = dict.fromkeys(quoted(contest.tokens[place]) for place in first.values())
    stems = list(contest.scores)
    pairs = [contest.agreement[stems.index(a), stems.index(b)] for a, b in combinations(best, 2)]
    lowest = float(torch.stack(pairs).nan_to_num().min())
    values |= {"count": {2: "two", 3: "three"}[len(best)], "token": next(iter(tokens)), "lowest": lowest}
    values["tokens"] = ", ".join(tokens)
    yield "takeaway first same" if len(set(first.values())) == 1 else "takeaway first differ"
    yield "takeaway agree" if lowest >= AGREE else "takeaway disagree"


def _measured(clf: Classifier, contest: Contest, values: dict[str, Any]) -> Iterator[str]:
    """What was measured of this model's explanations over many texts."""
    entry = models.results().get("explanations", {}).get(clf.name, {})
    by_method = entry.get("removal", {}).get(contest.removal, {})
    found = {stem: by_method[stem]["comprehensiveness"] for stem in NAMES if stem in by_method}
    if not found or "random" not in by_method:
        yield "takeaway unmeasured"
        return
    random = by_method["random"]["comprehensiveness"]
    leader = max(found, key=lambda stem: found[stem]["mean"])
    here = contest.ranking()[0]
    values |= {"texts": entry["n"], "leader": NAMES[leader], "random_mean": random["mean"]}
    values |= {f"leader_{name}": found[leader][name] for name in ("mean", "low", "high")}
    yield "takeaway measured"
    if here != leader and here in found:
        values["best_mean"] = found[here]["mean"]
        yield "takeaway measured here"
    inside = [stem for stem in found if found[stem]["low"] <= random["mean"]]
    if inside:
        values["inside_measured"] = listed(inside)
        yield "takeaway measured inside"
