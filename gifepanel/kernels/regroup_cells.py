"""Least-squares classification under factors on observed cells, alternated cheaply.

As :mod:`gifepanel.kernels.regroup`, but for the factors: they take one step of alternating least squares, together with
the period coefficients, by the normal equations of every period.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit
from gifepanel.kernels.cell_newton import fix_gauge, step_to_periods
from gifepanel.kernels.cells import (
    add_to_periods,
    basis_columns,
    orthonormalise,
    outcome_less_periods,
    solve_upper,
)
from gifepanel.kernels.columns import add_rows, products, scatter, scatter_rows, sum_squares
from gifepanel.kernels.regroup import assign, own_losses, slopes_given_groups

__all__ = ["alternate_on_cells"]

_BACK = 1e-3


@jit
def _squares(data, xx):
    """X_i'X_i of every entity."""
    for i in range(data.ptr.shape[0] - 1):
        lo = data.ptr[i]
        for j in range(xx.shape[1]):
            products(data.x, lo, data.x, j, lo, data.ptr[i + 1] - lo, xx[i, j])


@jit
def _unit_sums(data, factors, effects, spanned, q, tri, xx, qx, qy, a, c, s):
    """Bases of the entities, and X_i'M_i X_i, X_i'M_i y_i, y_i'M_i y_i with y less what periods explain."""
    p, x, n_basis = data.x.shape[0], data.x, q.shape[0]
    y, root = data.y.reshape((1, -1)), data.root.reshape((1, -1))
    room, left = np.empty((1, factors.shape[1])), np.empty((1, factors.shape[1]))
    for i in range(data.ptr.shape[0] - 1):
        lo = data.ptr[i]
        n = data.ptr[i + 1] - lo
        if n == 0:
            tri[i] = 0.0
            qy[i] = 0.0
            a[i] = 0.0
            c[i] = 0.0
            s[i] = 0.0
            continue
        outcome_less_periods(data, y, effects, lo, n, room, left, 0)
        basis_columns(data, root, factors, lo, n, q)
        orthonormalise(q, tri, i, lo, n, spanned)
        s[i] = sum_squares(left, 0, 0, n)
        products(q, lo, left, 0, 0, n, qy[i])
        products(x, lo, left, 0, 0, n, c[i])
        for b in range(n_basis):
            s[i] -= qy[i, b] * qy[i, b]
        for j in range(p):
            products(q, lo, x, j, lo, n, qx[i, j])
            for b in range(n_basis):
                c[i, j] -= qx[i, j, b] * qy[i, b]
            for h in range(j + 1):
                v = xx[i, j, h]
                for b in range(n_basis):
                    v -= qx[i, j, b] * qx[i, h, b]
                a[i, j, h] = v
                a[i, h, j] = v


@jit
def _period_equations(data, slots, groups, theta, effects, q, tri, qx, qy, g, sums):
    """Gradient in factors and period coefficients, and their normal equations, at the groups' slopes."""
    d, m, p, n_basis, time = data.known.shape[0], data.period.shape[0], data.x.shape[0], q.shape[0], data.time
    y, root, own, coef = data.y.reshape((1, -1)), data.root.reshape((1, -1)), np.empty(p), np.empty(n_basis)
    room, left, loads = np.empty((1, g.shape[1])), np.empty((1, g.shape[1])), np.empty(n_basis - d)
    g[:] = 0.0
    sums[:] = 0.0
    for i in range(data.ptr.shape[0] - 1):
        lo = data.ptr[i]
        n = data.ptr[i + 1] - lo
        if n == 0:
            continue
        outcome_less_periods(data, y, effects, lo, n, room, left, 0)
        for b in range(n_basis):
            coef[b] = qy[i, b]
        for j in range(p):
            own[j] = theta[slots[groups[i], j]]
            for b in range(n_basis):
                coef[b] -= qx[i, j, b] * own[j]
        add_rows(left, 0, 0, -1.0, own, data.x, lo, n)
        add_rows(left, 0, 0, -1.0, coef, q, lo, n)
        solve_upper(tri[i], coef)
        for j in range(n_basis - d):
            loads[j] = -coef[d + j]
        scatter_rows(g, time, root, lo, loads, left, 0, 0, n)
        for j in range(m):
            scatter(g, n_basis - d + j, time, lo, -1.0, data.period, j, lo, left, 0, 0, n)
        add_to_periods(data, root, coef[d:], lo, n, sums)


