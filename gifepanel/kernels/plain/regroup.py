"""Groups, slopes and factors by turns: :mod:`gifepanel.kernels.regroup`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gifepanel.kernels.plain.ordered import Array, IntArray, entities_last, last, ordered_bins, ordered_sum
from gifepanel.kernels.plain.passes import losses
from gifepanel.kernels.plain.small import solve_one

__all__ = ["alternate"]

_SINGULAR = 1e-10


@dataclass(frozen=True)
class _Panel:
    """y (T, N), regressors (T, p, N) and moments, the entities last."""

    y: Array
    x: Array
    xx: Array
    xy: Array
    yy: Array


def _quadratics(panel: _Panel, factors: Array, effect: Array | None) -> tuple[Array, Array, Array]:
    """X_i'M_F X_i (p, p, N), X_i'M_F y_i and y_i'M_F y_i for orthonormal factors."""
    row, s, c, a = panel.y, panel.yy.copy(), panel.xy.copy(), panel.xx.copy()
    if effect is not None:
        row = row - effect[:, None]
        s = ordered_sum(row * row)
        c = ordered_sum(panel.x * row[:, None])
    for q in range(factors.shape[1]):
        f = factors[:, q]
        yf, xf = ordered_sum(row * f[:, None]), ordered_sum(panel.x * f[:, None, None])
        s -= yf * yf
        c -= xf * yf
        a -= xf[:, None] * xf
    return a, c, s


def _slopes(a: Array, c: Array, slots: IntArray, groups: IntArray, theta: Array) -> None:
    """Least squares given groups, into `theta`."""
    q, own = len(theta), slots[groups]
    pairs = own[:, :, None] * q + own[:, None, :]
    gram = ordered_bins(pairs, a.transpose(2, 0, 1), q * q).reshape(q, q)
    rhs = ordered_bins(own, c.T, q)
    solved = solve_one(gram, rhs, _SINGULAR)
    if solved is not None:
        theta[:] = solved


def _assign(a: Array, c: Array, s: Array, slots: IntArray, theta: Array, groups: IntArray) -> int:
    """Every entity to the group that fits it best, none left empty; how many moved."""
    each = losses(a, c, s, theta[slots].T[:, :, None])
    each = np.where(np.isnan(each), np.inf, each)
    best = each.argmin(axis=0)
    loss = each[best, np.arange(len(s))]
    moved = int((best != groups).sum())
    groups[:] = best
    counts = np.bincount(groups, minlength=len(slots))
    for k in np.flatnonzero(counts == 0):
        several = np.flatnonzero(counts[groups] > 1)
        if len(several):
            worst = several[loss[several].argmax()]
            counts[groups[worst]] -= 1
            groups[worst], counts[k] = k, 1
            moved += 1
    return moved


def _orthonormalise(columns: Array) -> None:
    """Gram and Schmidt twice, in place."""
    for j in range(columns.shape[1]):
        column = columns[:, j].copy()
        size = last(column * column)
        for _ in range(2):
            for q in range(j):
                column -= last(columns[:, q] * column) * columns[:, q]
        left = last(column * column)
        scale = 1.0 / np.sqrt(left) if left > _SINGULAR * _SINGULAR * size else 0.0
        columns[:, j] = column * scale


def _step(panel: _Panel, slopes: Array, factors: Array, effect: Array | None) -> None:
    """Time effect and one step of subspace iteration, in place, at slopes (p, N)."""
    resid = panel.y.copy()
    for j in range(len(slopes)):
        resid -= slopes[j] * panel.x[:, j]
    by_entity = resid.T.copy()
    if effect is not None:
        effect[:] = ordered_sum(by_entity) / by_entity.shape[0]
        resid -= effect[:, None]
        by_entity -= effect
    step = np.empty_like(factors)
    for u in range(factors.shape[1]):
        weight = ordered_sum(resid * factors[:, u, None])
        step[:, u] = ordered_sum(by_entity * weight[:, None])
    _orthonormalise(step)
    factors[:] = step


def alternate(
    y: Array,
    xt: Array,
    xx: Array,
    xy: Array,
    yy: Array,
    slots: IntArray,
    groups: IntArray,
    theta: Array,
    factors: Array,
    effect: Array,
    time_effects: bool,
    reassign: bool,
    rounds: int,
    tol: float,
    cutoff: float,
) -> tuple[float, int]:
    """Alternate groups, slopes and factors; the sum of squares and the rounds made."""
    low = np.where(np.tri(xt.shape[1], dtype=bool), xx, xx.transpose(0, 2, 1))
    panel = _Panel(entities_last(y), entities_last(xt), entities_last(low), entities_last(xy), yy)
    taken = effect if time_effects else None
    previous, done = np.inf, 0
    while True:
        a, c, s = _quadratics(panel, factors, taken)
        _slopes(a, c, slots, groups, theta)
        moved = 0
        for _ in range(4 if reassign else 0):
            now = _assign(a, c, s, slots, theta, groups)
            if now == 0:
                break
            moved += now
            _slopes(a, c, slots, groups, theta)
        own = theta[slots].T[:, groups]
        ssr = last(losses(a, c, s, own))
        done += 1
        if done >= rounds or (factors.shape[1] == 0 and not time_effects and moved == 0):
            break
        fall = previous - ssr
        if moved == 0 and (fall <= tol * ssr or (done > 3 and ssr - 20.0 * fall > cutoff)):
            break
        previous = ssr
        _step(panel, own, factors, taken)
    return ssr, done
