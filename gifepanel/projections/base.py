"""What every projection offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = ["Certificate", "DegreesAbsorbed", "Projection", "column_norms"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_FEW = 4


@dataclass(frozen=True)
class Certificate:
    """How well the nuisance part was taken out.

    Attributes
    ----------
    method : str
    iterations : int
        Of the iterative part; 0 for direct methods.
    residual : float
        Largest norm of what is left of any column in the span of any one nuisance block, relative to the column.
    converged : bool
    """

    method: str
    iterations: int
    residual: float
    converged: bool


@dataclass(frozen=True)
class DegreesAbsorbed:
    """Dimensions of the nuisance span.

    Attributes
    ----------
    total : int
        Rank (an upper bound where not `exact`).
    exact : bool
    by_block : tuple of int
        New dimensions brought by each block, in order; they sum to `total`.
    """

    total: int
    exact: bool
    by_block: tuple[int, ...]


def column_norms(columns: Array) -> Array:
    """Euclidean norms of columns (n, m)."""
    if columns.shape[1] > _FEW:
        return np.sqrt(np.einsum("nm,nm->m", columns, columns))
    return np.sqrt([np.einsum("n,n->", column, column) for column in columns.T])


class Projection(Protocol):
    """Takes a nuisance part out of columns."""

    @property
    def degrees(self) -> DegreesAbsorbed:
        """Dimensions taken out."""

    def residualize(self, columns: Array) -> tuple[Array, Certificate]:
        """Residuals of columns (n, m) on the nuisance part: (n, m), and how well it went."""
