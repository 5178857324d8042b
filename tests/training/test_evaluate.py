from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from adapters import save_base, save_changes
from conftest import save_tiny, tiny_tokenizer
from transformers import GPT2ForSequenceClassification

from gpt2cls_core import load_classifier, predict
from gpt2cls_core.errors import DataError, ModelError, OptionError
from gpt2cls_core.training.baselines import bag_of_words, majority
from gpt2cls_core.training.data import LabelledTexts, load_labelled
from gpt2cls_core.training.evaluate import accuracy_of, evaluate
from gpt2cls_core.training.options import EvaluateOptions

from .conftest import write_split


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A source whose texts end in "good" or in "bad"; one label of four in the test split is the wrong one."""
    texts = ["film good", "not for me, bad", "but good", "for me, bad"]
    write_split(tmp_path / "tiny", "train", text=[*texts, "good"], label=[1, 0, 1, 0, 1])
    write_split(tmp_path / "tiny", "test", text=texts, label=[1, 0, 0, 0])
    return str(tmp_path / "tiny")


@pytest.fixture
def knows_good(tmp_path: Path) -> str:
    """A classifier with known verdicts: no block does anything, and the head reads whether the last token is "good"."""
    folder = save_tiny(tmp_path / "knows_good", 2)
    model = GPT2ForSequenceClassification.from_pretrained(folder)
    tokenizer = tiny_tokenizer()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if name.endswith("ln_f.weight") else 0.0)
        model.transformer.wte.weight[:, 0] = 1.0
        for word in ("good", " good"):
            model.transformer.wte.weight[tokenizer(word)["input_ids"][-1], :2] = torch.tensor([0.0, 1.0])
        model.score.weight[0, 0] = model.score.weight[1, 1] = 1.0
    model.save_pretrained(folder)
    (folder / "card.json").write_text(json.dumps({"name": "known", "seed": 4, "trained_parameters": 20}))
    return str(folder)


def test_accuracy_by_hand() -> None:
    assert accuracy_of([1, 1, 0, 0], [1, 0, 0, 0]) == {"accuracy": 0.75, "low": 0.3006, "high": 0.9544, "n": 4}


def test_a_classifier_with_known_verdicts(data: str, knows_good: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"classifiers": {"other": 1}, "mine": 2, "baselines": {"x": {"accuracy": {"y": 3}}}}))
    assert evaluate(EvaluateOptions(results=str(path), data=(f"{data}:test",), model=(knows_good,))) == path
    results = json.loads(path.read_text())
    entry = results["classifiers"]["known"]
    assert entry["accuracy"] == {"tiny/test": {"accuracy": 0.75, "low": 0.3006, "high": 0.9544, "n": 4}}
    assert (entry["seed"], entry["trained_parameters"]) == (4, 20)
    assert entry["parameters"] == GPT2ForSequenceClassification.from_pretrained(knows_good).num_parameters()
    assert results["classifiers"]["other"] == 1 and results["mine"] == 2  # what was not measured now is kept
    assert results["baselines"]["x"] == {"accuracy": {"y": 3}}
    shares = {
        name: entry["accuracy"]["tiny/test"]["accuracy"] for name, entry in results["baselines"].items() if name != "x"
    }
    assert shares == {"majority": 0.25, "bag_of_words": 0.75, "bag_of_words_joint": 0.75}
    assert str(tmp_path) not in path.read_text()


def test_splits_measured_one_by_one_are_gathered_until_the_model_changes(
    data: str, knows_good: str, tmp_path: Path
) -> None:
    def measured(split: str) -> set[str]:
        options = {"results": str(tmp_path / "r.json"), "model": (knows_good,), "baselines": False}
        results = json.loads(evaluate(EvaluateOptions(data=(f"{data}:{split}",), **options)).read_text())
        return set(results["classifiers"]["known"]["accuracy"])

    assert measured("test") == {"tiny/test"}
    assert measured("train") == {"tiny/test", "tiny/train"}
    (Path(knows_good) / "card.json").write_text(json.dumps({"name": "known", "seed": 5}))
    assert measured("train") == {"tiny/train"}


def test_a_classifier_kept_as_changes_of_a_base_is_measured_with_its_prompt(data: str, tmp_path: Path) -> None:
    prompted = save_changes(save_base(tmp_path / "base"), "prompt", name="tuned", trained_parameters=50)
    path = evaluate(
        EvaluateOptions(
            results=str(tmp_path / "r.json"), data=(f"{data}:test",), model=(str(prompted),), baselines=False
        )
    )
    entry = json.loads(path.read_text())["classifiers"]["tuned"]
    test, clf = load_labelled(data, "test"), load_classifier(prompted)
    right = [predict(clf, text).label == clf.labels[label] for text, label in zip(test.texts, test.labels, strict=True)]
    assert entry["accuracy"]["tiny/test"]["accuracy"] == sum(right) / 4
    assert entry["parameters"] == clf.n_parameters == 280 * 10 + 12 * 10 + 3 * 1330 + 20 + 20 + 3 * 10
    assert (entry["regime"], entry["trained_parameters"]) == ("prompt", 50)


def test_a_long_text_is_read_by_its_end(knows_good: str, tmp_path: Path) -> None:
    long = "film for me, " * 9  # well over the context of 12
    write_split(tmp_path / "long", "test", text=[long + "good", "good " + long + "bad"], label=[1, 0])
    options = {"data": (f"{tmp_path}/long:test",), "model": (knows_good,), "baselines": False}
    evaluate(EvaluateOptions(results=str(tmp_path / "r.json"), **options))
    assert (
        json.loads((tmp_path / "r.json").read_text())["classifiers"]["known"]["accuracy"]["long/test"]["accuracy"] == 1
    )


def test_baselines_by_hand() -> None:
    train = LabelledTexts(["good film", "bad film", "good plot", "bad plot", "good"], [1, 0, 1, 0, 1])
    assert majority(train, ["a", "b"]).tolist() == [1, 1]
    assert bag_of_words(train).predict(["a good one", "one bad one", "GOOD", "unseen words"]).tolist() == [1, 0, 1, 1]
    order = bag_of_words(train).predict_proba(["good, not bad", "bad, not good"])
    assert np.allclose(order[0], order[1])  # a bag knows no order


def test_the_curve_of_pre_training_joins_the_results_counted_through_all_runs(sentences: str, tmp_path: Path) -> None:
    runs = [tmp_path / "base", tmp_path / "base2"]
    options = EvaluateOptions(results=str(tmp_path / "r.json"), pretraining=tuple(map(str, runs)))
    curves = [
        [{"tokens": 0, "held_out_loss": 9.0, "probe_accuracy": 0.5}, {"tokens": 70, "held_out_loss": 5.0, "probe_accuracy": 0.6}],
        [{"tokens": 0, "held_out_loss": 5.1, "probe_accuracy": 0.6}, {"tokens": 40, "held_out_loss": 4.0, "probe_accuracy": 0.7}],
    ]  # fmt: skip
    for seed, (run, curve) in enumerate(zip(runs, curves, strict=True)):
        run.mkdir()
        with pytest.raises(DataError, match=rf"{run.name} holds no finished pre-training run"):
            evaluate(options)
        (run / "curve.json").write_text(json.dumps(curve))
        record = {"data": ["x/imdb:train"], "probe_data": sentences, "output": f"runs/{run.name}", "seed": seed}
        (run / "pretrain.json").write_text(json.dumps(record))
    evaluate(options)
    entry = json.loads((tmp_path / "r.json").read_text())["pretraining"]
    assert entry["curve"] == [*curves[0], {**curves[1][1], "tokens": 110}]
    assert entry["data"] == ["imdb/train"] and entry["seeds"] == [0, 1]
    assert [command.rpartition(" ")[2] for command in entry["commands"]] == ["runs/base", "1"]  # --output, then --seed
    assert entry["probe"] == {"train": 108, "held_out": 6}
    assert entry["probe_baseline_bag_of_words"]["n"] == 6
    assert entry["probe_baseline_bag_of_words"]["accuracy"] == 1.0  # "good" or "bad" tells all


def test_what_cannot_be_measured_is_refused(data: str, base: str, tmp_path: Path) -> None:
    results = str(tmp_path / "r.json")
    with pytest.raises(OptionError, match="--model needs --data"):
        evaluate(EvaluateOptions(results=results, model=("m",)))
    with pytest.raises(OptionError, match=r"must be SOURCE:SPLIT"):
        evaluate(EvaluateOptions(results=results, data=(data,)))
    with pytest.raises(ModelError, match="nobody/nothing could not be loaded from the Hugging Face hub"):
        evaluate(EvaluateOptions(results=results, data=(f"{data}:test",), model=("nobody/nothing",)))
    with pytest.raises(ModelError, match=r"no trained head \(score\.weight\)"):
        evaluate(EvaluateOptions(results=results, data=(f"{data}:test",), model=(base,)))
    with pytest.raises(OptionError, match="two splits would have the same name in the results: tiny/test, tiny/test"):
        evaluate(EvaluateOptions(results=results, data=(f"{data}:test", f"{data}/../tiny:test")))
