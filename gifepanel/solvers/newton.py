"""Newton's step on the criterion of penalised principal components, the factors concentrated out.

Units, centres and factors by turns do not see that the factors follow the slopes, and creep where regressors load on
them. Let fitted values change by D = (x_it's_i), with residuals e, and factors f_r and loadings l_r of unit length with
singular values v_r. Then least squares given the best factors changes in second order by

    ||M_L D M_F||^2 - 2 sum_r (D f_r)' e (D'l_r) / v_r,

what loadings and factors follow of D eliminated, to first order in e over v_r. Newton's equations for unit slopes and
centres are solved by conjugate gradients, preconditioned by the same matrix at fixed factors: one block for each unit,
bordered by the centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.kernels.passes import gradient_pass, residual_pass
from gifepanel.solvers.arrays import Array, Components, PanelArrays, residuals

__all__ = ["Curvature", "newton_step"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_STEPS, _TOL = 40, 0.02
_FLAT = 1e-10
_LARGEST = 1 << 22  # numbers that second derivatives of the penalty may take


@dataclass(frozen=True)
class Curvature:
    """Second derivatives of the least squares of a panel, factors concentrated out.

    Attributes
    ----------
    data : PanelArrays
    resid : ndarray, shape (N, T)
        After slopes, factors and time effect.
    factors : ndarray, shape (T, R)
        Orthonormal.
    loadings : ndarray, shape (N, R)
        Orthonormal; zero where a factor is.
    over : ndarray, shape (R,)
        One over the singular values, zero where these are.
    """

    data: PanelArrays
    resid: Array
    factors: Array
    loadings: Array
    over: Array

    @classmethod
    def at(cls, data: PanelArrays, beta: Array, components: Components) -> Curvature:
        """At unit slopes (N, p) and their components."""
        root = np.sqrt(data.shape[1])
        resid = residuals(data, beta)
        if data.time_effects:
            resid -= components.time_effect
        resid -= components.loadings @ components.factors.T
        lengths = np.linalg.norm(components.loadings, axis=0)
        lost = lengths <= np.finfo(float).eps * lengths.max(initial=0.0)
        inverse = np.where(lost, 0.0, 1.0 / np.where(lost, 1.0, lengths))
        return cls(data, resid, components.factors / root, components.loadings * inverse, inverse / root)

    def times(self, slopes: Array) -> Array:
        """Half the derivative of the quadratic form at a change of unit slopes (N, p): an (N, p) array."""
        fitted = np.empty_like(self.resid)
        residual_pass(np.zeros_like(fitted), self.data.xt, np.ascontiguousarray(slopes), fitted)
        if self.data.time_effects:
            fitted -= fitted.mean(axis=0)
        by_unit, by_period = fitted @ self.factors, fitted.T @ self.loadings
        both = self.loadings.T @ by_unit
        follow = by_unit - self.loadings @ both + (self.resid @ by_period) * self.over
        fitted -= follow @ self.factors.T
        fitted -= self.loadings @ (by_period.T + self.over[:, None] * (by_unit.T @ self.resid))
        return -np.asarray(gradient_pass(self.data.xt, fitted))


@dataclass(frozen=True)
class _Bordered:
    """Curvature of units off the centres at fixed factors, bordered by that of the centres.

    Attributes
    ----------
    inner : ndarray, shape (M, p, p)
        Of every unit off the centres, penalty included.
    penalty : ndarray, shape (M, p, p)
        Of the penalty alone.
    border : ndarray, shape (M, p, Kp)
        Between unit and centres.
    corner, of_penalty : ndarray, shape (Kp, Kp)
        Of the centres, with what units on them have, and of the penalty alone.
    """

    inner: Array
    penalty: Array
    border: Array
    corner: Array
    of_penalty: Array

    def solver(self) -> Any:
        """A function that solves it for (Kp,) and (M, p); None where a unit is at no minimum."""
        if not (np.isfinite(self.inner).all() and np.isfinite(self.corner).all()):
            return None
        try:
            np.linalg.cholesky(self.inner)
        except np.linalg.LinAlgError:
            return None
        gain = np.linalg.solve(self.inner, self.border)
        values, vectors = np.linalg.eigh(self.corner - np.einsum("mpa,mpb->ab", self.border, gain))
        size = np.maximum(np.abs(values), _FLAT * np.abs(values).max(initial=0.0) + np.finfo(float).tiny)

        def solve(centres: Array, units: Array) -> tuple[Array, Array]:
            own = np.linalg.solve(self.inner, units[:, :, None])[:, :, 0]
            left = centres - np.einsum("mpa,mp->a", self.border, own)
            found = vectors @ ((vectors.T @ left) / size)
            return found, own - gain @ found

        return solve


def _second_derivatives(difference: Array, kappa: float) -> tuple[Array, Array] | None:
    """Gradients (M, K, p) and second derivatives (M, K, K, p, p) of the penalty in b - alpha_k; None at a centre."""
    _, k, p = difference.shape
    distance = np.linalg.norm(difference, axis=2)
    if not distance.all():
        return None
    unit = difference / distance[:, :, None]
    whole = kappa * distance.prod(axis=1)
    second = np.einsum("m,mk,mq,mki,mqj->mkqij", whole, 1.0 / distance, 1.0 / distance, unit, unit)
    for g in range(k):
        across = np.eye(p) - unit[:, g, :, None] * unit[:, g, None]
        second[:, g, g] = across * (whole / distance[:, g] ** 2)[:, None, None]
    return (whole[:, None] / distance)[:, :, None] * unit, second


class _Equations:
    """Newton's equations at one point."""

    def __init__(self, data: PanelArrays, kappa: float, alpha: Array, beta: Array, at: IntArray, comp: Components):
        self.shape, self.at, self.off = alpha.shape, at, np.flatnonzero(at < 0)
        self.scale = 2.0 / data.shape[1]
        self.curvature = Curvature.at(data, beta, comp)
        quadratics = data.quadratics(comp)
        hessians = self.scale * quadratics.a
        forces = np.einsum("npq,nq->np", hessians, beta) - self.scale * quadratics.c
        found = _second_derivatives(beta[self.off, None] - alpha, kappa)
        self.bordered: _Bordered | None = None
        if found is not None:
            first, second = found
            own, size = second.sum(axis=(1, 2)), alpha.size
            border = -second.sum(axis=1).transpose(0, 2, 1, 3).reshape(len(own), alpha.shape[1], size)
            of_penalty = second.sum(axis=0).transpose(0, 2, 1, 3).reshape(size, size)
            corner = of_penalty + self._block_diagonal(hessians)
            self.bordered = _Bordered(hessians[self.off] + own, own, border, corner, of_penalty)
            self.gradient = self._by_centre(forces) - first.sum(axis=0).ravel(), forces[self.off] + first.sum(axis=1)

    def _by_centre(self, values: Array) -> Array:
        """Sums (Kp,) of values (N, p) of the units on each centre."""
        return np.concatenate([values[self.at == k].sum(axis=0) for k in range(self.shape[0])])

    def _block_diagonal(self, hessians: Array) -> Array:
        k, p = self.shape
        out = np.zeros((k, p, k, p))
        for g in range(k):
            out[g, :, g] = hessians[self.at == g].sum(axis=0)
        return out.reshape(k * p, k * p)

    def slopes(self, centres: Array, units: Array) -> Array:
        """(N, p) of the centres (Kp,) that units are on, and of units off them (M, p)."""
        out = centres.reshape(self.shape)[self.at]
        out[self.off] = units
        return out

    def times(self, centres: Array, units: Array) -> tuple[Array, Array]:
        """The matrix of the equations times a step."""
        assert self.bordered is not None
        b = self.bordered
        of_data = self.scale * self.curvature.times(self.slopes(centres, units))
        of_units = of_data[self.off] + np.einsum("mpq,mq->mp", b.penalty, units) + b.border @ centres
        of_centres = self._by_centre(of_data) + b.of_penalty @ centres + np.einsum("mpa,mp->a", b.border, units)
        return of_centres, of_units


