"""What counterfactuals ask of a fitted model with factors: its fit on cells, cells beside it, fits to other rows."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.inference.counterfactual import FittedCells, OutsideCells
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.models.checkpoints import check_repeatable, checkpoint_of, six_digits
from gifepanel.models.known_parts import known_parts
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.matrices import PanelDesign, slope_values
from gifepanel.parallel import Progress, run_tasks, spawn_seeds
from gifepanel.solvers.interactive import SlopeMap
from gifepanel.solvers.refit import Solution
from gifepanel.solvers.resampled import OutsideData, PanelData, resampled_averages

__all__ = ["Outside", "WhatIf"]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class Outside:
    """Rows of a design as cells beside those of a fit.

    Attributes
    ----------
    cells : OutsideCells
        Of the rows whose entity and period are in the fit.
    entity_known, time_known : ndarray of bool, shape (m,)
        Of all rows.
    levels : ndarray
        Fitted value of the cells; NaN where it hangs on known series, whose coefficients the weights give.
    """

    cells: OutsideCells
    entity_known: BoolArray
    time_known: BoolArray
    levels: Array


class WhatIf:
    """A fitted model, as counterfactuals see it.

    Parameters
    ----------
    model : FactorModel
        That of the results.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def fitted_cells(self, estimate: FactorEstimate) -> FittedCells:
        """The fit with the bases of its tangent space."""
        n, t = estimate.shape
        observed = np.ones((n, t), dtype=bool) if estimate.observed is None else estimate.observed
        root = observed.astype(np.float64) if estimate.root is None else estimate.root
        parts, r = self.model._parts, estimate.n_factors
        factors = np.broadcast_to(estimate.factors[None], (n, t, r))
        loadings = np.broadcast_to(estimate.loadings[:, None], (n, t, r))
        scale = root[:, :, None]
        return FittedCells(
            observed,
            np.concatenate([parts.unit, factors], axis=2) * scale,
            np.concatenate([parts.period, loadings], axis=2) * scale,
            estimate.z * scale,
            estimate.z_projected,
            estimate.wresid,
            float(estimate.df.residual),
            root,
        )

    def outside(self, estimate: FactorEstimate, design: PanelDesign, rows: IntArray) -> Outside:
        """Some rows of a design that has the columns of the model's."""
        parts, index = known_parts(design), design.index
        codes = index.entity_codes[rows], index.time_codes[rows]
        return self._cells(estimate, index, design.exog, rows, parts.unit[codes], parts.period[codes])

    def outside_rows(
        self, estimate: FactorEstimate, index: PanelIndex, exog: Array, rows: IntArray, data: Any
    ) -> Outside:
        """Some rows of new data: regressors with the columns of the design, and who and when they are."""
        parts = self.model._parts
        known = [np.ones((len(rows), len(names))) for names in (parts.unit_names, parts.period_names)]
        if not parts.only_additive:
            spec = self.model.design.spec
            assert spec is not None
            kept = spec.exog_for(data).esample
            frame = spec.read(data)
            for columns, names in zip(known, (parts.unit_names, parts.period_names), strict=True):
                for j, name in enumerate(names):
                    if name != "1":
                        columns[:, j] = slope_values(frame.column(name))[kept][rows]
        return self._cells(estimate, index, exog, rows, *known)

    def _cells(
        self, estimate: FactorEstimate, index: PanelIndex, exog: Array, rows: IntArray, unit: Array, period: Array
    ) -> Outside:
        """Rows as cells; `unit` and `period` are the known columns of these rows."""
        model, parts = self.model, self.model._parts
        own = model.design.index
        entity = np.asarray(own.entities.get_indexer(index.entities), dtype=np.int64)[index.entity_codes[rows]]
        time = np.asarray(own.times.get_indexer(index.times), dtype=np.int64)[index.time_codes[rows]]
        if not (estimate.n_factors or parts.period_names):  # nothing hangs on the period
            time = np.where(time < 0, own.n_times + index.time_codes[rows], time)
        known = (entity >= 0) & (time >= 0)
        i, t, at = entity[known], time[known], rows[known]
        when = np.minimum(t, own.n_times - 1)
        x = exog[at][:, model._kept]
        z = estimate.by_slope(x, i)
        cells = OutsideCells(
            i,
            t,
            np.concatenate([unit[known], estimate.factors[when]], axis=1),
            np.concatenate([period[known], estimate.loadings[i]], axis=1),
            z,
        )
        levels = z @ estimate.theta + estimate.entity_effect[i] + estimate.time_effect[when]
        levels += np.einsum("mr,mr->m", estimate.loadings[i], estimate.factors[when])
        return Outside(cells, entity >= 0, time >= 0, levels if parts.only_additive else np.full(len(at), np.nan))

    def bootstrap(
        self,
        estimate: FactorEstimate,
        design: PanelDesign,
        rows: IntArray,
        averages: Array,
        n_draws: int,
        *,
        random_state: Any,
        n_jobs: int | None,
        progress: Progress,
        checkpoint: Any,
    ) -> tuple[Array, BoolArray]:
        """Averages (b, k) over rows of a design in samples of entities, and which fits (b,) converged."""
        model, parts = self.model, self.model._parts
        outside = self.outside(estimate, design, rows)
        cells, at = outside.cells, rows[outside.entity_known & outside.time_known]
        observed = np.ones(estimate.y.shape, dtype=bool) if estimate.observed is None else estimate.observed
        weights = np.ones(estimate.y.shape) if model._cell_weights is None else model._cell_weights
        panel = PanelData(estimate.y, estimate.x, observed, parts.unit, parts.period, weights)
        d, m = parts.unit.shape[2], parts.period.shape[2]
        x = design.exog[at][:, model._kept]
        known, period = cells.time_basis[:, :d], cells.unit_basis[:, :m]
        data = OutsideData(cells.entity, cells.time, design.endog[at], x, known, period, averages)
        effects = np.zeros((m, estimate.shape[1]))
        if parts.time_effects:
            effects[parts.period_names.index("1")] = estimate.time_effect
        factors = np.ascontiguousarray(estimate.factors.T)
        start = Solution(SlopeMap(estimate.groups, estimate.slots), estimate.theta, factors, effects)
        seeds = spawn_seeds(check_repeatable(random_state, checkpoint), n_draws)
        place = checkpoint_of(
            checkpoint,
            "bootstrap of a counterfactual",
            random_state,
            data=(panel, data),
            fit=(estimate.groups, six_digits(estimate.theta), factors.shape),
        )
        found = run_tasks(
            resampled_averages,
            [(seed, panel, data, start) for seed in seeds],
            n_jobs=n_jobs,
            progress=progress,
            description="bootstrap of entities",
            checkpoint=place,
        )
        return np.array([values for values, _ in found]), np.array([done for _, done in found])

    def refitted(self, design: PanelDesign, treatment: Any, arguments: dict[str, Any]) -> Any:
        """Results of the same model on the rows of another design."""
        model = copy.copy(self.model)
        model._estimate, model._treatment, model._whole = None, treatment, design
        model._take_again()
        return model.fit(**arguments)
