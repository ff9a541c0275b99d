"""What it takes to rebuild a design on new data, exactly and in another process."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError, FormulaError
from gifepanel.panel.allowed import OnlyKnown, check_allowed
from gifepanel.panel.checks import check_finite, missing_in, term_not_finite, unknown_names
from gifepanel.panel.expressions import PRIVATE, Expression, missing_rows, read_expression, uses_panel
from gifepanel.panel.frames import PanelFrame, read_frame
from gifepanel.panel.grammar import AbsorbedEffect
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.text import first_of
from gifepanel.panel.transforms import PanelFunctions

__all__ = ["DesignSpec", "NewExog", "capture_context"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


class _Module(NamedTuple):
    """A module, by name."""

    name: str

    def load(self) -> ModuleType:
        return import_module(self.name)


class NewExog(NamedTuple):
    """Regressors on new data.

    Attributes
    ----------
    exog : (m, p) float64
        Complete rows, in the order of the new data.
    panel : PanelIndex or None
        Entity × time index of those rows; None if the new data have no ids and no lag asks for them.
    row_index : (m,) pandas.Index
    esample : (n_rows,) bool
        Which rows of the new data are complete.
    controls : (m, k) float64
        Columns that are partialled out.
    """

    exog: FloatArray
    panel: PanelIndex | None
    row_index: pd.Index
    esample: BoolArray
    controls: FloatArray


def capture_context(context: int | Mapping[str, Any] | None, depth: int = 1) -> Mapping[str, Any]:
    """Names a formula may use besides columns.

    Parameters
    ----------
    context : int, mapping or None
        A mapping of names; or how many frames above the caller of the calling function to look (0: that
        caller); None: NumPy's functions, and nothing else runs (see ``gifepanel.panel.allowed``).
    depth : int
        Frames between here and the function whose caller is meant by 0.

    Returns
    -------
    mapping
        A snapshot: globals of that frame, its locals on top.
    """
    if context is None:
        return OnlyKnown()
    if isinstance(context, Mapping):
        return context
    frame = sys._getframe(context + depth + 1)
    return {**frame.f_globals, **frame.f_locals}


@dataclass(frozen=True, eq=False)
class DesignSpec:
    """Recipe of the regressors.

    Attributes
    ----------
    formula : str or None
        None where the design came from frames.
    exog_names : tuple of str
    columns : tuple of str
        Columns (or index levels) the regressors are made of.
    entity, time : str or None
        Names as given by the caller; None for a two-level index.
    entity_name, time_name : str
    absorbed : tuple of AbsorbedEffect
    model_spec : formulaic.ModelSpec or None
    context : dict
        The caller's names that the formula used (functions by reference).
    keep : tuple of int
        Columns of the model spec's matrix that are regressors (all but an absorbed intercept).
    controls : tuple of int
        Columns that are controls.
    """

    formula: str | None
    exog_names: tuple[str, ...]
    columns: tuple[str, ...]
    entity: str | None
    time: str | None
    entity_name: str
    time_name: str
    absorbed: tuple[AbsorbedEffect, ...] = ()
    model_spec: Any = None
    context: dict[str, Any] = field(default_factory=dict)
    keep: tuple[int, ...] = ()
    controls: tuple[int, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Modules (``np`` of ``np.log(x)``) go by name: they can't be pickled themselves."""
        context = {name: _Module(v.__name__) if isinstance(v, ModuleType) else v for name, v in self.context.items()}
        return {**self.__dict__, "context": context}

    def __setstate__(self, state: dict[str, Any]) -> None:
        context = {name: v.load() if isinstance(v, _Module) else v for name, v in state["context"].items()}
        self.__dict__.update({**state, "context": context})

    def exog_for(self, data: Any, *, missing: str = "drop") -> NewExog:
        """Build the regressors on new data.

        Categories, splines and scales are those of the estimation sample; lags look within the new data.

        Parameters
        ----------
        data : DataFrame
            As for the estimation; the outcome need not be there, nor ids unless the formula has lags.
        missing : {"drop", "raise"}

        Raises
        ------
        FormulaError, DataError
            Missing columns, unseen categories, values that are not finite.
        """
        frame = self.read(data)
        unknown = [name for name in self.columns if name not in frame.names]
        if unknown:
            raise unknown_names(unknown, frame.names, where="the model")
        columns = {name: frame.column(name) for name in self.columns}
        found = check_finite(frame, columns, missing=missing, new=True) if frame.n_rows else {}
        index: PanelIndex | None = None
        if self.model_spec is None:
            keep = np.ones(frame.n_rows, dtype=bool)
            for rows in found.values():
                keep &= ~rows
            exog = numeric_matrix(columns, self.exog_names)[keep]
            controls = np.empty((len(exog), 0))
        else:
            matrix, keep = self._from_formula(frame, columns, found)
            exog, controls = matrix[:, self.keep], matrix[:, self.controls]
        if frame.entity is not None:
            index = frame.panel_index(allow_duplicates=True).subset(keep)
        return NewExog(exog, index, frame.row_index[keep], keep, controls)

    def without_rows(self, n_rows: int) -> DesignSpec:
        """The recipe without the caller's arrays of `n_rows` values, which the formula may have used by name."""
        by_row = (np.ndarray, pd.Series, pd.DataFrame, pd.Index, list, tuple)
        context = {
            name: value
            for name, value in self.context.items()
            if not (isinstance(value, by_row) and len(value) == n_rows)
        }
        return replace(self, context=context)

    def read(self, data: Any) -> PanelFrame:
        """Read a new frame, by the names of the first one or by its index."""
        if self.entity is not None or self.time is not None:
            names = (self.entity, self.time)
        else:
            names = (None, None)
            columns = getattr(data, "columns", ())
            levels = getattr(getattr(data, "index", None), "nlevels", 1)
            if levels != 2 and {self.entity_name, self.time_name} <= set(map(str, columns)):
                names = (self.entity_name, self.time_name)
        try:
            return read_frame(data, entity=names[0], time=names[1], require_ids=self.needs_panel)
        except DataError:
            if self.needs_panel or names == (None, None):
                raise
            return read_frame(data, require_ids=False)

    @property
    def needs_panel(self) -> bool:
        """Whether a lag, lead or difference is among the regressors."""
        return any(uses_panel(expression) for expression in self.expressions().values())

    def expressions(self) -> dict[str, Expression]:
        """Factors of the regressors by their text."""
        if self.model_spec is None:
            return {}
        from gifepanel.panel.formulaic_compat import factors_of

        return read_factors(factors_of(self.model_spec.formula))

    def _from_formula(
        self, frame: PanelFrame, columns: Mapping[str, pd.Series], found: Mapping[str, BoolArray]
    ) -> tuple[FloatArray, BoolArray]:
        from gifepanel.panel.formulaic_compat import Evaluation

        functions = PanelFunctions(frame.panel_index)
        evaluation = Evaluation(self.model_spec, columns, frame.n_rows, {**self.context, **private(functions)})
        unseen = evaluation.unseen_levels()
        if unseen:
            term, levels = next(iter(unseen.items()))
            raise FormulaError(
                f"{term} has categories that the model was not estimated with: {first_of(levels)}",
                "only categories of the estimation sample have a coefficient",
                "leave those rows out of the new data, or merge the categories before estimation",
            )
        keep, _ = keep_rows(frame, evaluation, self.expressions(), found, functions, self.context)
        return evaluation.encode(keep).exog.values, keep


