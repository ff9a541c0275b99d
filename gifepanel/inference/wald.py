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
from gifepanel.projections.triangle import Triangle

__all__ = ["Hypothesis", "Wald", "independent_rows", "wald"]

_SAME = 1e-9
_EPS = float(np.finfo(np.float64).eps)
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
    followers = _followers(matrix, values, lengths)
    redundant = tuple(i for i, agrees in followers.items() if agrees)
    contradictory = tuple(i for i, agrees in followers.items() if not agrees)
    kept = [i for i in range(len(matrix)) if i not in followers]
    reduced, right = _reduced(matrix[kept], values[kept], lengths)
    return Hypothesis(reduced, right, redundant, contradictory)


def _followers(matrix: FloatArray, values: FloatArray, lengths: FloatArray) -> dict[int, bool]:
    """Rows that follow from those before them, and whether their values do.

    Gaussian elimination that keeps count of the rounding in every entry, so that what is left of a row counts however
    small the unit of its coefficient.
    """
    work = np.column_stack([matrix, values])
    size = np.abs(values)  # of what was summed on the right
    scale = np.where(lengths > 0, lengths, 1.0)
    noise = _EPS * np.abs(work).max(axis=0) * np.ones_like(work)
    in_units = np.abs(matrix / scale).max(axis=1, keepdims=True)
    noise[:, :-1] = np.maximum(noise[:, :-1], _EPS * in_units * scale)
    done: list[tuple[int, int]] = []
    out: dict[int, bool] = {}
    for i, row in enumerate(work):
        for k, j in done:
            if row[j] != 0.0:
                factor = abs(row[j])
                noise[i] += factor * noise[k] + (noise[i, j] + _EPS * factor) * np.abs(work[k])
                size[i] += factor * size[k]
                row -= row[j] * work[k]
                row[j] = noise[i, j] = 0.0
        left = np.where(np.abs(row[:-1]) > 8.0 * noise[i, :-1], row[:-1], 0.0)
        if not left.any():
            out[i] = bool(abs(row[-1]) <= _SAME * size[i])
            continue
        row[:-1] = left
        j = int(np.argmax(np.abs(left / scale)))
        noise[i] /= abs(row[j])
        size[i] /= abs(row[j])
        row /= row[j]
        done.append((i, j))
    return out


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
