"""Starting values: heterogeneous-slope principal components, then seeded K-means on the unit slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.blocks import UNITS, Node, block_sums, each_block, each_of
from gifepanel.kernels.kmeans import lloyd, lloyd_of_slopes, plus_plus
from gifepanel.kernels.small import solve_batch
from gifepanel.shares import collected, rows_of, small_and_rows, sums_of
from gifepanel.solvers.arrays import (
    Array,
    Components,
    PanelArrays,
    UnitQuadratics,
)

__all__ = ["Centres", "HeterogeneousFit", "heterogeneous_slopes", "kmeans_centres", "unit_minimisers"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class HeterogeneousFit:
    """Unit slopes under common factors, with no penalty.

    Attributes
    ----------
    beta : ndarray, shape (N, p)
    components : Components
        Of ``y_i - X_i beta_i``.
    quadratics : UnitQuadratics
        At those factors.
    ssr : float
        V(R) times NT: the first term of the criterion at kappa = 0.
    n_iter : int
    singular : ndarray of bool, shape (N,)
        Units whose own regression is singular; they hold the pooled slopes.
    """

    beta: Array
    components: Components
    quadratics: UnitQuadratics
    ssr: float
    n_iter: int
    singular: np.ndarray[Any, np.dtype[np.bool_]]


def unit_minimisers(quadratics: UnitQuadratics) -> tuple[Array, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Every unit's least-squares slopes (N, p); a singular unit takes the pooled ones and is flagged (N,)."""
    counts, beta, singular = small_and_rows(_minimisers, 2, (quadratics,))
    if any(counts):
        pooled = sums_of(_pooled, (quadratics,))
        beta = rows_of(_placed, (beta, singular), np.linalg.lstsq(pooled[:, :-1], pooled[:, -1], rcond=1e-12)[0])
    return beta, singular


def _minimisers(_: int, quadratics: UnitQuadratics) -> tuple[int, Array, np.ndarray[Any, np.dtype[np.bool_]]]:
    """How many units are singular, slopes, and which these are."""
    a, c, n = quadratics.a, quadratics.c, len(quadratics.c)
    parts = each_block(lambda rows: solve_batch(a[rows], c[rows], np.zeros_like(c[rows])), n, UNITS)
    beta, singular = parts[0] if len(parts) == 1 else (np.concatenate(both) for both in zip(*parts, strict=True))
    return int(np.count_nonzero(singular)), beta, singular


def _pooled(first: int, quadratics: UnitQuadratics) -> list[Node]:
    """Sums of the curvatures, and of the right-hand sides in the last column (p, p + 1)."""
    a, c = quadratics.a, quadratics.c
    return block_sums(lambda rows: np.column_stack([a[rows].sum(axis=0), c[rows].sum(axis=0)]), len(c), UNITS, first)


def _placed(_: int, beta: Array, where: np.ndarray[Any, np.dtype[np.bool_]], slopes: Array) -> Array:
    beta = np.array(beta)
    beta[where] = slopes
    return beta


def heterogeneous_slopes(
    data: PanelArrays,
    n_factors: int,
    *,
    tol: float = 1e-4,
    max_iter: int = 40,
    beta: Array | None = None,
    common: Sequence[int] = (),
) -> HeterogeneousFit:
    """Minimise the first term of the criterion alone, alternating factors and unit regressions.

    The penalty-free problem of Su & Ju (2018, eq. 2.7 at kappa = 0), from unit least squares (or `beta`). It stops
    when the sum of squares falls by less than `tol` of itself in a round, or after `max_iter` rounds. The slopes of the
    regressors in `common` are the same for all units.
    """
    n, t, _ = data.shape
    none = Components(np.empty((t, 0)), np.empty((n, 0)), np.zeros(t), np.inf)
    if beta is None:
        beta, singular = _slopes(data.quadratics(none), common)
    else:
        singular = np.zeros(n, dtype=bool)
    work = data.room()
    previous = np.inf
    rounds = 0
    while True:
        comp = data.components(beta, n_factors, room=work)
        quadratics = data.quadratics(comp)
        if rounds >= max_iter or not previous - comp.ssr > tol * comp.ssr:
            return HeterogeneousFit(beta, comp, quadratics, comp.ssr, rounds, singular)
        previous = comp.ssr
        beta, singular = _slopes(quadratics, common)
        if n_factors == 0 and not data.time_effects:
            max_iter = 0
        rounds += 1


