from __future__ import annotations

import pytest

from gpt2cls_core.intervals import wilson


def test_wilson_by_hand() -> None:
    # 8 of 10: centre (0.8 + 3.8415/20) / 1.38415 = 0.71674, half width 0.22659
    assert wilson(8, 10) == pytest.approx((0.49015, 0.94333), abs=1e-4)
    low, high = wilson(10, 10)
    assert high == pytest.approx(1) and low == pytest.approx(10 / 13.8415, abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0, 3.8415 / 13.8415), abs=1e-4)


def test_the_same_share_of_more_is_known_better_and_turned_round_it_is_mirrored() -> None:
    for right, n in ((1, 4), (8, 10), (250, 500)):
        low, high = wilson(right, n)
        closer = wilson(100 * right, 100 * n)
        assert 0 < low < closer[0] < right / n < closer[1] < high < 1
        assert wilson(n - right, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)  # float64


def test_against_the_equation_that_it_solves() -> None:
    """Both ends lie z standard errors from the share, by the standard error that they themselves would have."""
    for right, n in ((3, 7), (650, 872)):
        for end in wilson(right, n):
            assert abs(right / n - end) == pytest.approx(1.959964 * (end * (1 - end) / n) ** 0.5, rel=1e-9)  # float64
