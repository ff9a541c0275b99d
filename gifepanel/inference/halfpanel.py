"""Half-panel jackknife (Dhaene & Jochmans 2015, Review of Economic Studies 82:991-1030, eq. 2.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["half_panel_jackknife", "half_panels", "jackknife_on_cells"]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


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


def jackknife_on_cells(
    theta: Array,
    splits: Sequence[tuple[BoolArray, BoolArray]],
    estimate: Callable[[BoolArray, int | None], Array],
) -> Array:
    """The same where cells are missing: ``theta + theta_both - (n_1 theta_1 + n_2 theta_2) / (n_1 + n_2)``.

    Every entity adds the same to the numerator of a bias of order one over its periods, so that the bias of a half is
    in proportion to entities over cells: weighted by their cells n_1 and n_2, the halves have twice the bias of both
    together, whatever is missing. theta_both is the estimate on the cells of the halves, theta where these are all.

    Parameters
    ----------
    theta : ndarray, shape (q,)
        Full-sample estimate.
    splits : sequence of pairs of ndarray of bool, shape (N, T)
        Cells of the first and of the second half, of the same entities; over several splits the mean is taken.
    estimate : callable
        Estimates on cells; told which half they are, None for both.
    """
    found = []
    for first, second in splits:
        cells = int(first.sum()), int(second.sum())
        halves = cells[0] * estimate(first, 0) + cells[1] * estimate(second, 1)
        found.append(estimate(first | second, None) - halves / sum(cells))
    return np.asarray(theta + np.mean(found, axis=0))
