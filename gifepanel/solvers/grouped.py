"""Grouped interactive fixed effects (Su & Ju 2018), from start to refit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic

import numpy as np

from gifepanel.blocks import UNITS, Node, block_sums
from gifepanel.parallel import each, one_thread
from gifepanel.shares import collected, sums_of
from gifepanel.short_repr import ShortRepr
from gifepanel.solvers.approach import rounded
from gifepanel.solvers.arrays import Array, PanelArrays, UnitQuadratics
from gifepanel.solvers.canonical import Canonical, canonical
from gifepanel.solvers.classify import Classification, Fit, nearest_centre, refine
from gifepanel.solvers.heterogeneous import Centres, HeterogeneousFit, heterogeneous_slopes
from gifepanel.solvers.interactive import InteractiveFit, LocalMinimum, SlopeMap
from gifepanel.solvers.multistart import interactive_starts
from gifepanel.solvers.panel_sample import fit_on_sample_first, sample_of_panel
from gifepanel.solvers.penalized import (
    GroupedOptions,
    GroupedPart,
    PenalizedFit,
    canonical_options,
    grouped_part,
    penalized_back,
    penalized_stage,
    standardized,
    starting_centres,
)
from gifepanel.solvers.regrouped import RegroupedPanel
from gifepanel.solvers.search import Start, assigned, descended, search_groupings
from gifepanel.solvers.shared_panel import SharedPanel, here, on_workers

__all__ = [
    "GroupedFit",
    "GroupedOptions",
    "counterparts",
    "distinct_minima",
    "fit_grouped",
    "initial_theta",
    "labels_like",
    "may_reassign",
    "merged_minima",
    "relabelled",
    "shared_units",
]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_AUDIT_TOL = 1e-5
_AUDIT_ROUNDS = 3
_SAME, _BETTER = 1e-7, 1e-5
_SEARCHED = 50_000  # cells of the sample on which groupings of a large panel are searched
# sums of squares under factors are differences: they are known to this share of the outcome's
_CANCELLED = 1e-14


@dataclass(frozen=True, eq=False, repr=False)
class GroupedFit(ShortRepr, Generic[Fit]):
    """A fitted grouped model, groups in lexicographic order of their slopes.

    Attributes
    ----------
    groups : ndarray of int64, shape (N,)
        0..K-1.
    classification : Classification
    penalized : PenalizedFit
    unit_params : ndarray, shape (N, p)
        Unpenalised unit slopes at the starting factors.
    scale : ndarray, shape (p,)
        Slopes here are `scale` times the slopes of the data.
    singular_units : ndarray of int64
        Units whose own regression is singular; they start at the pooled slopes.
    ssr_heterogeneous : float
        V(R) times NT.
    restarts_agreed, n_restarts : int
        K-means restarts that ended at the partition kept, out of all.
    minima : tuple of LocalMinimum
        Distinct post-classification minima over the starts, best first.
    """

    groups: IntArray
    classification: Classification[Fit]
    penalized: PenalizedFit
    unit_params: Array
    scale: Array
    singular_units: IntArray
    ssr_heterogeneous: float
    restarts_agreed: int
    n_restarts: int
    minima: tuple[LocalMinimum, ...] = field(default=())


PanelFit = GroupedFit[InteractiveFit]


def fit_grouped(
    data: PanelArrays,
    n_groups: int,
    n_factors: int,
    options: GroupedOptions | None = None,
    *,
    given_up: bool = False,
) -> PanelFit:
    """Start, sweep, descend, classify, refit.

    Parameters
    ----------
    data : PanelArrays
    n_groups : int
        K.
    n_factors : int
        R.
    options : GroupedOptions, optional
    given_up : bool
        Whether the data are not used again: of a large panel they are overwritten.
    """
    options = options or GroupedOptions()
    with one_thread():
        form = canonical(data, rescale=options.standardize, given_up=given_up)
        form = replace(form, data=on_workers(form.data, n_factors))
        del data
        fit = _fit(form.data, n_groups, n_factors, canonical_options(options, form, n_groups))
    return relabelled(_back(fit, form, n_groups, options), n_groups)


def _fit(data: PanelArrays, n_groups: int, n_factors: int, options: GroupedOptions) -> PanelFit:
    start = heterogeneous_slopes(data, n_factors, common=options.common)
    if options.standardize:
        data, start = standardized(data, start)
    part = grouped_part(data, start, options.common)
    partitions = starting_centres(part, n_groups, options)
    several = [(data, part, n_groups, n_factors, options, start, centres) for centres in partitions[: options.n_starts]]
    fits = [_from_centres(*one) for one in several] if isinstance(data, SharedPanel) else each(_from_centres, several)
    best = min(fits, key=lambda fit: fit.classification.fit.ssr)
    best = replace(best, minima=distinct_minima(fits))
    if options.search and options.start_is_kmeans and may_reassign(n_groups, options):
        best = _searched(data, n_groups, n_factors, options, start, partitions, best)
    best = _audited(data, n_groups, n_factors, options, best)
    moved = int((best.groups != nearest_centre(best.penalized.distances)).sum())
    return replace(best, classification=replace(best.classification, moved=moved))


def may_reassign(n_groups: int, options: GroupedOptions) -> bool:
    """Whether least squares may move units to other groups."""
    return options.classify == "refined" and n_groups > 1


def _refined(
    data: PanelArrays, n_groups: int, n_factors: int, options: GroupedOptions, groups: IntArray, theta: Array
) -> Classification[InteractiveFit]:
    reassign = may_reassign(n_groups, options)
    return refine(data, n_factors, groups, n_groups, theta, common=options.common, reassign=reassign)


def _searched(
    data: PanelArrays,
    n_groups: int,
    n_factors: int,
    options: GroupedOptions,
    start: HeterogeneousFit,
    partitions: list[Centres],
    fit: PanelFit,
) -> PanelFit:
    """The fit, or where the search finds a better grouping, least squares from there.

    The penalised estimates stay those from K-means: they are where the search begins. A large panel is searched on a
    sample of its entities; what else was met there is not among the minima.
    """
    done, slots = fit.classification, fit.classification.slopes.slots
    sample = sample_of_panel(data, done.slopes, n_factors, _SEARCHED)
    units = np.arange(data.shape[0]) if sample is None else sample.units
    starts = [(done.groups, done.fit.components), *((c.groups, start.components) for c in partitions)]
    length = np.sqrt(data.shape[1])
    searched = [Start(groups[units], comp.factors / length, comp.time_effect) for groups, comp in starts]
    rng, problem = np.random.default_rng(options.seed), RegroupedPanel(here(data) if sample is None else sample.data)
    found = search_groupings(problem, slots, searched, rng, common=options.common, patience=options.n_starts)
    best = found[0]
    if sample is None:
        better = best.ssr < done.fit.ssr * (1.0 - _SAME) - _CANCELLED * float(data.yy.sum())
    else:
        better = best.ssr < descended(problem, slots, searched[0], done.fit.theta) * (1.0 - _BETTER)
    minima = tuple(replace(m, starts=(), n_groupings=max(1, m.n_groupings)) for m in fit.minima[1:])
    first = fit.minima[:1]
    if better:
        groups = best.groups if sample is None else assigned(RegroupedPanel(data), slots, best)
        label = labels_like(groups, nearest_centre(fit.penalized.distances), n_groups)
        theta = np.empty_like(best.theta)
        theta[slots[label]] = rounded(best.theta)[slots]
        direct = _refined(data, n_groups, n_factors, options, label[groups], theta)
        if direct.fit.ssr < done.fit.ssr:
            fit = replace(fit, groups=direct.groups, classification=direct)
            first = distinct_minima([fit], "search")
    met = found if sample is None else ()
    tried = tuple(LocalMinimum(g.ssr, g.theta, (), g.reached) for g in met if g.ssr > first[0].ssr * (1.0 - _SAME))
    return replace(fit, minima=merged_minima(merged_minima(first, minima), tried))


def labels_like(groups: IntArray, other: IntArray, n_groups: int) -> IntArray:
    """The label in `other` of every group, by the most units in common."""
    return counterparts(shared_units(groups, other, (n_groups, n_groups)))


def shared_units(groups: IntArray, other: IntArray, shape: tuple[int, int]) -> IntArray:
    """How many units every pair of groups of two groupings has in common."""
    shared = np.zeros(shape, dtype=np.int64)
    np.add.at(shared, (groups, other), 1)
    return shared


def counterparts(shared: IntArray) -> IntArray:
    """The column of every row: one to one where there are columns enough, to the largest share otherwise."""
    from scipy.optimize import linear_sum_assignment  # twenty megabytes of modules come with it

    if shared.shape[1] < shared.shape[0]:
        return np.asarray(shared.argmax(axis=1), dtype=np.int64)
    return np.asarray(linear_sum_assignment(shared, maximize=True)[1], dtype=np.int64)


def _back(fit: PanelFit, form: Canonical, n_groups: int, options: GroupedOptions) -> PanelFit:
    """A fit of the canonical panel in the order and units of the data."""
    done = fit.classification
    slopes = form.map_back(done.slopes, sorted(options.common))
    bring = form.theta_back(done.slopes, slopes)
    squared = form.size**2
    classification = replace(
        done,
        groups=slopes.groups,
        fit=form.fit_back(done.fit, bring),
        slopes=slopes,
        ssr=form.units_back(done.ssr) * squared,
    )
    return replace(
        fit,
        groups=slopes.groups,
        classification=classification,
        penalized=penalized_back(fit.penalized, form, n_groups, options.metric),
        unit_params=form.units_back(form.slopes_back(fit.unit_params)),
        scale=form.columns_back(fit.scale),
        singular_units=np.sort(form.units[fit.singular_units]),
        ssr_heterogeneous=fit.ssr_heterogeneous * squared,
        minima=form.minima_back(fit.minima, bring),
    )


def _from_centres(
    data: PanelArrays,
    part: GroupedPart,
    n_groups: int,
    n_factors: int,
    options: GroupedOptions,
    start: HeterogeneousFit,
    centres: Centres,
) -> PanelFit:
    penalized, components = penalized_stage(part.data, n_factors, options, part.start, centres)
    penalized = replace(
        penalized, unit_params=part.with_common(penalized.unit_params), centers=part.with_common(penalized.centers)
    )
    groups = nearest_centre(penalized.distances)
    theta = initial_theta(data.quadratics(components), groups, n_groups, data.shape[2], options.common)
    done = _refined(data, n_groups, n_factors, options, groups, theta)
    return GroupedFit(
        done.groups,
        done,
        penalized,
        collected(start.beta),
        data.scale,
        np.flatnonzero(collected(start.singular)),
        start.ssr,
        centres.agreed,
        centres.n_restarts,
    )


def _audited(data: PanelArrays, n_groups: int, n_factors: int, options: GroupedOptions, fit: PanelFit) -> PanelFit:
    """Descend from other starts, groups given; a lower minimum is taken, and the groups refined from there."""
    if n_factors == 0 or options.n_audit == 0:
        return fit
    best, minima = fit, fit.minima
    for _ in range(_AUDIT_ROUNDS):
        done = best.classification
        rng = np.random.default_rng(options.seed if not isinstance(options.seed, np.random.Generator) else 0)
        sample = sample_of_panel(data, done.slopes, n_factors)
        where, own = (data, done.slopes), fit.unit_params
        if sample is not None:
            where, own = (sample.data, sample.slopes), fit.unit_params[sample.units]
        starts = interactive_starts(*where, n_factors, options.n_audit, rng, unit_slopes=own)
        known = {"tol": _AUDIT_TOL, "known": done.fit}
        other = fit_on_sample_first(data, done.slopes, n_factors, starts, sample, **known)  # type: ignore[arg-type]
        minima = merged_minima(minima, other.minima)
        if not other.ssr < done.fit.ssr * (1.0 - _SAME):
            break
        done = _refined(data, n_groups, n_factors, options, done.groups, other.theta)
        best = replace(best, groups=done.groups, classification=done)
        minima = merged_minima(minima, (LocalMinimum(done.fit.ssr, done.fit.theta, ("refined again",)),))
    return replace(best, minima=minima)


def initial_theta(q: UnitQuadratics, groups: IntArray, n_groups: int, p: int, common: Sequence[int]) -> Array:
    """Least squares by group at the penalised factors; a common slope starts at its mean over groups."""
    theta = np.empty(len(common) + n_groups * (p - len(common)))
    free = [j for j in range(p) if j not in set(common)]
    shared = np.zeros(len(common))
    sums = sums_of(_by_group, (q, groups.astype(np.uint16)), n_groups)
    for k in range(n_groups):
        slopes = np.linalg.lstsq(sums[k, :, :p], sums[k, :, p], rcond=1e-12)[0]
        shared += slopes[list(common)] * (groups == k).mean()
        theta[len(common) + k * len(free) + np.arange(len(free))] = slopes[free]
    theta[: len(common)] = shared
    return theta


def _by_group(first: int, q: UnitQuadratics, groups: IntArray, n_groups: int) -> list[Node]:
    """Sums of curvatures by group, right-hand sides in the last column (K, p, p + 1)."""

    def part(rows: slice) -> Array:
        own, a, c = groups[rows], q.a[rows], q.c[rows]
        found = [(a[own == k].sum(axis=0), c[own == k].sum(axis=0)) for k in range(n_groups)]
        return np.stack([np.column_stack(both) for both in found])

    return block_sums(part, len(groups), UNITS, first)


def distinct_minima(fits: Sequence[GroupedFit[Any]], name: str = "partition") -> tuple[LocalMinimum, ...]:
    found: tuple[LocalMinimum, ...] = ()
    for number, fit in enumerate(fits):
        done = fit.classification.fit
        found = merged_minima(found, (LocalMinimum(done.ssr, done.theta, (f"{name} {number + 1}",)),))
    return found


def merged_minima(known: tuple[LocalMinimum, ...], new: tuple[LocalMinimum, ...]) -> tuple[LocalMinimum, ...]:
    """Both lists, equal sums of squares put together, best first."""
    out = list(known)
    for minimum in new:
        same = next((j for j, m in enumerate(out) if abs(m.ssr - minimum.ssr) <= _SAME * m.ssr), None)
        if same is None:
            out.append(minimum)
        else:
            both = out[same].n_groupings + minimum.n_groupings
            out[same] = replace(out[same], starts=(*out[same].starts, *minimum.starts), n_groupings=both)
    return tuple(sorted(out, key=lambda minimum: minimum.ssr))


def relabelled(fit: GroupedFit[Fit], n_groups: int) -> GroupedFit[Fit]:
    """One permutation, by the slopes in lexicographic order, applied to everything that carries a group."""
    done = fit.classification
    alpha = done.fit.theta[done.slopes.slots]
    order = np.lexsort(alpha.T[::-1])
    rank = np.empty(n_groups, dtype=np.int64)
    rank[order] = np.arange(n_groups)
    groups = rank[done.groups]
    slopes = SlopeMap(groups, done.slopes.slots)
    theta = np.empty_like(done.fit.theta)
    theta[slopes.slots] = alpha[order]
    minima = tuple(replace(m, theta=_in_order(m.theta, done.slopes.slots)) for m in fit.minima)
    ordered = replace(done, groups=groups, slopes=slopes, fit=replace(done.fit, theta=theta), ssr=done.ssr[:, order])
    penalized = replace(
        fit.penalized, centers=fit.penalized.centers[order], distances=fit.penalized.distances[:, order]
    )
    return replace(fit, groups=groups, classification=ordered, penalized=penalized, minima=minima)


def _in_order(theta: Array, slots: IntArray) -> Array:
    """The same slopes, groups in lexicographic order."""
    alpha = theta[slots]
    out = np.empty_like(theta)
    out[slots] = alpha[np.lexsort(alpha.T[::-1])]
    return out
