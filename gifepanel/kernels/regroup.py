"""Least-squares classification under factors, alternated cheaply: what a search over groupings runs many times.

With the groups g, the slopes theta and the factors F of

    sum_i || M_F (y_i - d - X_i theta_{g_i}) ||^2

each taken in turn, no step raises the sum of squares. The factors take one step of subspace iteration, so a round costs
a few passes over the data and no eigenvalues.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit
from gifepanel.kernels.columns import add, add_pair, copy, dot, products, scale, sum_squares
from gifepanel.kernels.small import cholesky_in_place, cholesky_solve_in_place

__all__ = ["alternate", "assign", "orthonormalise", "own_losses", "slopes_given_groups"]

_SINGULAR = 1e-10


@jit
def orthonormalise(rows):
    """Orthonormal rows (R, T) in place, by Gram and Schmidt done twice; what is dependent becomes zero."""
    r, t = rows.shape
    for j in range(r):
        size = sum_squares(rows, j, 0, t)
        for _ in range(2):
            for q in range(j):
                add(rows, j, 0, -dot(rows, q, 0, rows, j, 0, t), rows, q, 0, t)
        left = sum_squares(rows, j, 0, t)
        scale(rows, j, 0, 1.0 / np.sqrt(left) if left > _SINGULAR * _SINGULAR * size else 0.0, t)


@jit
def _quadratics(y, flat, xx, xy, yy, rows, effect, with_effect, a, c, s):
    """X_i'M_F X_i, X_i'M_F y_i and y_i'M_F y_i for orthonormal `rows` F' (R, T), y less `effect` (1, T)."""
    n, t = y.shape
    p, r = xy.shape[1], rows.shape[0]
    xf, yf, left = np.empty((p, r)), np.empty(r), np.empty((1, t))
    for i in range(n):
        if with_effect:
            copy(left, 0, 0, y, i, 0, t)
            add(left, 0, 0, -1.0, effect, 0, 0, t)
            s[i] = sum_squares(left, 0, 0, t)
            for j in range(p):
                c[i, j] = dot(flat, i * p + j, 0, left, 0, 0, t)
            products(rows, 0, left, 0, 0, t, yf)
        else:
            s[i] = yy[i]
            for j in range(p):
                c[i, j] = xy[i, j]
            products(rows, 0, y, i, 0, t, yf)
        for j in range(p):
            products(rows, 0, flat, i * p + j, 0, t, xf[j])
        for q in range(r):
            s[i] -= yf[q] * yf[q]
        for j in range(p):
            for q in range(r):
                c[i, j] -= xf[j, q] * yf[q]
            for h in range(j + 1):
                e = xx[i, j, h]
                for q in range(r):
                    e -= xf[j, q] * xf[h, q]
                a[i, j, h] = e
                a[i, h, j] = e


@jit(forceinline=True)
def _residuals(y, flat, own, i, left):
    """y_i - X_i own into `left` (1, T)."""
    p, t = own.shape[0], y.shape[1]
    copy(left, 0, 0, y, i, 0, t)
    for j in range(0, p - 1, 2):
        add_pair(left, 0, 0, -own[j], flat, i * p + j, -own[j + 1], i * p + j + 1, 0, t)
    if p % 2:
        add(left, 0, 0, -own[p - 1], flat, i * p + p - 1, 0, t)


@jit
def _next_factors(y, flat, slots, groups, theta, rows, effect, time_effects, step):
    """One step of subspace iteration from `rows` into `step` (R, T), orthonormal; the `effect` (1, T) before it."""
    n, t = y.shape
    p, r = slots.shape[1], rows.shape[0]
    own, weight, left = np.empty(p), np.empty(r), np.empty((1, t))
    if time_effects:
        effect[:] = 0.0
        for i in range(n):
            for j in range(p):
                own[j] = theta[slots[groups[i], j]]
            _residuals(y, flat, own, i, left)
            add(effect, 0, 0, 1.0, left, 0, 0, t)
        scale(effect, 0, 0, 1.0 / n, t)
    step[:] = 0.0
    for i in range(n):
        for j in range(p):
            own[j] = theta[slots[groups[i], j]]
        _residuals(y, flat, own, i, left)
        if time_effects:
            add(left, 0, 0, -1.0, effect, 0, 0, t)
        products(rows, 0, left, 0, 0, t, weight)
        for u in range(r):
            add(step, u, 0, weight[u], left, 0, 0, t)
    orthonormalise(step)


@jit
def slopes_given_groups(a, c, slots, groups, theta, gram, rhs):
    """Least squares given groups at fixed factors, into `theta` (q,); kept as it is where that is singular."""
    n, p = c.shape
    q = theta.shape[0]
    gram[:] = 0.0
    rhs[:] = 0.0
    for i in range(n):
        k = groups[i]
        for j in range(p):
            u = slots[k, j]
            rhs[u] += c[i, j]
            for h in range(p):
                gram[u, slots[k, h]] += a[i, j, h]
    if cholesky_in_place(gram, _SINGULAR):
        cholesky_solve_in_place(gram, rhs)
        for u in range(q):
            theta[u] = rhs[u]


@jit
def _loss(a, c, s, slots, theta, i, k):
    """Sum of squares of unit `i` under the slopes of group `k`."""
    p = c.shape[1]
    v = s[i]
    for j in range(p):
        w = -2.0 * c[i, j]
        for h in range(p):
            w += a[i, j, h] * theta[slots[k, h]]
        v += w * theta[slots[k, j]]
    return v


@jit
def assign(a, c, s, slots, theta, groups, loss, counts):
    """Every unit to the group that fits it best, none left empty; returns the number of units moved."""
    n = s.shape[0]
    k_groups = slots.shape[0]
    moved = 0
    counts[:] = 0
    for i in range(n):
        best = np.inf
        arg = 0
        for k in range(k_groups):
            v = _loss(a, c, s, slots, theta, i, k)
            if v < best:
                best = v
                arg = k
        loss[i] = best
        if groups[i] != arg:
            groups[i] = arg
            moved += 1
        counts[arg] += 1
    for k in range(k_groups):
        if counts[k] == 0:
            worst = -1
            for i in range(n):
                if counts[groups[i]] > 1 and (worst < 0 or loss[i] > loss[worst]):
                    worst = i
            if worst >= 0:
                counts[groups[worst]] -= 1
                groups[worst] = k
                counts[k] = 1
                moved += 1
    return moved


@jit
def own_losses(a, c, s, slots, theta, groups):
    """Sum of squares of all units under the slopes of their groups."""
    total = 0.0
    for i in range(s.shape[0]):
        total += _loss(a, c, s, slots, theta, i, groups[i])
    return total


@jit(plain=True)
def alternate(y, xt, xx, xy, yy, slots, groups, theta, factors, effect, time_effects, reassign, rounds, tol, cutoff):
    """Alternate groups, slopes and factors from `groups` and `factors`.

    Parameters
    ----------
    y, xt, xx, xy, yy
        As in :class:`~gifepanel.solvers.arrays.PanelArrays`.
    slots : ndarray of int64, shape (K, p)
        As in :class:`~gifepanel.solvers.interactive.SlopeMap`.
    groups : ndarray of int64, shape (N,)
        Overwritten where `reassign`.
    theta : ndarray, shape (q,)
        Overwritten by the slopes.
    factors : ndarray, shape (T, R)
        Orthonormal; overwritten.
    effect : ndarray, shape (T,)
        Overwritten where `time_effects`.
    time_effects, reassign : bool
    rounds : int
        At most so many.
    tol : float
        Stop when nothing moves and the sum of squares falls by less than `tol` of itself in a round.
    cutoff : float
        Stop early where a sum of squares below this is out of reach at the present rate.

    Returns
    -------
    ssr : float
        At what is returned.
    done : int
        Rounds made.
    """
    n, p, t = xt.shape
    q, flat = theta.shape[0], xt.reshape((n * p, t))
    a, c, s = np.empty((n, p, p)), np.empty((n, p)), np.empty(n)
    gram, rhs = np.empty((q, q)), np.empty(q)
    loss, counts = np.empty(n), np.empty(slots.shape[0], dtype=np.int64)
    rows, periods = np.ascontiguousarray(factors.T), effect.reshape((1, t))
    step = np.empty_like(rows)
    previous = np.inf
    ssr = np.inf
    done = 0
    while True:
        _quadratics(y, flat, xx, xy, yy, rows, periods, time_effects, a, c, s)
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
        if done >= rounds or (rows.shape[0] == 0 and not time_effects and moved == 0):
            break
        fall = previous - ssr
        if moved == 0 and fall <= tol * ssr:
            break
        if moved == 0 and done > 3 and ssr - 20.0 * fall > cutoff:
            break
        previous = ssr
        _next_factors(y, flat, slots, groups, theta, rows, periods, time_effects, step)
        rows[:] = step
    factors[:] = rows.T
    return ssr, done
