from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from conftest import edit_config, randomise, save_tiny, tiny_config
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
)

from gpt2cls_core import load_base, load_classifier, predict
from gpt2cls_core.errors import ModelError, OptionError
from gpt2cls_core.training.options import ShipOptions
from gpt2cls_core.training.ship import ship

FINETUNED = {
    "base": "/home/someone/runs/base",
    "data": ["../data/sst2:2", "stanfordnlp/imdb"],
    "output": "/home/someone/runs/full",
    "regime": "full",
    "seed": 3,
    "date": "2026-01-02",
    "tokens": 1_234_567,
    "trained_parameters": 99,
    "held_out_accuracy": {"sst2": 0.9},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished fine-tuning run."""
    save_tiny(tmp_path / "run" / "model", 2, context=21)
    (tmp_path / "run" / "finetune.json").write_text(json.dumps(FINETUNED))
    return tmp_path / "run"


def shipped(run: Path, **changes: object) -> Path:
    return ship(ShipOptions(**{"model": str(run / "model"), "name": "full", "to": str(run.parent / "to"), **changes}))


def test_weights_come_back_rounded_to_16_bits_and_compute_in_32(run: Path) -> None:
    folder = shipped(run)
    before = load_file(run / "model" / "model.safetensors")
    assert any(not torch.equal(w, w.half().float()) for w in before.values())
    for loader in (AutoModelForSequenceClassification.from_pretrained, lambda f: load_classifier(f).model):
        model = loader(folder)
        assert model.state_dict().keys() == before.keys()
        for name, value in model.state_dict().items():
            assert value.dtype == torch.float32
            assert torch.equal(value, before[name].half().float()), name
    assert all(w.dtype == torch.float16 for file in folder.glob("*.safetensors") for w in load_file(file).values())
    text = "good film, but not for me"
    assert AutoTokenizer.from_pretrained(folder)(text) == AutoTokenizer.from_pretrained(run / "model")(text)
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}


def test_the_card_says_what_it_is_without_anyones_folders(run: Path) -> None:
    card = json.loads((shipped(run) / "card.json").read_text())
    assert card["name"] == "full" and card["regime"] == "full"
    assert card["how_trained"] == "on sst2, imdb (train splits), 1.2 M tokens"
    assert (card["base"], card["context"], card["seed"], card["trained_parameters"]) == ("runs/base", 21, 3, 99)
    assert card["command"] == (
        "python -m gpt2cls_core.training finetune --base runs/base --data ../data/sst2:2 stanfordnlp/imdb "
        "--output runs/full --seed 3"
    )
    assert "someone" not in json.dumps(card)
    assert json.loads((shipped(run, description="Mine.") / "card.json").read_text())["description"] == "Mine."


def test_a_language_model_is_shipped_with_its_head(base: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "model").symlink_to(base)
    record = {"data": ["x/imdb:train", "x/imdb:more"], "probe_data": "x/sst2", "output": "o", "base": None, "seed": 0}
    (run / "pretrain.json").write_text(json.dumps({**record, "tokens": 2e6}))
    folder = shipped(run, name="base")
    model, before = load_base(folder).model, GPT2LMHeadModel.from_pretrained(base)
    assert all(torch.equal(v.half().float(), model.state_dict()[k]) for k, v in before.state_dict().items())
    card = json.loads((folder / "card.json").read_text())
    assert card["how_trained"] == "on raw text of imdb, 2 M tokens, labels unseen"
    assert (card["base"], card["regime"]) == ("random weights", "pretrained")


def test_no_file_is_larger_than_asked(run: Path) -> None:
    model = save_tiny(run / "model", 2, context=21)
    assert model.is_dir()
    wide = AutoModelForSequenceClassification.from_pretrained(model)
    wide.transformer.wte = torch.nn.Embedding(120_000, 10)
    wide.config.vocab_size = 120_000
    wide.save_pretrained(model)  # 2.4 MB in one matrix, at 16 bits
    with pytest.raises(OptionError, match="larger than --shard-mb 1; one matrix can't be cut"):
        shipped(run, shard_mb=1)
    assert os.listdir(run.parent / "to") == []  # nothing half-made is left
    assert max(file.stat().st_size for file in shipped(run, shard_mb=3).iterdir()) < 3_000_000


def test_a_model_is_cut_into_many_files_and_computes_as_if_whole(run: Path) -> None:
    wide = randomise(GPT2ForSequenceClassification(tiny_config(2, 21, n_inner=30_000)))  # 0.6 MB a matrix
    wide.save_pretrained(run / "model")
    folder = shipped(run, shard_mb=1)
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 3 and max(file.stat().st_size for file in shards) <= 1_000_000
    rounded = wide.half().float()
    rounded.save_pretrained(run / "model")
    text = "good film, but not for me"
    logits = [predict(load_classifier(f), text).logits for f in (folder, run / "model")]
    assert torch.equal(*logits)


def test_damaged_weights_are_not_shipped(run: Path) -> None:
    file = run / "model" / "model.safetensors"
    whole = {name: value.clone() for name, value in load_file(file).items()}  # the file will be written again
    for value in (torch.nan, 70_000.0):  # no number; a number that 16 bits can't hold
        spoilt = {**whole, "score.weight": torch.full_like(whole["score.weight"], value)}
        save_file(spoilt, file, metadata={"format": "pt"})
        with pytest.raises(ModelError, match="not finite in 16 bits"):
            shipped(run)
    save_file({k: v for k, v in whole.items() if k != "score.weight"}, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights: score\.weight"):
        shipped(run)
    file.write_bytes(file.read_bytes()[:-99])
    with pytest.raises(ModelError, match="can't be read; train again"):
        shipped(run)
    assert not list((run.parent / "to").glob("*"))


def test_a_new_version_replaces_the_old_one_whole(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shipped(run)
    (folder / "stale.txt").write_text("of the old version")
    assert shipped(run) == folder
    assert not (folder / "stale.txt").exists()
    assert os.listdir(folder.parent) == ["full"]
    card = (folder / "card.json").read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("transformers.PreTrainedTokenizerBase.save_pretrained", fail)
    with pytest.raises(OSError, match="disk full"):
        shipped(run, description="never seen")
    assert (folder / "card.json").read_bytes() == card
    assert os.listdir(folder.parent) == ["full"]


def test_what_cannot_be_shipped_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no model \(no config\.json\)"):
        ship(ShipOptions(model=str(tmp_path), name="full"))
    (run / "finetune.json").unlink()
    with pytest.raises(ModelError, match=r"neither pretrain\.json nor finetune\.json"):
        shipped(run)
    edit_config(run / "model", architectures=["GPT2ForTokenClassification"])
    with pytest.raises(ModelError, match="holds a GPT2ForTokenClassification; only"):
        shipped(run)
