"""Fixed effects solved on margins: what the rows have in common by pairs of levels, without the rows.

The reduced system of :mod:`gifepanel.projections.system`, S c = B'W M_A v, needs no more of the rows than the weight of
every pair of levels: A'WB between the base effect and the others, and B'WB among these. Where rows are somewhere else,
a database or files, these tables are what comes home; what S c = r is solved by is the same as in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from gifepanel.projections.base import Certificate, DegreesAbsorbed
from gifepanel.projections.bordered import BorderedMatrix
from gifepanel.projections.reduced import DENSE, EMPTY, PivotedCholesky, ReducedSolver
from gifepanel.projections.system import EffectSystem, dense_schur_complement, schur_complement

__all__ = ["MarginSystem", "RowSystem", "schur_of_patterns", "sums_of_patterns"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_REFINEMENTS = 4
_BLOCK = 1 << 22
_FEW = 200_000


class _Solver(ReducedSolver):
    """On sparse tables a product with S is cheap: conjugate gradients without forming it come first."""

    @property
    def _is_sparse(self) -> bool:
        return False


@dataclass(frozen=True, eq=False)
class MarginSystem:
    """S of some effects, from the weights of pairs of levels.

    Attributes
    ----------
    base : int
        Position of the eliminated effect among the effects.
    others : tuple of int
        Positions of the terms.
    offsets : ndarray of int64, shape (J + 1,)
    lengths : ndarray, shape (M,)
        Weight of every level of the terms: the diagonal of B'WB.
    base_levels : int
    gram : sparse matrix (M, M)
        B'WB.
    cells : sparse matrix (L, M), or None
        A'WB; None where S itself is known.
    known : ndarray, shape (M, M), or None
        S.
    tol : float
    max_iter : int
    """

    base: int
    others: tuple[int, ...]
    offsets: Any
    lengths: Array
    base_levels: int
    gram: Any
    cells: Any = None
    known: Array | None = None
    tol: float = 1e-10
    max_iter: int = 5_000

    @property
    def size(self) -> int:
        """Unknowns M."""
        return int(self.offsets[-1])

    @cached_property
    def _inverse_weights(self) -> Array:
        total = np.asarray(self.cells[:, : self.offsets[1]].sum(axis=1)).ravel()
        return np.where(total > 0, 1.0 / np.maximum(total, np.finfo(float).tiny), 0.0)

    @cached_property
    def diagonal(self) -> Array:
        """Diagonal of S (M,)."""
        if self.known is not None:
            return np.asarray(np.diag(self.known))
        squares = sparse.csr_matrix((self.cells.data**2, self.cells.indices, self.cells.indptr), self.cells.shape)
        return np.maximum(self.lengths - np.asarray(squares.T @ self._inverse_weights), 0.0)

    def apply(self, unknown: Array) -> Array:
        """S unknown: (M, m)."""
        if self.known is not None:
            return np.asarray(self.known @ unknown)
        means = self._inverse_weights[:, None] * (self.cells @ unknown)
        return np.asarray(self.gram @ unknown - self.cells.T @ means)

    def bordered(self) -> BorderedMatrix:
        """S as a matrix (M, M), effects with few levels apart."""
        return BorderedMatrix.of(self.schur(), self.offsets)

    def schur(self) -> Any:
        """S as a sparse matrix (M, M)."""
        if self.known is not None:
            return sparse.csr_matrix(self.known)
        return schur_complement(self.gram, self.cells, self._inverse_weights)

    def spread(self, levels: Array) -> Array:
        """B'W times columns (L, m) that are constant within base levels: (M, m)."""
        return np.asarray(self.cells.T @ levels)

    def schur_dense(self) -> Array:
        """S as an array (M, M)."""
        if self.known is not None:
            return self.known
        return dense_schur_complement(self.gram, self.cells, self._inverse_weights)

    @cached_property
    def _solver(self) -> ReducedSolver:
        return _Solver(self, 0.9 * self.tol, self.max_iter)  # type: ignore[arg-type]

    def solve(self, right: Array, lengths: Array) -> tuple[Array, Certificate]:
        """A solution (M, m) of S c = right, and how good it is.

        Parameters
        ----------
        right : ndarray, shape (M, m)
            B'W M_A v of columns v.
        lengths : ndarray, shape (m,)
            Of the columns M_A v.
        """
        size = np.where(lengths > 0, lengths, 1.0)
        unknown = np.zeros_like(right)
        left, method, iterations = right, self._solver.name, 0
        for _ in range(_REFINEMENTS):
            if self.residual(left, size) <= 1e-15:
                break
            step, method, used = self._solver.solve(left, lambda r: self._norms(r, size))
            before, iterations = self.residual(left, size), iterations + used
            left = right - self.apply(unknown + step)
            if self.residual(left, size) > 0.5 * before:
                left = right - self.apply(unknown)
                break
            unknown = unknown + step
        found = self.residual(left, size)
        return unknown, Certificate(method, iterations, found, found <= 10 * self.tol)

    def _norms(self, r: Array, size: Array) -> Array:
        lengths = np.maximum(self.lengths, np.finfo(float).tiny)
        squares = np.add.reduceat(r * r / lengths[:, None], self.offsets[:-1], axis=0)
        return np.sqrt(squares.max(axis=0)) / size

    def residual(self, right: Array, size: Array) -> float:
        """Largest norm of the projections of columns on the dummies of a term, relative to `size` (m,)."""
        return float(self._norms(right, size).max(initial=0.0))

    # ---- ranks ----

    @cached_property
    def degrees(self) -> DegreesAbsorbed:
        """Rank of all effects together, exact where it is in memory: see :class:`Absorption`."""
        if not self.size:
            return DegreesAbsorbed(self.base_levels, True, (self.base_levels,))
        if self.size <= DENSE:
            dense = PivotedCholesky.of(self.schur_dense(), self.lengths)
            return DegreesAbsorbed(
                self.base_levels + dense.rank, True, self._in_order(dense.rank_by_block(self.offsets))
            )
        blocks = [self._merged(j) for j in range(len(self.others))]
        return DegreesAbsorbed(self.base_levels + sum(blocks), len(blocks) == 1, self._in_order(blocks))

    def _in_order(self, blocks: Sequence[int]) -> tuple[int, ...]:
        out = [0] * (len(self.others) + 1)
        out[self.base] = self.base_levels
        for g, own in zip(self.others, blocks, strict=True):
            out[g] = int(own)
        return tuple(out)

    def _merged(self, j: int) -> int:
        """Levels of term j less the connected components of its graph with the base effect."""
        first, last = int(self.offsets[j]), int(self.offsets[j + 1])
        if self.cells is None:
            assert self.known is not None
            off = np.abs(self.known[first:last, first:last]) > EMPTY * self.lengths[first:last, None]
            return last - first - int(connected_components(sparse.csr_matrix(off), directed=False)[0])
        own = self.cells[:, first:last].tocoo()
        levels, width = own.shape
        graph = sparse.coo_matrix((np.ones(own.nnz), (own.row, own.col + levels)), (levels + width,) * 2)
        return width - int(connected_components(graph, directed=False)[0])

    def rank_of(self, which: Sequence[int]) -> int:
        """Rank of some of the effects together, given by position; of a constant where there is none."""
        if not which:
            return 1
        if len(which) == len(self.others) + 1:
            return self.degrees.total
        if len(which) == 1:
            return self._levels(which[0])
        return self._part(which).degrees.total

    def _levels(self, g: int) -> int:
        if g == self.base:
            return self.base_levels
        j = self.others.index(g)
        return int(self.offsets[j + 1] - self.offsets[j])

    def _part(self, which: Sequence[int]) -> MarginSystem:
        """The system of some of the effects."""
        spans = {g: np.arange(self.offsets[j], self.offsets[j + 1]) for j, g in enumerate(self.others)}
        base = self.base if self.base in which else max(which, key=self._levels)
        others = [g for g in which if g != base]
        columns = np.concatenate([spans[g] for g in others])
        cells = self.cells[:, columns] if base == self.base else self.gram.tocsr()[spans[base]][:, columns]
        offsets = np.cumsum([0, *(self._levels(g) for g in others)])
        order = {g: position for position, g in enumerate(which)}
        return MarginSystem(
            order[base],
            tuple(order[g] for g in others),
            offsets,
            self.lengths[columns],
            self._levels(base),
            self.gram.tocsr()[columns][:, columns],
            cells.tocsr(),
        )


