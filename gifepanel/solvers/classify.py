"""From unit slopes to groups: the nearest centre, then refinement by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from gifepanel.kernels.passes import unit_ssr
from gifepanel.shares import Rows, collected, rows_of
from gifepanel.solvers.arrays import Array, PanelArrays, UnitQuadratics
from gifepanel.solvers.interactive import InteractiveFit, SlopeMap, fit_interactive

__all__ = [
    "Classification",
    "Metric",
    "best_groups",
    "fill_empty",
    "losses_of_units",
    "nearest_centre",
    "refine",
    "slope_distances",
]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Metric = Literal["absolute", "relative", "mahalanobis"]
Fit = TypeVar("Fit", bound=Any)
_LOOSE = 1e-5
_ROUNDS = 100


def slope_distances(beta: Array, alpha: Array, metric: Metric, quadratics: UnitQuadratics | None = None) -> Array:
    """Distances of unit slopes (N, p), or copies (K, N, p), to centres (K, p): an (N, K) array.

    ``absolute`` is ||b - a_k||, ``relative`` divides it by ||a_k||, and ``mahalanobis`` measures in the unit's own
    metric, ((b - a_k)' X_i'M_F X_i (b - a_k))^(1/2). With copies, every centre is compared with its own copy.
    """
    gap = np.swapaxes(beta, 0, 1) - alpha if beta.ndim == 3 else beta[:, None, :] - alpha[None]
    if metric == "mahalanobis":
        if quadratics is None:
            raise ValueError("the metric 'mahalanobis' needs the unit quadratics")
        return np.sqrt(np.maximum(np.einsum("nkp,npq,nkq->nk", gap, quadratics.a, gap), 0.0))
    distance = np.linalg.norm(gap, axis=2)
    if metric == "relative":
        distance = distance / np.maximum(np.linalg.norm(alpha, axis=1), np.finfo(float).tiny)
    return distance


def nearest_centre(distances: Array) -> IntArray:
    """The closest centre of each unit, every group keeping at least one unit."""
    return fill_empty(distances.argmin(axis=1).astype(np.int64), distances)


def fill_empty(groups: IntArray, losses: Array) -> IntArray:
    """Give every empty group the worst-placed unit that its own group can spare."""
    groups = groups.copy()
    n_groups = losses.shape[1]
    counts = np.bincount(groups, minlength=n_groups)
    own = losses[np.arange(len(groups)), groups]
    order = np.argsort(-own, kind="stable")
    for k in np.flatnonzero(counts == 0):
        for i in order:
            if counts[groups[i]] > 1:
                counts[groups[i]] -= 1
                groups[i] = k
                counts[k] += 1
                break
        order = order[groups[order] != k]
    return groups


@dataclass(frozen=True)
class Classification(Generic[Fit]):
    """Groups with the joint least squares given them.

    Attributes
    ----------
    groups : ndarray of int64, shape (N,)
        0..K-1.
    fit : InteractiveFit or CellFit
        On a complete panel, or on observed cells.
    slopes : SlopeMap
    ssr : ndarray, shape (N, K)
        Every unit's sum of squares under every group's slopes, at the fitted factors.
    n_rounds : int
        Reassignments made.
    moved : int
        Units that ended elsewhere than they began.
    settled : bool
        Whether no unit wants to move.
    """

    groups: IntArray
    fit: Fit
    slopes: SlopeMap
    ssr: Array
    n_rounds: int
    moved: int
    settled: bool


def refine(
    data: PanelArrays,
    n_factors: int,
    groups: IntArray,
    n_groups: int,
    theta: Array,
    *,
    common: Sequence[int] = (),
    reassign: bool = True,
    tol: float = 1e-9,
    max_iter: int = 500,
) -> Classification[InteractiveFit]:
    """Joint least squares given groups, alternated with assignment by sum of squares where `reassign`.

    Both steps lower the sum of squares, so the alternation ends. It is the least-squares classification of Bonhomme &
    Manresa (2015) and Su, Shi & Phillips (2016, Remark) applied to interactive effects, not a part of Su & Ju (2018).
    """
    first = groups
    rounds = 0
    while True:
        slopes = SlopeMap.grouped(groups, n_groups, data.shape[2], common)
        fit = fit_interactive(data, slopes, n_factors, theta, tol=_LOOSE if reassign else tol, max_iter=max_iter)
        ssr = _unit_losses(data, slopes, fit)
        new = best_groups(ssr, n_groups)
        theta = fit.theta
        if reassign and rounds < _ROUNDS and not np.array_equal(new, groups):
            groups, rounds = new, rounds + 1
            continue
        if fit.gradient > tol and reassign:
            fit = fit_interactive(data, slopes, n_factors, theta, tol=tol, max_iter=max_iter)
            ssr = _unit_losses(data, slopes, fit)
            theta = fit.theta
            new = best_groups(ssr, n_groups)
            if rounds < _ROUNDS and not np.array_equal(new, groups):
                groups, rounds = new, rounds + 1
                continue
        settled = bool(np.array_equal(new, groups))
        return Classification(groups, fit, slopes, collected(ssr), rounds, int((first != groups).sum()), settled)


def _unit_losses(data: PanelArrays, slopes: SlopeMap, fit: InteractiveFit) -> Array:
    return losses_of_units(data.quadratics(fit.components), fit.theta[slopes.slots])


def losses_of_units(q: UnitQuadratics, alpha: Array) -> Array:
    """Every unit's sum of squares under every group's slopes (N, K)."""
    losses: Array = rows_of(_losses, (q,), np.ascontiguousarray(alpha))
    return losses


def _losses(_: int, q: UnitQuadratics, alpha: Array) -> Array:
    return unit_ssr(q.a, q.c, q.s, alpha)


def _smallest(_: int, losses: Array) -> np.ndarray[Any, np.dtype[np.uint16]]:
    return losses.argmin(axis=1).astype(np.uint16)


def best_groups(losses: Array, n_groups: int) -> IntArray:
    """The group of the smallest loss of every unit, no group left empty."""
    best = collected(rows_of(_smallest, (losses,))).astype(np.int64)
    if isinstance(losses, Rows) and np.bincount(best, minlength=n_groups).all():
        return np.asarray(best)
    return fill_empty(best, collected(losses))
