"""Exact descent on the criterion of penalised principal components, to a stationary point of Q itself.

The sweep minimises a sequence of convex surrogates and is not a descent method for Q. This one is: with the factors
concentrated out, every iteration (i) gives each unit the best of its candidates (the K centres and its smooth local
minimum), (ii) takes damped Newton steps in the centres on the profile P(alpha) = sum_i min_b f_i(b), and (iii) updates
the factors. Where regressors load on the factors, these passes alone converge slowly. The last of them are therefore
extrapolated, and the extrapolation is shortened until it lowers Q.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.kernels.product import profile_derivatives, solve_units
from gifepanel.solvers.arrays import (
    Array,
    Components,
    GroupedData,
)
from gifepanel.solvers.heterogeneous import unit_minimisers
from gifepanel.solvers.penalty import product_penalty

__all__ = ["DescentResult", "criterion", "descend"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_MEMORY = 12
_SHORTENED = (1.0, 0.3, 0.09, 0.027)
_NEWTON_STEPS = 3
_ROUNDING = 1e-10
_FALL = 1e-4


@dataclass(frozen=True)
class DescentResult:
    """A stationary point of Q.

    Attributes
    ----------
    alpha : ndarray, shape (K, p)
    beta : ndarray, shape (N, p)
    at : ndarray of int64, shape (N,)
        The centre a unit sits on, or -1.
    components : Components
        At `beta`.
    criterion : float
        Q(beta, alpha).
    path : tuple of float
        Q at the start and after every iteration: never increasing.
    converged : bool
    n_iter : int
    step : float
        Relative length of the last step.
    """

    alpha: Array
    beta: Array
    at: IntArray
    components: Components
    criterion: float
    path: tuple[float, ...]
    converged: bool
    n_iter: int
    step: float


def criterion(data: GroupedData, ssr: float, kappa: float, beta: Array, alpha: Array) -> float:
    """Q(beta, alpha) of Su & Ju (2018, eq. 2.7), `ssr` being that of the residuals after R components."""
    return ssr / data.n_cells + kappa * product_penalty(beta, alpha) / len(beta)


@dataclass
class _State:
    alpha: Array
    beta: Array
    at: IntArray
    components: Components
    value: float


class _Descent:
    """One problem: data, R and kappa, with work space."""

    def __init__(self, data: GroupedData, n_factors: int, kappa: float) -> None:
        self.data, self.n_factors, self.kappa = data, n_factors, kappa
        self.work = data.room()

    def state(self, alpha: Array, beta: Array, at: IntArray, last: Components | None) -> _State:
        comp = self.data.components(beta, self.n_factors, last=last, room=self.work)
        return _State(alpha, beta, at, comp, criterion(self.data, comp.ssr, self.kappa, beta, alpha))

    def resolution(self, state: _State) -> float:
        """Differences of Q that are rounding: with nearly collinear regressors large terms cancel in it."""
        a = self.data.quadratics(state.components).a
        return float(np.finfo(float).eps * np.einsum("npp,np->", a, state.beta**2) / self.data.n_cells)

    def iterate(self, state: _State) -> _State:
        """Units, centres, factors: one pass, each part exact."""
        t = self.data.periods
        q = self.data.quadratics(state.components)
        free, _ = unit_minimisers(q)
        problem = _UnitProblems(2.0 / t * q.c, 2.0 / t * q.a, self.kappa, free)
        alpha, beta, at = problem.minimise(state.alpha, state.beta, state.at)
        return self.state(alpha, beta, at, state.components)

    def extrapolate(self, history: list[tuple[_State, _State]]) -> _State:
        """The last iterate, or Anderson's mixing over the last iterations where that, or part of the way, is lower.

        Slopes and centres are mixed together; units stay on the centres where they are.
        """
        last = history[-1][1]
        if len(history) < 2:
            return last
        points = np.stack([_flat(new) for _, new in history], axis=1)
        steps = points - np.stack([_flat(old) for old, _ in history], axis=1)
        dr, dg = np.diff(steps, axis=1), np.diff(points, axis=1)
        gamma = np.linalg.lstsq(dr, steps[:, -1], rcond=1e-8)[0]
        size, on = last.alpha.size, last.at >= 0
        for length in _SHORTENED:
            flat = points[:, -1] - length * (dg @ gamma)
            alpha = flat[:size].reshape(last.alpha.shape)
            beta = flat[size:].reshape(last.beta.shape)
            beta[on] = alpha[last.at[on]]
            mixed = self.state(alpha, beta, last.at.copy(), last.components)
            if mixed.value <= last.value:
                return mixed
        return last


def _stands(before: float, now: float) -> bool:
    return before - now <= _FALL * now


def _flat(state: _State) -> Array:
    return np.concatenate([state.alpha.ravel(), state.beta.ravel()])


class _UnitProblems:
    """The profile over the units at fixed factors."""

    def __init__(self, v: Array, hessians: Array, kappa: float, free: Array) -> None:
        self.v, self.hessians, self.kappa, self.free = v, hessians, kappa, free

    def solve(self, alpha: Array, beta: Array, at: IntArray, explore: bool = False) -> tuple[float, Array, IntArray]:
        beta, at = beta.copy(), at.copy()
        value = solve_units(self.v, self.hessians, self.kappa, alpha, self.free, beta, at, explore)
        return float(value), beta, at

    def minimise(self, alpha: Array, beta: Array, at: IntArray) -> tuple[Array, Array, IntArray]:
        """Damped Newton in the centres, a few steps: the factors move next anyway."""
        n_groups, p = alpha.shape
        size = n_groups * p
        grad, hess = np.empty(size), np.empty((size, size))
        left, right = np.empty((p, size)), np.empty((size, p))
        value, beta, at = self.solve(alpha, beta, at, explore=True)
        for _ in range(_NEWTON_STEPS):
            profile_derivatives(self.v, self.hessians, self.kappa, alpha, beta, at, grad, hess, left, right)
            direction = _descent_direction(hess, grad).reshape(alpha.shape)
            slope = float(grad @ direction.ravel())
            length, accepted = 1.0, False
            for _halving in range(25):
                trial = self.solve(alpha + length * direction, beta, at)
                if trial[0] <= value + 1e-4 * length * slope:
                    accepted = True
                    break
                length *= 0.4
            if not accepted:
                break
            gain = value - trial[0]
            alpha = alpha + length * direction
            value, beta, at = trial
            if gain <= 1e-13 * abs(value):
                break
        return alpha, beta, at


def _descent_direction(hess: Array, grad: Array) -> Array:
    """-|H|^-1 g: Newton's step with the curvature made positive."""
    values, vectors = np.linalg.eigh(0.5 * (hess + hess.T))
    size = np.maximum(np.abs(values), 1e-10 * np.abs(values).max(initial=0.0) + np.finfo(float).tiny)
    return -vectors @ ((vectors.T @ grad) / size)


