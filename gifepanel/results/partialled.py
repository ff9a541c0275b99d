"""Results of PartialledOLS: the full regression's, without its nuisance coefficients."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.base import wrapper as wrap
from statsmodels.regression.linear_model import RegressionResults, RegressionResultsWrapper

from gifepanel.exceptions import DataError
from gifepanel.inference.linear_covariance import LinearCovariance
from gifepanel.projections.base import Certificate, DegreesAbsorbed
from gifepanel.results.fwl import FwlCheck, fwl_check
from gifepanel.results.linear_prediction import absorbed_coefficients, predict_linear
from gifepanel.results.measures import FitMeasures
from gifepanel.results.reported import ReportedResults

if TYPE_CHECKING:
    from gifepanel.models.partialled import PartialledFit, PartialledOLS
    from gifepanel.results.summary import PanelSummary

__all__ = ["PartialledOLSResults", "partialled_results"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class PartialledOLSResults(ReportedResults, FitMeasures, RegressionResults):
    """Results of :class:`gifepanel.PartialledOLS`.

    Coefficients, covariances and degrees of freedom are those of the regression with all dummies and controls in it.

    Attributes
    ----------
    params, bse, tvalues, pvalues : Series
    absorption : Certificate
        Method, iterations and what was left of the columns in the span of the effects.
    degrees : DegreesAbsorbed
        Rank of effects and controls, and whether it is exact.
    dropped : tuple of str
        Regressors that the nuisance part or other regressors span.
    n_singletons : int
        Rows dropped since they were alone in a level of an effect.
    rsquared, rsquared_within : float
        Of all parts together, and of the regressors once the others are out.
    """

    report_title = "Partialled-Out Least Squares Results"
    n_factors = 0

    def __init__(
        self, model: PartialledOLS, fit: PartialledFit, covariance: LinearCovariance, use_t: bool | None
    ) -> None:
        self.absorption: Certificate = fit.certificate
        self.degrees: DegreesAbsorbed = fit.projection.degrees
        names = model.design.exog_names
        self.spanned = tuple(names[j] for j in fit.absorbed)
        self.dropped = tuple(names[j] for j in sorted((*fit.absorbed, *fit.collinear)))
        self.n_singletons = model.n_singletons
        super().__init__(
            model,
            fit.params,
            normalized_cov_params=np.linalg.inv(covariance.bread),
            scale=_ssr(fit.resid, model.design.weights) / model.df_resid,
        )
        self._use_covariance(covariance, use_t)

    def _use_covariance(self, covariance: LinearCovariance, use_t: bool | None) -> None:
        self._covariance = covariance
        self.cov_params_default = covariance.cov
        self.cov_type = covariance.kind
        self.cov_kwds = {"description": covariance.description, "ssc": covariance.ssc}
        small = covariance.kind in ("nonrobust", "CR2", "cluster-crv3", "cluster-jk")
        self.use_t = small if use_t is None else bool(use_t)
        self.df_resid_inference = float(np.min(covariance.df_inference))

    @property
    def _fit(self) -> PartialledFit:
        fit = self.model._fit
        if fit is None:
            raise DataError(
                "The data of these results are gone: remove_data() was called.",
                "Residuals, effects and predictions need them.",
                "res = model.fit()",
            )
        return fit

    # ---- fit ----

    @cached_property
    def nobs(self) -> float:
        """Number of observations."""
        return float(self.model.design.nobs)

    @cached_property
    def resid(self) -> Array:
        """Residuals of the full regression."""
        return self._fit.resid

    @cached_property
    def fittedvalues(self) -> Array:
        """The outcome less the residuals: regressors, controls and effects."""
        return self.model.design.endog - self._fit.resid

    @cached_property
    def wresid(self) -> Array:
        """Residuals times the root of the weights."""
        weights = self.model.design.weights
        return self._fit.resid if weights is None else self._fit.resid * np.sqrt(weights)

    @cached_property
    def ssr(self) -> float:
        """(Weighted) sum of squared residuals."""
        return _ssr(self._fit.resid, self.model.design.weights)

    @cached_property
    def centered_tss(self) -> float:
        """(Weighted) sum of squares of the outcome about its mean."""
        y, weights = self.model.design.endog, self.model.design.weights
        return _ssr(y - np.average(y, weights=weights), weights)

    @cached_property
    def uncentered_tss(self) -> float:
        """(Weighted) sum of squares of the outcome."""
        return _ssr(self.model.design.endog, self.model.design.weights)

    @cached_property
    def within_tss(self) -> float:
        """(Weighted) sum of squares of the outcome residualised on effects and controls."""
        return _ssr(self._fit.y_tilde, self.model.design.weights)

    @cached_property
    def _centered(self) -> bool:
        """Whether a constant is in the span of effects, controls and regressors."""
        design = self.model.design
        return (
            any(effect.intercept for effect in design.absorbed_effects)
            or "Intercept" in design.control_names
            or bool(self.model._constants)
        )

    @cached_property
    def llf(self) -> float:
        """Gaussian log-likelihood, the variance concentrated out."""
        weights = self.model.design.weights
        jacobian = 0.0 if weights is None else 0.5 * float(np.log(weights).sum())
        return float(-0.5 * self.nobs * (np.log(2 * np.pi * self.ssr / self.nobs) + 1)) + jacobian

    # ---- inference with a degree of freedom for each coefficient ----

    @cached_property
    def pvalues(self) -> Array:
        """Two-sided p-values; t with the degrees of freedom of the covariance, or normal."""
        statistic = np.abs(np.asarray(self.tvalues))
        if self.use_t:
            return np.asarray(2 * stats.t.sf(statistic, self._covariance.df_inference))
        return np.asarray(2 * stats.norm.sf(statistic))

    def conf_int(self, alpha: float = 0.05, cols: Any = None) -> Array:
        """Confidence intervals of the coefficients, (k, 2)."""
        tail = 1 - alpha / 2
        q = stats.t.ppf(tail, self._covariance.df_inference) if self.use_t else stats.norm.ppf(tail)
        half = q * np.asarray(self.bse)
        out = np.column_stack([np.asarray(self.params) - half, np.asarray(self.params) + half])
        return out if cols is None else out[np.asarray(cols)]

    def get_robustcov_results(
        self, cov_type: str = "HC1", use_t: bool | None = None, *, ssc: str = "fixest", **cov_kwds: Any
    ) -> PartialledOLSResultsWrapper:
        """The same estimates with another covariance; arguments as of ``fit``."""
        other = copy(self)
        other._cache = {}
        for name in ("_overall", "bse", "tvalues", "pvalues"):
            other.__dict__.pop(name, None)
        other._use_covariance(self.model._covariance_for(cov_type, cov_kwds, ssc), use_t)
        return PartialledOLSResultsWrapper(other)

    def test_absorbed(self) -> tuple[float, float, tuple[int, int]]:
        """F test that all absorbed effects are zero, given controls and a constant: statistic, p-value, df.

        Valid under homoskedastic errors, like the F test that statsmodels prints.
        """
        design = self.model.design
        blocks = [np.ones((design.nobs, 1)), design.exog[:, list(self._fit.kept)]]
        if design.controls is not None:
            blocks.append(design.controls)
        columns = np.hstack(blocks)
        root = np.ones(design.nobs) if design.weights is None else np.sqrt(design.weights)
        left = columns * root[:, None]
        length = np.linalg.norm(left, axis=0)
        left = left / np.where(length > 0, length, 1.0)
        coefficients, _, rank, _ = np.linalg.lstsq(left, design.endog * root, rcond=1e-10)
        restricted = float(((design.endog * root - left @ coefficients) ** 2).sum())
        extra = int(self.nobs - self.df_resid) - int(rank)
        statistic = (restricted - self.ssr) / extra / (self.ssr / self.df_resid)
        return statistic, float(stats.f.sf(statistic, extra, self.df_resid)), (extra, int(self.df_resid))

    # ---- effects, prediction, pictures ----

    def effects(self) -> dict[str, pd.Series]:
        """The absorbed effects, by level: a Series for each.

        Within a connected component of the effects only differences are identified; the effect with most levels carries
        the mean, the others are as the solver found them.
        """
        return absorbed_coefficients(self.model, self._fit)[0]

    def predict(self, data: Any = None, *, effects: bool = True) -> pd.Series:
        """Predict the outcome, absorbed effects and controls included unless ``effects=False``.

        Parameters
        ----------
        data : DataFrame, optional
            New rows; by default the sample.
        effects : bool
            Add absorbed effects and controls; rows with a level out of the sample are NaN then.

        Returns
        -------
        Series
            On the index of `data`.
        """
        return predict_linear(self.model, self._fit, data, effects)

    def fwl(self) -> FwlCheck:
        """The theorem at work: residualised columns, and the regressions that give the same coefficients."""
        return fwl_check(self.model, self._fit, self.endog_name, self._names)

    @property
    def endog_name(self) -> str:
        """Name of the outcome."""
        return str(self.model.design.endog_name)

    # ---- printing and storage ----

    @cached_property
    def _report_parts(self) -> Any:
        from gifepanel.results.linear_summary import linear_report_parts

        return linear_report_parts(self)

    def summary(self, alpha: float = 0.05) -> PanelSummary:
        """The printed report: what was absorbed, how and at what cost, the fit, the coefficients, notes."""
        from gifepanel.results.linear_summary import summarize_linear

        return summarize_linear(self, alpha)

    def remove_data(self) -> None:
        """Drop everything of the size of the sample; what the summary prints is computed first and kept."""
        for name in ("_report_parts", "nobs", "ssr", "centered_tss", "uncentered_tss", "within_tss", "llf", "ess"):
            getattr(self, name)
        for name in ("rsquared", "rsquared_adj", "rsquared_within", "_overall", "_centered", "pvalues"):
            getattr(self, name)
        super().remove_data()
        for name in ("resid", "fittedvalues", "wresid"):
            self.__dict__.pop(name, None)
        self.model._fit = None

    @property
    def default_model_infos(self) -> dict[str, Any]:
        """Rows that ``summary_col`` adds under the coefficients."""
        infos: dict[str, Any] = {"N": lambda res: f"{int(res.nobs)}"}
        infos["Absorbed"] = lambda res: ", ".join(res._absorbed_names) or "none"
        infos["Covariance"] = lambda res: res.cov_type
        infos["R2 within"] = lambda res: f"{res.rsquared_within:.3f}"
        return infos

    @cached_property
    def _absorbed_names(self) -> tuple[str, ...]:
        return tuple(self.model.design.absorbed)


class PartialledOLSResultsWrapper(RegressionResultsWrapper):
    """Attaches names and the caller's index to arrays, as in statsmodels."""


wrap.populate_wrapper(PartialledOLSResultsWrapper, PartialledOLSResults)


def _ssr(values: Array, weights: Array | None) -> float:
    return float(values @ values) if weights is None else float((weights * values) @ values)


def partialled_results(model: Any, fit: Any, covariance: LinearCovariance, *, use_t: bool | None) -> Any:
    """Wrapped results of a fit."""
    return PartialledOLSResultsWrapper(PartialledOLSResults(model._at(fit), fit, covariance, use_t))
