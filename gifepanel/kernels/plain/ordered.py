"""Sums in the order of a loop."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Array", "BoolArray", "IntArray", "entities_last", "last", "ordered_bins", "ordered_sum"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


def ordered_sum(terms: Array) -> Array:
    """Sum over the first axis, one row after the other; NumPy's own order is another where rows have one element."""
    terms = np.ascontiguousarray(terms)
    if terms.size <= len(terms):
        return np.asarray(np.add.accumulate(terms, axis=0)[-1] if len(terms) else np.zeros(terms.shape[1:]))
    return np.asarray(np.add.reduce(terms, axis=0))


def ordered_bins(places: IntArray, values: Array, n: int) -> Array:
    """Sums (n,) of values by place, one after the other."""
    return np.bincount(places.ravel(), weights=values.ravel(), minlength=n).astype(np.float64, copy=False)


def last(terms: Array) -> float:
    """Sum of a flat array from the first to the last."""
    return float(np.add.accumulate(terms.ravel())[-1]) if terms.size else 0.0


def entities_last(values: Array) -> Array:
    """(N, a, b) as (b, a, N), contiguous."""
    return np.ascontiguousarray(values.T)
