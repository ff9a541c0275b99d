"""Nearly collinear regressors in a form in which descents lose no digits.

The metric of the descents is a matrix of cross products, whose condition is the square of that of the regressors: a
year and its square would be told from each other by rounding. Where they are that close, the descent takes orthonormal
combinations of them, X B, and slopes are B times those it finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from gifepanel.kernels.passes import cross_moments
from gifepanel.solvers.arrays import Array, PanelArrays
from gifepanel.solvers.shared_panel import here

__all__ = ["Combinations", "combinations"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_CLOSE = 1e-6
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Combinations:
    """Regressors that were replaced by orthonormal combinations.

    Attributes
    ----------
    data : PanelArrays
        With the combinations in place of the regressors.
    triangle : ndarray, shape (p, p)
        R of X = (X B) R, hence B = R^-1; upper triangular up to an order of the columns.
    """

    data: PanelArrays
    triangle: Array

    def forth(self, theta: Array, slots: IntArray) -> Array:
        """Slopes of the combinations, from those of the regressors; `slots` (K, p) are their positions."""
        out = np.array(theta, dtype=np.float64)
        for slot in slots:
            out[slot] = self.triangle @ theta[slot]
        return out

    def back(self, theta: Array, slots: IntArray) -> Array:
        """Slopes of the regressors."""
        out = np.array(theta, dtype=np.float64)
        for slot in slots:
            out[slot] = np.linalg.solve(self.triangle, theta[slot])
        return out


def combinations(data: PanelArrays, blocks: Sequence[Sequence[int]]) -> Combinations | None:
    """Orthonormal combinations within blocks of regressors, where a block is nearly collinear; else None.

    Parameters
    ----------
    data : PanelArrays
    blocks : sequence of sequences of int
        Columns that may be combined: those with slopes of groups, and those with common slopes.
    """
    gram = data.xx.sum(axis=0)
    if not any(_close(gram[np.ix_(block, block)]) for block in map(list, blocks) if len(block) > 1):
        return None
    data = here(data)
    n, p, t = data.xt.shape
    columns = data.xt - data.xt.mean(axis=0) if data.time_effects else data.xt
    flat = columns.transpose(0, 2, 1).reshape(n * t, p)
    triangle, inverse = np.zeros((p, p)), np.zeros((p, p))
    for block in map(list, blocks):
        factor = np.linalg.qr(flat[:, block], mode="r")
        size = np.abs(np.diag(factor))
        if size.size == 0:
            continue
        if (size <= _ROUNDING * np.linalg.norm(factor, axis=0)).any():
            return None
        at = np.ix_(block, block)
        triangle[at] = factor
        inverse[at] = solve_triangular(factor, np.eye(len(block)))
    xt = np.ascontiguousarray(np.einsum("npt,pq->nqt", data.xt, inverse))
    xx, xy, yy = cross_moments(data.y, xt)
    return Combinations(replace(data, xt=xt, xx=xx, xy=xy, yy=yy), triangle)


def _close(gram: Array) -> bool:
    """Whether the columns of a Gram matrix are nearly collinear, each scaled to length one."""
    size = np.sqrt(np.diag(gram))
    if not (size > 0).all():
        return False
    return bool(np.linalg.eigvalsh(gram / size / size[:, None])[0] < _CLOSE)
