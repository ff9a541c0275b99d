"""The convex joint step over the unit slopes and one centre: damped Newton on the profile over the centre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.blocks import UNITS, each_block, sum_over_blocks
from gifepanel.kernels.joint import joint_profile, joint_slopes
from gifepanel.kernels.small import eigh_batch
from gifepanel.solvers.arrays import Array

__all__ = ["JointStep", "joint_step"]

_ROUNDING = 1e-13


@dataclass(frozen=True)
class JointStep:
    """Minimum of ``sum_i 1/2 (b_i - b_i^)'H_i(b_i - b_i^) + c_i ||b_i - a||``.

    Attributes
    ----------
    centre : ndarray, shape (p,)
    beta : ndarray, shape (N, p)
    fused : ndarray of bool, shape (N,)
    gradient : float
        Norm of the profile's gradient at `centre`.
    n_iter : int
    """

    centre: Array
    beta: Array
    fused: np.ndarray[Any, np.dtype[np.bool_]]
    gradient: float
    n_iter: int


def joint_step(
    v: Array,
    hessians: Array,
    minimisers: Array,
    c: Array,
    centre: Array,
    *,
    tol: float = 1e-10,
    max_iter: int = 100,
) -> JointStep:
    """Solve the joint step of Su & Ju (2018, Section 3.2) from `centre`.

    Parameters
    ----------
    v : ndarray, shape (N, p)
        H_i b_i^.
    hessians : ndarray, shape (N, p, p)
        H_i, positive semidefinite.
    minimisers : ndarray, shape (N, p)
        b_i^; where H_i is singular any value, which a unit without weight takes.
    c : ndarray, shape (N,)
        Weights, not negative.
    centre : ndarray, shape (p,)
    tol : float
        On the gradient, relative to the sum of the weights.
    max_iter : int
    """
    c = np.ascontiguousarray(c)
    n = len(c)
    values, vectors = _stacked(each_block(lambda rows: eigh_batch(hessians[rows]), n, UNITS))
    values[values <= _ROUNDING * values.max(axis=1, initial=0.0, keepdims=True)] = 0.0
    p = centre.shape[0]

    def profile(at: Array) -> tuple[float, Array, Array]:
        def part(rows: slice) -> Array:
            out = np.empty(1 + p + p * p)
            grad, hess = out[1 : 1 + p], out[1 + p :].reshape(p, p)
            own = v[rows], hessians[rows], values[rows], vectors[rows], c[rows]
            out[0] = joint_profile(*own, at, grad, hess)[0]
            return out

        total = sum_over_blocks(part, n, UNITS)
        return float(total[0]), total[1 : 1 + p], total[1 + p :].reshape(p, p)

    a = centre.copy()
    target = tol * max(float(c.sum()), np.finfo(float).tiny)
    value, grad, hess = profile(a)
    radius = float(np.abs(minimisers - a).max()) + np.finfo(float).tiny
    iteration = 0
    while iteration < max_iter and np.linalg.norm(grad) > target:
        iteration += 1
        step = _newton_direction(hess, grad, radius)
        slope = float(grad @ step)
        length = 1.0
        moved = False
        g_old, h_old = grad, hess
        for _ in range(40):
            trial = a + length * step
            new, grad, hess = profile(trial)
            if new <= value + 1e-4 * length * slope or (
                abs(new - value) <= 1e-13 * abs(value) and np.linalg.norm(grad) < np.linalg.norm(g_old)
            ):
                a, value, moved = trial, new, True
                break
            length *= 0.5
        if not moved:
            grad, hess = g_old, h_old
            break
    beta = np.empty_like(minimisers)
    fused = np.empty(len(beta), dtype=np.bool_)

    def place(rows: slice) -> None:
        own = v[rows], hessians[rows], values[rows], vectors[rows], minimisers[rows], c[rows]
        joint_slopes(*own, a, beta[rows], fused[rows])

    each_block(place, n, UNITS)
    return JointStep(a, beta, fused, float(np.linalg.norm(grad)), iteration)


def _stacked(parts: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    return parts[0] if len(parts) == 1 else tuple(np.concatenate(some) for some in zip(*parts, strict=True))


def _newton_direction(hess: Array, grad: Array, radius: float) -> Array:
    """-H^-1 g, with flat directions bounded: the profile is linear where no unit fuses and p = 1."""
    values, vectors = np.linalg.eigh(hess)
    floor = np.linalg.norm(grad) / radius
    return -vectors @ ((vectors.T @ grad) / np.maximum(values, 1e-3 * floor))
