"""The head's logistic regression on paper, by its own condition for a minimum, and by scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from gpt2cls_core import OptionError
from gpt2cls_core.logistic import HEAD_C, head_weights
from gpt2cls_core.training.options import FinetuneOptions


def made_up(rows: int, size: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors whose coordinates differ in size by a thousand and lie off zero, and labels that follow the first one."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(rows, size, generator=generator) * torch.logspace(-1, 2, size)
    labels = (vectors[:, 0] / 0.1 + torch.randn(rows, generator=generator) > 0).long()
    return vectors + torch.randn(size, generator=generator) * 5, labels


# --- by hand ---


def test_weights_by_hand() -> None:
    """One coordinate, +2 for class 1 and -2 for class 0: scaled to ±1, the slope solves w = C n σ(-w)."""
    weights = head_weights(torch.tensor([[2.0], [2], [-2], [-2]]), torch.tensor([1, 1, 0, 0]), c=0.5)
    slope = 2 * float(weights[1, 0] - weights[0, 0])  # of the scaled coordinate
    assert slope == pytest.approx(0.5 * 4 / (1 + math.exp(slope)), rel=1e-6)  # weights are float32
    assert weights[0].tolist() == (-weights[1]).tolist()


def test_a_coordinate_that_never_changes_is_a_bias() -> None:
    """Three rows of class 1 and one of class 0, all alike: the slope b on the constant solves b = C (3 σ(-b) - σ(b))."""
    weights = head_weights(torch.ones(4, 1), torch.tensor([1, 1, 1, 0]), c=2.0)
    b = float(weights[1, 0] - weights[0, 0])
    assert b == pytest.approx(2 * (3 / (1 + math.exp(b)) - 1 / (1 + math.exp(-b))), rel=1e-5)  # weights are float32
    assert b > 0


# --- identities ---


@pytest.mark.parametrize("c", [1e-3, 0.1, 10.0, 1e4])
@pytest.mark.parametrize(("rows", "size"), [(40, 4), (9, 23)])
def test_the_slope_of_what_is_minimised_is_zero(rows: int, size: int, c: float) -> None:
    vectors, labels = made_up(rows, size, seed=rows)
    weights = head_weights(vectors, labels, c=c).double()
    scale, signs = vectors.double().std(0, correction=0), 2 * labels - 1
    w, x = (weights[1] - weights[0]) * scale, vectors.double() / scale
    wrong = torch.sigmoid(-signs * (x @ w))
    slope = w - c * x.T @ (signs * wrong)
    curvature = torch.eye(size, dtype=torch.float64) + c * x.T @ torch.diag(wrong * (1 - wrong)) @ x
    away = torch.linalg.solve(curvature, slope)  # how far a slope of this size is from the minimum
    assert away.norm() < 1e-5 * w.norm()  # weights are float32


def test_a_row_that_counts_twice_is_two_rows() -> None:
    vectors, labels = made_up(9, 3, seed=0)
    # each row twice, so that the scale stays
    twice = head_weights(vectors.repeat(2, 1), labels.repeat(2), c=0.3)
    weighted = head_weights(vectors, labels, c=0.3, sample_weights=torch.full((9,), 2.0))
    torch.testing.assert_close(twice, weighted, atol=1e-6, rtol=1e-5)  # float32
    assert not torch.allclose(twice, head_weights(vectors, labels, c=0.3), rtol=0.01)


def test_classes_turned_round_turn_the_weights_round() -> None:
    vectors, labels = made_up(30, 5, seed=2)
    torch.testing.assert_close(
        head_weights(vectors, 1 - labels), -head_weights(vectors, labels), atol=1e-6, rtol=1e-5
    )  # float32


def test_units_do_not_matter_to_the_verdicts() -> None:
    vectors, labels = made_up(30, 5, seed=3)
    units = torch.tensor([1.0, 1000, 0.01, 7, 1])
    as_given, in_units = (v @ torch.diff(head_weights(v, labels), dim=0)[0] for v in (vectors, vectors * units))
    torch.testing.assert_close(
        as_given, in_units, atol=1e-4, rtol=1e-4
    )  # sums of float32 products of very unlike sizes


# --- by independent routes ---


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("c", [0.01, 0.1, 1.0, 100.0])
@pytest.mark.parametrize(("rows", "size"), [(60, 7), (12, 31), (300, 20)])
def test_scikit_learns_regression(rows: int, size: int, c: float, weighted: bool) -> None:
    vectors, labels = made_up(rows, size, seed=rows + size)
    counts = torch.rand(rows, generator=torch.Generator().manual_seed(1)) if weighted else torch.ones(rows)
    found = torch.diff(head_weights(vectors, labels, c=c, sample_weights=counts if weighted else None), dim=0)[0]
    x, scale = vectors.double().numpy(), vectors.double().numpy().std(0)
    regression = LogisticRegression(C=c, fit_intercept=False, solver="newton-cholesky", tol=1e-10)
    expected = regression.fit(x / scale, labels.numpy(), sample_weight=counts.double().numpy()).coef_[0]
    np.testing.assert_allclose(found.double().numpy() * scale, expected, rtol=1e-4, atol=1e-5)  # weights are float32


def test_gradient_descent() -> None:
    vectors, labels = made_up(40, 4, seed=1)
    found = torch.diff(head_weights(vectors, labels, c=0.7), dim=0)[0]
    scale = vectors.double().std(0, correction=0)
    scaled, truth = vectors.double() / scale, labels.double()
    slope = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    descent = torch.optim.LBFGS([slope], max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def loss() -> torch.Tensor:
        descent.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(scaled @ slope, truth, reduction="sum")
        value = 0.7 * value + 0.5 * slope @ slope
        value.backward()
        return value

    descent.step(loss)
    torch.testing.assert_close(found.double() * scale, slope.detach(), rtol=1e-4, atol=1e-5)  # where descent stops


def test_the_default_is_that_of_the_command() -> None:
    assert FinetuneOptions(base="b", data=("d",), output="o").head_c == HEAD_C
    vectors, labels = made_up(20, 3, seed=5)
    assert head_weights(vectors, labels).equal(head_weights(vectors, labels, c=0.1))


# --- failures ---


@pytest.mark.parametrize("c", [0, -1, math.nan])
def test_a_penalty_that_is_none(c: float) -> None:
    with pytest.raises(OptionError) as raised:
        head_weights(torch.eye(2), torch.tensor([0, 1]), c=c)
    assert str(raised.value) == f"C, the inverse of the penalty, must be above 0, not {c}."
