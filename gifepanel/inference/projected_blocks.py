"""Regressors off factors, loadings and effects, of a few entities at a time: of a large panel they are not kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gifepanel.blocks import blocks_of, each_block, sum_over_blocks
from gifepanel.inference.space import FactorSpace
from gifepanel.projections.triangle import Reduced, Triangle, reduced

__all__ = ["ProjectedBlocks", "moments_in_blocks", "periods_in_blocks", "tss_in_blocks"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class ProjectedBlocks:
    """M_Lambda z M_F (N, T, q), made when rows of it are asked for: ``z[rows]``.

    Attributes
    ----------
    source : callable
        The regressors (m, T, q) of a slice of the entities, as an array of their own.
    space : FactorSpace
    width : int
        q.
    basis : Triangle, optional
        In whose orthonormal basis the columns are given.
    """

    source: Callable[[slice], Array]
    space: FactorSpace
    width: int
    basis: Triangle | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, q)."""
        return self.space.n_units, self.space.n_periods, self.width

    def _off_units(self, rows: slice) -> Array:
        z, time = self.source(rows), self.space.time
        if time.shape[1]:
            z -= np.matmul(time, np.matmul(time.T, z))
        return z

    @cached_property
    def _scores(self) -> Array:
        """Products with the directions of periods (r, T q)."""
        n, t, q = self.shape
        unit = self.space.unit
        return sum_over_blocks(lambda rows: unit[rows].T @ self._off_units(rows).reshape(-1, t * q), n, t * q)

    def __getitem__(self, rows: slice) -> Array:
        z = self._off_units(rows)
        if self.space.unit.shape[1]:
            flat = z.reshape(len(z), -1)
            flat -= self.space.unit[rows] @ self._scores
        if self.basis is None:
            return z
        return self.basis.basis(z.reshape(-1, self.width)).reshape(z.shape)

    def in_basis(self, triangle: Triangle) -> ProjectedBlocks:
        """The same columns, orthonormal."""
        other = ProjectedBlocks(self.source, self.space, self.width, triangle)
        if self.space.unit.shape[1]:
            other.__dict__["_scores"] = self._scores
        return other

    @cached_property
    def reduced(self) -> Reduced:
        """Their triangle, and whether a column is constant."""
        n, t, q = self.shape
        if self.space.unit.shape[1]:
            _ = self._scores  # before threads ask for them
        first = self[blocks_of(n, t * q)[0]].reshape(-1, q)
        return reduced(first, lambda work: each_block(lambda rows: work(self[rows].reshape(-1, q)), n, t * q))

    @cached_property
    def reduced_as_they_are(self) -> Array:
        """Triangle (q, q) of the columns, whatever is constant."""
        n, t, q = self.shape
        if self.space.unit.shape[1]:
            _ = self._scores
        parts = each_block(lambda rows: np.linalg.qr(self[rows].reshape(-1, q), mode="r"), n, t * q)
        return np.asarray(np.linalg.qr(np.concatenate(parts), mode="r"))

    @property
    def total(self) -> float:
        """Sum of squares of all."""
        n, t, q = self.shape
        if self.space.unit.shape[1]:
            _ = self._scores
        return float(sum(each_block(lambda rows: float(np.square(self[rows]).sum()), n, t * q)))

    @cached_property
    def lengths_of_source(self) -> Array:
        """Lengths of the columns before anything was taken out (q,)."""
        n, t, q = self.shape

        def squares(rows: slice) -> Array:
            flat = self.source(rows).reshape(-1, q)
            return np.asarray(np.einsum("nm,nm->m", flat, flat))

        return np.asarray(np.sqrt(sum_over_blocks(squares, n, t * q)))


def moments_in_blocks(time: Array, x: Array, y: Array, effect: Array) -> tuple[Array, Array, Array]:
    """X_i'M X_i (N, p, p), X_i'M r_i (N, p) and r_i'M r_i (N,), r the outcome less `effect`, M off `time` (T, r)."""
    n, t, p = x.shape
    a, c, s = np.empty((n, p, p)), np.empty((n, p)), np.empty(n)

    def fill(rows: slice) -> None:
        z = np.concatenate([x[rows], (y[rows] - effect)[:, :, None]], axis=2)
        z -= np.matmul(time, np.matmul(time.T, z))
        products = np.matmul(z.transpose(0, 2, 1), z)
        a[rows], c[rows], s[rows] = products[:, :p, :p], products[:, :p, p], products[:, p, p]

    each_block(fill, n, t * (p + 1))
    return a, c, s


def tss_in_blocks(space: FactorSpace, y: Array) -> float:
    """Sum of squares of the outcome off the space."""
    return ProjectedBlocks(lambda rows: y[rows, :, None].copy(), space, 1).total


def periods_in_blocks(space: FactorSpace, x: Array, tau: Array, slots: Any, width: int) -> Array:
    """Products (r, T, q) of the directions of periods with regressors weighted by `tau` (N, K), off factors."""
    n, t, p = x.shape
    time, unit = space.time, space.unit

    def products(rows: slice) -> Array:
        z = x[rows] - np.matmul(time, np.matmul(time.T, x[rows]))
        own = (unit[rows, :, None] * tau[rows, None, :]).reshape(len(z), -1)
        return np.asarray(own.T @ z.reshape(len(z), -1))

    total = sum_over_blocks(products, n, t * p).reshape(unit.shape[1], tau.shape[1], t, p)
    out = np.zeros((unit.shape[1], t, width))
    for k, slot in enumerate(slots):
        out[:, :, slot] += total[:, k]
    return out
