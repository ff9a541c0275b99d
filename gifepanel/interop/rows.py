"""A fit as coefficients, their covariance, and the rows that predictions on new data are sums of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.interop.common import raw
from gifepanel.interop.frames import as_pandas, given_frame
from gifepanel.interop.statsmodels import linear_nuisance, nuisance_columns
from gifepanel.panel.formulaic_evaluation import column_factors
from gifepanel.panel.terms import read_factors

__all__ = ["GROUP", "LinearRows", "Variables", "linear_rows", "sample_frame", "variables"]

Array = np.ndarray[Any, np.dtype[np.float64]]
GROUP = "latent_group"
_POWERS = {"HC0": 0, "HC1": 0, "HC2": 1, "HC3": 2}
_MOST_COLUMNS = 1000


@dataclass(frozen=True)
class Variables:
    """Columns of the data by what they do in the model.

    Attributes
    ----------
    regressors : tuple of str
        What the regressors with coefficients are made of.
    nuisance : tuple of str
        What effects and controls are made of, entities and periods among them.
    labels : tuple of str
        Those that are categories to the model even where they are numbers.
    """

    regressors: tuple[str, ...]
    nuisance: tuple[str, ...]
    labels: tuple[str, ...]


def variables(res: Any) -> Variables:
    """Columns of the data by what they do in the model.

    Raises
    ------
    DataError
        For models made from arrays.
    SpecificationError
        Where lags or differences are among the regressors.
    """
    res = raw(res)
    _ = res._estimate if res._model_kind == "factors" else res._fit  # says what to do where the data are gone
    design = res.model.design
    spec = design.spec
    if spec is None or given_frame(res.model) is None:
        raise DataError(
            "These results have no data frame: the model was made from arrays, or read from a file.",
            "Counterfactual rows are made from its columns.",
            "GroupedIFE.from_formula(formula, data, ...).fit()",
        )
    if spec.needs_panel:
        raise SpecificationError(
            "The formula has lags or differences.",
            "A change of one row would change others, so effects row by row are not defined.",
            'Put the lag into a column first, data["lag"] = data.groupby("firm")["y"].shift(), and name it in '
            "predetermined=.",
        )
    labels = {name: None for effect in spec.absorbed for name in effect.factors}
    slopes = [name for effect in spec.absorbed for name in effect.slopes]
    if design.panel is not None:
        labels |= dict.fromkeys((design.index.entity_name, design.index.time_name))
    x, controls = _sources(spec)
    return Variables(tuple(x), tuple(dict.fromkeys([*labels, *slopes, *controls])), tuple(labels))


def _sources(spec: Any) -> tuple[list[str], list[str]]:
    """Columns that regressors, and that controls, are made of."""
    if spec.model_spec is None:
        return list(spec.exog_names), []
    factors = column_factors(spec.model_spec)
    out = []
    for columns in (spec.keep, spec.controls):
        expressions = read_factors(factor for j in columns for factor in factors[j])
        used = {name for expression in expressions.values() for name in expression.names}
        out.append([name for name in spec.columns if name in used])
    return out[0], out[1]


def sample_frame(res: Any) -> pd.DataFrame:
    """The caller's data on the rows of the sample, ids as columns, the outcome and the groups beside them."""
    res = raw(res)
    design = res.model.design
    frame = as_pandas(given_frame(res.model))
    if frame.index.nlevels == 2:
        names = (design.spec.entity_name, design.spec.time_name)
        pairs = zip(frame.index.names, names, strict=True)
        frame = frame.rename_axis([name if own is None else own for own, name in pairs])
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    frame = frame.reset_index(level=named) if named else frame
    frame = frame.reset_index(drop=True)[design.esample].reset_index(drop=True)
    if design.panel is not None:
        ids = design.index.frame_index()
        new = [name for name in ids.names if name not in frame.columns]
        frame = frame.assign(**{name: ids.get_level_values(name) for name in new})
    if design.endog_name not in frame.columns:
        frame = frame.assign(**{design.endog_name: design.endog})
    if hasattr(res, "_slots"):
        frame = frame.assign(**{GROUP: res._estimate.groups[design.index.entity_codes] + 1})
    return frame


@dataclass(frozen=True, eq=False)
class LinearRows:
    """Predictions as ``rows(data) @ coef``, the last column of the rows added as it is where there is one more.

    Attributes
    ----------
    res : results of this package
    effects : bool
        Whether additive effects, controls and factors are in the predictions.
    coef : ndarray, shape (P,)
    cov : ndarray, shape (P, P)
    names : tuple of str
    kept : tuple of int or None
        Nuisance columns that have coefficients; None where the nuisance part is held at its estimate.
    """

    res: Any
    effects: bool
    coef: Array
    cov: Array
    names: tuple[str, ...]
    kept: tuple[int, ...] | None

    @property
    def complete(self) -> bool:
        """Whether the covariance knows of everything that predictions are made of."""
        return self.kept is not None or not self.effects

    def rows(self, data: pd.DataFrame) -> Array:
        """Rows (m, P), or (m, P + 1) with the nuisance part as it is; NaN where they are not complete."""
        if self.res._model_kind == "factors":
            x = _grouped_rows(self.res, data)
        elif self.kept is not None:
            return _full_rows(self.res, data, self.kept)
        else:
            x = _slope_rows(self.res, data)
        if not self.effects or self.kept is not None:
            return x
        offset = self.res.predict(data, effects=True) - self.res.predict(data, effects=False)
        return np.column_stack([x, offset.to_numpy()])

    def predict(self, params: Array, rows: Array) -> Array:
        """Predictions (m,) at other coefficients."""
        size = len(params)
        out = rows[:, :size] @ np.asarray(params, dtype=np.float64)
        return out + rows[:, size] if rows.shape[1] > size else out


