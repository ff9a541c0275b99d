"""Least-squares classification under factors, alternated cheaply: what a search over groupings runs many times.

With the groups g, the slopes theta and the factors F of

    sum_i || M_F (y_i - d - X_i theta_{g_i}) ||^2

each taken in turn, no step raises the sum of squares. The factors take one step of subspace iteration, so a round costs
a few passes over the data and no eigenvalues.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit
from gifepanel.kernels.small import cholesky_in_place, cholesky_solve_in_place

__all__ = ["alternate", "assign", "orthonormalise", "own_losses", "slopes_given_groups"]

_SINGULAR = 1e-10


@jit
def orthonormalise(columns):
    """Orthonormal columns (T, R) in place, by Gram and Schmidt done twice; what is dependent becomes zero."""
    t, r = columns.shape
    for j in range(r):
        size = 0.0
        for m in range(t):
            size += columns[m, j] * columns[m, j]
        for _ in range(2):
            for q in range(j):
                e = 0.0
                for m in range(t):
                    e += columns[m, q] * columns[m, j]
                for m in range(t):
                    columns[m, j] -= e * columns[m, q]
        left = 0.0
        for m in range(t):
            left += columns[m, j] * columns[m, j]
        scale = 1.0 / np.sqrt(left) if left > _SINGULAR * _SINGULAR * size else 0.0
        for m in range(t):
            columns[m, j] *= scale


@jit
def _quadratics(y, xt, xx, xy, yy, factors, effect, with_effect, a, c, s):
    """X_i'M_F X_i, X_i'M_F y_i and y_i'M_F y_i for orthonormal `factors` (T, R), y less `effect`."""
    n, p, t = xt.shape
    r = factors.shape[1]
    xf = np.empty((p, r))
    yf = np.empty(r)
    row = np.empty(t)
    for i in range(n):
        if with_effect:
            e = 0.0
            for m in range(t):
                row[m] = y[i, m] - effect[m]
                e += row[m] * row[m]
            s[i] = e
            for j in range(p):
                e = 0.0
                for m in range(t):
                    e += xt[i, j, m] * row[m]
                c[i, j] = e
        else:
            s[i] = yy[i]
            for m in range(t):
                row[m] = y[i, m]
            for j in range(p):
                c[i, j] = xy[i, j]
        for q in range(r):
            yf[q] = 0.0
            for j in range(p):
                xf[j, q] = 0.0
        for m in range(t):
            for q in range(r):
                f = factors[m, q]
                yf[q] += row[m] * f
                for j in range(p):
                    xf[j, q] += xt[i, j, m] * f
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
    r = factors.shape[1]
    q = theta.shape[0]
    a, c, s = np.empty((n, p, p)), np.empty((n, p)), np.empty(n)
    gram, rhs = np.empty((q, q)), np.empty(q)
    loss, counts = np.empty(n), np.empty(slots.shape[0], dtype=np.int64)
    resid = np.empty((n, t))
    step = np.empty((t, r))
    weight = np.empty(r)
    previous = np.inf
    ssr = np.inf
    done = 0
    while True:
        _quadratics(y, xt, xx, xy, yy, factors, effect, time_effects, a, c, s)
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
        if done >= rounds or (r == 0 and not time_effects and moved == 0):
            break
        fall = previous - ssr
        if moved == 0 and fall <= tol * ssr:
            break
        if moved == 0 and done > 3 and ssr - 20.0 * fall > cutoff:
            break
        previous = ssr
        for i in range(n):
            k = groups[i]
            for m in range(t):
                resid[i, m] = y[i, m]
            for j in range(p):
                b = theta[slots[k, j]]
                for m in range(t):
                    resid[i, m] -= b * xt[i, j, m]
        if time_effects:
            effect[:] = 0.0
            for i in range(n):
                for m in range(t):
                    effect[m] += resid[i, m]
            for m in range(t):
                effect[m] /= n
            for i in range(n):
                for m in range(t):
                    resid[i, m] -= effect[m]
        step[:] = 0.0
        for i in range(n):
            weight[:] = 0.0
            for m in range(t):
                for u in range(r):
                    weight[u] += resid[i, m] * factors[m, u]
            for m in range(t):
                for u in range(r):
                    step[m, u] += resid[i, m] * weight[u]
        orthonormalise(step)
        for m in range(t):  # by element: a slice brings the compiler the text of an error, five seconds of it
            for u in range(r):
                factors[m, u] = step[m, u]
    return ssr, done
