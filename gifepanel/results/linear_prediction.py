"""Absorbed effects, and predictions of partialled-out least squares for rows in the sample and new ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, DataWarning, SpecificationError, caller_level
from gifepanel.projections.hat import identified

if TYPE_CHECKING:
    from gifepanel.panel.matrices import PanelDesign
    from gifepanel.results.linear_inputs import LinearModel, PartialledFit

__all__ = ["NewRows", "absorbed_effects", "check_effects", "linear_rows", "new_rows", "predict_linear", "predict_rows"]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


def _solved(model: LinearModel, fit: PartialledFit) -> tuple[list[Array], Array]:
    """Coefficients of every block of effects (L_g,), and of the controls (q,)."""
    design, projection = model.design, fit.projection
    rest = (design.endog - fit.resid - design.exog[:, list(fit.kept)] @ fit.params)[:, None]
    gamma = np.zeros(0)
    if design.controls is not None and projection.basis is not None:
        without = projection.absorption.residualize(rest)[0] if projection.absorption is not None else rest
        gamma = projection.basis.coefficients(without)[:, 0]
        rest = rest - design.controls @ gamma[:, None]
    if projection.absorption is None:
        return [], gamma
    return [own[:, 0] for own in projection.absorption.coefficients(rest)], gamma


def absorbed_effects(model: LinearModel, fit: PartialledFit) -> dict[str, pd.Series]:
    """Effects by level, slopes in the units of their variables."""
    found, _ = _solved(model, fit)
    out: dict[str, pd.Series] = {}
    for part, values in zip(model.effect_parts, found, strict=True):
        levels = model.design.absorbed_codes[part.source][1]
        out[part.block.name] = pd.Series(values, index=levels, name=part.block.name)
    for part, values in zip(model.effect_parts, found, strict=True):
        if part.shift:
            out[part.block.name.partition("[")[0]] -= part.shift * values
    return out


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows to predict for, m of them complete.

    Attributes
    ----------
    x : ndarray, shape (m, k)
        Regressors with a coefficient.
    controls : ndarray, shape (m, q)
    codes : list of ndarray of int, each shape (m,)
        Levels by block of effects; zero where not `identified`.
    values : list of ndarray, each shape (m,), or None
        Slope variables by block.
    identified : ndarray of bool, shape (m,)
        Whether the sample says what the effects of the row are.
    complete : ndarray of bool, shape (n_rows,)
    index : pandas.Index
    """

    x: Array
    controls: Array
    codes: list[Any]
    values: list[Array | None]
    identified: BoolArray
    complete: BoolArray
    index: pd.Index

    def series(self, values: Array) -> pd.Series:
        """Values (m,) on the index of the data, NaN in incomplete rows."""
        out = np.full(len(self.complete), np.nan)
        out[self.complete] = values
        return pd.Series(out, index=self.index, name="predicted")


def new_rows(model: LinearModel, fit: PartialledFit, data: Any, effects: bool) -> NewRows:
    """Read new data as the sample was read; levels only with `effects`."""
    rows = linear_rows(model.design, fit.kept, data)
    parts = model.effect_parts if effects else ()
    if not parts:
        return rows
    spec, complete = model.design.spec, rows.complete
    assert spec is not None
    frame = spec.read(data)
    wanted = {name for effect in spec.absorbed for name in (*effect.factors, *effect.slopes)}
    lost = sorted(wanted - set(frame.names))
    if lost:
        raise DataError(
            f"The new data lack {', '.join(map(repr, lost))}.",
            "The absorbed effects are looked up there.",
            "res.predict(data, effects=False)",
        )
    positions = model.design.positions_of(frame, complete)
    slopes = {p.slope: frame.column(p.slope).to_numpy(dtype=float)[complete] for p in parts if p.slope is not None}
    known = np.all([positions[part.source] >= 0 for part in parts], axis=0)
    known &= np.all([np.isfinite(values) for values in slopes.values()] or [known], axis=0)
    codes = [np.where(known, positions[part.source], 0) for part in parts]
    values = [None if p.slope is None else np.where(known, slopes[p.slope], p.shift) - p.shift for p in parts]
    assert fit.projection.absorption is not None
    known &= identified(fit.projection.absorption, codes, values)
    if not known.all():
        reasons = model.design.describe_unseen(frame, complete, positions)
        _warn_of_unknown(reasons, np.any([own < 0 for own in positions.values()], axis=0), known)
    return replace(rows, codes=codes, values=values, identified=known)


def linear_rows(design: PanelDesign, kept: Sequence[int], data: Any) -> NewRows:
    """The same without effects; `kept` are the columns with a coefficient."""
    spec = design.spec
    if spec is None:
        raise DataError("The model was made from arrays.", "New data need a formula or frames.", "res.predict()")
    new = spec.exog_for(data)
    index = data.index if isinstance(data, pd.DataFrame) else pd.RangeIndex(len(new.esample))
    every = np.ones(len(new.exog), dtype=bool)
    return NewRows(new.exog[:, list(kept)], new.controls, [], [], every, new.esample, index)


def _warn_of_unknown(reasons: list[str], unseen: BoolArray, known: BoolArray) -> None:
    """One warning for all rows that get no prediction since their effects are not known."""
    if (~known & ~unseen).any():
        reasons = [*reasons, "levels whose sum the sample does not identify, or slope variables that are missing"]
    warnings.warn(
        DataWarning(
            f"{int((~known).sum())} of {len(known)} rows have no prediction: {'; '.join(reasons)}.",
            "Their effects were not estimated.",
            "res.predict(data, effects=False)",
        ),
        stacklevel=caller_level(),
    )


def predict_linear(model: LinearModel, fit: PartialledFit, data: Any, effects: bool) -> pd.Series:
    """Linear part, plus controls and effects where asked for."""
    check_effects(effects)
    design = model.design
    if data is None:
        values = design.endog - fit.resid if effects else design.exog[:, list(fit.kept)] @ fit.params
        return pd.Series(values, index=design.row_index, name="predicted")
    rows = new_rows(model, fit, data, effects)
    return rows.series(predict_rows(model, fit, rows, effects))


def check_effects(effects: Any) -> None:
    """Refuse anything but True and False."""
    if not isinstance(effects, (bool, np.bool_)):
        raise SpecificationError(f"effects is {effects!r}.", "It must be True or False.", "effects=False")


def predict_rows(model: LinearModel, fit: PartialledFit, rows: NewRows, effects: bool) -> Array:
    """The same for rows that are read already, shape (m,)."""
    values = rows.x @ fit.params
    if effects:
        found, gamma = _solved(model, fit)
        if gamma.size:
            values = values + rows.controls @ gamma
        for own, codes, factor in zip(found, rows.codes, rows.values, strict=True):
            values = values + (own[codes] if factor is None else own[codes] * factor)
        values = np.where(rows.identified, values, np.nan)
    return values
