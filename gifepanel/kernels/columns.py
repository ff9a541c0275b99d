"""Sums and products over stretches of columns: the innermost loops of the passes over observed cells.

A stretch is the cells of an entity in a column: ``a[i, at:at + n]``. Loops that take two columns at a time read the
third one once. Sums run on vectors, their terms in another order (``reassoc``) and without rounding in between
(``contract``); what is not a number stays so.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = [
    "add",
    "add_and_dot",
    "add_pair",
    "add_rows",
    "copy",
    "dot",
    "dot_pair",
    "gather_times",
    "products",
    "scale",
    "scale_add",
    "scatter",
    "scatter_products",
    "scatter_rows",
    "scatter_sums",
    "sum_squares",
]

_U = np.uint64  # an index that is not looked at for its sign: loops of them run on vectors


@jit(forceinline=True, fastmath={"reassoc", "contract"})
def dot(a, i, at, b, j, by, n):
    """Sum over k < n of a[i, at + k] b[j, by + k]."""
    s = 0.0
    for k in range(n):
        s += a[i, _U(at + k)] * b[j, _U(by + k)]
    return s


@jit(forceinline=True, fastmath={"reassoc", "contract"})
def dot_pair(a, i, h, at, b, j, by, n):
    """Sums over k < n of a[i, at + k] b[j, by + k] and of a[h, at + k] b[j, by + k]."""
    s = 0.0
    u = 0.0
    for k in range(n):
        v = b[j, _U(by + k)]
        s += a[i, _U(at + k)] * v
        u += a[h, _U(at + k)] * v
    return s, u


@jit(forceinline=True, fastmath={"reassoc", "contract"})
def sum_squares(a, i, at, n):
    """Sum over k < n of a[i, at + k]^2."""
    s = 0.0
    for k in range(n):
        v = a[i, _U(at + k)]
        s += v * v
    return s


@jit(forceinline=True, fastmath={"contract"})
def add(a, i, at, factor, b, j, by, n):
    """a[i, at + k] += factor b[j, by + k] for k < n."""
    for k in range(n):
        a[i, _U(at + k)] += factor * b[j, _U(by + k)]


@jit(forceinline=True, fastmath={"contract"})
def add_pair(a, i, at, factor, b, j, other, h, by, n):
    """a[i, at + k] += factor b[j, by + k] + other b[h, by + k] for k < n."""
    for k in range(n):
        a[i, _U(at + k)] += factor * b[j, _U(by + k)] + other * b[h, _U(by + k)]


@jit(forceinline=True, fastmath={"reassoc", "contract"})
def add_and_dot(a, i, at, factor, b, j, by, c, h, to, n):
    """a[i, at + k] += factor b[j, by + k] for k < n; and the sum of b[j, by + k] c[h, to + k]."""
    s = 0.0
    for k in range(n):
        v = b[j, _U(by + k)]
        a[i, _U(at + k)] += factor * v
        s += v * c[h, _U(to + k)]
    return s


@jit(forceinline=True)
def add_rows(a, i, at, sign, factors, b, by, n):
    """a[i, at + k] += sign times the sum over j of factors[j] b[j, by + k], for k < n."""
    m = factors.shape[0]
    for j in range(0, m - 1, 2):
        add_pair(a, i, at, sign * factors[j], b, j, sign * factors[j + 1], j + 1, by, n)
    if m % 2:
        add(a, i, at, sign * factors[m - 1], b, m - 1, by, n)


@jit(forceinline=True, fastmath={"contract"})
def scale_add(a, i, at, scale, factor, b, j, by, n):
    """a[i, at + k] = scale a[i, at + k] + factor b[j, by + k] for k < n."""
    for k in range(n):
        a[i, _U(at + k)] = scale * a[i, _U(at + k)] + factor * b[j, _U(by + k)]


@jit(forceinline=True)
def products(a, at, b, j, by, n, out):
    """out[i] = sum over k < n of a[i, at + k] b[j, by + k], for the first rows of `a`, as many as `out` holds."""
    m = out.shape[0]
    for i in range(0, m - 1, 2):
        out[i], out[i + 1] = dot_pair(a, i, i + 1, at, b, j, by, n)
    if m % 2:
        out[m - 1] = dot(a, m - 1, at, b, j, by, n)


@jit(forceinline=True)
def copy(a, i, at, b, j, by, n):
    """a[i, at + k] = b[j, by + k] for k < n."""
    for k in range(n):
        a[i, _U(at + k)] = b[j, _U(by + k)]


@jit(forceinline=True)
def scale(a, i, at, factor, n):
    """a[i, at + k] *= factor for k < n."""
    for k in range(n):
        a[i, _U(at + k)] *= factor


@jit(forceinline=True)
def gather_times(rows, j, time, root, at, out, i, by, n):
    """out[i, by + k] = rows[j, time[at + k]] root[0, at + k] for k < n, times in order."""
    first = time[at]
    if time[at + n - 1] - first == n - 1:
        for k in range(n):
            out[i, _U(by + k)] = rows[j, _U(first + k)] * root[0, _U(at + k)]
    else:
        for k in range(n):
            out[i, _U(by + k)] = rows[j, _U(time[_U(at + k)])] * root[0, _U(at + k)]


@jit(forceinline=True)
def scatter(rows, j, time, at, factor, a, i, by, b, h, to, n):
    """rows[j, time[at + k]] += factor a[i, by + k] b[h, to + k] for k < n, times in order."""
    first = time[at]
    if time[at + n - 1] - first == n - 1:
        for k in range(n):
            rows[j, _U(first + k)] += factor * a[i, _U(by + k)] * b[h, _U(to + k)]
    else:
        for k in range(n):
            rows[j, _U(time[_U(at + k)])] += factor * a[i, _U(by + k)] * b[h, _U(to + k)]


@jit(forceinline=True, fastmath={"contract"})
def scatter_rows(rows, time, root, at, factors, a, i, by, n):
    """rows[j, time[at + k]] += factors[j] root[0, at + k] a[i, by + k] for all j and k < n, times in order."""
    m, first = factors.shape[0], time[at]
    if time[at + n - 1] - first == n - 1:
        for j in range(m):
            v = factors[j]
            for k in range(n):
                rows[j, _U(first + k)] += v * (root[0, _U(at + k)] * a[i, _U(by + k)])
        return
    for j in range(0, m - 1, 2):
        v, w = factors[j], factors[j + 1]
        for k in range(n):
            t, x = _U(time[_U(at + k)]), root[0, _U(at + k)] * a[i, _U(by + k)]
            rows[j, t] += v * x
            rows[j + 1, t] += w * x
    if m % 2:
        v = factors[m - 1]
        for k in range(n):
            rows[m - 1, _U(time[_U(at + k)])] += v * (root[0, _U(at + k)] * a[i, _U(by + k)])


@jit(forceinline=True)
def scatter_products(rows, time, root, at, factors, n):
    """rows[j, c, time[at + k]] += factors[j] factors[c] root[0, at + k]^2 for c <= j and k < n, times in order."""
    first = time[at]
    whole = time[at + n - 1] - first == n - 1
    for j in range(factors.shape[0]):
        for c in range(j + 1):
            v = factors[j] * factors[c]
            if whole:
                for k in range(n):
                    w = root[0, _U(at + k)]
                    rows[j, c, _U(first + k)] += v * (w * w)
            else:
                for k in range(n):
                    w = root[0, _U(at + k)]
                    rows[j, c, _U(time[_U(at + k)])] += v * (w * w)


@jit(forceinline=True, fastmath={"contract"})
def scatter_sums(rows, time, root, at, factors, a, i, by, others, b, h, to, n):
    """rows[j, time[at + k]] += root[0, at + k] (factors[j] a[i, by + k] + others[j] b[h, to + k]), times in order."""
    m, first = factors.shape[0], time[at]
    if time[at + n - 1] - first == n - 1:
        for j in range(m):
            v, u = factors[j], others[j]
            for k in range(n):
                rows[j, _U(first + k)] += root[0, _U(at + k)] * (v * a[i, _U(by + k)] + u * b[h, _U(to + k)])
        return
    for j in range(0, m - 1, 2):
        v, w, u, z = factors[j], factors[j + 1], others[j], others[j + 1]
        for k in range(n):
            t, f = _U(time[_U(at + k)]), root[0, _U(at + k)]
            x, y = f * a[i, _U(by + k)], f * b[h, _U(to + k)]
            rows[j, t] += v * x + u * y
            rows[j + 1, t] += w * x + z * y
    if m % 2:
        v, u = factors[m - 1], others[m - 1]
        for k in range(n):
            x = v * a[i, _U(by + k)] + u * b[h, _U(to + k)]
            rows[m - 1, _U(time[_U(at + k)])] += root[0, _U(at + k)] * x
