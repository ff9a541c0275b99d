"""The convex joint step of penalised principal components, exactly.

For unit curvatures H_i, unconstrained minimisers b_i^ and weights c_i it minimises, over the slopes b_i and the
common centre a,

    sum_i  1/2 (b_i - b_i^)' H_i (b_i - b_i^) + c_i ||b_i - a||,

which is the step of Su & Ju (2018, Section 3.2) for one group. Given `a` each unit has a secular equation; the
profile over `a` is convex and continuously differentiable, with an exact Hessian.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit
from gifepanel.kernels.small import cholesky_in_place, cholesky_solve_in_place

__all__ = ["joint_profile", "joint_slopes", "secular_root"]

_SECULAR_STEPS = 60


@jit
def secular_root(g, h, c):
    """Root tau > 0 of ``sum_j g_j^2 / (h_j tau + c)^2 = 1``, where ``||g|| > c > 0``.

    Newton on ``(sum_j g_j^2 / (h_j tau + c)^2)^(-1/2) - 1``, which is concave and increasing in tau (linear when all
    h_j are equal), from the left end of ``[(||g|| - c)/h_max, (||g|| - c)/h_min]``: it climbs to the root without
    overshooting.

    Parameters
    ----------
    g : ndarray, shape (p,)
    h : ndarray, shape (p,)
        Eigenvalues, not negative.
    c : float
    """
    p = g.shape[0]
    norm = 0.0
    h_max = 0.0
    for j in range(p):
        norm += g[j] * g[j]
        if h[j] > h_max:
            h_max = h[j]
    norm = np.sqrt(norm)
    tau = (norm - c) / h_max
    for _ in range(_SECULAR_STEPS):
        s = 0.0
        d = 0.0
        for j in range(p):
            e = h[j] * tau + c
            r = g[j] / e
            s += r * r
            d += r * r * h[j] / e
        step = (np.sqrt(s) - 1.0) * s / d
        if not step > 1e-15 * tau:
            # the climb is over: what is left is rounding
            break
        tau += step
    return tau


@jit
def _offset(v, hmat, a, s):
    """s = v - H a; returns its norm."""
    p = a.shape[0]
    norm = 0.0
    for j in range(p):
        e = v[j]
        for m in range(p):
            e -= hmat[j, m] * a[m]
        s[j] = e
        norm += e * e
    return np.sqrt(norm)


@jit
def _shift(s, values, vectors, c, g, t):
    """The offset t = b_i - a of a unit that does not fuse; returns its length tau, 0 if it does after all.

    Where the curvature is zero the force is zero but for rounding, which would carry the unit to infinity.
    """
    p = s.shape[0]
    norm = 0.0
    for j in range(p):
        e = 0.0
        if values[j] > 0.0:
            for m in range(p):
                e += vectors[m, j] * s[m]
        g[j] = e
        norm += e * e
    if norm <= c * c:
        return 0.0
    tau = secular_root(g, values, c)
    for j in range(p):
        g[j] = tau * g[j] / (values[j] * tau + c)
    for j in range(p):
        e = 0.0
        for m in range(p):
            e += vectors[j, m] * g[m]
        t[j] = e
    return tau


@jit(plain=True)
def joint_profile(v, hmat, values, vectors, c, a, grad, hess):
    """Value, gradient and Hessian of the profile over the slopes at the centre `a`.

    Parameters
    ----------
    v : ndarray, shape (N, p)
        H_i b_i^.
    hmat : ndarray, shape (N, p, p)
    values, vectors : ndarray, shapes (N, p) and (N, p, p)
        Eigendecomposition of every H_i, the eigenvalues not negative and exactly zero where they are rounding.
    c : ndarray, shape (N,)
        Weights. A unit with weight 0 does not depend on the centre and is passed over.
    a : ndarray, shape (p,)
    grad, hess : ndarray, shapes (p,) and (p, p)
        Overwritten.

    Returns
    -------
    value : float
        The profile up to the constant sum of 1/2 b^'H b^ over the units with c > 0.
    n_fused : int
    """
    n, p = v.shape
    s = np.empty(p)
    g = np.empty(p)
    t = np.empty(p)
    work = np.empty((p, p))
    rhs = np.empty(p)
    col = np.empty((p, p))
    value = 0.0
    fused = 0
    grad[:] = 0.0
    hess[:] = 0.0
    for i in range(n):
        ci = c[i]
        if ci <= 0.0:
            continue
        norm = _offset(v[i], hmat[i], a, s)
        tau = _shift(s, values[i], vectors[i], ci, g, t) if norm > ci else 0.0
        if tau <= 0.0:
            fused += 1
            for j in range(p):
                grad[j] -= s[j]
                value -= 0.5 * (v[i, j] + s[j]) * a[j]
                for m in range(p):
                    hess[j, m] += hmat[i, j, m]
            continue
        value += ci * tau
        for j in range(p):
            grad[j] -= ci * t[j] / tau
            e = 0.0
            for m in range(p):
                e += hmat[i, j, m] * (a[m] + t[m])
            value += (0.5 * e - v[i, j]) * (a[j] + t[j])
        # H - H (H + S)^-1 H with S = (c/tau)(I - t t'/tau^2), written S - S (H + S)^-1 S: no cancellation
        for j in range(p):
            for m in range(p):
                e = -ci * t[j] * t[m] / (tau * tau * tau)
                if j == m:
                    e += ci / tau
                col[j, m] = e
                work[j, m] = hmat[i, j, m] + e
        if not cholesky_in_place(work):
            continue
        for m in range(p):
            for j in range(p):
                rhs[j] = col[j, m]
            cholesky_solve_in_place(work, rhs)
            for j in range(p):
                e = col[j, m]
                for q in range(p):
                    e -= col[j, q] * rhs[q]
                hess[j, m] += e
    return value, fused


@jit(plain=True)
def joint_slopes(v, hmat, values, vectors, free, c, a, beta, fused):
    """The unit slopes at the centre `a`.

    Parameters
    ----------
    v, hmat, values, vectors, c, a
        As in :func:`joint_profile`.
    free : ndarray, shape (N, p)
        The unconstrained minimisers b_i^, taken by units with weight 0.
    beta : ndarray, shape (N, p)
        Overwritten by the slopes.
    fused : ndarray of bool, shape (N,)
        Overwritten: whether the unit sits on the centre.
    """
    n, p = v.shape
    s = np.empty(p)
    g = np.empty(p)
    t = np.empty(p)
    for i in range(n):
        if c[i] <= 0.0:
            fused[i] = False
            for j in range(p):
                beta[i, j] = free[i, j]
            continue
        norm = _offset(v[i], hmat[i], a, s)
        tau = _shift(s, values[i], vectors[i], c[i], g, t) if norm > c[i] else 0.0
        fused[i] = tau <= 0.0
        for j in range(p):
            beta[i, j] = a[j] if fused[i] else a[j] + t[j]
