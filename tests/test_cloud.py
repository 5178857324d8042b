"""The cloud on paper and in loops: its plane, its padded batches, its accuracy and its control."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TEXT

from gpt2cls_core import (
    Classifier,
    OptionError,
    SentenceCloud,
    TextError,
    class_lens,
    cloud_sentences,
    sentence_cloud,
    trace,
)
from gpt2cls_core.cloud import last_token_states
from gpt2cls_core.separation import PENALTY, cross_validated_accuracy, shuffled_labels, stratified_folds

# Two routes through the same float32 model differ in the order of summing: 1e-5 on numbers of size 1 to 10.
ROUNDING = {"atol": 1e-5, "rtol": 1e-5}
MIDDLES = ["", " film", " for me", " film for me", " but", " film but", " me", " for film", " me but", " but me"]
SENTENCES = [f"good {word}{middle}." for middle in MIDDLES for word in ("bad", "not")]  # twins of one length
LABELS = [0, 1] * len(MIDDLES)


@pytest.fixture(scope="module")
def cloud(clf2: Classifier) -> SentenceCloud:
    return sentence_cloud(clf2, SENTENCES, LABELS)


def numpy_accuracy(vectors: np.ndarray, truth: np.ndarray, part: np.ndarray) -> float:
    """Ridge fits in the primal, one fold, class and sentence after another."""
    right, n_classes = 0, truth.max() + 1
    for fold in np.unique(part):
        x, y = vectors[part != fold], truth[part != fold]
        mean = x.mean(0)
        penalty = PENALTY * np.mean([np.sum((row - mean) ** 2) for row in x])
        gram = sum(np.outer(row - mean, row - mean) for row in x) + penalty * np.eye(x.shape[1])
        fits = []
        for c in range(n_classes):
            share = np.mean(y == c)
            weight = np.linalg.solve(
                gram, sum((row - mean) * ((label == c) - share) for row, label in zip(x, y, strict=True))
            )
            fits.append((weight, share))
        for row, label in zip(vectors[part == fold], truth[part == fold], strict=True):
            scores = [(row - mean) @ weight + share for weight, share in fits]
            right += int(np.argmax(scores) == label)
    return right / len(truth)


# --- by hand ---


def test_accuracy_worked_out_by_hand() -> None:
    # Two folds, one number each. Fold 0 = {−1 of class 0, +3 of class 1}, fold 1 = {−3 of class 0, −2 of class 1}.
    vectors = torch.tensor([-1.0, -3, 3, -2])[None, :, None]
    classes, parts = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    # Fitted to fold 1 (mean −2.5, class 1 to its right): −1 and 3 are both called 1, one of them rightly.
    # Fitted to fold 0 (mean 1, class 1 to its right): −3 and −2 are both called 0, one of them rightly.
    assert cross_validated_accuracy(vectors, classes[None], parts).tolist() == [[0.5]]
    moved = torch.tensor([-3.5, -3, 3, 2])[None, :, None]  # fold 1 has mean −0.5, fold 0 −0.25: all four are right
    assert cross_validated_accuracy(moved, classes[None], parts).tolist() == [[1.0]]


def test_the_first_coordinate_worked_out_by_hand(clf2: Classifier) -> None:
    plain = dataclasses.replace(clf2, model=copy.deepcopy(clf2.model))
    plain.body.ln_f.weight.fill_(1)
    plain.body.ln_f.bias.fill_(0)
    plain.body.ln_f.bias[0] = 0.5
    plain.model.score.weight.fill_(0)
    plain.model.score.weight[1, 0], plain.model.score.weight[0, 1] = 2, 1
    cloud = sentence_cloud(plain, SENTENCES, LABELS)
    pattern = torch.tensor([1.0, -1] * 5)
    # The head reads 2 (x_0 + ½) − x_1 of the normalised vector, whatever its size: 2 · 1.5 + 1, and 2 · (−½) − 1.
    found = cloud.project(torch.stack([7 * pattern, -3 * pattern + 2]))[:, 0]
    torch.testing.assert_close(found, torch.tensor([4.0, -2]), **ROUNDING)


# --- identities ---


def test_a_text_that_is_not_in_the_cloud_stands_at_its_margin(clf2: Classifier, cloud: SentenceCloud) -> None:
    for text in (TEXT, "not", "bad film, good for me"):
        tr = trace(clf2, text)
        placed = cloud.place(tr)
        assert placed.shape == (4, 2)
        assert float(placed[-1, 0]) == pytest.approx(float(tr.logits[1] - tr.logits[0]), abs=1e-5)  # float32 rounding
        torch.testing.assert_close(placed[:, 0], class_lens(clf2, tr).margins[:, -1], **ROUNDING)


def test_projecting_the_clouds_vectors_gives_its_coordinates(cloud: SentenceCloud) -> None:
    torch.testing.assert_close(cloud.project(cloud.vectors), cloud.coordinates, **ROUNDING)
    assert cloud.coordinates.shape == (4, len(SENTENCES), 2)


def test_the_picture_does_not_depend_on_the_labels(clf2: Classifier, cloud: SentenceCloud) -> None:
    turned = sentence_cloud(clf2, SENTENCES, [1 - label for label in LABELS])
    assert turned.coordinates.equal(cloud.coordinates)
    torch.testing.assert_close(turned.head_accuracy, 1 - cloud.head_accuracy)  # default float32 tolerance


def test_what_is_identical_cannot_be_separated_and_the_top_can(cloud: SentenceCloud) -> None:
    # At layer 0 each sentence has a twin of the other class at the same point, in the same fold. One of each two is
    # right, but for the rounding that decides between equal scores: 2 of 20 sentences may go either way.
    assert cloud.vectors[0, ::2].equal(cloud.vectors[0, 1::2])
    assert float(cloud.separation[0]) == pytest.approx(0.5, abs=0.1)
    assert float(cloud.separation[-1]) > float(cloud.control_mean[-1] + cloud.control_spread[-1])
    # The mean over 20 shuffles of 20 sentences strays by 0.5 / sqrt(400) = 0.025; four times that.
    assert ((cloud.control_mean - 0.5).abs() < 0.1).all()


def test_a_sentence_longer_than_the_context_is_read_at_its_end(clf2: Classifier) -> None:
    long = "good film for me but not for me film film bad good for me."
    encoding = clf2.encode(long)
    assert encoding.tokens_cut > 0
    states = last_token_states(clf2, [clf2.encode("bad."), encoding])
    torch.testing.assert_close(states[:, 1], trace(clf2, long).resid[:, -1], **ROUNDING)


# --- padding ---


def test_batches_say_which_tokens_are_real(clf2: Classifier, caplog: pytest.LogCaptureFixture) -> None:
    from transformers.utils import logging as theirs

    asked: list[dict] = []
    encodings = [clf2.encode(text) for text in ("good.", "good film for me.")]
    handle = clf2.body.register_forward_pre_hook(lambda _m, _a, given: asked.append(given), with_kwargs=True)
    theirs.enable_propagation()  # or pytest hears nothing of it
    try:
        with caplog.at_level(logging.WARNING):
            last_token_states(clf2, encodings)
    finally:
        theirs.disable_propagation()
        handle.remove()
    assert [row.tolist() for row in asked[0]["attention_mask"]] == [[True, True, False, False, False], [True] * 5]
    assert "attention_mask" not in caplog.text  # transformers' advice to pass one


@pytest.mark.parametrize("batch_size", [1, 4, 50])
def test_the_batch_size_changes_nothing(clf2: Classifier, cloud: SentenceCloud, batch_size: int) -> None:
    states = last_token_states(clf2, [clf2.encode(text) for text in SENTENCES], batch_size=batch_size)
    torch.testing.assert_close(states, cloud.vectors, **ROUNDING)


# --- by an independent route ---


def test_separation_and_every_shuffle_against_loops_of_ridge_fits(clf2: Classifier, cloud: SentenceCloud) -> None:
    parts = stratified_folds(cloud.classes, 5)
    labellings = [cloud.classes, *shuffled_labels(cloud.classes, parts, 20, seed=0)[:6]]
    for layer in (1, 2, 3):  # at layer 0 twins tie, and rounding decides
        x = cloud.vectors[layer].double().numpy()
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + cloud.epsilon)
        found = [float(cloud.separation[layer]), *cloud.control[layer, :6].tolist()]
        expected = [numpy_accuracy(x, truth.numpy(), parts.numpy()) for truth in labellings]
        assert found == pytest.approx(expected, abs=1e-6)  # float32


def test_three_groups_against_loops_of_ridge_fits() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(30) % 3
    vectors = torch.randn(2, 30, 4, generator=generator)
    vectors[1, torch.arange(30), classes] += 1.5
    parts = stratified_folds(classes, 3)
    found = cross_validated_accuracy(vectors, classes[None], parts)[:, 0].tolist()
    expected = [numpy_accuracy(x, classes.numpy(), parts.numpy()) for x in vectors.double().numpy()]
    assert found == pytest.approx(expected, abs=1e-6)  # float32
    assert found[1] > found[0] + 0.2


# --- the committed sentences ---


def test_the_committed_sentences() -> None:
    sentences, labels = cloud_sentences()
    assert len(sentences) >= 120
    assert len({" ".join(sentence.lower().split()) for sentence in sentences}) == len(sentences)
    assert all(sentence.endswith(".") and not sentence.endswith("..") for sentence in sentences)
    assert labels.count(0) == labels.count(1) == len(sentences) / 2


def test_sentences_of_another_file(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    rows = [{"text": "Schön.", "label": "positive"}, {"text": "Bad.", "label": "negative"}]
    file.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert cloud_sentences(file) == (("Schön.", "Bad."), (1, 0))


# --- failures ---


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (8, {}, "folds must be 2 or more, with 2 classes or more and 5 sentences of each; there are [4, 4]."),
        (8, {"folds": 1}, "folds must be 2 or more, with 2 classes or more and 1 sentences of each; there are [4, 4]."),
        (20, {"folds": 11}, "folds must be 2 or more, with 2 classes or more and 11 sentences of each; "),
        (20, {"shuffles": 0}, "shuffles must be 2 or more, not 0."),
        (20, {"target": 2}, "There is no class 2; the classes are 0 to 1."),
        (20, {"target": "fine"}, "There is no class 'fine'; the classes are negative, positive."),
    ],
)
def test_options_out_of_range(clf2: Classifier, count: int, options: dict, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        sentence_cloud(clf2, SENTENCES[:count], LABELS[:count], **options)
    assert str(raised.value).startswith(message)


def test_labels_that_do_not_belong_to_the_sentences(clf2: Classifier) -> None:
    with pytest.raises(OptionError, match="Give one label per sentence, not 19 for 20"):
        sentence_cloud(clf2, SENTENCES, LABELS[1:])
    with pytest.raises(OptionError, match="There is no class -1; the classes are 0 to 1"):
        sentence_cloud(clf2, SENTENCES, [-1, *LABELS[1:]])


def test_a_sentence_that_cannot_be_read_is_named(clf2: Classifier) -> None:
    with pytest.raises(TextError, match=r"^sentences\[1\]: There is no text to read yet"):
        sentence_cloud(clf2, ["good.", "\n", *SENTENCES[2:]], LABELS)
