from __future__ import annotations

import math

import pytest

from gpt2cls_core.training.options import RegimesOptions
from gpt2cls_core.training.summary import over_seeds, summarise

OPTIONS = RegimesOptions(
    base="models/base", data=("data/sst2",), test=("data/sst2:validation",), output="runs/regimes", results="r.json",
    seeds=2, minutes=5.0, sizes=(32, 2048),
)  # fmt: skip


def cell(part: str, regime: str, texts: int, accuracy: float, seed: int = 0, **changes: object) -> dict:
    found = {"accuracy": {"sst2/validation": {"accuracy": accuracy, "low": 0, "high": 1, "n": 7}}}
    return {
        "part": part, "regime": regime, "examples": texts, "passes": 2, "rate": 0.5, "seed": seed, "read_out": "last",
        "parameters": 200, "trained_parameters": 50, "stored_bytes": 100, "texts": texts, "seconds": 4.0,
        "held_out_accuracy": {"sst2": 0.7, "imdb": 0.9}, **found, **changes,
    }  # fmt: skip


def test_an_interval_over_seeds_by_hand() -> None:
    # mean 0.8, s = 0.1, t = 4.3027: half width 4.3027 · 0.1 / √3
    found = over_seeds([0.7, 0.8, 0.9])
    assert found["mean"] == 0.8 and found["seeds"] == [0.7, 0.8, 0.9]
    assert found["high"] - found["mean"] == pytest.approx(0.2, abs=1e-4)  # cut at 1
    assert found["low"] == pytest.approx(0.8 - 4.3027 * 0.1 / math.sqrt(3), abs=1e-4)
    assert over_seeds([0.5]) == {"mean": 0.5, "low": None, "high": None, "seeds": [0.5]}
    assert over_seeds([0.5, 0.5])["low"] == 0.5


def test_what_finished_cells_say() -> None:
    summary = summarise(
        [
            cell("search", "full", 64, 0, rate=0.1),
            cell("search", "full", 64, 0, rate=0.5, held_out_accuracy={"sst2": 0.9, "imdb": 0.95}),
            cell("table", "full", 4000, 0.9),
            cell("table", "head", 4000, 0.6, seconds=None),
            cell("table", "bag-of-words", 4000, 0.75, rate=0, passes=1),
            cell("table", "full", 4000, 0.8, seed=1, seconds=5.0),
            cell("curve", "full", 2048, 0.7),
            cell("curve", "full", 32, 0.5),
            cell("curve", "full", 32, 0.52, seed=1),
            cell("read-out", "full", 4000, 0.55, read_out="first"),
        ],
        OPTIONS,
    )
    assert summary["command"] == (
        "python -m gpt2cls_core.training regimes --base models/base --data data/sst2 --test data/sst2:validation "
        "--output runs/regimes --results r.json --seeds 2 --sizes 32 2048"
    )
    assert (summary["base"], summary["data"], summary["seeds"]) == ("models/base", ["sst2"], 2)
    assert summary["search"] == {
        "full": [
            {"learning_rate": 0.1, "passes": 2, "held_out": 0.8},
            {"learning_rate": 0.5, "passes": 2, "held_out": 0.925},
        ]
    }
    full, head, words = (summary["table"][name] for name in ("full", "head", "bag-of-words"))
    assert full["accuracy"]["sst2/validation"]["mean"] == 0.85 and full["accuracy"]["sst2/validation"]["n"] == 7
    assert (full["trained_share"], full["stored_bytes"], full["seconds"]) == (0.25, 100, 4.5)
    assert (full["learning_rate"], full["passes"], full["texts"]) == (0.5, 2, 4000)
    assert (head["c"], head["seconds"]) == (0.5, None)  # of a run that was resumed no time is known
    assert "learning_rate" not in words
    assert [(p["texts"], p["mean"], p["seeds"]) for p in summary["curves"]["full"]] == [
        (32, 0.51, [0.5, 0.52]),
        (2048, 0.7, [0.7]),
        (4000, 0.85, [0.9, 0.8]),
    ]
    assert set(summary["curves"]) == {"full"}
    read_outs = {where: found["sst2/validation"]["mean"] for where, found in summary["read_outs"]["full"].items()}
    assert read_outs == {"last": 0.85, "first": 0.55}


def test_a_study_that_was_stopped_at_once_says_nothing_wrong() -> None:
    summary = summarise([cell("search", "full", 64, 0)], OPTIONS)
    assert (summary["table"], summary["curves"], summary["read_outs"]) == ({}, {}, {})
