"""Exact descent on the criterion of penalised principal components, to a stationary point of Q itself.

The sweep minimises a sequence of convex surrogates and is not a descent method for Q. This one is: with the factors
concentrated out, every iteration (i) gives each unit the best of its candidates (the K centres and its smooth local
minimum), (ii) takes damped Newton steps in the centres on the profile P(alpha) = sum_i min_b f_i(b), and (iii) updates
the factors. Where regressors load on the factors, these passes alone converge slowly. The last of them are therefore
extrapolated, and where that does not lower Q, a Newton step follows in slopes and centres, the factors concentrated
out. (On observed cells the extrapolation is shortened instead.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.blocks import UNITS, Node, block_sums, total_of
from gifepanel.kernels.product import profile_derivatives, solve_units
from gifepanel.kernels.small import solve_batch
from gifepanel.shares import rows_of, small_and_rows, sums_of
from gifepanel.solvers.arrays import (
    Array,
    Components,
    GroupedData,
    PanelArrays,
    UnitQuadratics,
)
from gifepanel.solvers.blocked import BlockedPanel
from gifepanel.solvers.mixing import mixed, mixing_weights
from gifepanel.solvers.newton import newton_step, positive_spectrum
from gifepanel.solvers.penalty import product_penalty
from gifepanel.solvers.sweep import unit_problems

__all__ = ["DescentResult", "criterion", "descend"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_MEMORY = 12
_SHORTENED, _NEWTON = (1.0, 0.1), (1.0, 0.3, 0.1)
_NEWTON_STEPS = 3
_ROUNDING = 1e-10
_FALL = 1e-4
_LONG = 1 << 18


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
        total = sums_of(_in_quadratics, (self.data.quadratics(state.components), state.beta))
        return float(np.finfo(float).eps * total / self.data.n_cells)

    def iterate(self, state: _State) -> _State:
        """Units, centres, factors: one pass, each part exact."""
        v, hessians, free = unit_problems(self.data.quadratics(state.components), self.data.periods)
        problem = _UnitProblems(v, hessians, self.kappa, free)
        alpha, beta, at = problem.minimise(state.alpha, state.beta, state.at)
        return self.state(alpha, beta, at, state.components)

    def extrapolate(self, history: list[tuple[_State, _State]]) -> _State:
        """The last iterate, or Anderson's mixing over the last iterations where that, or part of the way, is lower.

        Slopes and centres are mixed together; units stay on the centres where they are.
        """
        last = history[-1][1]
        if len(history) < 2:
            return last
        if isinstance(self.data, BlockedPanel) or last.beta.size >= _LONG:
            return self._extrapolate_in_blocks(history)
        points = np.stack([_flat(new) for _, new in history], axis=1)
        steps = points - np.stack([_flat(old) for old, _ in history], axis=1)
        dr, dg = np.diff(steps, axis=1), np.diff(points, axis=1)
        gamma = np.linalg.lstsq(dr, steps[:, -1], rcond=1e-8)[0]
        size, on = last.alpha.size, last.at >= 0
        for length in self._lengths:
            flat = points[:, -1] - length * (dg @ gamma)
            alpha = flat[:size].reshape(last.alpha.shape)
            beta = flat[size:].reshape(last.beta.shape)
            beta[on] = alpha[last.at[on]]
            mixed = self.state(alpha, beta, last.at.copy(), last.components)
            if mixed.value <= last.value:
                return mixed
        return self._newton(last)

    @property
    def _lengths(self) -> tuple[float, ...]:
        """Shares of the extrapolation that are tried: where there is a Newton step to turn to, the whole."""
        return _SHORTENED[: 1 if isinstance(self.data, PanelArrays) else None]

    def _newton(self, last: _State) -> _State:
        """Newton's step, or part of it, where that is lower."""
        steps = None
        if isinstance(self.data, PanelArrays):
            steps = newton_step(self.data, self.kappa, last.alpha, last.beta, last.at, last.components)
        if steps is None:
            return last
        for length in _NEWTON:
            alpha = last.alpha + length * steps[0]
            beta = rows_of(_stepped, (last.beta, last.at, steps[1]), alpha, length)
            trial = self.state(alpha, beta, last.at, last.components)
            if trial.value <= last.value:
                return trial
        return last

    def _extrapolate_in_blocks(self, history: list[tuple[_State, _State]]) -> _State:
        """The same for many entities, whose iterates are not laid side by side."""
        last = history[-1][1]
        olds, news = ([[pair[k].alpha, pair[k].beta] for pair in history] for k in range(2))
        gamma = mixing_weights(news, olds)
        for length in self._lengths:
            alpha, beta = (mixed([one[k] for one in news], gamma, length) for k in range(2))
            beta = rows_of(_on_centres, (beta, last.at), alpha)
            trial = self.state(alpha, beta, last.at, last.components)
            if trial.value <= last.value:
                return trial
        return self._newton(last)


