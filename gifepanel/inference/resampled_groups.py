"""Groups in bootstrap draws: labels matched to those of the fit, who is with whom, who stays."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["co_membership", "match_labels", "stability"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
Labels = np.ndarray[Any, np.dtype[np.integer[Any]]]
_BLOCK = 256  # draws at once


def match_labels(theta: Array, groups: Labels, reference: Array, slots: IntArray, scale: Array) -> tuple[Array, Labels]:
    """Draws with their groups named as in the fit, by the assignment whose slopes are closest in sum of squares.

    Parameters
    ----------
    theta : ndarray, shape (b, q)
        Slopes of the draws.
    groups : ndarray of int, shape (b, N)
        0..K-1, negative where an entity has none.
    reference : ndarray, shape (q,)
        Slopes of the fit.
    slots : ndarray of int64, shape (K, p)
        Position in theta of each group's slopes.
    scale : ndarray, shape (p,)
        Sizes of the regressors: distances are those of what slopes do to the outcome.

    Returns
    -------
    theta, groups : ndarray
        The same with matched labels.
    """
    from scipy.optimize import linear_sum_assignment  # twenty megabytes of modules come with it

    alpha, own = theta[:, slots] * scale, reference[slots] * scale  # slopes that are common add the same everywhere
    cost = np.square(alpha[:, :, None] - own).sum(axis=3)
    theta, groups = theta.copy(), groups.copy()
    same = np.arange(len(slots))
    for b in np.flatnonzero((cost.argmin(axis=2) != same).any(axis=1)):
        label = linear_sum_assignment(cost[b])[1]
        if not np.array_equal(label, same):
            theta[b, slots[label]] = theta[b, slots]
            groups[b] = np.where(groups[b] >= 0, label[groups[b]], groups[b])
    return theta, groups


def co_membership(groups: Labels, n_groups: int) -> Array:
    """Share of draws in which two entities are in one group, of those in which both are drawn (Monti et al. 2003).

    Parameters
    ----------
    groups : ndarray of int, shape (b, N)
        Negative where an entity was not drawn.
    n_groups : int

    Returns
    -------
    ndarray, shape (N, N)
        NaN for two entities that were never drawn together.
    """
    n = groups.shape[1]
    together, both = np.zeros((n, n)), np.zeros((n, n))
    for first in range(0, len(groups), _BLOCK):
        some = groups[first : first + _BLOCK]
        drawn = (some >= 0).astype(np.float64)
        both += drawn.T @ drawn
        for k in range(n_groups):
            member = (some == k).astype(np.float64)
            together += member.T @ member
    with np.errstate(invalid="ignore", divide="ignore"):
        return together / both


def stability(groups: Labels, own: IntArray) -> Array:
    """Share of draws in which an entity is in its own group (N,), of those in which it is drawn; NaN if in none."""
    drawn = (groups >= 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((groups == own).sum(axis=0) / drawn)
