from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2ForSequenceClassification

from gpt2cls_core import load_classifier, predict_batch
from gpt2cls_core.deltas import DELTA_REGIMES
from gpt2cls_core.errors import DataError, ModelError, OptionError
from gpt2cls_core.soft_prompt import virtual_ids
from gpt2cls_core.training import finetune as finetuning
from gpt2cls_core.training.finetune import Trained, finetune, train
from gpt2cls_core.training.options import LEARNING_RATES, REGIMES, FinetuneOptions, ShipOptions
from gpt2cls_core.training.pooling import LastTokenClassifier, collate, predict
from gpt2cls_core.training.ship import ship
from gpt2cls_core.training.trainable import changed_tensors, count_trained, load_base, prepare

from .conftest import write_split

Options = Callable[..., FinetuneOptions]
TEXTS = ["good film.", "bad", "good plot, but not for me", "not bad film"]
BLOCK = 2 * 20 + (10 * 30 + 30) + (10 * 10 + 10) + (10 * 40 + 40) + (40 * 10 + 10)  # LayerNorms, attention, MLP
TRAINED = {  # worked out by hand for d_model 10, 3 layers, 280 tokens, context 21, two classes
    "head": 20,
    "last-block": 20 + 20 + BLOCK,
    "lora": 20 + 3 * 2 * ((10 + 30) + (10 + 10) + (10 + 40) + (40 + 10)),  # rank 2
    "prompt": 20 + 3 * 10,
    "full": 20 + 280 * 10 + 21 * 10 + 3 * BLOCK + 20,
    "random": 20 + 280 * 10 + 21 * 10 + 3 * BLOCK + 20,
}


@pytest.fixture
def options(finetune_options: Options, reviews: str) -> Options:
    """One short run: 76 reviews, once."""

    def make(regime: str, **changes: object) -> FinetuneOptions:
        small = {"data": (reviews,), "rank": 2, "virtual_tokens": 3, "measurements": 1}
        return finetune_options(regime=regime, **{**small, **changes})

    return make


@pytest.mark.parametrize("regime", REGIMES)
def test_as_many_weights_learn_as_worked_out_by_hand(options: Options, regime: str) -> None:
    model, _ = load_base(options(regime))
    prepare(model, options(regime))
    assert count_trained(model) == TRAINED[regime]


def test_an_adapter_starts_as_the_base_itself(options: Options) -> None:
    """LoRA adds zero at first; a prompt starts from embeddings of the vocabulary."""
    model, _ = load_base(options("lora"))
    batch = collate([{"input_ids": [5, 9, 7]}, {"input_ids": [8]}], pad=0)
    with torch.no_grad():
        before = LastTokenClassifier(model.eval())(**batch)["logits"]
        prepare(model, options("lora"))
        assert LastTokenClassifier(model.eval())(**batch)["logits"].equal(before)
    model, _ = load_base(options("prompt"))
    words = model.transformer.wte.weight.detach().clone()
    prepare(model, options("prompt"))
    assert all(any(row.equal(word) for word in words) for row in model.transformer.wte.prompt)


def test_padding_is_read_in_no_regime(options: Options) -> None:
    """peft's own forward pass would read the last slot of a batch, be it padding."""
    for regime in ("lora", "prompt"):
        model, _ = load_base(options(regime))
        adapter = prepare(model, options(regime))
        learner = LastTokenClassifier(model.eval())
        ids = [[5, 9, 7, 3, 6], [8], [4, 4, 2]]
        with torch.no_grad():
            together = learner(**collate([{"input_ids": i} for i in ids], pad=0))["logits"]
            alone = [learner(**collate([{"input_ids": i}], pad=0))["logits"][0] for i in ids]
            torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-5)  # float32 in another order
            if regime == "prompt":  # by the vectors themselves
                rows = adapter.get_prompt(1)[0]
                embedded = torch.cat([rows, model.transformer.wte(torch.tensor(ids[0]))])
                hidden = model.transformer(inputs_embeds=embedded[None]).last_hidden_state[0, -1]
                torch.testing.assert_close(together[0], model.score(hidden), rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, base: str, reviews: str
) -> dict[str, tuple[FinetuneOptions, Trained]]:
    """One finished run of each regime that keeps changes, and what it had in memory."""
    kept: list[Trained] = []
    original, done = finetuning.train, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetuning, "train", lambda options: kept.append(original(options)) or kept[-1])
        for regime in DELTA_REGIMES:
            output = tmp_path_factory.mktemp(regime) / "run"
            options = FinetuneOptions(
                base, (reviews,), str(output), regime=regime, rank=2, virtual_tokens=3, batch_size=9, measurements=1,
                learning_rate=1e-2, bf16=False,
            )  # fmt: skip
            finetune(options)
            done[regime] = options, kept[-1]
    return done