@jit
def _same_partition(groups, others, image):
    """Whether two groupings are the same but for labels; `image` (K,) is room."""
    image[:] = -1
    for i in range(groups.shape[0]):
        k = groups[i]
        if image[k] < 0:
            image[k] = others[i]
        elif image[k] != others[i]:
            return False
    for k in range(image.shape[0]):
        for h in range(k):
            if image[k] == image[h]:
                return False
    return True


@jit
def alternate_on_cells(
    data, slots, series, free, groups, theta, factors, effects, reassign, rounds, tol, cutoff, known, spanned
):
    """Alternate groups, slopes and factors from `groups`, `factors` and `effects`.

    Parameters
    ----------
    data : CellData
    slots : ndarray of int64, shape (K, p)
        As in :class:`~gifepanel.solvers.interactive.SlopeMap`.
    series, free
        See :func:`~gifepanel.kernels.cell_newton.fix_gauge`.
    groups : ndarray of int64, shape (N,)
        Overwritten where `reassign`.
    theta : ndarray, shape (q,)
        Overwritten by the slopes.
    factors, effects : ndarray, shapes (R, T) and (m, T)
        Overwritten.
    reassign, rounds, tol, cutoff
        As in :func:`~gifepanel.kernels.regroup.alternate`.
    known : ndarray of int64, shape (N,) or (0,)
        Groups of the best sum of squares, `cutoff`: where it comes back to them from nearby it stops.
    spanned : float
        As `tol` of :func:`~gifepanel.kernels.cells.evaluate_cells`.

    Returns
    -------
    ssr : float
        At what is returned.
    done : int
        Rounds made.
    """
    n, n_cells, p = data.ptr.shape[0] - 1, data.time.shape[0], data.x.shape[0]
    r, t = factors.shape
    k, b, u = r + effects.shape[0], data.known.shape[0] + r, theta.shape[0]
    a, c, s = np.empty((n, p, p)), np.empty((n, p)), np.empty(n)
    gram, rhs = np.empty((u, u)), np.empty(u)
    loss, counts = np.empty(n), np.empty(slots.shape[0], dtype=np.int64)
    q, tri = np.empty((b, n_cells)), np.empty((n, b, b))
    xx, qx, qy = np.empty((n, p, p)), np.empty((n, p, b)), np.empty((n, b))
    g, sums = np.empty((k, t)), np.empty((k, k, t))
    gauge, room, inverses = np.empty((series.shape[0] + r, t)), np.empty((t, k, k)), np.empty((t, k, k))
    image = np.empty(slots.shape[0], dtype=np.int64)
    fix_gauge(series, free, factors, effects, gauge)
    _squares(data, xx)
    previous, ssr = np.inf, np.inf
    done = 0
    while True:
        _unit_sums(data, factors, effects, spanned, q, tri, xx, qx, qy, a, c, s)
        slopes_given_groups(a, c, slots, groups, theta, gram, rhs)
        moved = 0
        if reassign:
            for _ in range(4):
                now = assign(a, c, s, slots, theta, groups, loss, counts)
                if now == 0:
                    break
                moved += now
                slopes_given_groups(a, c, slots, groups, theta, gram, rhs)
        ssr = own_losses(a, c, s, slots, theta, groups)
        done += 1
        if done >= rounds or (k == 0 and moved == 0):
            break
        fall = previous - ssr
        if moved == 0 and fall <= tol * ssr:
            break
        if moved == 0 and done > 3 and ssr - 20.0 * fall > cutoff:
            break
        near = moved == 0 and known.shape[0] == n and 0.0 <= ssr - cutoff <= _BACK * cutoff
        if near and _same_partition(groups, known, image):
            break
        previous = ssr
        if k:
            _period_equations(data, slots, groups, theta, effects, q, tri, qx, qy, g, sums)
            step_to_periods(sums, room, inverses, g, factors, effects)
            fix_gauge(series, free, factors, effects, gauge)
    return ssr, done
