"""Passes over an outcome y (n,) beside regressors x (n, p), rows in C order: lengths, one block of both, and back.

Sums are added up in pieces of rows, so that rounding does not grow with their number. `weights` and `order` of shape
(0,) stand for none.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = ["add_lengths_and_sums", "add_squares", "fill_block", "split_block"]

_PIECE = 1 << 10


@jit
def add_lengths_and_sums(y, x, weights, first, last, squares, totals):
    """Weighted squares and unweighted sums of y and the columns of x over the rows first..last-1, added up (1 + p,)."""
    p = x.shape[1]
    weighted = weights.shape[0] > 0
    part = np.empty((2, 1 + p))
    for at in range(first, last, _PIECE):
        part[:] = 0.0
        for i in range(at, min(at + _PIECE, last)):
            w = weights[i] if weighted else 1.0
            part[0, p] += w * y[i] * y[i]
            part[1, p] += y[i]
            for c in range(p):
                v = x[i, c]
                part[0, c] += w * v * v
                part[1, c] += v
        squares[0] += part[0, p]
        totals[0] += part[1, p]
        for c in range(p):
            squares[1 + c] += part[0, c]
            totals[1 + c] += part[1, c]


@jit
def fill_block(y, x, order, centre, weights, first, last, out, squares):
    """out[i] <- [y, x][order[i]] - centre over the rows first..last-1, and the weighted squares of that, added up."""
    p = x.shape[1]
    ordered = order.shape[0] > 0
    weighted = weights.shape[0] > 0
    part = np.empty(1 + p)
    for at in range(first, last, _PIECE):
        part[:] = 0.0
        for i in range(at, min(at + _PIECE, last)):
            own = order[i] if ordered else i
            w = weights[i] if weighted else 1.0
            out[i, 0] = y[own] - centre[0]
            for c in range(p):
                out[i, 1 + c] = x[own, c] - centre[1 + c]
            for c in range(1 + p):
                part[c] += w * out[i, c] * out[i, c]
        for c in range(1 + p):
            squares[c] += part[c]


@jit
def split_block(block, order, first, last, y, x):
    """y[order[i]], x[order[i]] <- block[i] over the rows first..last-1."""
    p = x.shape[1]
    ordered = order.shape[0] > 0
    for i in range(first, last):
        own = order[i] if ordered else i
        y[own] = block[i, 0]
        for c in range(p):
            x[own, c] = block[i, 1 + c]


@jit
def add_squares(columns, weights, first, last, squares):
    """Weighted squares of columns (n, m) over the rows first..last-1, added up (m,)."""
    m = columns.shape[1]
    weighted = weights.shape[0] > 0
    part = np.empty(m)
    for at in range(first, last, _PIECE):
        part[:] = 0.0
        for i in range(at, min(at + _PIECE, last)):
            w = weights[i] if weighted else 1.0
            for c in range(m):
                v = columns[i, c]
                part[c] += w * v * v
        for c in range(m):
            squares[c] += part[c]
