"""Wald statistics of linear hypotheses, in coordinates in which neither units nor collinearity matter.

With x = q R and K = R^-1, slopes have the covariance V = K M K', M the meat in the orthonormal basis q. A hypothesis
R b = r has the rows L = R K there. Of L' = Q T, T triangular, the statistic is w'(Q'MQ)^-1 w with w = T'^-1 (R b - r),
and the eigenvalues of Q'MQ say whether a test exists: they are the same however the hypothesis is written, and whatever
the regressors are measured in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from gifepanel.inference.space import FloatArray
from gifepanel.projections.triangle import Triangle, spanned_by

__all__ = ["Hypothesis", "Wald", "independent_rows", "wald"]

_SAME = 1e-9
_SINGULAR = 1e-11  # of the largest eigenvalue of M


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """Linearly independent restrictions R b = r.

    Attributes
    ----------
    matrix : ndarray, shape (s, k)
    values : ndarray, shape (s,)
    redundant : tuple of int
        Rows that follow from others, left out.
    contradictory : tuple of int
        Rows that others exclude.
    """

    matrix: FloatArray
    values: FloatArray
    redundant: tuple[int, ...]
    contradictory: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Wald:
    """A Wald statistic.

    Attributes
    ----------
    statistic : float
        Chi-squared with as many degrees of freedom as there are restrictions; NaN where it does not exist.
    rank : int
        Restrictions that the covariance allows to be tested at once.
    indefinite : bool
        Some combination of the restrictions has a negative variance.
    """

    statistic: float
    rank: int
    indefinite: bool


def independent_rows(matrix: FloatArray, values: FloatArray, lengths: FloatArray) -> Hypothesis:
    """Restrictions that do not follow from those before them.

    Parameters
    ----------
    matrix : ndarray, shape (r, k)
    values : ndarray, shape (r,)
    lengths : ndarray, shape (k,)
        Of the regressors: the units of the coefficients are one over them.
    """
    rows = matrix / np.where(lengths > 0, lengths, 1.0)
    size = np.linalg.norm(rows, axis=1)
    unit = np.where(size > 0, size, 1.0)
    spanned = spanned_by((rows / unit[:, None]).T, 1e-10)
    kept = [i for i in range(len(rows)) if i not in spanned]
    own = values / unit
    redundant: list[int] = []
    contradictory: list[int] = []
    for i in spanned:
        weights = np.linalg.lstsq((rows / unit[:, None])[kept].T, rows[i] / unit[i], rcond=None)[0]
        gap = abs(own[i] - weights @ own[kept])
        (redundant if gap <= _SAME * (abs(own[i]) + np.abs(weights) @ np.abs(own[kept])) else contradictory).append(i)
    reduced, right = _reduced(matrix[kept], values[kept], lengths)
    return Hypothesis(reduced, right, tuple(redundant), tuple(contradictory))


def _reduced(matrix: FloatArray, values: FloatArray, lengths: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Reduced row echelon form: of ``x - z = 0, z = 0`` the rows x = 0, z = 0, whose gaps lose no digits.

    Scaled by powers of two, pivots are chosen in units in which all regressors have length one.
    """
    units = 2.0 ** np.round(np.log2(np.where(lengths > 0, lengths, 1.0)))
    work = np.column_stack([matrix / units, values])
    work /= 2.0 ** np.round(np.log2(np.abs(work[:, :-1]).max(axis=1, keepdims=True)))
    free = list(range(len(work)))
    while free:
        i, j = np.unravel_index(np.argmax(np.abs(work[free, :-1])), (len(free), matrix.shape[1]))
        row = free.pop(int(i))
        work[row] /= work[row, j]
        for other in range(len(work)):
            if other != row:
                work[other] -= work[other, j] * work[row]
                work[other, j] = 0.0
    return work[:, :-1] * units, work[:, -1]


def wald(hypothesis: Hypothesis, params: FloatArray, triangle: Triangle, core: FloatArray) -> Wald:
    """The statistic of independent restrictions.

    Parameters
    ----------
    hypothesis : Hypothesis
    params : ndarray, shape (k,)
    triangle : Triangle
        Of the regressors.
    core : ndarray, shape (k, k)
        M.
    """
    left = triangle.coordinates(hypothesis.matrix)
    size = np.linalg.norm(left, axis=1)
    gap = (hypothesis.matrix @ params - hypothesis.values) / size
    q, upper = np.linalg.qr((left / size[:, None]).T)
    middle = q.T @ core @ q
    values, vectors = np.linalg.eigh((middle + middle.T) / 2)
    every = np.linalg.eigvalsh((core + core.T) / 2)
    floor = _SINGULAR * float(np.abs(every).max(initial=0.0))
    if not values[0] > floor:
        return Wald(np.nan, int((every > floor).sum()), bool(values[0] < -floor))
    turned = vectors.T @ solve_triangular(upper, gap, trans=1)
    return Wald(float((turned**2 / values).sum()), int((every > floor).sum()), False)
