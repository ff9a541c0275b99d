"""Factors of sparse matrices whose entries lie near the diagonal once rows are put in order.

Such are the matrices of graphs of effects in which levels meet their neighbours: paths and rings, and firms between
which workers move within a region. In the order of Cuthill and McKee (1969, *Proceedings of the 24th ACM National
Conference*, 157-172) the factor of Cholesky has the band of the matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.sparse.csgraph import reverse_cuthill_mckee

from gifepanel.parallel import one_thread

__all__ = ["Band"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_NARROW, _MANY = 8, 10_000  # diagonals and rows of which LAPACK's calls by row take most of its time


@dataclass(frozen=True, eq=False)
class Band:
    """An order of the rows of a symmetric sparse matrix.

    Attributes
    ----------
    order : ndarray of int32, shape (M,)
    width : int
        Diagonals below the first that hold entries then.
    """

    order: Any
    width: int

    @classmethod
    def of(cls, matrix: Any) -> Band:
        """By Cuthill and McKee."""
        order = reverse_cuthill_mckee(matrix, symmetric_mode=True)
        rows, columns = cls(order, 0)._places(matrix)
        return cls(order, int((rows - columns).max(initial=0)))

    def _places(self, matrix: Any) -> tuple[Any, Any]:
        """Rows and columns of the entries, in order."""
        place = np.empty_like(self.order)
        place[self.order] = np.arange(len(place), dtype=place.dtype)
        return place[matrix.indices], np.repeat(place, np.diff(matrix.indptr))

    def factor(self, matrix: Any) -> Callable[[Array], Array] | None:
        """The inverse of a matrix (M, M), a function of columns (M, m); None where it is not positive definite."""
        rows, columns = self._places(matrix)
        lower = rows >= columns
        band = np.zeros((self.width + 1, len(self.order)), order="F")
        band[(rows - columns)[lower], columns[lower]] = matrix.data[lower]
        try:
            with one_thread():  # blocks are small
                factor = cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        by_rows = len(self.order) > _MANY and self.width <= _NARROW
        if by_rows:
            factor = np.ascontiguousarray(factor)

        def solve(right: Array) -> Array:
            columns, out = right[self.order], np.empty_like(right)
            if by_rows:
                import_module("gifepanel.kernels.banded").solve_banded(factor, columns)
            else:
                columns = cho_solve_banded((factor, True), columns, overwrite_b=True, check_finite=False)
            out[self.order] = columns
            return out

        return solve
