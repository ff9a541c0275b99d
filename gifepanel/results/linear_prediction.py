"""Absorbed effects and predictions of partialled-out least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError

if TYPE_CHECKING:
    from gifepanel.models.partialled import PartialledFit, PartialledOLS

__all__ = ["absorbed_coefficients", "predict_linear"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def absorbed_coefficients(model: PartialledOLS, fit: PartialledFit) -> tuple[dict[str, pd.Series], Array]:
    """Effects by level, and the coefficients of the controls (k,)."""
    design, projection = model.design, fit.projection
    rest = (design.endog - fit.resid - design.exog[:, list(fit.kept)] @ fit.params)[:, None]
    gamma = np.zeros(0)
    if design.controls is not None:
        assert projection.basis is not None
        without = projection.absorption.residualize(rest)[0] if projection.absorption is not None else rest
        gamma = projection.basis.coefficients(without)[:, 0]
        rest = rest - design.controls @ gamma[:, None]
    out: dict[str, pd.Series] = {}
    if projection.absorption is not None:
        for effect, values in zip(model.effects, projection.absorption.coefficients(rest), strict=True):
            base = effect.name.split("[")[0] if effect.values is not None else effect.name
            levels = _levels(model, effect.name, base)
            out[effect.name] = pd.Series(values[:, 0], index=levels, name=effect.name)
    return out, gamma


def _levels(model: PartialledOLS, name: str, base: str) -> pd.Index:
    for own in model.design.absorbed_effects:
        if own.name in (name, base) or name.startswith(f"{own.name}["):
            return model.design.absorbed_codes[own.name][1]
    raise KeyError(name)


def predict_linear(model: PartialledOLS, fit: PartialledFit, data: Any, effects: bool) -> pd.Series:
    """Linear part, plus controls and effects where asked for."""
    design, kept = model.design, list(fit.kept)
    if data is None:
        values = design.exog[:, kept] @ fit.params
        if effects:
            values = design.endog - fit.resid
        return pd.Series(values, index=design.row_index, name="predicted")
    if design.spec is None:
        raise DataError("The model was made from arrays.", "New data need a formula or frames.", "res.predict()")
    new = design.spec.exog_for(data)
    values = new.exog[:, kept] @ fit.params
    if effects:
        found, gamma = absorbed_coefficients(model, fit)
        if gamma.size:
            values = values + new.controls @ gamma
        values = values + _effects_of(model, data, new.esample, found, len(values))
    out = np.full(len(new.esample), np.nan)
    out[new.esample] = values
    index = data.index if isinstance(data, pd.DataFrame) else pd.RangeIndex(len(out))
    return pd.Series(out, index=index, name="predicted")


def _effects_of(model: PartialledOLS, data: Any, esample: Any, found: dict[str, pd.Series], n: int) -> Array:
    """Sum of the effects of new rows; NaN where a level is not in the sample."""
    spec = model.design.spec
    assert spec is not None
    total = np.zeros(n)
    codes = spec.absorbed_codes_for(data, esample)
    for effect in model.design.absorbed_effects:
        for name, values in found.items():
            slope = name[len(effect.name) + 1 : -1] if name.startswith(f"{effect.name}[") else None
            if name != effect.name and slope is None:
                continue
            if not effect.intercept and name == effect.name:
                slope = effect.slopes[0]
            own = values.reindex(model.design.absorbed_codes[effect.name][1]).to_numpy()
            position = codes[effect.name]
            part = np.where(position >= 0, own[np.maximum(position, 0)], np.nan)
            if slope is not None:
                part = part * spec.read(data).column(slope).to_numpy(dtype=float)[esample]
            total += part
    return total
