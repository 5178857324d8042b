from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gpt2cls_core.training import __main__ as command
from gpt2cls_core.training.command_line import command_line, portable
from gpt2cls_core.training.options import FinetuneOptions, PretrainOptions, RegimesOptions, repeat

COMMANDS = (
    "pretrain",
    "finetune",
    "ship",
    "probes",
    "evaluate",
    "interventions",
    "explanations",
    "regimes",
    "label-map",
    "features",
)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_and_names_every_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main([name, "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert all(f"{word}:" in said for word in ("In", "Out", "Example"))
    options = command.COMMANDS[name][0]
    for field in dataclasses.fields(options):
        assert f"--{field.name.replace('_', '-')}" in said
        assert field.metadata["help"].split()[0] in said


def test_help_does_not_wait_for_transformers() -> None:
    code = (
        "import sys; from gpt2cls_core.training.__main__ import parser; parser().format_help(); "
        "print([n for n in ('transformers', 'datasets', 'sklearn', 'accelerate') if n in sys.modules])"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr


def test_options_arrive_with_their_types() -> None:
    given = "pretrain --data a:train b:train --probe-data p --output o --tokens 5e6 --layers 3 --no-bf16 --compile --limit 9"
    options = command.options_of(command.parser().parse_args(given.split()))
    assert options == PretrainOptions(
        ("a:train", "b:train"), "p", "o", tokens=5e6, layers=3, bf16=False, compile=True, limit=9
    )


def test_lists_of_numbers_arrive_as_numbers_and_are_told_back() -> None:
    given = "regimes --base b --data d --test d:test --output o --results r --sizes 32 123456 --passes 2 --regimes head lora"
    options = command.options_of(command.parser().parse_args(given.split()))
    assert (options.sizes, options.passes, options.regimes) == ((32, 123456), (2,), ("head", "lora"))
    assert options.search_examples == RegimesOptions("b", ("d",), ("d:test",), "o", "r").search_examples
    told = command_line("regimes", options)
    assert command.options_of(command.parser().parse_args(told.split()[3:])) == options


def test_an_unknown_regime_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["finetune", "--base", "b", "--data", "d", "--output", "o", "--regime", "best"])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "invalid choice: 'best'" in said and "last-block" in said


def test_our_errors_are_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in (
        f"ship --model {tmp_path} --name x",
        f"finetune --base nobody/nothing --data {tmp_path} --output {tmp_path}/run",  # a cause of several lines
    ):
        assert command.main(line.split()) == 2
        said = capsys.readouterr()
        assert said.err.startswith("error: ") and said.err.count("\n") == 1
        assert said.out == ""


def test_the_whole_way_from_text_to_results(sentences: str, reviews: str, tmp_path: Path) -> None:
    base, full, models, results = (str(tmp_path / name) for name in ("base", "full", "models", "results.json"))
    size = (
        "--vocab-size 300 --d-model 10 --layers 3 --heads 2 --context 21 --tokens 420 --batch-size 5 --measurements 2"
    )
    for line in (
        f"pretrain --data {reviews}:train --probe-data {sentences} --output {base} --no-bf16 {size}",
        f"finetune --base {base}/model --data {sentences} {reviews} --output {full} --no-bf16 --batch-size 31",
        f"ship --model {base}/model --name base --to {models}",
        f"ship --model {full}/model --name full --to {models}",
        f"evaluate --model {models}/full --data {sentences}:validation {reviews}:test --pretraining {base} "
        f"--results {results}",
    ):
        assert command.main(line.split()) == 0
    measured = json.loads(Path(results).read_text())
    assert set(measured) == {"classifiers", "baselines", "pretraining"}
    assert {k: v["n"] for k, v in measured["classifiers"]["full"]["accuracy"].items()} == {
        "sst2/validation": 7,
        "imdb/test": 11,
    }
    assert set(measured["baselines"]) == {"majority", "bag_of_words", "bag_of_words_joint"}
    written = [Path(results), *Path(models).rglob("*.json")]
    assert len(written) > 6
    assert not any(
        str(tmp_path) in file.read_text() or str(Path(reviews).parent) in file.read_text() for file in written
    )


def test_a_mistake_leaves_one_line_and_status_2_in_a_process_of_its_own(reviews: str, tmp_path: Path) -> None:
    line = f"evaluate --data {reviews}:validation --results {tmp_path}/r.json".split()
    run = subprocess.run(
        [sys.executable, "-m", "gpt2cls_core.training", *line],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"error: {reviews} has no split 'validation' (it holds: test, train).\n"


def test_a_command_can_be_told_back_without_this_machines_folders(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    work = tmp_path / "project" / "main"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    assert portable("runs/base") == "runs/base"
    assert portable("../shared/sst2:2") == "../shared/sst2:2"
    assert portable(str(work / "assets" / "x")) == "assets/x"
    assert portable(str(tmp_path / "project" / "shared" / "y")) == "../shared/y"
    assert portable("/elsewhere/deep/base") == "runs/base"
    options = FinetuneOptions("hub/base", ("a b:2", "c"), "o", regime="random", bf16=False, learning_rate=1e-4)
    told = command_line("finetune", options)
    assert told == (
        "python -m gpt2cls_core.training finetune --base hub/base --data 'a b:2' c --output o --regime random "
        "--learning-rate 0.0001 --no-bf16"
    )
    record = {**vars(options), "data": ["a b:2", "c"], "date": "of no concern"}
    assert repeat("finetune", record) == told
