"""The one head that is best on vectors that do not change.

Where the body stays as it is, training a head is a logistic regression: a convex problem with one solution, which Newton's method
reaches in about ten steps. So there is no learning rate, no number of passes and no luck; what is left to choose is the penalty.

GPT-2's head has no bias, so none is fitted. Each coordinate is scaled to variance 1 for the fit (the body writes some of them a
hundred times larger than others, and the penalty is meant for all alike), and the scale is put into the weights afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import OptionError

__all__ = ["HEAD_C", "head_weights"]

HEAD_C = 0.1
"""The default of `head_weights`' C: what one example counts beside the penalty."""


def head_weights(vectors: Tensor, labels: Tensor, *, c: float = HEAD_C, sample_weights: Tensor | None = None) -> Tensor:
    """The weights of a head without bias: logistic regression with a penalty on the length.

    With x the vector divided by each coordinate's standard deviation, and y = ±1, it is the w that minimises

        ½ w·w + c Σ_i s_i log(1 + exp(−y_i w·x_i))

    Args:
        vectors: [row d_model]
        labels: 0 or 1 of each row [row].
        c: inverse of the penalty; what one row counts beside it.
        sample_weights: the s_i [row]; None counts every row once.

    Returns:
        float32 [2 d_model], for vectors as they are given. Only the difference of the two rows matters to the verdict; they are
        each other's opposite.

    Raises:
        OptionError: `c` is not above 0.
    """
    if not c > 0:
        raise OptionError(f"C, the inverse of the penalty, must be above 0, not {c}.")
    x = vectors.detach().double()
    scale = x.std(0, correction=0)
    scale[scale == 0] = 1
    strength = c * (torch.ones(len(x)) if sample_weights is None else sample_weights).double()
    difference = _newton(x / scale, 2 * labels.double() - 1, strength) / scale
    return torch.stack([-difference, difference]).float() / 2


def _newton(x: Tensor, signs: Tensor, strength: Tensor) -> Tensor:
    """The minimum of ½ w·w + Σ strength · log(1 + exp(−signs · x w)), by Newton's method with steps that never lead up.

    Gradients alone would take thousands of steps: what the coordinates have in common makes the problem ill-conditioned.
    """

    def loss(w: Tensor) -> Tensor:
        return w @ w / 2 + strength @ torch.nn.functional.softplus(-signs * (x @ w))

    w = torch.zeros(x.shape[1], dtype=torch.float64)
    decrement = torch.inf  # twice what the step is expected to gain
    while decrement > 1e-10:
        wrong = torch.sigmoid(-signs * (x @ w))  # the probability of the other class
        gradient = w - x.T @ (strength * signs * wrong)
        hessian = x.T @ (x * (strength * wrong * (1 - wrong))[:, None])
        hessian.diagonal().add_(1)
        step = torch.linalg.solve(hessian, gradient)
        decrement, length = float(gradient @ step), 1.0
        while loss(w - length * step) > loss(w) - 1e-4 * length * decrement:
            length /= 2
        w = w - length * step
    return w
