"""Kernel-weighted sums of score products over time: Newey-West in one series or within entities, Driscoll-Kraay."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.space import FloatArray

__all__ = ["TimeRows", "kernel_weights", "lagged_products", "time_rows"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TimeRows:
    """Rows, or sums of rows, in order of entity and time.

    Attributes
    ----------
    order : ndarray of int64, shape (n,), or None
        Sorts the rows; None where they are sorted, or summed by `cell`.
    cell : ndarray of int64, shape (n,), or None
        Period number of each row for Driscoll-Kraay sums, 0 .. number of different periods - 1.
    entity : ndarray of int64, shape (m,)
        Entity of each sorted row or sum.
    time : ndarray of int64, shape (m,)
        Period of each sorted row or sum; increasing within an entity.
    n_entities : int
    n_periods : int
        Different periods.
    maxlags : int
    """

    order: IntArray | None
    cell: IntArray | None
    entity: IntArray
    time: IntArray
    n_entities: int
    n_periods: int
    maxlags: int


def time_rows(
    kind: str, n_rows: int, entity: npt.ArrayLike | None, time: npt.ArrayLike | None, maxlags: int | None
) -> TimeRows:
    """Order the rows for a kind of covariance.

    Parameters
    ----------
    kind : {"HAC", "hac-panel", "hac-groupsum"}
    n_rows : int
        n.
    entity : array_like of int, shape (n,), optional
        For ``"hac-panel"``.
    time : array_like of int, shape (n,), optional
        In periods; the row number without it.
    maxlags : int, optional
        Default floor(4 (T/100)^(2/9)) with T periods from the first to the last (Newey & West 1994).

    Returns
    -------
    TimeRows

    Raises
    ------
    DataError
        If codes are not integers of shape (n,), or an (entity, time) pair occurs twice.
    SpecificationError
        If maxlags is not between 0 and T - 1.
    """
    periods = np.arange(n_rows) if time is None else _integers(time, "time", n_rows)
    seen, number = np.unique(periods, return_inverse=True)
    lags = _lags(maxlags, int(seen[-1] - seen[0]) + 1)
    if kind == "hac-groupsum":
        zeros = np.zeros(len(seen), dtype=np.int64)
        return TimeRows(None, number.astype(np.int64), zeros, seen, 1, len(seen), lags)
    units = np.zeros(n_rows, dtype=np.int64)
    if kind == "hac-panel":
        assert entity is not None
        units = np.unique(_integers(entity, "entity", n_rows), return_inverse=True)[1].astype(np.int64)
    order = np.lexsort((periods, units)).astype(np.int64)
    units, periods = units[order], periods[order]
    twice = (np.diff(units) == 0) & (np.diff(periods) == 0)
    if twice.any():
        raise DataError(
            f"{int(twice.sum())} rows repeat the time of another row of their series.",
            "Correlation over time needs each (entity, time) pair once.",
            "Drop the duplicates, or use cov_type='hac-groupsum' or 'cluster'.",
        )
    return TimeRows(order, None, units, periods, int(units[-1]) + 1, len(seen), lags)


def kernel_weights(kernel: str, maxlags: int) -> FloatArray:
    """Weights of lags 0..maxlags: 1 - l / (maxlags + 1) (Bartlett; Newey & West 1987), or 1 (uniform)."""
    if kernel == "uniform":
        return np.ones(maxlags + 1)
    return np.asarray(1 - np.arange(maxlags + 1) / (maxlags + 1))


def lagged_products(scores: FloatArray, rows: TimeRows, weights: FloatArray) -> FloatArray:
    """Sum of weights[|t - s|] s_it s_is' over pairs of rows of one entity.

    Parameters
    ----------
    scores : ndarray, shape (n, k)
    rows : TimeRows
    weights : ndarray, shape (maxlags + 1,)

    Returns
    -------
    ndarray, shape (k, k)
    """
    if rows.cell is not None:
        sorted_scores = np.empty((rows.n_periods, scores.shape[1]))
        for j in range(scores.shape[1]):
            sorted_scores[:, j] = np.bincount(rows.cell, weights=scores[:, j], minlength=rows.n_periods)
    else:
        sorted_scores = scores if rows.order is None else scores[rows.order]
    meat = weights[0] * (sorted_scores.T @ sorted_scores)
    for step in range(1, min(len(weights), len(sorted_scores))):
        gap = rows.time[step:] - rows.time[:-step]
        pair = (rows.entity[step:] == rows.entity[:-step]) & (gap < len(weights))
        if not pair.any():
            break
        weight = weights[gap[pair]]
        cross = (sorted_scores[step:][pair] * weight[:, None]).T @ sorted_scores[:-step][pair]
        meat += cross + cross.T
    return np.asarray(meat)


def _integers(values: npt.ArrayLike, name: str, n_rows: int) -> IntArray:
    codes = np.asarray(values)
    if codes.shape != (n_rows,) or codes.dtype.kind not in "iu":
        raise DataError(
            f"{name} has shape {codes.shape} and type {codes.dtype}.",
            f"Integers of shape ({n_rows},) are needed.",
            "Pass integer codes; time in periods, one apart.",
        )
    return codes.astype(np.int64)


def _lags(maxlags: int | None, n_periods: int) -> int:
    if maxlags is None:
        return max(0, min(floor(4 * (n_periods / 100) ** (2 / 9)), n_periods - 1))
    if not 0 <= maxlags < n_periods:
        raise SpecificationError(
            f"maxlags is {maxlags} with {n_periods} periods.",
            f"It must be an integer from 0 to {n_periods - 1}.",
            "Leave it out for the default.",
        )
    return int(maxlags)
