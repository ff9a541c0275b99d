"""Prediction in the sample and on new rows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, DataWarning, caller_level
from gifepanel.inference.estimate import FactorEstimate, mean_slopes
from gifepanel.panel.cubes import float_array
from gifepanel.results.new_data import matrix_of

if TYPE_CHECKING:
    from gifepanel.panel.index import PanelIndex
    from gifepanel.panel.matrices import PanelDesign

__all__ = ["PredictedParts", "predict", "rows_to_predict"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

_NO_ENTITY = ("An entity out of the sample has no group, effect or loadings.", "Leave its rows out.")
_NO_PERIOD = ("A period out of the sample has no effect or factors.", "res.predict(data, effects=False)")


@dataclass(frozen=True, eq=False)
class PredictedParts:
    """What predictions are sums of, without a row of the data: attributes as of :class:`FactorEstimate`."""

    theta: Array
    slots: IntArray
    groups: IntArray
    factors: Array
    loadings: Array
    entity_effect: Array
    time_effect: Array
    entity_effects: bool
    time_effects: bool
    known_slopes: tuple[dict[str, Array], dict[str, Array]] = field(default_factory=lambda: ({}, {}))
    posterior: Array | None = None

    @property
    def unit_slopes(self) -> Array:
        """Slopes of every entity (N, p)."""
        return mean_slopes(self.theta[self.slots], self.groups, self.posterior)

    @classmethod
    def of(cls, estimate: FactorEstimate) -> PredictedParts:
        """The parts of an estimate."""
        return cls(**{name: getattr(estimate, name) for name in cls.__dataclass_fields__})


def predict(
    design: PanelDesign,
    estimate: FactorEstimate | PredictedParts,
    kept: list[int],
    data: Any,
    effects: bool,
    left_out: tuple[Sequence[Any], Sequence[Any]] = ((), ()),
) -> pd.Series:
    """Linear part by group, plus effects and factors where asked for.

    Parameters
    ----------
    design : PanelDesign
    estimate : FactorEstimate
    kept : list of int
        Columns of the design that are in the model.
    data : DataFrame, array (m, p) or (N, T, p), or None
    effects : bool
    left_out : pair of sequences
        Entities and periods that were in the data and not in the fit: their rows have no prediction.
    """
    exog, index, rows, keep = rows_to_predict(design, data)
    x = exog[:, kept]
    grouped = estimate.slots.shape[0] > 1
    r, slopes = estimate.factors.shape[1], estimate.known_slopes
    by_entity = bool(estimate.entity_effects or r or slopes[0])
    by_time = bool(estimate.time_effects or r or slopes[1])
    if not (grouped or (effects and (by_entity or by_time))):
        return _labelled(x @ estimate.theta[estimate.slots[0]], data, keep, rows)
    if index is None:
        raise DataError(
            "The new data do not say which entity and period a row belongs to.",
            "Groups, effects and factors need both.",
            f'data.set_index(["{design.index.entity_name}", "{design.index.time_name}"])',
        )
    i = t = np.zeros(len(x), dtype=np.int64)
    if grouped or (effects and by_entity):
        i = _known(index.entities, design.index.entities, index.entity_codes, "entities", _NO_ENTITY, left_out[0])
    if effects and by_time:
        t = _known(index.times, design.index.times, index.time_codes, "periods", _NO_PERIOD, left_out[1])
    values = np.einsum("np,np->n", x, estimate.unit_slopes[i])
    if effects:
        values += estimate.entity_effect[i] if by_entity else 0.0
        values += estimate.time_effect[t] if by_time else 0.0
        values += np.einsum("nr,nr->n", estimate.loadings[i], estimate.factors[t]) if r else 0.0
        values += _of_known_variables(design, slopes, data, keep, i, t)
    values[(i < 0) | (t < 0)] = np.nan
    _warn_of_left_out(values, (i < 0, t < 0))
    return _labelled(values, data, keep, rows)


def _of_known_variables(
    design: PanelDesign,
    slopes: tuple[dict[str, Array], dict[str, Array]],
    data: Any,
    keep: Any,
    i: IntArray,
    t: IntArray,
) -> Any:
    """Known variables times the coefficients of entities and periods, row by row."""
    names = list(dict.fromkeys([*slopes[0], *slopes[1]]))
    if not names:
        return 0.0
    if data is None:
        columns: Mapping[str, Any] = design.absorbed_slopes
    elif isinstance(data, np.ndarray):
        raise DataError(
            f"Arrays hold regressors alone, and the model has slopes of {', '.join(names)}.",
            "They are needed for each row.",
            "res.predict(data) with a frame, or res.predict(x, effects=False)",
        )
    else:
        assert design.spec is not None
        frame = design.spec.read(data)
        lost = [name for name in names if name not in frame.names]
        if lost:
            raise DataError(
                f"The new data lack {', '.join(map(repr, lost))}.",
                "Entities or periods have coefficients of them.",
                "res.predict(data, effects=False)",
            )
        columns = {name: frame.column(name).to_numpy(dtype=np.float64)[keep] for name in names}
    own = [coef[i] * columns[name] for name, coef in slopes[0].items()]
    return sum([*own, *(coef[t] * columns[name] for name, coef in slopes[1].items())])


def rows_to_predict(design: PanelDesign, data: Any) -> tuple[Any, PanelIndex | None, pd.Index, Any]:
    """Regressors, ids, labels and mask of the rows to predict for: of a frame, of arrays, of the sample."""
    return _array_rows(design, data) if isinstance(data, np.ndarray) else _rows(design, data)


def _array_rows(design: PanelDesign, data: Array) -> tuple[Any, PanelIndex | None, pd.Index, Any]:
    """The same of arrays: (N, T, p), of every cell whether it is observed or not, or rows (m, p) without ids.

    The order of cells is that of the arrays the model was made from, or of the sample's entities and periods.
    """
    index, p = design.index, len(design.exog_names)
    cube = data[:, :, None] if data.ndim == 2 and p == 1 != data.shape[1] else data
    for axes in (design.axes, (index.entities, index.times)):
        if axes is not None and cube.shape == (len(axes[0]), len(axes[1]), p):
            return _cells(index, float_array(cube), axes, as_rows=design.axes is None and index.is_balanced)
    rows = matrix_of(data, design.exog_names)
    return rows, None, pd.RangeIndex(len(rows)), np.ones(len(rows), dtype=bool)


def _cells(
    index: PanelIndex, cube: Array, axes: tuple[pd.Index, pd.Index], *, as_rows: bool
) -> tuple[Any, PanelIndex | None, pd.Index, Any]:
    """Rows of a cube whose axes have these labels; those that are not in the sample can't be predicted."""
    if as_rows:
        labels = index.frame_index()
        return index.from_cube(cube), index, labels, np.ones(len(labels), dtype=bool)
    n, t = cube.shape[:2]
    entity = np.repeat(index.entities.get_indexer(axes[0]).astype(np.int64), t)
    time = np.tile(index.times.get_indexer(axes[1]).astype(np.int64), n)
    keep = (entity >= 0) & (time >= 0)
    cells = replace(index, entity_codes=entity[keep], time_codes=time[keep], order=np.arange(int(keep.sum())))
    labels = pd.MultiIndex.from_product(axes, names=[index.entity_name, index.time_name])
    return cube.reshape(n * t, -1)[keep], cells, labels, keep


