"""The takeaways of the study of regimes, from its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..lesson import Run, fill
from .study import BAG, PLACES, WITHOUT_BODY, Entry, clearly_above, in_order, most_texts, points, split_title, title

BREAK = ("\n\n", False)


def table_said(study: Entry, splits: list[str]) -> list[Run]:
    """The two comments of the thread answered, then what pre-training and body are worth at all."""
    table = {regime: row["accuracy"] for regime, row in study["table"].items()}
    parts = [_all_said(study, table, splits), _adapters_said(study, table, splits[0]), _beside_said(table, splits[0])]
    runs: list[Run] = []
    for part in filter(None, parts):
        runs += [*([BREAK] if runs else []), *part]
    return runs


def _all_said(study: Entry, table: Mapping[str, Entry], splits: list[str]) -> list[Run]:
    """Everything trained against the head alone."""
    if not {"head", "full"} <= table.keys():
        return []
    first = splits[0]
    full, head = table["full"], table["head"]
    others = [f"{points(full[split], head[split]):+.1f} points on {split_title(split)}" for split in splits[1:]]
    return fill(
        "regimes",
        "takeaway table all",
        _apart(full[first], head[first]),
        *(["takeaway table other splits"] if others else []),
        split=split_title(first),
        texts=most_texts(study),
        n=full[first]["n"],
        head=head[first]["mean"],
        full=full[first]["mean"],
        gain=points(full[first], head[first]),
        others=" and ".join(others),
    )


def _adapters_said(study: Entry, table: Mapping[str, Entry], split: str) -> list[Run]:
    """What is trained beside a frozen body."""
    adapters = [regime for regime in ("lora", "prompt") if regime in table]
    if not adapters:
        return []
    runs = fill("regimes", "takeaway table adapters")
    for regime in adapters:
        share = 100 * study["table"][regime]["trained_share"]
        values = {"name": title(regime), "accuracy": table[regime][split]["mean"], "share": share}
        runs += [(" " if regime == adapters[0] else "; ", False), *fill("regimes", "takeaway table adapter", **values)]
    runs.append((".", False))
    if "full" not in table:
        return runs
    best = max(adapters, key=lambda regime: table[regime][split]["mean"])
    name = "takeaway table best adapter" if len(adapters) > 1 else "takeaway table one adapter"
    gap = points(table[best][split], table["full"][split])
    return [*runs, (" ", False), *fill("regimes", name, best=title(best), gap=gap)]


def _beside_said(table: Mapping[str, Entry], split: str) -> list[Run]:
    """Random weights, the bag of words, and how much so few test sentences can say."""
    names: list[str] = []
    values: dict[str, Any] = {}
    if {"random", "full"} <= table.keys():
        names.append("takeaway table random")
        values |= {
            "random": table["random"][split]["mean"],
            "bought": points(table["full"][split], table["random"][split]),
        }
    if BAG in table:
        bodies = [regime for regime in in_order(table) if regime not in WITHOUT_BODY]
        above = [title(regime) for regime in bodies if clearly_above(table[regime][split], table[BAG][split])]
        names.append("takeaway table bag" if above else "takeaway table bag none")
        values |= {"bag": table[BAG][split]["mean"], "above": ", ".join(above)}
    known = next(iter(table.values()))[split]
    names.append("takeaway table uncertain")
    values["half"] = 196 * math.sqrt(known["mean"] * (1 - known["mean"]) / known["n"])
    return fill("regimes", *names, **values)


def _apart(full: Entry, head: Entry) -> str:
    if clearly_above(full, head):
        return "takeaway table more"
    return "takeaway table less" if clearly_above(head, full) else "takeaway table open"


def labels_said(curves: Mapping[str, list[Entry]]) -> list[Run]:
    means = {regime: {point["texts"]: point["mean"] for point in points} for regime, points in curves.items()}
    sizes = sorted(set.intersection(*(set(of) for of in means.values())) or {p for of in means.values() for p in of})
    few, many = sizes[0], sizes[-1]

    def at(size: int) -> str:
        return "; ".join(f"{title(r)} {means[r][size]:.1%}" for r in in_order(means) if size in means[r])

    values: dict[str, Any] = {"few": few, "many": many, "at_few": at(few), "at_many": at(many)}
    names = ["takeaway labels"]
    if {"full", "head"} <= means.keys():
        texts = _overtakes(means["full"], means["head"])
        names.append("takeaway labels never" if texts is None else "takeaway labels overtakes")
        values["overtakes"] = texts
    if {"random", "head"} <= means.keys():
        texts = next((s for s in sizes if means["random"].get(s, 0) >= means["head"].get(few, 1)), None)
        names.append("takeaway labels random never" if texts is None else "takeaway labels random")
        values |= {"needs": texts, "head_few": means["head"].get(few)}
    if {BAG, "head"} <= means.keys():
        both = [size for size in sizes if size in means["head"] and size in means[BAG]]
        values |= {"sizes": len(both), "ahead": sum(means["head"][size] > means[BAG][size] for size in both)}
        names.append("takeaway labels bag")
    return fill("regimes", *names, **values)


def _overtakes(one: Mapping[int, float], other: Mapping[int, float]) -> int | None:
    """The size from which on `one` stays ahead, if it is ahead at the last."""
    ahead = None
    for size in sorted(one.keys() & other.keys()):
        ahead = None if one[size] <= other[size] else ahead or size
    return ahead


def places_said(study: Entry, read_outs: Mapping[str, Mapping[str, Entry]]) -> list[Run]:
    runs: list[Run] = []
    for regime in in_order(read_outs):
        places = read_outs[regime]
        others = {place: entry for place, entry in places.items() if place != "last"}
        if "last" not in places or not others:
            continue
        last = places["last"]["mean"]
        best = max(others, key=lambda place: others[place]["mean"])
        each = ", ".join(f"{others[place]['mean']:.1%} at {PLACES[place]}" for place in PLACES if place in others)
        ending = "takeaway places ahead" if clearly_above(places["last"], others[best]) else "takeaway places open"
        if others[best]["mean"] >= last:
            ending = "takeaway places behind"
        said = fill(
            "regimes", "takeaway places", ending, regime=title(regime), last=last, others=each,
            best=PLACES[best], gap=points(places["last"], others[best]),
        )  # fmt: skip
        runs += [*([(" ", False)] if runs else []), *said]
    firsts = [of["first"]["mean"] for of in read_outs.values() if "first" in of]
    majority = next(iter(study.get("majority", {}).values()), {}).get("accuracy")
    if firsts and majority is not None:
        runs += [(" ", False), *fill("regimes", "takeaway places first", first=max(firsts), majority=majority)]
    return runs
