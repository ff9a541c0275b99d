"""K-means in the metric of the data: Lloyd's algorithm with K-means++ seeding."""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = ["lloyd", "plus_plus"]


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