def _stands(before: float, now: float) -> bool:
    return before - now <= _FALL * now


def _flat(state: _State) -> Array:
    return np.concatenate([state.alpha.ravel(), state.beta.ravel()])


class _UnitProblems:
    """The profile over the units at fixed factors."""

    def __init__(self, v: Array, hessians: Array, kappa: float, free: Array) -> None:
        self.v, self.hessians, self.kappa, self.free = v, hessians, kappa, free

    def solve(self, alpha: Array, beta: Array, at: IntArray, explore: bool = False) -> tuple[float, Array, IntArray]:
        units = (self.v, self.hessians, self.free, beta, at)
        nodes, beta, at = small_and_rows(_solved, 2, units, self.kappa, alpha, explore)
        return total_of(node for share in nodes for node in share), beta, at

    def derivatives(self, alpha: Array, beta: Array, at: IntArray) -> tuple[Array, Array]:
        """Gradient (K p,) and Hessian (K p, K p) of the profile."""
        total = sums_of(_derivatives, (self.v, self.hessians, beta, at), self.kappa, alpha)
        return total[0], total[1:]

    def minimise(self, alpha: Array, beta: Array, at: IntArray) -> tuple[Array, Array, IntArray]:
        """Newton in the centres: a step where it need not be shortened, else a few. The factors move next anyway."""
        value, beta, at = self.solve(alpha, beta, at, explore=True)
        for _ in range(_NEWTON_STEPS):
            grad, hess = self.derivatives(alpha, beta, at)
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
            if length == 1.0 or gain <= 1e-13 * abs(value):
                break
        return alpha, beta, at


def _solved(first: int, *given: Any) -> tuple[list[Node], Array, IntArray]:
    """Values, slopes and places of units, see :meth:`_UnitProblems.solve`."""
    v, hessians, free, beta, at, kappa, alpha, explore = given
    beta, at = np.array(beta), np.array(at)

    def part(rows: slice) -> float:
        problem = v[rows], hessians[rows], kappa, alpha, free[rows]
        return float(solve_units(*problem, beta[rows], at[rows], explore))

    return block_sums(part, len(beta), UNITS, first), beta, at


def _derivatives(
    first: int, v: Array, hessians: Array, beta: Array, at: IntArray, kappa: float, alpha: Array
) -> list[Node]:
    """Gradient in the first row, the Hessian below."""
    p, size = alpha.shape[1], alpha.size

    def part(rows: slice) -> Array:
        out, left, right = np.empty((size + 1, size)), np.empty((p, size)), np.empty((size, p))
        own = v[rows], hessians[rows], kappa, alpha, beta[rows], at[rows]
        profile_derivatives(*own, out[0], out[1:], left, right)
        return out

    return block_sums(part, len(beta), UNITS, first)


def _in_quadratics(first: int, quadratics: UnitQuadratics, beta: Array) -> list[Node]:
    a = quadratics.a
    return block_sums(lambda rows: float(np.einsum("npp,np->", a[rows], beta[rows] ** 2)), len(beta), UNITS, first)


def _on_centres(_: int, beta: Array, at: IntArray, alpha: Array) -> Array:
    """Slopes, of units that sit on a centre those of the centre."""
    beta, on = np.array(beta), at >= 0
    beta[on] = alpha[at[on]]
    return beta


def _stepped(first: int, beta: Array, at: IntArray, step: Array, alpha: Array, length: float) -> Array:
    """Slopes moved, those of units on a centre with it."""
    return _on_centres(first, beta + length * step, at, alpha)


def _nowhere(_: int, beta: Array) -> IntArray:
    return np.full(len(beta), -1, dtype=np.int64)


def _lengths(first: int, new: Array, old: Array) -> list[Node]:
    """Sums of squares of the differences, and of the new ones."""

    def part(rows: slice) -> Array:
        step = new[rows] - old[rows]
        return np.array([np.vdot(step, step), np.vdot(new[rows], new[rows])])

    return block_sums(part, len(new), UNITS, first)


def _descent_direction(hess: Array, grad: Array) -> Array:
    """-|H|^-1 g: Newton's step with the curvature made positive."""
    steps, singular = solve_batch(hess[None], grad[None], grad[None])
    if not singular[0]:
        return -steps[0]
    values, vectors = positive_spectrum(0.5 * (hess + hess.T))
    return -vectors @ ((vectors.T @ grad) / values)


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
    state = problem.state(alpha.copy(), beta, rows_of(_nowhere, (beta,)), first)
    path = [state.value]
    history: list[tuple[_State, _State]] = []
    step, converged = np.inf, False
    bounded = data.is_bounded(n_factors)
    while len(path) <= max_iter:
        new = problem.iterate(state)
        lengths = [total_of(_lengths(0, new.alpha, state.alpha)), sums_of(_lengths, (new.beta, state.beta))]
        moved, size = np.sqrt(lengths[0] + lengths[1])
        step = float(moved / max(size, 1e-300))
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
