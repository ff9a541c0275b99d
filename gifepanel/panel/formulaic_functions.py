"""Functions that formulas know: formulaic's, mended where they give other numbers than their names say."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from formulaic.materializers.types import FactorValues
from formulaic.transforms import TRANSFORMS

from gifepanel.panel.expressions import PRIVATE
from gifepanel.panel.formulaic_categories import category

__all__ = ["SAFE_TRANSFORMS", "STANDARD_NAMES"]

BoolArray = npt.NDArray[np.bool_]


def _skipping_missing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Train a stateful transform on the rows that have a value; the others stay NaN."""

    @functools.wraps(function)
    def wrapper(data: Any, *args: Any, **kwargs: Any) -> Any:
        bare = data.__wrapped__ if isinstance(data, FactorValues) else data
        array = np.asarray(bare) if not isinstance(bare, Mapping) else np.zeros(0)
        if array.ndim == 1 and array.dtype.kind in "biu":
            return function(array.astype(np.float64), *args, **kwargs)
        if array.ndim != 1 or array.dtype.kind != "f" or not np.isnan(array).any():
            return function(data, *args, **kwargs)
        present = ~np.isnan(array)
        if not present.any():
            return array
        return _spread(function(array[present], *args, **kwargs), present)

    return wrapper


def _spread(values: Any, present: BoolArray) -> Any:
    if isinstance(values, FactorValues):
        return FactorValues(_spread(values.__wrapped__, present), metadata=values.__formulaic_metadata__)
    if isinstance(values, Mapping):
        return {
            key: value if isinstance(key, str) and key.startswith("__") else _spread(value, present)
            for key, value in values.items()
        }
    array = np.asarray(values, dtype=np.float64)
    out = np.full((present.size, *array.shape[1:]), np.nan)
    out[present] = array
    return out


SAFE_TRANSFORMS: dict[str, Any] = {
    name: _skipping_missing(function)
    for name, function in TRANSFORMS.items()
    if getattr(function, "__is_stateful_transform__", False) and name not in ("C", "Q", "hashed")
}
SAFE_TRANSFORMS |= {"C": category, PRIVATE.format("C"): category, PRIVATE.format("I"): TRANSFORMS["I"]}
SAFE_TRANSFORMS |= {
    "exp10": functools.partial(np.power, 10.0),  # formulaic's is the tenth power
    "sqrt": np.sqrt,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "sin": np.sin,
    "cos": np.cos,
    "floor": np.floor,
    "ceil": np.ceil,
    "sign": np.sign,
    "pd": pd,
}

STANDARD_NAMES = frozenset(TRANSFORMS) | frozenset(SAFE_TRANSFORMS)
"""Names every formula knows without the caller's help."""
