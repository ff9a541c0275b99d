"""All that is wrong with the data of a model, found before any work and told in one error."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError
from gifepanel.panel.checks import finite_problems, row_names
from gifepanel.panel.expressions import Expression
from gifepanel.panel.frames import PanelFrame
from gifepanel.panel.index import PanelIndex, id_problems
from gifepanel.panel.numbers import is_text, read_text_numbers, repair_of_text
from gifepanel.panel.repairs import prepared

__all__ = ["refuse_problems", "text_problems"]

BoolArray = npt.NDArray[np.bool_]
_OTHER_USE = re.compile(
    r"(?<![\w.])(C|Q|factor|hashed|str|len|map)\b|\.(str|map|isin|astype|eq|ne|cat)\b|[=!<>]=|[<>]|\bin\b"
)


def refuse_problems(
    frame: PanelFrame,
    columns: Mapping[str, pd.Series],
    text: Mapping[str, DataError],
    *,
    missing: str,
    roles: Mapping[str, BoolArray],
    ids: bool,
    lags: bool = False,
) -> tuple[dict[str, BoolArray], PanelIndex | None]:
    """Rows in which a variable is missing, and who and when the rows are, if nothing is wrong.

    Parameters
    ----------
    frame : PanelFrame
    columns : mapping of name to (n,) Series
        What the model uses.
    text : mapping of name to DataError
        Columns of text that should hold numbers.
    missing : {"drop", "raise"}
    roles : mapping of name to (n,) bool
        Missing rows of absorbed effects.
    ids : bool
        Whether each row needs an entity and a time.
    lags : bool
        Whether distances in time count.

    Raises
    ------
    DataError
        With one entry of ``problems`` for each thing that is wrong, if there are several.
    """
    problems: list[DataError] = []
    index = None
    if ids and frame.entity is not None and frame.time is not None:
        problems, index = id_problems(
            frame.entity, frame.time, frame.entity_name, frame.time_name, frame.source, distances=lags
        )
    found, more = finite_problems(frame, columns, missing=missing, roles=roles)
    problems = [*problems, *text.values(), *more]
    if problems:
        raise DataError.of(problems, once=prepared("foreign"))
    return found, index


def text_problems(
    frame: PanelFrame,
    columns: Mapping[str, pd.Series],
    outcome: Mapping[str, Expression],
    regressors: Mapping[str, Expression],
    numeric: Sequence[str] = (),
) -> dict[str, DataError]:
    """Columns of text that a model uses as numbers, if most of their cells are numbers.

    Parameters
    ----------
    frame : PanelFrame
    columns : mapping of name to (n,) Series
    outcome, regressors : mapping of str to Expression
        Factors of both sides.  A column of text alone is a category on the right, unless it has nearly as many
        levels as rows, or many with decimals.
    numeric : sequence of str
        Columns that have to be numbers, such as those with slopes by level.
    """
    text = [name for name, values in columns.items() if is_text(values)]
    if not text:
        return {}
    must = set(numeric) | {n for expression in outcome.values() for n in _as_numbers(expression)}
    must |= {n for expression in regressors.values() if not _alone(expression) for n in _as_numbers(expression)}
    alone = {n for expression in regressors.values() if _alone(expression) for n in expression.names}
    out = {}
    for name in text:
        values = columns[name]
        category = name in alone and name not in must
        if (category and isinstance(values.dtype, pd.CategoricalDtype)) or name not in must | alone:
            continue
        levels, rows = values.nunique(), int(values.notna().sum())
        if category and levels <= 10 and 2 * levels <= rows:
            continue
        repair = repair_of_text(name, values, frame.source, lambda rows: row_names(frame, rows))
        if repair is None:
            continue
        said, needed, fix = repair
        if category:
            many = 2 * levels > rows >= 20
            if not many and not read_text_numbers(values).marked:
                continue
            said = said.replace("numbers as text", f"numbers as text with {levels} levels in {rows} rows", 1)
            needed += f", or C({name}) if they are categories"
        out[name] = DataError(said, needed, fix)
    return out


def _alone(expression: Expression) -> bool:
    return isinstance(expression.tree, ast.Name)


def _as_numbers(expression: Expression) -> tuple[str, ...]:
    """Columns that the expression computes with; none where it makes categories or compares."""
    if _alone(expression):
        return expression.names
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", expression.text)
    return () if _OTHER_USE.search(bare) else expression.names
