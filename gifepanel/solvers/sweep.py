"""The sweep of Su & Ju (2018, Section 3.2): a convex step per group, in turn, with a copy of the slopes per group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.solvers.arrays import Array, Components, GroupedData
from gifepanel.solvers.heterogeneous import unit_minimisers
from gifepanel.solvers.joint import joint_step
from gifepanel.solvers.penalty import product_penalty

__all__ = ["SweepResult", "sweep"]


@dataclass(frozen=True)
class SweepResult:
    """Where the sweep ended.

    Attributes
    ----------
    alpha : ndarray, shape (K, p)
    copies : ndarray, shape (K, N, p)
        The slopes of every group's own step.
    fused : ndarray of bool, shape (K, N)
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
    copies: Array
    fused: np.ndarray[Any, np.dtype[np.bool_]]
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
    t, moves = data.periods, data.moves(n_factors)
    alpha = alpha.copy()
    copies = np.repeat(beta[None], n_groups, axis=0)
    fused = np.zeros(copies.shape[:2], dtype=bool)
    distance = np.linalg.norm(copies - alpha[:, None, :], axis=2)
    work = data.room()
    shares: list[float] = []
    path: list[float] = []
    penalty = ssr = 0.0
    converged = False
    comp = data.components(copies[-1], n_factors, last=first, room=work)
    problem = None
    while len(shares) < max_iter and not converged:
        before = alpha.copy()
        for k in range(n_groups):
            if problem is not None and moves:
                comp = data.components(copies[k], n_factors, last=comp, room=work)
                problem = None
                if k == n_groups - 1 and shares:  # these are the slopes that the sweep before ended at
                    path.append(comp.ssr / data.n_cells + kappa * penalty)
            if problem is None:
                quadratics = data.quadratics(comp)
                problem = (2.0 / t * quadratics.c, 2.0 / t * quadratics.a, unit_minimisers(quadratics)[0])
            weight = distance[:k].prod(axis=0) * distance[k + 1 :].prod(axis=0)
            step = joint_step(*problem, kappa * weight, alpha[k], tol=1e-2 * tol)
            alpha[k], copies[k], fused[k] = step.centre, step.beta, step.fused
            distance[k] = np.linalg.norm(step.beta - step.centre, axis=1)
        if shares and not moves:
            path.append(ssr / data.n_cells + kappa * penalty)
        ssr = 0.0 if moves else data.components(copies[-1], n_factors, room=work).ssr
        shares.append(float(fused.any(axis=0).mean()))
        penalty = product_penalty(copies[-1], alpha) / len(beta)
        moved = np.linalg.norm(alpha - before)
        converged = bool(moved <= tol * max(np.linalg.norm(before), np.finfo(float).tiny))
    return SweepResult(alpha, copies, fused, comp, len(shares), converged, tuple(shares), tuple(path))
