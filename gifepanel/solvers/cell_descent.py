"""Least squares with factors on observed cells: a trust-region Newton method, unit coefficients concentrated out.

For y_it = x_it'theta_g + l_i'f_t + d_it'a_i + w_it'c_t + e_it over the observed cells, with known columns d and w, the
coefficients of entities (l_i, a_i) are least squares given the rest. What is left, half the sum of squares in factors,
period coefficients and slopes, is minimised with its exact Hessian by truncated conjugate gradients (Steihaug 1983),
preconditioned by the normal equations of every period and of the slopes. On a complete panel these are the Gauss-Newton
matrix. Additive effects are estimated jointly with factors: taken out beforehand they are not least squares where cells
are missing.

The certificate is the gradient in the norm of the inverse preconditioner, relative to the root of the sum of squares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gifepanel.kernels.cell_newton import fix_gauge, newton
from gifepanel.kernels.cells import CellState, evaluate_cells, slope_moments
from gifepanel.kernels.regroup_cells import alternate_on_cells
from gifepanel.solvers.arrays import Array
from gifepanel.solvers.cells import Cells
from gifepanel.solvers.interactive import SlopeMap

__all__ = ["CellFit", "alternate_cells", "descend_cells", "gauged", "polished", "state_without_factors"]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
SPANNED = 1e-8
_EXACT = 1e-13
_NEAR = 1e-4
_POLISHED = 1e-12


@dataclass(frozen=True)
class CellFit:
    """Least squares with factors at a point.

    Attributes
    ----------
    theta : ndarray, shape (q,)
        Slopes, in the units of the solver's regressors.
    factors : ndarray, shape (R, T)
        Rows of length root T, orthogonal to each other and to known series.
    effects : ndarray, shape (m, T)
        Coefficients of the period columns.
    state : CellState
        Residuals, bases and coefficients of entities.
    ssr : float
    converged : bool
    n_iter : int
    gradient : float
        The certificate.
    """

    theta: Array
    factors: Array
    effects: Array
    state: CellState
    ssr: float
    converged: bool
    n_iter: int
    gradient: float

    @property
    def loadings(self) -> Array:
        """(N, R)."""
        return self.state.coef[:, self.state.coef.shape[1] - len(self.factors) :]


def room(cells: Cells, n_factors: int, n_slopes: int) -> CellState:
    """Arrays for an evaluation."""
    n, t = cells.shape
    d, m = cells.data.known.shape[0], cells.data.period.shape[0]
    b = d + n_factors
    return CellState(
        np.empty(cells.size),
        np.empty((b, cells.size)),
        np.zeros((n, b, b)),
        np.zeros((n, b)),
        np.zeros((n_factors + m, t)),
        np.zeros(n_slopes),
    )


def state_without_factors(cells: Cells) -> CellState:
    """Bases of known columns alone."""
    state = room(cells, 0, 0)
    n, t = cells.shape
    data = cells.data._replace(x=np.empty((0, cells.size)))
    effects = np.zeros((cells.data.period.shape[0], t))
    groups, slots = np.zeros(n, dtype=np.int64), np.empty((1, 0), dtype=np.int64)
    evaluate_cells(data, groups, slots, np.empty(0), np.empty((0, t)), effects, SPANNED, state)
    return state


def gauged(cells: Cells, factors: Array, effects: Array) -> tuple[Array, Array, Array]:
    """Factors orthogonal to known series and of length root T, period coefficients off both; and what they are off."""
    factors, effects = np.array(factors), np.array(effects)
    gauge = np.empty((len(cells.series) + len(factors), cells.shape[1]))
    fix_gauge(cells.series, free_rows(cells, len(factors)), factors, effects, gauge)
    return factors, effects, gauge


def free_rows(cells: Cells, n_factors: int) -> BoolArray:
    """Factors and period columns that no known series concerns."""
    return np.concatenate([np.zeros(n_factors, dtype=bool), cells.free])


def slope_blocks(cells: Cells, slopes: SlopeMap, state: CellState) -> Array:
    """Sums of X_i'M_i X_i over the entities of every parameter: (q, q)."""
    out = np.empty((slopes.size, slopes.size))
    slope_moments(cells.data, state, slopes.groups, slopes.slots, out)
    return out


def descend_cells(
    cells: Cells,
    slopes: SlopeMap,
    theta: Array,
    factors: Array,
    effects: Array,
    *,
    tol: float = 1e-9,
    max_iter: int = 100,
    max_products: int = 300,
    first_tol: float = 0.1,
    full: bool = True,
    known: CellFit | None = None,
) -> CellFit:
    """Descend to a minimum of the sum of squares; every step lowers it.

    Parameters
    ----------
    cells : Cells
    slopes : SlopeMap
    theta : ndarray, shape (q,)
    factors : ndarray, shape (R, T)
    effects : ndarray, shape (m, T)
    tol : float
        Of the certificate.
    max_iter, max_products : int
        Steps, and products with the Hessian in a step.
    first_tol : float
        Of the linear system of a step, tightened as the certificate falls.
    full : bool
        The exact Hessian.
    known : CellFit, optional
        A minimum; a descent that comes close to its residuals from above is taken to lead there.
    """
    theta, factors, effects = np.array(theta), np.array(factors), np.array(effects)
    now, other = room(cells, len(factors), slopes.size), room(cells, len(factors), slopes.size)
    floor = max(_EXACT**2 * float(cells.data.y @ cells.data.y), np.finfo(float).tiny)
    swapped, ssr, measure, steps, converged, led = newton(
        cells.data,
        slopes.groups,
        slopes.slots,
        cells.series,
        free_rows(cells, len(factors)),
        theta,
        factors,
        effects,
        now,
        other,
        tol,
        floor,
        max_iter,
        max_products,
        first_tol,
        full,
        -1.0 if known is None else known.ssr,
        np.empty(0) if known is None else known.state.e,
        _NEAR,
        SPANNED,
    )
    if led and known is not None:
        return known
    state = other if swapped else now
    return CellFit(theta, factors, effects, state, float(ssr), bool(converged), int(steps), float(measure))


def polished(cells: Cells, slopes: SlopeMap, fit: CellFit) -> CellFit:
    """A fit that converged, descended to the resolution of its gradient."""
    if not fit.converged or fit.gradient <= _POLISHED:
        return fit
    lower = descend_cells(cells, slopes, fit.theta, fit.factors, fit.effects, tol=_POLISHED, max_iter=5)
    if not lower.gradient < fit.gradient:
        return fit
    return replace(lower, converged=True, n_iter=fit.n_iter + lower.n_iter)


def alternate_cells(
    cells: Cells, slopes: SlopeMap, theta: Array, factors: Array, effects: Array, rounds: int
) -> tuple[Array, Array, Array, float]:
    """Rounds of slopes given factors, then factors and period coefficients given loadings and slopes: each lowers it.

    Returns
    -------
    theta, factors, effects : ndarray
    ssr : float
    """
    theta, factors, effects = np.array(theta), np.array(factors), np.array(effects)
    groups, state = np.array(slopes.groups), (theta, factors, effects)
    gauge = cells.series, free_rows(cells, len(factors))
    none = np.empty(0, dtype=np.int64)
    ssr = alternate_on_cells(
        cells.data, slopes.slots, *gauge, groups, *state, False, rounds + 1, 0.0, -np.inf, none, SPANNED
    )[0]
    return theta, factors, effects, float(ssr)
