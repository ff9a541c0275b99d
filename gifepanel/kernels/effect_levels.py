"""Absorbed effects by themselves, no column read: singletons, order of rows, connected levels, lengths, leverage.

Rows, base levels and terms are as in :mod:`gifepanel.kernels.absorb`.
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
    "sampled_degree",
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
