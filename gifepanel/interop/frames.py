"""Frames of other kinds than pandas: what came in as polars goes out as polars."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.panel.frames import read_frame

__all__ = ["as_pandas", "beside", "given_frame", "library_of", "to_library"]

_LIBRARIES = ("pandas", "polars", "pyarrow")


def given_frame(model: Any) -> Any:
    """The caller's frame, where the model still has it; None otherwise."""
    source = getattr(model, "_source", None)
    if isinstance(source, Mapping):
        return pd.DataFrame(dict(source))
    return source if hasattr(source, "columns") else None


def library_of(source: Any, native: str | None) -> Any:
    """The module whose frames are wanted: named by `native`, or that of the frame `source`.

    Raises
    ------
    SpecificationError
        For a library that is not known or not installed.
    """
    if native is None:
        if source is None or isinstance(source, pd.DataFrame):
            return pd
        import narwhals.stable.v1 as nw

        return nw.get_native_namespace(nw.from_native(source, eager_only=True))
    if native not in _LIBRARIES:
        raise SpecificationError(f"native is {native!r}.", f"It is one of {', '.join(_LIBRARIES)}.", 'native="pandas"')
    try:
        return import_module(native)
    except ImportError:
        raise SpecificationError(f"{native} is not installed.", None, f"pip install {native}") from None


def to_library(frame: pd.DataFrame, library: Any) -> Any:
    """A pandas frame, its index left out, as a frame of another library; missing values are nulls there."""
    if library is pd:
        return frame
    columns = {str(name): _plain(frame[name], library) for name in frame}
    return library.table(columns) if library.__name__ == "pyarrow" else library.DataFrame(columns)


def _plain(values: pd.Series, library: Any) -> Any:
    """A column as any library takes it: an array without missing values, or a list with None for them."""
    if isinstance(values.dtype, pd.Int64Dtype) and library.__name__ in ("polars", "pyarrow"):
        whole = [None if value is pd.NA else int(value) for value in values.array]
        if library.__name__ == "polars":
            return library.Series(whole, dtype=library.Int64)
        return library.array(whole, type=library.int64())
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fibmM":
        return values.to_numpy(copy=True) if values.dtype.kind != "f" else _floats(values)
    return [None if value is None or value is pd.NA or value is pd.NaT else value for value in values.array]


def _floats(values: pd.Series) -> Any:
    array = values.to_numpy(dtype=np.float64, copy=True)
    missing = np.isnan(array)
    if not missing.any():
        return array
    return [None if gone else value for value, gone in zip(array.tolist(), missing, strict=True)]


def as_pandas(source: Any) -> pd.DataFrame:
    """A frame of any kind in pandas, rows in their order, by way of NumPy or lists (pyarrow need not be there)."""
    if isinstance(source, pd.DataFrame):
        return source
    frame = read_frame(source, require_ids=False)
    return pd.DataFrame({name: frame._raw(name) for name in frame.names})


def beside(source: Any, columns: pd.DataFrame, library: Any) -> Any:
    """The caller's frame with further columns, as a frame of `library`.

    Parameters
    ----------
    source : DataFrame of any kind
    columns : DataFrame
        A row for each of its rows, in the same order.
    library : module

    Raises
    ------
    DataError
        Where a column of that name is there already.
    """
    taken = [name for name in columns if name in list(source.columns)]
    if taken:
        raise DataError(
            f"The data have columns {', '.join(map(repr, taken))} already.",
            "Values of the fit go by these names.",
            f"data = data.drop(columns={taken})",
        )
    if isinstance(source, pd.DataFrame) and library is pd:
        return pd.concat([source, columns.set_axis(source.index)], axis=1)
    if isinstance(source, pd.DataFrame):
        named = [name for name in source.index.names if name is not None]
        source = source.reset_index(level=named) if named else source
        return to_library(pd.concat([source.reset_index(drop=True), columns], axis=1), library)
    if library is pd:
        return pd.concat([as_pandas(source), columns], axis=1)
    import narwhals.stable.v1 as nw

    own = nw.from_native(source, eager_only=True)
    if nw.get_native_namespace(own) is not library:
        return to_library(pd.concat([as_pandas(source), columns], axis=1), library)
    extra = nw.from_native(to_library(columns, library), eager_only=True)
    return nw.concat([own, extra], how="horizontal").to_native()
