"""Passes over the observed cells of a panel, entity by entity: least squares with factors where cells are missing.

Cells are sorted by entity, then time; arrays by cell are held as (columns, n), so that inner loops are contiguous. All
of them but `root`, the square roots of the weights, are multiplied by it beforehand. Every entity has a basis of its
own, B_i = [known columns, root times F at its periods] = Q_i R_i, off which its rows are projected: M_i = I - Q_i Q_i'.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = [
    "CellData",
    "CellState",
    "evaluate_cells",
    "hessian_product",
    "normal_blocks",
    "off_units",
    "truncated_cg",
    "unit_moments",
    "unit_scores",
]


class CellData(NamedTuple):
    """The observed cells.

    Attributes
    ----------
    ptr : ndarray of int64, shape (N + 1,)
        Cells of entity i are ``ptr[i]:ptr[i + 1]``.
    time : ndarray of int64, shape (n,)
    y : ndarray, shape (n,)
    x : ndarray, shape (p, n)
    known : ndarray, shape (d, n)
        Columns with a coefficient of each entity; ones are entity effects.
    period : ndarray, shape (m, n)
        Columns with a coefficient of each period; ones are time effects.
    root : ndarray, shape (n,)
        Square roots of the weights.
    """

    ptr: np.ndarray
    time: np.ndarray
    y: np.ndarray
    x: np.ndarray
    known: np.ndarray
    period: np.ndarray
    root: np.ndarray


class CellState(NamedTuple):
    """What an evaluation leaves behind.

    Attributes
    ----------
    e : ndarray, shape (n,)
        Residuals, times `root`.
    q : ndarray, shape (d + R, n)
        Orthonormal columns of every entity; zero where a column is spanned by those before it.
    tri : ndarray, shape (N, d + R, d + R)
        R_i, upper triangular; a zero on the diagonal marks a column that is spanned.
    coef : ndarray, shape (N, d + R)
        Coefficients of each entity: of the known columns, then its loadings.
    g_period : ndarray, shape (R + m, T)
        Gradient of half the sum of squares in factors and period coefficients.
    g_theta : ndarray, shape (q,)
    """

    e: np.ndarray
    q: np.ndarray
    tri: np.ndarray
    coef: np.ndarray
    g_period: np.ndarray
    g_theta: np.ndarray


@jit
def _dot(a, b):
    """a'b, by four sums side by side."""
    n = a.shape[0]
    whole = n - n % 4
    s0 = 0.0
    s1 = 0.0
    s2 = 0.0
    s3 = 0.0
    for k in range(0, whole, 4):
        s0 += a[k] * b[k]
        s1 += a[k + 1] * b[k + 1]
        s2 += a[k + 2] * b[k + 2]
        s3 += a[k + 3] * b[k + 3]
    for k in range(whole, n):
        s0 += a[k] * b[k]
    return (s0 + s1) + (s2 + s3)


@jit
def _add(out, factor, a):
    for k in range(out.shape[0]):
        out[k] += factor * a[k]


@jit
def _orthonormalise(q, tri, lo, hi, tol):
    """Modified Gram-Schmidt of the columns ``q[:, lo:hi]`` in place, a second time where much was taken off."""
    for j in range(q.shape[0]):
        column = q[j, lo:hi]
        before = _dot(column, column)
        for m in range(q.shape[0]):
            tri[m, j] = 0.0
        last = before
        for _ in range(3):
            for m in range(j):
                if tri[m, m] != 0.0:
                    v = _dot(q[m, lo:hi], column)
                    tri[m, j] += v
                    _add(column, -v, q[m, lo:hi])
            left = _dot(column, column)
            if left > 0.25 * last or left <= tol * tol * before:
                break
            last = left
        left = _dot(column, column)
        if left <= tol * tol * before or left == 0.0:
            for k in range(hi - lo):
                column[k] = 0.0
        else:
            length = np.sqrt(left)
            tri[j, j] = length
            for k in range(hi - lo):
                column[k] /= length