@pytest.mark.parametrize("regime", DELTA_REGIMES)
def test_only_what_should_learn_has_learned(
    runs: dict[str, tuple[FinetuneOptions, Trained]], base: str, regime: str
) -> None:
    _, trained = runs[regime]
    before = load_file(Path(base) / "model.safetensors")
    kept = changed_tensors(trained.model, trained.adapter, regime)
    assert sum(tensor.numel() for tensor in kept.values()) == TRAINED[regime]
    now = {
        name.replace("base_layer.", "").replace("wte.base.", "wte."): p for name, p in trained.model.named_parameters()
    }
    for name, weight in before.items():
        if regime == "last-block" and (".h.2." in name or "ln_f" in name):
            assert not now[name].equal(weight), name
        else:
            assert now[name].equal(weight), name


@pytest.mark.parametrize("regime", DELTA_REGIMES)
def test_saved_and_loaded_again_it_gives_the_same_logits(
    runs: dict[str, tuple[FinetuneOptions, Trained]], regime: str
) -> None:
    options, trained = runs[regime]
    clf = load_classifier(Path(options.output) / "model")
    assert clf.labels == ("negative", "positive")
    predictions = predict_batch(clf, TEXTS)
    ids = [clf.tokenizer(text).input_ids for text in TEXTS]
    with torch.no_grad():
        logits = LastTokenClassifier(trained.model)(**collate([{"input_ids": i} for i in ids], pad=0))["logits"]
    # float32 in another order: eager attention, LoRA's product added into its matrix
    torch.testing.assert_close(torch.stack([p.logits for p in predictions]), logits, rtol=0, atol=1e-4)
    assert predict(clf.model, clf.tokenizer, TEXTS).tolist() == logits.argmax(-1).tolist()
    again = [p.logits for p in predict_batch(load_classifier(Path(options.output) / "model"), TEXTS)]
    assert all(a.equal(p.logits) for a, p in zip(again, predictions, strict=True))


def shelf(base: str, to: Path) -> Path:
    """The base as it is shipped."""
    run = to.parent / "pretrained"
    run.mkdir()
    (run / "model").symlink_to(base)
    record = {"data": ["x/imdb:train"], "probe_data": "x/sst2", "output": "o", "base": None, "seed": 0, "tokens": 2e6}
    (run / "pretrain.json").write_text(json.dumps(record))
    return ship(ShipOptions(model=str(run / "model"), name="base", to=str(to)))


