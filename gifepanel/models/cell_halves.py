"""The half-panel jackknife where cells are missing: halves of the calendar, of the entities that are in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.halfpanel import half_panel_jackknife, half_panels, jackknife_on_cells
from gifepanel.models.cell_estimation import additive_space, observed_cells, tangent_space
from gifepanel.models.checks import warn_not_converged
from gifepanel.models.estimation import slope_scale
from gifepanel.models.halves import by_slope, check_columns, check_halves_identify, estimate_on_halves
from gifepanel.models.read_data import CellFactorData
from gifepanel.parallel import each
from gifepanel.solvers.cell_descent import CellFit
from gifepanel.solvers.cell_sample import fit_cells
from gifepanel.solvers.cell_starts import CellStart, completed_factors, pooled_cells, residuals_at
from gifepanel.solvers.cells import Cells, cells_of, core
from gifepanel.solvers.interactive import SlopeMap

__all__ = ["check_halves_of", "halves_on_cells", "jackknifed"]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

_ROUNDS, _ALTERNATIONS = 5, 3


def halves_on_cells(model: CellFactorData) -> list[tuple[BoolArray, BoolArray]]:
    """The splits of the calendar into two halves, each as masks (N, T) of the cells that are used.

    An entity is in both halves or in none: one that is in a single half has the bias of its few periods once, not twice
    as the jackknife takes it to be. In each half entities and periods have more cells than coefficients.

    Raises
    ------
    SpecificationError
        If no entity is left.
    """
    observed, parts, r = observed_cells(model), model._parts, model.n_factors
    taken = r + len(parts.unit_names), r + len(parts.period_names)
    out = []
    for first, second in half_panels(observed.shape[1]):
        halves = [np.zeros_like(observed), np.zeros_like(observed)]
        for half, periods in zip(halves, (first, second), strict=True):
            half[:, periods] = observed[:, periods]
        while True:
            before = [half.sum() for half in halves]
            halves = [core(half, *taken) for half in halves]
            both = np.asarray(halves[0].any(axis=1) & halves[1].any(axis=1))
            halves = [half & both[:, None] for half in halves]
            if before == [half.sum() for half in halves]:
                break
        if not halves[0].any():
            raise SpecificationError(
                'bias_correction="jackknife" fits each half of the periods, and no entity is in both of them.',
                f"In each half it needs more than {taken[0]} periods, as many as it has coefficients of its own.",
                "bias_correction=True",
            )
        out.append((halves[0], halves[1]))
    return out


def check_halves_of(model: CellFactorData) -> None:
    """Every regressor must vary in each half once known parts are out; needs no estimate.

    Raises
    ------
    SpecificationError
        With the regressor and the half.
    """
    if not model._on_cells:
        check_halves_identify(model)
        return
    for split in halves_on_cells(model):
        for number, half in enumerate(split):
            cells = _cells(model, half)
            left = additive_space(cells).residual(cells.data.x)[0]
            check_columns(model, _flat(cells.data.x), _flat(left), model._names, _periods(half, number), False)


def jackknifed(model: CellFactorData, slopes: SlopeMap, theta: Array, names: Sequence[str]) -> Array:
    """Slopes (q,) less the bias that halves of the calendar show, groups given.

    Raises
    ------
    SpecificationError
        If a half does not identify a slope.
    """
    if not model._on_cells:
        return half_panel_jackknife(theta, model.n_times, estimate_on_halves(model, slopes, theta, names))
    observed = observed_cells(model)

    splits = halves_on_cells(model)
    masks = [mask for first, second in splits for mask in (first, second, first | second)]
    tasks = [(_cells(model, mask), mask, slopes, theta, model.n_factors) for mask in masks if (mask != observed).any()]
    fits = iter(each(_fit_half, tasks))

    def estimate(half: BoolArray, number: int | None) -> Array:
        if (half == observed).all():
            return theta
        cells, own, scale, fit = next(fits)
        if number is not None:
            z = _by_slope(cells, own)
            left = tangent_space(cells, fit).residual(z)[0]
            check_columns(model, _flat(z), _flat(left), names, _periods(half, number), model.n_factors > 0)
        if not fit.converged:
            warn_not_converged("Least squares on a half of the periods", "bias_correction=True")
        return np.asarray(fit.theta / scale)

    return jackknife_on_cells(theta, splits, estimate)


def _fit_half(
    cells: Cells, half: BoolArray, slopes: SlopeMap, theta: Array, n_factors: int
) -> tuple[Cells, SlopeMap, Array, CellFit]:
    """The fit of some cells, groups given, with what it is a fit of."""
    own = SlopeMap(slopes.groups[half.any(axis=1)], slopes.slots)
    scale = slope_scale(cells.scale, own)
    return cells, own, scale, _fit(cells, own, theta * scale, n_factors)


def _cells(model: CellFactorData, half: BoolArray) -> Cells:
    """The cells of a mask, on the entities and periods that it has."""
    where = np.ix_(half.any(axis=1), half.any(axis=0))
    weights = None if model._cell_weights is None else model._cell_weights[where]
    parts = model._parts
    return cells_of(
        model._y[where],
        model._x[where],
        half[where],
        known=parts.unit[where],
        period=parts.period[where],
        weights=weights,
        standardize=True,
    )


def _fit(cells: Cells, slopes: SlopeMap, theta: Array, n_factors: int) -> CellFit:
    """Descend from slopes that are given and the factors of what they leave."""
    effects = pooled_cells(cells, slopes).effects
    resid = residuals_at(cells, slopes, theta, effects)
    factors = completed_factors(cells, resid, n_factors, _ROUNDS)
    return fit_cells(cells, slopes, CellStart("whole panel", theta, factors, effects, _ALTERNATIONS), tol=1e-11)


def _by_slope(cells: Cells, slopes: SlopeMap) -> Array:
    """Regressors (q, n): a row for each slope, zero outside of its group."""
    return by_slope(cells.data.x.T[:, None, :], SlopeMap(slopes.groups[cells.entity], slopes.slots))[:, 0].T.copy()


def _flat(columns: Array) -> Array:
    """Columns (q, n) as a cube of one entity."""
    return columns.T[None]


def _periods(half: BoolArray, number: int) -> slice:
    """The periods of the first or the second half."""
    times = np.flatnonzero(half.any(axis=0))
    return slice(0 if number == 0 else int(times[0]), int(times[-1]) + 1)
