"""Slope homogeneity at the factors and effects of a fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.homogeneity import ando_bai, pesaran_yamagata, unidentified_slopes
from gifepanel.inference.testresult import TestResult
from gifepanel.solvers.arrays import prepare, residuals
from gifepanel.solvers.heterogeneous import heterogeneous_slopes

__all__ = ["homogeneity_of"]

Array = np.ndarray[Any, np.dtype[Any]]

_TOL, _MAX_ITER = 1e-10, 2_000


def homogeneity_of(model: Any, n_factors: int) -> TestResult:
    """Do all entities have the same slopes? Slopes of each entity are estimated anew under `n_factors` factors.

    Entities within which a regressor does not vary have no slopes of their own: they are left out, with a note. In a
    panel with holes those with too few periods are left out too.

    Parameters
    ----------
    model : GroupedIFE or InteractiveFE
    n_factors : int

    Returns
    -------
    TestResult
        Of :func:`~gifepanel.inference.homogeneity.pesaran_yamagata` without factors, of
        :func:`~gifepanel.inference.homogeneity.ando_bai` with them.

    Raises
    ------
    SpecificationError
        If no regressor varies over time, there are too few periods for slopes of each entity, or time effects, or fewer
        than two entities identify their slopes; with factors, if the panel has holes.
    """
    if model.time_effects:
        raise SpecificationError(
            "The model absorbs time effects.",
            "The test knows factors and entity effects; a time effect is a factor with loadings of one.",
            f"n_factors={n_factors + 1}, and no time effect in the formula",
        )
    observed = getattr(model, "_observed", None)
    if observed is not None and n_factors:
        raise SpecificationError(
            f"The panel has holes, and the model {n_factors} factors.",
            "Slopes of each entity under factors are estimated for complete panels only.",
            "res = model.select(n_groups=range(1, 4)), whose criterion weighs one group against more",
        )
    y, x = model._y, model._x
    varies = np.ptp(x, axis=1) if observed is None else _range_of(x, observed)
    constant = varies.max(axis=0) == 0
    if constant.all():
        raise SpecificationError(
            "No regressor varies within an entity.",
            "Slopes of each entity need regressors that vary over time.",
            "Add one to the formula.",
        )
    x = x[:, :, ~constant]
    t, p = x.shape[1:]
    effects = bool(model.entity_effects or constant.any())
    if t <= p + n_factors + effects + 1:
        raise SpecificationError(
            f"{t} periods for {p} slopes in each entity and {n_factors} factors.",
            f"More than {p + n_factors + effects + 1} are needed.",
            "Drop regressors.",
        )
    if observed is not None:
        return _with_holes(model, y, x, observed, np.flatnonzero(~constant))
    kept, note = _identified(model, x, effects or not n_factors, np.flatnonzero(~constant))
    y, x = y[kept], x[kept]
    if not n_factors:
        return replace(pesaran_yamagata(y, x), note=note)
    data = prepare(y, x, entity_effects=effects, standardize=True)
    fit = heterogeneous_slopes(data, n_factors, tol=_TOL, max_iter=_MAX_ITER)
    factors, loadings = fit.components.factors, fit.components.loadings
    resid = residuals(data, fit.beta) - loadings @ factors.T
    if effects:
        factors = np.column_stack([factors, np.ones(t)])
    test = ando_bai(np.ascontiguousarray(data.xt.transpose(0, 2, 1)), fit.beta, resid, factors, loadings)
    return replace(test, note=note)


def _range_of(x: Array, observed: Array) -> Array:
    """Largest less smallest value of regressors (N, T, p) over the observed periods of an entity, (N, p)."""
    seen = observed[:, :, None]
    return np.asarray(np.where(seen, x, -np.inf).max(axis=1) - np.where(seen, x, np.inf).min(axis=1))


def _with_holes(model: Any, y: Array, x: Array, observed: Array, positions: Array) -> TestResult:
    """The test without factors, of the entities that have periods enough."""
    p = x.shape[2]
    long = observed.sum(axis=1) > p + 2
    if long.sum() < 2:
        raise SpecificationError(
            f"{int((~long).sum())} of {len(long)} entities have {p + 2} periods or fewer for {p} slopes.",
            "Slopes of each entity need more, in two entities at least.",
            "Drop regressors.",
        )
    centred = (x - x.sum(axis=1, keepdims=True) / observed.sum(axis=1)[:, None, None]) * observed[:, :, None]
    kept, note = _identified(model, x[long], False, positions, centred[long], model.design.index.entities[long])
    rows = np.flatnonzero(long)[kept]
    if not long.all():
        short = f"{int((~long).sum())} entities with {p + 2} periods or fewer were left out."
        note = f"{note} {short}" if note else short
    seen = observed[rows]
    test = pesaran_yamagata(np.where(seen, y[rows], np.nan), np.where(seen[:, :, None], x[rows], np.nan))
    return replace(test, note=note)


def _identified(
    model: Any, x: Array, demean: bool, positions: Array, within: Array | None = None, entities: Any = None
) -> tuple[Array, str]:
    """Entities that identify their own slopes, and a note on the others; `positions` are those of the regressors.

    `within` are the regressors less what is taken out of each entity, where that is not their mean over all periods.
    """
    if within is None:
        within = x - x.mean(axis=1, keepdims=True) if demean else x
    lost = unidentified_slopes(x, within)
    gone = np.asarray(lost.any(axis=1))
    if not gone.any():
        return np.flatnonzero(~gone), ""
    names = [model._names[j] for j in positions]
    which = " or ".join(name for name, some in zip(names, np.asarray(lost.any(axis=0)), strict=True) if some)
    left_out = [str(label) for label in (model.design.index.entities if entities is None else entities)[gone]]
    listed = ", ".join(left_out[:5]) + (f" and {len(left_out) - 5} more" if len(left_out) > 5 else "")
    if (~gone).sum() < 2:
        raise SpecificationError(
            f"{which} does not vary by itself within {len(left_out)} of {len(gone)} entities.",
            "Slopes of each entity need regressors that vary over time within it.",
            "Leave it out of the formula.",
        )
    count = "1 entity was" if len(left_out) == 1 else f"{len(left_out)} entities were"
    return np.flatnonzero(~gone), f"{count} left out, within which {which} does not vary by itself: {listed}."
