"""Passes over the observed cells of a panel, entity by entity: least squares with factors where cells are missing.

Cells are sorted by entity, then time; arrays by cell are held as (columns, n), so that inner loops are contiguous. All
of them but `root`, the square roots of the weights, are multiplied by it beforehand. Every entity has a basis of its
own, B_i = [known columns, root times F at its periods] = Q_i R_i, off which its rows are projected: M_i = I - Q_i Q_i'.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gifepanel.kernels._jit import jit
from gifepanel.kernels.columns import (
    add,
    add_and_dot,
    add_rows,
    copy,
    dot,
    gather_times,
    products,
    scale,
    scale_add,
    scatter,
    scatter_products,
    scatter_rows,
    scatter_sums,
    sum_squares,
)

__all__ = [
    "CellData",
    "CellState",
    "add_to_periods",
    "basis_columns",
    "cells_of_cube",
    "cube_of_cells",
    "evaluate_cells",
    "hessian_product",
    "less_periods",
    "normal_blocks",
    "off_units",
    "orthonormalise",
    "outcome_less_periods",
    "period_scores",
    "period_sums",
    "slope_moments",
    "solve_lower",
    "solve_upper",
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


@jit(forceinline=True)
def orthonormalise(q, tri, i, lo, n, tol):
    """Gram-Schmidt of the columns ``q[:, lo:lo + n]`` in place; R goes into tri[i].

    Where those before take little of a column once is enough, else modified, again where much went.
    """
    for j in range(q.shape[0]):
        before = sum_squares(q, j, lo, n)
        left = before
        for m in range(q.shape[0]):
            tri[i, m, j] = 0.0
        for m in range(j):
            if tri[i, m, m] != 0.0:
                tri[i, m, j] = dot(q, m, lo, q, j, lo, n)
                left -= tri[i, m, j] * tri[i, m, j]
        if left > 0.25 * before:
            tri[i, j, j] = np.sqrt(left)
            size = 1.0 / tri[i, j, j]
            if j:
                scale_add(q, j, lo, size, -size * tri[i, 0, j], q, 0, lo, n)
            else:
                scale(q, j, lo, size, n)
            for m in range(1, j):
                add(q, j, lo, -size * tri[i, m, j], q, m, lo, n)
        else:
            _modified(q, tri, i, j, lo, n, tol, before)


@jit
def _modified(q, tri, i, j, lo, n, tol, before):
    """Column `j` of :func:`orthonormalise`, of which those before take most."""
    for m in range(j):
        tri[i, m, j] = 0.0
    left = before
    for _ in range(3 if j else 0):
        last = left
        for m in range(j):
            if tri[i, m, m] != 0.0:
                v = dot(q, m, lo, q, j, lo, n)
                tri[i, m, j] += v
                add(q, j, lo, -v, q, m, lo, n)
        left = sum_squares(q, j, lo, n)
        if left > 0.25 * last or left <= tol * tol * before:
            break
    size = 0.0
    if left > tol * tol * before and left != 0.0:
        tri[i, j, j] = np.sqrt(left)
        size = 1.0 / tri[i, j, j]
    scale(q, j, lo, size, n)


@jit(forceinline=True)
def solve_upper(tri, b):
    """R^-1 b in place; 0 for columns that are spanned."""
    for j in range(b.shape[0] - 1, -1, -1):
        if tri[j, j] == 0.0:
            b[j] = 0.0
        else:
            for m in range(j + 1, b.shape[0]):
                b[j] -= tri[j, m] * b[m]
            b[j] /= tri[j, j]


@jit(forceinline=True)
def solve_lower(tri, b):
    """R^-T b in place; 0 for columns that are spanned."""
    for j in range(b.shape[0]):
        if tri[j, j] == 0.0:
            b[j] = 0.0
        else:
            for m in range(j):
                b[j] -= tri[m, j] * b[m]
            b[j] /= tri[j, j]


@jit(forceinline=True)
def outcome_less_periods(data, y, effects, lo, n, room, out, to):
    """The outcome `y` (1, n) of an entity less what periods explain, into `out` from `to` on; `room` is (1, T)."""
    copy(out, 0, to, y, 0, lo, n)
    for j in range(effects.shape[0]):
        gather_times(effects, j, data.time, data.period[j : j + 1], lo, room, 0, 0, n)
        add(out, 0, to, -1.0, room, 0, 0, n)


@jit(forceinline=True)
def basis_columns(data, root, factors, lo, n, q):
    """Known columns and factors of an entity, times `root` (1, n), into `q`."""
    d = data.known.shape[0]
    for j in range(d):
        copy(q, j, lo, data.known, j, lo, n)
    for j in range(factors.shape[0]):
        gather_times(factors, j, data.time, root, lo, q, d + j, lo, n)


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
    q, tri, coef, x, time = state.q, state.tri, state.coef, data.x, data.time
    e, y, root = state.e.reshape((1, -1)), data.y.reshape((1, -1)), data.root.reshape((1, -1))
    d, r, m, p = data.known.shape[0], factors.shape[0], data.period.shape[0], x.shape[0]
    state.g_period[:] = 0.0
    state.g_theta[:] = 0.0
    room, own, parts = np.empty((1, state.g_period.shape[1])), np.empty(p), np.empty(d + r)
    loads = np.empty(r)
    ssr = 0.0
    for i in range(data.ptr.shape[0] - 1):
        lo = data.ptr[i]
        n = data.ptr[i + 1] - lo
        if n == 0:
            tri[i] = 0.0
            coef[i] = 0.0
            continue
        outcome_less_periods(data, y, effects, lo, n, room, e, lo)
        for j in range(p):
            own[j] = theta[slots[groups[i], j]]
        add_rows(e, 0, lo, -1.0, own, x, lo, n)
        basis_columns(data, root, factors, lo, n, q)
        orthonormalise(q, tri, i, lo, n, tol)
        products(q, lo, e, 0, lo, n, parts)
        add_rows(e, 0, lo, -1.0, parts, q, lo, n)
        for j in range(d + r):
            coef[i, j] = parts[j]
        solve_upper(tri[i], coef[i])
        ssr += sum_squares(e, 0, lo, n)
        for j in range(r):
            loads[j] = -coef[i, d + j]
        scatter_rows(state.g_period, time, root, lo, loads, e, 0, lo, n)
        for j in range(m):
            scatter(state.g_period, r + j, time, lo, -1.0, data.period, j, lo, e, 0, lo, n)
        products(x, lo, e, 0, lo, n, own)
        for j in range(p):
            state.g_theta[slots[groups[i], j]] -= own[j]
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
    q, x, time = state.q, data.x, data.time
    e, root = state.e.reshape((1, -1)), data.root.reshape((1, -1))
    d, m, p, b = data.known.shape[0], data.period.shape[0], x.shape[0], q.shape[0]
    r = b - d
    own, loads, turned = np.empty(p), np.empty(r), np.zeros(r)
    out_period[:] = 0.0
    out_theta[:] = 0.0
    for i in range(data.ptr.shape[0] - 1):
        lo = data.ptr[i]
        n = data.ptr[i + 1] - lo
        if n == 0:
            continue
        for k in range(n):
            work[0, k] = 0.0
        h[:] = 0.0
        for j in range(r):
            gather_times(step, j, time, root, lo, work, 1, 0, n)
            loads[j] = state.coef[i, d + j]
            if full:
                h[d + j] = add_and_dot(work, 0, 0, loads[j], work, 1, 0, e, 0, lo, n)
            else:
                add(work, 0, 0, loads[j], work, 1, 0, n)
        for j in range(m):
            gather_times(step, r + j, time, data.period[j : j + 1], lo, work, 1, 0, n)
            add(work, 0, 0, 1.0, work, 1, 0, n)
        for j in range(p):
            own[j] = turn[slots[groups[i], j]]
        add_rows(work, 0, 0, 1.0, own, x, lo, n)
        products(q, lo, work, 0, 0, n, du)
        if full:
            solve_lower(state.tri[i], h)
        for j in range(b):
            du[j] = h[j] - du[j]
        add_rows(work, 0, 0, 1.0, du, q, lo, n)
        if full:
            solve_upper(state.tri[i], du)
            for j in range(r):
                turned[j] = -du[d + j]
        if full:
            scatter_sums(out_period, time, root, lo, loads, work, 0, 0, turned, e, 0, lo, n)
        else:
            scatter_rows(out_period, time, root, lo, loads, work, 0, 0, n)
        for j in range(m):
            scatter(out_period, r + j, time, lo, 1.0, data.period, j, lo, work, 0, 0, n)
        products(x, lo, work, 0, 0, n, own)
        for j in range(p):
            out_theta[slots[groups[i], j]] += own[j]


@jit(forceinline=True)
def _moments(data, state, lo, hi, qx, a):
    """X_i'M_i X_i of the entity whose cells are `lo` to `hi` into `a` (p, p)."""
    x, q, n = data.x, state.q, hi - lo
    for j in range(x.shape[0]):
        products(q, lo, x, j, lo, n, qx[j])
        products(x, lo, x, j, lo, n, a[j, : j + 1])
        for k in range(j + 1):
            for c in range(q.shape[0]):
                a[j, k] -= qx[j, c] * qx[k, c]
            a[k, j] = a[j, k]


