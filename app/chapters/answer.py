"""The answer to the question that the page began with, in five sentences with their evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gpt2cls_core import Answer, Classifier, Trace, answer, bundled_folder, class_lens

from .. import models
from ..components.points import Point
from ..components.token_strip import strip_value
from ..figures.grid import grid_figure
from ..figures.places import Place, number_places
from ..lesson import Run, fill, quoted, read_lesson
from ..models import Shape
from .frame import Explained, Frame, render_frame
from .removed import cut_alone

TITLE = "The answer"
SENTENCES = (  # each with the chapter that shows it
    ("claim one", "predict"),
    ("claim two", "geometry"),
    ("claim three", "interventions"),
    ("claim four", "lens"),
    ("claim five", "ledger"),
)
HARDLY_TURNED = 0.9  # cosine from which on a vector is said to be much what it was
OTHER_PLACES = {
    "second_to_last": "the token before the last",
    "mean": "the mean of all vectors",
    "middle": "the middle token",
}
MISLEADS = 0.05  # of accuracy: by how much the raw lens must be worse than a probe to be called misleading


def explain(clf: Classifier, trace: Trace) -> Iterator[Explained]:
    """The five sentences, marked on the grid of the head's margins; what each token brings on the strip."""
    *_, (moves, _) = cut_alone(clf, trace)
    found = answer(clf, trace, cut=moves + class_lens(clf, trace).margin)
    target = found.lens.labels[found.lens.target]
    figure = grid_figure(
        found.lens.margins.numpy(),
        trace.tokens,
        scale="signed",
        unit=f"margin for {target}",
        alt=f"The head's margin for {target} in every cell, with numbers where each of the five sentences is seen.",
    )
    strip = strip_value(
        trace.tokens,
        [*(None if math.isnan(brought) else brought for brought in found.brought[:-1].tolist()), None],
        caption="What each token brings: by how much the margin falls when nothing after it may read it:",
        scale="signed",
        unit=" logits",
        marks=[] if found.strongest is None else [found.strongest],
    )
    n = len(trace.tokens) - found.first
    takeaway = fill("answer", "takeaway", n=f"{n} token{'s' if n > 1 else ''}", label=found.label, margin=found.margin)
    if unknown := int(found.brought.isnan().sum()):
        takeaway += [(" ", False), *fill("answer", "takeaway unfinished", n=unknown)]
    measured = models.results().get("interventions", {}).get(clf.name, {})
    evidence = (
        _one(found),
        _two(clf, found),
        [*_three(found), *_alone_measured(measured)],
        [*_four(found), *_places_measured(measured), *_pretraining_measured(clf)],
        [*_five(found), *_cuts_measured(measured)],
    )
    points = [
        Point(_words(claim), runs, shown_by, _link(shown_by))
        for (claim, shown_by), runs in zip(SENTENCES, evidence, strict=True)
    ]
    yield Explained(number_places(figure, _places(found)), strip, takeaway, points)


def render(shape: Shape) -> Frame:
    """The chapter has no options, and points besides its takeaway."""
    return render_frame("answer", shape, points=True)


def _words(section: str) -> str:
    return " ".join(read_lesson("answer")[section].split())


def _link(shown_by: str) -> str:
    from . import chapters_in_order  # there, the chapters are imported

    titles = chapters_in_order()
    return f"See chapter {list(titles).index(shown_by) + 1}: {titles[shown_by]}"