# --- shared with design.py ----------------------------------------------------------------------------------


def private(functions: PanelFunctions) -> dict[str, Any]:
    """Panel functions under the names that formulas are rewritten to."""
    return {PRIVATE.format(name): function for name, function in functions.namespace().items()}


def read_factors(factors: Iterable[Any]) -> dict[str, Expression]:
    """Parse factors, leaving out literal numbers."""
    out = {}
    for factor in factors:
        if factor.kind == "literal":
            continue
        try:
            out[factor.text] = read_expression(factor.text, lookup=factor.kind == "lookup")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise FormulaError(
                f"the term {factor.text[:200]} can't be read: {getattr(error, 'msg', error)}",
                "it has to be a Python expression",
                "log(x / z)",
            ) from None
        _refuse_exclusive_or(out[factor.text])
    return out


def _refuse_exclusive_or(expression: Expression) -> None:
    """``I(x^2)``, a power elsewhere, flips a bit of whole numbers in Python."""
    for node in ast.walk(expression.tree):
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor)):
            continue
        if any(isinstance(part, ast.Constant) and type(part.value) in (int, float) for part in (node.left, node.right)):
            raise FormulaError(
                f"the term {expression.text} has a '^', which is no power in Python",
                "a power is written **",
                expression.text.replace("^", "**"),
            )


