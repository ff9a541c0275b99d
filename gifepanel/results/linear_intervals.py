"""Intervals for predictions: the variances of the full regression, effects and controls among its parameters."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd
from statsmodels.regression._prediction import PredictionResults

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.definite import has_variance
from gifepanel.inference.linear_covariance import LinearCovariance
from gifepanel.inference.linear_sample import full_leverage
from gifepanel.projections.base import DegreesAbsorbed
from gifepanel.projections.hat import hat_rows
from gifepanel.results.linear_inputs import PartialledFit
from gifepanel.results.linear_prediction import NewRows, new_rows, predict_rows

__all__ = ["FittedRegression", "predict_with_intervals"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_POWERS = {"HC0": 0, "HC1": 0, "HC2": 1, "HC3": 2}
_AT_ONCE = 1 << 22  # elements of a block of the hat matrix: 32 MB


class FittedRegression(Protocol):
    """What intervals ask of results."""

    model: Any
    cov_type: str
    scale: float
    ssr: float
    nobs: float
    degrees: DegreesAbsorbed
    use_t: bool
    df_resid_inference: float
    _covariance: LinearCovariance

    @property
    def _fit(self) -> PartialledFit: ...
    def _core(self) -> Array: ...
    def cov_params(self) -> Any: ...
    def predict(self, *, effects: bool = True) -> pd.Series: ...


def predict_with_intervals(res: FittedRegression, data: Any, effects: bool, weights: Any) -> PredictionResults:
    """Predictions and variances; see :meth:`PartialledOLSResults.get_prediction`."""
    rows = _sample_rows(res) if data is None else new_rows(res.model, res._fit, data, effects)
    partial = effects and res.degrees.total > 0
    if partial and res.cov_type not in ("nonrobust", "fixed scale", *_POWERS):
        raise SpecificationError(
            f"Intervals with effects and controls are not available under {res._covariance.description}.",
            "Within clusters, or over time, the effects' own sampling variation is not estimated.",
            'res.get_robustcov_results("HC1").get_prediction(data), or get_prediction(data, effects=False)',
        )
    m, index = len(rows.complete), rows.index
    if data is None:
        mean = res.predict(effects=effects).to_numpy()
    else:
        mean = rows.series(predict_rows(res.model, res._fit, rows, effects)).to_numpy()
    variance = np.full(m, np.nan)
    if partial:
        variance[rows.complete] = _full_variance(res, rows, in_sample=data is None)
    else:
        turned = res._fit.triangle.coordinates(rows.x)
        found = np.einsum("mk,kl,ml->m", turned, res._core(), turned)
        covariance = res._covariance
        if covariance.without or covariance.min_eigenvalue < 0:
            found[~has_variance(rows.x, np.asarray(res.cov_params()), covariance.gross)] = np.nan
        variance[rows.complete] = found
    noise = np.full(m, res.scale) / _weights(res, data, weights, m)
    if not effects and res.degrees.total:
        noise[:] = np.nan  # an outcome has effects and controls in it
    return PredictionResults(
        mean, variance, noise, df=res.df_resid_inference, dist="t" if res.use_t else "norm", row_labels=index
    )


def _weights(res: FittedRegression, data: Any, given: Any, m: int) -> Array:
    if given is None:
        own = res.model.design.weights
        return own if data is None and own is not None else np.ones(m)
    weights = np.broadcast_to(np.asarray(given, dtype=np.float64), (m,)) if np.ndim(given) == 0 else np.asarray(given)
    if weights.shape != (m,) or not (weights > 0).all():
        raise DataError(
            f"weights has the shape {weights.shape}, or values that are not positive.",
            f"One positive weight is needed for each of the {m} rows.",
            "weights=None",
        )
    return np.asarray(weights, dtype=np.float64)


def _sample_rows(res: FittedRegression) -> NewRows:
    """The sample as rows to predict for."""
    design, fit, blocks = res.model.design, res._fit, res.model.effects
    every = np.ones(design.nobs, dtype=bool)
    controls = np.empty((design.nobs, 0)) if design.controls is None else design.controls
    codes, values = [np.asarray(e.codes) for e in blocks], [e.values for e in blocks]
    return NewRows(design.exog[:, list(fit.kept)], controls, codes, values, every, every, design.row_index)


def _full_variance(res: FittedRegression, rows: NewRows, *, in_sample: bool) -> Array:
    """z'Vz of the rows z (m,), V the covariance of all coefficients of the full regression."""
    fit, weights, n = res._fit, res.model.design.weights, int(res.nobs)
    w = np.ones(n) if weights is None else weights
    out = np.full(len(rows.x), np.nan)
    if res.cov_type in ("nonrobust", "fixed scale"):
        scale = res.scale if res.cov_type == "fixed scale" else res._covariance.factor[0] * res.ssr / n
        if in_sample:
            return scale * _leverage(fit, weights) / w
        factor = w * scale
    else:
        factor = (w * fit.resid) ** 2 * res._covariance.factor[0]
        power = _POWERS[res.cov_type]
        if power:
            rest = 1 - _leverage(fit, weights)
            factor = np.where(rest > 1e-10, factor / np.maximum(rest, 1e-10) ** power, 0.0)
    at = np.flatnonzero(rows.identified)
    step = max(1, _AT_ONCE // n)
    for first in range(0, len(at), step):
        some = at[first : first + step]
        out[some] = factor @ _hat(res, rows, some, w) ** 2
    return out


def _leverage(fit: Any, weights: Any) -> Array:
    return full_leverage(fit.x_tilde, fit.projection.leverage(), weights=weights, triangle=fit.triangle)


def _hat(res: FittedRegression, rows: NewRows, some: Any, w: Array) -> Array:
    """Z (Z'WZ)^- z of some rows z: (n, m), Z all columns of the full regression."""
    fit, projection = res._fit, res._fit.projection
    kept = list(fit.kept)
    out = np.zeros((len(w), len(some)))
    if projection.absorption is not None:
        values = [None if v is None else v[some] for v in rows.values]
        out = hat_rows(projection.absorption, [codes[some] for codes in rows.codes], values)
    weighted = out * w[:, None]
    basis, controls = projection.basis, res.model.design.controls
    if basis is not None and controls is not None and basis.kept:
        used = list(basis.kept)
        left = rows.controls[some][:, used].T - controls[:, used].T @ weighted  # beyond the effects, (q, m)
        root = 1.0 if basis.root is None else 1.0 / basis.root[:, None]
        out = out + root * (basis.q @ basis.loadings(left.T))
        weighted = out * w[:, None]
    left = rows.x[some].T - res.model.design.exog[:, kept].T @ weighted
    return np.asarray(out + fit.triangle.basis(fit.x_tilde) @ (fit.triangle.root.T @ left))
