"""K-means in the metric of the data: Lloyd's algorithm with K-means++ seeding."""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit
from gifepanel.kernels.passes import unit_loss
from gifepanel.kernels.small import solve_semidefinite

__all__ = ["group_slopes", "lloyd", "lloyd_of_slopes", "plus_plus"]


@jit
def _closest(points, i, centers, used):
    p = points.shape[1]
    best = np.inf
    arg = 0
    for k in range(used):
        s = 0.0
        for j in range(p):
            d = points[i, j] - centers[k, j]
            s += d * d
        if s < best:
            best = s
            arg = k
    return best, arg


@jit(plain=True)
def plus_plus(points, uniforms, centers):
    """K-means++ seeds (Arthur & Vassilvitskii 2007) from K uniform draws; fills `centers` (K, p)."""
    n, p = points.shape
    groups = centers.shape[0]
    gap = np.empty(n)
    for k in range(groups):
        if k == 0:
            pick = min(int(uniforms[0] * n), n - 1)
        else:
            total = 0.0
            for i in range(n):
                gap[i], _ = _closest(points, i, centers, k)
                total += gap[i]
            target = uniforms[k] * total
            pick = n - 1
            run = 0.0
            for i in range(n):
                run += gap[i]
                if run > target:
                    pick = i
                    break
        for j in range(p):
            centers[k, j] = points[pick, j]


@jit(plain=True)
def lloyd(points, centers, labels, max_iter):
    """Lloyd iterations in place; an empty group takes the worst-placed point. Returns the within sum of squares."""
    n, p = points.shape
    groups = centers.shape[0]
    counts = np.zeros(groups, dtype=np.int64)
    gap = np.empty(n)
    inertia = np.inf
    labels[:] = -1
    for _ in range(max_iter):
        changed = False
        inertia = 0.0
        counts[:] = 0
        for i in range(n):
            gap[i], k = _closest(points, i, centers, groups)
            inertia += gap[i]
            counts[k] += 1
            if labels[i] != k:
                labels[i] = k
                changed = True
        for k in range(groups):
            if counts[k] == 0:
                worst = -1
                for i in range(n):
                    if counts[labels[i]] > 1 and (worst < 0 or gap[i] > gap[worst]):
                        worst = i
                if worst >= 0:
                    counts[labels[worst]] -= 1
                    inertia -= gap[worst]
                    gap[worst] = 0.0
                    labels[worst] = k
                    counts[k] = 1
                    changed = True
        if not changed:
            break
        centers[:] = 0.0
        for i in range(n):
            for j in range(p):
                centers[labels[i], j] += points[i, j]
        for k in range(groups):
            if counts[k] > 0:
                for j in range(p):
                    centers[k, j] /= counts[k]
    return inertia


@jit
def group_slopes(a, c, labels, gram, alpha):
    """Least-squares slopes of every group from unit moments a (N, p, p) and c (N, p), into `alpha` (K, p).

    Of least norm where those of a group are not determined; `gram` (K, p, p) is room.
    """
    n, p = c.shape
    gram[:] = 0.0
    alpha[:] = 0.0
    for i in range(n):
        k = labels[i]
        for j in range(p):
            alpha[k, j] += c[i, j]
            for m in range(j + 1):
                gram[k, j, m] += a[i, j, m]
    for k in range(alpha.shape[0]):
        solve_semidefinite(gram[k], alpha[k])


@jit(plain=True)
def lloyd_of_slopes(a, c, s, labels, alpha, max_iter):
    """Lloyd's iterations in every unit's own metric: group slopes and assignment by sum of squares, in place.

    It ends where nothing moves, or before a group would be empty.

    Parameters
    ----------
    a, c, s : ndarray, shapes (N, p, p), (N, p) and (N,)
        A unit's sum of squares at slopes b is s - 2 c'b + b'a b.
    labels : ndarray of int64, shape (N,)
    alpha : ndarray, shape (K, p)
        Overwritten by the slopes of the groups.
    max_iter : int

    Returns
    -------
    float
        Sum of squares at the labels and slopes returned.
    """
    n, p = c.shape
    groups = alpha.shape[0]
    gram, counts = np.empty((groups, p, p)), np.empty(groups, dtype=np.int64)
    new, ssr = np.empty(n, dtype=np.int64), 0.0
    for done in range(max_iter + 1):
        group_slopes(a, c, labels, gram, alpha)
        counts[:] = 0
        moved = False
        ssr = 0.0
        for i in range(n):
            best = np.inf
            for k in range(groups):
                v = unit_loss(a, c, s, i, alpha[k])
                if v < best:
                    best = v
                    new[i] = k
                if k == labels[i]:
                    ssr += v
            counts[new[i]] += 1
            moved = moved or new[i] != labels[i]
        if not moved or counts.min() == 0 or done == max_iter:
            break
        labels[:] = new
    return ssr