def linear_rows(res: Any, effects: bool = True) -> LinearRows:
    """A fit as coefficients and rows.

    With `effects` the dummies and controls of a regression without factors are among the coefficients, where their
    sampling variation is known (nonrobust and heteroskedastic covariances) and there are not too many of them.
    """
    res = raw(res)
    coef, cov, names = np.asarray(res.params), np.asarray(res.cov_params()), tuple(res._names)
    if not effects:
        return LinearRows(res, False, coef, cov, names, None)
    if res._model_kind == "factors":
        nothing = not (res.n_factors or res.sample.absorbed)
        return LinearRows(res, True, coef, cov, names, () if nothing else None)
    if res._model_kind == "cross-fitted":
        raise SpecificationError(
            "Nuisance functions are not predicted for new data.", "They were fitted once per fold.", "effects=False"
        )
    if res.degrees.total == 0:
        return LinearRows(res, True, coef, cov, names, ())
    if res.cov_type not in ("nonrobust", *_POWERS):
        return LinearRows(res, True, coef, cov, names, None)
    try:
        nuisance = nuisance_columns(res, _MOST_COLUMNS)
    except SpecificationError:
        return LinearRows(res, True, coef, cov, names, None)
    kept = list(nuisance.kept)
    full = np.column_stack([res.model.design.exog[:, list(res._fit.kept)], nuisance.columns[:, kept]])
    beta, cov = _full_regression(res, full)
    return LinearRows(res, True, beta, cov, (*names, *(nuisance.names[j] for j in kept)), nuisance.kept)


def _full_regression(res: Any, full: Array) -> tuple[Array, Array]:
    """Coefficients (P,) and covariance (P, P) of the regression with all columns, by the chosen covariance."""
    fit, weights = res._fit, res.model.design.weights
    root = np.ones(len(full)) if weights is None else np.sqrt(weights)
    size = np.linalg.norm(full * root[:, None], axis=0)
    q, r = np.linalg.qr(full * root[:, None] / size)
    inverse = np.linalg.inv(r) / size[:, None]  # coefficients are inverse @ q'(root y)
    beta = inverse @ (q.T @ (root * res.model.design.endog))
    if res.cov_type == "nonrobust":
        return beta, res._covariance.factor[0] * res.ssr / res.nobs * (inverse @ inverse.T)
    power = _POWERS[res.cov_type]
    rest = 1.0 - (q**2).sum(axis=1)
    squared = (root * fit.resid) ** 2
    if power:
        squared = np.where(rest > 1e-10, squared / np.maximum(rest, 1e-10) ** power, 0.0)
    scores = inverse @ (q * np.sqrt(squared)[:, None]).T
    return beta, res._covariance.factor[0] * (scores @ scores.T)


def _full_rows(res: Any, data: pd.DataFrame, kept: tuple[int, ...]) -> Array:
    """Regressors and nuisance columns of new rows."""
    rows = res._new_rows(data, effects=True)
    controls = None if res.model.design.controls is None else rows.controls
    out = np.full((len(rows.complete), rows.x.shape[1] + len(kept)), np.nan)
    own = rows.x
    if kept:
        columns = linear_nuisance(res.model, rows.codes, rows.values, controls)[0]
        own = np.column_stack([own, columns[:, list(kept)]])
    out[rows.complete] = np.where(rows.identified[:, None], own, np.nan)
    return out


def _slope_rows(res: Any, data: pd.DataFrame) -> Array:
    """Regressors of new rows."""
    rows = res._new_rows(data, effects=False)
    out = np.full((len(rows.complete), rows.x.shape[1]), np.nan)
    out[rows.complete] = rows.x
    return out


def _grouped_rows(res: Any, data: pd.DataFrame) -> Array:
    """Regressors of new rows, in the columns of the row's group."""
    design, kept = res.model.design, res.model._kept
    new = design.spec.exog_for(data)
    out = np.full((len(new.esample), len(res._names)), np.nan)
    x = new.exog[:, kept]
    slots = np.asarray(getattr(res, "_slots", np.arange(x.shape[1])[None, :]))
    groups = _group_of(res, data)[new.esample]
    own = np.zeros((len(x), out.shape[1]))
    np.put_along_axis(own, slots[groups], x, axis=1)
    out[new.esample] = own
    return out


def _group_of(res: Any, data: pd.DataFrame) -> Any:
    """Group (m,), from 0: as the column says, where there is one, otherwise that of the entity."""
    if not hasattr(res, "_slots"):
        return np.zeros(len(data), dtype=np.int64)
    if GROUP in data:
        groups = data[GROUP].to_numpy(dtype=np.int64) - 1
        if ((groups < 0) | (groups >= res.n_groups)).any():
            raise DataError(f"{GROUP} has values that are no group.", f"Groups are 1 to {res.n_groups}.", None)
        return groups
    entity = res.sample.entity_name
    if entity not in data:
        raise DataError(
            f"The new data have no column {entity!r}.",
            "Slopes differ by group, and groups are of entities.",
            f"Add {entity!r}, or a column {GROUP!r} with the group.",
        )
    groups = data[entity].map(res.groups)
    unseen = data[entity][groups.isna()].unique()
    if len(unseen):
        raise DataError(
            f"The new data have entities that are not in the sample: {', '.join(map(str, unseen[:5]))}.",
            "An entity out of the sample has no group.",
            f"Leave its rows out, or add a column {GROUP!r} with the group.",
        )
    return groups.to_numpy(dtype=np.int64) - 1
