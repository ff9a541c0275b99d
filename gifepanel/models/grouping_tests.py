"""What tests of groupings ask of a fitted model with factors: fits of both groupings, and draws from the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.models.cell_estimation import cells_of_model
from gifepanel.models.checkpoints import check_repeatable, checkpoint_of, six_digits
from gifepanel.models.checks import check_counts_fit, check_unit_periods
from gifepanel.parallel import Progress, run_tasks, spawn_seeds
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.canonical import canonical, fit_one_group
from gifepanel.solvers.cell_interactive import fit_cells_multistart
from gifepanel.solvers.cell_regrouped import RegroupedCells
from gifepanel.solvers.cells import canonical_units
from gifepanel.solvers.grouped import GroupedOptions, fit_grouped
from gifepanel.solvers.grouped_cells import fit_grouped_cells
from gifepanel.solvers.grouping_gain import (
    Contrast,
    Errors,
    Gain,
    GainDraws,
    Grouped,
    bootstrapped_gain,
    gain,
)
from gifepanel.solvers.interactive import SlopeMap
from gifepanel.solvers.regrouped import Regrouped, RegroupedPanel
from gifepanel.solvers.search import Start

__all__ = ["GroupingTests"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_STARTS = 10


@dataclass(frozen=True, eq=False)
class _Panel:
    """The data of a model in an order that they give themselves.

    Attributes
    ----------
    data : Regrouped
    units : ndarray of int64, shape (N,)
        Where the entities stood.
    size : float
        The outcome over the one in `data`.
    raw : PanelArrays or Cells
    """

    data: Regrouped
    units: IntArray
    size: float
    raw: Any


class GroupingTests:
    """A fitted model, as tests of groupings see it.

    Parameters
    ----------
    model : FactorModel
        That of the results.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def check(self, alternative: Grouped, estimate: FactorEstimate) -> float:
        """Residual degrees of freedom of the alternative.

        Raises
        ------
        SpecificationError
            If the panel is too small for it.
        """
        model, p = self.model, len(self.model._names)
        check_counts_fit(model.design, alternative.n_groups, model.n_factors, model.entity_effects, model.time_effects)
        if not model._on_cells:
            check_unit_periods(model.design, p, model.n_factors, model.entity_effects)
        df = float(estimate.df.residual + estimate.theta.size - alternative.size(p))
        if df <= 0:
            raise SpecificationError(
                f"{alternative.n_groups} groups leave no degrees of freedom for the residuals.",
                "There must be fewer slopes, factors and effects than observations.",
                "against=2",
            )
        return df

    def draws(
        self,
        estimate: FactorEstimate,
        null: Grouped,
        alternative: Grouped,
        n_draws: int,
        *,
        errors: Errors,
        random_state: Any,
        n_jobs: int | None,
        progress: Progress,
        checkpoint: Any,
    ) -> GainDraws:
        """The statistic on the data, and on outcomes drawn from the null model."""
        df = self.check(alternative, estimate)
        p = len(self.model._names)
        seeds = spawn_seeds(check_repeatable(random_state, checkpoint), n_draws)
        panel = self._panel()
        columns = self._columns(panel)
        own = Grouped(self.model.n_groups, tuple(sorted(self.model._common)))
        of_fit = self._start(panel, estimate)
        start = of_fit if null == own else self._fitted(panel, null, columns)
        before, after = (Grouped(one.n_groups, columns(one.common)) for one in (null, alternative))
        contrast = Contrast(before.slots(p), after.slots(p), before.common, after.common, df)
        known = of_fit if alternative == own and own.n_groups > 1 else None
        found = gain(panel.data, contrast, start, np.random.default_rng(0), known)
        drawn_from = Start(found.null.groups, found.null.factors, found.null.effect)
        resid = _residuals(panel.data, contrast, found)
        tasks = [(seed, panel.data, contrast, drawn_from, resid, errors) for seed in seeds]
        place = checkpoint_of(
            checkpoint,
            "bootstrap test of groups",
            random_state,
            data=panel.raw,
            hypotheses=(null, alternative, self.model.n_factors),
            fit=(drawn_from.groups, six_digits([found.null.ssr])),
            errors=errors,
        )
        out = run_tasks(
            bootstrapped_gain,
            tasks,
            n_jobs=n_jobs,
            progress=progress,
            description="bootstrap of the null model",
            checkpoint=place,
        )
        squared = panel.size**2
        return GainDraws(
            found.statistic,
            found.null.ssr * squared,
            found.alternative.ssr * squared,
            found.smallest,
            np.array([value for value, _ in out]),
            np.array([smallest for _, smallest in out], dtype=np.int64),
        )

    def _panel(self) -> _Panel:
        model = self.model
        if model._on_cells:
            cells = cells_of_model(model, standardize=True)
            units = canonical_units(cells)
            cells = cells.take(units)
            return _Panel(RegroupedCells(cells), units, 1.0, cells)
        effects = {"entity_effects": model.entity_effects, "time_effects": model.time_effects}
        form = canonical(prepare(model._y, model._x, **effects, standardize=True))
        return _Panel(RegroupedPanel(form.data), form.units, form.outcome, form)

    def _columns(self, panel: _Panel) -> Any:
        """The function from positions of the model's regressors to those of the panel's."""
        return (lambda given: given) if self.model._on_cells else panel.raw.columns_of

    def _start(self, panel: _Panel, estimate: FactorEstimate) -> Start:
        """Groups and factors of the fit."""
        groups = estimate.groups[panel.units]
        factors = np.linalg.qr(estimate.factors)[0]
        if not self.model._on_cells:
            return Start(groups, factors, estimate.time_effect / panel.size)
        return Start(groups, factors, estimate.period_rows(self.model._parts.period_names))

    def _fitted(self, panel: _Panel, null: Grouped, columns: Any) -> Start:
        """Groups and factors of the null model, where it is not the fit."""
        r, t, n = self.model.n_factors, panel.data.shape[1], panel.data.shape[0]
        options = GroupedOptions(common=columns(null.common))
        if not self.model._on_cells:
            data = panel.raw.data
            if null.n_groups == 1:
                _, fit = fit_one_group(data, r, _STARTS, np.random.default_rng(0))
                groups = np.zeros(n, dtype=np.int64)
            else:
                done = fit_grouped(data, null.n_groups, r, options)
                fit, groups = done.classification.fit, done.groups
            return Start(groups, fit.components.factors / np.sqrt(t), fit.components.time_effect)
        if null.n_groups == 1:
            p = panel.data.shape[2]
            one = SlopeMap(np.zeros(n, dtype=np.int64), np.arange(p)[None])
            best = fit_cells_multistart(panel.raw, one, r, _STARTS, np.random.default_rng(0)).fit
            return Start(one.groups, best.factors.T / np.sqrt(t), best.effects)
        grouped = fit_grouped_cells(panel.raw, null.n_groups, r, options)[0]
        best = grouped.classification.fit
        return Start(grouped.groups, best.factors.T / np.sqrt(t), best.effects)


def _residuals(data: Regrouped, contrast: Contrast, found: Gain) -> Array:
    """Of the null model (n,), entity by entity."""
    null = found.null
    return data.residuals(null.theta[contrast.null][null.groups], null.factors, null.effect)
