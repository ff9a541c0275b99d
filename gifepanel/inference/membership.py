"""How clearly an entity belongs to its group."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["clear_margin", "confidence_sets", "excess"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


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


def clear_margin(level: float) -> float:
    """The excess from which a group, against the entity's own, has a probability below 1 - level.

    Normal errors and equal prior probabilities: exp(-m/2) / (1 + exp(-m/2)) = 1 - level at m = 2 ln(level/(1 - level)).

    Examples
    --------
    >>> round(clear_margin(0.95), 2)
    5.89
    """
    return float(2 * np.log(level / (1 - level)))


def confidence_sets(ssr: Array, own: IntArray, variance: float, level: float) -> BoolArray:
    """Groups that an entity can't be told from at `level`, its own among them: (N, K).

    Slopes and factors are taken as known, so the sets are too small where those are uncertain.
    """
    out = excess(ssr, own, variance) < clear_margin(level)
    out[np.arange(len(own)), own] = True
    return np.asarray(out)
