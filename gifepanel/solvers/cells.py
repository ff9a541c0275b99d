"""The observed cells of a panel as the solvers hold them, and the sub-panel that says something about slopes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gifepanel.kernels.cells import CellData, CellState
from gifepanel.solvers.arrays import Array

__all__ = ["Cells", "canonical_units", "cells_of", "core", "n_coefficients", "orthonormal_rows", "standardized_cells"]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Cells:
    """A panel of which some cells are observed, ready for the solvers.

    Attributes
    ----------
    data : CellData
        Sorted by entity, then time; multiplied by the roots of the weights, regressors divided by `scale`.
    entity : ndarray of int64, shape (n,)
    shape : tuple of int
        (N, T).
    series : ndarray, shape (g, T)
        Known columns that are functions of time alone: what they span in factors is no parameter.
    free : ndarray of bool, shape (m,)
        Period columns that vary within entities.
    scale : ndarray, shape (p,)
        Slopes of the solvers are `scale` times those of the data.
    """

    data: CellData
    entity: IntArray
    shape: tuple[int, int]
    series: Array
    free: BoolArray
    scale: Array

    @property
    def size(self) -> int:
        """Number of observed cells n."""
        return int(self.entity.size)

    @property
    def n_regressors(self) -> int:
        """p."""
        return int(self.data.x.shape[0])

    @cached_property
    def holes(self) -> tuple[IntArray, IntArray]:
        """Entities and times of the cells that are not observed."""
        empty = np.ones(self.shape, dtype=bool)
        empty[self.entity, self.data.time] = False
        entity, time = np.nonzero(empty)
        return entity, time

    def without_slopes(self, y: Array) -> Cells:
        """The same cells with another outcome (n,), times root, and no regressors."""
        data = self.data._replace(y=np.ascontiguousarray(y), x=np.empty((0, self.size)))
        return replace(self, data=data, scale=np.empty(0))

    def with_outcome(self, y: Array) -> Cells:
        """The same cells with another outcome (n,), times root."""
        return replace(self, data=self.data._replace(y=np.ascontiguousarray(y)))

    def take(self, units: IntArray) -> Cells:
        """The same cells, entities in another order, or those of some of the entities."""
        moved, data = self._cells_of(units), self.data
        ptr = np.concatenate([[0], np.cumsum(np.diff(data.ptr)[units])]).astype(np.int64)
        columns = (
            np.ascontiguousarray(own[..., moved]) for own in (data.y, data.x, data.known, data.period, data.root)
        )
        taken = CellData(ptr, data.time[moved], *columns)
        entity = np.repeat(np.arange(len(units)), np.diff(ptr))
        return replace(self, data=taken, entity=entity, shape=(len(units), self.shape[1]))

    def copied(self, copies: IntArray) -> Cells:
        """The cells of the entities with copies (N,), each as heavy as it has some."""
        some = np.flatnonzero(copies)
        taken = self.take(some)
        data, root = taken.data, np.sqrt(copies[some].astype(np.float64))[taken.entity]
        columns = {name: getattr(data, name) * root for name in ("y", "x", "known", "period", "root")}
        return replace(taken, data=data._replace(**columns))

    def state_in_order(self, state: CellState, units: IntArray) -> CellState:
        """An evaluation at these cells as one of those that :meth:`take` gives."""
        moved = self._cells_of(units)
        return state._replace(
            e=state.e[moved],
            q=np.ascontiguousarray(state.q[:, moved]),
            tri=np.ascontiguousarray(state.tri[units]),
            coef=np.ascontiguousarray(state.coef[units]),
        )

    def _cells_of(self, units: IntArray) -> IntArray:
        first, count = self.data.ptr[units], np.diff(self.data.ptr)[units]
        return np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())

    def to_cube(self, values: Array) -> Array:
        """Values by cell, (n,) or (k, n), as (N, T) or (k, N, T): zero where nothing is observed."""
        out = np.zeros((*values.shape[:-1], *self.shape))
        out[..., self.entity, self.data.time] = values
        return out


def cells_of(
    y: Array,
    x: Array,
    observed: BoolArray,
    *,
    known: Array | None = None,
    period: Array | None = None,
    weights: Array | None = None,
    standardize: bool = False,
) -> Cells:
    """Lay the observed cells of a panel out for the solvers.

    Parameters
    ----------
    y : ndarray, shape (N, T)
    x : ndarray, shape (N, T, p)
    observed : ndarray of bool, shape (N, T)
    known : ndarray, shape (N, T, d), optional
        Columns with a coefficient of each entity.
    period : ndarray, shape (N, T, m), optional
        Columns with a coefficient of each period.
    weights : ndarray, shape (N, T), optional
        Positive where a cell is observed.
    standardize : bool
        Divide every regressor by its root mean square, entity means taken out where entities have effects.
    """
    shape = (observed.shape[0], observed.shape[1])
    entity, time = np.nonzero(observed)
    ptr = np.concatenate([[0], np.cumsum(observed.sum(axis=1))]).astype(np.int64)
    root = np.ones(entity.size) if weights is None else np.sqrt(weights[entity, time])
    known = np.empty((*shape, 0)) if known is None else known
    period = np.empty((*shape, 0)) if period is None else period
    regressors, units, periods = (
        np.ascontiguousarray(cube[entity, time].T * root, dtype=np.float64) for cube in (x, known, period)
    )
    data = CellData(ptr, time.astype(np.int64), y[entity, time] * root, regressors, units, periods, root)
    varies = _within(period, entity, time, 0)
    series = _time_series(known, observed)
    cells = Cells(data, entity.astype(np.int64), shape, series, varies, np.ones(x.shape[2]))
    return standardized_cells(cells) if standardize else cells


def canonical_units(cells: Cells) -> IntArray:
    """An order of the entities that the data give: by the sizes of outcomes, where these tie of regressors."""
    size = np.abs(cells.data.y)
    first = np.maximum.reduceat(size, cells.data.ptr[:-1])
    order = np.argsort(first, kind="stable")
    if (np.diff(first[order]) > 0).all():
        return np.asarray(order, dtype=np.int64)
    keys = np.concatenate([cells.to_cube(size)[None], cells.to_cube(np.sort(np.abs(cells.data.x), axis=0))])
    return np.lexsort(np.vstack([first[None], keys.transpose(0, 2, 1).reshape(-1, cells.shape[0])])[::-1])


def _within(cube: Array, entity: IntArray, time: IntArray, axis: int) -> BoolArray:
    """Whether columns (N, T, m) differ between the observed cells of an entity (axis 0) or of a period (axis 1)."""
    ids = (entity, time)[axis]
    out = np.zeros(cube.shape[2], dtype=bool)
    for j in range(cube.shape[2]):
        values = cube[entity, time, j]
        first = np.zeros(cube.shape[axis])
        first[ids] = values
        out[j] = bool((first[ids] != values).any())
    return out


def _time_series(known: Array, observed: BoolArray) -> Array:
    """Known columns that are the same for all entities of a period, as orthonormal rows (g, T)."""
    entity, time = np.nonzero(observed)
    same = ~_within(known, entity, time, 1)
    rows = np.zeros((int(same.sum()), observed.shape[1]))
    rows[:, time] = known[entity, time][:, same].T
    return orthonormal_rows(rows)


def orthonormal_rows(rows: Array, rtol: float = 1e-10) -> Array:
    """Orthonormal rows that span those given (g, T)."""
    length = np.linalg.norm(rows, axis=1)
    scaled = rows[length > 0] / length[length > 0, None]
    if not len(scaled):
        return np.empty((0, rows.shape[1]))
    _, size, basis = np.linalg.svd(scaled, full_matrices=False)
    return np.ascontiguousarray(basis[size > rtol * size[0]])


def standardized_cells(cells: Cells) -> Cells:
    """Every regressor divided by its root mean square, entity means taken out where entities have effects."""
    data = cells.data
    x, root = data.x, data.root
    if len(data.known) and (data.known[0] == root).all():
        weights = np.add.reduceat(root * root, data.ptr[:-1])
        means = np.add.reduceat(x * root, data.ptr[:-1], axis=1) / weights
        x = x - means[:, cells.entity] * root
    rms = np.sqrt((x * x).sum(axis=1) / cells.size)
    scale = np.where(rms > 0, rms, 1.0)
    return replace(cells, data=data._replace(x=data.x / scale[:, None]), scale=cells.scale * scale)


def n_coefficients(n: int, t: int, of_units: int, of_periods: int) -> int:
    """Degrees of freedom that so many coefficients of each entity and period take, but for coincidence."""
    return n * of_units + t * of_periods - of_units * of_periods


def core(observed: BoolArray, n_unit: int, n_period: int) -> BoolArray:
    """The cells left when entities with at most `n_unit` of them and periods with at most `n_period` are taken out.

    Again and again: what is taken out is fitted exactly, whatever the slopes, so that they do not depend on it.

    Parameters
    ----------
    observed : ndarray of bool, shape (N, T)
    n_unit : int
        Coefficients of an entity: factors and known columns.
    n_period : int
        Coefficients of a period: factors and period columns.
    """
    out = observed.copy()
    while True:
        by_unit, by_period = out.sum(axis=1), out.sum(axis=0)
        short = (by_unit <= n_unit) & (by_unit > 0)
        thin = (by_period <= n_period) & (by_period > 0)
        if not short.any() and not thin.any():
            return out
        out[short] = False
        out[:, thin] = False
