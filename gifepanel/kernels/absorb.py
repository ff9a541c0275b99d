"""Passes over rows that take absorbed effects out of columns, or add columns up by their levels.

Rows are sorted by the level of the base effect: level a holds rows ``starts[a]:starts[a + 1]``. The other effects are
terms j = 0..J-1 with codes ``codes[j, i]``, already shifted so that all unknowns stand in one vector of length M, and
optional values ``values[j, i]`` (slopes); a term's contribution to row i is ``values[j, i] * unknown[codes[j, i]]``.
Columns are side by side: unknowns (M, m), data (n, m).
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = ["reduced_sums", "schur_rows", "subtract_terms", "sweep_rows"]


@jit
def _sweep_pairs(data, codes, starts, first, last, unknown, out):
    """:func:`sweep_rows` for two columns, no weights and no slopes: one regressor and the outcome."""
    terms = codes.shape[0]
    subtract = unknown.shape[0] > 0
    size = out.shape[0] - 1
    square0 = 0.0
    square1 = 0.0
    for a in range(first, last):
        lo, hi = starts[a], starts[a + 1]
        anchor0 = 0.0
        anchor1 = 0.0
        mean0 = 0.0
        mean1 = 0.0
        for i in range(lo, hi):
            v0 = data[i, 0]
            v1 = data[i, 1]
            if subtract:
                for j in range(terms):
                    b = codes[j, i]
                    v0 -= unknown[b, 0]
                    v1 -= unknown[b, 1]
                data[i, 0] = v0
                data[i, 1] = v1
            if i == lo:
                anchor0 = v0
                anchor1 = v1
            mean0 += v0 - anchor0
            mean1 += v1 - anchor1
        mean0 /= hi - lo
        mean1 /= hi - lo
        for i in range(lo, hi):
            v0 = (data[i, 0] - anchor0) - mean0
            v1 = (data[i, 1] - anchor1) - mean1
            data[i, 0] = v0
            data[i, 1] = v1
            square0 += v0 * v0
            square1 += v1 * v1
            for j in range(terms):
                b = codes[j, i]
                out[b, 0] += v0
                out[b, 1] += v1
    out[size, 0] += square0
    out[size, 1] += square1


@jit
def sweep_rows(data, weights, codes, values, starts, first, last, unknown, demean, out):
    """Take terms and base means out of `data` (n, m), in place, and add up what is left: one pass over the rows.

    data <- M_A (data - B unknown) and out += B'W data over the base levels first..last-1, M_A only where `demean`.
    Means are of differences from a level's first row: a large constant costs no digits.

    Parameters
    ----------
    unknown : ndarray, shape (M, m) or (0, m)
    out : ndarray, shape (M + 1, m)
        The last row takes the weighted sums of squares.
    """
    m = data.shape[1]
    terms = codes.shape[0]
    weighted = weights.shape[0] > 0
    sloped = values.shape[0] > 0
    subtract = unknown.shape[0] > 0
    size = out.shape[0] - 1
    if m == 2 and demean and not weighted and not sloped:
        _sweep_pairs(data, codes, starts, first, last, unknown, out)
        return
    mean = np.empty(m)
    anchor = np.empty(m)
    square = np.zeros(m)
    for a in range(first, last):
        lo, hi = starts[a], starts[a + 1]
        total = 0.0
        mean[:] = 0.0
        for i in range(lo, hi):
            if subtract:
                for j in range(terms):
                    b = codes[j, i]
                    z = values[j, i] if sloped else 1.0
                    for c in range(m):
                        data[i, c] -= z * unknown[b, c]
            if demean:
                if i == lo:
                    for c in range(m):  # a slice would compile NumPy's broadcasting, seconds of it
                        anchor[c] = data[i, c]
                w = weights[i] if weighted else 1.0
                total += w
                for c in range(m):
                    mean[c] += w * (data[i, c] - anchor[c])
        if total > 0.0:
            for c in range(m):
                mean[c] /= total
        for i in range(lo, hi):
            w = weights[i] if weighted else 1.0
            for c in range(m):
                if total > 0.0:
                    data[i, c] = (data[i, c] - anchor[c]) - mean[c]
                square[c] += w * data[i, c] * data[i, c]
            for j in range(terms):
                z = w * values[j, i] if sloped else w
                b = codes[j, i]
                for c in range(m):
                    out[b, c] += z * data[i, c]
    for c in range(m):
        out[size, c] += square[c]


@jit
def reduced_sums(data, weights, codes, values, first, last, out):
    """out[codes] += w * value * data over the rows first..last-1; `out` (M, m)."""
    m = data.shape[1]
    terms = codes.shape[0]
    weighted = weights.shape[0] > 0
    sloped = values.shape[0] > 0
    for i in range(first, last):
        w = weights[i] if weighted else 1.0
        for j in range(terms):
            z = w * values[j, i] if sloped else w
            b = codes[j, i]
            for c in range(m):
                out[b, c] += z * data[i, c]


@jit
def subtract_terms(data, codes, values, unknown, first, last):
    """data -= value * unknown[codes] over the rows first..last-1, in place."""
    m = data.shape[1]
    terms = codes.shape[0]
    sloped = values.shape[0] > 0
    for i in range(first, last):
        for j in range(terms):
            b = codes[j, i]
            z = values[j, i] if sloped else 1.0
            for c in range(m):
                data[i, c] -= z * unknown[b, c]


@jit
def _schur_pairs(codes, starts, first, last, unknown, out):
    """:func:`schur_rows` for two columns, no weights and no slopes: one regressor and the outcome."""
    terms = codes.shape[0]
    longest = 0
    for a in range(first, last):
        longest = max(longest, starts[a + 1] - starts[a])
    rows = np.empty((longest, 2))
    for a in range(first, last):
        lo, hi = starts[a], starts[a + 1]
        if hi - lo < 2:
            continue
        mean0 = 0.0
        mean1 = 0.0
        for i in range(lo, hi):
            s0 = 0.0
            s1 = 0.0
            for j in range(terms):
                b = codes[j, i]
                s0 += unknown[b, 0]
                s1 += unknown[b, 1]
            rows[i - lo, 0] = s0
            rows[i - lo, 1] = s1
            mean0 += s0
            mean1 += s1
        mean0 /= hi - lo
        mean1 /= hi - lo
        for i in range(lo, hi):
            s0 = rows[i - lo, 0] - mean0
            s1 = rows[i - lo, 1] - mean1
            for j in range(terms):
                b = codes[j, i]
                out[b, 0] += s0
                out[b, 1] += s1


@jit
def _schur_pairs_of_two(codes, starts, first, last, unknown, out):
    """:func:`_schur_pairs` for two terms: without a loop over them it takes a third of the time."""
    longest = 0
    for a in range(first, last):
        longest = max(longest, starts[a + 1] - starts[a])
    rows = np.empty((longest, 2))
    for a in range(first, last):
        lo, hi = starts[a], starts[a + 1]
        if hi - lo < 2:
            continue
        mean0 = 0.0
        mean1 = 0.0
        for i in range(lo, hi):
            b = np.uint32(codes[0, i])
            c = np.uint32(codes[1, i])
            s0 = unknown[b, 0] + unknown[c, 0]
            s1 = unknown[b, 1] + unknown[c, 1]
            rows[i - lo, 0] = s0
            rows[i - lo, 1] = s1
            mean0 += s0
            mean1 += s1
        mean0 /= hi - lo
        mean1 /= hi - lo
        for i in range(lo, hi):
            b = np.uint32(codes[0, i])
            c = np.uint32(codes[1, i])
            s0 = rows[i - lo, 0] - mean0
            s1 = rows[i - lo, 1] - mean1
            out[b, 0] += s0
            out[b, 1] += s1
            out[c, 0] += s0
            out[c, 1] += s1


@jit
def _schur_fours(codes, starts, first, last, unknown, at, out):
    """:func:`schur_rows` for four columns from `at`, no weights and no slopes."""
    terms = codes.shape[0]
    longest = 0
    for a in range(first, last):
        longest = max(longest, starts[a + 1] - starts[a])
    rows = np.empty((longest, 4))
    for a in range(first, last):
        lo, hi = starts[a], starts[a + 1]
        if hi - lo < 2:
            continue
        mean0 = 0.0
        mean1 = 0.0
        mean2 = 0.0
        mean3 = 0.0
        for i in range(lo, hi):
            s0 = 0.0
            s1 = 0.0
            s2 = 0.0
            s3 = 0.0
            for j in range(terms):
                b = codes[j, i]
                s0 += unknown[b, at]
                s1 += unknown[b, at + 1]
                s2 += unknown[b, at + 2]
                s3 += unknown[b, at + 3]
            rows[i - lo, 0] = s0
            rows[i - lo, 1] = s1
            rows[i - lo, 2] = s2
            rows[i - lo, 3] = s3
            mean0 += s0
            mean1 += s1
            mean2 += s2
            mean3 += s3
        mean0 /= hi - lo
        mean1 /= hi - lo
        mean2 /= hi - lo
        mean3 /= hi - lo
        for i in range(lo, hi):
            s0 = rows[i - lo, 0] - mean0
            s1 = rows[i - lo, 1] - mean1
            s2 = rows[i - lo, 2] - mean2
            s3 = rows[i - lo, 3] - mean3
            for j in range(terms):
                b = codes[j, i]
                out[b, at] += s0
                out[b, at + 1] += s1
                out[b, at + 2] += s2
                out[b, at + 3] += s3


@jit
def schur_rows(codes, values, weights, starts, first, last, unknown, out):
    """out += S unknown over the base levels first..last-1, with S = B'W M_A B of the terms B and the base effect A.

    One pass over the rows: nothing of the size of the data is written.
    """
    m = unknown.shape[1]
    terms = codes.shape[0]
    weighted = weights.shape[0] > 0
    sloped = values.shape[0] > 0
    if m == 2 and terms == 2 and not weighted and not sloped:
        _schur_pairs_of_two(codes, starts, first, last, unknown, out)
        return
    if m == 2 and not weighted and not sloped:
        _schur_pairs(codes, starts, first, last, unknown, out)
        return
    if m % 4 == 0 and not weighted and not sloped:
        for at in range(0, m, 4):
            _schur_fours(codes, starts, first, last, unknown, at, out)
        return
    mean = np.empty(m)
    row = np.empty(m)
    for a in range(first, last):
        lo, hi = starts[a], starts[a + 1]
        if hi - lo < 2 and not sloped:
            continue
        total = 0.0
        mean[:] = 0.0
        for i in range(lo, hi):
            w = weights[i] if weighted else 1.0
            total += w
            for j in range(terms):
                b = codes[j, i]
                z = w * values[j, i] if sloped else w
                for c in range(m):
                    mean[c] += z * unknown[b, c]
        if not total > 0.0:
            continue
        for c in range(m):
            mean[c] /= total
        for i in range(lo, hi):
            w = weights[i] if weighted else 1.0
            for c in range(m):
                row[c] = -mean[c]
            for j in range(terms):
                b = codes[j, i]
                z = values[j, i] if sloped else 1.0
                for c in range(m):
                    row[c] += z * unknown[b, c]
            for j in range(terms):
                b = codes[j, i]
                z = w * values[j, i] if sloped else w
                for c in range(m):
                    out[b, c] += z * row[c]
