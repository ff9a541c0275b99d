"""Newton's method on observed cells: loops whose passes are compiled each by itself.

The loops are Python: one compiled function of all of them would take a minute to compile and save a tenth of a fit.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit
from gifepanel.kernels.cells import evaluate_cells, hessian_product, normal_blocks, period_sums, slope_moments
from gifepanel.kernels.columns import add, dot
from gifepanel.kernels.small import cholesky_in_place, cholesky_solve_in_place, jacobi_eigh

__all__ = [
    "alternate_rounds",
    "fix_gauge",
    "invert_blocks",
    "invert_scaled",
    "newton",
    "step_to_periods",
    "truncated_cg",
]

_RESOLUTION = 1e-12
_LIFT, _SINGULAR, _RANK = 1e-10, 1e-11, 1e-13
_SPANNED_ROW = 1e-11


@jit
def invert_blocks(blocks, out):
    """Inverses of positive semidefinite blocks (T, k, k), slightly lifted."""
    k = blocks.shape[1]
    work, column = np.empty((k, k)), np.empty(k)
    for t in range(blocks.shape[0] if k else 0):
        lift = 0.0
        for j in range(k):
            lift += blocks[t, j, j]
        lift = _LIFT * lift / k + 1e-300
        for j in range(k):
            for c in range(k):
                work[j, c] = blocks[t, j, c]
            work[j, j] += lift
        whole = cholesky_in_place(work)
        for c in range(k):
            column[:] = 0.0
            column[c] = 1.0
            if whole:
                cholesky_solve_in_place(work, column)
            else:
                column[c] = 1.0 / (blocks[t, c, c] + lift)
            for j in range(k):
                out[t, j, c] = column[j]


@jit
def invert_scaled(matrix, out):
    """Pseudo-inverse of a positive semidefinite matrix (q, q), in units where its diagonal is one."""
    q = matrix.shape[0]
    size, work, column = np.empty(q), np.empty((q, q)), np.empty(q)
    for j in range(q):
        size[j] = 1.0 / np.sqrt(matrix[j, j]) if matrix[j, j] > 0.0 else 0.0
    for j in range(q):
        for c in range(q):
            work[j, c] = matrix[j, c] * size[j] * size[c]
    if cholesky_in_place(work, _SINGULAR):
        for c in range(q):
            column[:] = 0.0
            column[c] = size[c]
            cholesky_solve_in_place(work, column)
            for j in range(q):
                out[j, c] = column[j] * size[j]
        return
    for j in range(q):
        for c in range(q):
            work[j, c] = matrix[j, c] * size[j] * size[c]
    vectors = np.empty((q, q))
    jacobi_eigh(work, column, vectors)
    largest = 0.0
    for j in range(q):
        largest = max(largest, column[j])
    for j in range(q):
        for c in range(q):
            s = 0.0
            for v in range(q):
                if column[v] > _RANK * largest:
                    s += vectors[j, v] * vectors[c, v] / column[v]
            out[j, c] = s * size[j] * size[c]


@jit
def _off_rows(rows, number, row):
    """Row `row` off the first `number` rows, orthonormal, and of length one; False where nothing is left of it."""
    n = rows.shape[1]
    before = dot(rows, row, 0, rows, row, 0, n)
    for _ in range(2):
        for g in range(number):
            add(rows, row, 0, -dot(rows, g, 0, rows, row, 0, n), rows, g, 0, n)
    left = dot(rows, row, 0, rows, row, 0, n)
    if not left > _SPANNED_ROW * _SPANNED_ROW * before:
        return False
    scale = 1.0 / np.sqrt(left)
    for k in range(n):
        rows[row, k] *= scale
    return True


@jit
def fix_gauge(series, free, factors, effects, gauge):
    """Factors off known series and of length root T, period coefficients off both, in place.

    Parameters
    ----------
    series : ndarray, shape (g, T)
        Orthonormal.
    free : ndarray of bool, shape (R + m,)
        Rows that nothing is taken off.
    factors : ndarray, shape (R, T)
        A factor that those before it span becomes a wave that they don't.
    effects : ndarray, shape (m, T)
    gauge : ndarray, shape (g + R, T)
        Receives the series and the factors, orthonormal.
    """
    g, t = series.shape
    r = factors.shape[0]
    for j in range(g):  # by element: a slice brings the compiler the text of an error, seconds of it
        for k in range(t):
            gauge[j, k] = series[j, k]
    for j in range(r):
        row = gauge[g + j]
        for k in range(t):
            row[k] = factors[j, k]
        found = _off_rows(gauge, g + j, g + j)
        for wave in range(t):
            if found:
                break
            for k in range(t):
                row[k] = np.cos(np.pi * (wave + 1) * (k + 0.5) / t)
            found = _off_rows(gauge, g + j, g + j)
        for k in range(t):
            factors[j, k] = row[k] * np.sqrt(t)
    for j in range(effects.shape[0]):
        if not free[r + j]:
            for c in range(g + r):
                add(effects, j, 0, -dot(gauge, c, 0, effects, j, 0, t), gauge, c, 0, t)


@jit
def _off_gauge(gauge, free, step):
    """Rows of `step` (R + m, T) projected off the rows of `gauge` (g, T), but those that are `free`."""
    t = step.shape[1]
    for j in range(step.shape[0]):
        if free[j]:
            continue
        for g in range(gauge.shape[0]):
            add(step, j, 0, -dot(gauge, g, 0, step, j, 0, t), gauge, g, 0, t)


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
    s = 0.0
    for j in range(b.shape[0]):
        s += b[j] * d[j]
    for j in range(a.shape[0]):
        s += dot(a, j, 0, c, j, 0, a.shape[1])
    return s


@jit
def _advance(out, out_theta, factor, a, a_theta):
    """out += factor a, both parts."""
    for j in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[j, k] += factor * a[j, k]
    for j in range(out_theta.shape[0]):
        out_theta[j] += factor * a_theta[j]


@jit
def _turn(p, p_theta, beta, y, y_theta):
    """p = beta p - y, both parts."""
    for j in range(p.shape[0]):
        for k in range(p.shape[1]):
            p[j, k] = beta * p[j, k] - y[j, k]
    for j in range(p_theta.shape[0]):
        p_theta[j] = beta * p_theta[j] - y_theta[j]


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
    work, h, du = np.zeros((2, t)), np.zeros(state.q.shape[0]), np.zeros(state.q.shape[0])
    _off_gauge(gauge, free, res)
    _precondition(inv_period, inv_theta, gauge, free, res, res_theta, y, y_theta)
    p, p_theta = np.zeros((r, t)), np.zeros(q)
    _turn(p, p_theta, 0.0, y, y_theta)
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
            _advance(z, z_theta, alpha, p, p_theta)
            _advance(hz, hz_theta, alpha, hp, hp_theta)
            hit = True
            break
        _advance(z, z_theta, alpha, p, p_theta)
        _advance(hz, hz_theta, alpha, hp, hp_theta)
        _advance(res, res_theta, alpha, hp, hp_theta)
        zz = size
        _precondition(inv_period, inv_theta, gauge, free, res, res_theta, y, y_theta)
        new = _inner(res, res_theta, y, y_theta)
        if new <= tol * tol * first:
            break
        beta = new / now
        now = new
        zp = beta * (zp + alpha * pp)
        pp = new + beta * beta * pp
        _turn(p, p_theta, beta, y, y_theta)
    predicted = -(_inner(state.g_period, state.g_theta, z, z_theta) + 0.5 * _inner(z, z_theta, hz, hz_theta))
    return z, z_theta, predicted, products, hit, np.sqrt(max(first, 0.0))


@jit
def step_to_periods(sums, blocks, inverses, g, factors, effects):
    """Factors and period coefficients by their normal equations, loadings given, in place.

    Parameters
    ----------
    sums : ndarray, shape (R + m, R + m, T)
        Lower triangles of the normal equations.
    blocks, inverses : ndarray, shape (T, R + m, R + m)
        Room.
    g : ndarray, shape (R + m, T)
        The gradient.
    factors, effects : ndarray, shapes (R, T) and (m, T)
    """
    r, k = factors.shape[0], g.shape[0]
    for t in range(blocks.shape[0]):
        for j in range(k):
            for c in range(j + 1):
                blocks[t, j, c] = sums[j, c, t]
                blocks[t, c, j] = sums[j, c, t]
    invert_blocks(blocks, inverses)
    for t in range(blocks.shape[0]):
        for j in range(k):
            s = 0.0
            for c in range(k):
                s += inverses[t, j, c] * g[c, t]
            if j < r:
                factors[j, t] -= s
            else:
                effects[j - r, t] -= s


def alternate_rounds(data, groups, slots, series, free, theta, factors, effects, state, rounds, spanned, held):
    """Rounds of slopes given factors, then factors and period coefficients given loadings and slopes, in place.

    Each lowers the sum of squares, which is returned as it is before the last step. Slopes stay where they are `held`.
    """
    t, k, q = factors.shape[1], state.g_period.shape[0], theta.shape[0]
    gauge = np.empty((series.shape[0] + factors.shape[0], t))
    sums, blocks, inverses = np.empty((k, k, t)), np.empty((t, k, k)), np.empty((t, k, k))
    gram, inverse = np.empty((0 if held else q, q)), np.empty((0 if held else q, q))
    fix_gauge(series, free, factors, effects, gauge)
    ssr = np.inf
    for _ in range(rounds):
        ssr = evaluate_cells(data, groups, slots, theta, factors, effects, spanned, state)
        if q and not held:
            slope_moments(data, state, groups, slots, gram)
            invert_scaled(gram, inverse)
            for j in range(q):
                for c in range(q):
                    theta[j] -= inverse[j, c] * state.g_theta[c]
            ssr = evaluate_cells(data, groups, slots, theta, factors, effects, spanned, state)
        if k:
            period_sums(data, state, sums)
            step_to_periods(sums, blocks, inverses, state.g_period, factors, effects)
            fix_gauge(series, free, factors, effects, gauge)
    return ssr


def _size(state, gauge, free, inv_period, inv_theta, res, y, y_theta):
    """The gradient in the norm of the inverse preconditioner."""
    res[:] = state.g_period
    _off_gauge(gauge, free, res)
    _precondition(inv_period, inv_theta, gauge, free, res, state.g_theta, y, y_theta)
    return np.sqrt(max(_inner(res, state.g_theta, y, y_theta), 0.0))


@jit
def _leads(ssr, e, known_ssr, known_e, near):
    """Whether residuals are so close to those of a minimum, from above, that a descent will end there."""
    if known_ssr < 0.0 or not 0.0 <= ssr - known_ssr <= near * known_ssr:
        return False
    difference = 0.0
    for k in range(e.shape[0]):
        difference += (e[k] - known_e[k]) ** 2
    return difference <= near * known_ssr


def newton(
    data,
    groups,
    slots,
    series,
    free,
    theta,
    factors,
    effects,
    now,
    other,
    tol,
    floor,
    max_iter,
    max_products,
    first_tol,
    full,
    known_ssr,
    known_e,
    near,
    spanned,
):
    """Trust-region Newton steps by truncated conjugate gradients; every step lowers the sum of squares.

    Parameters
    ----------
    data, groups, slots
    series, free
        See :func:`fix_gauge`.
    theta, factors, effects : ndarray
        Where to begin; overwritten by where it ends.
    now, other : CellState
        Room for two evaluations.
    tol : float
        Of the gradient in the norm of the inverse preconditioner, relative to the root of the sum of squares.
    floor : float
        A sum of squares that is zero but for rounding.
    max_iter, max_products, first_tol, full
        As :func:`~gifepanel.solvers.cell_descent.descend_cells`.
    known_ssr, known_e, near : float, ndarray (n,), float
        Of a minimum that descents may lead to; negative where there is none.
    spanned : float
        As `tol` of :func:`~gifepanel.kernels.cells.evaluate_cells`.

    Returns
    -------
    swapped : bool
        Whether the last evaluation stands in `other`.
    ssr, measure : float
    steps : int
    converged, led : bool
        `led`: it leads to the known minimum.
    """
    r, t = factors.shape
    k, q = now.g_period.shape[0], theta.shape[0]
    gauge, new_gauge = np.empty((series.shape[0] + r, t)), np.empty((series.shape[0] + r, t))
    blocks, inv_period = np.empty((t, k, k)), np.empty((t, k, k))
    gram, inv_theta = np.empty((q, q)), np.empty((q, q))
    res, y, y_theta = np.empty((k, t)), np.empty((k, t)), np.empty(q)
    new_theta, new_factors, new_effects = theta.copy(), factors.copy(), effects.copy()
    fix_gauge(series, free, factors, effects, gauge)
    ssr = evaluate_cells(data, groups, slots, theta, factors, effects, spanned, now)
    radius, measure, steps = 0.5 * np.sqrt(ssr), np.inf, 0
    moved, swapped = True, False
    if _leads(ssr, now.e, known_ssr, known_e, near):
        return swapped, ssr, measure, steps, False, True
    while True:
        if moved:
            normal_blocks(data, now, blocks)
            invert_blocks(blocks, inv_period)
            slope_moments(data, now, groups, slots, gram)
            invert_scaled(gram, inv_theta)
            size = _size(now, gauge, free, inv_period, inv_theta, res, y, y_theta)
            measure = 0.0 if ssr <= floor else size / np.sqrt(ssr)
        if measure <= tol or steps == max_iter:
            break
        steps += 1
        system = min(first_tol, np.sqrt(measure))
        step, turn, predicted, _, hit, _ = truncated_cg(
            data, groups, slots, now, inv_period, inv_theta, gauge, free, full, radius, max_products, system
        )
        new_theta[:] = theta + turn
        new_factors[:] = factors + step[:r]
        new_effects[:] = effects + step[r:]
        fix_gauge(series, free, new_factors, new_effects, new_gauge)
        new_ssr = evaluate_cells(data, groups, slots, new_theta, new_factors, new_effects, spanned, other)
        gain = 0.5 * (ssr - new_ssr)
        ratio = gain / predicted if predicted > 0.0 else -1.0
        if predicted < _RESOLUTION * ssr:  # below the resolution of the objective: the gradient judges
            ratio = 1.0 if abs(gain) <= 10 * _RESOLUTION * ssr else -1.0
        if ratio > 0.75 and hit:
            radius *= 2.5
        elif ratio < 0.25:
            radius *= 0.25
        moved = ratio > 1e-4
        if moved:
            theta[:] = new_theta
            factors[:] = new_factors
            effects[:] = new_effects
            gauge[:] = new_gauge
            ssr = new_ssr
            now, other = other, now
            swapped = not swapped
            if _leads(ssr, now.e, known_ssr, known_e, near):
                return swapped, ssr, measure, steps, False, True
        elif radius < 1e-14 * np.sqrt(ssr):
            break
    return swapped, ssr, measure, steps, measure <= tol, False
