"""One text through several classifiers: by hand-made heads, by Hugging Face, and what can't stand side by side."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from adapters import save_base, save_changes
from conftest import TEXT, save_tiny

from gpt2cls_core import Classifier, OptionError, RegimeReading, TextError, load_classifier, read_regimes, trace


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> list[Classifier]:
    """Four classifiers on one base, and one that is whole."""
    base = save_base(tmp_path_factory.mktemp("models") / "base")
    folders = [save_changes(base, regime) for regime in ("head", "last-block", "lora", "prompt")]
    return [load_classifier(folder) for folder in (*folders, save_tiny(base.parent / "whole", 2, seed=1))]


def with_head(clf: Classifier, *rows: list[float], weight: float = 1.0, bias: float = 0.0) -> Classifier:
    """A copy whose head has these rows, behind an ``ln_f`` of one weight and one shift for all coordinates."""
    model = copy.deepcopy(clf.model)
    model.transformer.ln_f.weight.fill_(weight)
    model.transformer.ln_f.bias.fill_(bias)
    model.score.weight.copy_(torch.tensor(rows))
    return dataclasses.replace(clf, model=model)


# --- by hand ---


def test_a_head_that_reads_the_shift_alone(clf2: Classifier) -> None:
    """ln_f makes 3 of everything, so with rows of sums 2 and 10 logits are 6 and 30 in every layer."""
    clf = with_head(clf2, [0.2] * 10, [1.0] * 10, weight=0, bias=3)
    (reading,) = read_regimes([clf], TEXT)
    assert (reading.name, reading.regime, reading.target, reading.label) == (clf2.name, "", 1, "positive")
    assert reading.margin == pytest.approx(24, abs=1e-4)  # float32
    assert reading.layer_margins.tolist() == pytest.approx([24] * 4, abs=1e-4)
    assert reading.probabilities.tolist() == pytest.approx([0, 1], abs=1e-6)


def test_the_verdict_is_the_likelier_class() -> None:
    probabilities = torch.tensor([0.6, 0.4])
    reading = RegimeReading("x", "head", ("bad", "good"), 1, -0.4, probabilities, torch.zeros(3))
    assert reading.label == "bad"


# --- identities ---


def test_readings_come_in_the_order_given_and_know_what_was_trained(family: list[Classifier]) -> None:
    readings = read_regimes(family, TEXT)
    assert [reading.name for reading in readings] == [clf.name for clf in family]
    assert [reading.regime for reading in readings] == ["head", "last-block", "lora", "prompt", ""]
    turned = read_regimes(family[::-1], TEXT)
    assert [reading.margin for reading in turned] == [reading.margin for reading in readings][::-1]
    assert len({reading.margin for reading in readings}) == 5


def test_the_last_layers_margin_is_the_margin(family: list[Classifier]) -> None:
    for reading in read_regimes(family, TEXT):
        assert reading.layer_margins.shape == (4,)
        assert float(reading.layer_margins[-1]) == pytest.approx(reading.margin, abs=1e-5)  # float32, two routes
        assert float(reading.probabilities.sum()) == pytest.approx(1, abs=1e-6)  # float32
        assert (reading.margin > 0) == (reading.label == "positive")


def test_where_only_the_head_differs_the_layers_below_are_read_by_it(family: list[Classifier]) -> None:
    head = family[0]
    turned = dataclasses.replace(head, model=copy.deepcopy(head.model))
    turned.model.score.weight.mul_(-2)
    one, other = read_regimes([head, turned], TEXT)
    torch.testing.assert_close(other.layer_margins, -2 * one.layer_margins)


def test_of_more_classes_all_speak_for_the_one_that_the_first_predicts(clf: Classifier) -> None:
    other = dataclasses.replace(clf, model=copy.deepcopy(clf.model))
    other.model.score.weight.copy_(clf.model.score.weight.roll(2, 0))  # predicts the class two further on
    first, second = read_regimes([clf, other], TEXT)
    assert first.target == second.target == int(first.probabilities.argmax())
    assert int(second.probabilities.argmax()) == (first.target + 2) % 5
    assert first.margin > 0 > second.margin


# --- by an independent route ---


def test_hugging_faces_own_logits(family: list[Classifier]) -> None:
    for clf, reading in zip(family, read_regimes(family, TEXT), strict=True):
        ids = clf.encode(TEXT).input_ids[None]
        with torch.no_grad():
            logits = clf.model(input_ids=ids).logits[0]
            hidden = clf.body(input_ids=ids, output_hidden_states=True).hidden_states  # the last is after ln_f
            below = [clf.model.score(clf.body.ln_f(layer[0, -1])) for layer in hidden[:-1]]
        margins = [float(logit[1] - logit[0]) for logit in (*below, logits)]
        torch.testing.assert_close(reading.layer_margins, torch.tensor(margins), atol=1e-5, rtol=1e-5)  # float32
        torch.testing.assert_close(reading.probabilities, logits.softmax(-1), atol=1e-6, rtol=1e-5)
        assert reading.margin == pytest.approx(margins[-1], abs=1e-5)


def test_one_forward_pass_each(family: list[Classifier], monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    for clf in family[:2]:
        forward = clf.body.forward
        monkeypatch.setattr(
            clf.body, "forward", lambda *a, run=forward, name=clf.name, **k: ran.append(name) or run(*a, **k)
        )
    read_regimes(family[:2], TEXT)
    assert ran == [clf.name for clf in family[:2]]


# --- failures ---


def test_nobody_to_read() -> None:
    with pytest.raises(OptionError) as raised:
        read_regimes([], TEXT)
    assert str(raised.value) == "There is no classifier to read the text; give at least one."


def test_other_labels_or_another_order(clf2: Classifier, clf: Classifier) -> None:
    turned = dataclasses.replace(clf2, name="turned", labels=("positive", "negative"))
    with pytest.raises(OptionError) as raised:
        read_regimes([clf2, turned], TEXT)
    assert str(raised.value) == (
        f"turned tells positive, negative apart and {clf2.name} negative, positive; "
        "only classifiers with the same labels in the same order can stand side by side."
    )
    with pytest.raises(OptionError, match="only classifiers with the same labels"):
        read_regimes([clf2, clf], TEXT)


@pytest.mark.parametrize("text", ["", "  ", None])
def test_no_text(clf2: Classifier, text: str | None) -> None:
    with pytest.raises(TextError) as expected:
        trace(clf2, text)
    with pytest.raises(TextError) as raised:
        read_regimes([clf2], text)
    assert str(raised.value) == str(expected.value)
