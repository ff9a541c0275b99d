"""Least-squares classification under factors on observed cells, alternated cheaply.

As :mod:`gifepanel.kernels.regroup`, but for the factors: they take one step of alternating least squares, together with
the period coefficients, by the normal equations of every period.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit
from gifepanel.kernels.cell_newton import fix_gauge, step_to_periods
from gifepanel.kernels.cells import add, dot, gather, orthonormalise, scatter_product, solve_upper
from gifepanel.kernels.regroup import assign, own_losses, slopes_given_groups

__all__ = ["alternate_on_cells"]

_BACK = 1e-3


@jit
def _unit_sums(data, factors, effects, spanned, q, tri, resid, qx, qy, a, c, s):
    """Bases of the entities, and X_i'M_i X_i, X_i'M_i y_i, y_i'M_i y_i with y less what periods explain."""
    d, r, m, p = data.known.shape[0], factors.shape[0], effects.shape[0], data.x.shape[0]
    room = np.empty(factors.shape[1])
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        if lo == hi:
            tri[i] = 0.0
            qy[i] = 0.0
            a[i] = 0.0
            c[i] = 0.0
            s[i] = 0.0
            continue
        time, root, own, work = data.time[lo:hi], data.root[lo:hi], resid[lo:hi], room[: hi - lo]
        own[:] = data.y[lo:hi]
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
        orthonormalise(q, tri[i], lo, hi, spanned)
        s[i] = dot(own, own)
        for b in range(d + r):
            basis = q[b, lo:hi]
            qy[i, b] = dot(basis, own)
            s[i] -= qy[i, b] * qy[i, b]
            for j in range(p):
                qx[i, b, j] = dot(basis, data.x[j, lo:hi])
        for j in range(p):
            x = data.x[j, lo:hi]
            v = dot(x, own)
            for b in range(d + r):
                v -= qx[i, b, j] * qy[i, b]
            c[i, j] = v
            for h in range(j + 1):
                v = dot(x, data.x[h, lo:hi])
                for b in range(d + r):
                    v -= qx[i, b, j] * qx[i, b, h]
                a[i, j, h] = v
                a[i, h, j] = v


@jit
def _period_equations(data, slots, groups, theta, q, tri, resid, qx, qy, g, sums):
    """Gradient in factors and period coefficients, and their normal equations, at the groups' slopes."""
    d, m, p, n_basis = data.known.shape[0], data.period.shape[0], data.x.shape[0], q.shape[0]
    r = n_basis - d
    coef, work = np.empty(n_basis), np.empty((r, g.shape[1]))
    g[:] = 0.0
    sums[:] = 0.0
    for i in range(data.ptr.shape[0] - 1):
        lo, hi = data.ptr[i], data.ptr[i + 1]
        if lo == hi:
            continue
        time, root, own, slot = data.time[lo:hi], data.root[lo:hi], resid[lo:hi], slots[groups[i]]
        for j in range(p):
            add(own, -theta[slot[j]], data.x[j, lo:hi])
        for b in range(n_basis):
            v = qy[i, b]
            for j in range(p):
                v -= qx[i, b, j] * theta[slot[j]]
            coef[b] = v
            add(own, -v, q[b, lo:hi])
        solve_upper(tri[i], coef)
        for j in range(r):
            loaded, v = work[j, : hi - lo], coef[d + j]
            for k in range(hi - lo):
                loaded[k] = v * root[k]
            scatter_product(g[j], time, -1.0, loaded, own)
            for h in range(j + 1):
                scatter_product(sums[j, h], time, coef[d + h], root, loaded)
        for j in range(m):
            period = data.period[j, lo:hi]
            scatter_product(g[r + j], time, -1.0, period, own)
            for h in range(r):
                scatter_product(sums[r + j, h], time, 1.0, work[h, : hi - lo], period)
            for h in range(j + 1):
                scatter_product(sums[r + j, r + h], time, 1.0, data.period[h, lo:hi], period)


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
    q, tri, resid = np.empty((b, n_cells)), np.empty((n, b, b)), np.empty(n_cells)
    qx, qy = np.empty((n, b, p)), np.empty((n, b))
    g, sums = np.empty((k, t)), np.empty((k, k, t))
    gauge, room, inverses = np.empty((series.shape[0] + r, t)), np.empty((t, k, k)), np.empty((t, k, k))
    image = np.empty(slots.shape[0], dtype=np.int64)
    fix_gauge(series, free, factors, effects, gauge)
    previous, ssr = np.inf, np.inf
    done = 0
    while True:
        _unit_sums(data, factors, effects, spanned, q, tri, resid, qx, qy, a, c, s)
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
            _period_equations(data, slots, groups, theta, q, tri, resid, qx, qy, g, sums)
            step_to_periods(sums, room, inverses, g, factors, effects)
            fix_gauge(series, free, factors, effects, gauge)
    return ssr, done
