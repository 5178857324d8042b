"""The head trained live: on paper, by nested draws, by scikit-learn on the same rows, and what it refuses."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch
from adapters import save_base
from conftest import TEXT, randomise, tiny_config
from sklearn.linear_model import LogisticRegression
from transformers import GPT2ForSequenceClassification
from vectors import made_features

from gpt2cls_core import Encoding, LanguageModel, OptionError, States, load_base, load_features, read_states, train_head
from gpt2cls_core.frozen_features import PLACES, FrozenFeatures, Norm, pack
from gpt2cls_core.intervals import wilson
from gpt2cls_core.live_head import LiveHead, judge
from gpt2cls_core.logistic import head_weights


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_base(save_base(tmp_path_factory.mktemp("tiny") / "base"))


@pytest.fixture(scope="module")
def features() -> FrozenFeatures:
    return made_features()


def of_one_coordinate(held_out: list[float]) -> FrozenFeatures:
    """Eight rows: +127 of class 1 and −127 of class 0, which are packed without loss; and rows that are held out."""
    labels = torch.tensor([0, 1] * 4)
    packed = pack(254.0 * labels[:, None] - 127, torch.tensor(held_out)[:, None])
    made, places = made_features(layers=1, size=1), dict.fromkeys(((0, place) for place in PLACES), packed)
    held_out_labels = torch.arange(len(held_out)) % 2
    return dataclasses.replace(made, labels=labels, held_out_labels=held_out_labels, packed=places)


# --- by hand ---


def test_a_head_by_hand() -> None:
    """Class 1 is where the coordinate is above 0; of the four rows held out, the first is on the wrong side."""
    head = train_head(of_one_coordinate([5, 5, -9, 1]), examples=8, layer=0)
    w = 127 * float(head.weights[1] - head.weights[0])  # of the coordinate scaled to ±1: w = C n σ(−w)
    assert w == pytest.approx(0.1 * 8 / (1 + np.exp(w)), rel=1e-5)  # weights are float32
    assert (head.accuracy, head.n_held_out, head.majority, head.trained_parameters) == (0.75, 4, 0.5, 1)
    assert (head.low, head.high) == pytest.approx((0.3006, 0.9544), abs=1e-4)  # Wilson, 3 of 4
    assert head.curve == ((8, 0.75),)


def test_the_margin_by_hand() -> None:
    """ln_f makes (1, −1) of every first row and (2, −2 + 5) of that by its own numbers."""
    norm = Norm(torch.tensor([2.0, 2.0]), torch.tensor([0.0, 5.0]), 0.0)
    made = made_features(layers=3, size=2)
    head = dataclasses.replace(
        train_head(made, examples=8, layer=1, place="last"), norm=norm, weights=torch.tensor([[1.0, 0.0], [4.0, 10.0]])
    )
    resid = torch.tensor([[[0.0, 1]] * 2, [[-1.0, 1], [3, 1]], [[0.0, 1]] * 2])
    states = States(Encoding("ab", torch.tensor([1, 2]), ("a", "b"), ((0, 1), (1, 2)), (), 0), resid)
    assert judge(head, states) == 3 * 2 + 10 * 3  # (3, 1) → (1, −1) → (2, 3)
    assert judge(dataclasses.replace(head, place="first"), states) == 3 * -2 + 10 * 7  # (−1, 1) → (−2, 7)
    assert judge(dataclasses.replace(head, place="mean"), states) == 3 * 0 + 10 * 5


@pytest.mark.parametrize(
    ("examples", "sizes"),
    [(8, [8]), (9, [8, 9]), (16, [8, 16]), (17, [8, 16, 17]), (40, [8, 16, 32, 40])],
)
def test_sizes_of_the_curve(features: FrozenFeatures, examples: int, sizes: list[int]) -> None:
    head = train_head(features, examples=examples, layer=2)
    assert [size for size, _ in head.curve] == sizes
    assert head.curve[-1] == (examples, head.accuracy)
    assert head.n_examples == examples


# --- identities ---


def rows_used(head: LiveHead, features: FrozenFeatures, tries: int) -> set[int]:
    """The rows on which the head depends: those that move its weights when they are changed."""
    used = set()
    for row in range(tries):
        packed = features.packed[head.layer, head.place]
        train = packed.train.clone()
        train[row, 1] += 9 if train[row, 1] < 100 else -9
        changed = {**features.packed, (head.layer, head.place): dataclasses.replace(packed, train=train)}
        again = train_head(
            dataclasses.replace(features, packed=changed),
            examples=head.n_examples,
            layer=head.layer,
            place=head.place,
            seed=head.seed,
        )
        used |= set() if again.weights.equal(head.weights) else {row}
    return used


@pytest.mark.parametrize("seed", [0, 1])
def test_draws_are_balanced_and_nested(features: FrozenFeatures, seed: int) -> None:
    used = [
        rows_used(train_head(features, examples=n, layer=3, place="mean", seed=seed), features, 40) for n in (8, 13, 24)
    ]
    assert [len(rows) for rows in used] == [8, 13, 24]
    assert used[0] < used[1] < used[2]
    assert [int(features.labels[list(rows)].sum()) for rows in used] == [4, 6, 12]  # of 13, one more of class 0


def test_a_curve_is_the_heads_of_its_sizes(features: FrozenFeatures) -> None:
    head = train_head(features, examples=40, layer=1, place="first", seed=3)
    assert head.curve[:-1] == train_head(features, examples=32, layer=1, place="first", seed=3).curve
    for size, accuracy in head.curve:
        alone = train_head(features, examples=size, layer=1, place="first", seed=3)
        assert alone.accuracy == accuracy
        assert (alone.low, alone.high) == wilson(round(accuracy * 14), 14)


def test_the_seed_decides_the_draw_and_nothing_else(features: FrozenFeatures) -> None:
    one, same, other = (train_head(features, examples=12, layer=3, seed=seed) for seed in (5, 5, 6))
    assert one.weights.equal(same.weights) and one.curve == same.curve
    assert not one.weights.equal(other.weights)
    whole = [train_head(features, examples=40, layer=3, seed=seed).weights for seed in (5, 6)]
    torch.testing.assert_close(*whole, atol=1e-6, rtol=1e-5)  # all rows in another order: float64 sums, kept as float32


def test_where_there_is_more_to_read_more_is_read(features: FrozenFeatures) -> None:
    accuracy = [train_head(features, examples=40, layer=layer).accuracy for layer in features.layers]
    assert accuracy[0] < 0.8 and accuracy[-1] == 1


def test_judge_reads_the_vectors_that_features_are_made_of(base: LanguageModel) -> None:
    made = dataclasses.replace(made_features(), norm=Norm.of(base))
    states = read_states(base, TEXT)
    for layer in range(4):
        for place in ("first", "last"):
            head, at = train_head(made, examples=20, layer=layer, place=place), {"first": 0, "last": 6}[place]
            with torch.no_grad():
                vector = base.body.ln_f(states.resid[layer, at])
            expected = float(vector @ head.weights[1] - vector @ head.weights[0])
            assert judge(head, states) == pytest.approx(expected, abs=1e-5)  # float32


# --- by independent routes ---


@pytest.mark.parametrize("place", PLACES)
def test_scikit_learn_on_all_rows(features: FrozenFeatures, place: str) -> None:
    head = train_head(features, examples=40, layer=1, place=place, c=0.7)
    train, held_out = (part.double().numpy() for part in features.vectors(1, place))
    regression = LogisticRegression(C=0.7, fit_intercept=False, solver="newton-cholesky", tol=1e-10)
    regression.fit(train / train.std(0), features.labels.numpy())
    expected = regression.coef_[0] / train.std(0)
    np.testing.assert_allclose((head.weights[1] - head.weights[0]).numpy(), expected, rtol=1e-4, atol=1e-5)  # float32
    right = regression.predict(held_out / train.std(0)) == features.held_out_labels.numpy()
    assert head.accuracy == pytest.approx(right.mean())


def test_on_the_last_layers_last_token_it_is_a_classifiers_head(base: LanguageModel) -> None:
    """The weights, put into Hugging Face's own classifier on the same body, give the margin of `judge`."""
    head = train_head(dataclasses.replace(made_features(), norm=Norm.of(base)), examples=30, layer=3)
    model = randomise(GPT2ForSequenceClassification(tiny_config(2))).eval()
    model.transformer.load_state_dict(base.body.state_dict())
    with torch.no_grad():
        model.score.weight.copy_(head.weights)
        logits = model(input_ids=base.encode(TEXT).input_ids[None]).logits[0]
    assert judge(head, read_states(base, TEXT)) == pytest.approx(float(logits[1] - logits[0]), abs=1e-5)  # float32