def resolve_names(
    expressions: Mapping[str, Expression], frame: PanelFrame, context: Mapping[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """Columns and context names that factors use.

    Raises
    ------
    FormulaError
        A name that is nowhere; a bare name that is a variable of the caller's and not a column.
    """
    import builtins

    from gifepanel.panel.formulaic_compat import STANDARD_NAMES

    restricted = isinstance(context, OnlyKnown)
    if restricted:
        check_allowed(expressions, frame.names)
    columns: dict[str, None] = {}
    used: dict[str, Any] = {}
    unknown: dict[str, None] = {}
    for text, expression in expressions.items():
        for name in expression.names:
            if name in frame.names:
                columns[name] = None
            elif restricted and name in STANDARD_NAMES and text != name:
                continue
            elif name in context and text != name and not _shadows(name, context[name], STANDARD_NAMES):
                used[name] = context[name]
            elif (name in STANDARD_NAMES and text != name) or (hasattr(builtins, name) and text != name):
                continue
            else:
                unknown[name] = None
    if unknown:
        error = unknown_names(unknown, frame.names)
        local = next((name for name in unknown if name in context), None)
        if local is not None and error.fix is None:
            error = type(error)(error.found, error.needed, f"data = data.assign({local}={local})")
        raise error
    return list(columns), used


def _shadows(name: str, value: Any, standard: frozenset[str]) -> bool:
    """Whether a caller's name only happens to hide a formula function: ``from math import log``, ``C = 3``."""
    if name not in standard:
        return False
    return getattr(value, "__module__", None) in ("math", "cmath") or not (
        callable(value) or isinstance(value, ModuleType)
    )


def keep_rows(
    frame: PanelFrame,
    evaluation: Any,
    expressions: Mapping[str, Expression],
    found: Mapping[str, BoolArray],
    functions: PanelFunctions,
    context: Mapping[str, Any],
) -> tuple[BoolArray, dict[str, int]]:
    """Rows that are complete, after every factor was checked.

    Returns
    -------
    keep : (n,) bool
    lagged : dict of str to int
        Rows lost to lags, by factor.

    Raises
    ------
    FormulaError
        A factor is not numeric, or not finite although its columns are.
    """
    keep = np.ones(frame.n_rows, dtype=bool)
    lagged: dict[str, int] = {}
    for rows in found.values():
        keep &= ~rows
    for text, value in evaluation.values().items():
        for column in value.columns.values():
            if value.kind == "categorical":
                keep &= ~missing_in(column)
                continue
            array = _numeric(text, column)
            bad = ~np.isfinite(array)
            if array.ndim == 0 or not bad.any():
                continue
            expression = expressions[text]
            if np.isinf(array).any():
                raise term_not_finite(frame, text, array, np.isinf(array))
            allowed = missing_rows(expression, found, functions, frame.n_rows)
            if (bad & ~allowed).any() and not _may_be_missing(expression, context):
                raise term_not_finite(frame, text, array, bad & ~allowed)
            if uses_panel(expression):
                lagged[text] = int(bad.sum())
            keep &= ~bad
    return keep, lagged


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


def numeric_matrix(columns: Mapping[str, pd.Series], names: Iterable[str]) -> FloatArray:
    """Columns as one (n, p) float64 matrix; anything but numbers is an error."""
    out: list[FloatArray] = []
    for name in names:
        values = columns[name]
        if values.dtype.kind not in "biuf":
            raise DataError(
                f"the column {name!r} holds {values.dtype}, not numbers",
                "without a formula, regressors have to be numeric",
                f'exog = pd.get_dummies(exog, columns=["{name}"], drop_first=True, dtype=float), or use a formula',
            )
        out.append(values.to_numpy(dtype=np.float64))
    n = len(next(iter(columns.values()))) if columns else 0
    return np.column_stack(out) if out else np.empty((n, 0))
