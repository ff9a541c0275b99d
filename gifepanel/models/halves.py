"""The half-panel jackknife: each half of the periods must identify every slope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.halfpanel import half_panels
from gifepanel.inference.space import factor_space, project
from gifepanel.models.checks import combination_of
from gifepanel.models.estimation import slope_scale
from gifepanel.models.read_data import FactorData
from gifepanel.parallel import each
from gifepanel.projections.triangle import spanned_by
from gifepanel.solvers.arrays import Components, prepare
from gifepanel.solvers.interactive import SlopeMap, fit_interactive

__all__ = ["by_slope", "check_columns", "check_halves_identify", "estimate_on_halves"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_RELATIVE = 1e-7


def check_halves_identify(model: FactorData) -> None:
    """Every regressor must vary in each half once additive effects are out; needs no estimate.

    Raises
    ------
    SpecificationError
        With the regressor and the half.
    """
    for first, second in half_panels(model.n_times):
        for periods in (first, second):
            cube = model._x[:, periods]
            space = factor_space(*cube.shape[:2], entity_effects=model.entity_effects, time_effects=model.time_effects)
            check_columns(model, cube, project(cube, space), model._names, periods, False)


def estimate_on_halves(
    model: FactorData, slopes: SlopeMap, theta: Array, names: Sequence[str]
) -> Callable[[slice], Array]:
    """A function that refits, groups given, on a slice of the periods, and refuses slopes that it does not identify.

    Parameters
    ----------
    model : FactorData
    slopes : SlopeMap
    theta : ndarray, shape (q,)
        Where to start.
    names : sequence of str
        Of the slopes (q,).
    """

    effects = (model.entity_effects, model.time_effects)
    halves = [periods for split in half_panels(model.n_times) for periods in split]
    tasks = [(model._y[:, half], model._x[:, half], effects, slopes, model.n_factors, theta) for half in halves]
    found = {(half.start, half.stop): fit for half, fit in zip(halves, each(_fit_half, tasks), strict=True)}

    def estimate(periods: slice) -> Array:
        own, components = found[periods.start, periods.stop]
        z = by_slope(model._x[:, periods], slopes)
        check_columns(model, z, _projected(model, z, components), names, periods, model.n_factors > 0)
        return own

    return estimate


def _fit_half(
    y: Array, x: Array, effects: tuple[bool, bool], slopes: SlopeMap, n_factors: int, theta: Array
) -> tuple[Array, Components]:
    """Slopes and components of some periods, groups given."""
    data = prepare(y, x, entity_effects=effects[0], time_effects=effects[1], standardize=True)
    scale = slope_scale(data.scale, slopes)
    fit = fit_interactive(data, slopes, n_factors, theta * scale)
    return np.asarray(fit.theta / scale), fit.components


def by_slope(x: Array, slopes: SlopeMap) -> Array:
    """Regressors (N, T, q): a column for each slope, zero outside of its group."""
    z = np.zeros((*x.shape[:2], slopes.size))
    for j in range(x.shape[2]):
        column = slopes.slots[:, j][slopes.groups]
        z[np.arange(len(x)), :, column] += x[:, :, j]
    return z


def _projected(model: FactorData, z: Array, components: Components) -> Array:
    space = factor_space(
        *z.shape[:2],
        factors=components.factors if model.n_factors else None,
        loadings=components.loadings if model.n_factors else None,
        entity_effects=model.entity_effects,
        time_effects=model.time_effects,
    )
    return project(z, space)


def check_columns(
    model: FactorData, before: Array, after: Array, names: Sequence[str], periods: slice, factors: bool
) -> None:
    """Columns (N, T, q) before and after projection: none may vanish, nor be spanned by the others."""
    q = before.shape[2]
    left, given = (np.linalg.norm(cube.reshape(-1, q), axis=0) for cube in (after, before))
    gone = np.flatnonzero(left <= _RELATIVE * given)
    if gone.size:
        taken = ["the absorbed effects"] if model.entity_effects or model.time_effects else []
        taken += ["the factors of that half"] if factors else []
        within = f" beyond {' and '.join(taken)}" if taken else ""
        what = f"{', '.join(names[j] for j in gone.tolist())} {'does' if gone.size == 1 else 'do'} not vary{within}"
    else:
        spanned = spanned_by(after.reshape(-1, q) / left, _RELATIVE)
        if not spanned:
            return
        what = "; ".join(f"{names[j]} is {combination_of([names[k] for k in by])}" for j, by in spanned.items())
    times = model.design.index.times[periods]
    which = "first" if periods.start == 0 else "second"
    raise SpecificationError(
        f'bias_correction="jackknife" fits each half of the periods, and in the {which}, {times[0]} to {times[-1]}, '
        f"{what}.",
        "Each half must identify every slope.",
        "bias_correction=True",
    )
