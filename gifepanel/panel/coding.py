"""What absorbed effects span, as far as the coding of categories has to know it.

An interaction such as ``C(year):treat`` has one column per year, or one less where the sum of its columns, `treat`, is
in the model anyway. Whether it is can be in the formula or in the effects: with a `treat` that never changes within a
firm, effects of the firm span it. Nothing here knows formulaic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["AbsorbedBlock", "absorbs"]

FloatArray = npt.NDArray[np.float64]
AnyArray = npt.NDArray[np.generic]
_RELATIVE = 1e-12


class AbsorbedBlock(NamedTuple):
    """Dummies of the levels of an absorbed effect, or slopes by level.

    Attributes
    ----------
    codes : (n,) integers
    n_levels : int
    values : (n,) float64 or None
        What the dummies are multiplied by.
    """

    codes: npt.NDArray[np.int32]
    n_levels: int
    values: FloatArray | None = None


def absorbs(blocks: Sequence[AbsorbedBlock], labels: AnyArray | None, numbers: Sequence[FloatArray]) -> bool:
    """Whether single effects span each product of a category's dummies and numbers.

    Parameters
    ----------
    blocks : sequence of AbsorbedBlock
    labels : (n,) array or None
        Categories; None without.
    numbers : sequence of (n,) float64
        What the dummies of the categories are multiplied by, one after the other.

    Returns
    -------
    bool
        False also where only a sum of several effects spans them.
    """
    return all(any(_spans(block, labels, values) for block in blocks) for values in numbers)


def _spans(block: AbsorbedBlock, labels: AnyArray | None, values: FloatArray) -> bool:
    """Within each level `values` has to be constant, or proportional to the slope variable, in one category."""
    reference = _reference_rows(block)[block.codes]
    if block.values is None:
        same = values == values[reference]
    else:
        left, right = values * block.values[reference], values[reference] * block.values
        same = np.abs(left - right) <= _RELATIVE * np.maximum(np.abs(left), np.abs(right))
    if labels is not None:
        same &= (labels == labels[reference]) | (values == 0)
    return bool(same.all())


def _reference_rows(block: AbsorbedBlock) -> npt.NDArray[np.int64]:
    """One row of each level: the first, or the one in which the slope variable is largest."""
    rows = np.arange(block.codes.size, dtype=np.int64)
    if block.values is not None:
        rows = np.argsort(np.abs(block.values), kind="stable")[::-1]
    out = np.zeros(block.n_levels, dtype=np.int64)
    out[block.codes[rows[::-1]]] = rows[::-1]
    return out
