"""The penalised stage of grouped interactive fixed effects: starting centres, the sweep, the descent (Su & Ju 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np

from gifepanel.blocks import UNITS, Node, block_sums
from gifepanel.shares import collected, from_first, rows_of, sums_of
from gifepanel.solvers.arrays import (
    Array,
    Components,
    GroupedData,
    PanelArrays,
    UnitQuadratics,
)
from gifepanel.solvers.canonical import Canonical, canonical
from gifepanel.solvers.classify import Metric, slope_distances
from gifepanel.solvers.descent import criterion, descend
from gifepanel.solvers.heterogeneous import Centres, HeterogeneousFit, heterogeneous_slopes, kmeans_centres
from gifepanel.solvers.penalty import scale_free_kappa
from gifepanel.solvers.sweep import SweepResult, sweep

__all__ = [
    "GroupedOptions",
    "GroupedPart",
    "PenalizedFit",
    "canonical_options",
    "fit_penalized",
    "grouped_part",
    "penalized_back",
    "penalized_stage",
    "standardized",
    "starting_centres",
]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Data = TypeVar("Data", bound=GroupedData)
_UNPOLISHED = 1e-4


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
    sweep_tol: float = 1e-1
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


def fit_penalized(
    data: PanelArrays, n_groups: int, n_factors: int, options: GroupedOptions | None = None
) -> PenalizedFit:
    """Start, sweep and descent alone: the penalised slopes and centres of Su & Ju (2018, eq. 2.7), nothing after."""
    options = options or GroupedOptions()
    form = canonical(data, rescale=options.standardize)
    inner = canonical_options(options, form, n_groups)
    data = form.data
    start = heterogeneous_slopes(data, n_factors, common=inner.common)
    if inner.standardize:
        data, start = standardized(data, start)
    part = grouped_part(data, start, inner.common)
    fit = penalized_stage(part.data, n_factors, inner, part.start, starting_centres(part, n_groups, inner)[0])[0]
    fit = replace(fit, unit_params=part.with_common(fit.unit_params), centers=part.with_common(fit.centers))
    return penalized_back(fit, form, n_groups, options.metric)


def canonical_options(options: GroupedOptions, form: Canonical, n_groups: int) -> GroupedOptions:
    """The same options for the canonical panel."""
    start, kappa = options.start, options.kappa
    if not isinstance(start, str):
        start = form.centres(np.asarray(start, dtype=float))
    if kappa is not None:
        kappa = kappa * form.size ** (n_groups - 2)
    return replace(options, start=start, kappa=kappa, common=form.columns_of(options.common))


def standardized(data: Data, start: HeterogeneousFit) -> tuple[Data, HeterogeneousFit]:
    """Both on regressors of root mean square one after the starting factors."""
    rms = np.sqrt(np.maximum(sums_of(_diagonals, (start.quadratics,)), 0.0) / data.n_cells)
    rms = np.where(rms > 0.0, rms, 1.0)
    q, beta = rows_of(_rescaled, (start.quadratics,), rms), rows_of(_times, (start.beta,), rms)
    components = start.components.rescaled(rms)
    return data.rescaled(rms), replace(start, beta=beta, quadratics=q, components=components)


def _diagonals(first: int, quadratics: UnitQuadratics) -> list[Node]:
    a = quadratics.a
    return block_sums(lambda rows: np.einsum("npp->p", a[rows]), len(a), UNITS, first)


def _rescaled(_: int, q: UnitQuadratics, factor: Array) -> UnitQuadratics:
    return UnitQuadratics(q.a / (factor[:, None] * factor), q.c / factor, q.s)


def _times(_: int, beta: Array, factor: Array) -> Array:
    return np.asarray(beta * factor)


def _to_centres(_: int, beta: Array, quadratics: Any, alpha: Array, metric: Metric) -> Array:
    return slope_distances(beta, alpha, metric, quadratics if metric == "mahalanobis" else None)


def _columns(_: int, beta: Array, columns: IntArray) -> Array:
    return np.ascontiguousarray(beta[:, columns])


def _of_first_unit(_: int, beta: Array) -> Array:
    return np.array(beta[0])


@dataclass(frozen=True)
class GroupedPart:
    """The problem in the regressors whose slopes differ across groups, the common ones taken out at their start.

    Attributes
    ----------
    data : GroupedData
    start : HeterogeneousFit
    free, common : ndarray of int64
        Columns.
    gamma : ndarray
        Slopes of the common columns.
    """

    data: GroupedData
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


def grouped_part(data: GroupedData, start: HeterogeneousFit, common: Sequence[int]) -> GroupedPart:
    w = np.asarray(sorted(common), dtype=np.int64)
    x = np.setdiff1d(np.arange(data.shape[2]), w)
    if not w.size:
        return GroupedPart(data, start, x, w, np.empty(0))
    gamma = from_first(_of_first_unit, (start.beta,))[w]
    part = data.subset_of_columns(x, w, gamma)
    components = start.components.of_columns(x)
    beta, quadratics = rows_of(_columns, (start.beta,), x), part.quadratics(components)
    return GroupedPart(part, replace(start, beta=beta, components=components, quadratics=quadratics), x, w, gamma)


def starting_centres(part: GroupedPart, n_groups: int, options: GroupedOptions) -> list[Centres]:
    start = part.start
    p = part.free.size
    if options.start_is_kmeans:
        rng = np.random.default_rng(options.seed)
        return kmeans_centres(start, n_groups, rng, n_restarts=max(options.n_restarts, 2 * options.n_starts))
    if isinstance(options.start, str):
        alpha = np.zeros((n_groups, p))
    else:
        alpha = np.asarray(options.start, dtype=float)[:, part.free] * part.data.scale
    return [Centres(alpha.copy(), np.zeros(len(start.beta), dtype=np.int64), np.nan, 1, 1)]


def penalized_stage(
    data: GroupedData, n_factors: int, options: GroupedOptions, start: HeterogeneousFit, centres: Centres
) -> tuple[PenalizedFit, Components]:
    kappa, scale = options.kappa, float("nan")
    if kappa is None:
        scale = options.kappa_scale
        kappa = scale_free_kappa(scale, float(np.sqrt(start.ssr / data.n_cells)), data.periods, centres.alpha)
    tol = options.sweep_tol if options.polish else min(options.sweep_tol, _UNPOLISHED)
    first = start.components
    swept = sweep(data, n_factors, kappa, centres.alpha, start.beta, tol=tol, max_iter=options.max_sweeps, first=first)
    if not options.polish:
        return _unpolished(data, n_factors, kappa, scale, swept, options)
    limits = {"tol": options.tol, "max_iter": options.max_iter, "first": swept.components}
    done = descend(data, n_factors, kappa, swept.alpha, swept.copies[-1], **limits)  # type: ignore[arg-type]
    quadratics = data.quadratics(done.components) if options.metric == "mahalanobis" else None
    fit = PenalizedFit(
        collected(done.beta),
        done.alpha,
        collected(done.at) >= 0,
        done.criterion,
        kappa,
        scale,
        done.path,
        (*swept.path, done.path[0]) if swept.n_iter else (),
        swept.fused_share,
        swept.n_iter,
        done.n_iter,
        done.converged,
        collected(
            rows_of(
                _to_centres, (done.beta, done.beta if quadratics is None else quadratics), done.alpha, options.metric
            )
        ),
    )
    return fit, done.components


def _unpolished(
    data: GroupedData, n_factors: int, kappa: float, scale: float, swept: SweepResult, options: GroupedOptions
) -> tuple[PenalizedFit, Components]:
    """The sweep as published: each centre is compared with the slopes of its own step."""
    quadratics = collected(data.quadratics(swept.components)) if options.metric == "mahalanobis" else None
    copies, fused = (np.stack([collected(one) for one in some]) for some in (swept.copies, swept.fused))
    distances = slope_distances(copies, swept.alpha, options.metric, quadratics)
    nearest = distances.argmin(axis=1)
    units = np.arange(len(nearest))
    beta = copies[nearest, units]
    components = data.components(beta, n_factors, last=swept.components)
    value = criterion(data, components.ssr, kappa, beta, swept.alpha)
    fit = PenalizedFit(
        beta,
        swept.alpha,
        fused[nearest, units],
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


def penalized_back(fit: PenalizedFit, form: Canonical, n_groups: int, metric: Metric) -> PenalizedFit:
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
