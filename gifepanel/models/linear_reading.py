"""What partialled-out least squares are given, as they take it: arrays as frames, controls as one text, singletons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.models.checks import check_choice
from gifepanel.panel.brackets import split_top

__all__ = ["as_frames", "checked_singletons", "joined_controls"]


def checked_singletons(singletons: Any) -> str:
    """What is done with rows that are alone in a level."""
    if isinstance(singletons, bool):  # linearmodels': whether they stay
        fix = f'singletons="{"keep" if singletons else "drop"}"'
        raise SpecificationError(f"singletons is {singletons}.", "It must be 'drop' or 'keep'.", fix)
    check_choice("singletons", singletons, ("drop", "keep"))
    return str(singletons)


def joined_controls(partial: Any) -> str:
    """Controls as one text; a list of terms is a sum."""
    if partial is None:
        return ""
    terms = [partial] if isinstance(partial, str) else partial
    if not (isinstance(terms, Sequence) and all(isinstance(term, str) for term in terms)):
        what = f"a {type(partial).__name__}" if np.ndim(partial) else repr(partial)
        raise SpecificationError(f"partial is {what}.", "It must be text, or a list of terms.", 'partial="z1 + z2"')
    text = " + ".join(terms)
    wrong = next((sign for sign in "~|" if len(split_top(text, sign)) > 1), None)
    if wrong:
        raise SpecificationError(
            f"partial is {partial!r}.", f"It holds terms joined by +, no {wrong!r}.", 'partial="z1 + bs(z2, 4)"'
        )
    return text


def as_frames(endog: Any, exog: Any) -> tuple[Any, Any]:
    """Arrays as frames: regressors x1, x2, ...; cubes with an index (entity, time)."""
    if exog is None:
        raise SpecificationError("There are no regressors.", "exog is needed.", 'PartialledOLS(data["y"], data[["x"]])')
    if not isinstance(exog, (np.ndarray, list, tuple)):
        return endog, exog
    x, y, index = np.asarray(exog, dtype=np.float64), np.asarray(endog, dtype=np.float64), None
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 and x.ndim < 3 else y  # a column, as statsmodels takes it
    if y.ndim == 2 and x.ndim in (2, 3) and x.shape[:2] == y.shape:
        index = pd.MultiIndex.from_product([range(y.shape[0]), range(y.shape[1])], names=["entity", "time"])
        x, y = x.reshape(y.size, -1), y.ravel()
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise DataError(
            f"endog has the shape {np.shape(endog)}, exog {np.shape(exog)}.",
            "Shapes (n,) and (n, p), or (N, T) and (N, T, p), are needed.",
            "PartialledOLS(y, x)",
        )
    frame = pd.DataFrame(x, index=index, columns=[f"x{j + 1}" for j in range(x.shape[1])])
    return pd.Series(y, index=frame.index, name="y"), frame
