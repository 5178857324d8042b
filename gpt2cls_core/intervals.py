"""How sure is a counted share?"""

from __future__ import annotations

import math

__all__ = ["wilson"]


def wilson(right: int, n: int, *, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share, `right` of `n` (Wilson 1927); it stays within 0 and 1 and is honest at both ends.

    centre = (p + z²/2n) / (1 + z²/n), half width = z · sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n)
    """
    p, scale = right / n, 1 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)
