"""A factor of sparse matrices that are nearly chains: of graphs of effects that are paths and rings.

Put in the order of Cuthill and McKee (1969, *Proceedings of the 24th ACM National Conference*, 157-172), entries of
such a matrix lie close to its diagonal, and the factor of Cholesky has the same band.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.sparse.csgraph import reverse_cuthill_mckee

__all__ = ["banded_factor"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_BAND, _MANY = 8, 10_000  # diagonals below the first; unknowns from which LAPACK's calls by row take most of its time


def banded_factor(matrix: Any) -> Callable[[Array], Array] | None:
    """The inverse of a positive definite sparse matrix (M, M), as a function of right-hand sides (M, m).

    None where no order is found that puts all entries near the diagonal, or where rounding leaves no factor.
    """
    size = matrix.shape[0]
    order = reverse_cuthill_mckee(matrix, symmetric_mode=True)
    place = np.empty(size, dtype=np.int32)
    place[order] = np.arange(size, dtype=np.int32)
    column = np.repeat(place, np.diff(matrix.indptr))
    below = place[matrix.indices] - column
    width = int(below.max(initial=0))
    if width > _BAND:
        return None
    lower = below >= 0
    band = np.zeros((width + 1, size))
    band[below[lower], column[lower]] = matrix.data[lower]
    try:
        factor = cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None

    factor = np.ascontiguousarray(factor)

    def solve(right: Array) -> Array:
        columns, out = right[order], np.empty_like(right)
        if size > _MANY:
            import_module("gifepanel.kernels.banded").solve_banded(factor, columns)
        else:
            columns = cho_solve_banded((factor, True), columns, overwrite_b=True, check_finite=False)
        out[order] = columns
        return out

    return solve
