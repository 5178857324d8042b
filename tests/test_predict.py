"""The verdict and its dot product."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch
from conftest import TEXT

from gpt2cls_core import (
    Classifier,
    OptionError,
    Prediction,
    TextError,
    Trace,
    head_products,
    predict,
    predict_batch,
    trace,
)

ROUNDING = {"atol": 1e-5, "rtol": 1e-5}  # float32 sums of about 40 terms of size 1, in another order
TEXTS = ["good", TEXT, "not good for me", "bad", "film, good film, but", "bad bad bad bad bad"]  # 1 to 7 tokens


def prediction(*logits: float, target: int, tokens_cut: int = 0) -> Prediction:
    labels = tuple("abcde"[: len(logits)])
    return Prediction("text", labels, torch.tensor(logits), target, n_tokens=1, tokens_cut=tokens_cut)


# --- by hand ---


def test_margin_is_the_target_minus_the_best_other() -> None:
    assert prediction(1.0, 4.0, 2.5, target=1).margin == 1.5
    assert prediction(1.0, 4.0, 2.5, target=0).margin == -3.0
    assert prediction(1.0, 4.0, 2.5, target=2).margin == -1.5


def test_probabilities_label_and_repr_worked_out_by_hand() -> None:
    made = prediction(0.0, math.log(3), target=1, tokens_cut=4)
    torch.testing.assert_close(made.probabilities, torch.tensor([0.25, 0.75]))
    assert made.label == "b"
    assert repr(made) == "Prediction('b', margin +1.099, a 0.250, b 0.750, first 4 tokens cut)"
    assert repr(prediction(1.0, 0.0, target=1)) == "Prediction('a', margin -1.000, a 0.731, b 0.269)"


def test_the_dot_product_worked_out_by_hand(clf2: Classifier) -> None:
    made = dataclasses.replace(clf2, model=copy.deepcopy(clf2.model))
    made.body.ln_f.weight.fill_(1)
    made.body.ln_f.bias.zero_()
    made.model.score.weight.zero_()
    made.model.score.weight[1, :4] = torch.tensor([3.0, 1.0, 0.5, 0.0])  # class 1
    made.model.score.weight[0, :4] = torch.tensor([0.0, 4.0, 0.0, 0.0])  # class 0, taken away
    traced = trace(made, "good film")
    last = torch.tensor([1.0, -1.0] * 5)  # mean 0 and variance 1: ln_f leaves it as it is
    traced.resid[-1, -1] = last
    products = head_products(made, traced)
    expected = torch.tensor([3.0, 3.0, 0.5, 0, 0, 0, 0, 0, 0, 0])  # 1·3, −1·(1−4), 1·0.5
    torch.testing.assert_close(products.products, expected, atol=1e-4, rtol=0)  # ln_f's epsilon of 1e-5 in the variance
    assert products.order[:3].sort().values.tolist() == [0, 1, 2]
    assert int(products.order[2]) == 2


# --- identities ---


def test_the_products_sum_to_the_margin_of_the_verdict(clf2: Classifier) -> None:
    products = head_products(clf2, trace(clf2, TEXT))
    assert products.products.shape == products.vector.shape == products.weights.shape == (10,)
    assert math.fsum(products.products.tolist()) == pytest.approx(predict(clf2, TEXT).margin, abs=1e-5)  # float32
    assert abs(products.residual) < 1e-5  # float32
    assert abs(products.margin) > 0.1, "a margin of nothing would prove nothing"


@pytest.mark.parametrize("target", range(5))
def test_the_products_explain_any_class_against_its_strongest_rival(clf: Classifier, tr: Trace, target: int) -> None:
    products = head_products(clf, tr, target=target)
    rival = max(set(range(5)) - {target}, key=lambda i: float(tr.logits[i]))
    assert (products.target, products.other) == (target, rival)
    assert products.margin == float(tr.logits[target] - tr.logits[rival])
    assert abs(products.residual) < 1e-5  # float32


def test_swapping_the_two_classes_flips_every_product(clf2: Classifier) -> None:
    traced = trace(clf2, TEXT)
    assert torch.equal(
        head_products(clf2, traced, target="negative").products,
        -head_products(clf2, traced, target="positive").products,
    )


def test_order_is_by_size_whatever_the_sign(clf: Classifier, tr: Trace) -> None:
    products = head_products(clf, tr, target=0)
    sizes = products.products.abs()[products.order]
    assert (sizes[:-1] >= sizes[1:]).all()
    assert sorted(products.order.tolist()) == list(range(10))
    assert products.products.min() < 0 < products.products.max()


def test_two_classes_are_judged_by_the_sign_of_the_margin(clf2: Classifier) -> None:
    verdicts = predict_batch(clf2, [*TEXTS, " film"])
    assert {verdict.target for verdict in verdicts} == {1}
    assert [verdict.label for verdict in verdicts] == ["positive" if v.margin > 0 else "negative" for v in verdicts]
    assert {verdict.label for verdict in verdicts} == {"negative", "positive"}, "both signs must occur"


def test_more_classes_are_judged_by_the_winner(clf: Classifier) -> None:
    for verdict in predict_batch(clf, TEXTS):
        assert verdict.margin > 0
        assert verdict.target == verdict.logits.tolist().index(max(verdict.logits.tolist()))


@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_a_batch_gives_each_text_its_own_verdict_in_order(clf: Classifier, batch_size: int) -> None:
    batched = predict_batch(clf, TEXTS, batch_size=batch_size)
    assert [verdict.text for verdict in batched] == TEXTS
    for verdict in batched:
        assert verdict.n_tokens == len(clf.tokenizer(verdict.text).input_ids)
        torch.testing.assert_close(verdict.logits, trace(clf, verdict.text).logits, **ROUNDING)


def test_no_texts_have_no_verdicts(clf: Classifier) -> None:
    assert predict_batch(clf, []) == []


# --- by an independent route ---


def test_parity_with_hugging_face(clf: Classifier) -> None:
    for text in TEXTS:
        with torch.no_grad():
            theirs = clf.model(clf.encode(text).input_ids[None]).logits[0]
        torch.testing.assert_close(predict(clf, text).logits, theirs, **ROUNDING)


def test_parity_of_the_products_with_a_loop(clf: Classifier, tr: Trace) -> None:
    with torch.no_grad():
        state = clf.body(input_ids=tr.input_ids[None]).last_hidden_state[0, 6].tolist()
    head = clf.model.score.weight.tolist()
    expected = [state[d] * (head[4][d] - head[1][d]) for d in range(10)]
    products = head_products(clf, tr, target=4)
    assert products.other == 1
    assert products.products.tolist() == pytest.approx(expected, abs=1e-5)  # float32 against float64 products


# --- failures ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There is no text to read yet. Type at least one word."),
        ("\n", "There is no text to read yet. Type at least one word."),
        (7, "The text must be a string, not int."),
        ("x" * 100_001, "The text has 100,001 characters; shorten it to 100,000 or fewer."),
        ("\udfff", "Character 1 is half of a surrogate pair, which is no character; remove it."),
    ],
    ids=["empty", "blanks", "number", "too-long", "surrogate"],
)
def test_an_unreadable_text_is_refused_and_in_a_batch_its_place_is_told(
    clf: Classifier, text: object, message: str
) -> None:
    with pytest.raises(TextError) as alone:
        predict(clf, text)
    assert str(alone.value) == message
    with pytest.raises(TextError) as batched:
        predict_batch(clf, ["good", "bad", text, ""])
    assert str(batched.value) == f"texts[2]: {message}"


def test_of_a_text_too_long_the_end_is_judged_and_the_cut_is_told(clf: Classifier) -> None:
    verdict = predict(clf, "good film" + " bad" * 12)  # 14 tokens
    assert (verdict.n_tokens, verdict.tokens_cut) == (12, 2)
    assert "first 2 tokens cut" in repr(verdict)
    torch.testing.assert_close(verdict.logits, predict(clf, " bad" * 12).logits, **ROUNDING)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_nothing_is_refused(clf: Classifier, batch_size: int) -> None:
    with pytest.raises(OptionError, match=f"batch_size must be 1 or more, not {batch_size}"):
        predict_batch(clf, ["good"], batch_size=batch_size)


@pytest.mark.parametrize("target", [5, "great"])
def test_products_of_a_class_that_does_not_exist_are_refused(clf: Classifier, tr: Trace, target: int | str) -> None:
    with pytest.raises(OptionError, match=f"There is no class {target!r}; the classes are "):
        head_products(clf, tr, target=target)
