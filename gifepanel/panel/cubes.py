"""From cubes, entity by time, to the matrices that models work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.blocks import is_much
from gifepanel.exceptions import DataError
from gifepanel.panel.checks import check_finite, check_missing_option
from gifepanel.panel.complete import complete_design
from gifepanel.panel.frames import plain_column, read_frame
from gifepanel.panel.matrices import PanelDesign, common_columns
from gifepanel.panel.names import reserved
from gifepanel.panel.sample import choose_rows
from gifepanel.panel.weights import read_weights

__all__ = ["design_from_arrays", "float_array"]

FloatArray = npt.NDArray[np.float64]


def design_from_arrays(
    y: npt.ArrayLike,
    x: npt.ArrayLike,
    *,
    endog_name: str = "y",
    exog_names: Sequence[str] | None = None,
    entities: Iterable[Any] | None = None,
    times: Iterable[Any] | None = None,
    common: str | Sequence[str] = (),
    missing: str = "drop",
    weights: Any = None,
) -> PanelDesign:
    """Build a design from cubes.

    Parameters
    ----------
    y : (N, T) array_like
    x : (N, T, p) or (N, T) array_like
    endog_name : str
    exog_names : sequence of str, optional
        "x1", "x2", ... by default.
    entities, times : sequences of length N and T, optional
        Labels; 0, 1, ... by default.  Rows stay in the order of the arrays, whatever the order of the labels.
    common : str or sequence of str
    missing : {"drop", "raise"}
        Cells in which something is missing, NaN or masked, are holes; or they are refused.
    weights : (N, T) or (N,) array_like, optional

    Returns
    -------
    PanelDesign

    Raises
    ------
    DataError
        Shapes that do not fit, values that are not finite.

    Notes
    -----
    Arrays of 32 MB and more are not copied where they are C-ordered float64, memory-mapped ones among them.
    """
    check_missing_option(missing)
    outcome, regressors = _cubes(y, x)
    n_entities, n_times, p = regressors.shape
    names = _names(endog_name, exog_names, p)
    labels = (_labels(entities, n_entities, "entities"), _labels(times, n_times, "times"))
    if weights is None:
        shared = common_columns(common, names)
        whole = complete_design(outcome, regressors, labels, endog_name=endog_name, exog_names=names, common=shared)
        if whole is not None:
            return whole
    cubes, named = (outcome, regressors), (endog_name, names)
    return _design_of_rows(cubes, labels, named, common=common, missing=missing, weights=weights)


def _design_of_rows(
    cubes: tuple[FloatArray, FloatArray],
    labels: tuple[pd.Index, pd.Index],
    named: tuple[str, tuple[str, ...]],
    *,
    common: str | Sequence[str],
    missing: str,
    weights: Any,
) -> PanelDesign:
    """The design of cells as rows, holes left out."""
    (outcome, regressors), (endog_name, names) = cubes, named
    p = len(names)
    rows = pd.MultiIndex.from_product(labels, names=["entity", "time"])
    data = pd.DataFrame(regressors.reshape(-1, p), index=rows, columns=list(names), copy=False)
    frame = read_frame(data, entity="entity", time="time")
    columns = {name: plain_column(data[name], name) for name in names}
    columns = {endog_name: pd.Series(outcome.ravel()), **columns}
    weighting = read_weights(_by_cell(weights, outcome.shape), frame)
    with _lines_for_arrays():
        found = check_finite(frame, {**columns, **weighting}, missing=missing)
    sample = choose_rows(frame, (), found, index=replace(frame.panel_index(), source="cubes"), weights=weighting)
    return PanelDesign.of_sample(
        sample,
        frame,
        endog=outcome.ravel()[sample.complete],
        exog=np.ascontiguousarray(regressors.reshape(-1, p)[sample.complete]),
        endog_name=endog_name,
        exog_names=names,
        effects=(),
        slopes={},
        weights=weighting,
        common=common_columns(common, names),
        axes=labels,
    )


@contextmanager
def _lines_for_arrays() -> Iterator[None]:
    """Fixes of errors raised inside act on arrays, in which a hole is NaN."""
    try:
        yield
    except DataError as error:
        raise DataError.of([_of_arrays(problem) for problem in error.problems or (error,)]) from None


def _of_arrays(error: DataError) -> DataError:
    fix = error.fix
    if error.found.startswith("infinite"):
        fix = "y, x = (np.where(np.isfinite(values), values, np.nan) for values in (y, x))  # holes"
    elif error.found.startswith("missing"):
        fix = 'missing="drop"'
    return DataError(error.found, error.needed, fix)


def _by_cell(weights: Any, shape: tuple[int, ...]) -> Any:
    """Weights of cells (N, T), or of entities (N,), row by row; a name as it is."""
    if weights is None or isinstance(weights, str):
        return weights
    values = float_array(weights)
    if values.shape == shape[:1]:
        values = np.broadcast_to(values[:, None], shape)
    return values.ravel() if values.shape == shape else values


def float_array(values: Any) -> FloatArray:
    """Values as float64, NaN where they are masked or missing."""
    if np.ma.isMaskedArray(values):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    if isinstance(values, (pd.DataFrame, pd.Series)):
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(values, dtype=np.float64)


def _names(endog_name: str, exog_names: Sequence[str] | None, p: int) -> tuple[str, ...]:
    names = tuple(exog_names) if exog_names is not None else tuple(f"x{j + 1}" for j in range(p))
    if len(names) != p or len(set(names)) != p:
        raise DataError(f"exog_names has {len(names)} names", f"{p} different ones are needed", None)
    wrong = next(filter(reserved, (endog_name, *names)), None)
    if wrong is not None:
        raise DataError(f"exog_names has {wrong!r}", "a name that is no number and not Intercept is needed", None)
    return names


def _labels(given: Iterable[Any] | None, size: int, what: str) -> pd.Index:
    labels = pd.Index(given) if given is not None else pd.RangeIndex(size)
    if len(labels) != size or not labels.is_unique:
        raise DataError(f"{what} has {len(labels)} labels", f"{size} different ones are needed", None)
    return labels


def _cubes(y: npt.ArrayLike, x: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    try:
        outcome, regressors = float_array(y), float_array(x)
        copy = None if is_much(outcome.size + regressors.size) else True
        outcome, regressors = (np.array(one, order="C", copy=copy) for one in (outcome, regressors))
    except (TypeError, ValueError) as error:
        raise DataError(f"the arrays are not numbers: {error}", "y (N, T) and x (N, T, p) are needed", None) from None
    if regressors.ndim == 2 and outcome.ndim == 2:
        regressors = regressors[:, :, None]
    if outcome.ndim != 2 or regressors.ndim != 3 or outcome.shape != regressors.shape[:2]:
        raise DataError(
            f"y has shape {outcome.shape} and x {np.shape(x)}",
            "y (N, T) and x (N, T, p) are needed, entities first",
            "x = x.transpose(1, 0, 2) if times come first",
        )
    if outcome.size == 0:
        raise DataError("the arrays are empty", "observations are needed", None)
    return outcome, regressors
