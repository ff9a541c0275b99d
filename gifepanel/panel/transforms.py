"""Lags, leads and differences that know who and when: they skip gaps and never cross entities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import FormulaError
from gifepanel.panel.index import PanelIndex

__all__ = ["PANEL_FUNCTIONS", "PanelFunctions", "lag_source", "shift"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PANEL_FUNCTIONS = ("L", "F", "D", "lag", "lead", "diff")
"""Names that mean a panel function when called in a formula, whatever else bears the name."""


def lag_source(index: PanelIndex, k: int) -> IntArray:
    """Row that holds the same entity ``k`` periods earlier.

    Parameters
    ----------
    index : PanelIndex
        Without duplicates.
    k : int
        Periods on the regular grid of ``index.periods``; negative: later.

    Returns
    -------
    (n,) int64
        Row positions, −1 where there is no such row.

    Raises
    ------
    DataError
        The times are numbers that stand for dates.
    """
    index.require_distances("lags and differences")
    index_order = index.order
    if k == 0:
        return np.arange(index.nobs, dtype=np.int64)
    span = int(index.periods[-1]) + 1 if index.n_times else 1
    source = np.full(index.nobs, -1, dtype=np.int64)
    if abs(k) >= span:
        return source
    periods = index.periods[index.time_codes[index_order]]
    key = index.entity_codes[index_order] * (2 * span) + periods
    regular = index.is_balanced and not index.has_gaps
    candidate = np.arange(index.nobs) - k if regular else np.searchsorted(key, key - k)
    inside = (candidate >= 0) & (candidate < index.nobs)
    clipped = np.where(inside, candidate, 0)
    found = inside & (key[clipped] == key - k)
    source[index_order[found]] = index_order[clipped[found]]
    return source


def shift(values: npt.ArrayLike, k: int, index: PanelIndex) -> FloatArray:
    """Value of the same entity ``k`` periods earlier, NaN where there is none.

    Parameters
    ----------
    values : (n,) array_like
        Rows in the order of ``index``.
    k : int
        Periods on the regular grid; negative: later.
    index : PanelIndex

    Returns
    -------
    (n,) float64
    """
    return _take(np.asarray(values, dtype=np.float64), lag_source(index, k))


def _take(values: FloatArray, source: IntArray) -> FloatArray:
    out = values[source]
    out[source < 0] = np.nan
    return out


class PanelFunctions:
    """``L``, ``F``, ``D`` and their long names, bound to a panel.

    Parameters
    ----------
    index : callable
        Returns the PanelIndex of the rows; called at the first use, so that a formula without lags does not
        need ids.
    """

    def __init__(self, index: Callable[[], PanelIndex]) -> None:
        self._index = index
        self._sources: dict[int, IntArray] = {}

    def source(self, k: int) -> IntArray:
        """Cached ``lag_source``."""
        if k not in self._sources:
            self._sources[k] = lag_source(self._index(), k)
        return self._sources[k]

    def lag(self, x: Any, k: int = 1) -> FloatArray:
        """Value ``k`` periods earlier: ``L(x)``, ``L(x, 2)``, ``lag(x, 2)``; a negative ``k`` looks ahead."""
        return self._shifted(x, _whole(k, "L"), "L")

    def lead(self, x: Any, k: int = 1) -> FloatArray:
        """Value ``k`` periods later: ``F(x)``, ``lead(x, 2)``."""
        return self._shifted(x, -_whole(k, "F"), "F")

    def diff(self, x: Any, k: int = 1) -> FloatArray:
        """Change over ``k`` periods, x_t − x_{t−k}: ``D(x)``, ``diff(x, 2)``."""
        k = _whole(k, "D")
        if k < 1:
            raise FormulaError(f"D(x, {k}) has no meaning", "the number of periods is 1 or more", "D(x, 1)")
        return _numeric(x, "D") - self._shifted(x, k, "D")

    def _shifted(self, x: Any, k: int, function: str) -> FloatArray:
        values = _numeric(x, function)
        source = self.source(k)
        if values.shape[0] != source.size:
            raise FormulaError(
                f"{function}(...) got {values.shape[0]} values for {source.size} rows",
                "it works on columns, or on functions of columns row by row",
                f"{function}(x)",
            )
        return _take(values, source)

    def missing_after(self, function: str, missing: npt.NDArray[np.bool_], k: int) -> npt.NDArray[np.bool_]:
        """Rows in which the function has to give NaN, given the rows in which its argument does."""
        k = -k if function in ("F", "lead") else k
        source = self.source(k)
        shifted = (source < 0) | missing[source]
        return shifted | missing if function in ("D", "diff") else shifted

    def namespace(self) -> dict[str, Callable[..., FloatArray]]:
        """Functions by the names in ``PANEL_FUNCTIONS``."""
        functions = (self.lag, self.lead, self.diff)
        return dict(zip(PANEL_FUNCTIONS, functions + functions, strict=True))


def _whole(k: Any, function: str) -> int:
    if isinstance(k, (int, np.integer)) and not isinstance(k, bool):
        return int(k)
    raise FormulaError(
        f"{function}(x, {k!r}): the number of periods is not a whole number",
        "several lags at once are a term of their own, not part of an expression",
        f"{function}(x, 1), or {function}(x, (1, 2)) as a term",
    )


def _numeric(x: Any, function: str) -> FloatArray:
    array = x.to_numpy() if isinstance(x, pd.Series) else np.asarray(getattr(x, "__wrapped__", x))
    if array.ndim == 0:
        raise FormulaError(f"{function}(...) got a single number", "a column is needed", f"{function}(x)")
    if array.ndim > 1 or array.dtype.kind not in "biuf":
        raise FormulaError(
            f"{function}(...) got values that are not one column of numbers",
            "lags of categories are not taken",
            "make the lag before the categories: data.groupby(level=0)[name].shift(), then C(...)",
        )
    return np.array(array, dtype=np.float64)
