"""Newton's step on the criterion of penalised principal components, the factors concentrated out.

Units, centres and factors by turns do not see that the factors follow the slopes, and creep where regressors load on
them. Newton's equations for unit slopes and centres are solved by conjugate gradients, preconditioned by the same
matrix at fixed factors: one block for each unit off the centres, bordered by the centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.blocks import UNCOPIED, UNITS, Node, block_sums, total_of
from gifepanel.shares import rows_of, small_and_rows, sums_of
from gifepanel.solvers.arrays import Array, Components, PanelArrays, UnitQuadratics
from gifepanel.solvers.curvature import Curvature

__all__ = ["newton_step", "positive_spectrum"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Pair = tuple[Array, Array]  # of centres (Kp,) and of units (N, p), these zero on the centres
_STEPS, _TOL = 40, 0.02
_FLAT = 1e-10


@dataclass(frozen=True)
class _Units:
    """Of units off the centres, at fixed factors; zero for the others.

    Attributes
    ----------
    at : ndarray of int64, shape (N,)
        The centre a unit sits on, or -1.
    inverse : ndarray, shape (N, p, p)
        Of the curvature, penalty included.
    penalty : ndarray, shape (N, p, p)
        Curvature of the penalty.
    border : ndarray, shape (N, p, Kp)
        Between unit and centres.
    """

    at: IntArray
    inverse: Array
    penalty: Array
    border: Array


@dataclass(frozen=True)
class _Equations:
    """Newton's equations at one point.

    Attributes
    ----------
    curvature : Curvature
    scale : float
        2 / T.
    units : _Units
    of_penalty : ndarray, shape (Kp, Kp)
        Curvature of the penalty in the centres.
    values, vectors : ndarray, shapes (Kp,) and (Kp, Kp)
        Spectrum of the centres' curvature at fixed factors, units off them eliminated, the values made positive.
    gradient : tuple of ndarray
    """

    curvature: Curvature
    scale: float
    units: _Units
    of_penalty: Array
    values: Array
    vectors: Array
    gradient: Pair

    def times(self, step: Pair) -> Pair:
        """The matrix of the equations times a step."""
        centres, own = step
        shape = -1, self.curvature.data.shape[2]
        slopes = rows_of(_slopes, (self.units, own), centres.reshape(shape))
        of_data = self.curvature.times(slopes)
        rows = (self.units, of_data, own)
        of_centres = sums_of(_to_centres, rows, self.scale, len(centres))
        return self.of_penalty @ centres + of_centres, rows_of(_to_units, rows, self.scale, centres)

    def solve(self, right: Pair) -> Pair:
        """The same at fixed factors, solved."""
        left = right[0] - sums_of(_eliminated, (self.units, right[1]))
        centres = self.vectors @ ((self.vectors.T @ left) / self.values)
        return centres, rows_of(_solved, (self.units, right[1]), centres)


def newton_step(
    data: PanelArrays, kappa: float, alpha: Array, beta: Array, at: IntArray, components: Components
) -> tuple[Array, Array] | None:
    """Steps of the centres (K, p) and unit slopes (N, p) towards a minimum of Q, units on centres staying there.

    Parameters
    ----------
    data : PanelArrays
        In memory, in blocks or in shares.
    kappa : float
    alpha : ndarray, shape (K, p)
    beta : ndarray, shape (N, p)
    at : ndarray of int64, shape (N,)
        The centre a unit sits on, or -1.
    components : Components
        At `beta`.

    Returns
    -------
    tuple of ndarray or None
        None where a unit is at no minimum of its own problem, or where derivatives take more room than the data of a
        large panel.

    References
    ----------
    Steihaug, T. (1983). The conjugate gradient method and trust regions in large scale optimization. *SIAM Journal on
    Numerical Analysis*, 20(3), 626-637.
    """
    n, t, p = data.shape
    if n * p * (2 * p + alpha.size) > max(n * t * (p + 1), UNCOPIED):
        return None
    with np.errstate(all="ignore"):
        equations = _equations(data, kappa, alpha, beta, at, components)
        if equations is None:
            return None
        centres, units = _conjugate_gradients(equations)
        if not np.isfinite(centres @ centres + _dot(units, units)):
            return None
    centres = centres.reshape(alpha.shape)
    return centres, rows_of(_slopes, (equations.units, units), centres)


def _equations(
    data: PanelArrays, kappa: float, alpha: Array, beta: Array, at: IntArray, components: Components
) -> _Equations | None:
    scale, size = 2.0 / data.shape[1], alpha.size
    rows = (data.quadratics(components), beta, at)
    nodes, units, force = small_and_rows(_prepared, 2, rows, alpha, kappa, scale)
    total = total_of(node for share in nodes for node in share)
    if not np.isfinite(total).all():
        return None
    of_penalty, corner = total[:size], total[size : 2 * size]
    curvature = Curvature.at(data, beta, components)
    return _Equations(curvature, scale, units, of_penalty, *positive_spectrum(corner), (total[2 * size], force))


def positive_spectrum(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues (q,), made positive, and eigenvectors (q, q) of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    floor = _FLAT * np.abs(values).max(initial=0.0) + np.finfo(float).tiny
    return np.maximum(np.abs(values), floor), vectors


def _prepared(
    first: int, quadratics: UnitQuadratics, beta: Array, at: IntArray, alpha: Array, kappa: float, scale: float
) -> tuple[list[Node], _Units, Array]:
    """Sums (2 Kp + 1, Kp) of what centres have, one below the other, what units have, and their forces (N, p).

    The sums are the curvature of the penalty, that of everything with units off the centres eliminated, and the force;
    NaN where a unit is at no minimum.
    """
    (n, p), (k, _), size = beta.shape, alpha.shape, alpha.size
    units = _Units(at, np.zeros((n, p, p)), np.zeros((n, p, p)), np.zeros((n, p, size)))
    force = np.zeros((n, p))

    def part(rows: slice) -> Array:
        hessians, own = scale * quadratics.a[rows], at[rows]
        forces = np.einsum("npq,nq->np", hessians, beta[rows]) - scale * quadratics.c[rows]
        off, out = np.flatnonzero(own < 0), np.zeros((2 * size + 1, size))
        for g in range(k):
            ends = slice(g * p, (g + 1) * p)
            out[size:][ends, ends] = hessians[own == g].sum(axis=0)
            out[2 * size, ends] = forces[own == g].sum(axis=0)
        slopes, second = _penalty_derivatives(beta[rows][off][:, None] - alpha, kappa)
        penalty, border = second.sum(axis=(1, 2)), -second.sum(axis=1).transpose(0, 2, 1, 3).reshape(len(off), p, size)
        inverse, places = _inverses(hessians[off] + penalty), off + rows.start
        units.inverse[places], units.penalty[places], units.border[places] = inverse, penalty, border
        force[places] = forces[off] + slopes.sum(axis=1)
        out[:size] = second.sum(axis=0).transpose(0, 2, 1, 3).reshape(size, size)
        out[size : 2 * size] += out[:size] - np.einsum("mpa,mpq,mqb->ab", border, inverse, border, optimize=True)
        out[2 * size] -= slopes.sum(axis=0).ravel()
        return out

    def silently(rows: slice) -> Array:
        with np.errstate(all="ignore"):  # which every thread has of its own
            return part(rows)

    return block_sums(silently, n, UNITS, first), units, force


def _penalty_derivatives(difference: Array, kappa: float) -> tuple[Array, Array]:
    """Gradients (M, K, p) and second derivatives (M, K, K, p, p) of the penalty in b - alpha_k; not finite at one."""
    _, k, p = difference.shape
    distance = np.linalg.norm(difference, axis=2)
    slope = difference / (distance**2)[:, :, None]
    whole = kappa * distance.prod(axis=1)
    second = whole[:, None, None, None, None] * slope[:, :, None, :, None] * slope[:, None, :, None, :]
    for g in range(k):
        second[:, g, g] = np.eye(p) * (whole / distance[:, g] ** 2)[:, None, None] - second[:, g, g]
    return whole[:, None, None] * slope, second


def _inverses(matrices: Array) -> Array:
    """Of positive definite matrices (M, p, p); NaN where one of them is not."""
    try:
        np.linalg.cholesky(matrices)
        return np.asarray(np.linalg.inv(matrices), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.full_like(matrices, np.nan)


def _conjugate_gradients(equations: _Equations) -> Pair:
    """Minus the inverse of the matrix times the gradient, as far as curvature is positive (Steihaug 1983, Sec. 2)."""
    left = _sum(equations.gradient, -2.0, equations.gradient)
    step = _sum(left, -1.0, left)
    solved = equations.solve(left)
    direction, product = solved, _product(left, solved)
    goal = _TOL**2 * product
    for number in range(_STEPS):
        if not product > goal:
            break
        image = equations.times(direction)
        curvature = _product(direction, image)
        if not curvature > 0.0:
            return step if number else direction
        length = product / curvature
        step, left = _sum(step, length, direction), _sum(left, -length, image)
        solved = equations.solve(left)
        before, product = product, _product(left, solved)
        direction = _sum(solved, product / before, direction)
    return step


def _product(a: Pair, b: Pair) -> float:
    return float(a[0] @ b[0]) + _dot(a[1], b[1])


def _sum(a: Pair, factor: float, b: Pair) -> Pair:
    """a + factor b."""
    return a[0] + factor * b[0], rows_of(_plus, (a[1], b[1]), factor)


def _dot(a: Array, b: Array) -> float:
    return float(sums_of(_dots, (a, b)))


def _dots(first: int, a: Array, b: Array) -> list[Node]:
    return block_sums(lambda rows: float(np.vdot(a[rows], b[rows])), len(a), UNITS, first)


def _plus(_: int, a: Array, b: Array, factor: float) -> Array:
    return np.asarray(a + factor * b)


def _slopes(_: int, units: _Units, own: Array, centres: Array) -> Array:
    """(N, p) of the centres (K, p) that units are on, and of units off them."""
    return np.where((units.at < 0)[:, None], own, centres[units.at])


def _to_centres(first: int, units: _Units, of_data: Array, own: Array, scale: float, size: int) -> list[Node]:
    """What data and units off the centres give the centres (Kp,)."""
    p = own.shape[1]

    def part(rows: slice) -> Array:
        at = units.at[rows]
        on = np.concatenate([of_data[rows][at == g].sum(axis=0) for g in range(size // p)])
        return np.asarray(scale * on + np.einsum("mpa,mp->a", units.border[rows], own[rows]))

    return block_sums(part, len(own), UNITS, first)


def _to_units(_: int, units: _Units, of_data: Array, own: Array, scale: float, centres: Array) -> Array:
    """What data, penalty and centres give the units off them."""
    everything = scale * of_data + np.einsum("npq,nq->np", units.penalty, own) + units.border @ centres
    return np.where((units.at < 0)[:, None], everything, 0.0)


def _eliminated(first: int, units: _Units, right: Array) -> list[Node]:
    def part(rows: slice) -> Array:
        own = np.einsum("npq,nq->np", units.inverse[rows], right[rows])
        return np.asarray(np.einsum("mpa,mp->a", units.border[rows], own))

    return block_sums(part, len(right), UNITS, first)


def _solved(_: int, units: _Units, right: Array, centres: Array) -> Array:
    return np.einsum("npq,nq->np", units.inverse, right - units.border @ centres)
