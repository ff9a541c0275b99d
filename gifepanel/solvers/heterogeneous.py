"""Starting values: heterogeneous-slope principal components, then seeded K-means on the unit slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.kernels.kmeans import lloyd, lloyd_of_slopes, plus_plus
from gifepanel.kernels.small import solve_batch
from gifepanel.solvers.arrays import (
    Array,
    Components,
    PanelArrays,
    UnitQuadratics,
    principal_components,
    residuals,
    unit_quadratics,
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
    beta, singular = solve_batch(quadratics.a, quadratics.c, np.zeros_like(quadratics.c))
    if singular.any():
        beta[singular] = np.linalg.lstsq(quadratics.a.sum(axis=0), quadratics.c.sum(axis=0), rcond=1e-12)[0]
    return beta, singular


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
        beta, singular = _slopes(unit_quadratics(data, none.factors, none.time_effect), common)
    else:
        singular = np.zeros(n, dtype=bool)
    work = np.empty_like(data.y)
    previous = np.inf
    rounds = 0
    while True:
        comp = principal_components(residuals(data, beta, work), n_factors, time_effects=data.time_effects)
        quadratics = unit_quadratics(data, comp.factors, comp.time_effect)
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
    n, p = quadratics.c.shape
    w = np.asarray(common)
    x = np.setdiff1d(np.arange(p), w)
    inner = np.ascontiguousarray(quadratics.a[:, x[:, None], x])
    cross = quadratics.a[:, w[:, None], x]
    gain = np.empty((n, len(w), len(x)))
    singular = np.zeros(n, dtype=np.bool_)
    for j in range(len(w)):
        gain[:, j], singular = solve_batch(inner, np.ascontiguousarray(cross[:, j]), np.zeros((n, len(x))))
    left = quadratics.a[:, w[:, None], w] - np.einsum("njx,nkx->njk", gain, cross)
    right = quadratics.c[:, w] - np.einsum("njx,nx->nj", gain, quadratics.c[:, x])
    gamma = np.linalg.lstsq(left.sum(axis=0), right.sum(axis=0), rcond=1e-12)[0]
    beta = np.empty((n, p))
    beta[:, w] = gamma
    rest = np.ascontiguousarray(quadratics.c[:, x] - np.einsum("njx,j->nx", cross, gamma))
    beta[:, x], singular = unit_minimisers(UnitQuadratics(inner, rest, quadratics.s))
    return beta, singular


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
    q = start.quadratics
    whitener = _factor(q.a.mean(axis=0))
    points = start.beta @ whitener
    # an order of the units that no relabelling, and no change of basis of the regressors, can alter
    order = np.argsort(np.linalg.norm(points - points.mean(axis=0), axis=1), kind="stable")
    points = np.ascontiguousarray(points[order])
    found: dict[float, Centres] = {}
    draws = rng.random((n_restarts, n_groups))
    for r in range(n_restarts if n_groups > 1 else 1):
        centres = np.empty((n_groups, points.shape[1]))
        groups = np.empty(len(points), dtype=np.int64)
        plus_plus(points, draws[r], centres)
        lloyd(points, centres, groups, 100)
        groups[order] = groups.copy()
        alpha = np.empty_like(centres)
        ssr = float(lloyd_of_slopes(q.a, q.c, q.s, groups, alpha, 30))
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
