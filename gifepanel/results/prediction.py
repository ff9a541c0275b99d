"""Prediction in the sample and on new rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError
from gifepanel.inference.estimate import FactorEstimate

if TYPE_CHECKING:
    from gifepanel.panel.design import PanelDesign
    from gifepanel.panel.index import PanelIndex

__all__ = ["predict"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]

_NO_ENTITY = ("An entity out of the sample has no group, effect or loadings.", "Leave its rows out.")
_NO_PERIOD = ("A period out of the sample has no effect or factors.", "res.predict(data, effects=False)")


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
    x = exog[:, kept]
    grouped = estimate.slots.shape[0] > 1
    if not (effects or grouped):
        return _labelled(x @ estimate.theta[estimate.slots[0]], data, keep, rows)
    if index is None:
        raise DataError(
            "The new data do not say which entity and period a row belongs to.",
            "Groups, effects and factors need both.",
            f'data.set_index(["{design.index.entity_name}", "{design.index.time_name}"])',
        )
    i = _known(index.entities, design.index.entities, index.entity_codes, "entities", _NO_ENTITY)
    values = np.einsum("np,np->n", x, estimate.theta[estimate.slots][estimate.groups[i]])
    if effects:
        t = _known(index.times, design.index.times, index.time_codes, "periods", _NO_PERIOD)
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


def _known(labels: pd.Index, known: pd.Index, codes: IntArray, what: str, advice: tuple[str, str]) -> IntArray:
    """Positions in the sample of the entities or periods of new rows, all of which must be there."""
    positions = np.asarray(known.get_indexer(labels), dtype=np.int64)
    unseen = labels[np.unique(codes[positions[codes] < 0])]
    if len(unseen):
        names = ", ".join(map(str, unseen[:5])) + (f" and {len(unseen) - 5} more" if len(unseen) > 5 else "")
        raise DataError(f"The new data have {what} that are not in the sample: {names}.", *advice)
    return positions[codes]
