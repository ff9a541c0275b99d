"""Checks of the data before any work starts: infinities, missing values, balance."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError, DataWarning, FormulaError, SpecificationError
from gifepanel.panel.repairs import prepared
from gifepanel.panel.text import caller_level, did_you_mean, first_of, show
from gifepanel.spellings.formulas import meaning_of

if TYPE_CHECKING:
    from gifepanel.panel.frames import PanelFrame
    from gifepanel.panel.index import PanelIndex

__all__ = [
    "check_aligned",
    "check_finite",
    "check_levels",
    "check_missing_option",
    "empty_error",
    "finite_problems",
    "missing_in",
    "row_names",
    "term_not_finite",
    "unbalanced_error",
    "unknown_names",
    "warn_of_gaps",
]

BoolArray = npt.NDArray[np.bool_]
_FEW_ROWS = 20


def check_missing_option(missing: str) -> None:
    """Refuse anything but "drop" and "raise"."""
    if missing not in ("drop", "raise"):
        raise SpecificationError(f"missing={missing!r} is unknown", 'it is "drop" or "raise"', 'missing="drop"')


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


def row_names(frame: PanelFrame, rows: npt.ArrayLike, limit: int = 3) -> str:
    """The first of some rows (positions), as (entity, time) pairs."""
    rows = np.asarray(rows)
    if frame.entity is None or frame.time is None:
        names = [frame.row_index[int(row)] for row in rows[:limit]]
    else:
        names = [
            (frame.entity.labels[frame.entity.codes[row]], frame.time.labels[frame.time.codes[row]])
            for row in rows[:limit]
        ]
    return first_of(names, limit) + (", ..." if len(rows) > limit else "")


def missing_in(values: Any) -> BoolArray:
    """Rows without a value: NaN, None, NaT, (n,) bool."""
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "biu":
        return np.zeros(len(values), dtype=bool)
    return np.asarray(pd.isna(values), dtype=bool)


def check_finite(
    frame: PanelFrame,
    columns: Mapping[str, pd.Series],
    *,
    missing: str,
    roles: Mapping[str, BoolArray] | None = None,
    new: bool = False,
) -> dict[str, BoolArray]:
    """Look for infinities and missing values in the columns a model uses.

    Parameters
    ----------
    frame : PanelFrame
    columns : mapping of name to (n,) Series
    missing : {"drop", "raise"}
    roles : mapping of name to (n,) bool, optional
        Missing rows of further variables, already known (absorbed effects).
    new : bool
        Rows to predict for: they may all lack a value.

    Returns
    -------
    dict of name to (n,) bool
        Missing rows, of the columns that have any.

    Raises
    ------
    DataError
        ±inf anywhere; a column without any value; NaN where ``missing="raise"``.
    """
    found, problems = finite_problems(frame, columns, missing=missing, roles=roles, new=new)
    if problems:
        raise DataError.of(problems, once=prepared("foreign"))
    return found


def finite_problems(
    frame: PanelFrame,
    columns: Mapping[str, pd.Series],
    *,
    missing: str,
    roles: Mapping[str, BoolArray] | None = None,
    new: bool = False,
) -> tuple[dict[str, BoolArray], list[DataError]]:
    """Missing rows of the columns that have any, and what ``check_finite`` would raise."""
    found: dict[str, BoolArray] = {name: rows for name, rows in (roles or {}).items() if rows.any()}
    infinite: dict[str, BoolArray] = {}
    problems: list[DataError] = []
    for name, values in columns.items():
        if values.dtype.kind == "f":
            array = values.to_numpy()
            if not np.isfinite(array).all():
                nan, inf = np.isnan(array), np.isinf(array)
                found |= {name: nan} if nan.any() else {}
                infinite |= {name: inf} if inf.any() else {}
        else:
            rows = missing_in(values)
            found |= {name: rows} if rows.any() else {}
    if infinite:
        names = [name for name in infinite if name in frame.names] or list(infinite)
        finite = "; ".join(f'data["{n}"] = data["{n}"].replace([np.inf, -np.inf], np.nan)' for n in names)
        if missing == "raise":
            finite += f"; data = data.dropna(subset={names})"
        problems.append(
            DataError(
                f"infinite values in {_counted(frame, infinite)}",
                "values have to be finite",
                prepared(frame.source) + finite,
            )
        )
    empty = [name for name, rows in found.items() if rows.all()]
    if empty and not new:
        problems.append(
            DataError(
                f"{', '.join(repr(name) for name in empty)} {'has' if len(empty) == 1 else 'have'} no value in any row",
                "each variable needs values",
                "leave it out of the model, or check how it was read or merged",
            )
        )
    if found and missing == "raise":
        problems.append(
            DataError(
                f"missing values in {_counted(frame, found)}",
                'missing="raise" wants every row complete',
                f'missing="drop", or data = data.dropna(subset={list(found)})',
            )
        )
    return found, problems


def _counted(frame: PanelFrame, rows: Mapping[str, BoolArray]) -> str:
    return "; ".join(
        f"{name!r}: {int(where.sum())} of {where.size} rows, first {row_names(frame, np.flatnonzero(where))}"
        for name, where in rows.items()
    )


def check_levels(term: str, column: Any, keep: BoolArray) -> None:
    """Refuse a category with hardly any row to compare, such as numbers that were read as text.

    Parameters
    ----------
    term : str
    column : (n_rows,) array_like
        Of a category.
    keep : (n_rows,) bool
        Complete rows.
    """
    rows = int(keep.sum())
    if rows < _FEW_ROWS or len(column) != keep.size:
        return
    levels = pd.Series(column)[keep].unique()
    if 2 * len(levels) <= rows:
        return
    raise FormulaError(
        f"the term {term} is text or a category with {len(levels)} levels in {rows} rows, such as {show(levels[0])}",
        "a category needs rows to compare",
        "leave it out, or group its levels first",
    )


def term_not_finite(frame: PanelFrame, term: str, values: npt.NDArray[np.float64], rows: BoolArray) -> FormulaError:
    """Error for a term that makes NaN or inf out of finite columns."""
    where = np.flatnonzero(rows)
    kinds = sorted({str(value).replace("nan", "NaN") for value in values[where]})
    found = (
        f"the term {term} is {' or '.join(kinds)} in {where.size} rows where its columns are finite, "
        f"first {row_names(frame, where)}"
    )
    if re.search(r"\.(shift|diff|rolling|pct_change)\(", term):
        return FormulaError(
            found,
            "functions of pandas know neither entities nor periods, and cross from one entity to the next",
            "L(x), F(x) or D(x), or make the column first: data.groupby(level=0)[name].rolling(3).mean()",
        )
    return FormulaError(
        found,
        "terms have to be finite: this is the log of zero or of a negative number, a division by zero, or the like",
        "leave those rows out, data = data[data[name] > 0], or use another form, such as log(1 + x)",
    )


def unknown_names(names: Iterable[str], known: Iterable[str], *, where: str = "the formula") -> FormulaError:
    """Error for names that are neither columns nor functions, with the nearest column suggested."""
    known = list(known)
    names = list(names)
    near = [(name, did_you_mean(name, known)) for name in names]
    suggestions = ", ".join(f"{good!r} instead of {name!r}" for name, good in near if good)
    listed, verb = ", ".join(repr(name) for name in names), "is" if len(names) == 1 else "are"
    elsewhere = next(filter(None, map(meaning_of, names)), None)
    return FormulaError(
        f"{where} names {listed}, which {verb} not in the data",
        f"there are {first_of(known, 20)}",
        elsewhere or (f"did you mean {suggestions}?" if suggestions else None),
    )


def empty_error(n_rows: int, found: Mapping[str, BoolArray], lagged: Mapping[str, int], unit: str) -> DataError:
    """Error for a sample without rows, with what took them."""
    parts = [f"{name!r} is missing in {int(rows.sum())}" for name, rows in found.items()]
    parts += [f"{term} in {count}" for term, count in lagged.items()]
    fix = "leave out the variable with the most missing values"
    if lagged:
        fix = (
            f"use fewer lags; one period is one {unit} here"
            if unit not in ("1", "rank")
            else ("use fewer lags; times that are 5 apart need L(x, 5)")
        )
    return DataError(f"no row is left of {n_rows}: {'; '.join(parts)}", "complete rows are needed", fix)


def warn_of_gaps(index: PanelIndex, what: str) -> None:
    """Warn where periods that no entity has are passed over: the rows beside them count as neighbours."""
    steps = np.diff(index.periods)
    if not steps.size or steps.max() == steps.min():
        return
    where = int(np.argmax(steps))
    warnings.warn(
        DataWarning(
            f"{what} take {show(index.times[where])} and {show(index.times[where + 1])} for neighbours: "
            f"{int(steps[where]) - 1} periods between them are in no row",
            "with factors, times are counted by their place",
            'a sample without the gap, or a covariance that needs no distances, cov_type="HC1" or "cluster"',
        ),
        stacklevel=caller_level(),
    )


def unbalanced_error(
    index: PanelIndex, *, note: str = "", incomplete: Sequence[str] = (), before: PanelIndex | None = None
) -> DataError:
    """Error that names the entities with missing periods and gives code that keeps a balanced block.

    Parameters
    ----------
    index : PanelIndex
        Of the rows in the model.
    note : str
        How rows were lost.
    incomplete : sequence of str
        Columns whose missing values have to go first.
    before : PanelIndex, optional
        Of the complete rows before lags took some: what the code has to balance.
    """
    if index.has_duplicates:
        return DataError(
            "(entity, time) pairs occur more than once",
            "a cube needs each pair once",
            "data.drop_duplicates()",
        )
    counts, n_times = index.counts, index.n_times
    short = np.flatnonzero(counts < n_times)
    listed = "; ".join(f"{show(index.entities[i])} lacks {first_of(index.missing_times(int(i)), 4)}" for i in short[:4])
    more = f"; and {short.size - 4} more entities" if short.size > 4 else ""
    found = f"the panel is unbalanced: {short.size} of {index.n_entities} entities lack periods ({listed}{more})"
    return DataError(
        found + (f". {note}" if note else ""),
        "a balanced panel is needed here, each entity with each period once",
        ("" if index.source == "cubes" else _dropping_code(incomplete))
        + _balancing_code(before or index, lags=before is not None),
    )


def _dropping_code(columns: Sequence[str]) -> str:
    return f"data = data.dropna(subset={list(columns)}); " if columns else ""


def _balancing_code(index: PanelIndex, *, lags: bool) -> str:
    """Keep complete entities, or the periods all entities have, whichever leaves more rows."""
    complete = index.counts == index.n_times
    per_time = np.bincount(index.time_codes, minlength=index.n_times)
    shared = per_time == index.n_entities
    positions = index.periods[shared]
    if lags and positions.size and positions[-1] - positions[0] >= positions.size:
        shared[:] = False  # periods with holes between them would lose still more rows to lags
    by_entity, by_time = int(complete.sum()) * index.n_times, int(shared.sum()) * index.n_entities
    if by_entity == by_time == 0:
        return "no entity has every period and no period has every entity: drop short entities first, then periods"
    entity, time = index.entity_name, index.time_name
    if index.source == "cubes":
        axis, rows = (1, "y[keep], x[keep]") if by_entity >= by_time else (0, "y[:, keep], x[:, keep]")
        return f"keep = ~(np.isnan(y) | np.isnan(x).any(axis=2)).any(axis={axis}); y, x = {rows}"
    if by_entity >= by_time:
        key = f'level="{entity}"' if "index" in index.source else f'"{entity}"'
        what = f"keeps the {int(complete.sum())} complete entities"
        return f"data = data.groupby({key}).filter(lambda rows: len(rows) == {index.n_times})  # {what}"
    times = index.times[shared]
    series = f'data.index.get_level_values("{time}")' if "index" in index.source else f'data["{time}"]'
    per_entity = f"{series}.map({series}.value_counts()) == {index.n_entities}"
    what = f"keeps the {len(times)} periods that all entities have"
    return f"data = data[{per_entity}]  # {what}"