def test_the_bundled_features_teach_a_head_in_a_moment() -> None:
    features = load_features()
    start = time.process_time()
    head = train_head(features, examples=1000, layer=features.layers[-1])
    assert time.process_time() - start < 1.5  # of the processor, which other work hardly changes; the page's limit
    assert head.seconds > 0
    assert head.low > head.majority == 0.5  # far more than nothing
    alike = head_weights(features.vectors(features.layers[-1], "last")[0], features.labels)
    torch.testing.assert_close(head.weights, alike, atol=1e-6, rtol=1e-4)  # the rows in another order


# --- failures ---


@pytest.mark.parametrize("examples", [7, 0, -8, 41, 8.0, True, "8"])
def test_numbers_of_examples_that_cannot_be_drawn(features: FrozenFeatures, examples: object) -> None:
    with pytest.raises(OptionError) as raised:
        train_head(features, examples=examples, layer=1)
    assert str(raised.value) == f"examples must be a whole number from 8 to 40, not {examples!r}."


def test_layers_places_and_penalties_that_there_are_not(features: FrozenFeatures) -> None:
    with pytest.raises(OptionError, match=r"^There is no layer 9; the layers are 0 to 3\.$"):
        train_head(features, examples=8, layer=9)
    with pytest.raises(OptionError, match=r"^There is no place 'top'; the places are first, middle, last, mean\.$"):
        train_head(features, examples=8, layer=1, place="top")
    with pytest.raises(OptionError, match="must be above 0, not 0"):
        train_head(features, examples=8, layer=1, c=0)


@pytest.mark.parametrize(("layers", "size"), [(3, 10), (4, 12)])
def test_states_of_a_model_of_another_size(base: LanguageModel, layers: int, size: int) -> None:
    head = train_head(made_features(layers=layers, size=size), examples=8, layer=1)
    with pytest.raises(OptionError) as raised:
        judge(head, read_states(base, TEXT))
    assert str(raised.value) == (
        f"The head was trained on states of {layers} layers of {size} numbers; these have 4 layers of 10. "
        "Read the text with the base of its features."
    )
