"""Between solvers and inference: a fit back in the units of the data, and refits at other slopes."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from gifepanel.blocks import each_block
from gifepanel.inference.cell_estimate import CellEstimate
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.models.cell_estimation import cell_estimate, estimate_at_slopes, signs, slope_scale
from gifepanel.models.checks import warn_not_converged
from gifepanel.models.read_data import FactorData
from gifepanel.solvers.blocked import prepare_panel
from gifepanel.solvers.interactive import InteractiveFit, SlopeMap, fit_interactive

__all__ = [
    "estimate_at",
    "estimate_at_soft_groups",
    "estimate_from_fit",
    "estimate_of_groups",
    "polished",
    "slope_scale",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
_CLOSE = 1e-3  # share of a regressor's variation that others don't span
_STEPS = 500


def estimate_from_fit(model: FactorData, fit: InteractiveFit, slopes: SlopeMap, scale: Array) -> FactorEstimate:
    """Back to the units of the data, with signs of the factors fixed and entity effects recovered."""
    theta = fit.theta / scale
    factors, loadings, resid = fit.components.factors, fit.components.loadings, fit.resid
    if not isinstance(resid, np.ndarray):
        return _estimate_in_blocks(model, fit, slopes, theta)
    sign = signs(loadings)
    factors, loadings = factors * sign, loadings * sign
    entity_effect = np.zeros(model.n_entities)
    if model.entity_effects:
        beta = theta[slopes.slots][slopes.groups]
        entity_effect = model._y.mean(axis=1) - np.einsum("np,np->n", model._x.mean(axis=1), beta)
    return FactorEstimate(
        model._y,
        model._x,
        slopes.groups,
        slopes.slots,
        theta,
        factors,
        loadings,
        fit.components.time_effect,
        entity_effect,
        resid,
        model.entity_effects,
        model.time_effects,
    )


def _estimate_in_blocks(model: FactorData, fit: InteractiveFit, slopes: SlopeMap, theta: Array) -> FactorEstimate:
    """The estimate of a panel in blocks: what entities have of their own in one pass over the data as they are."""
    y, x, factors = model._y, model._x, fit.components.factors
    n, t = y.shape
    alpha, effect = theta[slopes.slots], fit.components.time_effect
    resid, loadings, means = np.empty((n, t)), np.empty((n, factors.shape[1])), np.zeros(n)

    def fill(rows: slice) -> None:
        own = np.subtract(y[rows], np.matmul(x[rows], alpha[slopes.groups[rows]][:, :, None])[:, :, 0], out=resid[rows])
        if model.entity_effects:
            means[rows] = own.mean(axis=1)
            own -= means[rows, None]
        own -= effect
        loadings[rows] = own @ factors / t
        own -= loadings[rows] @ factors.T

    each_block(fill, n, t)
    sign = signs(loadings)
    loadings *= sign
    return FactorEstimate(
        y,
        x,
        slopes.groups,
        slopes.slots,
        theta,
        factors * sign,
        loadings,
        effect,
        means,
        resid,
        model.entity_effects,
        model.time_effects,
    )


def estimate_of_groups(model: FactorData, found: Any) -> FactorEstimate:
    """What inference asks of a grouped fit by the solvers; on cells, with the cells on the scale of its slopes."""
    if isinstance(found, tuple):
        grouped, cells = found
        done = grouped.classification
        scale = slope_scale(grouped.scale, done.slopes)
        return cell_estimate(model, cells, done.slopes, done.fit, scale)  # type: ignore[arg-type]
    done = found.classification
    return estimate_from_fit(model, done.fit, done.slopes, slope_scale(found.scale, done.slopes))


def estimate_at(model: FactorData, estimate: FactorEstimate, params: Array) -> FactorEstimate:
    """The estimate with factors, loadings, effects and residuals taken at the slopes `params` (q,)."""
    if params is estimate.theta:
        return estimate
    if isinstance(estimate, CellEstimate):
        return estimate_at_slopes(model, estimate, params)  # type: ignore[arg-type]
    effects = {"entity_effects": model.entity_effects, "time_effects": model.time_effects}
    data = prepare_panel(model._y, model._x, **effects)
    slopes = SlopeMap(estimate.groups, estimate.slots)
    fit = fit_interactive(data, slopes, estimate.n_factors, params, max_iter=0)
    return estimate_from_fit(model, fit, slopes, np.ones(params.size))


def estimate_at_soft_groups(
    model: FactorData, estimate: FactorEstimate, params: Array, posterior: Array
) -> FactorEstimate:
    """The estimate where slopes of an entity are means over groups, `posterior` (N, K) their weights.

    Factors, loadings, effects and residuals are those of what these slopes leave of the outcome; entities are in their
    most probable groups.
    """
    alpha = params[estimate.slots]
    shifted = copy(model)
    shifted._y = model._y - np.einsum("ntp,np->nt", model._x, posterior @ alpha - alpha[estimate.groups])
    moved = estimate_at(shifted, estimate, params)
    return replace(moved, y=model._y, groups=posterior.argmax(axis=1).astype(np.int64), posterior=posterior)


def polished(model: FactorData, estimate: FactorEstimate) -> FactorEstimate:
    """The minimum near an estimate whose regressors nearly agree, which the descent, by squares, sees as one.

    Steps are those of least squares on regressors projected off the current factors, by their triangle.
    """
    close = float(estimate.triangle.left.min(initial=1.0))
    if close >= _CLOSE:
        return estimate
    tol = max(1e-11, 1e-15 / close)
    for _ in range(_STEPS):
        q = estimate.triangle.basis(estimate.z_projected.reshape(-1, estimate.theta.size))
        turned = q.T @ estimate.wresid.ravel()
        if np.linalg.norm(turned) <= tol * np.sqrt(estimate.ssr):
            return estimate
        estimate = estimate_at(model, estimate, estimate.theta + estimate.triangle.root @ turned)
    warn_not_converged("Least squares on regressors that nearly agree", "Leave one of them out.")
    return estimate
