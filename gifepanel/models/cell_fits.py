"""Fits on observed cells: entities without a minimum are set aside, and the model that is left is fitted."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gifepanel.exceptions import SpecificationWarning, caller_level
from gifepanel.inference.cell_estimate import CellEstimate
from gifepanel.models.cell_estimation import cell_estimate, cells_of_model, observed_cells, slope_scale
from gifepanel.models.checks import warn_not_converged
from gifepanel.models.pruning import warn_of_pieces
from gifepanel.panel.text import first_of
from gifepanel.solvers.cell_descent import CellFit
from gifepanel.solvers.cell_interactive import CellMinimum, fit_cells_multistart, runaway_units
from gifepanel.solvers.cell_starts import CellStart
from gifepanel.solvers.cells import Cells
from gifepanel.solvers.grouped_cells import GroupedCellFit, fit_grouped_cells
from gifepanel.solvers.interactive import SlopeMap
from gifepanel.solvers.penalized import GroupedOptions

if TYPE_CHECKING:
    from gifepanel.models.base import FactorModel

__all__ = ["CellOutcome", "fit_grouped_on_cells", "fit_one_group_on_cells", "without_runaways"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Found = TypeVar("Found")
Last = tuple[CellFit, Array] | None  # a fit under other weights, and the scale of its regressors
_SET_ASIDE = 5
_WEIGHINGS, _SETTLED, _DRAWN = 200, 1e-7, 4.0


class CellOutcome:
    """What results ask of a fit: whether and how it converged, and the minima found."""

    def __init__(self, found: CellMinimum) -> None:
        self.converged, self.n_iter = found.fit.converged, found.fit.n_iter
        self.minima, self.lower = found.minima, found.lower


def fit_one_group_on_cells(
    model: FactorModel, n_starts: int, rng: np.random.Generator, *, tol: float, max_iter: int
) -> tuple[FactorModel, CellEstimate, Any, Array]:
    """Least squares with one slope vector.

    Returns
    -------
    model : FactorModel
        Without the entities that were set aside.
    estimate : CellEstimate
    fit : CellOutcome
    scale : ndarray, shape (q,)
        Of the slopes of `fit`.
    """
    limits: dict[str, Any] = {"tol": max(tol, 1e-9), "max_iter": min(max_iter, 100)}

    def once(model: FactorModel, last: Last) -> tuple[Cells, CellFit, tuple[SlopeMap, CellMinimum]]:
        cells = cells_of_model(model, standardize=True)
        slopes = SlopeMap(np.zeros(cells.shape[0], dtype=np.int64), np.arange(cells.n_regressors)[None])
        own = () if last is None else (_start_at(*last, cells.scale),)
        found = fit_cells_multistart(cells, slopes, model.n_factors, 0 if own else n_starts, rng, first=own, **limits)
        return cells, found.fit, (slopes, found)

    model, cells, (slopes, found) = _until_settled(model, once)
    estimate = cell_estimate(model, cells, slopes, found.fit, cells.scale)
    return model, estimate, CellOutcome(found), cells.scale


def _start_at(fit: CellFit, before: Array, scale: Array) -> CellStart:
    """Where a fit under other weights ended, regressors on another scale then."""
    return CellStart("last weights", fit.theta / before * scale, fit.factors, fit.effects, 0)


def _until_settled(
    model: FactorModel, once: Callable[[FactorModel, Last], tuple[Cells, CellFit, Found]]
) -> tuple[FactorModel, Cells, Found]:
    """Fit again without entities that have no minimum, and with other weights where these are estimated.

    Parameters
    ----------
    model : FactorModel
    once : callable
        Of the model and the fit under other weights, where there was one: the cells, the fit, and what else is wanted.
    """
    last: Last = None
    model = _weighing(model)
    warn_of_pieces(model)
    for _ in range(_SET_ASIDE + _WEIGHINGS * model._weights_by_entity):
        cells, fit, found = once(model, last)
        smaller = without_runaways(model, runaway_units(fit))
        again = smaller or weighed_anew(model, cells, fit)
        if again is None:
            return model, cells, found
        last = None if smaller else (fit, cells.scale)
        model = again
    cells, _, found = once(model, last)
    if model._weights_by_entity:
        warn_not_converged("The weights by the variances of entities", "weights=None, or a column of weights.")
    return model, cells, found


def fit_grouped_on_cells(
    model: FactorModel, options: GroupedOptions
) -> tuple[FactorModel, CellEstimate, GroupedCellFit, Array]:
    """The grouped model; returns as :func:`fit_one_group_on_cells`."""

    def once(model: FactorModel, last: Last) -> tuple[Cells, CellFit, tuple[GroupedCellFit, Cells]]:
        cells = cells_of_model(model, standardize=options.standardize)
        grouped, scaled = fit_grouped_cells(cells, model.n_groups, model.n_factors, options)
        return cells, grouped.classification.fit, (grouped, scaled)

    model, _, (grouped, scaled) = _until_settled(model, once)
    done = grouped.classification
    scale = slope_scale(grouped.scale, done.slopes)
    return model, cell_estimate(model, scaled, done.slopes, done.fit, scale), grouped, scale


def _weighing(model: FactorModel) -> FactorModel:
    """A copy whose weights may change, where they are estimated; the model otherwise."""
    if not model._weights_by_entity:
        return model
    own = copy.copy(model)
    own._cell_weights = observed_cells(own).astype(float)
    return own


def weighed_anew(model: FactorModel, cells: Cells, fit: CellFit) -> FactorModel | None:
    """The model with the inverse residual variances of its entities as weights; None once they no longer change.

    A variance is the sum of squares of an entity over its periods less its own coefficients, drawn to the pooled one
    with the weight of four periods: otherwise a factor could follow one entity, whose variance would go to zero (the
    likelihood has no maximum; Heywood 1931). Weights have mean one over the cells.
    """
    if not model._weights_by_entity:
        return None
    resid = fit.state.e / cells.data.root
    periods = np.diff(cells.data.ptr)
    own = np.maximum(periods - fit.state.coef.shape[1], 1)
    ssr = np.bincount(cells.entity, resid**2, minlength=len(periods))
    variance = (ssr + _DRAWN * ssr.sum() / own.sum()) / (own + _DRAWN)
    weights = 1.0 / variance
    weights /= float(weights @ periods) / cells.size
    assert model._cell_weights is not None
    observed = observed_cells(model)
    new = np.where(observed, weights[:, None], 0.0)
    change = float(np.abs(new - model._cell_weights).max() / weights.max())
    if change <= _SETTLED:
        return None
    again = copy.copy(model)
    again._cell_weights = new
    return again


def without_runaways(model: FactorModel, runaway: np.ndarray[Any, np.dtype[np.bool_]]) -> FactorModel | None:
    """The model without entities whose loadings grow without bound, said in a warning; None where there are none."""
    if not runaway.any() or runaway.mean() > 0.2:
        return None
    index = model.design.index
    names = tuple(index.entities[runaway])
    counts = index.counts[runaway]
    warnings.warn(
        SpecificationWarning(
            f"{len(names)} {'entity was' if len(names) == 1 else 'entities were'} set aside: {first_of(names)} "
            f"({first_of(counts)} periods).",
            "Least squares has no minimum with them: their loadings grow without bound, since so few periods are "
            f"fitted ever better by {model.n_factors} factors.",
            f"n_factors={max(0, model.n_factors - 1)}",
        ),
        stacklevel=caller_level(),
    )
    smaller = copy.copy(model)
    smaller._take_again((*model._pruned.set_aside, *names))
    return smaller
