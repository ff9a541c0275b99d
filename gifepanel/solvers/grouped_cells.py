"""Grouped interactive fixed effects on observed cells, from start to refit.

As on a complete panel (:mod:`gifepanel.solvers.grouped`), but for the factors, which are least squares on what is
observed, and for the start: slopes of entities are drawn to their mean, since those with few periods are anything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gifepanel.kernels.passes import unit_ssr
from gifepanel.parallel import each
from gifepanel.solvers.arrays import Array
from gifepanel.solvers.cell_descent import CellFit, descend_cells, polished
from gifepanel.solvers.cell_interactive import fit_cells_multistart
from gifepanel.solvers.cell_panel import CellComponents, CellPanel, shrunken_slopes
from gifepanel.solvers.cell_regrouped import RegroupedCells
from gifepanel.solvers.cell_sample import sample_of
from gifepanel.solvers.cell_starts import CellStart
from gifepanel.solvers.cells import Cells, canonical_units
from gifepanel.solvers.classify import Classification, fill_empty, nearest_centre
from gifepanel.solvers.grouped import (
    GroupedFit,
    distinct_minima,
    initial_theta,
    labels_like,
    may_reassign,
    merged_minima,
    relabelled,
)
from gifepanel.solvers.heterogeneous import Centres, HeterogeneousFit
from gifepanel.solvers.interactive import LocalMinimum, SlopeMap
from gifepanel.solvers.penalized import (
    GroupedOptions,
    GroupedPart,
    grouped_part,
    penalized_stage,
    standardized,
    starting_centres,
)
from gifepanel.solvers.search import Start, assigned, descended, search_groupings

__all__ = ["GroupedCellFit", "fit_grouped_cells"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_LOOSE, _TOL = 1e-5, 1e-9
_ROUNDS = 100
_FIRST_TOL = 1e-4
_AUDIT_ROUNDS = 3
_SAME, _BETTER = 1e-7, 1e-5
_SEARCHED = 50_000  # cells of the sample on which groupings of a large panel are searched


GroupedCellFit = GroupedFit[CellFit]


def fit_grouped_cells(
    cells: Cells, n_groups: int, n_factors: int, options: GroupedOptions | None = None
) -> tuple[GroupedCellFit, Cells]:
    """Start, sweep, descend, classify, refit; and the cells on the scale of the slopes.

    Parameters
    ----------
    cells : Cells
    n_groups : int
        K.
    n_factors : int
        R.
    options : GroupedOptions, optional
    """
    options = options or GroupedOptions()
    units = canonical_units(cells)
    fit, ordered = _fit(cells.take(units), n_groups, n_factors, options)
    back = np.argsort(units)
    return relabelled(_in_order_of_data(fit, ordered, back), n_groups), ordered.take(back)


def _fit(cells: Cells, n_groups: int, n_factors: int, options: GroupedOptions) -> tuple[GroupedCellFit, Cells]:
    panel, start = _start(cells, n_factors, options)
    part = grouped_part(panel, start, options.common)
    partitions = starting_centres(part, n_groups, options)
    several = [(panel, part, n_groups, n_factors, options, start, c) for c in partitions[: options.n_starts]]
    fits = each(_from_centres, several)
    best = min(fits, key=lambda fit: fit.classification.fit.ssr)
    best = replace(best, minima=distinct_minima(fits))
    if options.search and options.start_is_kmeans and may_reassign(n_groups, options):
        best = _searched(panel.cells, n_groups, options, start, partitions, best)
    best = _audited(panel.cells, n_groups, n_factors, options, best)
    moved = int((best.groups != nearest_centre(best.penalized.distances)).sum())
    return replace(best, classification=replace(best.classification, moved=moved)), panel.cells


def _in_order_of_data(fit: GroupedCellFit, cells: Cells, back: IntArray) -> GroupedCellFit:
    """A fit of entities in canonical order, in the order of the data."""
    done, penalized = fit.classification, fit.penalized
    slopes = SlopeMap(done.groups[back], done.slopes.slots)
    state = cells.state_in_order(done.fit.state, back)
    done = replace(done, groups=slopes.groups, slopes=slopes, ssr=done.ssr[back], fit=replace(done.fit, state=state))
    penalized = replace(
        penalized,
        unit_params=penalized.unit_params[back],
        fused=penalized.fused[back],
        distances=penalized.distances[back],
    )
    singular = np.zeros(len(back), dtype=bool)
    singular[fit.singular_units] = True
    return replace(
        fit,
        groups=slopes.groups,
        classification=done,
        penalized=penalized,
        unit_params=fit.unit_params[back],
        singular_units=np.flatnonzero(singular[back]),
    )


def _searched(
    cells: Cells,
    n_groups: int,
    options: GroupedOptions,
    start: HeterogeneousFit,
    partitions: list[Centres],
    fit: GroupedCellFit,
) -> GroupedCellFit:
    """The fit, or where the search finds a better grouping, least squares from there; as on a complete panel.

    A large panel is searched on a sample of its entities; what else was met there is not among the minima.
    """
    done, first, length = fit.classification, start.components, np.sqrt(cells.shape[1])
    assert isinstance(first, CellComponents)
    sample = sample_of(cells, done.slopes, len(done.fit.factors), _SEARCHED)
    units = np.arange(cells.shape[0]) if sample is None else sample.units
    starts = [
        Start(done.groups[units], done.fit.factors.T / length, done.fit.effects),
        *(Start(c.groups[units], first.factors / length, first.effects) for c in partitions),
    ]
    rng, problem = np.random.default_rng(options.seed), RegroupedCells(cells if sample is None else sample.cells)
    slots = done.slopes.slots
    found = search_groupings(problem, slots, starts, rng, common=options.common, patience=options.n_starts)
    best = found[0]
    if sample is None:
        better = best.ssr < done.fit.ssr * (1.0 - _SAME)
    else:
        better = best.ssr < descended(problem, slots, starts[0], done.fit.theta) * (1.0 - _BETTER)
    minima = tuple(replace(m, starts=(), n_groupings=max(1, m.n_groupings)) for m in fit.minima[1:])
    top = fit.minima[:1]
    if better:
        groups = best.groups if sample is None else assigned(RegroupedCells(cells), slots, best)
        label = labels_like(groups, nearest_centre(fit.penalized.distances), n_groups)
        theta = np.empty_like(best.theta)
        theta[slots[label]] = best.theta[slots]
        rows = np.ascontiguousarray(best.factors.T) * length
        direct = _refined(cells, n_groups, options, label[groups], theta, rows, best.effect)
        if direct.fit.ssr < done.fit.ssr:
            fit = replace(fit, groups=direct.groups, classification=direct)
            top = distinct_minima([fit], "search")
    met = found if sample is None else ()
    tried = tuple(LocalMinimum(g.ssr, g.theta, (), g.reached) for g in met if g.ssr > top[0].ssr * (1.0 - _SAME))
    return replace(fit, minima=merged_minima(merged_minima(top, minima), tried))


def _start(cells: Cells, n_factors: int, options: GroupedOptions) -> tuple[CellPanel, HeterogeneousFit]:
    """Slopes of every entity, from those common to all; regressors standardised at the starting factors."""
    n, p = cells.shape[0], cells.n_regressors
    one = SlopeMap(np.zeros(n, dtype=np.int64), np.arange(p)[None])
    rng = np.random.default_rng(0)
    fit = fit_cells_multistart(cells, one, n_factors, 1, rng, tol=_FIRST_TOL, max_iter=30, polish=False).fit
    panel = CellPanel(cells)
    start = shrunken_slopes(panel, fit.theta, fit.factors, fit.effects, common=options.common)
    if not options.standardize:
        return panel, start
    return standardized(panel, start)


def _from_centres(
    panel: CellPanel,
    part: GroupedPart,
    n_groups: int,
    n_factors: int,
    options: GroupedOptions,
    start: HeterogeneousFit,
    centres: Centres,
) -> GroupedCellFit:
    penalized, components = penalized_stage(part.data, n_factors, options, part.start, centres)
    penalized = replace(
        penalized, unit_params=part.with_common(penalized.unit_params), centers=part.with_common(penalized.centers)
    )
    assert isinstance(components, CellComponents)
    beta = penalized.unit_params
    q = panel.quadratics(panel.at(beta, components.rows, components.effects, 0))
    groups = nearest_centre(penalized.distances)
    theta = initial_theta(q, groups, n_groups, panel.shape[2], options.common)
    done = _refined(panel.cells, n_groups, options, groups, theta, components.rows, components.effects)
    return GroupedFit(
        done.groups,
        done,
        penalized,
        start.beta,
        panel.cells.scale,
        np.flatnonzero(start.singular),
        start.ssr,
        centres.agreed,
        centres.n_restarts,
    )


def _refined(
    cells: Cells, n_groups: int, options: GroupedOptions, groups: IntArray, theta: Array, rows: Array, effects: Array
) -> Classification[CellFit]:
    """Joint least squares given groups, alternated with assignment by sum of squares: both lower it."""
    first, rounds = groups, 0
    reassign = may_reassign(n_groups, options)
    tol = _LOOSE if reassign else _TOL
    panel = CellPanel(cells)
    while True:
        slopes = SlopeMap.grouped(groups, n_groups, cells.n_regressors, options.common)
        fit = descend_cells(cells, slopes, theta, rows, effects, tol=tol)
        ssr = _unit_losses(panel, slopes, fit)
        new = fill_empty(ssr.argmin(axis=1).astype(np.int64), ssr)
        theta, rows, effects = fit.theta, fit.factors, fit.effects
        if reassign and rounds < _ROUNDS and not np.array_equal(new, groups):
            groups, rounds = new, rounds + 1
            continue
        if tol == _TOL or fit.gradient <= _TOL:
            settled = bool(np.array_equal(new, groups))
            return Classification(groups, fit, slopes, ssr, rounds, int((first != groups).sum()), settled)
        tol = _TOL


def _unit_losses(panel: CellPanel, slopes: SlopeMap, fit: CellFit) -> Array:
    """Every unit's sum of squares under every group's slopes (N, K), at the fitted factors."""
    beta = slopes.unit_slopes(fit.theta)
    t = panel.cells.shape[1]
    at = CellComponents(fit.factors.T, fit.loadings, np.zeros(t), fit.ssr, fit.factors, fit.effects, fit.state, beta)
    q = panel.quadratics(at)
    return unit_ssr(q.a, q.c, q.s, np.ascontiguousarray(fit.theta[slopes.slots]))


def _audited(
    cells: Cells, n_groups: int, n_factors: int, options: GroupedOptions, fit: GroupedCellFit
) -> GroupedCellFit:
    """Other starts of the least squares, groups given; where one is lower, the groups are refined again."""
    best, minima = fit, fit.minima
    for _ in range(_AUDIT_ROUNDS):
        done = best.classification
        rng = np.random.default_rng(options.seed if not isinstance(options.seed, np.random.Generator) else 0)
        own = CellStart("found", done.fit.theta, done.fit.factors, done.fit.effects, 0)
        other = fit_cells_multistart(
            cells, done.slopes, n_factors, options.n_audit, rng, tol=_LOOSE, first=(own,), polish=False
        )
        minima = merged_minima(minima, tuple(m for m in other.minima if "found" not in m.starts))
        if not other.fit.ssr < done.fit.ssr * (1.0 - _SAME):
            break
        lower = other.fit
        done = _refined(cells, n_groups, options, done.groups, lower.theta, lower.factors, lower.effects)
        best = replace(best, groups=done.groups, classification=done)
        minima = merged_minima(minima, (LocalMinimum(done.fit.ssr, done.fit.theta, ("refined again",)),))
    done = best.classification
    best = replace(best, classification=replace(done, fit=polished(cells, done.slopes, done.fit)))
    return replace(best, minima=minima)
