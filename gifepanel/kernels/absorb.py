"""Passes over rows for the absorption of fixed effects.

Rows are sorted by the level of the base effect: level a holds rows ``starts[a]:starts[a + 1]``. The other effects are
terms j = 0..J-1 with codes ``codes[j, i]``, already shifted so that all unknowns stand in one vector of length M, and
optional values ``values[j, i]`` (slopes); a term's contribution to row i is ``values[j, i] * unknown[codes[j, i]]``.
Columns are side by side: unknowns (M, m), data (n, m).
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = [
    "absorbed_leverage",
    "counting_order",
    "drop_singletons",
    "merged_levels",
    "reduced_lengths",
    "reduced_sums",
    "sampled_degree",
    "schur_rows",
    "subtract_terms",
    "sweep_rows",
]


@jit
def drop_singletons(codes, n_levels, keep):
    """Drop rows that are alone in a level of any effect, again and again until none is.

    Parameters
    ----------
    codes : ndarray of int32, shape (G, n)
    n_levels : ndarray of int64, shape (G,)
    keep : ndarray of bool, shape (n,)
        Overwritten in place.

    Returns
    -------
    int
        Rows dropped.
    """
    effects, n = codes.shape
    width = n_levels.max()
    counts = np.zeros((effects, width), dtype=np.int64)
    for g in range(effects):
        for i in range(n):
            if keep[i]:
                counts[g, codes[g, i]] += 1
    dropped = 0
    again = True
    while again:
        again = False
        for i in range(n):
            if not keep[i]:
                continue
            for g in range(effects):
                if counts[g, codes[g, i]] == 1:
                    keep[i] = False
                    dropped += 1
                    again = True
                    for q in range(effects):
                        counts[q, codes[q, i]] -= 1
                    break
    return dropped


@jit
def counting_order(codes, n_levels, order, starts):
    """Stable order of the rows by level, and where each level starts (n_levels + 1)."""
    n = codes.shape[0]
    for a in range(n_levels + 1):
        starts[a] = 0
    for i in range(n):
        starts[codes[i] + 1] += 1
    for a in range(n_levels):
        starts[a + 1] += starts[a]
    position = np.empty(n_levels, dtype=np.int64)
    for a in range(n_levels):
        position[a] = starts[a]
    for i in range(n):
        a = codes[i]
        order[position[a]] = i
        position[a] += 1


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


@jit
def sampled_degree(codes, starts, last, size, sample):
    """Mean number of different unknowns that share a base level with a sampled one.

    Parameters
    ----------
    codes, starts
        As above.
    last : int
        Base levels that are looked at: of fewer than all the number is a lower bound.
    size : int
        M.
    sample : ndarray of int64
        Unknowns of the first term.
    """
    terms = codes.shape[0]
    slot = np.full(size, -1, dtype=np.int64)
    for k in range(sample.shape[0]):
        slot[sample[k]] = k
    pairs = 0
    for i in range(starts[last]):
        if slot[codes[0, i]] >= 0:
            pairs += 1
    level = np.empty(pairs, dtype=np.int64)
    owner = np.empty(pairs, dtype=np.int64)
    at = 0
    a = 0
    for i in range(starts[last]):
        k = slot[codes[0, i]]
        if k >= 0:
            while starts[a + 1] <= i:
                a += 1
            level[at] = a
            owner[at] = k
            at += 1
    order = np.argsort(owner)
    stamp = np.full(size, -1, dtype=np.int64)
    total = 0
    for p in range(pairs):
        a = level[order[p]]
        k = owner[order[p]]
        for i in range(starts[a], starts[a + 1]):
            for j in range(terms):
                if stamp[codes[j, i]] != k:
                    stamp[codes[j, i]] = k
                    total += 1
    return total / max(sample.shape[0], 1)


@jit
def _plain_lengths(codes, starts, first, last, out):
    """:func:`reduced_lengths` without weights and slopes; a square grows by 2c + 1 when c does by one."""
    terms = codes.shape[0]
    cell = np.zeros(out.shape[0], dtype=np.int32)
    for a in range(first, last):
        lo, hi = starts[a], starts[a + 1]
        share = 1.0 / max(hi - lo, 1)
        for j in range(terms):
            for i in range(lo, hi):
                b = codes[j, i]
                count = cell[b]
                cell[b] = count + 1
                out[b, 0] += 1.0
                out[b, 1] += (2 * count + 1) * share
            for i in range(lo, hi):
                cell[codes[j, i]] = 0


@jit
def reduced_lengths(codes, values, weights, starts, first, last, out):
    """Lengths of the terms and what the base effect takes of them, over the base levels first..last-1.

    out[:, 0] += sum w z^2, the diagonal of B'WB; out[:, 1] += squared sums of w z over the level's total weight, the
    diagonal of B'WB - S. `out` is (M, 2).
    """
    terms = codes.shape[0]
    weighted = weights.shape[0] > 0
    sloped = values.shape[0] > 0
    if not weighted and not sloped:
        _plain_lengths(codes, starts, first, last, out)
        return
    cell = np.zeros(out.shape[0])
    for a in range(first, last):
        lo, hi = starts[a], starts[a + 1]
        total = 0.0
        for i in range(lo, hi):
            w = weights[i] if weighted else 1.0
            total += w
            for j in range(terms):
                z = values[j, i] if sloped else 1.0
                out[codes[j, i], 0] += w * z * z
                cell[codes[j, i]] += w * z
        for i in range(lo, hi):
            for j in range(terms):
                b = codes[j, i]
                if cell[b] != 0.0:
                    if total > 0.0:
                        out[b, 1] += cell[b] * cell[b] / total
                    cell[b] = 0.0


@jit
def absorbed_leverage(codes, values, weights, starts, indptr, indices, cells, inverse, out):
    """Leverage of every row in the absorbed effects: w_i (1/W_a + d_i'S^- d_i), d_i the row of M_A B.

    Parameters
    ----------
    codes, values, weights, starts
        As above.
    indptr, indices, cells : ndarray
        A'WB in compressed rows.
    inverse : ndarray, shape (M, M)
        A generalised inverse of S.
    out : ndarray, shape (n,)
        Overwritten.
    """
    terms = codes.shape[0]
    weighted = weights.shape[0] > 0
    sloped = values.shape[0] > 0
    for a in range(starts.shape[0] - 1):
        lo, hi = starts[a], starts[a + 1]
        total = 0.0
        for i in range(lo, hi):
            total += weights[i] if weighted else 1.0
        if not total > 0.0:
            for i in range(lo, hi):
                out[i] = 0.0
            continue
        first, last = indptr[a], indptr[a + 1]
        mean = 0.0
        for p in range(first, last):
            for q in range(first, last):
                mean += cells[p] * cells[q] * inverse[indices[p], indices[q]]
        mean /= total * total
        for i in range(lo, hi):
            own = 0.0
            cross = 0.0
            for j in range(terms):
                z = values[j, i] if sloped else 1.0
                row = codes[j, i]
                for k in range(terms):
                    own += z * (values[k, i] if sloped else 1.0) * inverse[row, codes[k, i]]
                for p in range(first, last):
                    cross += z * cells[p] * inverse[row, indices[p]]
            w = weights[i] if weighted else 1.0
            out[i] = w * (1.0 / total + own - 2.0 * cross / total + mean)


@jit
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit
def merged_levels(codes, starts, weights, n_levels, lowest=0):
    """Levels of a term less the connected components of its graph with the base effect, by union-find.

    That is how many levels become connected to an earlier one; rows without weight are left out.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        lowest..lowest+n_levels-1, rows sorted by base level.
    starts, weights
        As above.
    """
    parent = np.arange(n_levels)
    weighted = weights.shape[0] > 0
    merged = 0
    for a in range(starts.shape[0] - 1):
        root = -1
        for i in range(starts[a], starts[a + 1]):
            if weighted and not weights[i] > 0.0:
                continue
            other = _root(parent, codes[i] - lowest)
            if root < 0:
                root = other
            elif other != root:
                if other < root:
                    root, other = other, root
                parent[other] = root
                merged += 1
        if merged == n_levels - 1:
            break
    return merged