@jit
def _solve_upper(tri, b):
    """R^-1 b in place; 0 for columns that are spanned."""
    for j in range(b.shape[0] - 1, -1, -1):
        if tri[j, j] == 0.0:
            b[j] = 0.0
        else:
            for m in range(j + 1, b.shape[0]):
                b[j] -= tri[j, m] * b[m]
            b[j] /= tri[j, j]


@jit
def _solve_lower(tri, b):
    """R^-T b in place; 0 for columns that are spanned."""
    for j in range(b.shape[0]):
        if tri[j, j] == 0.0:
            b[j] = 0.0
        else:
            for m in range(j):
                b[j] -= tri[m, j] * b[m]
            b[j] /= tri[j, j]


@jit
def evaluate_cells(data, groups, slots, theta, factors, effects, tol, state):
    """Sum of squares at slopes, factors and period coefficients, unit coefficients concentrated out; fills `state`.

    Parameters
    ----------
    data : CellData
    groups : ndarray of int64, shape (N,)
    slots : ndarray of int64, shape (K, p)
    theta : ndarray, shape (q,)
    factors : ndarray, shape (R, T)
    effects : ndarray, shape (m, T)
        Coefficients of the columns `period`.
    tol : float
        A column of which those before leave less than this share is spanned.
    state : CellState
    """
    time, root = data.time, data.root
    e, q, tri, coef = state.e, state.q, state.tri, state.coef
    d, r, m, p = data.known.shape[0], factors.shape[0], data.period.shape[0], data.x.shape[0]
    state.g_period[:] = 0.0
    state.g_theta[:] = 0.0
    ssr = 0.0
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        own = e[lo:hi]
        own[:] = data.y[lo:hi]
        for j in range(p):
            _add(own, -theta[slots[groups[i], j]], data.x[j, lo:hi])
        for j in range(m):
            for k in range(lo, hi):
                e[k] -= data.period[j, k] * effects[j, time[k]]
        for j in range(d):
            q[j, lo:hi] = data.known[j, lo:hi]
        for j in range(r):
            for k in range(lo, hi):
                q[d + j, k] = root[k] * factors[j, time[k]]
        _orthonormalise(q, tri[i], lo, hi, tol)
        for j in range(d + r):
            v = _dot(q[j, lo:hi], own)
            coef[i, j] = v
            _add(own, -v, q[j, lo:hi])
        _solve_upper(tri[i], coef[i])
        ssr += _dot(own, own)
        for j in range(r):
            v = coef[i, d + j]
            for k in range(lo, hi):
                state.g_period[j, time[k]] -= root[k] * e[k] * v
        for j in range(m):
            for k in range(lo, hi):
                state.g_period[r + j, time[k]] -= data.period[j, k] * e[k]
        for j in range(p):
            state.g_theta[slots[groups[i], j]] -= _dot(data.x[j, lo:hi], own)
    return ssr


@jit
def hessian_product(data, groups, slots, state, step, turn, full, out_period, out_theta, work, h, du):
    """The Hessian of half the sum of squares times a direction; with ``full=False`` the Gauss-Newton matrix.

    Parameters
    ----------
    data, groups, slots, state
    step : ndarray, shape (R + m, T)
        Direction in factors and period coefficients.
    turn : ndarray, shape (q,)
        Direction in the slopes.
    full : bool
    out_period, out_theta : ndarray
        The product.
    work, h, du : ndarray, shapes (n,), (d + R,), (d + R,)
        Room.
    """
    time, root, e, q = data.time, data.root, state.e, state.q
    d, m, p, b = data.known.shape[0], data.period.shape[0], data.x.shape[0], state.q.shape[0]
    r = b - d
    out_period[:] = 0.0
    out_theta[:] = 0.0
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        own = work[lo:hi]
        own[:] = 0.0
        h[:] = 0.0
        for j in range(r):
            v = state.coef[i, d + j]
            s = 0.0
            for k in range(lo, hi):
                g = root[k] * step[j, time[k]]
                work[k] += v * g
                s += e[k] * g
            h[d + j] = s
        for j in range(m):
            for k in range(lo, hi):
                work[k] += data.period[j, k] * step[r + j, time[k]]
        for j in range(p):
            _add(own, turn[slots[groups[i], j]], data.x[j, lo:hi])
        if full:
            _solve_lower(state.tri[i], h)
        else:
            h[:] = 0.0
        for j in range(b):
            v = _dot(q[j, lo:hi], own)
            du[j] = h[j] - v
            _add(own, du[j], q[j, lo:hi])
        if full:
            _solve_upper(state.tri[i], du)
        for j in range(r):
            v, u = state.coef[i, d + j], du[d + j]
            if full:
                for k in range(lo, hi):
                    out_period[j, time[k]] += root[k] * (v * work[k] - u * e[k])
            else:
                for k in range(lo, hi):
                    out_period[j, time[k]] += root[k] * v * work[k]
        for j in range(m):
            for k in range(lo, hi):
                out_period[r + j, time[k]] += data.period[j, k] * work[k]
        for j in range(p):
            out_theta[slots[groups[i], j]] += _dot(data.x[j, lo:hi], own)