@dataclass(frozen=True, eq=False)
class RowSystem(MarginSystem):
    """The same from the levels of every row, where most rows have a pair of their own.

    Attributes
    ----------
    rows : EffectSystem
        ``gram``, ``cells`` and ``known`` are not made.
    """

    rows: Any = None

    @classmethod
    def of(cls, rows: EffectSystem, tol: float) -> RowSystem:
        """Of rows whose levels are known."""
        levels = len(rows.starts) - 1
        return cls(rows.base, rows.others, rows.offsets, rows.lengths, levels, None, tol=tol, rows=rows)

    @property
    def diagonal(self) -> Array:
        """Diagonal of S (M,)."""
        return self.rows.diagonal

    def apply(self, unknown: Array) -> Array:
        """S unknown: (M, m)."""
        return self.rows.apply(np.ascontiguousarray(unknown))

    def bordered(self) -> BorderedMatrix:
        """S as a matrix (M, M), effects with few levels apart."""
        return self.rows.bordered()

    def schur_dense(self) -> Array:
        """S as an array (M, M)."""
        return self.rows.schur_dense()

    def spread(self, levels: Array) -> Array:
        """B'W times columns (L, m) that are constant within base levels: (M, m)."""
        return self.rows.spread(levels)

    def _merged(self, j: int) -> int:
        return self.rows.merged(j)

    def _part(self, which: Sequence[int]) -> MarginSystem:
        if self.base not in which:
            return MarginSystem._part(replace(self, gram=self._crossed()), which)
        own, places = self.rows, [self.others.index(g) for g in which if g != self.base]
        widths = [self._levels(self.others[j]) for j in places]
        offsets = np.cumsum([0, *widths]).astype(np.int64)
        codes = [own.codes[j] + np.int32(offsets[k] - self.offsets[j]) for k, j in enumerate(places)]
        order = {g: position for position, g in enumerate(which)}
        others = tuple(order[self.others[j]] for j in places)
        part = replace(own, base=order[self.base], others=others, codes=np.array(codes), offsets=offsets)
        return RowSystem.of(part, self.tol)

    def _crossed(self) -> Any:
        """B'WB (M, M): every pair of terms is counted a block of rows at a time."""
        gram, own, starts = sparse.diags(self.lengths).tocsr(), self.rows, self.offsets
        for j in range(len(self.others)):
            for k in range(j):
                shape = (int(starts[j + 1] - starts[j]), int(starts[k + 1] - starts[k]))
                a, b = own.codes[j] - np.int32(starts[j]), own.codes[k] - np.int32(starts[k])
                cross = _table(a, b, own.weights if own.weights.size else None, shape).tocoo()
                place = (cross.row + starts[j], cross.col + starts[k])
                block = sparse.coo_matrix((cross.data, place), gram.shape).tocsr()
                gram = gram + block + block.T
        return gram


