"""Columns of a design before they stand side by side: each is copied once, into the matrix that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["Constant", "Stacked", "is_column"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Constant:
    """A column of one number, which has no rows of its own."""

    value: float

    def __rmul__(self, scale: float) -> Constant:
        return Constant(scale * self.value)


@dataclass(frozen=True, eq=False)
class Stacked:
    """Columns beside each other.

    Attributes
    ----------
    columns : tuple of (n,) array or Constant
    n : int
    """

    columns: tuple[Any, ...]
    n: int

    def __post_init__(self) -> None:
        for column in self.columns:
            if not isinstance(column, Constant) and np.shape(column) != (self.n,):
                raise ValueError(f"a column has the shape {np.shape(column)}, the data {self.n} rows")

    def take(self, positions: Sequence[int]) -> FloatArray:
        """Some of the columns as a matrix (n, k) in C order."""
        from gifepanel.projections.row_blocks import taken

        own = [self.columns[j] for j in positions]
        return taken([one.value if isinstance(one, Constant) else np.asarray(one) for one in own], self.n)


def is_column(values: Any) -> bool:
    """Whether values can stand in a matrix as they are: nobody writes into them, so that a copy is not needed."""
    bare = getattr(values, "__wrapped__", values)
    return isinstance(bare, (np.ndarray, pd.Series)) and bare.dtype == np.float64 and bare.ndim == 1
