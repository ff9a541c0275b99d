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
    "add",
    "dot",
    "evaluate_cells",
    "gather",
    "hessian_product",
    "normal_blocks",
    "off_units",
    "orthonormalise",
    "period_sums",
    "scatter_product",
    "slope_moments",
    "solve_lower",
    "solve_upper",
    "unit_moments",
    "unit_sums",
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
def dot(a, b):
    """a'b, by eight sums side by side."""
    n = a.shape[0]
    whole = n - n % 8
    s0 = 0.0
    s1 = 0.0
    s2 = 0.0
    s3 = 0.0
    s4 = 0.0
    s5 = 0.0
    s6 = 0.0
    s7 = 0.0
    for k in range(0, whole, 8):
        s0 += a[k] * b[k]
        s1 += a[k + 1] * b[k + 1]
        s2 += a[k + 2] * b[k + 2]
        s3 += a[k + 3] * b[k + 3]
        s4 += a[k + 4] * b[k + 4]
        s5 += a[k + 5] * b[k + 5]
        s6 += a[k + 6] * b[k + 6]
        s7 += a[k + 7] * b[k + 7]
    for k in range(whole, n):
        s0 += a[k] * b[k]
    return ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7))


@jit
def add(out, factor, a):
    for k in range(out.shape[0]):
        out[k] += factor * a[k]


@jit
def gather(row, time, out):
    """out[k] = row[time[k]], times in order."""
    n = out.shape[0]
    if time[n - 1] - time[0] == n - 1:
        own = row[time[0] : time[0] + n]
        for k in range(n):
            out[k] = own[k]
    else:
        for k in range(n):
            out[k] = row[np.uint64(time[k])]


@jit
def scatter_product(row, time, factor, values, others):
    """row[time[k]] += factor * values[k] * others[k], times in order."""
    n = values.shape[0]
    if time[n - 1] - time[0] == n - 1:
        own = row[time[0] : time[0] + n]
        for k in range(n):
            own[k] += factor * values[k] * others[k]
    else:
        for k in range(n):
            row[np.uint64(time[k])] += factor * values[k] * others[k]


@jit
def orthonormalise(q, tri, lo, hi, tol):
    """Modified Gram-Schmidt of the columns ``q[:, lo:hi]`` in place, a second time where much was taken off."""
    for j in range(q.shape[0]):
        column = q[j, lo:hi]
        before = dot(column, column)
        left = before
        for m in range(q.shape[0]):
            tri[m, j] = 0.0
        for _ in range(3 if j else 0):
            last = left
            for m in range(j):
                if tri[m, m] != 0.0:
                    basis = q[m, lo:hi]
                    v = dot(basis, column)
                    tri[m, j] += v
                    add(column, -v, basis)
            left = dot(column, column)
            if left > 0.25 * last or left <= tol * tol * before:
                break
        if left <= tol * tol * before or left == 0.0:
            column[:] = 0.0
        else:
            tri[j, j] = np.sqrt(left)
            scale = 1.0 / tri[j, j]
            for k in range(hi - lo):
                column[k] *= scale


@jit
def solve_upper(tri, b):
    """R^-1 b in place; 0 for columns that are spanned."""
    for j in range(b.shape[0] - 1, -1, -1):
        if tri[j, j] == 0.0:
            b[j] = 0.0
        else:
            for m in range(j + 1, b.shape[0]):
                b[j] -= tri[j, m] * b[m]
            b[j] /= tri[j, j]


@jit
def solve_lower(tri, b):
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
    e, q, tri, coef = state.e, state.q, state.tri, state.coef
    d, r, m, p = data.known.shape[0], factors.shape[0], data.period.shape[0], data.x.shape[0]
    state.g_period[:] = 0.0
    state.g_theta[:] = 0.0
    room = np.empty(state.g_period.shape[1])
    ssr = 0.0
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        if lo == hi:
            tri[i] = 0.0
            coef[i] = 0.0
            continue
        own, time, root, work = e[lo:hi], data.time[lo:hi], data.root[lo:hi], room[: hi - lo]
        own[:] = data.y[lo:hi]
        for j in range(p):
            add(own, -theta[slots[groups[i], j]], data.x[j, lo:hi])
        for j in range(m):
            gather(effects[j], time, work)
            period = data.period[j, lo:hi]
            for k in range(hi - lo):
                own[k] -= period[k] * work[k]
        for j in range(d):
            q[j, lo:hi] = data.known[j, lo:hi]
        for j in range(r):
            column = q[d + j, lo:hi]
            gather(factors[j], time, column)
            for k in range(hi - lo):
                column[k] *= root[k]
        orthonormalise(q, tri[i], lo, hi, tol)
        for j in range(d + r):
            v = dot(q[j, lo:hi], own)
            coef[i, j] = v
            add(own, -v, q[j, lo:hi])
        solve_upper(tri[i], coef[i])
        ssr += dot(own, own)
        for j in range(r):
            scatter_product(state.g_period[j], time, -coef[i, d + j], root, own)
        for j in range(m):
            scatter_product(state.g_period[r + j], time, -1.0, data.period[j, lo:hi], own)
        for j in range(p):
            state.g_theta[slots[groups[i], j]] -= dot(data.x[j, lo:hi], own)
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
    work, h, du : ndarray, shapes (2, T), (d + R,), (d + R,)
        Room.
    """
    e, q = state.e, state.q
    d, m, p, b = data.known.shape[0], data.period.shape[0], data.x.shape[0], state.q.shape[0]
    r = b - d
    out_period[:] = 0.0
    out_theta[:] = 0.0
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        if lo == hi:
            continue
        time, root, resid = data.time[lo:hi], data.root[lo:hi], e[lo:hi]
        own, other = work[0, : hi - lo], work[1, : hi - lo]
        own[:] = 0.0
        h[:] = 0.0
        for j in range(r):
            gather(step[j], time, other)
            v = state.coef[i, d + j]
            for k in range(hi - lo):
                other[k] *= root[k]
                own[k] += v * other[k]
            h[d + j] = dot(resid, other)
        for j in range(m):
            gather(step[r + j], time, other)
            period = data.period[j, lo:hi]
            for k in range(hi - lo):
                own[k] += period[k] * other[k]
        for j in range(p):
            add(own, turn[slots[groups[i], j]], data.x[j, lo:hi])
        if full:
            solve_lower(state.tri[i], h)
        else:
            h[:] = 0.0
        for j in range(b):
            du[j] = h[j] - dot(q[j, lo:hi], own)
            add(own, du[j], q[j, lo:hi])
        if full:
            solve_upper(state.tri[i], du)
        for j in range(r):
            v, u = state.coef[i, d + j], du[d + j]
            if full:
                for k in range(hi - lo):
                    other[k] = v * own[k] - u * resid[k]
                scatter_product(out_period[j], time, 1.0, root, other)
            else:
                scatter_product(out_period[j], time, v, root, own)
        for j in range(m):
            scatter_product(out_period[r + j], time, 1.0, data.period[j, lo:hi], own)
        for j in range(p):
            out_theta[slots[groups[i], j]] += dot(data.x[j, lo:hi], own)


@jit
def _moments(data, state, lo, hi, qx, a):
    """X_i'M_i X_i of the entity whose cells are `lo` to `hi` into `a` (p, p)."""
    p, b = data.x.shape[0], state.q.shape[0]
    for j in range(p):
        x = data.x[j, lo:hi]
        for c in range(b):
            qx[c, j] = dot(state.q[c, lo:hi], x)
        for k in range(j + 1):
            s = dot(x, data.x[k, lo:hi])
            for c in range(b):
                s -= qx[c, j] * qx[c, k]
            a[j, k] = s
            a[k, j] = s


