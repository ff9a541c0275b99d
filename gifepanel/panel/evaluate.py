"""Values of every factor of a formula, and the rows in which one is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError, FormulaError
from gifepanel.panel.absorbed import AbsorbedEffect
from gifepanel.panel.checks import check_finite, missing_in, term_not_finite
from gifepanel.panel.expressions import PRIVATE, Expression, missing_rows, uses_panel
from gifepanel.panel.frames import PanelFrame
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.problems import refuse_problems, text_problems
from gifepanel.panel.terms import Terms
from gifepanel.panel.text import first_of
from gifepanel.panel.transforms import PanelFunctions

if TYPE_CHECKING:
    from gifepanel.panel.formulaic_evaluation import Evaluation

__all__ = ["Evaluated", "Requested", "evaluate", "evaluate_anew", "missing_variables"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Requested:
    """What a model asks of the rows, besides the formula.

    Attributes
    ----------
    missing : {"drop", "raise"}
    ids : bool
        Every row needs an entity and a time.
    """

    missing: str = "drop"
    ids: bool = True


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Factors on all rows of a frame.

    Attributes
    ----------
    values : Evaluation
        To be encoded once the rows to keep are known.
    missing : dict of str to (n_rows,) bool
        Rows in which a variable is missing: of the columns, slopes, weights and effects that have any.
    incomplete : dict of str to (n_rows,) bool
        Rows in which a factor has no value.
    lagged : tuple of str
        Those of ``incomplete`` that look at other periods.
    index : PanelIndex or None
        Who and when all rows are, where the model or a lag asks for it.
    slopes, weights : dict of str to (n_rows,) pandas.Series
    """

    values: Evaluation
    missing: dict[str, BoolArray]
    incomplete: dict[str, BoolArray]
    lagged: tuple[str, ...]
    index: PanelIndex | None
    slopes: dict[str, pd.Series]
    weights: dict[str, pd.Series]


def evaluate(terms: Terms, frame: PanelFrame, weights: dict[str, pd.Series], requested: Requested) -> Evaluated:
    """Check the columns, and evaluate every factor on all rows.

    Raises
    ------
    DataError
        With everything that is wrong with the data.
    FormulaError
        A factor can't be evaluated, is no number, or is not finite where its columns are.
    """
    columns = {name: frame.column_to_read(name) for name in terms.columns}
    slopes = {name: frame.column(name) for effect in terms.effects for name in effect.slopes}
    used = {**columns, **slopes, **weights}
    text = text_problems(frame, used, terms.left, terms.right, tuple(slopes))
    missing, index = missing_variables(frame, used, text, terms.effects, requested, lags=terms.uses_lags)
    functions = PanelFunctions(lambda: _required(index))
    values, incomplete = _values(terms, frame, columns, missing, functions)
    lagged = tuple(text for text in incomplete if uses_panel(terms.expressions[text]))
    return Evaluated(values, missing, incomplete, lagged, index, slopes, weights)


def evaluate_anew(terms: Terms, frame: PanelFrame, missing: str) -> Evaluated:
    """Evaluate the factors of the right side on new data, as an earlier formula did.

    Raises
    ------
    FormulaError, DataError
        Besides those of :func:`evaluate`, for categories that the sample had not.
    """
    columns = {name: frame.column(name) for name in terms.columns}
    found = check_finite(frame, columns, missing=missing, new=True) if frame.n_rows else {}
    functions = PanelFunctions(frame.panel_index)
    values, incomplete = _values(terms, frame, columns, found, functions)
    unseen = values.unseen_levels()
    if unseen:
        term, levels = next(iter(unseen.items()))
        raise FormulaError(
            f"{term} has categories that the model was not estimated with: {first_of(levels)}",
            "only categories of the estimation sample have a coefficient",
            "leave those rows out of the new data, or merge the categories before estimation",
        )
    return Evaluated(values, found, incomplete, (), None, {}, {})


def missing_variables(
    frame: PanelFrame,
    used: Mapping[str, pd.Series],
    text: Mapping[str, DataError],
    effects: Sequence[AbsorbedEffect],
    requested: Requested,
    *,
    lags: bool = False,
) -> tuple[dict[str, BoolArray], PanelIndex | None]:
    """Rows in which a variable is missing, and who and when the rows are, if nothing is wrong with the data.

    `text` are the columns `used` that hold text in place of numbers, `lags` whether distances in time count.
    """
    ids = {name: frame.codes(name) for effect in effects for name in effect.factors}
    return refuse_problems(
        frame,
        used,
        text,
        missing=requested.missing,
        roles={name: coded.codes < 0 for name, coded in ids.items() if not coded.complete},
        ids=requested.ids or lags,
        lags=lags,
    )


def _required(index: PanelIndex | None) -> PanelIndex:
    assert index is not None
    return index


def _values(
    terms: Terms,
    frame: PanelFrame,
    columns: dict[str, pd.Series],
    missing: Mapping[str, BoolArray],
    functions: PanelFunctions,
) -> tuple[Evaluation, dict[str, BoolArray]]:
    """Factors, and the rows in which each has no value."""
    from gifepanel.panel.formulaic_evaluation import Evaluation
    from gifepanel.projections.row_blocks import all_finite

    private = {PRIVATE.format(name): function for name, function in functions.namespace().items()}
    values = Evaluation(terms.parsed, columns, frame.n_rows, {**terms.context, **private})
    incomplete: dict[str, BoolArray] = {}
    for text, value in values.values().items():
        for column in value.columns.values():
            array = None if value.kind == "categorical" else _numeric(text, column)
            if array is not None and array.ndim == 1 and all_finite(array):
                continue
            bad = missing_in(column) if array is None else ~np.isfinite(array)
            if np.ndim(bad) == 0 or not bad.any():
                continue
            if array is not None:
                _check_finite_where_columns_are(text, array, terms, frame, missing, functions)
            incomplete[text] = bad | incomplete[text] if text in incomplete else bad
    return values, incomplete


def _check_finite_where_columns_are(
    text: str,
    array: FloatArray,
    terms: Terms,
    frame: PanelFrame,
    missing: Mapping[str, BoolArray],
    functions: PanelFunctions,
) -> None:
    """Refuse infinities, and NaN in rows where neither a column is missing nor a lag looks out of the panel."""
    expression = terms.expressions[text]
    if np.isinf(array).any():
        raise term_not_finite(frame, text, array, np.isinf(array))
    unexplained = np.isnan(array) & ~missing_rows(expression, missing, functions, frame.n_rows)
    if unexplained.any() and not _may_be_missing(expression, terms.context):
        raise term_not_finite(frame, text, array, unexplained)


def _may_be_missing(expression: Expression, context: Mapping[str, Any]) -> bool:
    """A caller's own function, or an explicit ``np.nan``, may make a row missing on purpose."""
    return bool(re.search(r"\bnan\b", expression.text)) or any(
        callable(context.get(name)) and not isinstance(context[name], np.ufunc) for name in expression.names
    )


def _numeric(text: str, column: Any) -> FloatArray:
    dtype = getattr(column, "dtype", np.asarray(column).dtype)
    if getattr(dtype, "kind", "O") not in "biuf":
        raise FormulaError(
            f"the term {text} holds {dtype}",
            "a regressor is a number, a truth value or a category",
            f"C({text}) for categories, or absorb it: y ~ x | {text}",
        )
    if isinstance(column, pd.Series):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(column, dtype=np.float64)
