"""The views of `regimes` that draw the study: its table, learning curves, and where the head reads.

All of it was measured by `python -m gpt2cls_core.training regimes` and lies in the results; `told` puts it into words.
"""

from __future__ import annotations

from collections.abc import Mapping

from .. import models
from ..components.table import Table
from ..figures.curves import Curve, curves_figure
from ..figures.dots import Dot, Kind, Row, dots_figure
from .frame import Explained
from .study import (
    BAG,
    MAJORITY,
    NO_STRIP,
    PLACES,
    Entry,
    dot,
    first_split,
    in_order,
    kind,
    most_texts,
    not_measured,
    split_title,
    title,
)
from .told import labels_said, places_said, table_said

SHORT_SPLITS = {"product_reviews/test": "products"}  # where a panel is narrow
SHORT = {"head": "head alone", "random": "from random"}  # names beside a curve
SYMBOLS = {"head": "circle-open", "lora": "square-open", "full": "circle", "random": "square", BAG: "diamond-open"}


def explain_table(name: str) -> Explained:
    """Accuracy of every regime on every split, and in a table what it costs.

    Args:
        name: of the page's model, whose row stands out.
    """
    study = models.results().get("regimes", {})
    table = study.get("table")
    if not table:
        return not_measured("the comparison of the regimes")
    splits = list(next(iter(table.values()))["accuracy"])
    rows = [
        Row(title(regime), [_cell(table[regime]["accuracy"], split, kind(regime)) for split in splits], regime == name)
        for regime in in_order(table)
    ]
    if majority := study.get("majority"):
        alone = {
            split: {"mean": entry["accuracy"]} for split, entry in majority.items()
        }  # no seeds, so no interval of them
        rows.append(Row(title(MAJORITY), [_cell(alone, split, "none") for split in splits]))
    bag = table.get(BAG, {}).get("accuracy", {})
    told = [f"{row.name} {', '.join(cell[0].told for cell in row.cells if cell)}" for row in rows]
    figure = dots_figure(
        rows,
        [SHORT_SPLITS.get(split, split_title(split)) for split in splits],
        levels=[bag[split]["mean"] if split in bag else None for split in splits],
        level_name="bag of words" if bag else "",
        alt=f"Accuracy on {', '.join(map(split_title, splits))}: {'; '.join(told)}.",
    )
    return Explained(figure, NO_STRIP, table_said(study, splits), table=_costs(study, name))


def explain_labels() -> Explained:
    """Accuracy over the number of labelled texts."""
    study = models.results().get("regimes", {})
    curves = {regime: points for regime, points in (study.get("curves") or {}).items() if points}
    if not curves:
        return not_measured("learning from fewer texts")
    sizes = sorted({point["texts"] for points in curves.values() for point in points})
    drawn = [
        Curve(
            SHORT.get(regime, title(regime)),
            kind(regime),
            [point["texts"] for point in curves[regime]],
            [dot(point) for point in curves[regime]],
            [f"{point['texts']:,} texts" for point in curves[regime]],
            symbol=SYMBOLS.get(regime, ""),
        )
        for regime in in_order(curves)
    ]
    split = first_split(study)
    ends = [f"{title(regime)} {curves[regime][-1]['mean']:.1%}" for regime in in_order(curves)]
    figure = curves_figure(
        drawn,
        x_name="labelled texts to learn from",
        y_name=f"accuracy on {split_title(split)}",
        ticks=[(size, f"{size:,}") for size in sizes],
        logarithmic=True,
        alt=f"Learning curves from {sizes[0]} to {sizes[-1]:,} texts, ending at: {'; '.join(ends)}.",
    )
    return Explained(figure, NO_STRIP, labels_said(curves))


