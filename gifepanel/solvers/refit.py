"""Least squares and groups found again from a solution: of a sample of the entities, or of other outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.kernels.cells import off_units
from gifepanel.solvers.arrays import Array
from gifepanel.solvers.cell_descent import CellFit, descend_cells
from gifepanel.solvers.cells import Cells
from gifepanel.solvers.interactive import SlopeMap

__all__ = ["Refit", "Solution", "group_losses", "refit"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_LOOSE, _TOL, _MAX_ITER, _ROUNDS = 1e-5, 1e-7, 50, 30


@dataclass(frozen=True, eq=False)
class Solution:
    """The fit to all entities.

    Attributes
    ----------
    slopes : SlopeMap
    theta : ndarray, shape (q,)
    factors : ndarray, shape (R, T)
    effects : ndarray, shape (m, T)
    """

    slopes: SlopeMap
    theta: Array
    factors: Array
    effects: Array


@dataclass(frozen=True, eq=False)
class Refit:
    """Where a refit ended.

    Attributes
    ----------
    fit : CellFit
    groups : ndarray of int64, shape (N,)
        Those of `fit`.
    lost : bool
        Whether a group would have lost its last entity; `groups` are those before.
    converged : bool
        Of least squares and of groups.
    """

    fit: CellFit
    groups: IntArray
    lost: bool
    converged: bool


def refit(cells: Cells, solution: Solution, groups: IntArray) -> Refit:
    """Least squares and groups by turns, from the solution of all entities, until no entity moves.

    Parameters
    ----------
    cells : Cells
    solution : Solution
    groups : ndarray of int64, shape (N,)
        To begin with, of the entities of `cells`.
    """
    slots = solution.slopes.slots
    theta, factors, effects = solution.theta, solution.factors, solution.effects
    tol = _LOOSE if len(slots) > 1 else _TOL
    lost = settled = False
    for _ in range(_ROUNDS):
        slopes = SlopeMap(groups, slots)
        fit = descend_cells(cells, slopes, theta, factors, effects, tol=tol, max_iter=_MAX_ITER)
        theta, factors, effects = fit.theta, fit.factors, fit.effects
        best = groups if lost or len(slots) == 1 else group_losses(cells, slopes, fit).argmin(axis=1)
        if not np.array_equal(best, groups):
            lost = len(np.unique(best)) < len(slots)
            groups = groups if lost else best
        elif tol == _TOL or fit.gradient <= _TOL:
            settled = True
            break
        else:
            tol = _TOL
    return Refit(fit, groups, lost, bool(settled and fit.converged and np.isfinite(theta).all()))


def group_losses(cells: Cells, slopes: SlopeMap, fit: CellFit) -> Array:
    """Sum of squares of each entity with the slopes of each group (N, K), factors and period effects given."""
    data = cells.data
    base = data.y - (data.period * fit.effects[:, data.time]).sum(axis=0)
    columns = np.ascontiguousarray(base[None] - fit.theta[slopes.slots] @ data.x)
    off_units(data.ptr, fit.state.q, columns)
    return np.asarray(np.add.reduceat(columns**2, data.ptr[:-1], axis=1).T)
