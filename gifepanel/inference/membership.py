"""How clearly an entity belongs to its group."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["candidates", "excess"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def excess(ssr: Array, own: IntArray, variance: float) -> Array:
    """By how much each group fits an entity worse than its own, in error variances.

    Under normal errors that is twice the log of the likelihood ratio.

    Parameters
    ----------
    ssr : ndarray, shape (N, K)
        Sums of squares of each entity under the slopes of each group.
    own : ndarray of int, shape (N,)
        Groups, from 0.
    variance : float

    Returns
    -------
    ndarray, shape (N, K)
        Zero in the entity's own group.
    """
    return np.asarray((ssr - ssr[np.arange(len(own)), own][:, None]) / variance)


def candidates(posterior: Array, level: float) -> list[tuple[int, ...]]:
    """The most probable groups of each entity that together have a probability of `level`, most probable first.

    Parameters
    ----------
    posterior : ndarray, shape (N, K)
        Probabilities of the groups.
    level : float

    Returns
    -------
    list of tuple of int
        Groups, from 0.
    """
    order = np.argsort(-posterior, axis=1, kind="stable")
    reached = np.cumsum(np.take_along_axis(posterior, order, axis=1), axis=1)
    count = np.minimum((reached < level).sum(axis=1) + 1, posterior.shape[1])
    return [tuple(int(k) for k in row[:n]) for row, n in zip(order, count, strict=True)]
