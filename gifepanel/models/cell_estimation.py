"""Least squares with factors on the observed cells of a model: its data for the solvers, and the estimate of a fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.inference.cell_estimate import CellEstimate
from gifepanel.models.read_data import CellFactorData
from gifepanel.projections.tangent import TangentSpace
from gifepanel.solvers.arrays import Array
from gifepanel.solvers.cell_descent import CellFit, descend_cells, free_rows, gauged, state_without_factors
from gifepanel.solvers.cells import Cells, cells_of
from gifepanel.solvers.interactive import SlopeMap

__all__ = [
    "additive_space",
    "cell_estimate",
    "cells_of_model",
    "estimate_at_slopes",
    "observed_cells",
    "signs",
    "slope_scale",
    "tangent_space",
]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
_TOL = 1e-12


def observed_cells(model: CellFactorData) -> BoolArray:
    """Cells (N, T) that are observed."""
    return model.design.index.mask


def cells_of_model(model: CellFactorData, *, standardize: bool = False) -> Cells:
    """The data of a model for the solvers on cells."""
    return cells_of(
        model._y,
        model._x,
        observed_cells(model),
        known=model._parts.unit,
        period=model._parts.period,
        weights=model._cell_weights,
        standardize=standardize,
    )


def additive_space(cells: Cells) -> TangentSpace:
    """The span of known columns and period columns."""
    return TangentSpace(cells.data, state_without_factors(cells), cells.series, cells.free)


def tangent_space(cells: Cells, fit: CellFit) -> TangentSpace:
    """The span of everything that was estimated besides slopes, at a fit."""
    gauge = gauged(cells, fit.factors, fit.effects)[2]
    return TangentSpace(cells.data, fit.state, gauge, free_rows(cells, len(fit.factors)))


def cell_estimate(model: CellFactorData, cells: Cells, slopes: SlopeMap, fit: CellFit, scale: Array) -> CellEstimate:
    """A fit in the units of the data.

    Factors are principal components of what they and their loadings fit, as in a complete panel: F'F/T = I, loadings
    orthogonal, by decreasing length, their means in the time effects, the mean of these in the entity effects.
    """
    n, t = cells.shape
    r = len(fit.factors)
    parts = model._parts
    factors, loadings = fit.factors, fit.loadings
    known, effects = fit.state.coef[:, : parts.unit.shape[2]].copy(), fit.effects.copy()
    entity_effect, time_effect = np.zeros(n), np.zeros(t)
    if parts.time_effects:
        time_effect = effects[parts.period_names.index("1")]
        middle = loadings.mean(axis=0)
        time_effect = time_effect + middle @ factors
        loadings = loadings - middle
    if parts.entity_effects:
        entity_effect = known[:, parts.unit_names.index("1")] + time_effect.mean()
        time_effect = time_effect - time_effect.mean()
    if r:
        rotation = np.linalg.svd(loadings, full_matrices=False)[2]
        factors, loadings = rotation @ factors, loadings @ rotation.T
        sign = signs(loadings)
        factors, loadings = factors * sign[:, None], loadings * sign
    others = [j for j, name in enumerate(parts.unit_names) if name != "1"]
    other = np.einsum("ntj,nj->nt", parts.unit[:, :, others], known[:, others])
    others = [j for j, name in enumerate(parts.period_names) if name != "1"]
    other += np.einsum("ntj,jt->nt", parts.period[:, :, others], effects[others])
    return CellEstimate(
        model._y,
        model._x,
        slopes.groups,
        slopes.slots,
        fit.theta / scale,
        np.ascontiguousarray(factors.T),
        loadings,
        time_effect,
        entity_effect,
        cells.to_cube(fit.state.e / cells.data.root),
        parts.entity_effects,
        parts.time_effects,
        observed_cells(model),
        cells.to_cube(cells.data.root),
        tangent_space(cells, fit),
        additive_space(cells),
        other,
        {name: known[:, j] for j, name in enumerate(parts.unit_names) if name != "1"},
        {name: effects[j] for j, name in enumerate(parts.period_names) if name != "1"},
    )


def signs(loadings: Array) -> Array:
    """A factor's sign is free: the loadings' sum is positive, or that of their cubes where time effects make it 0."""
    total = loadings.sum(axis=0)
    level = np.abs(total) > 1e-8 * np.abs(loadings).sum(axis=0)
    return np.where(np.where(level, total, (loadings**3).sum(axis=0)) < 0, -1.0, 1.0)


def slope_scale(scale: Array, slopes: SlopeMap) -> Array:
    """The standardisation of every free parameter: theta of the data is theta of the solver over it."""
    out = np.empty(slopes.size)
    out[slopes.slots] = scale
    return out


def estimate_at_slopes(model: CellFactorData, estimate: CellEstimate, params: Array) -> CellEstimate:
    """The estimate with factors, loadings, effects and residuals at the slopes `params` (q,)."""
    cells = cells_of_model(model)
    slopes = SlopeMap(estimate.groups, estimate.slots)
    beta = slopes.unit_slopes(params)
    linear = np.einsum("kn,nk->n", cells.data.x, beta[cells.entity])
    without = cells.without_slopes(cells.data.y - linear)
    none = SlopeMap(slopes.groups, np.empty((len(slopes.slots), 0), dtype=np.int64))
    factors = np.ascontiguousarray(estimate.factors.T)
    effects = np.zeros((cells.data.period.shape[0], cells.shape[1]))
    names = model._parts.period_names
    if "1" in names:
        effects[names.index("1")] = estimate.time_effect
    fit = descend_cells(without, none, np.empty(0), factors, effects, tol=_TOL)
    found = CellFit(params, fit.factors, fit.effects, fit.state, fit.ssr, fit.converged, fit.n_iter, fit.gradient)
    return cell_estimate(model, cells, slopes, found, np.ones(params.size))
