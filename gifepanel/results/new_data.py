"""What may be handed to ``predict``: frames, a row of one, a mapping, or arrays in the order of the regressors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError

__all__ = ["matrix_of", "new_data"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def new_data(data: Any, exog: Any, names: Sequence[str], ids: Sequence[str] = ("entity", "time")) -> Any:
    """New rows as a frame, or None for the sample.

    Parameters
    ----------
    data : DataFrame, Series, mapping, array_like or None
        A Series is one row, its name the label of the row; arrays (m, p) hold the regressors `names` in their order.
    exog : same
        statsmodels' name of `data`.
    names : sequence of str
    ids : sequence of str
        Names of entity and time, for a row whose label is a pair of them.

    Raises
    ------
    SpecificationError
        Both were given.
    DataError
        An array of another shape.
    """
    if exog is not None:
        if data is not None:
            raise SpecificationError(
                "predict was given data and exog.", "exog is statsmodels' name for the same.", "res.predict(data)"
            )
        data = exog
    if isinstance(data, pd.Series):
        pair = isinstance(data.name, tuple)
        index = pd.MultiIndex.from_tuples([data.name], names=ids) if pair else pd.Index([data.name])
        return pd.DataFrame([data.tolist()], columns=data.index, index=index)
    if isinstance(data, Mapping):
        return pd.DataFrame({key: np.atleast_1d(np.asarray(value)) for key, value in data.items()})
    if isinstance(data, (np.ndarray, list, tuple)):
        return pd.DataFrame(matrix_of(data, names), columns=list(names))
    return data


def matrix_of(values: Any, names: Sequence[str]) -> Array:
    """Regressors (m, p), in the order of `names`, from an array or from a frame that has them."""
    if isinstance(values, pd.DataFrame) and set(names) <= set(values.columns):
        values = values[list(names)]
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty((0, 0, 0))
    if found.ndim == 1:
        found = found[:, None] if len(names) == 1 else found[None, :]
    if found.ndim != 2 or found.shape[1] != len(names):
        raise DataError(
            f"The new regressors have shape {np.shape(values)}.",
            f"Numbers are needed, a row each and {len(names)} columns: {', '.join(names)}.",
            f"pd.DataFrame(values, columns={list(names)}), or res.predict(data) with the columns of the formula",
        )
    return found
