"""Fixed effects as a reduced system: the largest effect eliminated exactly, the others as one vector of unknowns.

With A the dummies of the largest effect and B those of the others (times their slope variables), the normal equations
of v on [A, B] reduce to S c = B'W M_A v, S = B'W M_A B, where M_A takes (weighted) means over A's levels out. Where all
effects are slopes there is no A: nothing is eliminated, and S = B'WB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse

from gifepanel.projections.bordered import BorderedMatrix, border_of, from_rows, of_few_levels
from gifepanel.projections.row_blocks import CHUNKS, cuts, every_chunk, over_rows

__all__ = ["Effect", "EffectSystem", "level_passes", "passes"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_BLOCK = 1 << 22
_OCCUPIED = 0.05  # share of cells of levels up to which products are sparse
_SMALL = 10_000
_SPREAD = 1 << 18  # rows
_PAIR, _FOURS = 2, 4  # columns that passes are written out for
_LARGE, _PAIRED, _FILLED = 100_000, 64, 4  # rows, and codes to a base level, from which S is made by pairs of rows


def passes(n: int) -> Any:
    """Passes over n rows of columns: in NumPy where there are few, since compiled code takes half a second to load."""
    return _numpy_or(n, "gifepanel.kernels.absorb")


def level_passes(n: int) -> Any:
    """The same for passes that read the levels of effects and no columns."""
    return _numpy_or(n, "gifepanel.kernels.effect_levels")


def _numpy_or(n: int, compiled: str) -> Any:
    return import_module("gifepanel.projections.plain_passes" if n <= _SMALL else compiled)


@dataclass(frozen=True, eq=False)
class Effect:
    """One absorbed effect: dummies of its levels, times a variable where it is a slope.

    Attributes
    ----------
    name : str
    codes : ndarray of int, shape (n,)
        0..n_levels-1, every level occurring.
    n_levels : int
    values : ndarray, shape (n,), or None
    """

    name: str
    codes: Any
    n_levels: int
    values: Array | None = None


@dataclass(frozen=True, eq=False)
class EffectSystem:
    """Rows sorted by the base effect, other effects as terms.

    Attributes
    ----------
    base : int
        Position of the eliminated effect among the effects given; -1 where all are slopes.
    others : tuple of int
        Positions of the terms.
    order : ndarray of int64, shape (n,), or None
        Sorts the rows by the base effect; None where they are sorted.
    starts : ndarray of int64, shape (L + 1,)
        First row of each base level; without a base, cuts of the rows into equal pieces.
    codes : ndarray of int32, shape (J, n)
        In sorted order, shifted by `offsets`.
    values : ndarray, shape (J, n) or (0, 0)
    weights : ndarray, shape (n,) or (0,)
    offsets : ndarray of int64, shape (J + 1,)
    """

    base: int
    others: tuple[int, ...]
    order: IntArray | None
    starts: IntArray
    codes: Any
    values: Array
    weights: Array
    offsets: IntArray

    @classmethod
    def build(cls, effects: Sequence[Effect], weights: Array | None = None) -> EffectSystem:
        """Choose the base, sort, shift."""
        plain = [g for g, effect in enumerate(effects) if effect.values is None]
        base = max(plain, key=lambda g: effects[g].n_levels, default=-1)
        others = tuple(g for g in range(len(effects)) if g != base)
        n = np.asarray(effects[0].codes).shape[0]
        order, starts = None, np.unique(np.arange(CHUNKS + 1) * n // CHUNKS)
        if base >= 0:
            order, starts = _by_level(np.asarray(effects[base].codes), effects[base].n_levels)
        offsets = np.cumsum([0, *(effects[g].n_levels for g in others)])
        terms = np.empty((len(others), n), dtype=np.int32)
        for j, g in enumerate(others):
            np.add(_sorted(effects[g].codes, order), offsets[j], out=terms[j], casting="unsafe")
        values = np.empty((0, 0))
        if any(effects[g].values is not None for g in others):
            values = np.ones((len(others), n))
            for j, g in enumerate(others):
                if effects[g].values is not None:
                    values[j] = _sorted(effects[g].values, order)
        w = np.empty(0) if weights is None else np.ascontiguousarray(_sorted(weights, order), dtype=np.float64)
        return cls(base, others, order, starts, terms, values, w, offsets)

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.starts[-1])

    @property
    def _passes(self) -> Any:
        return passes(self.n)

    @property
    def size(self) -> int:
        """Unknowns M."""
        return int(self.offsets[-1])

    def sort(self, columns: Array, *, overwrite: bool = False) -> Array:
        """Columns (n, m) in sorted order: a copy, or where it may be overwritten and is in order, what was given."""
        if overwrite and self.order is None and columns.flags.c_contiguous and columns.dtype == np.float64:
            return columns
        if self.order is None:
            return np.array(columns, dtype=np.float64, order="C")
        columns = np.ascontiguousarray(columns, dtype=np.float64)
        out, order = np.empty_like(columns), self.order

        def fill(first: int, last: int) -> None:
            np.take(columns, order[first:last], axis=0, out=out[first:last], mode="clip")

        over_rows(fill, *columns.shape)
        return out

    def unsort(self, columns: Array) -> Array:
        """Back to the caller's order."""
        if self.order is None:
            return columns
        out, order = np.empty_like(columns), self.order

        def put(first: int, last: int) -> None:
            out[order[first:last]] = columns[first:last]

        over_rows(put, *columns.shape)
        return out

    def sweep(self, columns: Array, unknown: Array | None = None) -> tuple[Array, Array]:
        """columns <- M_A (columns - B unknown), in place; returns B'W columns (M, m) and their sums of squares (m,)."""
        m, demean = columns.shape[1], self.base >= 0
        take = np.empty((0, m)) if unknown is None else unknown
        sums = self._reduce(
            self.size + 1,
            m,
            lambda a, b, out: self._passes.sweep_rows(
                columns, self.weights, self.codes, self.values, self.starts, a, b, take, demean, out
            ),
        )
        return sums[:-1], sums[-1]

    @property
    def takes_pairs(self) -> bool:
        """Whether :meth:`sweep_pair` is there: many rows, a base effect, neither weights nor slopes."""
        return self.n > _SMALL and self.base >= 0 and not self.weights.size and not self.values.size

    def sweep_pair(
        self, pair: tuple[Array, Array], centre: Array, unknown: Array, left: tuple[Array, Array]
    ) -> tuple[Array, Array, Array]:
        """M_A ([y, x] - centre - B unknown) of y and x (n,) in the caller's order, into `left` unless that is empty.

        Returns
        -------
        sums : ndarray, shape (M, 2)
            B'W of it.
        squares, total : ndarray, shape (2,)
            Its sums of squares, and those of y and x less the centre.
        """
        sweep, order = import_module("gifepanel.kernels.pairs").sweep_pair, self.order
        rows = np.empty(0, dtype=np.int64) if order is None else order
        sums = self._reduce(
            self.size + 2,
            _PAIR,
            lambda a, b, out: sweep(*pair, rows, centre, self.codes, self.starts, a, b, unknown, *left, out),
        )
        return sums[:-2], sums[-2], sums[-1]

    def subtract(self, columns: Array, unknown: Array) -> None:
        """columns -= B unknown, in place."""
        self._over_chunks(
            lambda a, b: self._passes.subtract_terms(
                columns, self.codes, self.values, unknown, self.starts[a], self.starts[b]
            ),
        )

    def sums(self, columns: Array) -> Array:
        """B'W columns: (M, m)."""
        return self._reduce(
            self.size,
            columns.shape[1],
            lambda a, b, out: self._passes.reduced_sums(
                columns, self.weights, self.codes, self.values, self.starts[a], self.starts[b], out
            ),
        )

    def apply(self, unknown: Array) -> Array:
        """S unknown, by one pass over the rows: (M, m)."""
        if self.base < 0:
            rows = np.zeros((self.n, unknown.shape[1]))
            self.subtract(rows, -unknown)
            return self.sums(rows)
        m = unknown.shape[1]
        if self.n > _SMALL and m > _PAIR and m % _FOURS and not self.weights.size and not self.values.size:
            wider = np.zeros((self.size, m + -m % _FOURS))
            wider[:, :m] = unknown
            unknown = wider
        out = self._reduce(
            self.size,
            unknown.shape[1],
            lambda a, b, out: self._passes.schur_rows(
                self.codes, self.values, self.weights, self.starts, a, b, unknown, out
            ),
        )
        return out if out.shape[1] == m else np.ascontiguousarray(out[:, :m])

    def spread(self, levels: Array) -> Array:
        """B'W times columns (L, m) that are constant within base levels: (M, m); a block of rows at a time."""

        def add(first: int, last: int, out: Array) -> None:
            each = np.diff(self.starts)
            step = max(1, _SPREAD * (last - first) // max(1, int(self.starts[last] - self.starts[first])))
            for a in range(first, last, step):
                b = min(a + step, last)
                rows = slice(int(self.starts[a]), int(self.starts[b]))
                block = np.repeat(levels[a:b], each[a:b], axis=0)
                codes = np.ascontiguousarray(self.codes[:, rows])
                values = np.ascontiguousarray(self.values[:, rows]) if self.values.size else self.values
                weights = self.weights[rows] if self.weights.size else self.weights
                self._passes.reduced_sums(block, weights, codes, values, 0, len(block), out)

        return self._reduce(self.size, levels.shape[1], add)

    @cached_property
    def diagonal(self) -> Array:
        """Diagonal of S (M,)."""
        if self.base < 0:
            return self.lengths
        return np.maximum(self.lengths - self._lengths[:, 1], 0.0)

    @property
    def lengths(self) -> Array:
        """Diagonal of B'WB (M,)."""
        return self._lengths[:, 0]

    @cached_property
    def inverse_lengths(self) -> Array:
        """One over the diagonal of B'WB (M,)."""
        return 1.0 / np.maximum(self.lengths, np.finfo(float).tiny)

    @cached_property
    def _lengths(self) -> Array:
        return self._reduce(
            self.size,
            2,
            lambda a, b, out: level_passes(self.n).reduced_lengths(
                self.codes, self.values, self.weights, self.starts, a, b, out
            ),
        )

    def merged(self, j: int) -> int:
        """Levels of term j less the connected components of its graph with the base effect."""
        first, last = self.offsets[j : j + 2]
        merged = level_passes(self.n).merged_levels
        return int(merged(self.codes[j], self.starts, self.weights, int(last - first), int(first)))

    @cached_property
    def base_weights(self) -> Array:
        """Total weight of every base level (L,)."""
        if self.weights.size:
            return np.add.reduceat(self.weights, self.starts[:-1])
        return np.diff(self.starts).astype(np.float64)

    @cached_property
    def cells(self) -> Any:
        """A'WB, (L, M) in compressed rows."""
        terms, n = self.codes.shape
        indices = self.codes.T.flatten()  # a copy: duplicates are summed in place
        data = np.ones((n, terms)) if not self.values.size else self.values.T.copy()
        if self.weights.size:
            data = data * self.weights[:, None]
        out = sparse.csr_matrix(
            (data.ravel(), indices, self.starts * terms), shape=(len(self.starts) - 1, self.size), copy=False
        )
        out.sum_duplicates()
        return out

    @cached_property
    def nested(self) -> tuple[bool, ...]:
        """Whether each term adds nothing to the base effect, whose levels lie in one of the term's each."""
        if self.base < 0 or self.values.size:
            return tuple(False for _ in self.others)
        kernels = import_module("gifepanel.kernels.schur")
        return tuple(bool(kernels.is_nested(own, self.starts)) for own in self.codes)

    def without_nested(self) -> tuple[EffectSystem, IntArray | None]:
        """The system of the terms that add something, and which unknowns are theirs; None where all do."""
        left = [j for j, one in enumerate(self.nested) if not one]
        if len(left) == len(self.others):
            return self, None
        widths = np.diff(self.offsets)
        offsets = np.cumsum([0, *(int(widths[j]) for j in left)])
        codes = np.empty((len(left), self.n), dtype=np.int32)
        for k, j in enumerate(left):
            np.subtract(self.codes[j], self.offsets[j] - offsets[k], out=codes[k], casting="unsafe")
        own = [np.arange(self.offsets[j], self.offsets[j + 1]) for j in left]
        others = tuple(self.others[j] for j in left)
        return replace(self, others=others, codes=codes, offsets=offsets), np.concatenate([np.empty(0, int), *own])

    def bordered(self) -> BorderedMatrix:
        """S as a matrix (M, M), effects with few levels apart."""
        border = border_of(self.offsets)[1]
        width = border.stop - border.start if isinstance(border, slice) else len(border)
        if self._by_rows and self.size * width <= _FILLED * self.n:
            return from_rows(self.codes, self.offsets, self.weights, self.starts, self._bounds)
        return BorderedMatrix.of(self.schur(), self.offsets)

    def schur(self) -> Any:
        """S as a sparse matrix (M, M)."""
        gram = self._gram()
        return gram if self.base < 0 else schur_complement(gram, self.cells, self.inverse_weights)

    def schur_dense(self) -> Array:
        """S as an array (M, M)."""
        if self._by_rows:
            return of_few_levels(self.codes, self.weights, self.starts, self._bounds, self.size)
        gram = self._gram()
        if self.base < 0:
            return np.asarray(gram.toarray())
        return dense_schur_complement(gram, self.cells, self.inverse_weights)

    @property
    def _by_rows(self) -> bool:
        """Whether S is best made by pairs of rows: many rows, few of them to a base level."""
        each = len(self.others) * self.n / max(1, len(self.starts) - 1)
        return self.base >= 0 and not self.values.size and self.n >= _LARGE and each <= _PAIRED

    @cached_property
    def inverse_weights(self) -> Array:
        """One over the total weight of every base level (L,); zero where it has none."""
        total = self.base_weights
        return np.where(total > 0, 1.0 / np.maximum(total, np.finfo(float).tiny), 0.0)

    def _gram(self) -> Any:
        """B'WB as a sparse matrix (M, M)."""
        gram = sparse.diags(self.lengths).tocsr()
        for j in range(self.codes.shape[0]):
            for k in range(j):
                cross = self._crossed(j, k)
                gram = gram + cross + cross.T
        return gram

    def _crossed(self, j: int, k: int) -> Any:
        """The block of B'WB between two terms, (M, M)."""
        values = np.ones(self.n) if not self.values.size else self.values[j] * self.values[k]
        if self.weights.size:
            values = values * self.weights
        rows, cols = self.offsets[j + 1] - self.offsets[j], self.offsets[k + 1] - self.offsets[k]
        if rows * cols <= 4 * self.n:
            key = (self.codes[j] - self.offsets[j]) * np.int64(cols) + (self.codes[k] - self.offsets[k])
            dense = np.bincount(key, weights=values, minlength=rows * cols).reshape(rows, cols)
            r, c = np.nonzero(dense)
            cells = sparse.coo_matrix((dense[r, c], (r + self.offsets[j], c + self.offsets[k])), (self.size, self.size))
        else:
            cells = sparse.coo_matrix((values, (self.codes[j], self.codes[k])), (self.size, self.size))
        return cells.tocsr()

    # ---- chunks: fixed by the data, so that sums do not depend on the number of threads ----

    @cached_property
    def _bounds(self) -> list[int]:
        """Base levels at which chunks begin."""
        inner = np.searchsorted(self.starts, cuts(self.n)[1:-1])
        return [0, *(int(a) for a in inner), len(self.starts) - 1]

    def _over_chunks(self, work: Callable[[int, int], None]) -> None:
        every_chunk(work, self._bounds)

    def _reduce(self, rows: int, m: int, work: Callable[[int, int, Array], None]) -> Array:
        """Sum over chunks of what `work` adds to an array (rows, m)."""
        bounds = self._bounds
        parts = [np.zeros((rows, m)) for _ in bounds[1:]]
        every_chunk(work, bounds, parts)
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total


def schur_complement(gram: Any, cells: Any, inverse_weights: Array) -> Any:
    """B'WB - (A'WB)'(A'WA)^-1 A'WB as a sparse matrix (M, M)."""
    return (gram - cells.T.tocsr() @ (sparse.diags(inverse_weights) @ cells)).tocsr()


def dense_schur_complement(gram: Any, cells: Any, inverse_weights: Array) -> Array:
    """The same as an array (M, M); blocks of base levels are multiplied densely where their cells are occupied."""
    if cells.nnz < _OCCUPIED * cells.shape[0] * cells.shape[1]:
        return np.asarray(schur_complement(gram, cells, inverse_weights).toarray())
    out = np.asarray(gram.toarray())
    scaled = (sparse.diags(np.sqrt(inverse_weights)) @ cells).tocsr()
    step = max(1, _BLOCK // max(1, cells.shape[1]))
    for first in range(0, cells.shape[0], step):
        block = scaled[first : first + step].toarray()
        out -= block.T @ block
    return out


def _by_level(codes: Any, n_levels: int) -> tuple[IntArray | None, IntArray]:
    """Order of the rows by level, None where they are in order, and where each level starts."""
    if bool((codes[1:] >= codes[:-1]).all()):
        return None, np.searchsorted(codes, np.arange(n_levels + 1, dtype=codes.dtype)).astype(np.int64)
    order = np.empty(codes.shape[0], dtype=np.int64)
    starts = np.empty(n_levels + 1, dtype=np.int64)
    level_passes(len(codes)).counting_order(codes, n_levels, order, starts)
    return order, starts


def _sorted(values: Any, order: IntArray | None) -> Any:
    return np.asarray(values) if order is None else np.asarray(values)[order]
