"""Checks of the data before any work starts: infinities, missing values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError, FormulaError, SpecificationError
from gifepanel.panel.repairs import prepared, where_defined
from gifepanel.panel.text import first_of, show

if TYPE_CHECKING:
    from gifepanel.panel.frames import PanelFrame

__all__ = [
    "check_finite",
    "check_levels",
    "check_missing_option",
    "check_number_of_levels",
    "finite_problems",
    "missing_in",
    "row_names",
    "term_not_finite",
]

BoolArray = npt.NDArray[np.bool_]
_FEW_ROWS = 20


def check_missing_option(missing: str) -> None:
    """Refuse anything but "drop" and "raise"."""
    if missing not in ("drop", "raise"):
        raise SpecificationError(f"missing={missing!r} is unknown", 'it is "drop" or "raise"', 'missing="drop"')


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
    missing_here, infinite = _missing_and_infinite(columns)
    found |= missing_here
    problems: list[DataError] = []
    if infinite:
        problems.append(_infinite(frame, infinite, missing))
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
                f'data = data.dropna(subset={list(found)})  # or missing="drop"',
            )
        )
    return found, problems


def _infinite(frame: PanelFrame, rows: Mapping[str, BoolArray], missing: str) -> DataError:
    names = [name for name in rows if name in frame.names] or list(rows)
    finite = "; ".join(f'data["{n}"] = data["{n}"].replace([np.inf, -np.inf], np.nan)' for n in names)
    if missing == "raise":
        finite += f"; data = data.dropna(subset={names})"
    return DataError(
        f"infinite values in {_counted(frame, rows)}",
        "values have to be finite",
        prepared(frame.source) + finite,
    )


def _missing_and_infinite(columns: Mapping[str, pd.Series]) -> tuple[dict[str, BoolArray], dict[str, BoolArray]]:
    """Rows of the columns that have any."""
    from gifepanel.projections.row_blocks import all_finite

    missing: dict[str, BoolArray] = {}
    infinite: dict[str, BoolArray] = {}
    for name, values in columns.items():
        if values.dtype.kind != "f":
            rows = missing_in(values)
            missing |= {name: rows} if rows.any() else {}
            continue
        array = values.to_numpy()
        if not all_finite(array):
            nan, inf = np.isnan(array), np.isinf(array)
            missing |= {name: nan} if nan.any() else {}
            infinite |= {name: inf} if inf.any() else {}
    return missing, infinite


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
    if rows >= _FEW_ROWS and len(column) == keep.size:
        check_number_of_levels(term, pd.Series(column)[keep].unique(), rows)


def check_number_of_levels(term: str, levels: Any, rows: int) -> None:
    """The same where levels (m,) are known, of so many complete rows."""
    if rows < _FEW_ROWS or 2 * len(levels) <= rows:
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
            _in_panel_functions(term),
        )
    return FormulaError(
        found,
        "terms have to be finite: this is the log of zero or of a negative number, a division by zero, or the like",
        where_defined(term, frame.names, where.tolist(), frame.source)
        + "  # or another form of the term, such as log(1 + x)",
    )


def _in_panel_functions(term: str) -> str:
    """What to write for ``x.shift(2)`` and the like."""
    found = re.search(r"(\w+)\.(shift|diff|rolling|pct_change)\((?:periods=)?(-?\d*)\)", term)
    name, kind, number = found.groups() if found else ("x", "", "")
    periods = int(number) if number not in ("", "-") else 1
    moved = "F" if periods < 0 else "L"
    written = name if periods == 0 else f"{moved}({name})" if abs(periods) == 1 else f"{moved}({name}, {abs(periods)})"
    if kind == "shift":
        return written
    if kind == "diff":
        return f"I({name} - {written})"
    if kind == "pct_change":
        return f"I({name} / {written} - 1)"
    return f"L({name}), F({name}) or D({name}), or a column made within entities before"
