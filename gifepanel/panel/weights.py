"""Weights of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.panel.frames import PanelFrame, plain_column
from gifepanel.panel.labels import check_aligned
from gifepanel.panel.names import unknown_names
from gifepanel.panel.numbers import is_text, repair_of_text
from gifepanel.panel.text import first_of

__all__ = ["read_weights"]


def read_weights(weights: Any, frame: PanelFrame) -> dict[str, pd.Series]:
    """The weights as a column by name; empty where there are none."""
    if weights is None:
        return {}
    if isinstance(weights, str):
        if weights not in frame.names:
            error = unknown_names([weights], frame.names, where="weights=")
            formula = not weights.isidentifier() and not error.fix
            fix = f'data["weight"] = data.eval({weights!r}), weights="weight"' if formula else error.fix
            raise SpecificationError(error.found, error.needed, fix)
        name, column = weights, frame.column(weights)
    else:
        masked = np.ma.isMaskedArray(weights)
        values = weights.astype(np.float64).filled(np.nan) if masked else np.asarray(weights)
        if values.shape != (frame.n_rows,):
            raise DataError(
                f"weights has shape {values.shape} for {frame.n_rows} rows",
                "one weight per row is needed",
                "the name of a column" if values.ndim else "weights=None, where all are equal",
            )
        check_aligned(weights, "weights", frame.row_index)
        name, column = str(getattr(weights, "name", None) or "weights"), plain_column(pd.Series(values))
    if column.dtype.kind not in "biuf":
        rows = "rows " + first_of(np.flatnonzero(pd.to_numeric(column, errors="coerce").isna()), 3)
        repair = repair_of_text(name, column, frame.source, lambda _: rows) if is_text(column) else None
        more, _, fix = repair or ("", "", "weights=None, or another column")
        raise DataError(
            f"the weights {name!r} are not numbers ({column.dtype})" + (f": {more}" if more else ""),
            "numbers are needed",
            fix if isinstance(weights, str) or repair is None else fix.replace(f'data["{name}"]', "weights"),
        )
    negative = np.flatnonzero(column.to_numpy() < 0)
    if negative.size:
        raise DataError(
            f"the weights {name!r} are negative in {negative.size} rows, first row {int(negative[0])}",
            "weights are zero or more",
            f'data = data[data["{name}"] >= 0]' if isinstance(weights, str) else "weights = np.maximum(weights, 0)",
        )
    return {name: column}
