"""All methods over a few texts: the summary on paper, the command against the library text by text, and going on after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import save_tiny

from gpt2cls_core import load_classifier, referee, token_scores, trace
from gpt2cls_core.referee import MEASURES, METHODS
from gpt2cls_core.training import __main__ as command
from gpt2cls_core.training import explanations as module
from gpt2cls_core.training.explanations import summarise_trials, try_text
from gpt2cls_core.training.interventions import within

FAST = {name: METHODS[name] for name in ("rollout", "last-attention", "occlusion")}
TEXTS = ["good film, but not for me.", "not bad, not good.", "good", "me, me, me not", "a film for"]


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods that take no time."""
    monkeypatch.setattr(module, "METHODS", FAST)


@pytest.fixture
def data(tmp_path: Path) -> str:
    folder = tmp_path / "sst2"
    folder.mkdir()
    pd.DataFrame({"sentence": TEXTS, "label": [0, 1, 0, 1, 1]}).to_parquet(folder / "validation.parquet")
    return str(folder)


@pytest.fixture
def given(data: str, tmp_path: Path) -> list[str]:
    model = str(save_tiny(tmp_path / "two", 2, seed=1, context=21))
    results, output = str(tmp_path / "results.json"), str(tmp_path / "run")
    words = ["explanations", "--model", model, "--data", data, "--results", results, "--output", output]
    return [*words, "--draws", "3", "--points", "2"]


def trials(values: list[float], drawn: list[list[float]]) -> list[dict]:
    """Of one method by one removal, the same number for every measure."""
    return [
        {"cut": {"x": dict.fromkeys(MEASURES, value), "random": dict.fromkeys(MEASURES, row)}}
        for value, row in zip(values, drawn, strict=True)
    ]


# --- by hand ---


def test_the_summary_on_paper() -> None:
    summary = summarise_trials(trials([0.5, 0.1, 0.9], [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]))
    assert (summary["n"], summary["removal"].keys()) == (3, {"cut"})
    entry = summary["removal"]["cut"]["x"]
    for measure, high_is_good in MEASURES.items():
        assert entry[measure] == within([0.5, 0.1, 0.9]) | {"minus_random": within([0.3, -0.1, 0.4])}
        # 95 % quantiles 0.29, 0.29, 0.59; 5 % quantiles 0.11, 0.11, 0.41.
        assert entry["beats_random_share"][measure]["share"] == pytest.approx(
            2 / 3 if high_is_good else 1 / 3, abs=1e-4
        )
    random = summary["removal"]["cut"]["random"]
    assert random["sufficiency"] == within([0.2, 0.2, 0.5])
    # Of three draws one is above 95 % of the other two, and one is below 5 % of them.
    assert all(
        share == {"share": 0.3333, "low": 0.3333, "high": 0.3333, "n": 3}
        for share in random["beats_random_share"].values()
    )


# --- parity ---


def test_a_text_is_what_the_referee_makes_of_it(tmp_path: Path) -> None:
    clf = load_classifier(save_tiny(tmp_path / "two", 2, seed=1))
    tried = try_text(clf, clf.encode("good film, but not"), draws=3, points=4, seed=2)
    read = trace(clf, "good film, but not")
    for removal, entries in tried.items():
        contest = referee(clf, read, removal=removal, draws=3, points=4, seed=2)
        assert contest.scores["occlusion"].equal(token_scores(clf, read, "occlusion", removal=removal))
        assert entries.keys() == {*METHODS, "random"}
        for measure in MEASURES:
            for method in METHODS:
                assert entries[method][measure] == pytest.approx(getattr(contest.results[method], measure), abs=1e-6)
            assert torch.tensor(entries["random"][measure]).equal(contest.drawn[measure])
    assert tried["replace"]["occlusion"] != tried["cut"]["occlusion"]


# --- the command ---


