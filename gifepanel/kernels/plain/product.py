"""Entities' problems under the product penalty, all at once: :mod:`gifepanel.kernels.product`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gifepanel.kernels.plain.ordered import Array, BoolArray, IntArray, last, ordered_sum
from gifepanel.kernels.plain.small import cholesky, cholesky_solve

__all__ = ["profile_derivatives", "solve_units", "total_penalty"]

_NEWTON_STEPS = 50
_TOL = 1e-12
_FLAT, _SINGULAR, _ROUNDING, _CONVEX = 1e-4, 1e-8, 1e-12, 0.99


def _distances(centres: Array, b: Array) -> tuple[Array, Array]:
    """b - alpha_k (K, p, M) and their lengths (K, M)."""
    d = b - centres[:, :, None]
    s = d[:, 0] * d[:, 0]
    for j in range(1, d.shape[1]):
        s = s + d[:, j] * d[:, j]
    return d, np.sqrt(s)


def _weights(dist: Array) -> Array:
    """Products of the distances to all other centres (K, M)."""
    out = np.empty_like(dist)
    for k in range(len(dist)):
        out[k] = _weight(dist, k, k)
    return out


def _weight(dist: Array, skip: int, other: int) -> Array:
    w = np.ones(dist.shape[1:])
    for m in range(len(dist)):
        if m not in (skip, other):
            w = w * dist[m]
    return w


def total_penalty(beta: Array, alpha: Array) -> float:
    """Sum over entities of the product of distances to all centres."""
    product = np.ones(len(beta))
    for distance in _distances(alpha, beta.T)[1]:
        product = product * distance
    return last(product)


@dataclass(frozen=True)
class _Units:
    """v (p, M), H (p, p, M) of entities, the centres (K, p), distances between them (K, K) and kappa."""

    v: Array
    hmat: Array
    kappa: float
    centres: Array
    between: Array

    def some(self, on: IntArray) -> _Units:
        return _Units(self.v[:, on], self.hmat[:, :, on], self.kappa, self.centres, self.between)

    def value(self, b: Array) -> Array:
        """f(b) for b (p, M)."""
        penalty = np.full(b.shape[1], self.kappa)
        for length in _distances(self.centres, b)[1]:
            penalty *= length
        e = -self.v
        for m in range(len(b)):
            e = e + 0.5 * self.hmat[:, m] * b[m]
        for j in range(len(b)):
            penalty += e[j] * b[j]
        return penalty

    def at_centres(self, k: IntArray) -> Array:
        """f at one centre of each entity's."""
        return self.value(self.centres[k].T)

    def _bound(self, k: IntArray) -> Array:
        """kappa times the distances of centre k to the others."""
        bounds = np.full(len(self.centres), self.kappa)
        for m in range(len(self.centres)):
            others = np.arange(len(self.centres)) != m
            bounds[others] *= self.between[others, m]
        return np.asarray(bounds[k])

    def _force(self, k: IntArray) -> tuple[Array, Array]:
        """v - H alpha_k and its squared length."""
        e = self.v.copy()
        for m in range(len(e)):
            e -= self.hmat[:, m] * self.centres[k, m]
        s = np.zeros(e.shape[1])
        for j in range(len(e)):
            s += e[j] * e[j]
        return e, s

    def pinned(self, k: IntArray) -> BoolArray:
        """Whether centre k is a local minimum."""
        c = self._bound(k)
        return np.asarray(self._force(k)[1] <= c * c)

    def escape(self, k: IntArray, f_centre: Array, b: Array) -> Array:
        """Points `b` below the value at centre k, in place; the values there, infinite where there is no fall."""
        p, groups = len(b), len(self.centres)
        direction, force = self._force(k)
        force = np.sqrt(force)
        direction /= force
        curvature = np.zeros(len(k))
        for j in range(p):
            for m in range(j + 1):
                curvature += (1.0 if m == j else 2.0) * self.hmat[j, m] * direction[j] * direction[m]
        room = np.where(np.eye(groups, dtype=bool), np.inf, self.between).min(axis=1)[k]
        length = 0.5 * room
        newton = (force - self._bound(k)) / curvature
        length = np.where((curvature > 0.0) & (newton < length), newton, length)
        out = np.full(len(k), np.inf)
        on = np.flatnonzero(length < np.inf)
        for _ in range(60):
            if not len(on):
                break
            b[:, on] = self.centres[k[on]].T + length[on] * direction[:, on]
            value = self.some(on).value(b[:, on])
            lower = value < f_centre[on]
            out[on[lower]] = value[lower]
            on = on[~lower]
            length[on] *= 0.5
        return out

    def gradient(self, b: Array, unit: Array, dist: Array) -> tuple[Array, Array]:
        """Gradient of f (p, M) and its length."""
        grad = -self.v
        for m in range(len(b)):
            grad = grad + self.hmat[:, m] * b[m]
        weights = self.kappa * _weights(dist)
        for k in range(len(dist)):
            grad += weights[k] * unit[k]
        norm = np.zeros(b.shape[1])
        for j in range(len(b)):
            norm += grad[j] * grad[j]
        return grad, np.sqrt(norm)

    def hessian(self, unit: Array, dist: Array, cross: bool) -> Array:
        """Hessian of f (p, p, M); without `cross` the positive semidefinite part of the penalty only."""
        hess, own = self.hmat.copy(), np.arange(self.hmat.shape[0])
        for k in range(len(dist)):
            w = self.kappa * _weight(dist, k, k) / dist[k]
            hess[own, own] += w
            hess -= w * unit[k][:, None] * unit[k]
            for q in range(len(dist)):
                if cross and q != k:
                    hess += self.kappa * _weight(dist, k, q) * unit[k][:, None] * unit[q]
        return hess

    def curvature(self) -> Array:
        """1/||H^-1|| of every entity (M,), zero where it is small."""
        p, n = self.v.shape
        factor, trace = self.hmat.copy(), np.zeros(n)
        for j in range(p):
            trace += self.hmat[j, j]
        definite, total = cholesky(factor, _SINGULAR), np.zeros(n)
        for column in range(p):
            inverse = np.zeros((p, n))
            inverse[column] = 1.0
            cholesky_solve(factor, inverse)
            for j in range(p):
                total += inverse[j] * inverse[j]
        curvature = 1.0 / np.sqrt(total)
        return np.where(definite & (curvature > _FLAT * trace), curvature, 0.0)

    def is_only_minimum(self, free: Array, value: Array) -> BoolArray:
        """Whether f is convex wherever it is at most `value`, with the unpenalised minimisers `free` (p, M)."""
        unpenalised = np.zeros(free.shape[1])
        for j in range(len(free)):
            unpenalised += 0.5 * self.v[j] * free[j]
        curvature, gap = self.curvature(), value + unpenalised + _ROUNDING * np.abs(unpenalised)
        dist = _distances(self.centres, free)[1] + np.sqrt(2.0 * gap / curvature)
        bound = np.zeros(free.shape[1])
        for k in range(len(dist)):
            for q in range(k):
                bound += _weight(dist, q, k)
        inside = (curvature > 0.0) & (gap >= 0.0)
        return np.asarray(inside & (2.0 * self.kappa * bound < _CONVEX * curvature))


