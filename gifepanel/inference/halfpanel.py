"""Half-panel jackknife (Dhaene & Jochmans 2015, Review of Economic Studies 82:991-1030, eq. 2.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["half_panel_jackknife", "half_panels"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def half_panels(n_times: int) -> tuple[tuple[slice, slice], ...]:
    """The splits of T periods into two halves: one for even T, two for odd T, averaged."""
    middle = n_times // 2
    first = (slice(0, middle), slice(middle, n_times))
    if n_times % 2 == 0:
        return (first,)
    return (first, (slice(0, middle + 1), slice(middle + 1, n_times)))


def half_panel_jackknife(theta: Array, n_times: int, estimate: Callable[[slice], Array]) -> Array:
    """``2 theta - mean of the two halves' estimates``, for odd T the mean over both ways of splitting.

    Parameters
    ----------
    theta : ndarray, shape (q,)
        Full-sample estimate.
    n_times : int
    estimate : callable
        Estimates on a slice of the periods.
    """
    halves = [0.5 * (estimate(a) + estimate(b)) for a, b in half_panels(n_times)]
    return np.asarray(2.0 * theta - np.mean(halves, axis=0))