@jit
def unit_moments(data, state, a):
    """X_i'M_i X_i of every entity into `a` (N, p, p)."""
    p, b = data.x.shape[0], state.q.shape[0]
    qx = np.empty((b, p))
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        for j in range(p):
            for c in range(b):
                qx[c, j] = _dot(state.q[c, lo:hi], data.x[j, lo:hi])
            for k in range(j + 1):
                s = _dot(data.x[j, lo:hi], data.x[k, lo:hi])
                for c in range(b):
                    s -= qx[c, j] * qx[c, k]
                a[i, j, k] = s
                a[i, k, j] = s


@jit
def unit_scores(data, e, xe, ee):
    """X_i'e_i (N, p) and e_i'e_i (N,) of every entity."""
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        ee[i] = _dot(e[lo:hi], e[lo:hi])
        for j in range(data.x.shape[0]):
            xe[i, j] = _dot(data.x[j, lo:hi], e[lo:hi])


@jit
def normal_blocks(data, state, out):
    """Sums over the entities of l l' in every period, l = (loadings times root, period columns): (T, R + m, R + m)."""
    time, root = data.time, data.root
    d, m, b = data.known.shape[0], data.period.shape[0], state.q.shape[0]
    r = b - d
    own = np.empty(r + m)
    out[:] = 0.0
    for i in range(data.ptr.shape[0] - 1):
        for k in range(data.ptr[i], data.ptr[i + 1]):
            for j in range(r):
                own[j] = root[k] * state.coef[i, d + j]
            for j in range(m):
                own[r + j] = data.period[j, k]
            for j in range(r + m):
                for c in range(j + 1):
                    out[time[k], j, c] += own[j] * own[c]
    for t in range(out.shape[0]):
        for j in range(r + m):
            for c in range(j):
                out[t, c, j] = out[t, j, c]


@jit
def off_units(ptr, q, z):
    """Columns z (k, n) projected off every entity's basis, in place."""
    for i in range(ptr.shape[0] - 1):
        lo, hi = ptr[i], ptr[i + 1]
        for j in range(q.shape[0]):
            for c in range(z.shape[0]):
                _add(z[c, lo:hi], -_dot(q[j, lo:hi], z[c, lo:hi]), q[j, lo:hi])


@jit
def _off_gauge(gauge, free, step):
    """Rows of `step` (R + m, T) projected off the rows of `gauge` (g, T), but those that are `free`."""
    for j in range(step.shape[0]):
        if free[j]:
            continue
        for g in range(gauge.shape[0]):
            _add(step[j], -_dot(gauge[g], step[j]), gauge[g])


@jit
def _precondition(inv_period, inv_theta, gauge, free, g_period, g_theta, out_period, out_theta):
    r, t = g_period.shape
    for k in range(t):
        for j in range(r):
            s = 0.0
            for c in range(r):
                s += inv_period[k, j, c] * g_period[c, k]
            out_period[j, k] = s
    for j in range(g_theta.shape[0]):
        s = 0.0
        for c in range(g_theta.shape[0]):
            s += inv_theta[j, c] * g_theta[c]
        out_theta[j] = s
    _off_gauge(gauge, free, out_period)


