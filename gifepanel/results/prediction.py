"""Prediction in the sample and on new rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.panel.design import PanelDesign
from gifepanel.panel.index import PanelIndex

__all__ = ["predict"]


def predict(
    design: PanelDesign,
    estimate: FactorEstimate,
    kept: list[int],
    data: Any,
    effects: bool,
) -> pd.Series:
    """Linear part by group, plus effects and factors where asked for.

    Parameters
    ----------
    design : PanelDesign
    estimate : FactorEstimate
    kept : list of int
        Columns of the design that are in the model.
    data : DataFrame or None
    effects : bool
    """
    exog, index, rows, keep = _rows(design, data)
    if index is None:
        if effects or estimate.slots.shape[0] > 1:
            raise DataError(
                "The new data do not say which entity and period a row belongs to.",
                "Groups, effects and factors need both.",
                f'data.set_index(["{design.index.entity_name}", "{design.index.time_name}"])',
            )
        return _labelled(exog[:, kept] @ estimate.theta[estimate.slots[0]], data, keep, rows)
    entities = _positions(index.entities, design.index.entities)
    times = _positions(index.times, design.index.times)
    i, t = entities[index.entity_codes], times[index.time_codes]
    if effects or estimate.slots.shape[0] > 1:
        _require(i, index.entities, index.entity_codes, "entity", "has no group or effect")
    groups = estimate.groups[i] if estimate.slots.shape[0] > 1 else np.zeros(len(i), dtype=np.int64)
    values = np.einsum("np,np->n", exog[:, kept], estimate.theta[estimate.slots][groups])
    if effects:
        _require(t, index.times, index.time_codes, "period", "has no factors; use effects=False")
        values = values + estimate.entity_effect[i] + estimate.time_effect[t]
        values = values + np.einsum("nr,nr->n", estimate.loadings[i], estimate.factors[t])
    return _labelled(values, data, keep, rows)


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


def _labelled(values: Any, data: Any, keep: Any, rows: pd.Index) -> pd.Series:
    """Predictions on the index of the data, NaN in rows that can't be predicted."""
    if data is None:
        return pd.Series(values, index=rows, name="predicted")
    out = np.full(len(keep), np.nan)
    out[keep] = values
    labels = data.index if isinstance(data, pd.DataFrame) else (rows if keep.all() else pd.RangeIndex(len(keep)))
    return pd.Series(out, index=labels, name="predicted")


def _positions(labels: pd.Index, known: pd.Index) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(known.get_indexer(labels), dtype=np.int64)


def _require(positions: Any, labels: pd.Index, codes: Any, what: str, why: str) -> None:
    missing = np.unique(np.asarray(codes)[positions < 0])
    if missing.size:
        names = ", ".join(map(str, labels[missing[:5]]))
        raise DataError(
            f"{missing.size} of the {what} labels of the new data are not in the sample: {names}.",
            f"Each {why}." if "effects=False" not in why else "A period out of the sample has no factors.",
            "res.predict(data, effects=False)" if what == "period" else "Predict for entities of the sample.",
        )