def _places(found: Answer) -> list[Place]:
    """Where each sentence is seen; of those that would share a cell, the first."""
    top, last = len(found.lens.margins) - 1, len(found.tokens) - 1
    turn = found.flips[-1] if found.flips else found.surest
    cells = {1: (last, top), 2: (last, 0), 4: (turn, top), 5: (last, top // 2)}
    if found.strongest is not None:
        cells[3] = (found.strongest, 0)
    taken: dict[tuple[int, int], Place] = {}
    for number, cell in cells.items():
        taken.setdefault(cell, (number, *cell, f"{number}. {_words(SENTENCES[number - 1][0])}"))
    return sorted(taken.values())


def _one(found: Answer) -> list[Run]:
    products = found.products.products
    return fill("answer", "takeaway one", d_model=len(products), last=quoted(found.tokens[-1]), margin=found.margin)


def _two(clf: Classifier, found: Answer) -> list[Run]:
    names = ["takeaway two"] + ["takeaway two close"] * (found.cosine > HARDLY_TURNED)
    runs = fill(
        "answer",
        *names,
        last=quoted(found.tokens[-1]),
        n=len(found.tokens),
        bottom=found.lens.at(0, -1),
        cosine=found.cosine,
    )
    measured = models.results().get("lens", {}).get(clf.name)
    if not measured:
        return runs
    head, probe = measured["head"], measured["probe"]
    layer = max(range(1, len(head) - 1), key=lambda i: probe[i] - head[i], default=0)
    names = ["takeaway two measured"]
    names += ["takeaway two raw"] * (layer > 0 and probe[layer] - head[layer] > MISLEADS)
    values = {"n": measured["n"], "bottom": probe[0], "top": probe[-1], "majority": measured["majority"]}
    raw = {"layer": layer, "raw": head[layer], "probe": probe[layer]}
    return [*runs, (" ", False), *fill("answer", *names, **values, **raw)]


def _three(found: Answer) -> list[Run]:
    alone, strongest = found.alone, found.strongest
    if alone is None or strongest is None:
        return fill("answer", "takeaway three alone")
    side = 1 if found.margin > 0 else -1
    if alone.flipped:
        ending = "takeaway three flips"
    elif not found.rests_on_the_others:
        ending = "takeaway three weak"
    else:
        ending = "takeaway three grows" if side * alone.change > 0 else "takeaway three stays"
    return fill(
        "answer",
        "takeaway three",
        ending,
        "takeaway three strongest",
        last=quoted(found.tokens[-1]),
        margin=found.margin,
        alone=alone.margin_after,
        label=found.label,
        label_after=alone.label_after,
        share=f"{abs(alone.change / found.margin):.0%}" if found.margin else "all",
        strongest=quoted(found.tokens[strongest]),
        brought=float(found.brought[strongest]),
    )


def _four(found: Answer) -> list[Run]:
    lens, surest = found.lens, found.surest
    if len(found.tokens) == 1:
        return fill("answer", "takeaway four alone")
    return fill(
        "answer",
        "takeaway four turns" if found.flips else "takeaway four never",
        "takeaway four last" if surest == len(found.tokens) - 1 else "takeaway four surest",
        flips=len(found.flips),
        turn=quoted(found.tokens[found.flips[-1]]) if found.flips else "",
        surest=quoted(found.tokens[surest]),
        place=surest + 1,
        best=lens.at(-1, surest),
        label=found.label,
        margin=found.margin,
    )


def _pretraining_measured(clf: Classifier) -> list[Run]:
    measured = models.results().get("pretraining", {}) if bundled_folder(clf.name) else {}
    if not measured.get("curve"):
        return []
    first, last = measured["curve"][0], measured["curve"][-1]
    values = {"before": first["probe_accuracy"], "after": last["probe_accuracy"], "tokens": round(last["tokens"] / 1e6)}
    bag = measured.get("probe_baseline_bag_of_words", {}).get("accuracy")
    names = ["takeaway four measured"] + ["takeaway four bag"] * (bag is not None)
    return [(" ", False), *fill("answer", *names, bag=bag, **values)]


def _alone_measured(measured: dict) -> list[Run]:
    """The accuracy with the last token alone, from what `gpt2cls_core.training.interventions` measured."""
    accuracy = measured.get("accuracy")
    if not accuracy:
        return []
    values = {"clean": accuracy["clean"]["accuracy"], "alone": accuracy["last_token_alone"]["accuracy"]}
    return [(" ", False), *fill("answer", "takeaway three measured", n=measured["n"], **values)]


def _places_measured(measured: dict) -> list[Run]:
    """The accuracy halfway and at the end, and the best other place if it is as good or better."""
    if not measured.get("read_out"):
        return []
    read_out = measured["read_out"]
    end = read_out["last"]["accuracy"]
    others = {name: read_out[place] for place, name in OTHER_PLACES.items()}
    where = max(others, key=lambda name: others[name]["accuracy"])
    names = ["takeaway four places"]
    if others[where]["low"] > end:
        names.append("takeaway four better")
    elif others[where]["accuracy"] >= end:
        names.append("takeaway four as good")
    halfway = dict(zip(measured["prefix"]["percent"], measured["prefix"]["accuracy"], strict=True))[50]["accuracy"]
    best = others[where]["accuracy"]
    return [(" ", False), *fill("answer", *names, n=measured["n"], half=halfway, end=end, where=where, best=best)]


def _cuts_measured(measured: dict) -> list[Run]:
    cuts = measured.get("one_token", {})
    if "top_every" not in cuts:
        return []
    values = {"every": cuts["top_every"]["mean"], "direct": cuts["top_direct"]["mean"]}
    return [(" ", False), *fill("answer", "takeaway five measured", n=cuts["n"], **values)]


def _five(found: Answer) -> list[Run]:
    ledger, strongest = found.ledger, found.strongest
    heads, mlps = float(ledger.heads.sum()), float(ledger.mlps.sum())
    runs = fill("answer", "takeaway five", heads=heads, mlps=mlps, rest=ledger.from_no_source - mlps)
    if strongest is None:
        return runs
    by_roads = fill(
        "answer",
        "takeaway five detours" if found.by_detours else "takeaway five direct",
        strongest=quoted(found.tokens[strongest]),
        direct=float(found.brought_directly[strongest]),
        every=float(found.brought[strongest]),
    )
    return [*runs, (" ", False), *by_roads]