@jit
def _inner(a, b, c, d):
    s = _dot(b, d)
    for j in range(a.shape[0]):
        s += _dot(a[j], c[j])
    return s


@jit
def truncated_cg(data, groups, slots, state, inv_period, inv_theta, gauge, free, full, radius, max_iter, tol):
    """Steihaug's truncated conjugate gradients, the trust region in the norm of the preconditioner.

    Steihaug, T. (1983). The conjugate gradient method and trust regions in large scale optimization. *SIAM Journal on
    Numerical Analysis* 20, 626-637.

    Parameters
    ----------
    data, groups, slots, state
    inv_period : ndarray, shape (T, R + m, R + m)
        Inverses of the blocks of the preconditioner, by period.
    inv_theta : ndarray, shape (q, q)
    gauge : ndarray, shape (g, T)
        Orthonormal rows: directions along which factors and period coefficients change nothing.
    free : ndarray of bool, shape (R + m,)
        Rows that have no such direction.
    full : bool
        The exact Hessian, or Gauss-Newton's matrix.
    radius : float
    max_iter : int
    tol : float
        Of the residual, relative to the gradient, in the norm of the inverse preconditioner.

    Returns
    -------
    step, turn : ndarray
    predicted : float
        Decrease of half the sum of squares by the quadratic model.
    products : int
    hit : bool
        At the boundary, or along negative curvature.
    size : float
        Of the gradient in the norm of the inverse preconditioner.
    """
    r, t = state.g_period.shape
    q = state.g_theta.shape[0]
    res, res_theta = state.g_period.copy(), state.g_theta.copy()
    z, z_theta = np.zeros((r, t)), np.zeros(q)
    hz, hz_theta = np.zeros((r, t)), np.zeros(q)
    y, y_theta = np.zeros((r, t)), np.zeros(q)
    hp, hp_theta = np.zeros((r, t)), np.zeros(q)
    work, h, du = np.zeros(data.time.shape[0]), np.zeros(state.q.shape[0]), np.zeros(state.q.shape[0])
    _off_gauge(gauge, free, res)
    _precondition(inv_period, inv_theta, gauge, free, res, res_theta, y, y_theta)
    p, p_theta = -y, -y_theta
    now = _inner(res, res_theta, y, y_theta)
    first = now
    zz, zp, pp = 0.0, 0.0, now
    products = 0
    hit = False
    while products < max_iter and now > 0.0:
        hessian_product(data, groups, slots, state, p, p_theta, full, hp, hp_theta, work, h, du)
        products += 1
        _off_gauge(gauge, free, hp)
        curvature = _inner(p, p_theta, hp, hp_theta)
        alpha = now / curvature if curvature > 0.0 else np.inf
        size = zz + 2.0 * alpha * zp + alpha * alpha * pp if curvature > 0.0 else np.inf
        if curvature <= 1e-14 * pp or size >= radius * radius:
            alpha = (-zp + np.sqrt(zp * zp + pp * (radius * radius - zz))) / pp
            z += alpha * p
            z_theta += alpha * p_theta
            hz += alpha * hp
            hz_theta += alpha * hp_theta
            hit = True
            break
        z += alpha * p
        z_theta += alpha * p_theta
        hz += alpha * hp
        hz_theta += alpha * hp_theta
        res += alpha * hp
        res_theta += alpha * hp_theta
        zz = size
        _precondition(inv_period, inv_theta, gauge, free, res, res_theta, y, y_theta)
        new = _inner(res, res_theta, y, y_theta)
        if new <= tol * tol * first:
            break
        beta = new / now
        now = new
        zp = beta * (zp + alpha * pp)
        pp = new + beta * beta * pp
        p = -y + beta * p
        p_theta = -y_theta + beta * p_theta
    predicted = -(_inner(state.g_period, state.g_theta, z, z_theta) + 0.5 * _inner(z, z_theta, hz, hz_theta))
    return z, z_theta, predicted, products, hit, np.sqrt(max(first, 0.0))