@jit
def unit_moments(data, state, a):
    """X_i'M_i X_i of every entity into `a` (N, p, p)."""
    qx = np.empty((state.q.shape[0], data.x.shape[0]))
    for i in range(data.ptr.shape[0] - 1):
        _moments(data, state, data.ptr[i], data.ptr[i + 1], qx, a[i])


@jit
def slope_moments(data, state, groups, slots, out):
    """Sums of X_i'M_i X_i over the entities of every parameter into `out` (q, q)."""
    p = data.x.shape[0]
    qx, own = np.empty((state.q.shape[0], p)), np.empty((p, p))
    out[:] = 0.0
    for i in range(data.ptr.shape[0] - 1):
        _moments(data, state, data.ptr[i], data.ptr[i + 1], qx, own)
        for j in range(p):
            for k in range(p):
                out[slots[groups[i], j], slots[groups[i], k]] += own[j, k]


@jit
def unit_sums(data, state, beta, a, c, s):
    """Every entity's sum of squares s - 2 c'b + b'a b as a function of its slopes b.

    Parameters
    ----------
    data : CellData
    state : CellState
        Evaluated at the slopes `beta`.
    beta : ndarray, shape (N, p)
    a, c, s : ndarray, shapes (N, p, p), (N, p) and (N,)
        Overwritten.
    """
    p = data.x.shape[0]
    qx = np.empty((state.q.shape[0], p))
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        _moments(data, state, lo, hi, qx, a[i])
        e = state.e[lo:hi]
        s[i] = dot(e, e)
        for j in range(p):
            score = dot(data.x[j, lo:hi], e)
            c[i, j] = score
            s[i] += 2.0 * score * beta[i, j]
            for k in range(p):
                c[i, j] += a[i, j, k] * beta[i, k]
                s[i] += beta[i, j] * a[i, j, k] * beta[i, k]


@jit
def period_sums(data, state, sums):
    """Sums over the entities of l l' in every period, l = (loadings times root, period columns), below the diagonal.

    `sums` (R + m, R + m, T) is overwritten.
    """
    d, m, b = data.known.shape[0], data.period.shape[0], state.q.shape[0]
    r = b - d
    work = np.empty((r, sums.shape[2]))
    sums[:] = 0.0
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        if lo == hi:
            continue
        time, root = data.time[lo:hi], data.root[lo:hi]
        for j in range(r):
            own = work[j, : hi - lo]
            for k in range(hi - lo):
                own[k] = state.coef[i, d + j] * root[k]
            for c in range(j + 1):
                scatter_product(sums[j, c], time, state.coef[i, d + c], root, own)
        for j in range(m):
            period = data.period[j, lo:hi]
            for c in range(r):
                scatter_product(sums[r + j, c], time, 1.0, work[c, : hi - lo], period)
            for c in range(j + 1):
                scatter_product(sums[r + j, r + c], time, 1.0, data.period[c, lo:hi], period)


@jit
def normal_blocks(data, state, out):
    """What :func:`period_sums` gives, whole, into `out` (T, R + m, R + m)."""
    k = out.shape[1]
    sums = np.empty((k, k, out.shape[0]))
    period_sums(data, state, sums)
    for t in range(out.shape[0]):
        for j in range(k):
            for c in range(j + 1):
                out[t, j, c] = sums[j, c, t]
                out[t, c, j] = sums[j, c, t]


@jit
def off_units(ptr, q, z):
    """Columns z (k, n) projected off every entity's basis, in place."""
    for i in range(ptr.shape[0] - 1):
        lo, hi = ptr[i], ptr[i + 1]
        for j in range(q.shape[0]):
            for c in range(z.shape[0]):
                add(z[c, lo:hi], -dot(q[j, lo:hi], z[c, lo:hi]), q[j, lo:hi])
