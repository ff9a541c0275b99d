"""Unit problems under the product penalty, exactly: the pieces of the profile descent.

For one unit, with curvature H and v = H b^, the problem is

    min_b  f(b) = 1/2 b'H b - v'b + kappa * prod_k ||b - alpha_k||,

whose candidates are the K centres (where the penalty vanishes) and the smooth local minimum reached from b^.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit
from gifepanel.kernels.product_terms import (
    differences,
    directions,
    gradient_at,
    penalty_hessian,
    quadratic,
    value_at,
    weight,
)
from gifepanel.kernels.small import cholesky_in_place, cholesky_solve_in_place

__all__ = ["profile_derivatives", "smooth_minimum", "solve_units", "total_penalty"]

_NEWTON_STEPS = 50
# where curvature in some direction is below this share of the whole, a descent ends some way from its minimum
_FLAT = 1e-4
# pivots below this share of the diagonal are rounding; values are known to this share of their terms
_SINGULAR, _ROUNDING = 1e-8, 1e-12
# the share of the curvature that the penalty may take before f counts as not convex
_CONVEX = 0.99


@jit(plain=True)
def total_penalty(beta, alpha):
    """Sum over i of prod_k ||beta_i - alpha_k||; ``beta`` (N, p), ``alpha`` (K, p)."""
    n, p = beta.shape
    total = 0.0
    for i in range(n):
        product = 1.0
        for k in range(alpha.shape[0]):
            s = 0.0
            for j in range(p):
                d = beta[i, j] - alpha[k, j]
                s += d * d
            product *= np.sqrt(s)
        total += product
    return total


@jit
def _pinned(v, hmat, kappa, alpha, k, dist_centres):
    """Whether centre k is a local minimum of f: ||v - H alpha_k|| <= kappa prod_{l != k} ||alpha_k - alpha_l||."""
    groups, p = alpha.shape
    c = kappa
    for m in range(groups):
        if m != k:
            c *= dist_centres[k, m]
    s = 0.0
    for j in range(p):
        e = v[j]
        for m in range(p):
            e -= hmat[j, m] * alpha[k, m]
        s += e * e
    return s <= c * c


@jit
def _escape(v, hmat, kappa, alpha, k, dist_centres, f_centre, b, direction, unit, dist):
    """Put `b` where f is below its value at centre k, which is no local minimum; returns the value there.

    From the centre f falls fastest along v - H alpha_k. Infinity is returned where the fall is below rounding.
    """
    groups, p = alpha.shape
    c = kappa
    room = np.inf
    for m in range(groups):
        if m != k:
            c *= dist_centres[k, m]
            room = min(room, dist_centres[k, m])
    force = 0.0
    for j in range(p):
        e = v[j]
        for m in range(p):
            e -= hmat[j, m] * alpha[k, m]
        direction[j] = e
        force += e * e
    force = np.sqrt(force)
    curvature = 0.0
    for j in range(p):
        direction[j] /= force
        for m in range(j + 1):
            curvature += (1.0 if m == j else 2.0) * hmat[j, m] * direction[j] * direction[m]
    length = 0.5 * room
    if curvature > 0.0:
        length = min(length, (force - c) / curvature)
    if not length < np.inf:
        return np.inf
    for _ in range(60):
        for j in range(p):
            b[j] = alpha[k, j] + length * direction[j]
        value = value_at(v, hmat, kappa, alpha, b, unit, dist)
        if value < f_centre:
            return value
        length *= 0.5
    return np.inf


@jit
def smooth_minimum(v, hmat, kappa, alpha, dist_centres, b, unit, dist, grad, hess, trial, tol):
    """Newton descent of f from `b`, in place; returns (value, whether b is a smooth local minimum).

    Stops as soon as the iterate is inside the basin of a centre that is itself a local minimum. Newton steps can also
    run into the kink at a centre that is none; from there the descent goes on in the direction of steepest fall.
    """
    p = alpha.shape[1]
    scale = 1e-300
    for j in range(p):
        scale += abs(v[j])
    value = value_at(v, hmat, kappa, alpha, b, unit, dist)
    for _ in range(_NEWTON_STEPS):
        nearest = directions(unit, dist)
        if dist[nearest] == 0.0:
            if _pinned(v, hmat, kappa, alpha, nearest, dist_centres):
                return value, False
            value = _escape(v, hmat, kappa, alpha, nearest, dist_centres, value, b, trial, unit, dist)
            if value == np.inf:
                return value, False
            continue
        norm = gradient_at(v, hmat, kappa, b, unit, dist, grad)
        if norm <= tol * scale:
            return value, True
        definite = False
        for attempt in range(3):
            ridge = 0.0
            for j in range(p):
                for m in range(j + 1):
                    hess[j, m] = hmat[j, m]
                ridge += hmat[j, j]
            penalty_hessian(unit, dist, kappa, attempt == 0, hess)
            if attempt == 2:
                for j in range(p):
                    hess[j, j] += 1e-8 * ridge
            definite = cholesky_in_place(hess)
            if definite:
                break
        if not definite:
            return value, True
        for j in range(p):
            trial[j] = grad[j]
        cholesky_solve_in_place(hess, trial)
        slope = 0.0
        length = 0.0
        for j in range(p):
            slope += grad[j] * trial[j]
            length += trial[j] * trial[j]
        if not slope > 0.0:
            return value, True
        length = np.sqrt(length)
        if length > 0.5 * dist[nearest]:
            f_centre = quadratic(v, hmat, alpha[nearest], 0.0)
            if f_centre <= value:
                if _pinned(v, hmat, kappa, alpha, nearest, dist_centres):
                    return value, False
                value = _escape(v, hmat, kappa, alpha, nearest, dist_centres, f_centre, b, trial, unit, dist)
                if value == np.inf:
                    return value, False
                continue
        if slope <= 1e-13 * abs(value):
            # below the resolution of f: Newton's last step, quadratically close
            if length < dist[nearest]:
                for j in range(p):
                    b[j] -= trial[j]
            return value, True
        step = 1.0
        moved = False
        for j in range(p):
            grad[j] = b[j]
        for _inner in range(40):
            for j in range(p):
                b[j] = grad[j] - step * trial[j]
            new = value_at(v, hmat, kappa, alpha, b, unit, dist)
            if new <= value - 1e-4 * step * slope:
                moved = True
                break
            step *= 0.5
        if not moved:
            for j in range(p):
                b[j] = grad[j]
            return value, True
        value = new
    return value, True


@jit
def _curvature(hmat, work, inverse):
    """1/||H^-1||, by Frobenius: at most the smallest eigenvalue of H; zero where that is small beside its trace."""
    p = hmat.shape[0]
    trace = 0.0
    for j in range(p):
        trace += hmat[j, j]
        for m in range(j + 1):
            work[j, m] = hmat[j, m]
    if not cholesky_in_place(work, _SINGULAR):
        return 0.0
    total = 0.0
    for column in range(p):
        for j in range(p):
            inverse[j] = 1.0 if j == column else 0.0
        cholesky_solve_in_place(work, inverse)
        for j in range(p):
            total += inverse[j] * inverse[j]
    curvature = 1.0 / np.sqrt(total)
    return curvature if curvature > _FLAT * trace else 0.0


@jit
def _is_only_minimum(v, kappa, alpha, free, value, curvature, unit, dist):
    """Whether f is convex wherever it is at most `value`: then a local minimum with that value is the only one.

    There ||b - b^||^2 is at most twice the value's distance from that of b^ without penalty, over the curvature. On
    that ball, the Hessian of the penalty is at least -2 kappa sum_{k < q} prod_{m != k, q} ||b - alpha_m||, and kinks
    at centres are convex.
    """
    groups, p = alpha.shape
    unpenalised = 0.0
    for j in range(p):
        unpenalised += 0.5 * v[j] * free[j]
    gap = value + unpenalised + _ROUNDING * abs(unpenalised)
    if not (curvature > 0.0 and gap >= 0.0):
        return False
    radius = np.sqrt(2.0 * gap / curvature)
    differences(alpha, free, unit, dist)
    for k in range(groups):
        dist[k] += radius
    bound = 0.0
    for k in range(groups):
        for q in range(k):
            bound += weight(dist, q, k)
    return 2.0 * kappa * bound < _CONVEX * curvature


@jit(plain=True)
def solve_units(v, hmat, kappa, alpha, free, beta, at, explore):
    """Every unit's best candidate.

    Parameters
    ----------
    v, hmat : ndarray, shapes (N, p) and (N, p, p)
    kappa : float
    alpha : ndarray, shape (K, p)
    free : ndarray, shape (N, p)
        The unconstrained minimisers b_i^, a start of the smooth descent.
    beta : ndarray, shape (N, p)
        Overwritten by the minimisers. A row that is off the centres on entry is a start too.
    at : ndarray of int64, shape (N,)
        On entry the centre each row of `beta` sits on, or -1; overwritten likewise.
    explore : bool
        Start every unit's smooth descent from `free` too, unless f is convex as far as it is no higher than at a local
        minimum known; otherwise only where no other candidate is a local minimum.

    Returns
    -------
    float
        Sum of the minima, up to the constant sum of 1/2 b^'H b^.
    """
    n, p = v.shape
    groups = alpha.shape[0]
    unit = np.empty((groups, p))
    dist = np.empty(groups)
    grad = np.empty(p)
    hess = np.empty((p, p))
    trial = np.empty(p)
    b = np.empty(p)
    between = np.empty((groups, groups))
    for k in range(groups):
        for m in range(groups):
            s = 0.0
            for j in range(p):
                d = alpha[k, j] - alpha[m, j]
                s += d * d
            between[k, m] = np.sqrt(s)
    total = 0.0
    for i in range(n):
        best = np.inf
        centre = -1
        for k in range(groups):
            value = quadratic(v[i], hmat[i], alpha[k], 0.0)
            if value < best:
                best = value
                centre = k
        settled = at[i] >= 0 and _pinned(v[i], hmat[i], kappa, alpha, centre, between)
        known = at[i] < 0
        lowest = best  # at a local minimum, where there is one
        for j in range(p):
            b[j] = beta[i, j]
        if centre >= 0:
            for j in range(p):
                beta[i, j] = alpha[centre, j]
        at[i] = centre
        # starts of the smooth descent: where the unit was, its own minimiser, a centre that is no local minimum
        for source in range(3):
            if source == 0:
                wanted = known
            elif source == 1:
                wanted = not settled
                if explore and settled:
                    curvature = _curvature(hmat[i], hess, trial) if best == lowest else 0.0
                    wanted = not _is_only_minimum(v[i], kappa, alpha, free[i], best, curvature, unit, dist)
            else:
                wanted = at[i] >= 0 and not _pinned(v[i], hmat[i], kappa, alpha, at[i], between)
            if not wanted:
                continue
            if source > 0:
                for j in range(p):
                    b[j] = free[i, j] if source == 1 else beta[i, j]
            value, smooth = smooth_minimum(
                v[i], hmat[i], kappa, alpha, between, b, unit, dist, grad, hess, trial, 1e-12
            )
            if source == 0:
                settled, lowest = smooth, value
            if smooth and value < best:
                best = value
                at[i] = -1
                for j in range(p):
                    beta[i, j] = b[j]
        total += best
    return total


@jit(plain=True)
def profile_derivatives(v, hmat, kappa, alpha, beta, at, grad, hess, solve, bound):
    """Gradient and Hessian of the profile in alpha at the solved units, and the units' own stationarity.

    Parameters
    ----------
    v, hmat, kappa, alpha, beta, at
        As left by :func:`solve_units`.
    grad : ndarray, shape (K * p,)
        Overwritten.
    hess : ndarray, shape (K * p, K * p)
        Overwritten: the Schur complement of the units off the centres, plus H_i of the units on them.
    solve, bound : ndarray, shapes (p, K * p) and (K * p, p)
        Work space.

    Returns
    -------
    float
        The largest violation of a unit's own first-order condition, relative to ``sum |v_i|``.
    """
    n, p = v.shape
    groups = alpha.shape[0]
    unit = np.empty((groups, p))
    dist = np.empty(groups)
    gi = np.empty(p)
    hb = np.empty((p, p))
    col = np.empty(p)
    worst = 0.0
    grad[:] = 0.0
    hess[:] = 0.0
    for i in range(n):
        k0 = at[i]
        if k0 >= 0:
            for j in range(p):
                e = -v[i, j]
                for m in range(p):
                    e += hmat[i, j, m] * alpha[k0, m]
                    hess[k0 * p + j, k0 * p + m] += hmat[i, j, m]
                grad[k0 * p + j] += e
            continue
        differences(alpha, beta[i], unit, dist)
        nearest = directions(unit, dist)
        if dist[nearest] == 0.0:
            continue
        scale = 1e-300
        for j in range(p):
            scale += abs(v[i, j])
        worst = max(worst, gradient_at(v[i], hmat[i], kappa, beta[i], unit, dist, gi) / scale)
        for j in range(p):
            for m in range(p):
                hb[j, m] = hmat[i, j, m]
        penalty_hessian(unit, dist, kappa, True, hb)
        definite = cholesky_in_place(hb)
        for k in range(groups):
            w = kappa * weight(dist, k, k)
            for j in range(p):
                grad[k * p + j] -= w * unit[k, j]
                for m in range(p):
                    e = -w / dist[k] * unit[k, j] * unit[k, m]
                    if j == m:
                        e += w / dist[k]
                    hess[k * p + j, k * p + m] += e
                    bound[k * p + j, m] = -e
            for q in range(groups):
                if q != k:
                    w2 = kappa * weight(dist, k, q)
                    for j in range(p):
                        for m in range(p):
                            e = w2 * unit[k, j] * unit[q, m]
                            hess[k * p + j, q * p + m] += e
                            bound[k * p + j, m] -= e
        if not definite:
            continue
        for row in range(groups * p):
            for j in range(p):
                col[j] = bound[row, j]
            cholesky_solve_in_place(hb, col)
            for j in range(p):
                solve[j, row] = col[j]
        for row in range(groups * p):
            for other in range(groups * p):
                e = 0.0
                for j in range(p):
                    e += bound[row, j] * solve[j, other]
                hess[row, other] -= e
    return worst
