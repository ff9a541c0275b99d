"""Bootstrap draws of slopes and groups: of entities with replacement, or of signs of residuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gifepanel.solvers.arrays import Array
from gifepanel.solvers.cells import Cells
from gifepanel.solvers.refit import Refit, Solution, refit

__all__ = ["FINE", "LOST", "NOT_CONVERGED", "entity_draws", "wild_draws"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
FINE, NOT_CONVERGED, LOST = 0, 1, 2
Draws = tuple[Array, np.ndarray[Any, np.dtype[np.int16]], np.ndarray[Any, np.dtype[np.int8]]]


def entity_draws(seeds: Sequence[Any], cells: Cells, solution: Solution) -> Draws:
    """Slopes and groups in samples of N of the entities, drawn with replacement.

    An entity that is drawn twice has twice the weight, which is the same as two copies of it; one that is not drawn has
    no group, since it fits every group equally well.

    Parameters
    ----------
    seeds : sequence of SeedSequence
        One a draw.
    cells : Cells
    solution : Solution
        From where the descent starts, groups among it.

    Returns
    -------
    theta : ndarray, shape (b, q)
    groups : ndarray of int16, shape (b, N)
        -1 where an entity was not drawn.
    outcome : ndarray of int8, shape (b,)
        FINE, NOT_CONVERGED, or LOST where a group was left without entities.
    """
    n, own = cells.shape[0], solution.slopes.groups
    out = _room(len(seeds), n, solution)
    for b, seed in enumerate(seeds):
        copies = np.bincount(np.random.default_rng(seed).integers(0, n, size=n), minlength=n)
        some = np.flatnonzero(copies)
        if len(np.unique(own[some])) < len(solution.slopes.slots):
            out[2][b] = LOST
            continue
        _keep(out, b, some, refit(cells.copied(copies), solution, own[some]))
    return out


def wild_draws(
    seeds: Sequence[Any], cells: Cells, solution: Solution, fitted: Array, resid: Array, clusters: IntArray
) -> Draws:
    """Slopes and groups where residuals have other signs, those of a cluster the same (Rademacher's weights).

    Parameters
    ----------
    seeds, cells, solution
        As of :func:`entity_draws`.
    fitted, resid : ndarray, shape (n,)
        Outcomes are the one plus or minus the other; by cell, times the roots of the weights.
    clusters : ndarray of int64, shape (n,)
        0..G-1.

    Returns
    -------
    theta, groups, outcome
        As of :func:`entity_draws`.
    """
    n, size = cells.shape[0], int(clusters.max()) + 1
    every = np.arange(n)
    out = _room(len(seeds), n, solution)
    for b, seed in enumerate(seeds):
        signs = np.random.default_rng(seed).integers(0, 2, size=size) * 2.0 - 1.0
        drawn = cells.with_outcome(fitted + signs[clusters] * resid)
        _keep(out, b, every, refit(drawn, solution, solution.slopes.groups))
    return out


def _room(draws: int, n: int, solution: Solution) -> Draws:
    theta = np.full((draws, solution.theta.size), np.nan)
    return theta, np.full((draws, n), -1, dtype=np.int16), np.full(draws, FINE, dtype=np.int8)


def _keep(out: Draws, b: int, some: IntArray, found: Refit) -> None:
    """Put a draw down; what did not converge or lost a group is not used."""
    theta, groups, outcome = out
    if found.lost or not found.converged:
        outcome[b] = LOST if found.lost else NOT_CONVERGED
        return
    theta[b] = found.fit.theta
    groups[b, some] = found.groups
