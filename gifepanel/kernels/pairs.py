"""Passes over an outcome and one regressor for the absorption of fixed effects: from the data to what is left of them.

Rows, terms and unknowns are as in :mod:`gifepanel.kernels.absorb`, without weights and slopes, but that y and x (n,)
stand in the caller's order: nothing of the size of the data is made on the way.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = ["sweep_pair"]


@jit
def sweep_pair(y, x, order, centre, codes, starts, first, last, unknown, y_left, x_left, out):
    """What is left of y and x less a centre and the terms, base means taken out, over the base levels first..last-1.

    Means are of differences from a level's first row: a large constant costs no digits.

    Parameters
    ----------
    y, x : ndarray, shape (n,)
    order : ndarray of int64, shape (n,) or (0,)
        Where the rows of the base levels are among those of y and x; in their place, where it is empty.
    centre : ndarray, shape (2,)
    unknown : ndarray, shape (M, 2) or (0, 2)
    y_left, x_left : ndarray, shape (n,) or (0,)
        Overwritten with M_A ([y, x] - centre - B unknown), rows as in y and x; may be y and x. Where they are empty
        only sums are made.
    out : ndarray, shape (M + 2, 2)
        B'M_A(...) is added to it, then the sums of squares of that, and of y and x less the centre.
    """
    terms = codes.shape[0]
    subtract = unknown.shape[0] > 0
    keep = y_left.shape[0] > 0
    ordered = order.shape[0] > 0
    size = out.shape[0] - 2
    longest = 0
    for a in range(first, last):
        longest = max(longest, starts[a + 1] - starts[a])
    rows = np.empty((longest, 2))
    square0 = 0.0
    square1 = 0.0
    total0 = 0.0
    total1 = 0.0
    for a in range(first, last):
        lo, hi = starts[a], starts[a + 1]
        own = order[lo] if ordered and lo < hi else lo
        base0 = y[own] - centre[0] if lo < hi else 0.0
        base1 = x[own] - centre[1] if lo < hi else 0.0
        anchor0 = 0.0
        anchor1 = 0.0
        mean0 = 0.0
        mean1 = 0.0
        for i in range(lo, hi):
            own = order[i] if ordered else i
            v0 = y[own] - centre[0]
            v1 = x[own] - centre[1]
            total0 += v0 * v0
            total1 += v1 * v1
            v0 -= base0
            v1 -= base1
            if subtract:
                for j in range(terms):
                    b = np.uint32(codes[j, i])
                    v0 -= unknown[b, 0]
                    v1 -= unknown[b, 1]
            if i == lo:
                anchor0 = v0
                anchor1 = v1
            v0 -= anchor0
            v1 -= anchor1
            rows[i - lo, 0] = v0
            rows[i - lo, 1] = v1
            mean0 += v0
            mean1 += v1
        mean0 /= hi - lo
        mean1 /= hi - lo
        for i in range(lo, hi):
            v0 = rows[i - lo, 0] - mean0
            v1 = rows[i - lo, 1] - mean1
            square0 += v0 * v0
            square1 += v1 * v1
            if keep:
                own = order[i] if ordered else i
                y_left[own] = v0
                x_left[own] = v1
            for j in range(terms):
                b = np.uint32(codes[j, i])
                out[b, 0] += v0
                out[b, 1] += v1
    out[size, 0] += square0
    out[size, 1] += square1
    out[size + 1, 0] += total0
    out[size + 1, 1] += total1
