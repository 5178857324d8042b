"""Rules for integrals over [0, 1]: exact where they claim to be, nested, and fast on smooth integrands."""

from __future__ import annotations

import math

import pytest
import torch

from gpt2cls_core.quadrature import RHO, gauss_legendre, spread_clenshaw_curtis

RULES = [*((gauss_legendre, n) for n in (1, 2, 7)), *((spread_clenshaw_curtis, n) for n in (2, 12, 384))]


def test_gauss_legendre_of_two_points_worked_out_by_hand() -> None:
    points, weights = gauss_legendre(2)
    assert points.tolist() == pytest.approx([0.5 - math.sqrt(3) / 6, 0.5 + math.sqrt(3) / 6])
    assert weights.tolist() == pytest.approx([0.5, 0.5])


def test_two_intervals_worked_out_by_hand() -> None:
    points, weights = spread_clenshaw_curtis(2)
    # Simpson's 1/6, 4/6, 1/6 times the slope of the map: ρ / arcsin ρ in the middle, and 1 / √(1 − ρ²) times that at the ends
    middle = RHO / math.asin(RHO)
    end = middle / math.sqrt(1 - RHO**2)
    assert points.tolist() == pytest.approx([0, 0.5, 1])
    assert weights.tolist() == pytest.approx([end / 6, 4 * middle / 6, end / 6])


@pytest.mark.parametrize("n", [1, 2, 5])
def test_gauss_legendre_is_exact_for_polynomials_up_to_its_degree(n: int) -> None:
    points, weights = gauss_legendre(n)
    for power in range(2 * n):
        assert float(weights @ points**power) == pytest.approx(1 / (power + 1), abs=1e-14)  # float64
    assert float(weights @ points ** (2 * n)) != pytest.approx(1 / (2 * n + 1), abs=1e-9), "and for no higher one"


@pytest.mark.parametrize(("rule", "n"), RULES)
def test_points_ascend_within_the_interval_and_lie_symmetrically(rule, n: int) -> None:
    points, weights = rule(n)
    assert (points.diff() > 0).all()
    assert float(points[0]) >= -1e-15  # float64 rounding of the map
    assert float(points[-1]) <= 1 + 1e-15
    assert (weights > 0).all()
    torch.testing.assert_close(points.flip(0), 1 - points, atol=1e-14, rtol=0)
    torch.testing.assert_close(weights.flip(0), weights, atol=1e-14, rtol=0)


@pytest.mark.parametrize("n", [2, 12, 48])
def test_doubled_intervals_keep_every_point(n: int) -> None:
    torch.testing.assert_close(spread_clenshaw_curtis(2 * n)[0][::2], spread_clenshaw_curtis(n)[0], atol=1e-15, rtol=0)


def test_a_smooth_integral_has_four_digits_after_thirteen_points() -> None:
    points, weights = spread_clenshaw_curtis(12)
    assert float(weights @ points.exp()) == pytest.approx(math.e - 1, abs=5e-5)  # an equidistant rule errs by 1e-3


@pytest.mark.parametrize("centre", [0.5, 0.43])
def test_a_swing_far_from_both_ends_is_caught_better_than_by_gauss_legendre(centre: float) -> None:
    """1 / (1 + ((x − c) / 0.05)²), as narrow as the swings of a real text's margin."""
    exact = 0.05 * (math.atan((1 - centre) / 0.05) + math.atan(centre / 0.05))
    errors = [
        abs(float(weights @ (1 / (1 + ((points - centre) / 0.05) ** 2))) - exact)
        for points, weights in (spread_clenshaw_curtis(24), gauss_legendre(25))
    ]
    assert errors[0] < errors[1] / 2
    assert errors[0] < 0.01 * exact