def _directions(centres: Array, b: Array) -> tuple[IntArray, Array, Array]:
    """Nearest centre (M,), unit vectors from the centres (K, p, M), distances (K, M)."""
    d, dist = _distances(centres, b)
    unit = np.where(dist[:, None] > 0.0, d / dist[:, None], d)
    return dist.argmin(axis=0), unit, dist


class _Descents:
    """Newton's descents of f from `b` (p, M): values, where they end, and whether at a smooth local minimum."""

    def __init__(self, units: _Units, b: Array) -> None:
        self.units, self.b, self.value = units, b, units.value(b)
        self.smooth = np.zeros(b.shape[1], dtype=bool)
        scale = np.full(b.shape[1], 1e-300)
        for j in range(len(b)):
            scale += np.abs(units.v[j])
        self.scale = scale
        on = np.arange(b.shape[1])
        for _ in range(_NEWTON_STEPS):
            if not len(on):
                break
            on = self._step(on)
        self.smooth[on] = True

    def _step(self, on: IntArray) -> IntArray:
        """One step of the descents `on`; those that go on."""
        units, b = self.units.some(on), self.b[:, on]
        nearest, unit, dist = _directions(units.centres, b)
        closest = dist[nearest, np.arange(len(on))]
        grad, norm = units.gradient(b, unit, dist)
        kink = closest == 0.0
        done = ~kink & (norm <= _TOL * self.scale[on])
        ahead = np.flatnonzero(~kink & ~done)
        trial, slope, length = _newton(units.some(ahead), unit[:, :, ahead], dist[:, ahead], grad[:, ahead])
        done[ahead[~(slope > 0.0)]] = True
        live = slope > 0.0
        ahead, trial, slope, length = ahead[live], trial[:, live], slope[live], length[live]
        far, f_centre = length > 0.5 * closest[ahead], np.zeros(len(on))
        f_centre[kink] = self.value[on[kink]]
        f_centre[ahead[far]] = units.some(ahead[far]).at_centres(nearest[ahead[far]])
        into = far & (f_centre[ahead] <= self.value[on[ahead]])
        kink[ahead[into]] = True
        goes_on = self._leave(on[kink], nearest[kink], f_centre[kink])
        ahead, trial, slope, length = ahead[~into], trial[:, ~into], slope[~into], length[~into]
        tiny = slope <= 1e-13 * np.abs(self.value[on[ahead]])
        jump = tiny & (length < closest[ahead])
        self.b[:, on[ahead[jump]]] -= trial[:, jump]
        done[ahead[tiny]] = True
        moved = self._search(on[ahead[~tiny]], trial[:, ~tiny], slope[~tiny])
        self.smooth[on[done]] = True
        return np.sort(np.concatenate([goes_on, moved]))

    def _leave(self, on: IntArray, nearest: IntArray, f_centre: Array) -> IntArray:
        """From centres that are no local minima; who goes on. The others end at theirs."""
        off = ~self.units.some(on).pinned(nearest)
        on, nearest, f_centre = on[off], nearest[off], f_centre[off]
        if not len(on):
            return on
        b = self.b[:, on]
        self.value[on] = self.units.some(on).escape(nearest, f_centre, b)
        self.b[:, on] = b
        return on[self.value[on] != np.inf]

    def _search(self, on: IntArray, trial: Array, slope: Array) -> IntArray:
        """Steps shortened until f falls; who moved. The others are at a minimum."""
        before, waiting, step = self.b[:, on], np.arange(len(on)), 1.0
        for _ in range(40):
            if not len(waiting):
                break
            b = before[:, waiting] - step * trial[:, waiting]
            new = self.units.some(on[waiting]).value(b)
            fell = new <= self.value[on[waiting]] - 1e-4 * step * slope[waiting]
            self.b[:, on[waiting[fell]]] = b[:, fell]
            self.value[on[waiting[fell]]] = new[fell]
            waiting = waiting[~fell]
            step *= 0.5
        self.smooth[on[waiting]] = True
        return np.delete(on, waiting)


