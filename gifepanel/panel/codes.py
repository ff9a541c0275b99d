"""A variable as integer codes and labels: ids, times, categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.panel.labels import factorized, native_labels

__all__ = ["Codes", "code_labels", "level_codes", "relabel", "sort_codes"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
_INT32 = 2**31 - 2


@dataclass(frozen=True, eq=False)
class Codes:
    """A variable as integers: ``labels[codes]`` gives it back, −1 stands for missing.

    Attributes
    ----------
    codes : (n,) int64, or int32 where the labels are integers
    labels : (L,) pandas.Index
        Unique labels, not necessarily sorted.
    ordered : bool
        The labels are in the order of an ordered categorical, all of its categories included.
    complete : bool
        The labels are sorted and each occurs.
    plain : bool
        The labels are times that are said to be plain numbers, no dates.
    """

    codes: npt.NDArray[Any]
    labels: pd.Index
    ordered: bool = False
    complete: bool = False
    plain: bool = False


def code_labels(values: Any, name: str = "") -> Codes:
    """Turn a column of any type into codes and unique labels (integers sorted, others in order of appearance)."""
    if isinstance(getattr(values, "dtype", None), pd.CategoricalDtype):
        categorical = pd.Categorical(values)
        codes = np.array(categorical.codes, dtype=np.int64)
        return Codes(codes, native_labels(pd.Index(categorical.categories)), bool(categorical.ordered))
    if isinstance(values, pd.Series) and isinstance(values.dtype, np.dtype) and values.dtype.kind in "biufO":
        values = values.to_numpy()
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu" and values.size:
        from gifepanel.projections.row_blocks import low_and_high

        low, high = low_and_high(values)
        if high - low <= min(4 * values.size, _INT32):
            return _code_integers(values, low, high - low + 1)
    return Codes(*factorized(values, name))


def _code_integers(values: Any, low: int, width: int) -> Codes:
    """Codes of integers that lie close together, by marking those that occur: no hashing, no sorting."""
    from gifepanel.projections.row_blocks import close_integers

    if values.dtype.kind == "u" and low + width > np.iinfo(np.int64).max:
        values, base = values - values.dtype.type(low), 0
    else:
        base = low
    codes, steps = close_integers(values, base, width)
    return Codes(codes, pd.Index(steps.astype(values.dtype) + values.dtype.type(low)), complete=True)


def level_codes(index: pd.MultiIndex, level: int) -> Codes:
    """Codes of one level of a MultiIndex, as it stores them."""
    labels = index.levels[level]
    ordered = False
    if isinstance(labels, pd.CategoricalIndex):
        ordered = bool(labels.ordered)
        labels = pd.Index(labels.categories[labels.codes]) if not ordered else labels
        if ordered:
            codes = np.asarray(labels.codes, dtype=np.int64)[np.asarray(index.codes[level], dtype=np.int64)]
            codes[np.asarray(index.codes[level]) < 0] = -1
            return Codes(codes, pd.Index(labels.categories), True)
    return Codes(np.array(index.codes[level], dtype=np.int64), native_labels(labels), ordered)


def _sorted_order(labels: pd.Index) -> IntArray:
    """Order of labels; labels that do not sort against each other go by the name of their type first."""
    if isinstance(labels, pd.MultiIndex):
        return np.asarray(labels.argsort(), dtype=np.int64)
    try:
        return np.asarray(labels.argsort(), dtype=np.int64)
    except TypeError:
        names = [type(label).__name__ for label in labels]
        keys = sorted(range(len(labels)), key=lambda i: (names[i], str(labels[i])))
        return np.array(keys, dtype=np.int64)


def relabel(coded: Codes, order: IntArray, used: BoolArray) -> tuple[IntArray, pd.Index, IntArray]:
    """Codes that follow ``order`` and skip unused labels; also the positions of the labels that stay."""
    kept = order[used[order]]
    if kept.size == used.size and np.array_equal(kept, np.arange(kept.size)):
        return coded.codes, coded.labels, kept
    new = np.full(used.size + 1, -1, dtype=np.int64)
    new[kept] = np.arange(kept.size)
    return new[coded.codes], coded.labels[kept], kept


def sort_codes(coded: Codes) -> tuple[IntArray, pd.Index]:
    """Codes on sorted labels, unused labels removed.

    Returns
    -------
    codes : (n,) int64 or int32, as given
    labels : (L,) pandas.Index
    """
    if coded.complete:
        return coded.codes, coded.labels
    used = np.bincount(coded.codes[coded.codes >= 0], minlength=len(coded.labels)) > 0
    order = np.arange(len(coded.labels)) if coded.ordered else _sorted_order(coded.labels)
    codes, labels, _ = relabel(coded, order, used)
    return codes, labels