@pytest.mark.parametrize("regime", DELTA_REGIMES)
def test_shipped_it_is_what_changed_in_16_bits_on_the_shipped_base(
    runs: dict[str, tuple[FinetuneOptions, Trained]], base: str, tmp_path: Path, regime: str
) -> None:
    options, trained = runs[regime]
    shipped_base = shelf(base, tmp_path / "models")
    folder = ship(ShipOptions(model=f"{options.output}/model", name=regime, to=str(tmp_path / "models")))
    stored = load_file(next(folder.glob("*.safetensors")))
    kept = changed_tensors(trained.model, trained.adapter, regime)
    assert {name: tensor.dtype for name, tensor in stored.items()} == dict.fromkeys(kept, torch.float16)
    assert all(stored[name].equal(kept[name].half()) for name in kept)
    assert not list(folder.glob("tokenizer*")) and {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}

    rounded = copy.deepcopy(trained.model)  # by hand: the model in memory, its changes and its base
    with torch.no_grad():
        for parameter in rounded.parameters():
            parameter.copy_(parameter.half().float())
    clf = load_classifier(folder)
    ids = [clf.tokenizer(text).input_ids for text in TEXTS]
    with torch.no_grad():
        expected = LastTokenClassifier(rounded)(**collate([{"input_ids": i} for i in ids], pad=0))["logits"]
    found = torch.stack([p.logits for p in predict_batch(clf, TEXTS)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)  # float32 in another order

    card = json.loads((folder / "card.json").read_text())
    assert (card["base"], card["regime"], card["trained_parameters"]) == ("base", regime, TRAINED[regime])
    assert card["context"] == 21 and card["labels"] == ["negative", "positive"]
    assert f"{regime}: {TRAINED[regime]:,} trained" in card["description"]
    assert (
        card["command"].startswith("python -m gpt2cls_core.training finetune --base ") and "--regime" in card["command"]
    )
    assert clf.card == card and clf.base is not None and shipped_base.is_dir()


def test_changes_are_not_shipped_beside_another_base(
    runs: dict[str, tuple[FinetuneOptions, Trained]], base: str, tmp_path: Path
) -> None:
    model = f"{runs['head'][0].output}/model"
    with pytest.raises(ModelError, match=r"models/base is not there: ship the base first, from .*, or name it"):
        ship(ShipOptions(model=model, name="head", to=str(tmp_path / "models")))
    other = shelf(base, tmp_path / "models")
    weights = load_file(other / "model.safetensors")
    changed = {name: tensor.clone() for name, tensor in weights.items()}
    changed["transformer.ln_f.bias"] += 1
    save_file(changed, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"was trained on another base \(.*\) than .*models/base; ship that base"):
        ship(ShipOptions(model=model, name="head", to=str(tmp_path / "models")))
    assert not (tmp_path / "models" / "head").exists()


def test_a_classifier_from_random_weights_owes_the_base_nothing(options: Options) -> None:
    trained = train(options("random"))
    assert trained.record["base_fingerprint"] is None
    assert trained.record["learning_rate"] == 1e-2
    assert trained.record["parameters"] == trained.record["trained_parameters"] == TRAINED["random"]
    assert trained.record["seconds"] > 0


def test_each_regime_has_its_own_learning_rate_unless_told(options: Options) -> None:
    assert train(options("prompt", learning_rate=None)).record["learning_rate"] == LEARNING_RATES["prompt"]


def test_an_interrupted_run_of_an_adapter_resumes_to_the_same_weights(options: Options, tmp_path: Path) -> None:
    unbroken = train(options("prompt", output=str(tmp_path / "unbroken")))
    stop = tmp_path / "stopped"
    steps: list[int] = []

    def killed(self: object, args: object, state: object, *rest: object, **more: object) -> None:
        steps.append(state.global_step)
        if len(steps) == 7:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("gpt2cls_core.training.held_out.HeldOut.on_step_end", killed)
        finetune(options("prompt", output=str(stop)))
    assert not (stop / "model").exists() and not (stop / "finetune.json").exists()
    resumed = train(options("prompt", output=str(stop)))
    assert resumed.record["seconds"] is None  # the first part's are not known
    for trained in (unbroken, resumed):
        assert len(virtual_ids(trained.model.transformer)) == 3
    kept = [changed_tensors(t.model, t.adapter, "prompt") for t in (unbroken, resumed)]
    assert all(kept[0][name].equal(kept[1][name]) for name in kept[0])


def test_a_folder_is_whole_or_not_there(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("gpt2cls_core.training.trainable.write_json", broken)  # the card, which is written last
    chosen = options("head")
    with pytest.raises(OSError, match="disk full"):
        finetune(chosen)
    assert not list(Path(chosen.output).glob("model*"))


def test_as_many_texts_as_asked_for_half_of_each_class(options: Options, sentences: str, reviews: str) -> None:
    drawn = finetuning.draw_sources(options("head", data=(sentences, f"{reviews}:2"), examples=15))
    sizes = {name: (passes, len(train), sum(train.labels)) for name, (passes, train, _) in drawn.items()}
    assert sizes == {"sst2": (1, 8, 4), "imdb": (2, 7, 3)}
    with pytest.raises(DataError, match=r"99 texts with as many of each class are more than there are \(40 and 36\)"):
        train(options("head", examples=99))


def test_what_cannot_be_trained_is_refused(options: Options, base: str, tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match="There is no regime 'some'; choose one of full, head, last-block, lora, prompt"
    ):
        train(options("some"))
    with pytest.raises(OptionError, match="--rank must be 1 or more, not 0"):
        train(options("lora", rank=0))
    for n in (0, 21):
        with pytest.raises(OptionError, match=f"--virtual-tokens must lie between 1 and 20, not {n}"):
            train(options("prompt", virtual_tokens=n))
    with pytest.raises(OptionError, match="the penalty, must be above 0, not -1"):
        train(options("head", head_c=-1))
    with pytest.raises(DataError, match="The 1 texts to learn from are not of two classes"):
        train(options("full", limit=1))
    classifier = tmp_path / "classifier"
    GPT2ForSequenceClassification.from_pretrained(base).save_pretrained(classifier)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (classifier / file).write_bytes((Path(base) / file).read_bytes())
    with pytest.raises(
        ModelError, match=r"is a GPT2ForSequenceClassification\. With --regime head only what changes is"
    ):
        train(options("head", base=str(classifier)))


def test_data_of_one_class_or_without_texts_are_refused(tmp_path: Path, options: Options) -> None:
    one = write_split(tmp_path / "one", "train", text=["good"] * 9, label=[1] * 9)
    with pytest.raises(DataError, match=r"must hold the labels 0 and 1, both of them; it holds \[1\]"):
        train(options("head", data=(str(one),)))
    other = write_split(tmp_path / "other", "train", review=["good", "bad"], label=[1, 0])
    with pytest.raises(DataError, match="needs a column 'text' or 'sentence'; it has"):
        train(options("lora", data=(str(other),)))