def test_the_command_measures_and_keeps_what_it_does_not_measure(fast, given: list[str], tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    before = {"lens": 1, "explanations": {"other": 2, "two": {"n": 99, "removal": {}, "shortcut": {"n": 5}}}}
    results.write_text(json.dumps(before))
    assert command.main([*given, "--sample", "3"]) == 0
    written = json.loads(results.read_text())
    assert (written["lens"], written["explanations"]["other"]) == (1, 2)
    entry = written["explanations"]["two"]
    assert (entry["n"], entry["draws"], entry["data"], entry["shortcut"]) == (3, 3, "sst2/validation", {"n": 5})
    assert entry["removal"].keys() == {"replace", "cut"}
    for methods in entry["removal"].values():
        assert methods.keys() == {*FAST, "random"}
        assert all(method.keys() == {*MEASURES, "beats_random_share"} for method in methods.values())
    assert entry["command"].startswith("python -m gpt2cls_core.training explanations --model ")
    assert len(entry["date"]) == 10


def test_a_killed_run_goes_on_where_it_was(
    fast, given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    real = module.try_text

    def counting(clf, encoding, **options):
        if len(tried) == 2:
            tried.append("killed")
            raise KeyboardInterrupt
        tried.append(encoding.text)
        return real(clf, encoding, **options)

    monkeypatch.setattr(module, "try_text", counting)
    with pytest.raises(KeyboardInterrupt):
        command.main(given)
    assert len(list((tmp_path / "run" / "texts").iterdir())) == 2
    assert not (tmp_path / "results.json").exists()
    assert command.main(given) == 0
    assert tried[2] == "killed"
    assert len(set(tried)) == 5 == len(tried), "four texts of three tokens or more, none of them twice"
    entry = json.loads((tmp_path / "results.json").read_text())["explanations"]["two"]
    monkeypatch.setattr(module, "try_text", real)
    given[given.index(str(tmp_path / "run"))] = str(tmp_path / "at-once")
    assert command.main(given) == 0
    at_once = json.loads((tmp_path / "results.json").read_text())["explanations"]["two"]
    assert (at_once["n"], at_once["removal"]) == (entry["n"], entry["removal"])


def test_other_options_or_another_model_are_another_run(
    fast, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([*given, "--sample", "2"]) == 0
    assert command.main([*given, "--sample", "3"]) == 2
    assert "holds a run with other options (sample: 2 before, 3 now)" in capsys.readouterr().err
    save_tiny(tmp_path / "two", 2, seed=9, context=21)
    assert command.main([*given, "--sample", "2"]) == 2
    assert "holds a run with other options (fingerprint: " in capsys.readouterr().err


def test_the_planted_test_is_merged_beside_it(
    fast, given: list[str], base: str, sentences: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def measured(clf, planted, word):
        seen.update(clf=clf.name, planted=planted, word=word)
        return {"n": 4}

    monkeypatch.setattr(module, "measure_shortcut", measured)
    given[given.index("--data") + 1] = sentences
    shortcut = ["--shortcut", base, "--shortcut-texts", "30", "--shortcut-words", "for", "not"]
    assert command.main([*given, "--sample", "2", *shortcut]) == 0
    entry = json.loads((tmp_path / "results.json").read_text())["explanations"]["two"]
    expected = {"base": Path(base).name, "word": "for", "decoy": "not", "texts": 30, "n": 4}
    assert (entry["n"], entry["shortcut"]) == (2, expected)
    assert (seen["word"], len(seen["planted"])) == ("for", 2)
    assert " for " in seen["planted"][0].with_word
    assert seen["clf"] == str(tmp_path / "run" / "shortcut" / "run" / "model")


# --- failure ---


def test_what_cannot_be_measured_is_one_line_and_writes_nothing(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        (["--sample", "1"], "sample must be 2 or more, not 1."),
        (["--draws", "1"], "draws must be 2 or more, not 1."),
        (["--points", "0"], "points must be 1 or more, not 0."),
        (["--shortcut-words", "one"], "Give two different words to plant, one that decides and a decoy, not 'one'."),
        (["--shortcut-words", "one", "one"], "Give two different words to plant"),
        (["--data", str(tmp_path / "nowhere")], "nowhere"),
        (["--model", "nobody"], "There is no model 'nobody'"),
    ]
    for changes, message in cases:
        assert command.main([*given, *changes]) == 2
        *_, last = capsys.readouterr().err.splitlines()  # above it, transformers' progress in loading
        assert last.startswith("error: ") and message in last
    pd.DataFrame({"sentence": [*TEXTS[:1], "good", "a"], "label": [0, 1, 0]}).to_parquet(
        tmp_path / "sst2" / "validation.parquet"
    )
    assert command.main(given) == 2
    assert "has 1 validation texts of 3 tokens or more; give more." in capsys.readouterr().err
    assert not (tmp_path / "results.json").exists()
    assert not (tmp_path / "run").exists()
