"""The bench measures what it says and prints it; no test asserts a time."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from conftest import TEXT

from gpt2cls_core import Classifier, Gpt2clsError, Trace, bench, integrated_gradients
from gpt2cls_core.bench import (
    Timing,
    in_turns,
    machine,
    model_timings,
    patching_timings,
    plain_captum,
    random_124m,
    seconds_to_http_200,
    table,
)


def test_in_turns_warms_up_once_and_then_alternates():
    calls: list[str] = []
    runs = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert "".join(calls) == "ab" + "ababab"
    assert {name: len(seconds) for name, seconds in runs.items()} == {"a": 3, "b": 3}
    assert all(second >= 0 for seconds in runs.values() for second in seconds)


def test_table_shows_medians_and_ratios_to_the_last_line():
    text = table([Timing("fast", (0.030, 0.010, 0.020), "16 steps"), Timing("yardstick", (0.080, 0.080, 0.090))])
    head, fast, yardstick = text.splitlines()
    assert head.split() == ["median", "fastest", "ratio"]
    assert fast.split() == ["fast", "20.0", "ms", "10.0", "ms", "0.25", "16", "steps"]
    assert yardstick.split() == ["yardstick", "80.0", "ms", "80.0", "ms", "1.00"]


def test_model_timings_cover_every_method(clf: Classifier):
    timings = model_timings(clf, TEXT, repeats=2)
    names = [timing.name for timing in timings]
    assert names[:3] == ["encode + verdict", "trace + rollout", "gradient-weighted rollout of a trace"]
    assert names[3:5] == ["each token cut, every route", "each token cut, direct edges"]
    assert names[5:7] == ["each head set to zero", "patching grid of two traces"]
    assert [name.rsplit(", ", 1)[1] for name in names[7:]] == ["eos", "zero", "mean", "eos"]
    assert names[-1].startswith("Captum LayerIntegratedGradients, 50 steps")
    assert all(len(timing.seconds) == 2 for timing in timings)
    assert all("steps, delta" in timing.note for timing in timings[7:])


def test_patching_is_timed_where_every_cell_differs(clf: Classifier, monkeypatch: pytest.MonkeyPatch):
    pairs: list[tuple[Trace, Trace]] = []

    def keep(clf: Classifier, clean: Trace, corrupted: Trace):
        pairs.append((clean, corrupted))
        return rows(clf, clean, corrupted)

    rows = bench.patch_grid_rows
    monkeypatch.setattr(bench, "patch_grid_rows", keep)
    monkeypatch.setattr(bench, "PATCHED_TOKENS", 6)
    timings = patching_timings(clf, TEXT, repeats=2)
    assert [timing.name for timing in timings] == ["patching grid, two top rows", "patching grid, all rows", "trace"]
    clean, corrupted = pairs[0]
    assert clean.input_ids.equal(clf.encode(TEXT).input_ids[:6])
    assert (clean.resid != corrupted.resid).any(-1).all()


def test_the_large_model_has_the_shape_of_gpt2(clf: Classifier):
    with torch.device("meta"):  # no memory
        large = random_124m(clf)
    assert (large.n_layer, large.n_head, large.d_model, large.context) == (12, 12, 768, 1024)
    assert large.n_parameters == 124_439_808 + 5 * 768  # GPT-2 and a head of five classes
    assert (large.labels, large.tokenizer) == (clf.labels, clf.tokenizer)


def test_plain_captum_agrees_with_our_integrated_gradients(clf: Classifier):
    encoding = clf.encode(TEXT)
    ours = integrated_gradients(clf, encoding, baseline="eos", n_steps=50)
    torch.testing.assert_close(
        plain_captum(clf, encoding), ours.scores, rtol=1e-4, atol=1e-5
    )  # float32, other order of sums


def test_page_is_measured_until_it_answers(tmp_path: Path):
    (tmp_path / "index.html").write_text("hello")
    port = bench._free_port()
    server = ("-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path))
    assert 0 < seconds_to_http_200(server, port, timeout=60) < math.inf
    assert not bench._answers(port)  # the server was ended


def test_a_page_that_ends_or_never_answers_is_reported():
    port = bench._free_port()
    with pytest.raises(Gpt2clsError, match="ended with status 3 before it answered"):
        seconds_to_http_200(("-c", "raise SystemExit(3)"), port)
    with pytest.raises(Gpt2clsError, match="did not answer within 0 s"):
        seconds_to_http_200(("-c", "import time; time.sleep(60)"), port, timeout=0.1)


def test_page_timings_start_the_app_and_the_imports(monkeypatch: pytest.MonkeyPatch):
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(bench, "seconds_to_http_200", lambda arguments, port: started.append((*arguments, str(port))))
    monkeypatch.setattr(bench, "IMPORTS", ("-c", "pass"))
    page, imports = bench.page_timings(repeats=1)
    assert (len(page.seconds), len(imports.seconds)) == (1, 1)
    assert all(call[:4] == ("-m", "app", "--no-browser", "--port") and call[4] == call[5] for call in started)
    monkeypatch.setattr(bench, "IMPORTS", ("-c", "raise SystemExit(1)"))
    with pytest.raises(Gpt2clsError, match="can't be imported"):
        bench.page_timings(repeats=1)


def test_the_machine_is_named():
    assert f"torch {torch.__version__}" in machine()
    assert f"{torch.get_num_threads()} torch threads" in machine()


def test_main_prints_the_machine_and_the_tables(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bench, "random_124m", lambda clf: clf)  # seconds instead of a minute
    bench.main(["--model", str(tiny_folder), "--repeats", "5", "--patching-124m"])
    printed = capsys.readouterr().out
    assert printed.startswith(machine())
    assert "medians of 5 runs" in printed
    assert "encode + verdict" in printed
    assert "at most 20 tokens" in printed
    assert "patching grid, two top rows" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "4"], "--repeats must be 5 or more"),
        (["--model", "no-such-model"], "There is no model 'no-such-model'"),
    ],
)
def test_main_refuses_with_a_message(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as refused:
        bench.main(arguments)
    assert message in capsys.readouterr().err + str(refused.value.code)