def _slopes(quadratics: UnitQuadratics, common: Sequence[int]) -> tuple[Array, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Unit slopes at given factors, some of them common: jointly least squares.

    With x the free and w the common regressors of a unit, g solves sum_i (A_ww - A_wx A_xx^-1 A_xw) g = sum_i (c_w -
    A_wx A_xx^-1 c_x), and b_i = A_xx^-1 (c_x - A_xw g).
    """
    if not len(common):
        return unit_minimisers(quadratics)
    w = np.asarray(common)
    pooled = sums_of(_without_free, (quadratics,), w)
    gamma = np.linalg.lstsq(pooled[:, :-1], pooled[:, -1], rcond=1e-12)[0]
    free, singular = unit_minimisers(rows_of(_given_common, (quadratics,), w, gamma))
    return rows_of(_with_common, (free,), w, gamma), singular


def _without_free(first: int, quadratics: UnitQuadratics, w: IntArray) -> list[Node]:
    """Sums of what free regressors leave of the curvatures of the common ones, right-hand sides in the last column."""
    a, c = quadratics.a, quadratics.c
    x = np.setdiff1d(np.arange(c.shape[1]), w)

    def part(rows: slice) -> Array:
        own, n = a[rows], len(c[rows])
        inner, cross = np.ascontiguousarray(own[:, x[:, None], x]), own[:, w[:, None], x]
        gain = np.empty((n, len(w), len(x)))
        for j in range(len(w)):
            gain[:, j], _ = solve_batch(inner, np.ascontiguousarray(cross[:, j]), np.zeros((n, len(x))))
        left = own[:, w[:, None], w] - np.einsum("njx,nkx->njk", gain, cross)
        right = c[rows][:, w] - np.einsum("njx,nx->nj", gain, c[rows][:, x])
        return np.column_stack([left.sum(axis=0), right.sum(axis=0)])

    return block_sums(part, len(c), UNITS, first)


def _given_common(_: int, quadratics: UnitQuadratics, w: IntArray, gamma: Array) -> UnitQuadratics:
    """Of the free regressors."""
    x = np.setdiff1d(np.arange(quadratics.c.shape[1]), w)
    rest = quadratics.c[:, x] - np.einsum("njx,j->nx", quadratics.a[:, w[:, None], x], gamma)
    inner = np.ascontiguousarray(quadratics.a[:, x[:, None], x])
    return UnitQuadratics(inner, np.ascontiguousarray(rest), quadratics.s)


def _with_common(_: int, free: Array, w: IntArray, gamma: Array) -> Array:
    beta = np.empty((len(free), free.shape[1] + len(w)))
    beta[:, w] = gamma
    beta[:, np.setdiff1d(np.arange(beta.shape[1]), w)] = free
    return beta


@dataclass(frozen=True)
class Centres:
    """A partition of the unit slopes.

    Attributes
    ----------
    alpha : ndarray, shape (K, p)
    groups : ndarray of int64, shape (N,)
    ssr : float
        Sum of squares when every unit takes its centre's slopes, at the starting factors.
    agreed : int
        Restarts that ended at this partition's sum of squares (to 1e-9).
    n_restarts : int
    """

    alpha: Array
    groups: IntArray
    ssr: float
    agreed: int
    n_restarts: int


def kmeans_centres(
    start: HeterogeneousFit, n_groups: int, rng: np.random.Generator, *, n_restarts: int = 20
) -> list[Centres]:
    """Distinct partitions of the unit slopes, best first.

    Every restart is K-means++ with Lloyd's iterations on slopes whitened by the mean curvature, then iterations in
    every unit's own metric X_i'M_F X_i, so that badly determined slopes weigh little.
    """
    q, slopes = collected(start.quadratics), collected(start.beta)
    whitener = _factor(q.a.mean(axis=0))
    points = slopes @ whitener
    # an order of the units that no relabelling, and no change of basis of the regressors, can alter
    order = np.argsort(np.linalg.norm(points - points.mean(axis=0), axis=1), kind="stable")
    points = np.ascontiguousarray(points[order])
    found: dict[float, Centres] = {}
    draws = rng.random((n_restarts, n_groups))

    def restart(r: int) -> tuple[IntArray, Array, float]:
        centres = np.empty((n_groups, points.shape[1]))
        groups = np.empty(len(points), dtype=np.int64)
        plus_plus(points, draws[r], centres)
        lloyd(points, centres, groups, 100)
        groups[order] = groups.copy()
        alpha = np.empty_like(centres)
        return groups, alpha, float(lloyd_of_slopes(q.a, q.c, q.s, groups, alpha, 30))

    for groups, alpha, ssr in each_of(restart, n_restarts if n_groups > 1 else 1, len(points)):
        key = next((known for known in found if abs(known - ssr) <= 1e-9 * abs(ssr)), None)
        if key is None:
            found[ssr] = Centres(alpha, groups, ssr, 1, n_restarts)
        else:
            old = found[key]
            found[key] = Centres(old.alpha, old.groups, old.ssr, old.agreed + 1, n_restarts)
    return sorted(found.values(), key=lambda centre: centre.ssr)


def _factor(a: Array) -> Array:
    """A factor L with L L' = a."""
    values, vectors = np.linalg.eigh(a)
    return vectors * np.sqrt(np.maximum(values, 0.0))
