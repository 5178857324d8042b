"""One cell of the grid: a layer and a position, checked.

Everything here is drawn on one grid, tokens from left to right, layers from the embedding (0) up. As in Python, an
index may count from the end: layer −1, position −1 is the cell at the top right, the only vector that the head reads.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from torch import Tensor

from .errors import OptionError

if TYPE_CHECKING:
    from .base import States
    from .trace import Trace

__all__ = ["check_index", "vector_at"]


def check_index(what: str, index: int, size: int) -> int:
    """`index` counted from 0, if there is such a `what` ("layer", "token", …) among `size`.

    Raises:
        OptionError: there is none, or it is not a whole number.
    """
    try:
        index = int(operator.index(index))
    except TypeError:
        raise OptionError(f"A {what} is given by a whole number, not {index!r}.") from None
    if not -size <= index < size:
        raise OptionError(f"There is no {what} {index}; the {what}s are 0 to {size - 1}.")
    return index % size


def vector_at(read: Trace | States, layer: int, position: int) -> Tensor:
    """The residual stream in one cell [d_model], before ``ln_f``.

    Raises:
        OptionError: there is no such layer or token.
    """
    layer = check_index("layer", layer, len(read.resid))
    return read.resid[layer, check_index("token", position, len(read.tokens))]
