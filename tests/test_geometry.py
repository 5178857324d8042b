"""Distances on paper, vectors that must be one, and a cloud checked against loops and scikit-learn."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from conftest import TEXT
from sklearn.linear_model import Ridge

from gpt2cls_core import (
    Classifier,
    OptionError,
    SentenceCloud,
    TextError,
    Trace,
    class_lens,
    compare_geometry,
    nearest_words,
    predict_batch,
    sentence_cloud,
    trace,
    vector_at,
)
from gpt2cls_core.cloud import last_token_states
from gpt2cls_core.lens import vocabulary_texts
from gpt2cls_core.separation import PENALTY, cross_validated_accuracy, shuffled_labels, stratified_folds

# Two routes through the same float32 model differ in the order of summing: 1e-5 on numbers of size 1 to 10.
ROUNDING = {"atol": 1e-5, "rtol": 1e-5}
FILLERS = [
    "",
    " film",
    " for me",
    " film for me",
    " but",
    " film but",
    " for",
    " me",
    " for film",
    " me but",
    " but me",
]
SENTENCES = [f"{word}{filler}." for filler in FILLERS for word in ("good", "bad")]
LABELS = [1, 0] * len(FILLERS)


@pytest.fixture(scope="module")
def cloud(clf2: Classifier) -> SentenceCloud:
    return sentence_cloud(clf2, SENTENCES, LABELS)


# --- by hand ---


def test_cosine_and_distance_worked_out_by_hand(clf: Classifier, tr: Trace) -> None:
    a, b = torch.zeros(4, 7, 10), torch.zeros(4, 7, 10)
    a[:, -1, 0] = 3
    b[0, -1, 0], b[1, -1, 1], b[2, -1, 0] = 3, 4, -1
    b[3, -1, :2] = torch.tensor([3.0, 4])
    result = compare_geometry(clf, dataclasses.replace(tr, resid=a), dataclasses.replace(tr, resid=b))
    # alike; at right angles (3, 4, 5); opposed; and (3, 0) to (3, 4): 3/5 and 4
    torch.testing.assert_close(result.cosine, torch.tensor([1.0, 0, -1, 0.6]))  # default float32 tolerance
    torch.testing.assert_close(result.distance, torch.tensor([0.0, 5, 4, 4]))


def test_separable_vectors_are_separated_and_constant_ones_are_not() -> None:
    classes = torch.tensor([0, 1] * 10)
    parts = stratified_folds(classes, 5)
    apart = torch.stack(
        [classes.float() * 2 - 1, torch.randn(20, generator=torch.Generator().manual_seed(0)) * 0.1], -1
    )
    vectors = torch.stack([apart, torch.ones(20, 2)])
    accuracy = cross_validated_accuracy(vectors, torch.stack([classes, 1 - classes]), parts)
    assert accuracy.tolist() == [[1, 1], [0.5, 0.5]]  # where all are one point, one class is said of all


def test_folds_deal_each_class_out() -> None:
    parts = stratified_folds(torch.tensor([0, 0, 1, 0, 1, 1, 0, 2, 2]), 2)
    assert parts.tolist() == [0, 1, 0, 0, 1, 0, 1, 0, 1]


# --- identities: two texts ---


def test_same_token_at_the_same_position_is_one_vector_at_layer_0(clf: Classifier) -> None:
    result = compare_geometry(clf, trace(clf, "good film for me"), trace(clf, "good bad but me"))
    assert result.last_tokens == (" me", " me")
    assert result.identical_at_start
    assert result.distance[0] == 0  # to the last bit
    assert result.token_distance == result.position_distance == 0
    assert (result.distance[1:] > 0.1).all()  # random weights: nowhere near rounding


def test_same_token_elsewhere_differs_by_the_position_embeddings_alone(clf: Classifier) -> None:
    a, b = trace(clf, "good film for me"), trace(clf, "good me")
    result = compare_geometry(clf, a, b)
    assert result.positions == (3, 1)
    assert result.same_token
    assert not result.identical_at_start
    assert result.token_distance == 0
    torch.testing.assert_close(float(result.distance[0]), result.position_distance, **ROUNDING)
    wpe = clf.body.wpe.weight
    difference = a.resid[0, -1] - b.resid[0, -1]
    torch.testing.assert_close(difference, wpe[result.positions[0]] - wpe[result.positions[1]], **ROUNDING)


def test_another_token_at_the_same_position_differs_by_the_token_embeddings_alone(clf: Classifier) -> None:
    result = compare_geometry(clf, trace(clf, "good film"), trace(clf, "good me"))
    assert not result.same_token
    assert result.position_distance == 0
    torch.testing.assert_close(float(result.distance[0]), result.token_distance, **ROUNDING)


def test_a_text_cut_at_the_context_ends_at_its_last_position(clf: Classifier) -> None:
    cut, short = trace(clf, "film " * 9 + TEXT), trace(clf, TEXT)
    result = compare_geometry(clf, cut, short)
    assert cut.tokens_cut > 0
    assert result.positions == (11, 6)
    assert result.same_token
    expected = float((clf.body.wpe.weight[11] - clf.body.wpe.weight[6]).norm())
    assert float(result.distance[0]) == pytest.approx(expected, abs=1e-5)  # float32 sums of embeddings


def test_a_text_beside_itself_is_itself(clf: Classifier) -> None:
    result = compare_geometry(clf, trace(clf, TEXT), trace(clf, TEXT))
    torch.testing.assert_close(result.cosine, torch.ones(4))  # default float32 tolerance
    assert result.distance.tolist() == [0] * 4


@pytest.mark.parametrize("target", [None, 0, "LABEL_4"])
def test_margins_by_layer_are_the_lens_of_each_text(clf: Classifier, tr: Trace, target: int | str | None) -> None:
    other = trace(clf, "bad")
    result = compare_geometry(clf, tr, other, target=target)
    torch.testing.assert_close(result.margins_a, class_lens(clf, tr, target=target).margins[:, -1], **ROUNDING)
    own = other.logits[result.target] - other.logits[result.other]
    torch.testing.assert_close(result.margins_b[-1], own, **ROUNDING)


# --- identities: nearest words ---


def test_an_embedding_is_nearest_to_its_own_word(clf: Classifier) -> None:
    film = clf.tokenizer.convert_tokens_to_ids("Ġfilm")
    result = nearest_words(clf, 3 * clf.body.wte.weight[film], top=4)
    assert result.words[0] == " film"
    assert float(result.cosines[0]) == pytest.approx(1, abs=1e-6)  # float32
    assert len(result.words) == len(result.next_tokens) == len(result.cosines) == len(result.probabilities) == 4


def test_nearest_words_against_a_loop_over_the_vocabulary(clf: Classifier, tr: Trace) -> None:
    vector = vector_at(tr, 2, 3)
    cosines = [float(torch.cosine_similarity(row, vector, dim=0)) for row in clf.body.wte.weight]
    order = sorted(range(len(cosines)), key=lambda i: -cosines[i])[:5]
    result = nearest_words(clf, vector)
    assert result.words == tuple(vocabulary_texts(clf, order))
    assert result.cosines.tolist() == pytest.approx([cosines[i] for i in order], abs=1e-6)  # float32
    logits = clf.body.ln_f(vector) @ clf.body.wte.weight.T
    best = logits.softmax(-1).topk(5)
    assert result.next_tokens == tuple(vocabulary_texts(clf, best.indices.tolist()))
    torch.testing.assert_close(result.probabilities, best.values, **ROUNDING)


def test_a_vector_of_zeros_is_near_nothing(clf: Classifier) -> None:
    assert nearest_words(clf, torch.zeros(10)).cosines.tolist() == [0] * 5


# --- identities: the cloud ---


def test_at_layer_0_there_is_one_point_per_length(cloud: SentenceCloud) -> None:
    assert set(cloud.last_tokens) == {"."}
    assert len(cloud.lengths.unique()) > 2
    for length in cloud.lengths.unique():
        members = cloud.lengths == length
        assert len(cloud.vectors[0, members].unique(dim=0)) == 1  # to the last bit, whatever the padding
        assert len(cloud.coordinates[-1, members].unique(dim=0)) > 1 or members.sum() == 1
    assert len(cloud.vectors[0].unique(dim=0)) == len(cloud.lengths.unique())


def test_the_first_coordinate_at_the_top_is_the_models_margin(clf2: Classifier, cloud: SentenceCloud) -> None:
    margins = torch.tensor([p.margin for p in predict_batch(clf2, SENTENCES)])
    torch.testing.assert_close(cloud.coordinates[-1, :, 0], margins, **ROUNDING)
    right = (margins > 0) == torch.tensor(LABELS).bool()
    assert float(cloud.head_accuracy[-1]) == pytest.approx(float(right.float().mean()), abs=1e-6)  # float32


def test_a_sentence_of_the_cloud_is_placed_on_its_own_point(clf2: Classifier, cloud: SentenceCloud) -> None:
    for i in (0, 7, 12):
        tr = trace(clf2, SENTENCES[i])
        torch.testing.assert_close(cloud.place(tr), cloud.coordinates[:, i], **ROUNDING)
        torch.testing.assert_close(cloud.place(tr)[:, 0], class_lens(clf2, tr).margins[:, -1], **ROUNDING)


def test_the_second_axis_is_the_spread_that_the_head_does_not_read(clf2: Classifier, cloud: SentenceCloud) -> None:
    with torch.no_grad():
        read = clf2.body.ln_f(cloud.vectors[-1]).numpy()
    head = (clf2.score[1] - clf2.score[0]).numpy()
    head = head / np.linalg.norm(head)
    centred = read - read.mean(0)
    rest = centred - np.outer(centred @ head, head)
    values, vectors = np.linalg.eigh(rest.T @ rest)  # another way to the first principal component
    y = cloud.coordinates[-1, :, 1].numpy()
    expected = centred @ vectors[:, -1]
    assert abs(vectors[:, -1] @ head) < 1e-5  # float32 orthogonality
    np.testing.assert_allclose(y * np.sign(y @ expected), expected, atol=1e-4)  # float32 eigenvectors
    assert float(y.mean()) == pytest.approx(0, abs=1e-5)  # float32
    shown = ((centred @ head) ** 2).sum() + values[-1]
    assert float(cloud.variance_shown[-1]) == pytest.approx(shown / (centred**2).sum(), abs=1e-5)  # float32
    assert (cloud.variance_shown <= 1).all()


def test_the_other_target_mirrors_the_picture(clf2: Classifier, cloud: SentenceCloud) -> None:
    mirrored = sentence_cloud(clf2, SENTENCES, LABELS, target="negative")
    assert (cloud.target, cloud.other, mirrored.target, mirrored.other) == (1, 0, 0, 1)
    torch.testing.assert_close(mirrored.coordinates[..., 0], -cloud.coordinates[..., 0], **ROUNDING)
    torch.testing.assert_close(mirrored.coordinates[..., 1], cloud.coordinates[..., 1], atol=1e-4, rtol=0)  # an SVD


def test_labels_by_name_are_labels_by_index(clf2: Classifier, cloud: SentenceCloud) -> None:
    named = sentence_cloud(clf2, SENTENCES, ["positive" if label else "negative" for label in LABELS])
    assert named.classes.equal(cloud.classes)
    assert named.separation.equal(cloud.separation)
    assert named.control.equal(cloud.control)  # the same seed


def test_the_control_shuffles_and_keeps_each_folds_share(cloud: SentenceCloud) -> None:
    parts = stratified_folds(cloud.classes, 5)
    shuffled = shuffled_labels(cloud.classes, parts, 20, seed=0)
    assert not (shuffled == cloud.classes).all(-1).any()
    for part in range(5):
        assert (shuffled[:, parts == part].sum(-1) == cloud.classes[parts == part].sum()).all()
    assert cloud.control.shape == (4, 20)
    # On noise the control is fair: over 20 shuffles of 22 sentences its mean is within 0.5 ± 4 · 0.5 / sqrt(22 · 20).
    assert ((cloud.control_mean - 0.5).abs() < 0.1).all()
    assert (cloud.control_spread > 0).all()
    assert not shuffled.equal(shuffled_labels(cloud.classes, parts, 20, seed=1))


def test_five_classes(clf: Classifier) -> None:
    cloud = sentence_cloud(clf, SENTENCES, LABELS)
    logits = torch.stack([p.logits for p in predict_batch(clf, SENTENCES)])
    assert cloud.target == logits.mean(0).argmax()
    margins = logits[:, cloud.target] - logits[:, cloud.other]
    torch.testing.assert_close(cloud.coordinates[-1, :, 0], margins, **ROUNDING)
    assert cloud.separation.shape == (4,)


# --- independent routes ---


def test_last_token_states_are_those_of_each_text_alone(clf: Classifier) -> None:
    texts = [*SENTENCES, TEXT, "x"]
    states = last_token_states(clf, [clf.encode(text) for text in texts], batch_size=3)
    alone = torch.stack([trace(clf, text).resid[:, -1] for text in texts], 1)
    torch.testing.assert_close(states, alone, **ROUNDING)
    assert not states.is_inference()


def test_separation_against_scikit_learn(clf2: Classifier, cloud: SentenceCloud) -> None:
    truth = np.array(LABELS)
    part = np.empty(len(truth), int)
    for c in (0, 1):
        part[truth == c] = np.arange((truth == c).sum()) % 5
    for layer, x in enumerate(cloud.vectors.double().numpy()):
        # LayerNorm without its scale and shift
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + clf2.body.ln_f.eps)
        right = 0
        for fold in range(5):
            train, test = x[part != fold], x[part == fold]
            penalty = PENALTY * ((train - train.mean(0)) ** 2).sum(-1).mean()
            ridge = Ridge(alpha=penalty).fit(train, np.eye(2)[truth[part != fold]])
            right += (ridge.predict(test).argmax(-1) == truth[part == fold]).sum()
        assert float(cloud.separation[layer]) == pytest.approx(right / len(truth), abs=1e-6)  # float32


def test_three_unequal_classes_against_scikit_learn() -> None:
    classes = torch.tensor([0] * 20 + [1] * 8 + [2] * 5)
    generator = torch.Generator().manual_seed(4)
    vectors = torch.randn(1, 33, 6, generator=generator, dtype=torch.float64)
    vectors[0, :, 0] += classes
    parts, x, truth = stratified_folds(classes, 3), vectors[0].numpy(), classes.numpy()
    right = 0
    for fold in range(3):
        train = (parts != fold).numpy()
        penalty = PENALTY * ((x[train] - x[train].mean(0)) ** 2).sum(-1).mean()
        ridge = Ridge(alpha=penalty).fit(x[train], np.eye(3)[truth[train]])
        right += (ridge.predict(x[~train]).argmax(-1) == truth[~train]).sum()
    found = cross_validated_accuracy(vectors, torch.stack([classes, classes.flip(0)]), parts)
    assert float(found[0, 0]) == pytest.approx(right / 33, abs=1e-6)  # float32


def test_hooks_are_gone_after_an_exception(clf2: Classifier) -> None:
    broken = dataclasses.replace(clf2, model=copy.deepcopy(clf2.model))
    broken.body.h[1].forward = lambda *_, **__: 1 / 0
    before = [len(module._forward_hooks) for module in broken.model.modules()]
    with pytest.raises(ZeroDivisionError):
        sentence_cloud(broken, SENTENCES, LABELS)
    assert [len(module._forward_hooks) for module in broken.model.modules()] == before


# --- failures ---


def test_options_out_of_range(clf: Classifier, clf2: Classifier, tr: Trace) -> None:
    with pytest.raises(OptionError, match=r"has shape \[10\], not \[7, 10\]"):
        nearest_words(clf, tr.resid[0])
    with pytest.raises(OptionError, match="top must lie between 1 and the vocabulary's"):
        nearest_words(clf, tr.resid[0, 0], top=0)
    with pytest.raises(OptionError, match="There is no class 9; the classes are 0 to 4"):
        compare_geometry(clf, tr, tr, target=9)
    with pytest.raises(OptionError, match="Give one label per sentence, not 1 for 2"):
        sentence_cloud(clf2, ["good.", "bad."], [1])
    with pytest.raises(OptionError, match="There is no class 'fine'; the classes are negative, positive"):
        sentence_cloud(clf2, ["good.", "bad."], ["fine", "negative"])
    with pytest.raises(OptionError, match="shuffles must be 2 or more, not 1"):
        sentence_cloud(clf2, SENTENCES, LABELS, shuffles=1)


@pytest.mark.parametrize(
    ("labels", "folds", "found"),
    [([], 5, r"\[\]"), ([1] * 6, 5, r"\[6\]"), ([1, 0] * 4, 5, r"\[4, 4\]"), ([1, 0] * 4, 1, r"\[4, 4\]")],
)
def test_clouds_too_small_to_cross_validate(clf2: Classifier, labels: list[int], folds: int, found: str) -> None:
    message = rf"folds must be 2 or more, with 2 classes or more and {folds} sentences of each; there are {found}\."
    with pytest.raises(OptionError, match=message):
        sentence_cloud(clf2, ["good."] * len(labels), labels, folds=folds)


def test_a_sentence_that_cannot_be_read_is_named(clf2: Classifier) -> None:
    with pytest.raises(TextError, match=r"sentences\[3\]: There is no text to read yet"):
        sentence_cloud(clf2, [*SENTENCES[:3], " ", *SENTENCES[4:]], LABELS)
