"""Grouped interactive fixed effects (Su & Ju 2018), from start to refit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from gifepanel.kernels.passes import cross_moments
from gifepanel.solvers.arrays import (
    Array,
    Components,
    PanelArrays,
    UnitQuadratics,
    principal_components,
    rescaled,
    residuals,
    unit_quadratics,
)
from gifepanel.solvers.canonical import Canonical, canonical
from gifepanel.solvers.classify import Classification, Metric, nearest_centre, refine, slope_distances
from gifepanel.solvers.descent import criterion, descend
from gifepanel.solvers.heterogeneous import Centres, HeterogeneousFit, heterogeneous_slopes, kmeans_centres
from gifepanel.solvers.interactive import LocalMinimum, SlopeMap, fit_interactive_multistart
from gifepanel.solvers.multistart import interactive_starts
from gifepanel.solvers.penalty import scale_free_kappa
from gifepanel.solvers.search import Start, search_groupings
from gifepanel.solvers.sweep import SweepResult, sweep

__all__ = ["GroupedFit", "GroupedOptions", "PenalizedFit", "fit_grouped", "fit_penalized"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_AUDIT_TOL = 1e-5
_AUDIT_ROUNDS = 3
_UNPOLISHED = 1e-4
_SAME = 1e-7
# sums of squares under factors are differences: they are known to this share of the outcome's
_CANCELLED = 1e-14


@dataclass(frozen=True)
class GroupedOptions:
    """How to fit.

    Attributes
    ----------
    kappa : float, optional
        Weight of the penalty; None takes the scale-free rule with `kappa_scale`.
    kappa_scale : float
    standardize : bool
        Measure distances between slopes on regressors whose root mean square, once the starting factors are taken
        out, is one: then they do not depend on units of measurement, nor on how much of a regressor is common.
    start : {"kmeans", "zero"} or ndarray, shape (K, p)
        Starting centres, in the units of the data.
    n_starts : int
        Distinct K-means partitions carried through; the smallest sum of squares after classification is kept. The
        search has so many times its usual patience.
    n_restarts : int
        Restarts of K-means.
    search : bool
        Search for groupings with a smaller sum of squares than the one that the penalised estimates lead to. Only for
        "refined" groups that start from K-means: everything else is an algorithm as published, or a start of one's own.
    n_audit : int
        Further starts of the least squares, groups given: pooled, zero, heterogeneous, random.
    seed : int or Generator
    polish : bool
        Finish the sweep with the exact descent on Q.
    classify : {"refined", "nearest"}
    metric : {"absolute", "relative", "mahalanobis"}
    common : sequence of int
        Regressors whose slope is the same in all groups. The penalised stage takes it from the start (unit slopes of
        the others, this one shared); the least squares after classification estimates it jointly.
    tol : float
    max_iter : int
    sweep_tol, max_sweeps : float, int
        Without the descent the sweep goes on to 1e-4 at least.
    """

    kappa: float | None = None
    kappa_scale: float = 1.0
    standardize: bool = True
    start: Literal["kmeans", "zero"] | Array = "kmeans"
    n_starts: int = 1
    n_restarts: int = 20
    search: bool = True
    n_audit: int = 4
    seed: Any = 0
    polish: bool = True
    classify: Literal["refined", "nearest"] = "refined"
    metric: Metric = "absolute"
    common: Sequence[int] = ()
    tol: float = 1e-7
    max_iter: int = 300
    sweep_tol: float = 1e-2
    max_sweeps: int = 20

    @property
    def start_is_kmeans(self) -> bool:
        """Whether starting centres are ours to choose."""
        return isinstance(self.start, str) and self.start == "kmeans"


@dataclass(frozen=True)
class PenalizedFit:
    """The penalised estimates before classification, in the units of the solver's regressors.

    Attributes
    ----------
    unit_params : ndarray, shape (N, p)
    centers : ndarray, shape (K, p)
    fused : ndarray of bool, shape (N,)
        Units that sit on a centre.
    criterion : float
        Q(unit_params, centers).
    kappa, kappa_scale : float
        `kappa_scale` is NaN where a raw kappa was given.
    path : tuple of float
        Q after the sweep and after every iteration of the descent.
    sweep_path : tuple of float
        Q after every sweep, at the slopes of its last step; the sweep is not a descent, so it may rise.
    fused_share : tuple of float
        By sweep.
    n_sweeps, n_iter : int
    converged : bool
    distances : ndarray, shape (N, K)
        In the metric of classification.
    """

    unit_params: Array
    centers: Array
    fused: np.ndarray[Any, np.dtype[np.bool_]]
    criterion: float
    kappa: float
    kappa_scale: float
    path: tuple[float, ...]
    sweep_path: tuple[float, ...]
    fused_share: tuple[float, ...]
    n_sweeps: int
    n_iter: int
    converged: bool
    distances: Array


@dataclass(frozen=True)
class GroupedFit:
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
    classification: Classification
    penalized: PenalizedFit
    unit_params: Array
    scale: Array
    singular_units: IntArray
    ssr_heterogeneous: float
    restarts_agreed: int
    n_restarts: int
    minima: tuple[LocalMinimum, ...] = field(default=())


def fit_grouped(data: PanelArrays, n_groups: int, n_factors: int, options: GroupedOptions | None = None) -> GroupedFit:
    """Start, sweep, descend, classify, refit.

    Parameters
    ----------
    data : PanelArrays
    n_groups : int
        K.
    n_factors : int
        R.
    options : GroupedOptions, optional
    """
    options = options or GroupedOptions()
    form = canonical(data, rescale=options.standardize)
    fit = _fit(form.data, n_groups, n_factors, _canonical_options(options, form, n_groups))
    return _relabel(_back(fit, form, n_groups, options), n_groups)


def _fit(data: PanelArrays, n_groups: int, n_factors: int, options: GroupedOptions) -> GroupedFit:
    start = heterogeneous_slopes(data, n_factors, common=options.common)
    if options.standardize:
        data, start = _standardized(data, start)
    part = _grouped_part(data, start, options.common)
    partitions = _starting_centres(part, n_groups, options)
    fits = [
        _from_centres(data, part, n_groups, n_factors, options, start, centres)
        for centres in partitions[: options.n_starts]
    ]
    best = min(fits, key=lambda fit: fit.classification.fit.ssr)
    best = replace(best, minima=_distinct(fits))
    if options.search and options.classify == "refined" and options.start_is_kmeans and n_groups > 1:
        best = _searched(data, part, n_groups, n_factors, options, start, partitions, best)
    return _audited(data, n_groups, n_factors, options, best)


def _searched(
    data: PanelArrays,
    part: _GroupedPart,
    n_groups: int,
    n_factors: int,
    options: GroupedOptions,
    start: HeterogeneousFit,
    partitions: list[Centres],
    fit: GroupedFit,
) -> GroupedFit:
    """The fit, or where the search finds a better grouping, all of it again from there."""
    done = fit.classification
    starts = [Start(done.groups, done.fit.components), *(Start(c.groups, start.components) for c in partitions)]
    rng = np.random.default_rng(options.seed)
    found = search_groupings(data, done.slopes.slots, starts, rng, common=options.common, patience=options.n_starts)
    best = found[0]
    rounding = _CANCELLED * float(data.yy.sum())
    minima = tuple(replace(m, starts=(), n_groupings=max(1, m.n_groupings)) for m in fit.minima[1:])
    first = fit.minima[:1]
    if best.ssr < done.fit.ssr * (1.0 - _SAME) - rounding:
        alpha = np.ascontiguousarray(best.theta[done.slopes.slots][:, part.free])
        centres = Centres(alpha, best.groups, best.ssr, 0, fit.n_restarts)
        # the sweep is no descent, and can lose a good start
        straight = replace(options, max_sweeps=0) if options.polish else options
        again = _from_centres(data, part, n_groups, n_factors, straight, start, centres)
        if not again.classification.fit.ssr <= best.ssr * (1.0 + _SAME):
            direct = refine(data, n_factors, best.groups, n_groups, best.theta, common=options.common)
            again = replace(again, groups=direct.groups, classification=direct)
        if again.classification.fit.ssr < done.fit.ssr:
            fit, first = again, _distinct([again], "search")
    tried = tuple(LocalMinimum(g.ssr, g.theta, (), g.reached) for g in found if g.ssr > first[0].ssr * (1.0 - _SAME))
    return replace(fit, minima=_merged(_merged(first, minima), tried))


def _canonical_options(options: GroupedOptions, form: Canonical, n_groups: int) -> GroupedOptions:
    """The same options for the canonical panel."""
    start, kappa = options.start, options.kappa
    if not isinstance(start, str):
        start = form.centres(np.asarray(start, dtype=float))
    if kappa is not None:
        kappa = kappa * form.size ** (n_groups - 2)
    return replace(options, start=start, kappa=kappa, common=form.columns_of(options.common))


def _back(fit: GroupedFit, form: Canonical, n_groups: int, options: GroupedOptions) -> GroupedFit:
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
        penalized=_penalized_back(fit.penalized, form, n_groups, options.metric),
        unit_params=form.units_back(form.slopes_back(fit.unit_params)),
        scale=form.columns_back(fit.scale),
        singular_units=np.sort(form.units[fit.singular_units]),
        ssr_heterogeneous=fit.ssr_heterogeneous * squared,
        minima=form.minima_back(fit.minima, bring),
    )


def _penalized_back(fit: PenalizedFit, form: Canonical, n_groups: int, metric: Metric) -> PenalizedFit:
    squared = form.size**2
    return replace(
        fit,
        unit_params=form.units_back(form.slopes_back(fit.unit_params)),
        centers=form.slopes_back(fit.centers),
        fused=form.units_back(fit.fused),
        criterion=fit.criterion * squared,
        kappa=fit.kappa * form.size ** (2 - n_groups),
        path=tuple(value * squared for value in fit.path),
        sweep_path=tuple(value * squared for value in fit.sweep_path),
        distances=form.units_back(fit.distances) * (1.0 if metric == "relative" else form.size),
    )


def fit_penalized(
    data: PanelArrays, n_groups: int, n_factors: int, options: GroupedOptions | None = None
) -> PenalizedFit:
    """Start, sweep and descent alone: the penalised slopes and centres of Su & Ju (2018, eq. 2.7), nothing after."""
    options = options or GroupedOptions()
    form = canonical(data, rescale=options.standardize)
    inner = _canonical_options(options, form, n_groups)
    data = form.data
    start = heterogeneous_slopes(data, n_factors, common=inner.common)
    if inner.standardize:
        data, start = _standardized(data, start)
    part = _grouped_part(data, start, inner.common)
    fit = _penalized(part.data, n_factors, inner, part.start, _starting_centres(part, n_groups, inner)[0])[0]
    fit = replace(fit, unit_params=part.with_common(fit.unit_params), centers=part.with_common(fit.centers))
    return _penalized_back(fit, form, n_groups, options.metric)


def _standardized(data: PanelArrays, start: HeterogeneousFit) -> tuple[PanelArrays, HeterogeneousFit]:
    """Both on regressors of root mean square one after the starting factors."""
    n, t, _ = data.shape
    rms = np.sqrt(np.maximum(np.einsum("npp->p", start.quadratics.a), 0.0) / (n * t))
    rms = np.where(rms > 0.0, rms, 1.0)
    data = rescaled(data, rms)
    q = start.quadratics
    q = UnitQuadratics(q.a / (rms[:, None] * rms), q.c / rms, q.s)
    return data, replace(start, beta=start.beta * rms, quadratics=q)


@dataclass(frozen=True)
class _GroupedPart:
    """The problem in the regressors whose slopes differ across groups, the common ones taken out at their start.

    Attributes
    ----------
    data : PanelArrays
    start : HeterogeneousFit
    free, common : ndarray of int64
        Columns.
    gamma : ndarray
        Slopes of the common columns.
    """

    data: PanelArrays
    start: HeterogeneousFit
    free: IntArray
    common: IntArray
    gamma: Array

    def with_common(self, slopes: Array) -> Array:
        """Slopes (m, p) of all regressors from those of the free ones."""
        if not self.common.size:
            return slopes
        out = np.empty((len(slopes), self.free.size + self.common.size))
        out[:, self.free] = slopes
        out[:, self.common] = self.gamma
        return out


def _grouped_part(data: PanelArrays, start: HeterogeneousFit, common: Sequence[int]) -> _GroupedPart:
    w = np.asarray(sorted(common), dtype=np.int64)
    x = np.setdiff1d(np.arange(data.shape[2]), w)
    if not w.size:
        return _GroupedPart(data, start, x, w, np.empty(0))
    gamma = start.beta[0, w]
    y = data.y - np.einsum("nwt,w->nt", data.xt[:, w], gamma)
    xt = np.ascontiguousarray(data.xt[:, x])
    xx, xy, yy = cross_moments(y, xt)
    part = replace(data, y=y, xt=xt, xx=xx, xy=xy, yy=yy, scale=data.scale[x])
    quadratics = unit_quadratics(part, start.components.factors, start.components.time_effect)
    return _GroupedPart(
        part, replace(start, beta=np.ascontiguousarray(start.beta[:, x]), quadratics=quadratics), x, w, gamma
    )


def _starting_centres(part: _GroupedPart, n_groups: int, options: GroupedOptions) -> list[Centres]:
    start = part.start
    p = start.beta.shape[1]
    if options.start_is_kmeans:
        rng = np.random.default_rng(options.seed)
        return kmeans_centres(start, n_groups, rng, n_restarts=max(options.n_restarts, 2 * options.n_starts))
    if isinstance(options.start, str):
        alpha = np.zeros((n_groups, p))
    else:
        alpha = np.asarray(options.start, dtype=float)[:, part.free] * part.data.scale
    return [Centres(alpha.copy(), np.zeros(len(start.beta), dtype=np.int64), np.nan, 1, 1)]


def _from_centres(
    data: PanelArrays,
    part: _GroupedPart,
    n_groups: int,
    n_factors: int,
    options: GroupedOptions,
    start: HeterogeneousFit,
    centres: Centres,
) -> GroupedFit:
    penalized, components = _penalized(part.data, n_factors, options, part.start, centres)
    penalized = replace(
        penalized, unit_params=part.with_common(penalized.unit_params), centers=part.with_common(penalized.centers)
    )
    q = unit_quadratics(data, components.factors, components.time_effect)
    groups = nearest_centre(penalized.distances)
    theta = _initial_theta(q.a, q.c, groups, n_groups, data.shape[2], options.common)
    done = refine(
        data,
        n_factors,
        groups,
        n_groups,
        theta,
        common=options.common,
        reassign=options.classify == "refined" and n_groups > 1,
    )
    return GroupedFit(
        done.groups,
        done,
        penalized,
        start.beta,
        data.scale,
        np.flatnonzero(start.singular),
        start.ssr,
        centres.agreed,
        centres.n_restarts,
    )


def _audited(data: PanelArrays, n_groups: int, n_factors: int, options: GroupedOptions, fit: GroupedFit) -> GroupedFit:
    """Descend from other starts, groups given; a lower minimum is taken, and the groups refined from there."""
    if n_factors == 0 or options.n_audit == 0:
        return fit
    best, minima = fit, fit.minima
    for _ in range(_AUDIT_ROUNDS):
        done = best.classification
        rng = np.random.default_rng(options.seed if not isinstance(options.seed, np.random.Generator) else 0)
        starts = interactive_starts(data, done.slopes, n_factors, options.n_audit, rng, unit_slopes=fit.unit_params)
        other = fit_interactive_multistart(data, done.slopes, n_factors, starts, tol=_AUDIT_TOL, known=done.fit)
        minima = _merged(minima, other.minima)
        if not other.ssr < done.fit.ssr * (1.0 - _SAME):
            break
        done = refine(
            data,
            n_factors,
            done.groups,
            n_groups,
            other.theta,
            common=options.common,
            reassign=options.classify == "refined" and n_groups > 1,
        )
        best = replace(best, groups=done.groups, classification=done)
        minima = _merged(minima, (LocalMinimum(done.fit.ssr, done.fit.theta, ("refined again",)),))
    return replace(best, minima=minima)


def _penalized(
    data: PanelArrays, n_factors: int, options: GroupedOptions, start: HeterogeneousFit, centres: Centres
) -> tuple[PenalizedFit, Components]:
    n, t, _ = data.shape
    kappa, scale = options.kappa, float("nan")
    if kappa is None:
        scale = options.kappa_scale
        kappa = scale_free_kappa(scale, float(np.sqrt(start.ssr / (n * t))), t, centres.alpha)
    tol = options.sweep_tol if options.polish else min(options.sweep_tol, _UNPOLISHED)
    swept = sweep(data, n_factors, kappa, centres.alpha, start.beta, tol=tol, max_iter=options.max_sweeps)
    if not options.polish:
        return _unpolished(data, n_factors, kappa, scale, swept, options)
    done = descend(data, n_factors, kappa, swept.alpha, swept.copies[-1], tol=options.tol, max_iter=options.max_iter)
    quadratics = unit_quadratics(data, done.components.factors, done.components.time_effect)
    fit = PenalizedFit(
        done.beta,
        done.alpha,
        done.at >= 0,
        done.criterion,
        kappa,
        scale,
        done.path,
        (*swept.path, done.path[0]) if swept.n_iter else (),
        swept.fused_share,
        swept.n_iter,
        done.n_iter,
        done.converged,
        slope_distances(done.beta, done.alpha, options.metric, quadratics),
    )
    return fit, done.components


def _unpolished(
    data: PanelArrays, n_factors: int, kappa: float, scale: float, swept: SweepResult, options: GroupedOptions
) -> tuple[PenalizedFit, Components]:
    """The sweep as published: each centre is compared with the slopes of its own step."""
    quadratics = unit_quadratics(data, swept.components.factors, swept.components.time_effect)
    distances = slope_distances(swept.copies, swept.alpha, options.metric, quadratics)
    nearest = distances.argmin(axis=1)
    units = np.arange(len(nearest))
    beta = swept.copies[nearest, units]
    components = principal_components(residuals(data, beta), n_factors, time_effects=data.time_effects)
    value = criterion(data, components.ssr, kappa, beta, swept.alpha)
    fit = PenalizedFit(
        beta,
        swept.alpha,
        swept.fused[nearest, units],
        value,
        kappa,
        scale,
        (value,),
        (*swept.path, value),
        swept.fused_share,
        swept.n_iter,
        0,
        swept.converged,
        distances,
    )
    return fit, components


def _initial_theta(a: Array, c: Array, groups: IntArray, n_groups: int, p: int, common: Sequence[int]) -> Array:
    """Least squares by group at the penalised factors; a common slope starts at its mean over groups."""
    theta = np.empty(len(common) + n_groups * (p - len(common)))
    free = [j for j in range(p) if j not in set(common)]
    shared = np.zeros(len(common))
    for k in range(n_groups):
        members = groups == k
        slopes = np.linalg.lstsq(a[members].sum(axis=0), c[members].sum(axis=0), rcond=1e-12)[0]
        shared += slopes[list(common)] * members.mean()
        theta[len(common) + k * len(free) + np.arange(len(free))] = slopes[free]
    theta[: len(common)] = shared
    return theta


def _distinct(fits: list[GroupedFit], name: str = "partition") -> tuple[LocalMinimum, ...]:
    found: tuple[LocalMinimum, ...] = ()
    for number, fit in enumerate(fits):
        done = fit.classification.fit
        found = _merged(found, (LocalMinimum(done.ssr, done.theta, (f"{name} {number + 1}",)),))
    return found


def _merged(known: tuple[LocalMinimum, ...], new: tuple[LocalMinimum, ...]) -> tuple[LocalMinimum, ...]:
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


def _relabel(fit: GroupedFit, n_groups: int) -> GroupedFit:
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
    relabelled = replace(done, groups=groups, slopes=slopes, fit=replace(done.fit, theta=theta), ssr=done.ssr[:, order])
    penalized = replace(
        fit.penalized, centers=fit.penalized.centers[order], distances=fit.penalized.distances[:, order]
    )
    return replace(fit, groups=groups, classification=relabelled, penalized=penalized, minima=minima)


def _in_order(theta: Array, slots: IntArray) -> Array:
    """The same slopes, groups in lexicographic order."""
    alpha = theta[slots]
    out = np.empty_like(theta)
    out[slots] = alpha[np.lexsort(alpha.T[::-1])]
    return out
