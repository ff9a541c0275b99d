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

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.kernels.cells import (
    CellState,
    evaluate_cells,
    normal_blocks,
    truncated_cg,
    unit_moments,
)
from gifepanel.solvers.arrays import Array
from gifepanel.solvers.cells import Cells
from gifepanel.solvers.interactive import SlopeMap

__all__ = ["CellFit", "alternate_cells", "descend_cells", "gauged", "state_without_factors"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
SPANNED = 1e-8
_RESOLUTION = 1e-12
_EXACT = 1e-13


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
    t = cells.shape[1]
    series = cells.series
    if len(factors):
        off = factors - (factors @ series.T) @ series
        factors = np.ascontiguousarray(np.linalg.qr(off.T)[0].T) * np.sqrt(t)
    gauge = np.ascontiguousarray(np.vstack([series, factors / np.sqrt(t)]))
    if len(effects):
        off = effects - (effects @ gauge.T) @ gauge
        effects = np.where(cells.free[:, None], effects, off)
    return factors, effects, gauge


def inverses(blocks: Array) -> Array:
    """Of positive semidefinite blocks (T, k, k), slightly lifted."""
    k = blocks.shape[-1]
    if k == 0:
        return blocks
    lift = 1e-10 * np.trace(blocks, axis1=-2, axis2=-1) / k + 1e-300
    return np.linalg.inv(blocks + lift[..., None, None] * np.eye(k))


def slope_blocks(cells: Cells, slopes: SlopeMap, state: CellState) -> Array:
    """Sums of X_i'M_i X_i over the entities of every parameter: (q, q)."""
    p = cells.n_regressors
    own = np.empty((cells.shape[0], p, p))
    unit_moments(cells.data, state, own)
    out = np.zeros((slopes.size, slopes.size))
    for k, slot in enumerate(slopes.slots):
        np.add.at(out, (slot[:, None], slot), own[slopes.groups == k].sum(axis=0))
    return out


def inverse_of(matrix: Array) -> Array:
    """Pseudo-inverse of a positive semidefinite matrix, in units where its diagonal is one."""
    if not matrix.size:
        return matrix
    diagonal = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    size = np.where(diagonal > 0, 1.0 / np.where(diagonal > 0, diagonal, 1.0), 0.0)
    inverse = np.linalg.pinv(matrix * size * size[:, None], rcond=1e-13, hermitian=True)
    return np.asarray(inverse * size * size[:, None])


class _Descent:
    """Two evaluations side by side, and the preconditioner."""

    def __init__(self, cells: Cells, slopes: SlopeMap, n_factors: int) -> None:
        self.cells, self.slopes = cells, slopes
        self.now, self.next = (room(cells, n_factors, slopes.size) for _ in range(2))
        self.free = np.concatenate([np.zeros(n_factors, dtype=bool), cells.free])
        k = self.free.size
        self.blocks = np.empty((cells.shape[1], k, k))

    def evaluate(self, theta: Array, factors: Array, effects: Array, state: CellState) -> float:
        slopes = self.slopes
        return float(
            evaluate_cells(self.cells.data, slopes.groups, slopes.slots, theta, factors, effects, SPANNED, state)
        )

    def accept(self) -> None:
        self.now, self.next = self.next, self.now

    def period_inverses(self) -> Array:
        normal_blocks(self.cells.data, self.now, self.blocks)
        return inverses(self.blocks)

    def slope_inverse(self) -> Array:
        return inverse_of(slope_blocks(self.cells, self.slopes, self.now))


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
    work = _Descent(cells, slopes, len(factors))
    factors, effects, gauge = gauged(cells, factors, effects)
    ssr = work.evaluate(theta, factors, effects, work.now)
    floor = max(_EXACT**2 * float(cells.data.y @ cells.data.y), np.finfo(float).tiny)
    radius, measure, converged, steps = 0.5 * np.sqrt(ssr), np.inf, False, 0
    for steps in range(max_iter + 1):
        system = min(first_tol, np.sqrt(measure)) if np.isfinite(measure) else first_tol
        step, turn, predicted, _, hit, size = truncated_cg(
            cells.data,
            slopes.groups,
            slopes.slots,
            work.now,
            work.period_inverses(),
            work.slope_inverse(),
            gauge,
            work.free,
            full,
            radius,
            max_products,
            system,
        )
        measure = 0.0 if ssr <= floor else size / np.sqrt(ssr)
        converged = measure <= tol
        if converged or steps == max_iter:
            break
        r = len(factors)
        new = gauged(cells, factors + step[:r], effects + step[r:])
        new_ssr = work.evaluate(theta + turn, new[0], new[1], work.next)
        gain = 0.5 * (ssr - new_ssr)
        ratio = gain / predicted if predicted > 0 else -1.0
        if predicted < _RESOLUTION * ssr:  # below the resolution of the objective: the gradient judges
            ratio = 1.0 if abs(gain) <= 10 * _RESOLUTION * ssr else -1.0
        if ratio > 0.75 and hit:
            radius *= 2.5
        elif ratio < 0.25:
            radius *= 0.25
        if ratio > 1e-4:
            theta, ssr = theta + turn, new_ssr
            factors, effects, gauge = new
            work.accept()
            if known is not None and leads_to(known, ssr, work.now.e):
                return known
        elif radius < 1e-14 * np.sqrt(ssr):
            break
    return CellFit(theta, factors, effects, work.now, ssr, bool(converged), steps, float(measure))


def leads_to(known: CellFit, ssr: float, e: Array, near: float = 1e-4) -> bool:
    """Whether residuals are so close to those of a minimum, from above, that a descent will end there."""
    if not 0.0 <= ssr - known.ssr <= near * known.ssr:
        return False
    difference = e - known.state.e
    return float(difference @ difference) <= near * known.ssr


def alternate_cells(
    cells: Cells, slopes: SlopeMap, theta: Array, factors: Array, effects: Array, rounds: int
) -> tuple[Array, Array, Array, float]:
    """Rounds of slopes given factors, then factors and period coefficients given loadings and slopes: each lowers it.

    Returns
    -------
    theta, factors, effects : ndarray
    ssr : float
        Before the last step.
    """
    work = _Descent(cells, slopes, len(factors))
    factors, effects, _ = gauged(cells, factors, effects)
    r = len(factors)
    ssr = np.inf
    for _ in range(rounds):
        ssr = work.evaluate(theta, factors, effects, work.now)
        if slopes.size:
            theta = theta - work.slope_inverse() @ work.now.g_theta
            ssr = work.evaluate(theta, factors, effects, work.now)
        if r + len(effects):
            step = np.einsum("tjk,kt->jt", work.period_inverses(), work.now.g_period)
            factors, effects, _ = gauged(cells, factors - step[:r], effects - step[r:])
    return theta, factors, effects, ssr
