from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_tokenizer
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase

from gpt2cls_core import load_base
from gpt2cls_core.errors import DataError, ModelError, OptionError
from gpt2cls_core.training.data import LabelledTexts
from gpt2cls_core.training.options import PretrainOptions
from gpt2cls_core.training.pretrain import (
    Measure,
    make_rows,
    measuring_steps,
    new_model,
    parse_source,
    pretrain,
    read_texts,
    start,
)
from gpt2cls_core.training.probe import probe_accuracy
from gpt2cls_core.training.tokens import pack


@pytest.fixture
def tiny(reviews: str, sentences: str, tmp_path: Path) -> PretrainOptions:
    return PretrainOptions(
        data=(f"{reviews}:train", f"{reviews}:test"),
        probe_data=sentences,
        output=str(tmp_path / "base"),
        vocab_size=300,
        d_model=10,
        layers=3,
        heads=2,
        context=7,
        tokens=20 * 5 * 7,
        batch_size=5,
        measurements=4,
        bf16=False,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """A copy: what `load_file` gives changes when the file is written again."""
    return {name: value.clone() for name, value in load_file(folder / "model.safetensors").items()}


def test_a_killed_run_resumes_to_the_same_weights_and_curve(
    tiny: PretrainOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = pretrain(tiny)
    run = Path(tiny.output)
    curve = json.loads((run / "curve.json").read_text())
    assert [point["tokens"] for point in curve] == [0, 35, 4 * 35, 20 * 35]  # the untrained body, then log-spaced
    assert curve[-1]["held_out_loss"] < curve[0]["held_out_loss"]
    assert abs(curve[0]["held_out_loss"] - np.log(300)) < 0.1  # at first every token is as likely as any other
    record = json.loads((run / "pretrain.json").read_text())
    rows = len(pack(start(tiny, [])[1], read_texts(tiny)[0], 7))
    assert record["training_tokens"] == (rows - rows // 20) * 7  # 5 % are held out and never trained on
    assert record["tokens"] == 700 and record["date"]

    killed = tmp_path / "killed"
    shutil.copytree(run, killed)
    shutil.rmtree(killed / "model")
    whole, cut = sorted((killed / "checkpoints").iterdir(), key=lambda p: int(p.name.split("-")[1]))
    (cut / "trainer_state.json").unlink()  # as if the kill had come while this one was written
    assert "'tokens': 0," in capsys.readouterr().out
    pretrain(replace(tiny, output=str(killed)))
    said = capsys.readouterr().out
    assert "'tokens': 700," in said and "'tokens': 0," not in said  # it went on and did not begin again
    before, after = weights(model), weights(killed / "model")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert json.loads((killed / "curve.json").read_text()) == curve
    assert (whole.name, cut.name) == ("checkpoint-15", "checkpoint-20")


def test_a_kill_while_model_or_tokenizer_is_written_leaves_none(
    tiny: PretrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, run = replace(tiny, tokens=35), Path(tiny.output)
    save, stop_at = PreTrainedTokenizerBase.save_pretrained, "tokenizer."

    def killed(tokenizer: PreTrainedTokenizerBase, folder: str | Path, **options: object) -> tuple[str, ...]:
        files = save(tokenizer, folder, **options)
        if Path(folder).name.startswith(stop_at):
            raise KeyboardInterrupt
        return files

    monkeypatch.setattr(PreTrainedTokenizerBase, "save_pretrained", killed)
    for stop_at in ("tokenizer.", "model."):
        with pytest.raises(KeyboardInterrupt):
            pretrain(short)
        assert not list(run.glob(f"{stop_at}*")) and not (run / stop_at.rstrip(".")).exists()
    stop_at = "nowhere"
    assert weights(pretrain(short))


def test_a_run_can_be_made_longer_but_not_otherwise_changed(
    tiny: PretrainOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = weights(pretrain(tiny))
    before = json.loads((Path(tiny.output) / "curve.json").read_text())
    capsys.readouterr()
    longer = weights(pretrain(replace(tiny, tokens=22 * 35)))
    assert "'tokens': 0," not in capsys.readouterr().out
    curve = json.loads((Path(tiny.output) / "curve.json").read_text())
    assert curve[:-1] == before and curve[-1]["tokens"] == 22 * 35
    assert not torch.equal(finished["transformer.wte.weight"], longer["transformer.wte.weight"])
    again = weights(pretrain(replace(tiny, tokens=22 * 35)))  # a finished run given again stays what it is
    assert all(torch.equal(longer[name], again[name]) for name in longer)
    with pytest.raises(OptionError, match="d_model: 10 before, 12 now"):
        pretrain(replace(tiny, d_model=12))


def test_the_model_has_the_asked_shape_and_reloads(tiny: PretrainOptions) -> None:
    tokenizer = tiny_tokenizer(7)
    config = new_model(tiny, tokenizer).config
    shape = (config.n_embd, config.n_layer, config.n_head, config.n_positions, config.vocab_size)
    assert shape == (10, 3, 2, 7, len(tokenizer))
    loaded = load_base(pretrain(tiny))
    assert loaded.model.lm_head.weight is loaded.body.wte.weight
    assert loaded.model.config.use_cache
    assert loaded.tokenizer.get_vocab() == start(tiny, [])[1].get_vocab()  # found in its folder, not trained again
    assert loaded.tokenizer.decode(loaded.encode("good film").input_ids) == "good film"


def test_a_base_is_trained_on(tiny: PretrainOptions, base: str) -> None:
    model, tokenizer = start(replace(tiny, base=base), [])
    held = load_file(Path(base) / "model.safetensors")
    assert torch.equal(model.transformer.wte.weight, held["transformer.wte.weight"])
    assert tokenizer.get_vocab() == tiny_tokenizer().get_vocab()
    with pytest.raises(ModelError, match="give a folder or a hub name"):
        start(replace(tiny, base="nobody/nothing"), [])


def test_measuring_is_done_without_dropout_and_leaves_it_on(tiny: PretrainOptions, base: str) -> None:
    model, tokenizer = start(replace(tiny, base=base), [])
    model.train()
    assert model.config.resid_pdrop > 0  # GPT-2's own setting
    measure = Measure(tiny, set(), pack(tokenizer, ["good film, but not for me"] * 9, 7), tokenizer)
    curves = []
    for _ in range(2):
        measure.measure(model, 0)
        curves.append(json.loads((Path(tiny.output) / "curve.json").read_text()))
    assert curves[0] == curves[1]
    assert model.training


def test_texts_of_all_sources_come_mixed_in_one_order_whatever_the_seed(tiny: PretrainOptions) -> None:
    texts, passes = read_texts(tiny)
    assert len(texts) == 80 + 11 and set(passes) == {1}
    assert texts == read_texts(replace(tiny, seed=5))[0] != sorted(texts)
    assert len(read_texts(replace(tiny, limit=3))[0]) == 6


def test_a_source_can_be_read_several_times(tiny: PretrainOptions) -> None:
    first, second = tiny.data
    texts, passes = read_texts(replace(tiny, data=(f"{first}:3", second)))
    assert sorted(passes) == [1] * 11 + [3] * 80
    assert texts == read_texts(tiny)[0]


@pytest.mark.parametrize("source", ["imdb", "imdb:train:0", ":train", "train:2"])
def test_a_source_without_a_split_or_passes_is_refused(source: str) -> None:
    with pytest.raises(OptionError, match="must be SOURCE:SPLIT or SOURCE:SPLIT:PASSES"):
        parse_source(source)


def test_further_passes_never_show_what_is_held_out() -> None:
    tokenizer = tiny_tokenizer()
    texts = ["good film", "not for me", "bad", "good", *["but not for me"] * 40]
    rows, held_out = make_rows(tokenizer, texts, [3, 3, 3, 3] + [1] * 40, 4)
    assert held_out.size == 3 * 4  # 5 % of the rows: 3 + 6 tokens, and 3 of the 4 of "bad" with its end
    once, _ = make_rows(tokenizer, texts, [1] * 44, 4)
    good = tokenizer("good")["input_ids"][0]
    assert (rows[: len(once)] == once).all()
    assert rows[len(once) :].tolist() == [[good, 0, good, 0]]


def test_too_little_text_is_said(tiny: PretrainOptions) -> None:
    with pytest.raises(DataError, match=r"rows of 500 tokens to train on, fewer than one batch of 5"):
        pretrain(replace(tiny, context=500, limit=1))


def test_measuring_steps_are_log_spaced_and_end_with_the_run() -> None:
    assert sorted(measuring_steps(1000, 3)) == [10, 100, 1000]
    assert measuring_steps(1, 10) == {1}


def test_the_probe_reads_what_a_line_can_read() -> None:
    vectors = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    line = LabelledTexts([""] * 400, [int(v) for v in vectors[:, 1] > 0])
    assert probe_accuracy(vectors, line, vectors, line) > 0.95
    ring = LabelledTexts([""] * 400, [int(v) for v in (vectors**2).sum(1) > 2.4])  # no line separates a ring
    assert probe_accuracy(vectors, ring, vectors, ring) < 0.8
