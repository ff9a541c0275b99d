"""Observed cells as data of a search over groupings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from gifepanel.kernels.regroup_cells import alternate_on_cells
from gifepanel.solvers.arrays import Array, UnitQuadratics
from gifepanel.solvers.cell_descent import SPANNED, free_rows
from gifepanel.solvers.cell_panel import CellComponents, CellPanel
from gifepanel.solvers.cells import Cells

__all__ = ["RegroupedCells"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class RegroupedCells:
    """Observed cells; `effect` holds the coefficients of the period columns (m, T)."""

    cells: Cells

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, p)."""
        return *self.cells.shape, self.cells.n_regressors

    @property
    def n_cells(self) -> int:
        """n."""
        return self.cells.size

    def alternate(
        self,
        slots: IntArray,
        groups: IntArray,
        theta: Array,
        factors: Array,
        effect: Array,
        reassign: bool,
        rounds: int,
        tol: float,
        cutoff: float,
        known: IntArray | None = None,
    ) -> float:
        """Groups, slopes, factors and period coefficients by turns."""
        cells, length = self.cells, np.sqrt(self.cells.shape[1])
        rows = np.ascontiguousarray(factors.T) * length
        state = (groups, theta, rows, effect)
        back = np.empty(0, dtype=np.int64) if known is None else known
        gauge = (cells.series, free_rows(cells, len(rows)))
        ssr = alternate_on_cells(cells.data, slots, *gauge, *state, reassign, rounds, tol, cutoff, back, SPANNED)[0]
        factors[:] = rows.T / length
        return float(ssr)

    def quadratics(self, factors: Array, effect: Array) -> UnitQuadratics:
        """Sums of squares of the entities under their slopes."""
        n, _, p = self.shape
        return CellPanel(self.cells).quadratics(self._at(np.zeros((n, p)), factors, effect))

    def loadings(self, beta: Array, factors: Array, effect: Array) -> Array:
        """Loadings at unit slopes."""
        return self._at(beta, factors, effect).loadings

    def residuals(self, beta: Array, factors: Array, effect: Array) -> Array:
        """What slopes, factors and period coefficients leave, times the roots of the weights."""
        return np.array(self._at(beta, factors, effect).state.e)

    @property
    def starts(self) -> IntArray:
        """As the cells are laid out."""
        return np.asarray(self.cells.data.ptr)

    def with_errors(self, before: Array, after: Array) -> Self:
        """Another outcome; errors are times the roots of the weights."""
        data = self.cells.data
        return replace(self, cells=replace(self.cells, data=data._replace(y=data.y + (after - before))))

    def _at(self, beta: Array, factors: Array, effect: Array) -> CellComponents:
        rows = np.ascontiguousarray(factors.T) * np.sqrt(self.cells.shape[1])
        return CellPanel(self.cells).at(beta, rows, effect, 0)
