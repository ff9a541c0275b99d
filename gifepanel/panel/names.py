"""Names of columns that a formula, a hypothesis or a table takes for a number or for the constant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NoReturn

import pandas as pd

from gifepanel.exceptions import DataError, FormulaError
from gifepanel.panel.text import did_you_mean, first_of
from gifepanel.spellings.formulas import meaning_of

__all__ = ["refuse_quoted", "refuse_reserved", "reserved", "unknown_names"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORDS = ("True", "False", "None")  # which Python reads as values inside a call
_QUOTED = re.compile(r"`([^`]*)`")


def reserved(name: Any) -> bool:
    """Whether a name is a number, or that of the constant."""
    return isinstance(name, str) and (name == "Intercept" or _NUMBER.fullmatch(name.strip()) is not None)


def refuse_quoted(text: str, names: Iterable[str], data: Any) -> None:
    """Refuse reserved names in backticks, which formulaic takes for numbers.

    Parameters
    ----------
    text : str
        Of a formula.
    names : iterable of str
        Columns and index levels; what is none of them is for others to refuse, unless it would be taken for a number.
    data : pandas.DataFrame or narwhals.DataFrame
    """
    known = set(names)
    for name in _QUOTED.findall(text):
        if (reserved(name) or name in _WORDS) and name in known:
            refuse_reserved(name, data)
        if reserved(name):
            raise DataError(f"the formula names `{name}`, which is not in the data", "it would be taken for a number")


def refuse_reserved(name: str, data: Any, variable: str = "data") -> NoReturn:
    """Raise with the line that renames a column or index level.

    Parameters
    ----------
    name : str
    data : pandas.DataFrame, pandas.Series or narwhals.DataFrame
    variable : str
        What the caller's object is called in the fix.

    Raises
    ------
    DataError
    """
    what = "the constant" if name == "Intercept" else "a value" if name in _WORDS else "the constant or a number"
    raise DataError(
        f"{name!r} is used as a name",
        f"formulas, hypotheses and tables would take it for {what}: another name is needed",
        _renaming(name, data, variable),
    )


def _renaming(name: str, data: Any, variable: str) -> str:
    if isinstance(data, pd.Series):
        return f'{variable} = {variable}.rename("{_free(name, ())}")'
    new = _free(name, [str(column) for column in data.columns])
    if not isinstance(data, pd.DataFrame):
        if getattr(getattr(data, "implementation", None), "is_pyarrow", lambda: False)():
            listed = f'["{new}" if name == "{name}" else name for name in {variable}.column_names]'
            return f"{variable} = {variable}.rename_columns({listed})"
        return f'{variable} = {variable}.rename({{"{name}": "{new}"}})'
    if name in data.columns:
        text = "" if name == "Intercept" else "rename(columns=str)."  # a number or value itself may be the name
        return f'{variable} = {variable}.{text}rename(columns={{"{name}": "{new}"}})'
    level = next((level for level in data.index.names if str(level) == name), name)
    return f'{variable} = {variable}.rename_axis(index={{{level!r}: "{new}"}})'


def _free(name: str, taken: Iterable[str]) -> str:
    """A name nobody has: "x1" for "1", "const" for "Intercept"."""
    new = "const" if name == "Intercept" else "x" + re.sub(r"\W", "_", name.strip())
    while new in taken:
        new += "_"
    return new


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