@jit
def slope_moments(data, state, groups, slots, out):
    """Sums of X_i'M_i X_i over the entities of every parameter into `out` (q, q)."""
    p = data.x.shape[0]
    qx, own = np.empty((p, state.q.shape[0])), np.empty((p, p))
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
    p, e = data.x.shape[0], state.e.reshape((1, -1))
    qx, score = np.empty((p, state.q.shape[0])), np.empty(p)
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        _moments(data, state, lo, hi, qx, a[i])
        s[i] = sum_squares(e, 0, lo, hi - lo)
        products(data.x, lo, e, 0, lo, hi - lo, score)
        for j in range(p):
            c[i, j] = score[j]
            s[i] += 2.0 * score[j] * beta[i, j]
            for k in range(p):
                c[i, j] += a[i, j, k] * beta[i, k]
                s[i] += beta[i, j] * a[i, j, k] * beta[i, k]


@jit(forceinline=True)
def add_to_periods(data, root, loadings, lo, n, sums):
    """An entity's part of :func:`period_sums`; `root` is (1, n)."""
    r, m, time, period = loadings.shape[0], data.period.shape[0], data.time, data.period
    if n == 0:
        return
    scatter_products(sums, time, root, lo, loadings, n)
    for j in range(r):
        for c in range(m):
            scatter(sums[r + c], j, time, lo, loadings[j], period, c, lo, root, 0, lo, n)
    for j in range(m):
        for c in range(j + 1):
            scatter(sums[r + j], r + c, time, lo, 1.0, period, j, lo, period, c, lo, n)