def _table(a: Any, b: Any, weights: Array | None, shape: tuple[int, int]) -> Any:
    """Weights of pairs of codes, as a sparse matrix."""
    if (size := shape[0] * shape[1]) <= max(a.size // 4, _FEW):
        sums = np.zeros(size)
        for first in range(0, a.size, _BLOCK):
            part = slice(first, first + _BLOCK)
            pair = a[part].astype(np.int64) * shape[1] + b[part]
            sums += np.bincount(pair, None if weights is None else weights[part], minlength=size)
        return sparse.csr_matrix(sums.reshape(shape))
    ones = np.ones(a.size) if weights is None else weights
    return sparse.coo_matrix((ones, (a, b)), shape).tocsr()


def schur_of_patterns(patterns: Any, counts: Array, lengths: Array) -> Array:
    """S of periods beside entities whose periods are bit patterns.

    Parameters
    ----------
    patterns : ndarray of uint8, shape (P, T)
        Which periods entities have: different patterns.
    counts : ndarray, shape (P,)
        Of entities with each.
    lengths : ndarray, shape (T,)
        Rows of each period.

    Returns
    -------
    ndarray, shape (T, T)
    """
    out = np.diag(lengths.astype(np.float64))
    step = max(1, _BLOCK // max(1, patterns.shape[1]))
    for first in range(0, len(patterns), step):
        block = patterns[first : first + step].astype(np.float64)
        block *= np.sqrt(counts[first : first + step] / np.maximum(block.sum(axis=1), 1.0))[:, None]
        out -= block.T @ block
    return out


def sums_of_patterns(patterns: Any, columns: Array) -> Array:
    """Sums (T, m) over the patterns with each period of columns (P, m)."""
    out = np.zeros((patterns.shape[1], columns.shape[1]))
    step = max(1, _BLOCK // max(1, patterns.shape[1]))
    for first in range(0, len(patterns), step):
        out += patterns[first : first + step].astype(np.float64).T @ columns[first : first + step]
    return out
