"""What it takes to rebuild a design on new data, exactly and in another process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError
from gifepanel.panel.absorbed import AbsorbedEffect
from gifepanel.panel.checks import check_finite
from gifepanel.panel.evaluate import evaluate_anew
from gifepanel.panel.expressions import Expression, uses_panel
from gifepanel.panel.frames import PanelFrame, read_frame
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.names import unknown_names
from gifepanel.panel.sample import complete_rows
from gifepanel.panel.terms import Terms, read_factors

__all__ = ["DesignSpec", "NewExog", "numeric_matrix"]

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
        if self.model_spec is None:
            columns = {name: frame.column(name) for name in self.columns}
            found = check_finite(frame, columns, missing=missing, new=True) if frame.n_rows else {}
            keep = complete_rows(found, {}, frame.n_rows)
            exog = numeric_matrix(columns, self.exog_names)[keep]
            controls = np.empty((len(exog), 0))
        else:
            terms = Terms(self.model_spec, {}, self.expressions(), None, self.absorbed, self.columns, self.context)
            evaluated = evaluate_anew(terms, frame, missing)
            keep = complete_rows(evaluated.missing, evaluated.incomplete, frame.n_rows)
            matrix = evaluated.values.encode(keep).exog
            exog, controls = matrix.take(self.keep), matrix.take(self.controls)
        index = None
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
        from gifepanel.panel.formulaic_parsing import factors_of

        return read_factors(factors_of(self.model_spec.formula))


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
