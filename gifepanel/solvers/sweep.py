"""The sweep of Su & Ju (2018, Section 3.2): a convex step per group, in turn, with a copy of the slopes per group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.shares import from_shares, items, rows_of
from gifepanel.solvers.arrays import Array, Components, GroupedData, PanelArrays, UnitQuadratics
from gifepanel.solvers.heterogeneous import unit_minimisers
from gifepanel.solvers.joint import joint_step
from gifepanel.solvers.penalty import product_penalty

__all__ = ["SweepResult", "sweep", "unit_problems"]


@dataclass(frozen=True)
class SweepResult:
    """Where the sweep ended.

    Attributes
    ----------
    alpha : ndarray, shape (K, p)
    copies : list of ndarray, shape (N, p)
        The slopes of every group's own step.
    fused : list of ndarray of bool, shape (N,)
    components : Components
        The ones the last step was taken at.
    n_iter : int
    converged : bool
        Whether the centres moved by less than `tol` in the last sweep, relative to their size.
    fused_share : tuple of float
        Share of the units that sit on some centre, by sweep.
    path : tuple of float
        Q at the slopes of the last group's step and the centres, after every sweep but the last.
    """

    alpha: Array
    copies: list[Array]
    fused: list[np.ndarray[Any, np.dtype[np.bool_]]]
    components: Components
    n_iter: int
    converged: bool
    fused_share: tuple[float, ...]
    path: tuple[float, ...]


def sweep(
    data: GroupedData,
    n_factors: int,
    kappa: float,
    alpha: Array,
    beta: Array,
    *,
    tol: float = 1e-4,
    max_iter: int = 20,
    first: Components | None = None,
) -> SweepResult:
    """Run sweeps from the centres `alpha` (K, p) and unit slopes `beta` (N, p).

    For k = 1..K: the weights are w_ik = prod_{l != k} ||beta_i^(l) - alpha_l|| from the latest copies, the factors are
    updated once at beta^(k), and beta^(k), alpha_k solve the convex joint step. `first` are the factors to begin with,
    where they are not found anew.
    """
    n_groups = alpha.shape[0]
    moves = data.moves(n_factors)
    alpha = alpha.copy()
    copies = [beta] * n_groups
    fused = [np.zeros(len(beta), dtype=bool)] * n_groups
    distance = [rows_of(_distances, (beta,), centre) for centre in alpha]
    work = data.room()
    shares: list[float] = []
    path: list[float] = []
    penalty = ssr = 0.0
    converged = False
    comp = data.components(beta, n_factors, last=first, room=work)
    # factors of a complete panel follow from the slopes alone: the groups of the first sweep share those of `beta`
    shared = isinstance(data, PanelArrays)
    problem = None
    while len(shares) < max_iter and not converged:
        before = alpha.copy()
        for k in range(n_groups):
            if problem is not None and moves and not (shared and copies[k] is beta):
                comp = data.components(copies[k], n_factors, last=comp, room=work)
                problem = None
                if k == n_groups - 1 and shares:  # these are the slopes that the sweep before ended at
                    path.append(comp.ssr / data.n_cells + kappa * penalty)
            if problem is None:
                problem = unit_problems(data.quadratics(comp), data.periods)
            weight = rows_of(_weights, distance, k, kappa)
            step = joint_step(*problem, weight, alpha[k], tol=1e-2 * tol)
            alpha[k], copies[k], fused[k] = step.centre, step.beta, step.fused
            distance[k] = rows_of(_distances, (step.beta,), step.centre)
        if shares and not moves:
            path.append(ssr / data.n_cells + kappa * penalty)
        ssr = 0.0 if moves else data.components(copies[-1], n_factors, room=work).ssr
        shares.append(sum(from_shares(_on_some_centre, fused)) / len(beta))
        penalty = product_penalty(copies[-1], alpha) / len(beta)
        moved = np.linalg.norm(alpha - before)
        converged = bool(moved <= tol * max(np.linalg.norm(before), np.finfo(float).tiny))
    return SweepResult(alpha, copies, fused, comp, len(shares), converged, tuple(shares), tuple(path))


def unit_problems(quadratics: UnitQuadratics, t: float) -> tuple[Array, Array, Array]:
    """H_i b_i^, H_i and b_i^ of every unit, of sums of squares over T periods."""
    v, hessians = items(rows_of(_halved, (quadratics,), t), 2)
    return v, hessians, unit_minimisers(quadratics)[0]


def _halved(_: int, quadratics: UnitQuadratics, t: float) -> tuple[Array, Array]:
    return 2.0 / t * quadratics.c, 2.0 / t * quadratics.a


def _distances(_: int, beta: Array, centre: Array) -> Array:
    return np.asarray(np.linalg.norm(beta - centre, axis=1))


def _weights(_: int, *given: Any) -> Array:
    """kappa times the distances (N,) to all centres but the k-th."""
    *distance, k, kappa = given
    ones = np.ones_like(distance[k])
    before, after = (np.multiply.reduce([ones, *some]) for some in (distance[:k], distance[k + 1 :]))
    return np.asarray(kappa * (before * after))


def _on_some_centre(_: int, *fused: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    return int(np.count_nonzero(np.logical_or.reduce(fused)))
