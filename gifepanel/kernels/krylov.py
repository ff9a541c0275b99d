"""Steps of conjugate gradients on several large columns (M, m), in one pass each over rows first..last-1."""

from __future__ import annotations

from gifepanel.kernels._jit import jit

__all__ = ["advance", "products", "turn"]


@jit
def products(a, b, first, last, out):
    """out += column by column a'b, `out` (m,)."""
    for c in range(a.shape[1]):
        total = 0.0
        for i in range(first, last):
            total += a[i, c] * b[i, c]
        out[c] += total


@jit
def advance(x, r, p, q, step, first, last):
    """x += step p, r -= step q, in place."""
    for i in range(first, last):
        for c in range(x.shape[1]):
            x[i, c] += step[c] * p[i, c]
            r[i, c] -= step[c] * q[i, c]


@jit
def turn(p, z, factor, first, last):
    """p <- factor p + z, in place."""
    for i in range(first, last):
        for c in range(p.shape[1]):
            p[i, c] = factor[c] * p[i, c] + z[i, c]
