"""Read a caller's data frame: ids, columns, row labels.  Nothing of the caller's is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError
from gifepanel.panel.codes import Codes, code_labels, level_codes
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.labels import refuse_cells
from gifepanel.panel.names import refuse_reserved, reserved
from gifepanel.panel.repairs import prepared
from gifepanel.panel.swapped import check_swapped
from gifepanel.panel.text import did_you_mean, first_of
from gifepanel.panel.times import looks_like_dates, order_times

__all__ = ["PanelFrame", "ids_by_name", "plain_column", "read_as", "read_frame", "split_reading"]

_COPIES_ON_WRITE = int(pd.__version__.split(".")[0]) >= 3  # a series that shares memory is copied when it is changed


@dataclass(frozen=True, eq=False)
class PanelFrame:
    """A frame with ids, its columns converted one by one when asked for.

    Attributes
    ----------
    data : pandas.DataFrame or narwhals.DataFrame
        The caller's frame.
    row_index : (n,) pandas.Index
        The caller's row labels; positions for frames without an index.
    names : tuple of str
        What can be asked for: columns, then names of index levels.
    entity, time : Codes or None
        None only where ids were not required.
    entity_name, time_name : str
    source : {"index", "unnamed index", "columns", "foreign", "arrays"}
        Where the ids came from.
    """

    data: Any
    row_index: pd.Index
    names: tuple[str, ...]
    entity: Codes | None
    time: Codes | None
    entity_name: str
    time_name: str
    source: str
    _columns: dict[str, pd.Series] = field(default_factory=dict, repr=False)
    _codes: dict[str, Codes] = field(default_factory=dict, repr=False)

    @property
    def n_rows(self) -> int:
        """Number of rows, n."""
        return len(self.row_index)

    def column(self, name: str) -> pd.Series:
        """A column or index level by name, as ``plain_column`` gives it."""
        if name not in self._columns:
            self._check_name(name)
            with _lines_for(self.data):
                self._columns[name] = plain_column(self._raw(name), name)
        return self._columns[name]

    def column_to_read(self, name: str) -> pd.Series:
        """A column as :meth:`column` gives it, without a copy where pandas makes one before anybody writes."""
        if name not in self._columns and isinstance(self.data, pd.DataFrame) and _COPIES_ON_WRITE:
            self._check_name(name)
            values = self._raw(name)
            if values.dtype == np.float64 and isinstance(values.dtype, np.dtype):
                self._columns[name] = _on_positions(values, name)
        return self.column(name)

    def forget_columns(self) -> None:
        """Let go of the copies of columns; they are made anew when they are asked for."""
        self._columns.clear()

    def codes(self, name: str) -> Codes:
        """A column or index level as categories: ids as they were coded, anything else coded now."""
        if self.entity is not None and name == self.entity_name:
            return self.entity
        if self.time is not None and name == self.time_name:
            return self.time
        if name not in self._codes:
            self._check_name(name)
            with _lines_for(self.data):
                self._codes[name] = code_labels(self._raw(name), name)
        return self._codes[name]

    def panel_index(self, *, allow_duplicates: bool = False) -> PanelIndex:
        """Entity × time index of all rows."""
        assert self.entity is not None and self.time is not None
        return PanelIndex.from_codes(
            self.entity,
            self.time,
            entity_name=self.entity_name,
            time_name=self.time_name,
            source=self.source,
            allow_duplicates=allow_duplicates,
        )

    def _check_name(self, name: str) -> None:
        if reserved(name):
            refuse_reserved(name, self.data)

    def _raw(self, name: str) -> pd.Series:
        if not isinstance(self.data, pd.DataFrame):
            return _from_narwhals(self.data[name])
        if name in self.data.columns:
            found = self.data[name]
            if isinstance(found, pd.DataFrame):
                raise DataError(
                    f"the frame has {found.shape[1]} columns named {name!r}",
                    "names in use have to be unique",
                    "data = data.loc[:, ~data.columns.duplicated()]",
                )
            if name in self.data.index.names and not np.array_equal(
                found.to_numpy(), self.data.index.get_level_values(name).to_numpy()
            ):
                raise DataError(
                    f"{name!r} names a column and an index level with other values",
                    "a name has to mean one thing",
                    f'data = data.rename(columns={{"{name}": "{name}_2"}})',
                )
            return found
        if name in self.data.index.names:
            return pd.Series(self.data.index.get_level_values(name))
        ids = {self.entity_name: self.entity, self.time_name: self.time}
        coded = ids[name]
        assert coded is not None
        return pd.Series(coded.labels.take(coded.codes))


def _on_positions(values: pd.Series, name: str) -> pd.Series:
    """The same values under a name, positions as their index."""
    out = pd.Series(values, copy=False)
    out.index, out.name = pd.RangeIndex(len(values)), name
    return out


@contextmanager
def _lines_for(data: Any) -> Iterator[None]:
    """Fixes of errors raised inside run on the caller's kind of frame."""
    try:
        yield
    except DataError as error:
        if isinstance(data, pd.DataFrame) or not str(error.fix).startswith("data["):
            raise
        raise DataError(error.found, error.needed, prepared("foreign") + str(error.fix)) from None


