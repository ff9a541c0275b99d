"""Slope homogeneity at the factors and effects of a fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.homogeneity import ando_bai, pesaran_yamagata, unidentified_slopes
from gifepanel.inference.testresult import TestResult
from gifepanel.solvers.arrays import prepare, residuals
from gifepanel.solvers.cell_interactive import fit_cells_multistart
from gifepanel.solvers.cells import cells_of, core
from gifepanel.solvers.heterogeneous import heterogeneous_slopes
from gifepanel.solvers.interactive import SlopeMap

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
        than two entities identify their slopes; with weights, trends and other known parts.
    """
    if model.time_effects:
        raise SpecificationError(
            "The model absorbs time effects.",
            "The test knows factors and entity effects; a time effect is a factor with loadings of one.",
            f"n_factors={n_factors + 1}, and no time effect in the formula",
        )
    _refuse_weights_and_trends(model)
    observed = model._observed
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
        return _with_holes(model, n_factors, effects, x, np.flatnonzero(~constant))
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


def _refuse_weights_and_trends(model: Any) -> None:
    """Slopes of each entity are estimated beside factors and entity effects alone, all cells alike."""
    if model._cell_weights is not None:
        raise SpecificationError("The model has weights.", "The test takes all cells alike.", "weights=None")
    if not model._parts.only_additive:
        raise SpecificationError(
            f"The model absorbs {', '.join(model.design.absorbed)}.",
            "The test knows factors and entity effects.",
            f"y ~ x | {model.design.index.entity_name}",
        )


def _with_holes(model: Any, n_factors: int, effects: bool, x: Array, positions: Array) -> TestResult:
    """The test of the entities that have periods enough, in a panel with holes."""
    observed, p = model._observed, x.shape[2]
    needed = p + 2 if not n_factors else p + n_factors + effects + 1
    seen = core(observed, needed, n_factors)
    long = np.asarray(seen.any(axis=1))
    if long.sum() < 2:
        raise SpecificationError(
            f"{int((~long).sum())} of {len(long)} entities have too few periods for {p} slopes of their own.",
            f"They need more than {needed}, in two entities at least.",
            "Drop regressors.",
        )
    seen = seen[long]
    columns = np.where(seen[:, :, None], x[long], 0.0)
    within = columns
    if effects or not n_factors:
        means = columns.sum(axis=1, keepdims=True) / seen.sum(axis=1)[:, None, None]
        within = np.where(seen[:, :, None], columns - means, 0.0)
    kept, note = _identified(model, columns, False, positions, within, model.design.index.entities[long])
    rows, seen = np.flatnonzero(long)[kept], seen[kept]
    if not long.all():
        short = int((~long).sum())
        words = "1 entity was" if short == 1 else f"{short} entities were"
        note = " ".join([*[note] * bool(note), f"{words} left out with {needed} periods or fewer."])
    times = seen.any(axis=0)
    seen, y, x = seen[:, times], model._y[rows][:, times], x[rows][:, times]
    y, x = np.where(seen, y, np.nan), np.where(seen[:, :, None], x, np.nan)
    test = _under_factors(y, x, n_factors, effects) if n_factors else pesaran_yamagata(y, x)
    return replace(test, note=note)


def _under_factors(y: Array, x: Array, n_factors: int, effects: bool) -> TestResult:
    """Slopes of each entity beside factors, by the descent on cells: coefficients of entities are concentrated out."""
    observed, (n, t, p) = ~np.isnan(y), x.shape
    scale = np.sqrt(np.nanmean(x * x, axis=(0, 1)))
    known = np.nan_to_num(x / scale)
    if effects:
        known = np.concatenate([observed[:, :, None].astype(np.float64), known], axis=2)
    cells = cells_of(np.nan_to_num(y), np.empty((n, t, 0)), observed, known=known)
    none = SlopeMap(np.zeros(n, dtype=np.int64), np.empty((1, 0), dtype=np.int64))
    fit = fit_cells_multistart(cells, none, n_factors, 2, np.random.default_rng(0), tol=_TOL).fit
    own = fit.state.coef[:, int(effects) : int(effects) + p] / scale
    factors = np.column_stack([fit.factors.T, np.ones(t)]) if effects else fit.factors.T
    resid = np.where(observed, cells.to_cube(fit.state.e), np.nan)
    return ando_bai(x, own, resid, factors, fit.loadings)


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