def _newton(units: _Units, unit: Array, dist: Array, grad: Array) -> tuple[Array, Array, Array]:
    """Newton's step (p, M), its slope (NaN where no curvature is positive definite) and its length."""
    p, n = grad.shape
    trial, left = np.full((p, n), np.nan), np.arange(n)
    for attempt in range(3):
        if not len(left):
            break
        some = units.some(left)
        hess = some.hessian(unit[:, :, left], dist[:, left], attempt == 0)
        if attempt == 2:
            hess[np.arange(p), np.arange(p)] += 1e-8 * ordered_sum(some.hmat[np.arange(p), np.arange(p)])
        definite = cholesky(hess)
        step = grad[:, left]
        cholesky_solve(hess, step)
        trial[:, left[definite]] = step[:, definite]
        left = left[~definite]
    slope, length = np.zeros(n), np.zeros(n)
    for j in range(p):
        slope += grad[j] * trial[j]
        length += trial[j] * trial[j]
    return trial, slope, np.sqrt(length)


def solve_units(
    v: Array, hmat: Array, kappa: float, alpha: Array, free: Array, beta: Array, at: IntArray, explore: bool
) -> float:
    """Every entity's best candidate, into `beta` and `at`; the sum of the minima."""
    with np.errstate(all="ignore"):
        return _solve(v, hmat, kappa, alpha, free, beta, at, explore)


