"""From an outcome and a frame of regressors to the matrices that models work on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.panel.absorbed import AbsorbedEffect, parse_absorbed
from gifepanel.panel.checks import check_missing_option
from gifepanel.panel.cubes import float_array
from gifepanel.panel.evaluate import Requested, missing_variables
from gifepanel.panel.frames import PanelFrame, ids_by_name, plain_column, read_frame, split_reading
from gifepanel.panel.matrices import PanelDesign, common_columns, slope_values
from gifepanel.panel.names import refuse_reserved, reserved, unknown_names
from gifepanel.panel.problems import text_problems
from gifepanel.panel.sample import choose_rows
from gifepanel.panel.spec import DesignSpec, numeric_matrix
from gifepanel.panel.text import literal
from gifepanel.panel.weights import read_weights

__all__ = ["design_from_frames"]


def design_from_frames(
    endog: Any,
    exog: Any,
    *,
    entity: Any = None,
    time: Any = None,
    absorbed: str | Sequence[str] = (),
    common: str | Sequence[str] = (),
    missing: str = "drop",
    weights: Any = None,
    panel: bool = True,
    singletons: str = "keep",
) -> PanelDesign:
    """Build a design from an outcome and a frame of regressors.

    Parameters
    ----------
    endog : Series, one-column DataFrame or array (n,)
        A pandas outcome has to carry the index of ``exog``.
    exog : DataFrame
        pandas with a two-level index (entity, time), or any frame narwhals reads with ``entity=`` and
        ``time=``. Columns used as ids or effects are not regressors.  No intercept is added.
    entity, time : str or array_like (n,), optional
        Columns of ``exog``, index levels, or the labels themselves.
    absorbed : str or sequence of str
        Effects to absorb, as after ``|`` in a formula: "firm", "firm^year".
    common : str or sequence of str
    missing : {"drop", "raise"}
    weights : str or array_like, optional
    panel : bool
        Whether every row needs an entity and a time.
    singletons : {"keep", "drop"}
        As of ``design_from_formula``.

    Returns
    -------
    PanelDesign

    Raises
    ------
    DataError, FormulaError, SpecificationError
    """
    check_missing_option(missing)
    frame = read_frame(_framed(exog), entity=entity, time=time, require_ids=panel)
    effects = _effects(absorbed, frame)
    weighting = read_weights(weights, frame)
    ids = ids_by_name(entity, time)
    names = _regressors(frame, effects, *ids, weights)
    outcome, endog_name = _read_endog(endog, frame)
    columns = {name: frame.column(name) for name in names}
    slopes = {name: frame.column(name) for effect in effects for name in effect.slopes}
    used = {endog_name: outcome, **columns, **slopes, **weighting}
    with _lines_for_both(endog_name, frame.source):
        text = text_problems(frame, used, {}, {}, tuple(used))
        found, index = missing_variables(frame, used, text, effects, Requested(missing, panel))
    sample = choose_rows(frame, effects, found, index=index, weights=weighting, singletons=singletons == "drop")
    return PanelDesign.of_sample(
        sample,
        frame,
        endog=numeric_matrix({endog_name: outcome}, [endog_name])[sample.complete, 0],
        exog=_on_rows(columns, names, sample.complete),
        endog_name=endog_name,
        exog_names=names,
        effects=effects,
        slopes={name: slope_values(values)[sample.complete] for name, values in slopes.items()},
        weights=weighting,
        common=common_columns(common, names),
        spec=DesignSpec(None, names, names, *ids, frame.entity_name, frame.time_name, effects),
    )


def _on_rows(columns: dict[str, pd.Series], names: tuple[str, ...], rows: Any) -> Any:
    """Regressors (n, p) on the rows (n_rows,)."""
    return np.ascontiguousarray(numeric_matrix(columns, names)[rows]) if columns else np.empty((int(rows.sum()), 0))


def _framed(exog: Any) -> Any:
    """A Series as a frame of one column."""
    return exog.to_frame("x1" if exog.name is None else exog.name) if isinstance(exog, pd.Series) else exog


def _effects(absorbed: str | Sequence[str], frame: PanelFrame) -> tuple[AbsorbedEffect, ...]:
    effects = parse_absorbed(absorbed if isinstance(absorbed, str) else " + ".join(absorbed))
    unknown = [n for effect in effects for n in (*effect.factors, *effect.slopes) if n not in frame.names]
    if unknown:
        error = unknown_names(unknown, frame.names, where="absorb=")
        raise SpecificationError(error.found, error.needed, error.fix)
    return effects


def _regressors(
    frame: PanelFrame, effects: tuple[AbsorbedEffect, ...], entity: str | None, time: str | None, weights: Any
) -> tuple[str, ...]:
    """All columns but those of ids, effects and weights."""
    taken = {name for effect in effects for name in (*effect.factors, *effect.slopes)}
    taken |= {name for name in (entity, weights) if isinstance(name, str)}
    taken |= {split_reading(time, frame.names)[0]} if time is not None else set()
    names = tuple(str(name) for name in frame.data.columns if name not in taken)
    for name in filter(reserved, names):
        refuse_reserved(name, frame.data, "exog")
    return names


@contextmanager
def _lines_for_both(endog_name: str, source: str) -> Iterator[None]:
    """Fixes of errors raised inside act on ``endog`` and ``exog`` alike."""
    try:
        yield
    except DataError as error:
        several = [_of_frames(problem, endog_name, source) for problem in error.problems]
        raise (DataError.of(several) if several else _of_frames(error, endog_name, source)) from None


def _of_frames(error: DataError, endog_name: str, source: str) -> DataError:
    """The error with a line that runs for a caller who has ``endog`` and ``exog``."""
    fix = str(error.fix)
    if "data = " in fix and source not in ("foreign", "cubes", "arrays"):  # rows go or move: of both
        name = literal(endog_name)
        rows = fix.partition("  #")[0]
        fix = f"data = exog.assign(**{{{name}: endog}}); {rows}; endog = data.pop({name}); exog = data"
    else:
        fix = fix.replace(f'data["{endog_name}"]', "endog").replace("data[", "exog[").replace("data.", "exog.")
    return DataError(error.found, error.needed, fix)


def _read_endog(endog: Any, frame: PanelFrame) -> tuple[pd.Series, str]:
    given = endog
    if isinstance(endog, pd.DataFrame):
        if endog.shape[1] != 1:
            raise DataError(f"endog has {endog.shape[1]} columns", "one outcome is needed", 'endog = data["y"]')
        endog = endog.iloc[:, 0]
    if isinstance(endog, pd.Series):
        series = endog
    elif hasattr(endog, "to_numpy"):
        series = pd.Series(endog.to_numpy(), name=getattr(endog, "name", None))
    else:
        series = pd.Series((float_array(endog) if np.ma.isMaskedArray(endog) else np.asarray(endog)).squeeze())
    if len(series) != frame.n_rows:
        raise DataError(
            f"endog has {len(series)} rows, exog {frame.n_rows}",
            "rows have to match",
            'endog = data["y"] and exog = data[["x1", "x2"]] of one frame',
        )
    if isinstance(frame.data, pd.DataFrame) and endog is series and not series.index.equals(frame.data.index):
        raise DataError("endog and exog have different indexes", "rows have to match", "endog = endog.loc[exog.index]")
    name = str(series.name) if series.name is not None else "y"
    if reserved(series.name):
        refuse_reserved(name, given if isinstance(given, pd.DataFrame) else series, "endog")
    return plain_column(series, name), name