def newton_step(
    data: PanelArrays, kappa: float, alpha: Array, beta: Array, at: IntArray, components: Components
) -> tuple[Array, Array] | None:
    """Steps of the centres (K, p) and unit slopes (N, p) towards a minimum of Q, units on centres staying there.

    Parameters
    ----------
    data : PanelArrays
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
        None where a unit is at no minimum of its own problem, or where derivatives take too much room.

    References
    ----------
    Steihaug, T. (1983). The conjugate gradient method and trust regions in large scale optimization. *SIAM Journal on
    Numerical Analysis*, 20(3), 626-637.
    """
    if (at < 0).sum() * alpha.size**2 > _LARGEST:
        return None
    with np.errstate(all="ignore"):
        equations = _Equations(data, kappa, alpha, beta, at, components)
        solve = None if equations.bordered is None else equations.bordered.solver()
        if solve is None:
            return None
        centres, units = _conjugate_gradients(equations, solve)
    if not (np.isfinite(centres).all() and np.isfinite(units).all()):
        return None
    return centres.reshape(alpha.shape), equations.slopes(centres, units)


def _conjugate_gradients(equations: _Equations, solve: Any) -> tuple[Array, Array]:
    """Minus the inverse of the matrix times the gradient, as far as curvature is positive (Steihaug 1983, Sec. 2)."""
    size = len(equations.gradient[0])

    def flat(both: tuple[Array, Array]) -> Array:
        return np.concatenate([both[0], both[1].ravel()])

    def parts(one: Array) -> tuple[Array, Array]:
        return one[:size], one[size:].reshape(-1, equations.shape[1])

    left = -flat(equations.gradient)
    step, solved = np.zeros_like(left), flat(solve(*parts(left)))
    direction, product = solved, float(left @ solved)
    goal = _TOL**2 * product
    for _ in range(_STEPS):
        if not product > goal:
            break
        image = flat(equations.times(*parts(direction)))
        curvature = float(direction @ image)
        if not curvature > 0.0:
            step = step if step.any() else direction
            break
        step = step + product / curvature * direction
        left = left - product / curvature * image
        solved = flat(solve(*parts(left)))
        before, product = product, float(left @ solved)
        direction = solved + product / before * direction
    return parts(step)
