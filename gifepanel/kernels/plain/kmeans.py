"""K-means: :mod:`gifepanel.kernels.kmeans`."""

from __future__ import annotations

import numpy as np

from gifepanel.kernels.plain.ordered import Array, IntArray, last, ordered_bins
from gifepanel.kernels.plain.passes import losses
from gifepanel.kernels.plain.small import solve_semidefinite

__all__ = ["lloyd", "lloyd_of_slopes", "plus_plus"]


def _closest(points: Array, centers: Array) -> tuple[Array, IntArray]:
    """Squared distance to the nearest centre, and which."""
    s = np.zeros((len(centers), len(points)))
    for j in range(points.shape[1]):
        d = points[:, j] - centers[:, j, None]
        s += d * d
    nearest = np.where(np.isnan(s), np.inf, s).argmin(axis=0)
    return s[nearest, np.arange(len(points))], nearest


def plus_plus(points: Array, uniforms: Array, centers: Array) -> None:
    """K-means++ seeds into `centers`."""
    n = len(points)
    for k in range(len(centers)):
        if k == 0:
            pick = min(int(uniforms[0] * n), n - 1)
        else:
            run = np.add.accumulate(_closest(points, centers[:k])[0])
            above = run > uniforms[k] * run[-1]
            pick = int(above.argmax()) if above.any() else n - 1
        centers[k] = points[pick]


def lloyd(points: Array, centers: Array, labels: IntArray, max_iter: int) -> float:
    """Lloyd's iterations in place; the within sum of squares."""
    groups = len(centers)
    inertia = np.inf
    labels[:] = -1
    for _ in range(max_iter):
        gap, nearest = _closest(points, centers)
        inertia = last(gap)
        changed = not np.array_equal(nearest, labels)
        labels[:] = nearest
        counts = np.bincount(labels, minlength=groups)
        for k in np.flatnonzero(counts == 0):
            movable = np.where(counts[labels] > 1, gap, -np.inf)
            worst = int(movable.argmax())
            if movable[worst] > -np.inf:
                counts[labels[worst]] -= 1
                inertia -= gap[worst]
                gap[worst], labels[worst], counts[k], changed = 0.0, k, 1, True
        if not changed:
            break
        for j in range(points.shape[1]):
            sums = np.bincount(labels, weights=points[:, j], minlength=groups)
            centers[:, j] = np.where(counts > 0, sums / np.maximum(counts, 1), sums)
    return float(inertia)


def _group_slopes(a: Array, c: Array, labels: IntArray, alpha: Array) -> None:
    """Least-squares slopes of every group from unit moments, into `alpha`."""
    groups, p = alpha.shape
    gram = np.zeros((groups, p, p))
    for j in range(p):
        alpha[:, j] = ordered_bins(labels, c[:, j], groups)
        for m in range(j + 1):
            gram[:, j, m] = ordered_bins(labels, a[:, j, m], groups)
    for k in range(groups):
        alpha[k] = solve_semidefinite(gram[k], alpha[k])


def lloyd_of_slopes(a: Array, c: Array, s: Array, labels: IntArray, alpha: Array, max_iter: int) -> float:
    """Lloyd's iterations in every unit's own metric, in place; the sum of squares."""
    groups, everyone = len(alpha), np.arange(len(s))
    moments = np.ascontiguousarray(a.transpose(1, 2, 0)), np.ascontiguousarray(c.T), s
    ssr = 0.0
    for done in range(max_iter + 1):
        _group_slopes(a, c, labels, alpha)
        each = losses(*moments, alpha.T[:, :, None])
        new = np.where(np.isnan(each), np.inf, each).argmin(axis=0)
        ssr = last(each[labels, everyone])
        emptied = np.bincount(new, minlength=groups).min() == 0
        if np.array_equal(new, labels) or emptied or done == max_iter:
            break
        labels[:] = new
    return ssr
