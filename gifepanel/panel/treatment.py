"""Which rows are treated, and how far they are from the start of their treatment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError, FormulaError, SpecificationError
from gifepanel.panel.expressions import PRIVATE
from gifepanel.panel.frames import PanelFrame, plain_column, read_frame
from gifepanel.panel.grammar import read_formula
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.labels import check_aligned
from gifepanel.panel.matrices import PanelDesign
from gifepanel.panel.names import unknown_names
from gifepanel.panel.terms import read_terms
from gifepanel.panel.text import first_of, show
from gifepanel.panel.transforms import PanelFunctions

__all__ = ["Treatment", "read_treatment"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Treatment:
    """Treated rows of a design, and the rows that a fit leaves out for them.

    Attributes
    ----------
    design : PanelDesign
        Of all rows.
    treated : (n,) bool
    event_time : (n,) float64
        Periods since the treatment began: 0 in the first treated period, -1 in the one before. Where it begins again,
        each row goes by the next beginning, treated rows by their own. NaN where nothing begins: never treated, treated
        from the first row on, after the last treatment.
    cohort : (N,) int64
        Position in `times` of the first treated period of each entity; -1 where there is none.
    times : (T,) pandas.Index
        Of all rows of the data, those left out for missing values among them: event times count from the first treated
        period whether its outcome is known or not.
    switches_off : int
        Entities that are untreated after they were treated.
    anticipation : int
    name : str
        Of the treatment, for messages.
    """

    design: PanelDesign
    treated: BoolArray
    event_time: FloatArray
    cohort: IntArray
    times: pd.Index
    switches_off: int
    anticipation: int
    name: str

    @property
    def left_out(self) -> BoolArray:
        """Rows (n,) that are not in the fit: the treated ones, and those of anticipation."""
        before = (self.event_time < 0) & (self.event_time >= -self.anticipation)
        return np.asarray(self.treated | before)

    def untreated(self) -> PanelDesign:
        """The design of the rows that are in the fit."""
        return self.design.take(~self.left_out, "treated throughout")

    def with_anticipation(self, periods: int) -> Treatment:
        """The same with so many periods before treatment left out of the fit."""
        return replace(self, anticipation=periods)


def read_treatment(
    treated: Any,
    design: PanelDesign,
    data: Any,
    *,
    entity: Any = None,
    time: Any = None,
    context: Mapping[str, Any] | None = None,
    anticipation: int = 0,
) -> Treatment:
    """Read which rows are treated.

    Parameters
    ----------
    treated : str or array_like
        A column of zeros and ones or truth values, an expression of columns (``"(year >= start) & region_a"``), or one
        value per row of the data.
    design : PanelDesign
        Of all rows of the data.
    data : DataFrame
    entity, time : str or array_like, optional
    context : mapping, optional
        What expressions may use besides columns.
    anticipation : int

    Raises
    ------
    DataError
        Values that are missing, or other than 0 and 1; nobody treated, everybody always.
    FormulaError
        An expression that can't be read.
    """
    frame = read_frame(data, entity=entity, time=time)
    name, values = _values(treated, frame, design, context)
    rows = design.esample
    truth = _truth(values, name, frame, rows, isinstance(treated, str))
    _check_both(truth[rows], name)
    index = frame.panel_index()
    event_time, first = _event_times(index, truth)
    cohort = first[index.entities.get_indexer(design.index.entities)]
    entity_codes, before = design.index.entity_codes, cohort[design.index.entity_codes]
    off = ~truth[rows] & (before >= 0) & (index.time_codes[rows] > before)
    n_off = len(np.unique(entity_codes[off]))
    return Treatment(design, truth[rows], event_time[rows], cohort, index.times, n_off, anticipation, name)


def _check_both(treated: BoolArray, name: str) -> None:
    """Some rows must be treated, and some not."""
    if not treated.any():
        raise DataError(
            f"No row is treated: {name!r} is 0 in all {len(treated)} rows of the sample.",
            "What would have been is asked of treated rows.",
            "treated=None",
        )
    if treated.all():
        raise DataError(
            f"All {len(treated)} rows are treated ({name!r}).",
            "What would have been is learned from rows without treatment.",
            f'treated="{name} == 0", if {name} marks the rows without treatment',
        )


# ---- values


def _values(
    treated: Any, frame: PanelFrame, design: PanelDesign, context: Mapping[str, Any] | None
) -> tuple[str, pd.Series]:
    """Name and values on all rows of the frame."""
    if isinstance(treated, str):
        if treated in frame.names:
            return treated, frame.column(treated)
        if treated.isidentifier():
            error = unknown_names([treated], frame.names, where="treated=")
            raise SpecificationError(error.found, error.needed, error.fix)
        return treated, _evaluated(treated, frame, design, context or {})
    values = np.asarray(treated)
    if values.shape != (frame.n_rows,):
        raise DataError(
            f"treated has shape {values.shape} for {frame.n_rows} rows.",
            "One value per row is needed, or the name of a column.",
            'treated="name of a column"',
        )
    check_aligned(treated, "treated", frame.row_index)
    return str(getattr(treated, "name", None) or "treated"), plain_column(pd.Series(values))


def _evaluated(text: str, frame: PanelFrame, design: PanelDesign, context: Mapping[str, Any]) -> pd.Series:
    """An expression of columns, on all rows."""
    from gifepanel.panel.formulaic_evaluation import Evaluation

    outcome = design.endog_name
    if text.count("~"):
        raise FormulaError(f"treated is {text!r}.", "It is one expression, no formula.", 'treated="year >= start"')
    terms = read_terms(read_formula(f"{outcome} ~ 0 + I({text})"), frame, context, ids=True)
    functions = PanelFunctions(frame.panel_index)
    private = {PRIVATE.format(name): function for name, function in functions.namespace().items()}
    columns = {name: frame.column(name) for name in terms.columns}
    values = Evaluation(terms.parsed, columns, frame.n_rows, {**terms.context, **private})
    found = [value for key, value in values.values().items() if key in terms.right]
    if len(terms.right) != 1 or len(found) != 1 or len(found[0].columns) != 1:
        raise FormulaError(
            f"treated is {text!r}.", "It is one expression that is true or false.", 'treated="year >= start"'
        )
    column = pd.Series(np.asarray(next(iter(found[0].columns.values()))))
    values.close()
    frame.forget_columns()
    return column


def _truth(values: pd.Series, name: str, frame: PanelFrame, sample: BoolArray, named: bool) -> BoolArray:
    """True where treated, on all rows; what is missing out of the sample (n_rows,) is taken as untreated.

    Raises
    ------
    DataError
        Missing values, or others than 0 and 1.
    """
    own = f'data["{name}"]' if named and name in frame.names else "treated"
    missing = np.asarray(values.isna())
    if (missing & sample).any():
        rows = np.flatnonzero(missing & sample)
        raise DataError(
            f"The treatment {name!r} is missing in {rows.size} rows, first row {rows[0]}.",
            "Every row is treated or not.",
            f"{own} = {own}.fillna(0)  # where missing means untreated",
        )
    if values.dtype.kind not in "biuf":
        known = first_of(pd.unique(values.dropna()), 4)
        last = pd.unique(values.dropna())[-1]
        raise DataError(
            f"The treatment {name!r} holds {known}.",
            "Zeros and ones are needed, or truth values.",
            f'treated="{name} == {show(last)}"' if named else f"treated = treated == {show(last)}",
        )
    numbers = np.where(missing, 0.0, values.to_numpy(dtype=np.float64, na_value=np.nan))
    other = (numbers != 0) & (numbers != 1)
    if other.any():
        raise DataError(
            f"The treatment {name!r} has other values than 0 and 1: {first_of(np.unique(numbers[other]), 4)}.",
            "Zeros and ones are needed, or truth values.",
            _in_zeros_and_ones(numbers, name, frame, named),
        )
    return np.asarray(numbers == 1)


def _in_zeros_and_ones(numbers: FloatArray, name: str, frame: PanelFrame, named: bool) -> str:
    """What is probably meant: treated from a period on, where the values are periods."""
    times = frame.codes(frame.time_name).labels if frame.time_name in frame.names or frame.time is not None else None
    values = np.unique(numbers[numbers != 0])
    if named and times is not None and pd.api.types.is_numeric_dtype(times) and np.isin(values, times).any():
        return f'treated="({name} > 0) & ({frame.time_name} >= {name})"'
    return f'treated="{name} > 0"' if named else "treated = treated > 0"


# ---- event time


def _event_times(index: PanelIndex, treated: BoolArray) -> tuple[FloatArray, IntArray]:
    """Periods since treatment began (n,), and the first treated period of each entity (N,)."""
    order = np.lexsort((index.time_codes, index.entity_codes))
    entity, time, on = index.entity_codes[order], index.time_codes[order], treated[order]
    first = np.concatenate([[True], entity[1:] != entity[:-1]])
    begins = on & ~np.concatenate([[False], on[:-1]]) & ~first
    n = len(order)
    position = np.arange(n)
    last_begin = np.maximum.accumulate(np.where(begins, position, -1))
    starts = np.maximum.accumulate(np.where(first, position, 0))
    last_begin = np.where(last_begin >= starts, last_begin, -1)
    next_begin = np.minimum.accumulate(np.where(begins, position, n)[::-1])[::-1]
    ends = np.minimum.accumulate(np.where(np.concatenate([first[1:], [True]]), position, n)[::-1])[::-1]
    next_begin = np.where(next_begin <= ends, next_begin, -1)
    onset = np.where(on, last_begin, next_begin)
    periods = index.periods[time].astype(np.float64)
    sorted_events = np.where(onset >= 0, periods - periods[np.maximum(onset, 0)], np.nan)
    event_time = np.empty(n)
    event_time[order] = sorted_events
    cohort = np.full(index.n_entities, index.n_times, dtype=np.int64)
    np.minimum.at(cohort, entity[on], time[on])
    return event_time, np.where(cohort == index.n_times, -1, cohort)
