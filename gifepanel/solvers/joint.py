"""The convex joint step over the unit slopes and one centre: damped Newton on the profile over the centre."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.blocks import UNITS, Node, block_sums, each_block, total_of
from gifepanel.kernels.joint import joint_profile, joint_slopes
from gifepanel.kernels.small import eigh_batch
from gifepanel.shares import from_shares, items, rows_of, sums_of
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
    values, vectors = items(rows_of(_spectra, (hessians,)), 2)
    units, p = (v, hessians, values, vectors, c), centre.shape[0]

    def profile(at: Array) -> tuple[float, Array, Array]:
        total = sums_of(_profile, units, at)
        return float(total[0]), total[1 : 1 + p], total[1 + p :].reshape(p, p)

    a = centre.copy()
    sizes = from_shares(_sizes, (c, minimisers), a)
    target = tol * max(float(total_of(node for nodes, _ in sizes for node in nodes)), np.finfo(float).tiny)
    value, grad, hess = profile(a)
    radius = max(largest for _, largest in sizes) + np.finfo(float).tiny
    iteration = 0
    while iteration < max_iter and _length(grad) > target:
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
                abs(new - value) <= 1e-13 * abs(value) and _length(grad) < _length(g_old)
            ):
                a, value, moved = trial, new, True
                break
            length *= 0.5
        if not moved:
            grad, hess = g_old, h_old
            break
    beta, fused = items(rows_of(_slopes, (*units, minimisers), a), 2)
    return JointStep(a, beta, fused, _length(grad), iteration)


def _length(vector: Array) -> float:
    return math.sqrt(vector @ vector)


def _spectra(_: int, hessians: Array) -> tuple[Array, Array]:
    """Eigenvalues, those that are rounding as zeros, and eigenvectors."""
    values, vectors = _stacked(each_block(lambda rows: eigh_batch(hessians[rows]), len(hessians), UNITS))
    values[values <= _ROUNDING * values.max(axis=1, initial=0.0, keepdims=True)] = 0.0
    return values, vectors


def _sizes(first: int, c: Array, minimisers: Array, centre: Array) -> tuple[list[Node], float]:
    """The sum of the weights, and the largest distance of a coordinate."""
    sums = block_sums(lambda rows: float(c[rows].sum()), len(c), UNITS, first)
    return sums, float(np.abs(minimisers - centre).max())


def _profile(first: int, v: Array, hessians: Array, values: Array, vectors: Array, c: Array, at: Array) -> list[Node]:
    """Value, gradient and Hessian of the profile over the centre, one behind the other."""
    p = len(at)

    def part(rows: slice) -> Array:
        out = np.empty(1 + p + p * p)
        grad, hess = out[1 : 1 + p], out[1 + p :].reshape(p, p)
        out[0] = joint_profile(v[rows], hessians[rows], values[rows], vectors[rows], c[rows], at, grad, hess)[0]
        return out

    return block_sums(part, len(c), UNITS, first)


def _slopes(
    _: int, v: Array, hessians: Array, values: Array, vectors: Array, c: Array, minimisers: Array, at: Array
) -> tuple[Array, np.ndarray[Any, np.dtype[np.bool_]]]:
    beta = np.empty_like(minimisers)
    fused = np.empty(len(beta), dtype=np.bool_)

    def place(rows: slice) -> None:
        own = v[rows], hessians[rows], values[rows], vectors[rows], minimisers[rows], c[rows]
        joint_slopes(*own, at, beta[rows], fused[rows])

    each_block(place, len(beta), UNITS)
    return beta, fused


def _stacked(parts: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    return parts[0] if len(parts) == 1 else tuple(np.concatenate(some) for some in zip(*parts, strict=True))


def _newton_direction(hess: Array, grad: Array, radius: float) -> Array:
    """-H^-1 g, with flat directions bounded: the profile is linear where no unit fuses and p = 1."""
    values, vectors = (one[0] for one in eigh_batch(hess[None]))
    floor = _length(grad) / radius
    return -vectors @ ((vectors.T @ grad) / np.maximum(values, 1e-3 * floor))
