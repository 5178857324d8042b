"""Integrated gradients in the browser, on a model that can be worked out by hand."""

from __future__ import annotations

import pytest
from live.conftest import Run

from gpt2cls_core.quadrature import spread_clenshaw_curtis

RULES = [
    dict(zip(("points", "weights"), (part.tolist() for part in spread_clenshaw_curtis(n)), strict=True))
    for n in (12, 24)
]
ROWS = [[0.5, 0.0], [1.0, 2.0], [-1.0, 0.5]]  # of the tokens 0, which ends a text, 1 and 2


@pytest.fixture(scope="module")
def made(run: Run) -> dict:
    options = [{"baseline": name} for name in ("zero", "eos", "mean")] + [{"baseline": "zero", "tolerance": 1e-12}]
    return run("integrals.mjs", {"quadrature": RULES, "rows": ROWS, "ids": [1, 2], "options": options})


@pytest.mark.parametrize(
    ("which", "scores"),
    [
        (0, [1 + 8, -1 + 0.125]),  # from nothing, x³ is shared out to each x in full
        (1, [1 - 0.125 + 8, -1 - 0.125 + 0.125]),  # from 0.5 and 0: x³ − b³
        (2, [1 - 0.125 + 8 - 0.25**3, -1 - 0.125 + 0.125 - 0.25**3]),
    ],
)
def test_cubes_are_shared_out_by_hand(made: dict, which: int, scores: list[float]) -> None:
    """1e-3: what 13 points leave of a curve of the third degree, of a total of about 8."""
    result = made["found"][which]
    assert result["scores"].tolist() == pytest.approx(scores, abs=1e-3)
    assert result["margin_input"] - result["margin_baseline"] == pytest.approx(sum(scores), abs=1e-6)
    assert result["delta"] == pytest.approx(float(result["scores"].sum()) - sum(scores), abs=1e-5)  # float32 scores
    assert result["n_steps"] == 13


def test_a_finer_tolerance_takes_more_points_and_keeps_the_old(made: dict) -> None:
    """Of 25 points 13 are known already; a count is told for each, and the rules end there."""
    assert made["found"][3]["n_steps"] == 25
    assert abs(made["found"][3]["delta"]) < abs(made["found"][0]["delta"])
    assert [13, 13] in made["seen"]
    assert [25, 25] in made["seen"]