def _rows(design: PanelDesign, data: Any) -> tuple[Any, PanelIndex | None, pd.Index, Any]:
    """Regressors, ids, labels and mask of the rows to predict for."""
    if data is None:
        return design.exog, design.index, design.row_index, np.ones(design.nobs, dtype=bool)
    if design.spec is None:
        raise DataError(
            "The model was made from arrays.",
            "Prediction on new data needs a model made from a formula or frames.",
            "res.predict()",
        )
    new = design.spec.exog_for(data)
    return new.exog, new.panel, new.row_index, new.esample


def _warn_of_left_out(values: Array, without: tuple[Any, Any]) -> None:
    """One warning for all rows of entities and periods that were left out of the fit."""
    rows = [int(one.sum()) for one in without]
    if any(rows):
        who = " or ".join(what for what, n in zip(("entity", "period"), rows, strict=True) if n)
        warnings.warn(
            DataWarning(
                f"{int((without[0] | without[1]).sum())} of {len(values)} rows have no prediction: their {who} was "
                "left out of the fit.",
                "Nothing of it was estimated.",
                "res.sample.left_out",
            ),
            stacklevel=caller_level(),
        )


def _labelled(values: Any, data: Any, keep: Any, rows: pd.Index) -> pd.Series:
    """Predictions on the index of the data, NaN in rows that can't be predicted."""
    if data is None:
        return pd.Series(values, index=rows, name="predicted")
    out = np.full(len(keep), np.nan)
    out[keep] = values
    labels = (
        data.index if isinstance(data, pd.DataFrame) else rows if len(rows) == len(keep) else pd.RangeIndex(len(keep))
    )
    return pd.Series(out, index=labels, name="predicted")


def _known(
    labels: pd.Index, known: pd.Index, codes: IntArray, what: str, advice: tuple[str, str], left_out: Sequence[Any]
) -> IntArray:
    """Positions in the sample of the entities or periods of new rows; −1 where they were left out of the fit."""
    positions = np.asarray(known.get_indexer(labels), dtype=np.int64)
    unseen = labels[np.unique(codes[positions[codes] < 0])]
    unseen = unseen[~unseen.isin(list(left_out))]
    if len(unseen):
        names = ", ".join(map(str, unseen[:5])) + (f" and {len(unseen) - 5} more" if len(unseen) > 5 else "")
        raise DataError(f"The new data have {what} that are not in the sample: {names}.", *advice)
    return positions[codes]