def descend(
    data: GroupedData,
    n_factors: int,
    kappa: float,
    alpha: Array,
    beta: Array,
    *,
    tol: float = 1e-7,
    max_iter: int = 300,
    first: Components | None = None,
) -> DescentResult:
    """Descend from centres `alpha` (K, p) and unit slopes `beta` (N, p).

    Stops when slopes and centres move by less than `tol`, relative to their size, in an iteration. Where an entity has
    too few periods to determine its own coefficients, Q may fall for ever while loadings run away: there it is enough
    that Q fell by less than 1e-4 of itself in twelve iterations. `first` are the factors to begin with, where they are
    not found anew.
    """
    problem = _Descent(data, n_factors, kappa)
    state = problem.state(alpha.copy(), beta.copy(), np.full(len(beta), -1, dtype=np.int64), first)
    path = [state.value]
    history: list[tuple[_State, _State]] = []
    step, converged = np.inf, False
    bounded = data.is_bounded(n_factors)
    while len(path) <= max_iter:
        new = problem.iterate(state)
        moved = float(np.linalg.norm(_flat(new) - _flat(state)))
        step = moved / max(float(np.linalg.norm(_flat(new))), 1e-300)
        if new.value > state.value:
            # every part of an iteration lowers Q: a rise is rounding, and there is nothing left to gain
            converged = new.value - state.value <= _ROUNDING * abs(state.value) + problem.resolution(new)
            break
        history = [*history, (state, new)][-_MEMORY:]
        converged = step <= tol or (not bounded and len(path) > _MEMORY and _stands(path[-_MEMORY - 1], new.value))
        if not converged:
            new = problem.extrapolate(history)
        path.append(new.value)
        state = new
        if converged:
            break
    return DescentResult(
        state.alpha, state.beta, state.at, state.components, state.value, tuple(path), converged, len(path) - 1, step
    )
