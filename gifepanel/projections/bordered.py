"""The reduced system as a matrix: sparse among effects with many levels, dense beside those with few.

Effects with few levels meet all others. They would fill a sparse factor, so they stand apart from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from gifepanel.projections.row_blocks import every_chunk, over_rows
from gifepanel.threads import n_threads

__all__ = ["BorderedMatrix", "border_of", "from_rows", "of_few_levels"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_BORDER = 64  # levels
_MANY = 100_000  # entries from which products are compiled


@dataclass(frozen=True, eq=False)
class BorderedMatrix:
    """A symmetric matrix (M, M).

    Attributes
    ----------
    sparse : scipy.sparse matrix in compressed rows, shape (I, I)
    cross : ndarray, shape (I, Q)
    corner : ndarray, shape (Q, Q)
    inner, border : slice or ndarray of int64
        Where the unknowns of the parts stand among all.
    """

    sparse: Any
    cross: Array
    corner: Array
    inner: Any
    border: Any

    @classmethod
    def of(cls, matrix: Any, offsets: IntArray) -> BorderedMatrix:
        """A sparse matrix, taken apart."""
        inner, border = border_of(offsets)
        rows = matrix.tocsr()
        return cls(
            rows[inner][:, inner],
            rows[inner][:, border].toarray(),
            rows[border][:, border].toarray(),
            inner,
            border,
        )

    @property
    def degree(self) -> float:
        """Mean entries of a sparse row."""
        return float(self.sparse.nnz / max(1, self.sparse.shape[0]))

    def diagonal(self) -> Array:
        """The diagonal (M,)."""
        out = np.empty(self.sparse.shape[0] + len(self.corner))
        out[self.inner], out[self.border] = self.sparse.diagonal(), np.diag(self.corner)
        return out

    def __matmul__(self, columns: Array) -> Array:
        out = np.empty_like(columns)
        first, second = np.ascontiguousarray(columns[self.inner]), columns[self.border]
        inside = self._product(first)
        if len(self.corner):
            inside += self.cross @ second
            out[self.border] = self.cross.T @ first + self.corner @ second
        out[self.inner] = inside
        return out

    def _product(self, columns: Array) -> Array:
        """The sparse part times columns (I, m)."""
        own = self.sparse
        if own.nnz < _MANY or own.indices.dtype != np.int32:
            return np.asarray(own @ columns)
        out, width = np.empty_like(columns), columns.shape[1] * own.nnz // max(1, len(columns))
        product = import_module("gifepanel.kernels.schur").sparse_product
        over_rows(lambda a, b: product(own.indptr, own.indices, own.data, columns, a, b, out), len(out), width)
        return out


def border_of(offsets: IntArray) -> tuple[Any, Any]:
    """Where unknowns of effects with many and with few levels stand."""
    widths = np.diff(offsets)
    small = [bool(width <= _BORDER) and len(widths) > 1 for width in widths]
    return tuple(
        _positions([(int(offsets[j]), int(offsets[j + 1])) for j in range(len(widths)) if small[j] is few])
        for few in (False, True)
    )


def _positions(pieces: Sequence[tuple[int, int]]) -> Any:
    """As a slice where they stand together."""
    if not pieces:
        return slice(0, 0)
    if all(before[1] == after[0] for before, after in pairwise(pieces)):
        return slice(pieces[0][0], pieces[-1][1])
    return np.concatenate([np.arange(first, last) for first, last in pieces])


def of_few_levels(codes: Any, weights: Array, starts: IntArray, bounds: list[int], size: int) -> Array:
    """S (Q, Q) of terms with few levels in all; `codes` (J, n) from 0, `bounds` cut the base levels."""
    kernels = import_module("gifepanel.kernels.schur")
    parts = [np.zeros((size, size)) for _ in bounds[1:]]
    every_chunk(lambda a, b, out: kernels.dense_rows(codes, weights, starts, a, b, out), bounds, parts)
    return np.asarray(np.sum(parts, axis=0))


def from_rows(codes: Any, offsets: IntArray, weights: Array, starts: IntArray, bounds: list[int]) -> BorderedMatrix:
    """S of rows sorted by the base effect, as in :class:`~gifepanel.projections.system.EffectSystem`, no slopes."""
    kernels = import_module("gifepanel.kernels.schur")
    widths = np.diff(offsets)
    inner, border = border_of(offsets)
    few = [j for j in range(len(widths)) if widths[j] <= _BORDER and len(widths) > 1]
    many = [j for j in range(len(widths)) if j not in few]
    large, width = _from_zero(codes, offsets, many)
    small, rest = _from_zero(codes, offsets, few)
    corner = of_few_levels(small, weights, starts, bounds, rest) if few else np.empty((0, 0))
    threads = n_threads()
    cuts = [width * k // threads for k in range(threads + 1)]
    counts = np.zeros(width, dtype=np.int64)
    every_chunk(lambda a, b: kernels.count_cells(large, starts, a, b, counts[a:b]), cuts)
    pointers = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
    levels, sums = np.empty(int(pointers[-1]), dtype=np.int32), np.empty(int(pointers[-1]))
    every_chunk(
        lambda a, b: kernels.fill_cells(large, weights, starts, a, b, pointers, levels, sums),
        cuts,
    )
    cross = np.empty((width, rest))
    shares = np.searchsorted(pointers, [int(pointers[-1]) * k // (2 * threads) for k in range(1, 2 * threads)])
    parts = every_chunk(
        lambda a, b: kernels.bordered_rows(
            large, small, weights, starts, pointers, levels, sums, a, b, width, cross[a:b]
        ),
        [0, *(int(at) for at in shares), width],
    )
    entries = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(np.concatenate([part[0] for part in parts]))])
    kind = np.int32 if entries[-1] < np.iinfo(np.int32).max else np.int64
    found = sparse.csr_matrix(
        (
            np.concatenate([part[2] for part in parts]),
            np.concatenate([part[1] for part in parts]).astype(kind, copy=False),
            entries.astype(kind),
        ),
        shape=(width, width),
        copy=False,
    )
    return BorderedMatrix(found, cross, corner, inner, border)


def _from_zero(codes: Any, offsets: IntArray, terms: list[int]) -> tuple[Any, int]:
    """Codes of some terms as if there were no others, and how many unknowns they have."""
    widths = np.diff(offsets)
    own = np.cumsum([0, *(int(widths[j]) for j in terms)])
    if terms == list(range(len(terms))):
        return codes[: len(terms)], int(own[-1])
    out = np.empty((len(terms), codes.shape[1]), dtype=np.int32)
    for k, j in enumerate(terms):
        np.subtract(codes[j], offsets[j] - own[k], out=out[k], casting="unsafe")
    return out, int(own[-1])
