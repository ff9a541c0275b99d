"""From what a model's constructor is given, arrays or frames, to a design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.models.checks import near
from gifepanel.panel.absorbed import parse_absorbed
from gifepanel.panel.complete import CompleteDesign
from gifepanel.panel.cubes import design_from_arrays, float_array
from gifepanel.panel.design_of_frames import design_from_frames
from gifepanel.panel.effect_codes import EffectCodes
from gifepanel.panel.matrices import PanelDesign

__all__ = ["positions", "read_design"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def read_design(
    endog: Any,
    exog: Any,
    *,
    model: str,
    entity: Any,
    time: Any,
    absorb: str | Sequence[str],
    common: str | Sequence[str],
    missing: str,
    weights: Any = None,
) -> PanelDesign:
    """The design of arrays (N, T) and (N, T, p), or of an outcome and a frame with a row per observation.

    Parameters
    ----------
    endog, exog : array_like or DataFrame
    model : str
        Name of the model, for messages.
    entity, time, absorb, common, missing, weights
        As the model was given them.

    Raises
    ------
    SpecificationError, DataError
    """
    if exog is None or endog is None:
        raise SpecificationError(
            "The model got an outcome and no regressors." if exog is None else "The model got no outcome.",
            "It needs both, as arrays y (N, T) and x (N, T, p) or as frames.",
            f'{model}(data["y"], data[["x1", "x2"]], ...)',
        )
    regressors = exog if hasattr(exog, "columns") or isinstance(exog, pd.Series) else _numbers("exog", exog)
    if isinstance(regressors, np.ndarray) and (regressors.ndim == 3 or np.shape(endog) == regressors.shape):
        if isinstance(endog, pd.DataFrame):
            entity = endog.index if entity is None else entity
            time = endog.columns if time is None else time
        design = design_from_arrays(
            _numbers("endog", endog),
            regressors,
            entities=entity,
            times=time,
            common=common,
            missing=missing,
            weights=weights,
        )
        return _with_effects(design, absorb)
    if isinstance(regressors, np.ndarray):
        regressors = _as_frame(regressors, endog, entity, time, model)
    design = design_from_frames(
        endog, regressors, entity=entity, time=time, absorbed=absorb, common=common, missing=missing, weights=weights
    )
    if design.endog_name in design.exog_names:
        others = [name for name in design.exog_names if name != design.endog_name]
        raise SpecificationError(
            f"The outcome {design.endog_name!r} is also among the regressors.",
            "It would explain itself.",
            f"exog = exog[{others}]",
        )
    return design


def _numbers(name: str, values: Any) -> Array:
    try:
        return float_array(values)
    except (TypeError, ValueError):
        raise DataError(
            f"{name} is a {type(values).__name__} that doesn't hold numbers in a regular shape.",
            "Arrays y (N, T) and x (N, T, p) are needed, or frames.",
            f"{name} = np.asarray({name}, dtype=float)",
        ) from None


def _as_frame(stacked: Array, endog: Any, entity: Any, time: Any, model: str) -> pd.DataFrame:
    """Regressors (n, p), one row per observation, whose ids come with `endog` or as `entity` and `time`."""
    indexed = isinstance(endog, (pd.Series, pd.DataFrame)) and endog.index.nlevels == 2
    given = entity is not None and time is not None and not isinstance(entity, str) and not isinstance(time, str)
    if stacked.ndim > 2 or not (indexed or given) or len(stacked) != len(endog):
        raise DataError(
            f"exog is an array of shape {stacked.shape}, endog has shape {np.shape(endog)}.",
            "They must be y (N, T) and x (N, T, p), or hold a row per observation and come with labels of the rows.",
            f"{model}(y, x, entity=firm, time=year, ...)",
        )
    columns = [f"x{j + 1}" for j in range(stacked.shape[1] if stacked.ndim == 2 else 1)]
    index = endog.index if indexed or isinstance(endog, pd.Series) else None
    return pd.DataFrame(stacked.reshape(len(stacked), -1), index=index, columns=columns)


def _with_effects(design: PanelDesign, absorb: str | Sequence[str]) -> PanelDesign:
    """The design of an array model with absorbed effects, named "entity" and "time"."""
    effects = parse_absorbed(absorb if isinstance(absorb, str) else " + ".join(absorb))
    index = design.index
    known = (index.entity_name, index.time_name)
    for effect in effects:
        if effect.name not in known:
            raise SpecificationError(
                f"absorb names {effect.name!r}.",
                f"Models from arrays absorb {index.entity_name!r} and {index.time_name!r}.",
                f"absorb={(near(effect.name, known) or index.entity_name)!r}",
            )
    names = [effect.name for effect in effects]
    if isinstance(design, CompleteDesign):
        return design.absorbing(names, effects)
    codes = {
        index.entity_name: EffectCodes(index.entity_codes.astype(np.int32), index.entities),
        index.time_name: EffectCodes(index.time_codes.astype(np.int32), index.times),
    }
    return replace(
        design,
        absorbed=tuple(names),
        absorbed_codes={name: codes[name] for name in names},
        absorbed_effects=effects,
    )


def positions(design: PanelDesign, columns: str | int | Sequence[str | int]) -> set[int]:
    """Positions of regressors given by name or number."""
    wanted = [columns] if isinstance(columns, (str, int)) else columns
    names = list(design.exog_names)
    out = set()
    for column in wanted:
        known = column in names if isinstance(column, str) else 0 <= column < len(names)
        if not known:
            raise SpecificationError(
                f"predetermined names {column!r}.",
                f"The regressors are {', '.join(names)}.",
                f"predetermined=[{(near(column, names) or names[0])!r}]",
            )
        out.add(names.index(column) if isinstance(column, str) else int(column))
    return out
