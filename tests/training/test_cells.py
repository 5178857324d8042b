from __future__ import annotations

import dataclasses
from typing import Any

from gpt2cls_core.training.cells import BAG_OF_WORDS, RATES, Cell, chosen, passes_of, plan, search_cells
from gpt2cls_core.training.options import RegimesOptions

OPTIONS = RegimesOptions(
    base="b", data=("sst2",), test=("sst2:validation",), output="o", results="r", regimes=("full", "head"), seeds=2,
    sizes=(512, 32), search_examples=2048, passes=(3, 1),
)  # fmt: skip
BEST = {("full", 3e-4, 1): 0.8, ("full", 3e-4, 3): 0.9, ("head", 0.1, 1): 0.7, ("head", 0.1, 3): 0.7}


def held_out(cell: Cell) -> dict[str, Any]:
    """Made-up accuracies of two sources: full is best at 3e-4 and three passes, head at C 0.1 and either."""
    accuracy = BEST.get((cell.regime, cell.rate, cell.passes), 0.6)
    return {"held_out_accuracy": {"sst2": accuracy - 0.1, "imdb": accuracy + 0.1}}


def test_the_search_tries_three_rates_and_then_more_passes_with_the_best() -> None:
    tried = list(search_cells(OPTIONS, held_out, "full", d_model=256))
    assert [(c.rate, c.passes) for c in tried] == [(1e-4, 1), (3e-4, 1), (1e-3, 1), (3e-4, 3)]
    assert {(c.part, c.examples, c.seed, c.read_out) for c in tried} == {("search", 2048, 0, "last")}
    best = chosen(OPTIONS, held_out, "full", d_model=256)
    assert (best.rate, best.passes) == (3e-4, 3)
    best = chosen(OPTIONS, held_out, "head", d_model=256)
    assert (best.rate, best.passes) == (0.1, 1)  # of equals the first, which is the cheaper


def test_rates_of_matrices_shrink_with_the_width_and_others_stay() -> None:
    for regime, shrink in (("full", 3), ("random", 3), ("last-block", 3), ("lora", 1), ("prompt", 1), ("head", 1)):
        first = list(search_cells(OPTIONS, lambda _: held_out(Cell("", "", 0, 0, 0)), regime, d_model=768))[:3]
        assert [c.rate * shrink for c in first] == list(RATES[regime])


def test_the_plan_begins_with_the_table_and_ends_with_reading_elsewhere() -> None:
    cells = list(plan(OPTIONS, held_out, d_model=256))
    shown = [(c.part, c.regime, c.examples, c.passes, c.seed, c.read_out) for c in cells if c.part != "search"]
    read_outs = ("first", "mean", "middle")
    assert shown == [
        ("table", "full", None, 3, 0, "last"),
        ("table", "head", None, 1, 0, "last"),
        ("table", BAG_OF_WORDS, None, 1, 0, "last"),
        ("table", "full", None, 3, 1, "last"),
        ("table", "head", None, 1, 1, "last"),
        *(
            ("curve", regime, size, passes, seed, "last")
            for seed in (0, 1)
            for size in (32, 512)
            for regime, passes in (("head", 1), ("full", 3), (BAG_OF_WORDS, 1))
        ),
        *(("read-out", r, None, p, seed, where) for seed in (0, 1) for r, p in (("head", 1), ("full", 3)) for where in read_outs),
    ]  # fmt: skip
    search = [i for i, cell in enumerate(cells) if cell.part == "search"]
    assert search == [0, 1, 2, 3, 5, 6, 7, 8]  # each just before the regime's first line in the table
    assert len({cell.name for cell in cells}) == len(cells)


def test_nothing_is_asked_of_a_cell_before_it_is_its_turn() -> None:
    done: dict[str, dict[str, Any]] = {}
    for cell in plan(OPTIONS, lambda cell: done[cell.name], d_model=256):
        done[cell.name] = held_out(cell)
    assert list(done) == [cell.name for cell in plan(OPTIONS, held_out, d_model=256)]


def test_small_sets_are_passed_over_more_often() -> None:
    cell = Cell("curve", "full", 32, 2, 1e-3)
    assert passes_of(cell, 6400) == 200
    assert passes_of(cell, 33) == 2
    assert passes_of(dataclasses.replace(cell, examples=None), 6400) == 2


def test_a_cells_name_says_all_that_it_is() -> None:
    assert Cell("curve", "full", 32, 2, 1e-3, 1).name == "curve-full-32-2x0.001-last-1"
    assert Cell("read-out", "head", None, 1, 0.1, 0, "mean").name == "read-out-head-all-1x0.1-mean-0"
