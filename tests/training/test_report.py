from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpt2cls_core.errors import DataError
from gpt2cls_core.scoring import METHODS
from gpt2cls_core.training.report import report


def test_the_study_of_regimes_is_a_table_of_its_own(tmp_path: Path) -> None:
    sst2 = {"accuracy": 0.9, "low": 0.85, "high": 0.95, "n": 7}
    over = {"mean": 0.8, "low": 0.75, "high": 0.85, "seeds": [0.79, 0.81], "n": 7}
    once = {"mean": 0.6, "low": None, "high": None, "seeds": [0.6], "n": 7}
    entry = {"trained_parameters": 512, "trained_share": 0.000074, "stored_bytes": 1024, "seconds": 63.4}
    table = {
        "head": {**entry, "accuracy": {"sst2/validation": over, "imdb/test": once}},
        "full": {**entry, "stored_bytes": 13_804_544, "seconds": None, "accuracy": {"sst2/validation": over}},
    }
    measured = {
        "classifiers": {"full": {"description": "mini", "accuracy": {"sst2/validation": sst2}}},
        "baselines": {},
        "regimes": {"table": table},
    }
    path = tmp_path / "r.json"
    path.write_text(json.dumps(measured))
    assert report(str(path)).splitlines() == [
        "| accuracy (95 % interval) | SST-2 validation | IMDb test | product reviews test |",
        "| --- | --- | --- | --- |",
        "| `full`: mini | 90.0% (85.0% – 95.0%) | – | – |",
        "",
        "| what was trained | weights trained | stored | core-seconds | SST-2 validation | IMDb test | product reviews test |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| `head` | 512 (0.01%) | 1 KB | 63 | 80.0% (75.0% – 85.0%) | 60.0% | – |",
        "| `full` | 512 (0.01%) | 13.8 MB | – | 80.0% (75.0% – 85.0%) | – | – |",
    ]


def test_what_interventions_leave_is_a_table_of_its_own(tmp_path: Path) -> None:
    def share(accuracy: float) -> dict[str, float]:
        return {"accuracy": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1}

    names = ["clean", "last_token_alone", "last_cut_in_lower_half", "last_cut_in_upper_half"]
    places = ["first", "middle", "mean", "second_to_last", "last"]
    entry = {
        "data": "sst2/validation",
        "n": 7,
        "accuracy": {name: share(0.8 - i / 10) for i, name in enumerate(names)},
        "read_out": {place: share(0.3 + i / 10) for i, place in enumerate(places)},
    }
    measured = {"classifiers": {}, "baselines": {}, "interventions": {"full": entry}}
    (tmp_path / "r.json").write_text(json.dumps(measured))
    lines = report(str(tmp_path / "r.json")).splitlines()
    assert lines[2:5] == ["", "| what is done to `full` | sst2/validation, 7 sentences |", "| --- | --- |"]
    assert [line.split(" | ")[1] for line in lines[5:]] == [
        f"{p}.0% ({p - 10}.0% – {p + 10}.0%) |" for p in (80, 70, 60, 50, 30, 40, 50, 60)
    ]


def test_explanations_on_trial_are_a_table_of_their_own(tmp_path: Path) -> None:
    def method(i: int) -> dict:
        around = {"mean": i / 100, "low": i / 100 - 0.01, "high": i / 100 + 0.01}
        below = {name: -value for name, value in around.items()}
        share = {"comprehensiveness": {"share": i / 20}}
        return {"comprehensiveness": around, "sufficiency": below, "beats_random_share": share}

    stems = [*METHODS, "random"]
    ways = {way: {stem: method(i + more) for i, stem in enumerate(stems)} for way, more in (("replace", 0), ("cut", 9))}
    entry = {"data": "sst2/validation", "n": 7, "removal": ways}
    found = {stem: {"share": 1 - i / 10} for i, stem in enumerate(METHODS)}
    for shortcut in ({}, {"shortcut": {"found": found, "by_chance": 0.05}}):
        measured = {"classifiers": {}, "baselines": {}, "explanations": {"full": {**entry, **shortcut}}}
        (tmp_path / "r.json").write_text(json.dumps(measured))
        head, _, *rows = (line.strip("| ").split(" | ") for line in report(str(tmp_path / "r.json")).splitlines()[3:])
        assert head[0] == "explanations of `full`, sst2/validation, 7 sentences"
        assert [row[0] for row in rows] == [*METHODS.values(), "random order"]
        assert {len(row) for row in (head, *rows)} == {8 if shortcut else 7}
        assert rows[1][:4] == [METHODS["ig-zero"], "0.01 (0.00 – 0.02)", "-0.01 (-0.00 – -0.02)", "5%"]
        assert rows[-1][4:7] == ["0.19 (0.18 – 0.20)", "-0.19 (-0.18 – -0.20)", "95%"]
        assert [row[7:] for row in (rows[3], rows[-1])] == ([["70%"], ["5%"]] if shortcut else [[], []])


def test_results_without_a_classifier_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(DataError, match="holds no measured classifier; run evaluate first"):
        report(str(tmp_path / "r.json"))
