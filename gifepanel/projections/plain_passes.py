"""Passes over rows of absorbed effects in NumPy: for small data they cost less than loading compiled code.

Those of :mod:`gifepanel.kernels.absorb` and :mod:`gifepanel.kernels.effect_levels`: same names, same arguments, same
results up to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

__all__ = [
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

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


def drop_singletons(codes: Any, n_levels: IntArray, keep: BoolArray) -> int:
    """Drop rows that are alone in a level of any effect, again and again until none is; how many."""
    before = int(keep.sum())
    while True:
        alone = np.zeros(keep.shape, dtype=bool)
        for own, width in zip(codes, n_levels, strict=True):
            alone |= keep & (np.bincount(own[keep], minlength=width)[own] == 1)
        if not alone.any():
            return before - int(keep.sum())
        keep[alone] = False


def counting_order(codes: Any, n_levels: int, order: IntArray, starts: IntArray) -> None:
    """Stable order of the rows by level, and where each level starts (n_levels + 1)."""
    order[:] = np.argsort(codes, kind="stable")
    starts[:] = np.searchsorted(codes[order], np.arange(n_levels + 1))


def sweep_rows(
    data: Array,
    weights: Array,
    codes: Any,
    values: Array,
    starts: IntArray,
    first: int,
    last: int,
    unknown: Array,
    demean: bool,
    out: Array,
) -> None:
    """Take terms and base means out of `data` (n, m), in place, and add up what is left."""
    rows = slice(int(starts[first]), int(starts[last]))
    part, w = data[rows], _weights(weights, rows)
    if not len(part):
        return
    if unknown.shape[0]:
        subtract_terms(data, codes, values, unknown, rows.start, rows.stop)
    if demean:
        level, total = _levels(w, starts, first, last)
        anchor = part[np.minimum(starts[first:last] - rows.start, len(part) - 1)]
        used = total > 0
        for c in range(part.shape[1]):
            sums = np.bincount(level, w * (part[:, c] - anchor[level, c]), minlength=len(total))
            mean = np.divide(sums, total, out=np.zeros_like(sums), where=used)
            part[:, c] -= np.where(used, anchor[:, c], 0.0)[level]
            part[:, c] -= mean[level]
    out[-1] += w @ (part * part)
    reduced_sums(data, weights, codes, values, rows.start, rows.stop, out[:-1])


def reduced_sums(data: Array, weights: Array, codes: Any, values: Array, first: int, last: int, out: Array) -> None:
    """out[codes] += w * value * data over the rows first..last-1; `out` (M, m)."""
    rows = slice(first, last)
    part, w = data[rows], _weights(weights, rows)
    for j in range(codes.shape[0]):
        z = w * values[j, rows] if values.size else w
        for c in range(part.shape[1]):
            out[:, c] += np.bincount(codes[j, rows], z * part[:, c], minlength=len(out))


def subtract_terms(data: Array, codes: Any, values: Array, unknown: Array, first: int, last: int) -> None:
    """data -= value * unknown[codes] over the rows first..last-1, in place."""
    rows = slice(first, last)
    for j in range(codes.shape[0]):
        term = unknown[codes[j, rows]]
        data[rows] -= values[j, rows][:, None] * term if values.size else term


def schur_rows(
    codes: Any, values: Array, weights: Array, starts: IntArray, first: int, last: int, unknown: Array, out: Array
) -> None:
    """out += S unknown over the base levels first..last-1."""
    data = np.zeros((codes.shape[1], unknown.shape[1]))
    sums = np.zeros((len(out) + 1, unknown.shape[1]))
    sweep_rows(data, weights, codes, values, starts, first, last, -unknown, True, sums)
    out += sums[:-1]


def reduced_lengths(
    codes: Any, values: Array, weights: Array, starts: IntArray, first: int, last: int, out: Array
) -> None:
    """Lengths of the terms, out[:, 0], and what the base effect takes of them, out[:, 1]."""
    rows = slice(int(starts[first]), int(starts[last]))
    w, size = _weights(weights, rows), len(out)
    level, total = _levels(w, starts, first, last)
    for j in range(codes.shape[0]):
        own = codes[j, rows].astype(np.int64)
        z = values[j, rows] if values.size else 1.0
        out[:, 0] += np.bincount(own, w * z * z, minlength=size)
        cells, position = np.unique(level * np.int64(size) + own, return_inverse=True)
        sums, weight = np.bincount(position, w * z, minlength=len(cells)), total[cells // size]
        taken = np.divide(sums**2, weight, out=np.zeros_like(sums), where=weight > 0)
        out[:, 1] += np.bincount(cells % size, taken, minlength=size)


def merged_levels(codes: Any, starts: IntArray, weights: Array, n_levels: int, lowest: int = 0) -> int:
    """Levels of a term less the connected components of its graph with the base effect."""
    level, _ = _levels(np.ones(len(codes)), starts, 0, len(starts) - 1)
    used = weights > 0 if weights.size else slice(None)
    size = n_levels + len(starts) - 1
    own, base = codes[used] - np.int32(lowest), level[used] + n_levels
    graph = sparse.coo_matrix((np.ones(len(own)), (own, base)), shape=(size, size))
    component = connected_components(graph, directed=False)[1]
    seen = np.unique(own)
    return len(seen) - len(np.unique(component[seen]))


def sampled_degree(codes: Any, starts: IntArray, last: int, size: int, sample: IntArray) -> float:
    """Mean number of different unknowns that share a base level with a sampled one of the first term."""
    terms, n = codes.shape[0], starts[last]
    level = np.tile(_levels(np.ones(n), starts, 0, last)[0], terms)
    cells = sparse.csr_matrix((np.ones(terms * n), (level, codes[:, :n].ravel())), shape=(last, size))
    return float((cells[:, sample].T @ cells).nnz / max(len(sample), 1))


def _weights(weights: Array, rows: slice) -> Array:
    return weights[rows] if weights.size else np.ones(rows.stop - rows.start)


def _levels(w: Array, starts: IntArray, first: int, last: int) -> tuple[IntArray, Array]:
    """Base level of each row, from 0, and the levels' total weights."""
    level = np.repeat(np.arange(last - first, dtype=np.int64), np.diff(starts[first : last + 1]))
    return level, np.asarray(np.bincount(level, w, minlength=last - first), dtype=np.float64)