def explain_places() -> Explained:
    """Accuracy by the token that the head reads, each trained for it."""
    study = models.results().get("regimes", {})
    if not study.get("read_outs"):
        return not_measured("reading at other tokens")
    # Each place was measured on one split, and the table's on all of them.
    read_outs = {
        regime: {place: next(iter(splits.values())) for place, splits in places.items()}
        for regime, places in study["read_outs"].items()
    }
    regimes = in_order(read_outs)
    rows = [
        Row(name, [_cell(read_outs[regime], place, kind(regime)) for regime in regimes], place == "last")
        for place, name in PLACES.items()
        if any(place in read_outs[regime] for regime in regimes)
    ]
    told = [f"{row.name} {', '.join(cell[0].told for cell in row.cells if cell)}" for row in rows]
    figure = dots_figure(
        rows,
        [title(regime) for regime in regimes],
        alt=f"Accuracy by the place that is read, for {', '.join(map(title, regimes))}: {'; '.join(told)}.",
    )
    return Explained(figure, NO_STRIP, places_said(study, read_outs))


def _cell(entries: Mapping[str, Entry], key: str, of: Kind) -> tuple[Dot, Kind] | None:
    return (dot(entries[key]), of) if key in entries else None


def _costs(study: Entry, name: str) -> Table:
    """What of each regime was trained and must be stored, and how long it took."""
    table = study["table"]
    order = in_order(table)
    seeds = sorted({len(row["accuracy"][first_split(study)]["seeds"]) for row in table.values()})
    most = seeds[-1]
    counted = f"{seeds[0]} to {most}" if seeds[0] < most else f"{most}"
    tried = {len(cells) for cells in study.get("search", {}).values()}
    search = f"the best of {' or '.join(map(str, sorted(tried)))} tried" if tried else "chosen"
    source = ", ".join(study.get("data", ())) or "the train split"
    caption = (
        f"Dots are means over {counted} seed{'s' if most > 1 else ''}{', bars their 95 % interval' if most > 1 else ''}; "
        f"all learned from the same {most_texts(study):,} labelled texts of {source}. Passes (how often all texts are gone "
        f"through) and rate (how far each step goes; of the head alone C, how large its weights may grow) are {search} on held-out "
        f"texts of the train split. Time is of one processor core.{_other_than_above(study, name)}"
        f"{'' if study.get('complete', True) else ' The study is not finished: more is to come.'}"
    )
    rows = [
        [title(regime), _trained(table[regime]), _bytes(table[regime]["stored_bytes"]), _time(table[regime])]
        for regime in order
    ]
    strong = [order.index(name)] if name in order else []
    return Table(caption, ("", "weights trained", "stored", "training"), rows, strong)  # fmt: skip


def _trained(row: Entry) -> str:
    share = row["trained_share"]
    return (
        f"{row['trained_parameters']:,}\n{share:.0%}"
        if share > 0.1
        else f"{row['trained_parameters']:,}\n{100 * share:.2g}%"
    )


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f}\u00a0MB" if size >= 1e6 else f"{size / 1e3:.0f}\u00a0KB"


def _time(row: Entry) -> str:
    seconds = row["seconds"]
    spent = (
        "not known"
        if seconds is None
        else f"{seconds / 60:.1f} min"
        if seconds >= 60
        else f"{seconds:.0f} s"
        if seconds >= 1
        else "under 1 s"
    )
    if "passes" not in row:
        return spent
    passes = f"{row['passes']}\u00a0pass{'es' if row['passes'] > 1 else ''}"
    return f"{spent}\nC\u00a0{row['c']:g}" if "c" in row else f"{spent}\n{passes}\nrate\u00a0{row['learning_rate']:g}"


def _other_than_above(study: Entry, name: str) -> str:
    """Why the header says another number of the same name, where it does."""
    split = first_split(study)
    above = models.results().get("classifiers", {}).get(name, {}).get("accuracy", {}).get(split)
    here = study["table"].get(name, {}).get("accuracy", {}).get(split)
    if not above or not here or f"{above['accuracy']:.1%}" == f"{here['mean']:.1%}":
        return ""
    learned = models.classifier(name).card.get("how_trained", "otherwise")
    return (
        f" “{title(name)}”, chosen at the top of the page, is not of the study but was trained {learned}: so it is right in "
        f"{above['accuracy']:.1%} on {split_title(split)}, the study’s in {here['mean']:.1%}. Compare within the study."
    )
