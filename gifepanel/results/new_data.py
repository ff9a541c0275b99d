"""What may be handed to ``predict``: frames, a row of one, a mapping, or arrays in the order of the regressors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.panel.cubes import float_array

__all__ = ["labels_of", "matrix_of", "new_data", "one_given"]

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
    data = one_given(data, exog)
    if isinstance(data, pd.Series):
        pair = isinstance(data.name, tuple)
        index = pd.MultiIndex.from_tuples([data.name], names=ids) if pair else pd.Index([data.name])
        return pd.DataFrame([data.tolist()], columns=data.index, index=index)
    if isinstance(data, Mapping):
        return pd.DataFrame({key: np.atleast_1d(np.asarray(value)) for key, value in data.items()})
    if isinstance(data, (np.ndarray, list, tuple)):
        return pd.DataFrame(matrix_of(data, names), columns=list(names))
    return data


def one_given(data: Any, exog: Any) -> Any:
    """New rows under either name.

    Raises
    ------
    SpecificationError
        Both were given.
    """
    if data is not None and exog is not None:
        raise SpecificationError(
            "predict was given data and exog.", "exog is statsmodels' name for the same.", "res.predict(data)"
        )
    return data if exog is None else exog


def labels_of(values: Any) -> pd.Index | None:
    """Labels of the rows of a frame of regressors, as statsmodels keeps them; None for other objects."""
    return values.index if isinstance(values, pd.DataFrame) else None


def _by_name(values: Any, names: Sequence[str]) -> Any:
    """Values in the order of `names`, where they have labels that say which is which."""
    if isinstance(values, pd.Series):
        own = values.index
    elif isinstance(values, Mapping):
        own = pd.Index(list(values))
    else:
        own = getattr(values, "column_names", getattr(values, "columns", None))  # pyarrow's; pandas' and polars'
    known = [] if own is None else [name for name in own if isinstance(name, str)]
    missing = [name for name in names if name not in known]
    if not missing and isinstance(values, pd.Series):
        return values[list(names)]
    if not missing:
        return np.column_stack([np.asarray(values[name]) for name in names])
    if isinstance(values, Mapping) or set(names) & set(known):
        raise DataError(
            f"The new regressors have no {', '.join(map(repr, missing))}.",
            f"With names, all are needed: {', '.join(names)}.",
            f"pd.DataFrame(values, columns={list(names)}), or res.predict(data) with the columns of the formula",
        )
    return values


def matrix_of(values: Any, names: Sequence[str]) -> Array:
    """Regressors (m, p), in the order of `names`: by their names where the object has them."""
    values = _by_name(values, names)
    try:
        found = float_array(values)
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
