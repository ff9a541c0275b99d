"""Descents on a sample of the entities of a large panel: near minima of the whole at a fraction of the cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gifepanel.solvers.cell_descent import CellFit, alternate_cells, descend_cells
from gifepanel.solvers.cell_starts import CellStart
from gifepanel.solvers.cells import Cells, canonical_units
from gifepanel.solvers.interactive import SlopeMap
from gifepanel.solvers.met_minima import MetMinima

__all__ = ["CellSample", "fit_cells", "sample_of"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
# cells of a sample, the fewest entities of a group and, for each coefficient of a period, cells of a period in it
_CELLS, _ENTITIES, _OF_PERIODS = 12_000, 40, 20
_MOST, _FEWEST = 8, 3
_TOL, _MAX_ITER = 1e-4, 60


def fit_cells(
    cells: Cells, slopes: SlopeMap, start: CellStart, *, tol: float = 1e-9, max_iter: int = 100, known: Any = None
) -> CellFit:
    """Descend from a start."""
    theta, factors, effects = start.theta, start.factors, start.effects
    if start.rounds:
        theta, factors, effects, _ = alternate_cells(cells, slopes, theta, factors, effects, start.rounds)
    return descend_cells(cells, slopes, theta, factors, effects, tol=tol, max_iter=max_iter, known=known)


@dataclass(frozen=True)
class CellSample:
    """Every so-manieth entity, and the minima met on them.

    Attributes
    ----------
    cells : Cells
    slopes : SlopeMap
    units : ndarray of int64
        The entities that are in it.
    met : MetMinima
    """

    cells: Cells
    slopes: SlopeMap
    units: IntArray
    met: MetMinima[CellFit] = field(default_factory=MetMinima)

    def descend(self, start: CellStart) -> tuple[CellFit, int | None]:
        """Where a start leads on the sample, and the fit that began there if it has been met."""
        fit = fit_cells(self.cells, self.slopes, start, tol=_TOL, max_iter=_MAX_ITER, known=self.met.best)
        return fit, self.met.number_of(fit)


def sample_of(cells: Cells, slopes: SlopeMap, n_factors: int, least: int = _CELLS) -> CellSample | None:
    """A sample of the entities, stratified by the sizes of their outcomes; None where the panel is small or thin."""
    step = min(_MOST, cells.size // least)
    if step < _FEWEST or n_factors == 0:
        return None
    units = canonical_units(cells)[::step]
    groups = slopes.groups[units]
    part = cells.take(units)
    by_period = np.bincount(part.data.time, minlength=cells.shape[1])
    enough = by_period.min() >= _OF_PERIODS * (n_factors + len(part.data.period))
    if not enough or np.bincount(groups, minlength=len(slopes.slots)).min() < _ENTITIES:
        return None
    return CellSample(part, SlopeMap(groups, slopes.slots), units)