def _solve(
    v: Array, hmat: Array, kappa: float, alpha: Array, free: Array, beta: Array, at: IntArray, explore: bool
) -> float:
    between = _distances(alpha, alpha.T)[1]
    units = _Units(v.T.copy(), hmat.transpose(1, 2, 0).copy(), kappa, alpha, between)
    each = np.stack([units.value(np.repeat(centre[:, None], len(v), axis=1)) for centre in alpha])
    each = np.where(np.isnan(each), np.inf, each)
    centre = each.argmin(axis=0)
    best = each[centre, np.arange(len(v))]
    centre[best == np.inf] = -1
    known, before = at < 0, beta.copy()
    settled = ~known & units.pinned(centre)
    beta[centre >= 0] = alpha[centre[centre >= 0]]
    at[:] = centre
    lowest = best.copy()
    for source in range(3):
        if source == 0:
            wanted, start = known, before
        elif source == 1:
            wanted, start = ~settled, free
            sure = np.flatnonzero(explore & settled)
            only = units.some(sure).is_only_minimum(free[sure].T, best[sure]) & (best[sure] == lowest[sure])
            wanted[sure[~only]] = True
        else:
            wanted, start = (at >= 0) & ~units.pinned(at), beta
        on = np.flatnonzero(wanted)
        if not len(on):
            continue
        found = _Descents(units.some(on), start[on].T.copy())
        if source == 0:
            settled[on], lowest[on] = found.smooth, found.value
        better = found.smooth & (found.value < best[on])
        best[on[better]], at[on[better]], beta[on[better]] = found.value[better], -1, found.b[:, better].T
    return last(best)


def profile_derivatives(
    v: Array,
    hmat: Array,
    kappa: float,
    alpha: Array,
    beta: Array,
    at: IntArray,
    grad: Array,
    hess: Array,
    solve: Array,
    bound: Array,
) -> float:
    """Gradient and Hessian of the profile, in place; the largest violation of an entity's first-order condition."""
    groups, p = alpha.shape
    size, n = groups * p, len(v)
    gradients, hessians = np.zeros((n, size)), np.zeros((n, 2, size, size))
    e = -v
    for m in range(p):
        e = e + hmat[:, :, m] * np.where(at >= 0, alpha[at, m], 0.0)[:, None]
    for k in range(groups):
        block = slice(k * p, (k + 1) * p)
        gradients[at == k, block] = e[at == k]
        hessians[at == k, 0, block, block] = hmat[at == k]
    with np.errstate(all="ignore"):
        worst = _smooth_parts(v, hmat, kappa, alpha, beta, at, gradients, hessians)
    grad[:] = ordered_sum(gradients)
    hess[:] = ordered_sum(hessians.reshape(2 * n, size, size))
    return worst


def _smooth_parts(
    v: Array, hmat: Array, kappa: float, alpha: Array, beta: Array, at: IntArray, gradients: Array, hessians: Array
) -> float:
    """What entities off the centres add to gradient and Hessian, each into its own; their worst violation."""
    groups, p = alpha.shape
    off = np.flatnonzero(at < 0)
    b = beta[off].T.copy()
    nearest, unit, dist = _directions(alpha, b)
    on = dist[nearest, np.arange(len(off))] != 0.0
    off, b, unit, dist = off[on], b[:, on], unit[:, :, on], dist[:, on]
    if not len(off):
        return 0.0
    units = _Units(v[off].T.copy(), hmat[off].transpose(1, 2, 0).copy(), kappa, alpha, np.zeros((groups, groups)))
    scale = np.full(len(off), 1e-300)
    for j in range(p):
        scale += np.abs(units.v[j])
    worst = max(0.0, float((units.gradient(b, unit, dist)[1] / scale).max()))
    factor = units.hessian(unit, dist, True)
    definite = cholesky(factor)
    blocks, bound = np.zeros((groups, p, groups, p, len(off))), np.zeros((groups, p, p, len(off)))
    for k in range(groups):
        w = kappa * _weight(dist, k, k)
        part = -w / dist[k] * unit[k][:, None] * unit[k]
        part[np.arange(p), np.arange(p)] += w / dist[k]
        blocks[k, :, k], bound[k] = part, -part
        gradients[off, k * p : (k + 1) * p] = -(w * unit[k]).T
        for q in range(groups):
            if q != k:
                cross = kappa * _weight(dist, k, q) * unit[k][:, None] * unit[q]
                blocks[k, :, q] = cross
                bound[k] -= cross
    size = groups * p
    rows = bound.reshape(size, p, len(off))
    solved = np.stack(list(rows))  # (size, p, M): every row's system
    for row in solved:
        cholesky_solve(factor, row)
    schur = np.zeros((size, size, len(off)))
    for j in range(p):
        schur += rows[:, None, j] * solved[None, :, j]
    hessians[off, 0] = blocks.reshape(size, size, len(off)).transpose(2, 0, 1)
    hessians[off, 1] = np.where(definite, -schur, 0.0).transpose(2, 0, 1)
    return worst
