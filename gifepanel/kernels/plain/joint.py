"""The convex joint step: :mod:`gifepanel.kernels.joint`."""

from __future__ import annotations

import numpy as np

from gifepanel.kernels.plain.ordered import Array, BoolArray, last, ordered_sum
from gifepanel.kernels.plain.small import cholesky, cholesky_solve

__all__ = ["joint_profile", "joint_slopes"]

_SECULAR_STEPS = 60


def _secular_roots(g: Array, h: Array, c: Array) -> Array:
    """Roots tau (M,) for g and h (p, M)."""
    p = len(g)
    norm, h_max = np.zeros(len(c)), np.zeros(len(c))
    for j in range(p):
        norm += g[j] * g[j]
        h_max = np.where(h[j] > h_max, h[j], h_max)
    tau = (np.sqrt(norm) - c) / h_max
    on = np.arange(len(c))
    for _ in range(_SECULAR_STEPS):
        s, d = np.zeros(len(on)), np.zeros(len(on))
        for j in range(p):
            e = h[j, on] * tau[on] + c[on]
            r = g[j, on] / e
            s += r * r
            d += r * r * h[j, on] / e
        step = (np.sqrt(s) - 1.0) * s / d
        climbs = step > 1e-15 * tau[on]
        on, step = on[climbs], step[climbs]
        if not len(on):
            break
        tau[on] += step
    return tau


def _offsets(v: Array, hmat: Array, a: Array) -> tuple[Array, Array]:
    """v - H a (p, N), and their norms."""
    s, norm = v.copy(), np.zeros(v.shape[1])
    for m in range(len(a)):
        s -= hmat[:, m] * a[m]
    for j in range(len(a)):
        norm += s[j] * s[j]
    return s, np.sqrt(norm)


def _shifts(s: Array, values: Array, vectors: Array, c: Array, among: BoolArray) -> tuple[Array, Array]:
    """Lengths tau (N,), 0 for entities that fuse, and offsets t (p, N), of the entities `among`."""
    p, n = s.shape
    tau, t = np.zeros(n), np.zeros((p, n))
    on = np.flatnonzero(among)
    g, norm = np.zeros((p, len(on))), np.zeros(len(on))
    for m in range(p):
        g += vectors[m][:, on] * s[m, on]
    g[~(values[:, on] > 0.0)] = 0.0
    for j in range(p):
        norm += g[j] * g[j]
    apart = ~(norm <= c[on] * c[on])
    on, g = on[apart], g[:, apart]
    tau[on] = _secular_roots(g, values[:, on], c[on])
    g = tau[on] * g / (values[:, on] * tau[on] + c[on])
    for m in range(p):
        t[:, on] += vectors[:, m, on] * g[m]
    return tau, t


def joint_profile(
    v: Array, hmat: Array, values: Array, vectors: Array, c: Array, a: Array, grad: Array, hess: Array
) -> tuple[float, int]:
    """Value of the profile at the centre `a` and the number of entities on it; gradient and Hessian in place."""
    with np.errstate(all="ignore"):
        return _profile(v, hmat, values, vectors, c, a, grad, hess)


def _profile(
    v: Array, hmat: Array, values: Array, vectors: Array, c: Array, a: Array, grad: Array, hess: Array
) -> tuple[float, int]:
    used = c > 0.0
    v, c, values = v[used].T.copy(), c[used], values[used].T.copy()
    hmat, vectors = hmat[used].transpose(1, 2, 0).copy(), vectors[used].transpose(1, 2, 0).copy()
    p, n = v.shape
    s, norm = _offsets(v, hmat, a)
    tau, t = _shifts(s, values, vectors, c, norm > c)
    fused = tau <= 0.0
    moved = np.zeros((p, n))
    for m in range(p):
        moved += hmat[:, m] * (a[m] + t[m])
    there = a[:, None] + t
    parts = np.empty((n, p + 1))
    parts[:, 0] = np.where(fused, 0.0, c * tau)
    parts[:, 1:] = np.where(fused, -(0.5 * (v + s) * a[:, None]), (0.5 * moved - v) * there).T
    grad[:] = ordered_sum(np.where(fused, -s, -(c * t / tau)).T)
    hess[:] = ordered_sum(np.where(fused, hmat, _schur(hmat, c, t, tau)).transpose(2, 0, 1))
    return last(parts), int(fused.sum())


def _schur(hmat: Array, c: Array, t: Array, tau: Array) -> Array:
    """S - S (H + S)^-1 S (p, p, N), with S = (c/tau)(I - t t'/tau^2); zero where H + S is not positive definite."""
    p = len(t)
    col = -c * t[:, None] * t / (tau * tau * tau)
    col[np.arange(p), np.arange(p)] += c / tau
    work = hmat + col
    definite = cholesky(work)
    out = col.copy()
    for m in range(p):
        rhs = col[:, m].copy()
        cholesky_solve(work, rhs)
        for q in range(p):
            out[:, m] -= col[:, q] * rhs[q]
    return np.where(definite, out, 0.0)


def joint_slopes(
    v: Array,
    hmat: Array,
    values: Array,
    vectors: Array,
    free: Array,
    c: Array,
    a: Array,
    beta: Array,
    fused: BoolArray,
) -> None:
    """Slopes of the entities at the centre `a`, and which sit on it."""
    with np.errstate(all="ignore"):
        s, norm = _offsets(v.T, hmat.transpose(1, 2, 0), a)
        used = c > 0.0
        spectrum = np.ascontiguousarray(values.T), np.ascontiguousarray(vectors.transpose(1, 2, 0))
        tau, t = _shifts(s, *spectrum, c, used & (norm > c))
    fused[:] = used & (tau <= 0.0)
    beta[:] = np.where(used, np.where(fused, a[:, None], a[:, None] + t), free.T).T
