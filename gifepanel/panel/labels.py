"""Labels of ids as pandas' own types, whatever stores them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError
from gifepanel.panel.text import show

__all__ = ["check_aligned", "factorized", "native_labels", "refuse_cells"]

_MANY = (list, dict, set, tuple, np.ndarray)


def native_labels(labels: pd.Index) -> pd.Index:
    """Labels of pyarrow's types as NumPy's or Python's: timestamps as dates, decimals and dates as objects."""
    if not isinstance(labels.dtype, pd.ArrowDtype):
        return labels
    dates = labels.dtype.kind == "M" and labels.dtype.type is pd.Timestamp
    if len(labels) == 0:
        return pd.Index([], dtype=object)
    found = pd.Index(list(labels), name=labels.name)
    return pd.DatetimeIndex(found) if dates else found


def factorized(values: Any, name: str = "") -> tuple[np.ndarray[Any, np.dtype[np.int64]], pd.Index]:
    """Codes and different labels of values of any type, in order of appearance; -1 where missing.

    Raises
    ------
    DataError
        Cells that hold lists, arrays or records, which are not one label each.
    """
    if getattr(values, "dtype", None) == np.float16:
        values = np.asarray(values, dtype=np.float64)  # pandas has no index of float16
    try:
        codes, uniques = pd.factorize(values if hasattr(values, "dtype") else np.asarray(values))
        labels = native_labels(pd.Index(uniques))
    except (TypeError, NotImplementedError, ValueError):
        raise _no_label(values, name) from None
    if labels.dtype == object and len(labels) and isinstance(labels[0], (dict, list)):
        raise _no_label(values, name)
    return np.asarray(codes, dtype=np.int64), labels


def refuse_cells(values: Any, name: str) -> None:
    """Raise a DataError if cells hold lists, arrays or records instead of a value each."""
    row = next((i for i, cell in enumerate(values) if isinstance(cell, _MANY)), None)
    if row is None:
        return
    single = all(isinstance(cell, (list, tuple, np.ndarray)) and len(cell) == 1 for cell in values if cell is not None)
    key = next(iter(values[row]), "") if isinstance(values[row], dict) else None
    single = single or all(isinstance(cell, set) and len(cell) == 1 for cell in values if cell is not None)
    first = ".map(lambda cell: next(iter(cell)))" if isinstance(values[row], set) else ".str[0]"
    code = first if key is None else f".map(lambda cell: cell[{key!r}])"
    raise DataError(
        f"the cells of {name!r} hold {_kind(values[row])}s, such as {show(values[row])} in row {row}",
        "a variable has one value in each row",
        f'data["{name}"] = data["{name}"]{code}' + ("" if single else "  # one of several values, or another column"),
    )


def _kind(cell: Any) -> str:
    return "record" if isinstance(cell, dict) else "list" if isinstance(cell, np.ndarray) else type(cell).__name__


def _no_label(values: Any, name: str) -> DataError:
    cells = list(values)
    row = next((i for i, cell in enumerate(cells) if isinstance(cell, _MANY)), 0)
    return DataError(
        f"the cells of {name!r} hold {_kind(cells[row])}s, such as {show(cells[row])} in row {row}",
        "an id is one label in each row: a number, text, or a date",
        f'data["{name}"] = data["{name}"].astype(str)',
    )


def check_aligned(values: Any, what: str, *rows: pd.Index) -> None:
    """Refuse a pandas object, given row by row, whose labels say that it belongs to other rows or another order.

    Parameters
    ----------
    values : array_like
        Labels 0, 1, ... are no statement, unless the data's are the same numbers in another order.
    what : str
        For messages.
    rows : pandas.Index
        Labels of the rows it may belong to.
    """
    if not isinstance(values, (pd.Series, pd.DataFrame)):
        return
    own = values.index
    known = [index for index in rows if len(index) == len(own)]
    if not known or any(own.equals(index) for index in known):
        return
    silent = own.nlevels == 1 and own.equals(pd.RangeIndex(len(own)))
    if silent and not any(index.nlevels == 1 and own.isin(index).all() for index in known):
        return
    raise DataError(
        f"the {what} have another index than the data",
        "rows have to match",
        f"the name of a column, or {what}.loc[data.index]",
    )