@jit
def period_sums(data, state, sums):
    """Sums over the entities of l l' in every period, l = (loadings times root, period columns), below the diagonal.

    `sums` (R + m, R + m, T) is overwritten.
    """
    d = data.known.shape[0]
    root = data.root.reshape((1, -1))
    sums[:] = 0.0
    for i in range(data.ptr.shape[0] - 1):
        add_to_periods(data, root, state.coef[i, d:], data.ptr[i], data.ptr[i + 1] - data.ptr[i], sums)


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
    parts = np.empty(q.shape[0])
    for i in range(ptr.shape[0] - 1):
        lo, n = ptr[i], ptr[i + 1] - ptr[i]
        for c in range(z.shape[0]):
            products(q, lo, z, c, lo, n, parts)
            add_rows(z, c, lo, -1.0, parts, q, lo, n)


@jit
def period_scores(data, coef, z, out):
    """Sums over the entities of l_i z_it, l = (loadings times root, period columns), into `out` (k, R + m, T)."""
    d, m, root = data.known.shape[0], data.period.shape[0], data.root.reshape((1, -1))
    r = coef.shape[1] - d
    out[:] = 0.0
    for i in range(data.ptr.shape[0] - 1):
        lo, n = data.ptr[i], data.ptr[i + 1] - data.ptr[i]
        for c in range(z.shape[0] if n else 0):
            scatter_rows(out[c], data.time, root, lo, coef[i, d:], z, c, lo, n)
            for j in range(m):
                scatter(out[c], r + j, data.time, lo, 1.0, data.period, j, lo, z, c, lo, n)


@jit
def less_periods(data, coef, phi, z):
    """Columns z (k, n) less l_i'phi_t, in place, `phi` (k, R + m, T)."""
    d, m, root = data.known.shape[0], data.period.shape[0], data.root.reshape((1, -1))
    r, room = coef.shape[1] - d, np.empty((1, phi.shape[2]))
    for i in range(data.ptr.shape[0] - 1):
        lo, n = data.ptr[i], data.ptr[i + 1] - data.ptr[i]
        for c in range(z.shape[0] if n else 0):
            for j in range(r):
                gather_times(phi[c], j, data.time, root, lo, room, 0, 0, n)
                add(z, c, lo, -coef[i, d + j], room, 0, 0, n)
            for j in range(m):
                gather_times(phi[c], r + j, data.time, data.period[j : j + 1], lo, room, 0, 0, n)
                add(z, c, lo, -1.0, room, 0, 0, n)


@jit
def cells_of_cube(ptr, time, root, cube, out):
    """The observed cells of a panel (N, T, k), times `root`, into `out` (k, n)."""
    for i in range(ptr.shape[0] - 1):
        for at in range(ptr[i], ptr[i + 1]):
            for j in range(out.shape[0]):
                out[j, at] = cube[i, time[at], j] * root[at]


@jit
def cube_of_cells(ptr, time, columns, cube):
    """Columns (k, n) into the observed cells of a panel (N, T, k)."""
    for i in range(ptr.shape[0] - 1):
        for at in range(ptr[i], ptr[i + 1]):
            for j in range(columns.shape[0]):
                cube[i, time[at], j] = columns[j, at]