def plain_column(values: pd.Series, name: str = "") -> pd.Series:
    """A copy of a column with NumPy types and positions as its index.

    Numbers of any storage become float64 or int64 (missing: NaN), truth values bool, text object; numbers
    stored as objects become numbers.  Categoricals and dates stay.

    Parameters
    ----------
    values : (n,) pandas.Series
    name : str

    Returns
    -------
    (n,) pandas.Series
    """
    array = _plain_array(values)
    if array.dtype.kind == "O" and pd.api.types.infer_dtype(array, skipna=True) == "mixed":
        refuse_cells(array, name)
    return pd.Series(array, index=pd.RangeIndex(len(values)), name=name, copy=False)


def _plain_array(values: pd.Series) -> Any:
    dtype = values.dtype
    if isinstance(dtype, pd.SparseDtype):
        return _plain_array(pd.Series(np.asarray(values)))
    if isinstance(dtype, pd.CategoricalDtype):
        return values.array.copy()
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        return np.array(values.to_numpy(), dtype=np.float64)
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_integer_dtype(dtype):
        if values.isna().any():
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        if dtype.kind == "u":
            return np.array(values.to_numpy(), dtype=np.int64 if dtype.itemsize < 8 else np.float64)
        return values.to_numpy(dtype=bool if pd.api.types.is_bool_dtype(dtype) else np.int64, copy=True)
    if pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c":
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    if pd.api.types.is_datetime64_any_dtype(dtype) or dtype.kind in "mMc" or isinstance(dtype, pd.PeriodDtype):
        return values.array.copy()
    objects = np.array(values.array, dtype=object)
    kind = pd.api.types.infer_dtype(objects, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal", "boolean"):
        return np.array([np.nan if pd.isna(value) else float(value) for value in objects])
    return objects


_WHO = (
    "entity",
    "firm",
    "id",
    "state",
    "country",
    "unit",
    "individual",
    "company",
    "county",
    "person",
    "region",
    "bank",
)
_WHEN = ("time", "year", "date", "month", "quarter", "period", "week", "day", "t")


def read_frame(data: Any, *, entity: Any = None, time: Any = None, require_ids: bool = True) -> PanelFrame:
    """Find the ids of a frame.

    Parameters
    ----------
    data : DataFrame
        pandas with a two-level MultiIndex (entity, time), or any eager frame narwhals reads with ``entity=``
        and ``time=``; a mapping of columns is taken as a pandas frame.
    entity, time : str or array_like (n,), optional
        Names of columns or index levels, or the labels themselves.  ``time="number(ym)"`` says that numbers which
        look like dates are none, ``time="date(ym)"`` makes them the dates that they look like.
    require_ids : bool
        If False, a frame without ids is accepted and ``entity``, ``time`` of the answer are None.

    Raises
    ------
    DataError
        Not a frame, or no (entity, time) to be found, or levels in the wrong order.
    """
    data = _eager(data)
    if len(data) == 0:
        raise DataError("the frame has no rows", "observations are needed", "check how data was filtered or merged")
    if isinstance(data, pd.DataFrame):
        data = _named_columns(data)
    row_index = data.index if isinstance(data, pd.DataFrame) else pd.RangeIndex(len(data))
    names = tuple(name for name in data.columns if isinstance(name, str))
    if isinstance(data, pd.DataFrame):
        names += tuple(str(name) for name in data.index.names if name is not None and name not in names)
    if entity is None and time is None:
        ids = _ids_from_index(data, names, require_ids)
    else:
        ids = _ids_from_names(data, names, entity, time)
    entity_codes, time_codes, entity_name, time_name, source = ids
    for name in (entity_name, time_name):
        if entity_codes is not None and reserved(name) and name in names:
            refuse_reserved(name, data)
    given = tuple(name for name in (entity_name, time_name) if entity_codes is not None and name not in names)
    return PanelFrame(data, row_index, names + given, entity_codes, time_codes, entity_name, time_name, source)


def ids_by_name(entity: Any, time: Any) -> tuple[str | None, str | None]:
    """The ids as a caller named them; None for labels, and for those of an index."""
    return entity if isinstance(entity, str) else None, time if isinstance(time, str) else None


_Ids = tuple[Codes | None, Codes | None, str, str, str]


def _eager(data: Any) -> Any:
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        return pd.DataFrame(dict(data))
    _refuse_elsewhere(data)
    try:
        import narwhals.stable.v1 as nw

        return nw.from_native(data, eager_only=True)
    except (ImportError, TypeError):
        raise DataError(
            f"data is a {type(data).__module__}.{type(data).__qualname__}",
            "a DataFrame is needed (pandas, or polars, pyarrow and others through narwhals), "
            "or arrays y (N, T) and x (N, T, p) given to the model itself",
            "data = pd.DataFrame(data)",
        ) from None


_TO_MEMORY = {"polars": "collect()", "duckdb": "df()", "dask": "compute()", "pyspark": "toPandas()"}
_READERS = {".csv": "read_csv", ".tsv": "read_table", ".xlsx": "read_excel", ".dta": "read_stata"}


def _refuse_elsewhere(data: Any) -> None:
    """Rows that are named, or in an engine: here they are needed in memory."""
    needed = "a DataFrame is needed, its rows in memory (PartialledOLS takes paths and lazy frames)"
    if isinstance(data, (str, PathLike)):
        reader = _READERS.get(PurePath(data).suffix.lower(), "read_parquet")
        raise DataError(f"data is the path {str(data)!r}", needed, f"data = pd.{reader}({str(data)!r})")
    package = type(data).__module__.partition(".")[0]
    if package in _TO_MEMORY and not (package == "polars" and hasattr(data, "to_arrow")):
        raise DataError("data is a lazy frame", needed, f"data = data.{_TO_MEMORY[package]}")


def _named_columns(data: pd.DataFrame) -> pd.DataFrame:
    """Columns under one text each: numbers become text, levels are refused."""
    if isinstance(data.columns, pd.MultiIndex):
        raise DataError(
            f"the columns of the frame have {data.columns.nlevels} levels, such as {data.columns[0]}",
            "a column needs one name",
            'data.columns = ["_".join(str(part) for part in name if part != "") for name in data.columns]',
        )
    if all(isinstance(name, str) for name in data.columns):
        return data
    return data.set_axis([str(name) for name in data.columns], axis=1)


def _ids_from_index(data: Any, names: tuple[str, ...], require_ids: bool) -> _Ids:
    index = data.index if isinstance(data, pd.DataFrame) else None
    if index is None or index.nlevels != 2:
        if not require_ids:
            return None, None, "entity", "time", "columns" if isinstance(data, pd.DataFrame) else "foreign"
        raise _no_ids(index, names)
    entity, time = level_codes(index, 0), level_codes(index, 1)
    entity_name, time_name = (
        str(name) if name is not None else default
        for name, default in zip(index.names, ("entity", "time"), strict=True)
    )
    said = [str(name) if name is not None else "" for name in index.names]
    check_swapped(entity, time, said[0], said[1], index=True)
    return entity, time, entity_name, time_name, "index" if None not in index.names else "unnamed index"


def _likely_ids(names: Sequence[str]) -> tuple[str, str]:
    """Columns that look like who and when; "firm" and "year" where none does."""
    for pair in (("__index_level_0__", "__index_level_1__"), ("Unnamed: 0", "Unnamed: 1")):
        if set(pair) <= set(names):
            return pair
    parts = [(name, re.split(r"[\W_]+", name.casefold())) for name in names]
    found = [next((name for word in words for name, own in parts if word in own), "") for words in (_WHO, _WHEN)]
    return found[0] or "firm", found[1] or "year"


def _no_ids(index: pd.Index | None, names: tuple[str, ...]) -> DataError:
    columns = f"the frame has {first_of(names, 8)}"
    who, when = _likely_ids(names)
    if index is None:
        return DataError(
            "neither entity= nor time= was given, and this kind of frame has no index",
            f"the columns that say who and when are needed; {columns}",
            f'entity="{who}", time="{when}"',
        )
    if index.nlevels == 1:
        return DataError(
            "the frame has a one-level index, and neither entity= nor time= was given",
            f'two levels or the names of two columns are needed, data.set_index(["{who}", "{when}"]); {columns}',
            f'entity="{who}", time="{when}"',
        )
    levels = [str(name) for name in index.names]
    return DataError(
        f"the index has {index.nlevels} levels: {', '.join(levels)}",
        f'two are needed, entity first and time second, or names: entity="{levels[0]}", time="{levels[-1]}"',
        f"data = data.reset_index(level={levels[1:-1]})",
    )


def _ids_from_names(data: Any, names: tuple[str, ...], entity: Any, time: Any) -> _Ids:
    time, reading = split_reading(time, names)
    if entity is None or time is None:
        entity, time = _other_level(data, entity, time)
    if isinstance(entity, str) and entity == time:
        raise DataError(
            f"entity= and time= both name {entity!r}",
            "two different columns are needed",
            'entity="firm", time="year"',
        )
    with _lines_for(data):
        coded = [_id_codes(data, names, given, role) for given, role in ((entity, "entity"), (time, "time"))]
    if reading:
        coded[1] = read_as(coded[1], reading, time)
    source = "columns" if isinstance(time, str) else "arrays"
    if source == "columns" and not isinstance(data, pd.DataFrame):
        source = "foreign"
    levels = list(data.index.names) if isinstance(data, pd.DataFrame) else []
    if isinstance(time, str) and time in levels and time not in data.columns:
        source = "index"
    entity_name = entity if isinstance(entity, str) else str(getattr(entity, "name", None) or "entity")
    time_name = time if isinstance(time, str) else str(getattr(time, "name", None) or "time")
    if source in ("columns", "foreign") and isinstance(entity, str):
        check_swapped(coded[0], coded[1], entity_name, time_name, index=False)
    return coded[0], coded[1], entity_name, time_name, source


def split_reading(time: Any, names: Sequence[str]) -> tuple[Any, str]:
    """The name in ``time="number(ym)"`` or ``"date(ym)"``, and which of the two it is; "" without."""
    found = re.fullmatch(r"\s*(number|date)\((.+)\)\s*", time) if isinstance(time, str) and time not in names else None
    return (found[2].strip(), found[1]) if found else (time, "")


def read_as(time: Codes, reading: str, name: str) -> Codes:
    """Times that are said to be plain numbers, or the dates that they look like."""
    if reading == "number":
        return replace(time, plain=True)
    grid = order_times(time.labels, name)
    if grid.packed is not None:
        return replace(time, labels=grid.packed.dates, complete=False)
    if looks_like_dates(time.labels):
        return time
    raise DataError(
        f"the times of {name!r} ({first_of(time.labels, 3)}) are no numbers that stand for dates",
        'time="date(...)" reads 201907, 20001 or 20200131',
        f'time="{name}"',
    )


def _other_level(data: Any, entity: Any, time: Any) -> tuple[Any, Any]:
    """Complete a lone ``entity=`` or ``time=`` from a two-level index that has the other one."""
    given, missing = ("entity", "time") if time is None else ("time", "entity")
    value = entity if time is None else time
    levels = list(data.index.names) if isinstance(data, pd.DataFrame) else []
    if isinstance(value, str) and len(levels) == 2 and value in levels:
        other = levels[1 - levels.index(value)]
        if isinstance(other, str):
            return (value, other) if time is None else (other, value)
    raise DataError(
        f"{given}= was given without {missing}=",
        "both are needed",
        f'pass entity="firm", {missing}="..."' if missing == "time" else 'pass entity="...", time="..."',
    )


def _id_codes(data: Any, names: tuple[str, ...], given: Any, role: str) -> Codes:
    if isinstance(given, str):
        if isinstance(data, pd.DataFrame) and given not in data.columns and given in data.index.names:
            level = list(data.index.names).index(given)
            return level_codes(data.index, level) if data.index.nlevels > 1 else code_labels(data.index, given)
        if given in names:
            column = data[given]
            return code_labels(column if isinstance(data, pd.DataFrame) else _from_narwhals(column), given)
        near = did_you_mean(given, names)
        raise DataError(
            f"{role}={given!r} is neither a column nor an index level",
            f"there are {first_of(names, 12)}",
            f'{role}="{near}"' if near else f'{role}="..."',
        )
    if np.ndim(given) != 1 or len(given) != len(data):
        raise DataError(
            f"{role}= has shape {np.shape(given)} for {len(data)} rows",
            "a name or one label per row is needed",
            f'{role}="..."',
        )
    return code_labels(given, role)


def _from_narwhals(column: Any) -> pd.Series:
    """A narwhals Series as a pandas one, by way of NumPy or plain lists (pyarrow need not be there)."""
    import narwhals.stable.v1 as nw

    dtype = column.dtype
    if dtype == nw.Enum:
        native = getattr(column.to_native(), "dtype", None)
        known = getattr(native, "categories", None)
        categories = list(known) if known is not None else column.cat.get_categories().to_list()
        return pd.Series(pd.Categorical(column.to_list(), categories=categories, ordered=True))
    if dtype == nw.Datetime and getattr(dtype, "time_zone", None) is not None:
        return pd.Series(column.dt.replace_time_zone(None).to_numpy())  # the clock of the zone, not of Greenwich
    if dtype.is_numeric() or any(dtype == kind for kind in (nw.Boolean, nw.Date, nw.Datetime, nw.Duration)):
        try:
            values = column.to_numpy()
        except Exception:  # numbers that NumPy has not, such as Int128
            values = np.array(column.to_list(), dtype=object)
        return pd.Series(values if values.dtype.kind != "O" else values.astype(object))
    return pd.Series(column.to_list(), dtype=object)
