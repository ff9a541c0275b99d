"""The reduced system of fixed effects as a matrix, from rows sorted by the base effect.

Terms are as in :mod:`gifepanel.kernels.absorb`, without slopes. A term with many levels makes sparse rows of S; what is
wanted of few levels is dense.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = ["bordered_rows", "count_cells", "dense_rows", "fill_cells", "is_nested", "sparse_product"]


@jit
def is_nested(codes, starts):
    """Whether every base level lies in one level of a term, codes (n,)."""
    for a in range(starts.shape[0] - 1):
        for i in range(starts[a] + 1, starts[a + 1]):
            if codes[i] != codes[starts[a]]:
                return False
    return True


@jit
def count_cells(codes, starts, first, last, counts):
    """How many base levels each unknown first..last-1 meets, into `counts` (last - first,)."""
    terms = codes.shape[0]
    seen = np.full(last - first, -1, dtype=np.int64)
    for a in range(starts.shape[0] - 1):
        for i in range(starts[a], starts[a + 1]):
            for j in range(terms):
                b = codes[j, i] - first
                if b >= 0 and b < seen.shape[0] and seen[b] != a:
                    seen[b] = a
                    counts[b] += 1


@jit
def fill_cells(codes, weights, starts, first, last, pointers, levels, sums):
    """The base levels that each unknown first..last-1 meets, and the weight of the rows that they share.

    Those of unknown b are in ``levels[pointers[b]:pointers[b + 1]]``.
    """
    terms = codes.shape[0]
    weighted = weights.shape[0] > 0
    seen = np.full(last - first, -1, dtype=np.int64)
    at = pointers[first:last].copy()
    for a in range(starts.shape[0] - 1):
        for i in range(starts[a], starts[a + 1]):
            w = weights[i] if weighted else 1.0
            for j in range(terms):
                b = codes[j, i] - first
                if b >= 0 and b < seen.shape[0]:
                    if seen[b] != a:
                        seen[b] = a
                        levels[at[b]] = a
                        sums[at[b]] = 0.0
                        at[b] += 1
                    sums[at[b] - 1] += w


@jit
def bordered_rows(codes, small, weights, starts, pointers, levels, sums, first, last, width, border):
    """Rows first..last-1 of S among unknowns of terms with many levels, and beside those of terms with few.

    Parameters
    ----------
    codes : ndarray of int32, shape (J, n)
        Of the terms with many levels, from 0.
    small : ndarray of int32, shape (K, n)
        Of the terms with few levels, from 0.
    pointers, levels, sums
        Of :func:`fill_cells`.
    width : int
        Unknowns of the terms with many levels.
    border : ndarray, shape (last - first, Q)
        Overwritten with the columns of terms with few levels.

    Returns
    -------
    counts : ndarray, shape (last - first,)
        Entries of every row.
    indices, values : ndarray
        Their columns and values, row after row.
    """
    weighted = weights.shape[0] > 0
    own = np.zeros(width)
    stamp = np.full(width, -1, dtype=np.int64)
    met = np.empty(width, dtype=np.int32)
    counts = np.zeros(last - first, dtype=np.int64)
    room = 16 * (last - first) + width
    indices = np.empty(room, dtype=np.int32)
    values = np.empty(room)
    used = 0
    for b in range(first, last):
        border[b - first, :] = 0.0
        n_met = 0
        for p in range(pointers[b], pointers[b + 1]):
            lo, hi = starts[levels[p]], starts[levels[p] + 1]
            total = float(hi - lo)
            if weighted:
                total = 0.0
                for i in range(lo, hi):
                    total += weights[i]
            if not total > 0.0:
                continue
            share = sums[p] / total
            for i in range(lo, hi):
                w = weights[i] if weighted else 1.0
                here = False
                for j in range(codes.shape[0]):
                    here = here or codes[j, i] == b
                v = (w - w * share) if here else -w * share
                for j in range(codes.shape[0]):
                    c = codes[j, i]
                    if stamp[c] != b:
                        stamp[c] = b
                        met[n_met] = c
                        n_met += 1
                        own[c] = 0.0
                    own[c] += v
                for k in range(small.shape[0]):
                    border[b - first, small[k, i]] += v
        if used + n_met > room:
            room = 2 * room + n_met
            more_indices = np.empty(room, dtype=np.int32)
            more_values = np.empty(room)
            more_indices[:used] = indices[:used]
            more_values[:used] = values[:used]
            indices = more_indices
            values = more_values
        for k in range(n_met):
            indices[used + k] = met[k]
            values[used + k] = own[met[k]]
        used += n_met
        counts[b - first] = n_met
    return counts, indices[:used], values[:used]


@jit
def dense_rows(codes, weights, starts, first, last, out):
    """out += S over the base levels first..last-1, of terms with few levels in all: `out` (Q, Q)."""
    terms = codes.shape[0]
    weighted = weights.shape[0] > 0
    size = out.shape[0]
    own = np.zeros(size)
    stamp = np.full(size, -1, dtype=np.int64)
    met = np.empty(size, dtype=np.int64)
    for a in range(first, last):
        n_met = 0
        total = 0.0
        for i in range(starts[a], starts[a + 1]):
            w = weights[i] if weighted else 1.0
            total += w
            for j in range(terms):
                c = codes[j, i]
                if stamp[c] != a:
                    stamp[c] = a
                    met[n_met] = c
                    n_met += 1
                    own[c] = 0.0
                own[c] += w
                for k in range(terms):
                    out[c, codes[k, i]] += w
        if not total > 0.0:
            continue
        for k in range(n_met):
            share = own[met[k]] / total
            for q in range(n_met):
                out[met[k], met[q]] -= share * own[met[q]]


@jit
def sparse_product(pointers, indices, values, columns, first, last, out):
    """Rows first..last-1 of a sparse matrix times columns (M, m), into `out`."""
    m = columns.shape[1]
    for b in range(first, last):
        for c in range(m):
            out[b, c] = 0.0
        for p in range(pointers[b], pointers[b + 1]):
            for c in range(m):
                out[b, c] += values[p] * columns[indices[p], c]
