"""How many factors, how many groups: information criteria and eigenvalue rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.solvers.arrays import Array, PanelArrays, residuals
from gifepanel.solvers.heterogeneous import heterogeneous_slopes

__all__ = [
    "FactorCriteria",
    "criteria_at",
    "edge_distribution",
    "eigenvalue_ratios",
    "factor_criteria",
    "group_criterion",
    "heterogeneous_ssr",
    "smallest_group",
]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_TOL = 1e-7
_ROUNDS = 500


@dataclass(frozen=True)
class FactorCriteria:
    """Criteria over numbers of factors.

    Attributes
    ----------
    n_factors : ndarray of int64, shape (m,)
        Candidates R.
    v : ndarray, shape (m,)
        V(R): mean squared residual with unit slopes re-estimated at every R.
    ic1, ic2 : ndarray, shape (m,)
        ln V(R) + R g(N, T), to be minimised (Bai & Ng 2002, eq. 9).
    eigenvalues : ndarray
        Of the second moments of the residuals at the largest candidate, decreasing.
    by_ic1, by_ic2, by_er, by_gr, by_ed : int
        The choices.
    """

    n_factors: IntArray
    v: Array
    ic1: Array
    ic2: Array
    eigenvalues: Array
    by_ic1: int
    by_ic2: int
    by_er: int
    by_gr: int
    by_ed: int


def heterogeneous_ssr(data: PanelArrays, n_factors: int) -> tuple[float, Array]:
    """Sum of squares and unit slopes (N, p) of the penalty-free problem, run to convergence."""
    fit = heterogeneous_slopes(data, n_factors, tol=_TOL, max_iter=_ROUNDS)
    return fit.ssr, fit.beta


def factor_criteria(data: PanelArrays, candidates: Sequence[int], ssr: Sequence[float], beta: Array) -> FactorCriteria:
    """Criteria from the sums of squares of all candidates.

    Parameters
    ----------
    data : PanelArrays
    candidates : sequence of int
        Increasing numbers of factors R.
    ssr : sequence of float
        Of :func:`heterogeneous_ssr`, one for each candidate.
    beta : ndarray, shape (N, p)
        Unit slopes at the largest candidate.

    Notes
    -----
    With m = NT/(N+T), g is ln(m)/m for IC1 and ln(min(N, T))/m for IC2. The penalties are on ln V, so they do not
    depend on the scale of the data. Additive effects take one off the dimension that they demean.
    """
    n, t, _ = data.shape
    rows, cols = n - data.time_effects, t - data.entity_effects
    resid = residuals(data, beta)
    if data.time_effects:
        resid -= resid.mean(axis=0)
    v = np.asarray(ssr, dtype=float) / (n * t)
    return criteria_at(candidates, v, rows * cols / (rows + cols), min(rows, cols), resid)


def criteria_at(candidates: Sequence[int], v: Array, m: float, smaller: int, resid: Array) -> FactorCriteria:
    """Criteria from mean squared residuals.

    Parameters
    ----------
    candidates : sequence of int
    v : ndarray, shape (m,)
    m : float
        Observations over the sum of the dimensions.
    smaller : int
        Of the dimensions.
    resid : ndarray, shape (N, T)
        At the largest candidate, its factors in them.
    """
    numbers = np.asarray(candidates, dtype=np.int64)
    ic1 = np.log(v) + numbers * np.log(m) / m
    ic2 = np.log(v) + numbers * np.log(smaller) / m
    eigenvalues = np.linalg.svd(resid, compute_uv=False)[:smaller] ** 2 / resid.size
    largest = int(numbers[-1])
    er, gr = eigenvalue_ratios(eigenvalues, largest)
    return FactorCriteria(
        numbers,
        v,
        ic1,
        ic2,
        eigenvalues,
        int(numbers[ic1.argmin()]),
        int(numbers[ic2.argmin()]),
        er,
        gr,
        edge_distribution(eigenvalues, largest),
    )


def eigenvalue_ratios(eigenvalues: Array, largest: int) -> tuple[int, int]:
    """ER and GR of Ahn & Horenstein (2013, eqs. 2-3), zero factors allowed through their mock eigenvalue.

    Parameters
    ----------
    eigenvalues : ndarray
        mu_1 >= mu_2 >= ..., all of them.
    largest : int
        Largest number considered.
    """
    size = len(eigenvalues)
    largest = min(largest, size - 2)
    if largest < 0:
        return 0, 0
    total = float(eigenvalues.sum())
    mu = np.concatenate([[total / np.log(size)], eigenvalues])
    left = total - np.cumsum(np.concatenate([[0.0], eigenvalues]))
    tail = np.concatenate([[total + mu[0]], left])
    floor = np.finfo(float).tiny
    er = mu[: largest + 1] / np.maximum(mu[1 : largest + 2], floor)
    growth = np.log(np.maximum(tail[:-1], floor) / np.maximum(tail[1:], floor))
    gr = growth[: largest + 1] / np.maximum(growth[1 : largest + 2], floor)
    return int(er.argmax()), int(gr.argmax())


def edge_distribution(eigenvalues: Array, largest: int, *, max_iter: int = 10) -> int:
    """ED of Onatski (2010, Section 4): the last eigenvalue gap above a threshold fitted to the edge of the bulk.

    Parameters
    ----------
    eigenvalues : ndarray
        Decreasing.
    largest : int
        Largest number considered; five more eigenvalues are needed.
    """
    largest = min(largest, len(eigenvalues) - 6)
    if largest < 0:
        return 0
    chosen, position = -1, largest + 1
    for _ in range(max_iter):
        edge = np.arange(position - 1, position + 4, dtype=float) ** (2.0 / 3.0)
        y = eigenvalues[position - 1 : position + 4]
        slope = np.polyfit(edge, y, 1)[0]
        gaps = -np.diff(eigenvalues[: largest + 1])
        above = np.flatnonzero(gaps >= 2.0 * abs(slope))
        new = int(above[-1]) + 1 if above.size else 0
        if new == chosen:
            break
        chosen, position = new, new + 1
    return chosen


def group_criterion(ssr: float, n: int, t: int, n_slopes: int, n_groups: int, design_effect: float = 1.0) -> float:
    """ln sigma^2 + (2/3) (NT)^(-1/2) p K phi after classification (Su, Shi & Phillips 2016, eq. 2.10; Su & Ju 2018).

    Parameters
    ----------
    ssr : float
        After classification and joint least squares with K groups.
    n, t : int
    n_slopes : int
        Slopes that differ across groups, p.
    n_groups : int
        K.
    design_effect : float
        phi; 1 for independent errors. What splitting a group gains grows with the variance of the slopes of entities,
        and so must what it costs.
    """
    return float(np.log(ssr / (n * t)) + 2.0 / 3.0 * (n * t) ** -0.5 * n_slopes * n_groups * design_effect)


def smallest_group(share: float, n_entities: int) -> int:
    """Entities that a group should have: the share of all, and two at least; one where the share is zero."""
    return max(2, math.ceil(share * n_entities - 1e-9)) if share > 0 else 1
