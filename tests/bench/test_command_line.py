"""The command prints what was asked for, and refuses with a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpt2cls_core.bench import __main__ as command
from gpt2cls_core.bench import machine


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds instead of minutes."""
    monkeypatch.setattr(command, "random_124m", lambda clf: clf)
    monkeypatch.setattr(command, "LENGTHS", (4, 7))
    monkeypatch.setattr(command, "MEMORY_TOKENS", 5)
    monkeypatch.setattr(command, "GROWTH_LENGTHS", (4, 8))


def test_the_plain_command_prints_the_machine_and_the_tables(tiny_folder: Path, capsys: pytest.CaptureFixture[str]):
    command.main(["--model", str(tiny_folder), "--repeats", "5", "--patching-124m"])
    printed = capsys.readouterr().out
    assert printed.startswith(machine())
    assert "medians of 5 runs" in printed
    assert "encode + verdict" in printed
    assert "at most 20 tokens" in printed
    assert "patching grid, two top rows" in printed


@pytest.mark.parametrize("installed", [True, False])
def test_attributions_are_set_side_by_side_on_both_models(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, installed: bool
):
    monkeypatch.setattr(command, "has_interpret", lambda: installed)
    command.main(["--model", str(tiny_folder), "--repeats", "5", "--attributions"])
    printed = capsys.readouterr().out
    assert ("transformers-interpret is not installed and left out" in printed) is not installed
    assert printed.count("Captum LayerIntegratedGradients") == 4
    assert [f"{n} tokens\n" in printed for n in (4, 7)] == [True, True]
    assert printed.count("random weights in the shape of GPT-2 (124M)") == 2
    assert printed.count("by number of gradients, 5 tokens: 25: ") == 2
    assert "encode + verdict" not in printed


def test_growth_is_printed(tiny_folder: Path, capsys: pytest.CaptureFixture[str]):
    command.main(["--model", str(tiny_folder), "--growth"])
    printed = capsys.readouterr().out
    assert "each token cut, every route" in printed
    assert "encode + verdict" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "4"], "--repeats must be 5 or more"),
        (["--model", "no-such-model"], "There is no model 'no-such-model'"),
    ],
)
def test_main_refuses_with_a_message(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as refused:
        command.main(arguments)
    assert message in capsys.readouterr().err + str(refused.value.code)
