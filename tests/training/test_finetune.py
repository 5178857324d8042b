from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import edit_config, tiny_tokenizer
from safetensors.torch import load_file, save_file
from transformers import BertConfig, GPT2ForSequenceClassification

from gpt2cls_core import load_classifier, predict
from gpt2cls_core.errors import ModelError, OptionError
from gpt2cls_core.training.data import load_and_hold_out, load_labelled
from gpt2cls_core.training.examples import in_batches
from gpt2cls_core.training.finetune import HeldOut, finetune, load_base, read_sources
from gpt2cls_core.training.options import FinetuneOptions
from gpt2cls_core.training.pooling import LastTokenClassifier, collate
from gpt2cls_core.training.pooling import predict as predict_classes

Options = Callable[..., FinetuneOptions]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """A copy: what `load_file` gives changes when the file is written again."""
    return {name: value.clone() for name, value in load_file(folder / "model.safetensors").items()}


def test_a_run_learns_and_leaves_model_curve_and_record(finetune_options: Options, reviews: str) -> None:
    options = finetune_options(data=(f"{reviews}:12",), learning_rate=3e-2)
    model = finetune(options)
    run = Path(options.output)
    record = json.loads((run / "finetune.json").read_text())
    curve = json.loads((run / "curve.json").read_text())
    assert [point["step"] for point in curve] == [34, 68, 102]  # 76 texts, 12 passes, 9 a step
    assert record["held_out_accuracy"] == curve[-1]["accuracy"] == {"imdb": 1.0}  # "good" or "bad" tells all
    assert record["held_out_texts"] == {"imdb": 4}
    assert (record["learning_rate"], record["regime"]) == (3e-2, "full")
    assert record["parameters"] == record["trained_parameters"] == sum(w.numel() for w in weights(model).values())
    clf = load_classifier(model)
    assert clf.labels == ("negative", "positive")
    unseen = load_labelled(reviews, "test")
    assert [predict(clf, text).label for text in unseen.texts] == [clf.labels[label] for label in unseen.labels]


def test_a_killed_run_resumes_to_the_same_weights(
    finetune_options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unbroken = finetune(finetune_options(output=str(tmp_path / "unbroken")))
    options = finetune_options(output=str(tmp_path / "killed"))
    killed = Path(options.output)
    shutil.copytree(tmp_path / "unbroken", killed)
    whole, cut = sorted((killed / "checkpoints").iterdir(), key=lambda p: int(p.name.split("-")[1]))
    (cut / "trainer_state.json").unlink()  # as if the kill had come while this one was written
    shutil.rmtree(killed / "model")
    assert "'step': 11," in capsys.readouterr().out
    finetune(options)
    said = capsys.readouterr().out
    assert "'step': 33," in said and "'step': 11," not in said  # it went on and did not begin again
    before, after = weights(unbroken), weights(killed / "model")
    assert all(torch.equal(before[name], after[name]) for name in before)
    curves = [json.loads((tmp_path / run / "curve.json").read_text()) for run in ("unbroken", "killed")]
    assert curves[0] == curves[1]
    assert whole.name != cut.name


def test_muon_and_adamw_both_learn_and_differ(finetune_options: Options, reviews: str, tmp_path: Path) -> None:
    runs = {o: tmp_path / o for o in ("muon", "adamw")}
    for name, run in runs.items():
        finetune(finetune_options(data=(reviews,), optimizer=name, output=str(run), measurements=1))
    matrix = "transformer.h.0.attn.c_attn.weight"
    assert not torch.equal(weights(runs["muon"] / "model")[matrix], weights(runs["adamw"] / "model")[matrix])


def test_the_base_is_taken_over_and_given_a_new_head(finetune_options: Options, base: str) -> None:
    model, tokenizer = load_base(finetune_options(dropout=0.3))
    pretrained = weights(Path(base))
    taken = model.state_dict()
    assert set(taken) - set(pretrained) == {"score.weight"}
    assert all(torch.equal(pretrained[name], taken[name]) for name in pretrained)
    assert model.score.weight.shape == (2, 10)
    assert model.config.id2label == {0: "negative", 1: "positive"} and len(tokenizer) == model.config.vocab_size
    assert [model.config.resid_pdrop, model.config.embd_pdrop, model.config.attn_pdrop] == [0.3, 0.3, 0.0]
    fresh, _ = load_base(finetune_options(regime="random"))
    assert fresh.state_dict().keys() == taken.keys()
    assert not torch.equal(fresh.transformer.wte.weight, model.transformer.wte.weight)


def test_bases_that_cannot_serve_are_refused(finetune_options: Options, base: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="from 'nobody/nothing'; give a folder or a hub name"):
        load_base(finetune_options(base="nobody/nothing"))
    other = tmp_path / "bert"
    BertConfig().save_pretrained(other)
    tiny_tokenizer().save_pretrained(other)
    with pytest.raises(ModelError, match="is a 'bert' model; the base must be a GPT-2"):
        load_base(finetune_options(base=str(other)))
    holed = tmp_path / "holed"
    shutil.copytree(base, holed)
    kept = {name: w for name, w in weights(holed).items() if "h.1.attn" not in name}
    save_file(kept, holed / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights: h\.1\.attn"):
        load_base(finetune_options(base=str(holed)))


def test_sources_and_passes(sentences: str, reviews: str) -> None:
    read = read_sources((f"{sentences}:3", reviews), None)
    assert {name: passes for name, (passes, _, _) in read.items()} == {"sst2": 3, "imdb": 1}
    assert read["imdb"][2].texts == load_and_hold_out(reviews)[1].texts
    for bad in ((reviews, f"{reviews}:2"), (f"{reviews}:0",)):
        with pytest.raises(OptionError, match="name each source once, with one pass or more"):
            read_sources(bad, None)


def test_a_folder_is_not_reused_with_other_options(finetune_options: Options) -> None:
    options = finetune_options(limit=9)
    (Path(options.output) / "checkpoints").mkdir(parents=True)
    (Path(options.output) / "options.json").write_text(json.dumps({**vars(options), "learning_rate": 0.5}))
    with pytest.raises(OptionError, match=r"learning_rate: 0\.5 before, 0\.01 now"):
        finetune(options)


def test_examples_are_shown_in_the_order_that_was_laid_out(
    finetune_options: Options, reviews: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out, shown = [], []

    def spy_batches(*given, **more):
        laid_out.append(in_batches(*given, **more))
        return laid_out[-1]

    def spy_collate(examples, **more):
        shown.extend(example["input_ids"].tolist() for example in examples)
        return collate(examples, **more)

    monkeypatch.setattr("gpt2cls_core.training.finetune.in_batches", spy_batches)
    monkeypatch.setattr("gpt2cls_core.training.finetune.collate", spy_collate)
    finetune(finetune_options(data=(reviews,)))
    assert shown == [ids.tolist() for ids in laid_out[0].ids]


def test_measuring_leaves_dropout_on(base: str, reviews: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    shutil.copytree(base, folder)
    edit_config(folder, num_labels=2)
    model = LastTokenClassifier(GPT2ForSequenceClassification.from_pretrained(folder)).train()
    held_out = HeldOut(tmp_path / "c.json", {1}, {"imdb": load_and_hold_out(reviews)[1]}, tiny_tokenizer(21))
    modes = []

    def spy(model, tokenizer, texts, **more):
        modes.append(model.training)
        return predict_classes(model, tokenizer, texts, **more)

    monkeypatch.setattr("gpt2cls_core.training.held_out.predict", spy)
    assert set(held_out.measure(model)) == {"imdb"}
    assert modes == [False]
    assert model.model.training
