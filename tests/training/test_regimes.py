from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gpt2cls_core.errors import DataError, Gpt2clsError, OptionError
from gpt2cls_core.training import __main__ as command
from gpt2cls_core.training import regimes as study
from gpt2cls_core.training.cells import BAG_OF_WORDS, Cell
from gpt2cls_core.training.options import RegimesOptions
from gpt2cls_core.training.regimes import regimes, run_cell

SPLITS = {"sst2/validation": 7, "imdb/test": 11}


@pytest.fixture
def options(base: str, sentences: str, reviews: str, tmp_path: Path) -> Callable[..., RegimesOptions]:
    def make(**changes: object) -> RegimesOptions:
        tiny = {
            "base": base, "data": (sentences, reviews), "test": (f"{sentences}:validation", f"{reviews}:test"),
            "output": str(tmp_path / "study"), "results": str(tmp_path / "results.json"), "seeds": 2, "sizes": (4, 999),
            "regimes": ("head", "lora"), "search_examples": 8, "passes": (1, 2), "fewest_texts": 8, "batch_size": 9,
            "examples": 16, "bf16": False,
        }  # fmt: skip
        return RegimesOptions(**{**tiny, **changes})

    return make


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the cells that were run, without running them."""
    ran: list[str] = []

    def run(cell: Cell, options: RegimesOptions, tests: dict, *, work: Path) -> dict:
        work.mkdir(parents=True)
        ran.append(cell.name)
        accuracy = {name: {"accuracy": 0.75, "low": 0.5, "high": 1.0, "n": len(test)} for name, test in tests.items()}
        numbers = {
            "parameters": 9,
            "trained_parameters": 3,
            "stored_bytes": 6,
            "texts": cell.examples or 99,
            "seconds": 1.0,
        }
        return {**vars(cell), **numbers, "held_out_accuracy": {"a": 0.5}, "accuracy": accuracy}

    monkeypatch.setattr(study, "run_cell", run)
    return ran


def test_a_study_of_two_regimes_from_the_command_line(options: Callable[..., RegimesOptions], tmp_path: Path) -> None:
    o = options()
    results = Path(o.results)
    results.write_text('{"kept": 1}')
    line = (
        f"regimes --base {o.base} --data {' '.join(o.data)} --test {' '.join(o.test)} --output {o.output} --no-bf16 "
        f"--results {o.results} --seeds 1 --regimes head prompt --sizes 4 --search-examples 8 --passes 1 "
        "--fewest-texts 8 --batch-size 9 --examples 16"
    )
    assert command.main(line.split()) == 0
    written = json.loads(results.read_text())
    assert written["kept"] == 1
    found = written["regimes"]
    assert found["complete"] is True
    assert list(found["table"]) == ["head", "prompt", BAG_OF_WORDS]
    prompt = found["table"]["prompt"]
    assert (prompt["trained_parameters"], prompt["stored_bytes"], prompt["texts"]) == (20 + 100, 2 * 120, 16)
    assert prompt["parameters"] == found["table"]["head"]["parameters"] > 3000
    assert {name: entry["n"] for name, entry in prompt["accuracy"].items()} == SPLITS
    assert [point["texts"] for point in found["curves"]["head"]] == [4, 16]
    assert list(found["read_outs"]["head"]) == ["last", "first", "mean", "middle"]
    assert {name: entry["n"] for name, entry in found["majority"].items()} == SPLITS
    assert len(found["search"]["head"]) == 3
    assert not (Path(o.output) / "work").exists()
    assert str(tmp_path) not in json.dumps(found)


def test_a_cell_never_measures_test_splits_while_choices_are_open(
    options: Callable[..., RegimesOptions], tmp_path: Path
) -> None:
    o = options()
    tests = {name: study.load_labelled(*source.rsplit(":", 1)) for name, source in zip(SPLITS, o.test, strict=True)}
    measured = {}
    for part in ("search", "curve", "read-out", "table"):
        result = run_cell(Cell(part, "head", 8, 1, 0.1), o, tests, work=tmp_path / part)
        measured[part] = {name: entry["n"] for name, entry in result["accuracy"].items()}
        assert set(result["held_out_accuracy"]) == {"sst2", "imdb"}
    first = {"sst2/validation": 7}
    assert measured == {"search": {}, "curve": first, "read-out": first, "table": SPLITS}


def test_the_bag_of_words_learns_from_the_very_texts_of_a_regime(
    options: Callable[..., RegimesOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, list[str]] = {}
    original_bag, original_draw = study.bag_of_words, study.draw_sources
    monkeypatch.setattr(study, "bag_of_words", lambda texts: drawn.update(bag=texts.texts) or original_bag(texts))
    cell = Cell("curve", BAG_OF_WORDS, 8, 1, 0, seed=3)
    result = run_cell(cell, options(), {}, work=tmp_path / "bag")

    def spy(settings: object) -> dict:
        sources = original_draw(settings)
        drawn["regime"] = [text for _, train, _ in sources.values() for text in train.texts]
        return sources

    monkeypatch.setattr("gpt2cls_core.training.finetune.draw_sources", spy)
    run_cell(Cell("curve", "head", 8, 1, 0.1, seed=3), options(), {}, work=tmp_path / "head")
    assert drawn["bag"] == drawn["regime"] and result["texts"] == 8


def test_a_finished_cell_is_never_run_again(options: Callable[..., RegimesOptions], faked: list[str]) -> None:
    regimes(options())
    cells = Path(options().output) / "cells"
    assert sorted(faked) == sorted(file.stem for file in cells.iterdir())
    assert (
        len(faked) == 8 + 3 + 2 + 6 + 6
    )  # search, table, second seed, curves of one size (999 is too large), read-outs
    before = len(faked)
    regimes(options())
    assert len(faked) == before
    regimes(options(seeds=3))
    assert all(name.endswith("-2") for name in faked[before:]) and len(faked) == before + 2 + 3 + 3
    (cells / f"{faked[0]}.json").unlink()
    regimes(options())
    assert faked[-1] == faked[0]


def test_time_that_is_up_stops_it_cleanly_and_the_next_call_goes_on(
    options: Callable[..., RegimesOptions],
    faked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    now = iter(range(0, 10_000, 60))
    monkeypatch.setattr(study.time, "monotonic", lambda: next(now))
    found = json.loads(regimes(options(minutes=3)).read_text())["regimes"]
    assert len(faked) == 3 and found["complete"] is False
    assert found["search"]["head"] and found["table"] == {}
    assert "3 cells finished: the time is up; the same command goes on." in capsys.readouterr().out
    assert json.loads(regimes(options()).read_text())["regimes"]["complete"] is True
    assert len(faked) == len(set(faked))


def test_a_kill_leaves_no_half_cell(options: Callable[..., RegimesOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(cell: Cell, *_: object, work: Path) -> dict:
        work.mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(study, "run_cell", killed)
        regimes(options())
    assert not (Path(options().output) / "cells").exists()
    assert not Path(options().results).exists()


def test_another_study_is_not_mixed_in(
    options: Callable[..., RegimesOptions], faked: list[str], base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    regimes(options())
    with pytest.raises(OptionError, match="fewest_texts: 8 before, 9 now"):
        regimes(options(fewest_texts=9))
    monkeypatch.setattr(study, "fingerprint", lambda _: "of another base")
    with pytest.raises(OptionError, match="base_fingerprint: "):
        regimes(options())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"regimes": ("head", "best")},
            "There is no regime 'best'; choose of full, head, last-block, lora, prompt, random.",
        ),
        ({"regimes": ()}, "There is no regime to compare; choose of full"),
        ({"seeds": 0}, "--seeds must be 1 or more, not 0."),
        ({"passes": (0, 2)}, "--passes must be 1 or more, not 0."),
        ({"sizes": (32, 1)}, "--sizes must be 2 or more, not 1."),
        ({"sample": -5}, "--sample must be 1 or more, not -5."),
        ({"fewest_texts": 0}, "--fewest-texts must be 1 or more, not 0."),
        ({"examples": 5000}, "--examples 5000 are more than there are: "),
        ({"test": ("nowhere",)}, "must be SOURCE:SPLIT"),
        (
            {"test": ("a/sst2:test", "b/sst2:test")},
            "two splits would have the same name in the results: a/sst2:test, b/",
        ),
        ({"base": "nobody/nothing"}, "No model could be read from 'nobody/nothing'"),
    ],
)
def test_what_makes_no_study_is_refused(
    options: Callable[..., RegimesOptions], changes: dict[str, object], message: str
) -> None:
    with pytest.raises(Gpt2clsError) as caught:
        regimes(options(**changes))
    assert message in str(caught.value)
    assert not (Path(options().output) / "cells").exists()


def test_data_that_cannot_be_used_are_refused_before_anything_is_run(
    options: Callable[..., RegimesOptions], sentences: str
) -> None:
    with pytest.raises(DataError, match="has no split 'test'"):
        regimes(options(test=(f"{sentences}:test",)))
