"""Results of PartialledOLS: the full regression's, without its nuisance coefficients."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.linear_model import RegressionResults, RegressionResultsWrapper

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.linear_covariance import LinearCovariance
from gifepanel.page.source import called
from gifepanel.plots.linear_models import LinearPlots
from gifepanel.projections.base import Certificate, DegreesAbsorbed
from gifepanel.results.fwl import FwlCheck, fwl_check
from gifepanel.results.linear_prediction import absorbed_effects, check_effects, linear_rows, new_rows, predict_linear
from gifepanel.results.linear_tests import LinearTests
from gifepanel.results.measures import FitMeasures
from gifepanel.results.new_data import labels_of, matrix_of, new_data, one_given
from gifepanel.statsmodels_bridge.hypotheses import check_level
from gifepanel.statsmodels_bridge.inherited import populate_wrapper

if TYPE_CHECKING:
    from statsmodels.regression._prediction import PredictionResults

    from gifepanel.panel.matrices import PanelDesign
    from gifepanel.results.linear_influence import PartialledInfluence
    from gifepanel.results.linear_inputs import CovarianceChoice, LinearModel, PartialledFit
    from gifepanel.results.linear_prediction import NewRows
    from gifepanel.tables.compare_columns import ModelColumn

__all__ = ["PartialledOLSResults", "partialled_results"]

Array = np.ndarray[Any, np.dtype[np.float64]]


_KEPT = (
    "_report_parts",
    "_data_facts",
    "_absorbed_names",
    "_controls",
    "_panel_size",
    "_plain",
    "_inputs",
    "_ids",
    "_without_nuisance",
    "nobs",
    "ssr",
    "centered_tss",
    "uncentered_tss",
    "within_tss",
    "llf",
    "ess",
    "rsquared",
    "rsquared_adj",
    "rsquared_within",
    "aic",
    "bic",
    "_overall",
    "pvalues",
    "HC0_se",
    "HC1_se",
)


class PartialledOLSResults(LinearTests, FitMeasures, RegressionResults):
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

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> res.params.round(3).to_dict()
    {'price': -0.823, 'ndi': -0.005}
    >>> res.degrees.total, res.absorption.converged
    (75, True)
    """

    report_title = "Partialled-Out Least Squares Results"
    _model_kind = "linear"
    _recipe: tuple[PanelDesign, tuple[int, ...]] | None = None  # of new rows, once the data are gone
    _kept: ClassVar[tuple[str, ...]] = _KEPT
    n_factors = 0

    def __init__(
        self,
        model: LinearModel,
        fit: PartialledFit,
        covariance: LinearCovariance,
        use_t: bool | None,
        choice: CovarianceChoice | None = None,
    ) -> None:
        self._choice = choice
        self._cluster_names: tuple[str, ...] = () if choice is None else choice.cluster_names
        self.absorption: Certificate = fit.certificate
        self.degrees: DegreesAbsorbed = fit.projection.degrees
        names = model.design.exog_names
        self.spanned = tuple(names[j] for j in fit.absorbed)
        self.dropped = tuple(names[j] for j in sorted((*fit.absorbed, *fit.collinear)))
        self.n_singletons = model.n_singletons
        super().__init__(
            model,
            fit.params,
            normalized_cov_params=covariance.root @ covariance.root.T,
            scale=_ssr(fit.resid, model.design.weights) / model.df_resid,
        )
        self._use_covariance(covariance, use_t)

    def _comparison_column(self, alpha: float) -> ModelColumn:
        from gifepanel.tables.compare_columns import linear_column

        return linear_column(self, alpha)

    def _new_rows(self, data: Any, effects: bool) -> NewRows:
        return new_rows(self.model, self._fit, data, effects)

    def _use_covariance(self, covariance: LinearCovariance, use_t: bool | None) -> None:
        self._covariance = covariance
        self.cov_params_default = covariance.cov
        self.cov_type = covariance.kind
        self.cov_kwds: dict[str, Any] = {"description": covariance.description, "ssc": covariance.ssc}
        if len(covariance.n_groups) == len(self._cluster_names) > 0:
            self.cov_kwds["groups"] = self._cluster_names
        if use_t is not None and not isinstance(use_t, (bool, np.bool_)):
            raise SpecificationError(f"use_t is {use_t!r}.", "It must be True or False.", "use_t=True")
        small = covariance.kind in ("nonrobust", "CR2", "cluster-crv3", "cluster-jk")
        self.use_t = small if use_t is None else bool(use_t)
        self.df_resid_inference = float(np.min(covariance.df_inference))
        if covariance.kind == "fixed scale":
            self.scale = float(covariance.meat[0, 0] / covariance.bread[0, 0])

    @cached_property
    def _plain(self) -> bool:
        return self.degrees.total == 0 and self.model.design.weights is None and self.model.learner is None

    @cached_property
    def _without_nuisance(self) -> bool:
        return self.degrees.total == 0 and self.model.design.controls is None

    @property
    def _n_summed(self) -> int:
        """Periods that a covariance sums over; kept by the degrees of freedom of its t statistics."""
        return int(np.min(self._covariance.df_inference)) + 1

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
        resid = self._fit.resid
        return self.model.design.endog - resid

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

    @property
    def _centered(self) -> bool:
        """Whether a constant is in the span of effects, controls and regressors."""
        return bool(self.k_constant)

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
        """Confidence intervals of the coefficients, (k, 2).

        Parameters
        ----------
        alpha : float
            One less the level.
        cols : int, str or sequence of them, optional
            Some of the coefficients, by position or name.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.conf_int().round(3)
                   0      1
        price -0.970 -0.677
        ndi   -0.006 -0.005
        """
        tail = 1 - check_level(alpha) / 2
        q = stats.t.ppf(tail, self._covariance.df_inference) if self.use_t else stats.norm.ppf(tail)
        half = q * np.asarray(self.bse)
        out = np.column_stack([np.asarray(self.params) - half, np.asarray(self.params) + half])
        return out if cols is None else out[self._positions(cols)]

    def get_robustcov_results(
        self, cov_type: str = "HC1", use_t: bool | None = None, *, ssc: str = "fixest", **cov_kwds: Any
    ) -> PartialledOLSResultsWrapper:
        """The same estimates with another covariance.

        Parameters
        ----------
        cov_type : str
            As of ``fit``.
        use_t : bool, optional
            By default that of these results, as in statsmodels: t after a "nonrobust" fit, normal after a robust one,
            and t for CR2 and CR3 always.
        ssc : {"fixest", "stata", "statsmodels", "none"}
        **cov_kwds
            ``groups="firm"``, ``maxlags=3``, ``time="year"``.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> round(float(res.get_robustcov_results("cluster", groups="state").bse["price"]), 3)
        0.19
        """
        fit = self._fit
        choice = self.model._covariance_choice(cov_type, cov_kwds, ssc)
        other = copy(self)
        other._cache = {}
        for name in ("_overall", "_report_parts", "bse", "tvalues", "pvalues"):
            other.__dict__.pop(name, None)
        other._choice, other._cluster_names = choice, choice.cluster_names
        other._use_covariance(choice(self.model, fit), self.use_t or None if use_t is None else use_t)
        given = {"cov_type": cov_type, "use_t": other.use_t, "ssc": ssc, **cov_kwds}
        other._robust_call = called("get_robustcov_results", given, {"ssc": "fixest"})
        return PartialledOLSResultsWrapper(other)

    def _heteroskedastic(self, kind: str) -> Array:
        return np.asarray(self.model._covariance_choice(kind, None, "fixest")(self.model, self._fit).cov)

    @cached_property
    def cov_HC2(self) -> Array:
        """Squared residuals over one less the leverage in the full regression (MacKinnon & White 1985)."""
        return self._heteroskedastic("HC2")

    @cached_property
    def cov_HC3(self) -> Array:
        """Squared residuals over the square of one less the leverage in the full regression."""
        return self._heteroskedastic("HC3")

    @cached_property
    def HC2_se(self) -> Array:
        """Standard errors of `cov_HC2`."""
        return np.sqrt(np.diag(self.cov_HC2))

    @cached_property
    def HC3_se(self) -> Array:
        """Standard errors of `cov_HC3`."""
        return np.sqrt(np.diag(self.cov_HC3))

    @cached_property
    def eigenvals(self) -> Array:
        """Eigenvalues of x~'Wx~, decreasing: of the regressors residualised on effects and controls."""
        return np.asarray(1 / np.linalg.svd(self._covariance.root, compute_uv=False)[::-1] ** 2)

    @property
    def mse_total(self) -> float:
        """Total sum of squares over its degrees of freedom."""
        total = self.centered_tss if self._centered else self.uncentered_tss
        return total / (self.nobs - self._centered)

    def get_influence(self) -> PartialledInfluence:
        """Influence measures of the full regression: leverages, studentised residuals, Cook's distance, dfbetas.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> round(float(res.get_influence().hat_matrix_diag.sum()), 6) == res.df_model + 1
        True
        """
        from gifepanel.results.linear_influence import PartialledInfluence

        return PartialledInfluence(self)

    def outlier_test(
        self, method: str = "bonf", alpha: float = 0.05, labels: Any = None, order: bool = False, cutoff: Any = None
    ) -> Any:
        """Outliers by externally studentised residuals of the full regression; arguments as in statsmodels.

        Parameters
        ----------
        method : str
            How p-values are corrected, of statsmodels' ``multipletests``.
        alpha : float
            Family-wise error rate.
        labels : array_like, optional
            Labels of the rows in the place of the index.
        order : bool
            Largest residuals first.
        cutoff : float, optional
            Rows whose corrected p-value is below it, and no others.

        Returns
        -------
        DataFrame
            Studentised residual, p-value, and p-value corrected for the number of observations.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.outlier_test().columns.tolist()
        ['student_resid', 'unadj_p', 'bonf(p)']
        """
        from statsmodels.stats.outliers_influence import outlier_test

        return outlier_test(self, method, alpha, labels=labels, order=order, cutoff=cutoff)

    # ---- effects, prediction, pictures ----

    def effects(self) -> dict[str, pd.Series]:
        """The absorbed effects, by level: a Series for each.

        Within a connected component of the effects only differences are identified; the effect with most levels carries
        the mean, the others are as the solver found them.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.effects()["year"].round(1).tail(2).to_dict()
        {1991: -22.3, 1992: 0.0}
        """
        return absorbed_effects(self.model, self._fit)

    def predict(self, data: Any = None, transform: bool = True, *, effects: bool = True, exog: Any = None) -> pd.Series:
        """Predict the outcome, absorbed effects and controls included unless ``effects=False``.

        Parameters
        ----------
        data : DataFrame, Series, mapping or array_like, optional
            New rows (a Series is one; arrays hold the regressors in their order); by default the sample.
        transform : bool
            False: `data` holds the regressors with a coefficient themselves, (m, k), and the linear part is predicted.
        effects : bool
            Add absorbed effects and controls. Rows with a level out of the sample (singletons and rows with weights of
            zero were dropped from it), or with levels whose sum the sample does not identify (they are in different
            connected components), are NaN then, with a warning that counts them.
        exog : optional
            statsmodels' name of `data`.

        Returns
        -------
        Series
            On the index of `data`.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> [round(float(res.predict(effects=on).iloc[0]), 1) for on in (True, False)]
        [105.3, -32.0]
        """
        check_effects(effects)
        if not transform:
            given = one_given(data, exog)
            return self._linear_part(matrix_of(given, self._names), effects, labels_of(given))
        rows = new_data(data, exog, self._inputs, self._ids)
        if self._recipe is None:
            return predict_linear(self.model, self._fit, rows, effects)
        if rows is None or (effects and not self._without_nuisance):
            _ = self._fit  # which says that the data are gone
        found = linear_rows(*self._recipe, rows)
        return found.series(found.x @ np.asarray(self.params))

    def _linear_part(self, x: Array, effects: bool, labels: pd.Index | None) -> pd.Series:
        if effects and not self._without_nuisance:
            raise SpecificationError(
                "transform=False came with effects and controls in the model.",
                "Regressors alone do not say which effects a row has.",
                "res.predict(x, transform=False, effects=False)",
            )
        return pd.Series(x @ np.asarray(self.params), index=labels, name="predicted")

    def get_prediction(
        self, data: Any = None, *, effects: bool = True, weights: Any = None, exog: Any = None
    ) -> PredictionResults:
        """Predictions with standard errors and intervals, for the mean and for new observations.

        The variances are those of the regression with all dummies and controls in it, which prediction counts among
        what was estimated. Under clustered and time-series covariances, which say nothing of the effects' own
        variation, they are available for the linear part (``effects=False``) alone.

        Parameters
        ----------
        data : DataFrame, optional
            New rows; by default the sample.
        effects : bool
            Add absorbed effects and controls. Without, there are no intervals for observations.
        weights : array_like, optional
            Of the new observations: their error variance is the residual variance over it.
        exog : optional
            statsmodels' name of `data`.

        Returns
        -------
        statsmodels PredictionResults
            ``predicted_mean``, ``se_mean``, ``conf_int(obs=False)``, ``summary_frame()``; NaN where effects are not
            identified.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price | state + year", cigar).fit()
        >>> frame = res.get_prediction(cigar.head(2)).summary_frame()
        >>> list(frame.columns)[:4]
        ['mean', 'mean_se', 'mean_ci_lower', 'mean_ci_upper']
        """
        from gifepanel.results.linear_intervals import predict_with_intervals

        return predict_with_intervals(self, new_data(data, exog, self._inputs, self._ids), effects, weights)

    @property
    def plot(self) -> LinearPlots:
        """Pictures: coefficients, added variables, residuals, fit; ``dir(res.plot)`` lists them (needs matplotlib)."""
        return LinearPlots(self)

    def fwl(self) -> FwlCheck:
        """The theorem at work: residualised columns, and the regressions that give the same coefficients.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.fwl().columns.columns.tolist()
        ['sales', 'price', 'ndi']
        """
        return fwl_check(self.model, self._fit, self.endog_name, self._names)

    @property
    def endog_name(self) -> str:
        """Name of the outcome."""
        return str(self.model.design.endog_name)

    # ---- printing and storage ----

    @cached_property
    def _report_parts(self) -> Any:
        from gifepanel.tables.linear_summary import linear_report_parts

        return linear_report_parts(self)

    def remove_data(self) -> None:
        """Drop everything of the size of the sample; what the summary prints is computed first and kept.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.remove_data()
        >>> round(float(res.params["price"]), 3)
        -0.823
        """
        for name in self._kept:
            getattr(self, name)
        self.model.data.ynames  # noqa: B018 - statsmodels' summary_col asks for it later
        if self._recipe is None:
            self._recipe = (self.model.design.without_rows(), self._fit.kept)
        super().remove_data()
        for name in ("resid", "fittedvalues", "wresid"):
            self.__dict__.pop(name, None)
        self.model._fit = self._choice = None
        self.model._release()

    @property
    def default_model_infos(self) -> dict[str, Any]:
        """Rows that ``summary_col`` adds under the coefficients."""
        infos: dict[str, Any] = {"N": lambda res: f"{int(res.nobs)}"}
        infos["Absorbed"] = lambda res: ", ".join(res._absorbed_names) or "none"
        infos["Covariance"] = lambda res: res.cov_type
        infos["R2 within"] = lambda res: f"{res.rsquared_within:.3f}"
        return infos | self._infos_on_variances

    @cached_property
    def _absorbed_names(self) -> tuple[str, ...]:
        return tuple(self.model.design.absorbed)

    @cached_property
    def _controls(self) -> tuple[str, ...]:
        return tuple(self.model.design.control_names)

    @cached_property
    def _panel_size(self) -> tuple[int, int] | None:
        """How many entities and periods, where they are known."""
        panel = self.model.panel_index(required=False)
        return None if panel is None else (panel.n_entities, panel.n_times)


class PartialledOLSResultsWrapper(RegressionResultsWrapper):
    """Attaches names and the caller's index to arrays, as in statsmodels."""

    def __repr__(self) -> str:
        return repr(self._results)


populate_wrapper(PartialledOLSResultsWrapper, PartialledOLSResults)


def _ssr(values: Array, weights: Array | None) -> float:
    return float(values @ values) if weights is None else float((weights * values) @ values)


def partialled_results(model: Any, fit: Any, choice: CovarianceChoice, *, use_t: bool | None) -> Any:
    """Wrapped results of a fit with the covariance that was chosen."""
    return PartialledOLSResultsWrapper(PartialledOLSResults(model._at(fit), fit, choice(model, fit), use_t, choice))
