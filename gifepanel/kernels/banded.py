"""Substitution with banded factors, for matrices of a few diagonals and many rows."""

from __future__ import annotations

from gifepanel.kernels._jit import jit

__all__ = ["solve_banded"]


@jit
def solve_banded(factor, columns):
    """Solve ``L L' x = b`` in place of `columns` (M, m), L lower in ``factor[i - j, j]``, of shape (band + 1, M)."""
    size, m = columns.shape
    band = factor.shape[0] - 1
    for i in range(size):
        first = max(0, i - band)
        for c in range(m):
            s = columns[i, c]
            for k in range(first, i):
                s -= factor[i - k, k] * columns[k, c]
            columns[i, c] = s / factor[0, i]
    for i in range(size - 1, -1, -1):
        last = min(size, i + band + 1)
        for c in range(m):
            s = columns[i, c]
            for k in range(i + 1, last):
                s -= factor[k - i, i] * columns[k, c]
            columns[i, c] = s / factor[0, i]
