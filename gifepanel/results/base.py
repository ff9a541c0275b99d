"""Results of models with factors, on statsmodels' regression results."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from statsmodels.base import wrapper as wrap
from statsmodels.regression.linear_model import RegressionResults, RegressionResultsWrapper

from gifepanel.exceptions import DataError
from gifepanel.inference.bias import BiasResult
from gifepanel.inference.covariance import CovarianceResult, factor_covariance
from gifepanel.inference.diagnostics import residual_diagnostics
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.results.hypotheses import read_hypothesis
from gifepanel.results.prediction import predict
from gifepanel.results.refused import RefusedMethods
from gifepanel.solvers.interactive import LocalMinimum

if TYPE_CHECKING:
    from gifepanel.models.base import FactorModel
    from gifepanel.results.summary import PanelSummary

__all__ = ["FactorResults", "FactorResultsWrapper", "Inference", "Sample"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_BIAS_WORDS = {
    "none": "none",
    "dynamic": "B1 (predetermined regressors)",
    "analytic": "B1, B2, B3 (Moon-Weidner)",
    "jackknife": "half-panel jackknife",
}


@dataclass(frozen=True)
class Sample:
    """Names and counts of the data a model was fitted to.

    Attributes
    ----------
    endog_name : str
    absorbed : tuple of str
    entity_name, time_name : str
    n_entities, n_times : int
    regressors : tuple of str
        Without those that were dropped.
    dropped : tuple of str
        Regressors that effects or other regressors span.
    n_incomplete : int
        Rows left out.
    incomplete : dict of str to int
        How many rows each variable or lag cost.
    """

    endog_name: str
    absorbed: tuple[str, ...]
    entity_name: str
    time_name: str
    n_entities: int
    n_times: int
    regressors: tuple[str, ...]
    dropped: tuple[str, ...]
    n_incomplete: int
    incomplete: dict[str, int]


@dataclass(frozen=True)
class Inference:
    """What is known about the slopes.

    Attributes
    ----------
    estimate : FactorEstimate
        Least squares.
    final : FactorEstimate
        At the reported slopes.
    params : ndarray, shape (q,)
        Corrected for bias where that was asked for.
    bias : BiasResult or None
    correction : {"none", "dynamic", "analytic", "jackknife"}
    covariance : CovarianceResult
    cluster_names : tuple of str
    ssc, use_t : bool
    """

    estimate: FactorEstimate
    final: FactorEstimate
    params: Array
    bias: BiasResult | None
    correction: str
    covariance: CovarianceResult
    cluster_names: tuple[str, ...]
    ssc: bool
    use_t: bool


class FactorResults(RefusedMethods, RegressionResults):
    """What the results of models with factors have in common.

    Everything of statsmodels' regression results is here, computed on the projected regression: coefficients, standard
    errors, tests, prediction. R-squared, information criteria and the log-likelihood count factors, loadings and
    additive effects among the parameters. Where a bias was corrected, factors, loadings, effects and residuals are
    those at the corrected slopes, and the covariance is that of least squares (Moon & Weidner 2017).
    """

    report_title = "Interactive Fixed Effects Results"

    def __init__(self, model: FactorModel, inference: Inference) -> None:
        self._inference: Inference | None = inference
        self.sample: Sample = model.sample
        self._least_squares = inference.estimate.theta
        self.bias = inference.bias
        self.bias_correction = inference.correction
        estimate = inference.estimate
        super().__init__(
            model,
            np.asarray(inference.params),
            normalized_cov_params=np.linalg.inv(estimate.bread) / estimate.y.size,
            scale=estimate.ssr / estimate.df.residual,
        )
        self._use_covariance(inference.covariance, inference.cluster_names, inference.ssc, inference.use_t)

    def _use_covariance(
        self, covariance: CovarianceResult, cluster_names: tuple[str, ...], ssc: bool, use_t: bool
    ) -> None:
        self._covariance = covariance
        self._cluster_names = cluster_names
        self.use_t = use_t
        self.cov_params_default = covariance.cov
        self.cov_type = covariance.kind
        self.cov_kwds = {"description": covariance.description, "ssc": ssc}
        self.df_resid_inference = float(self.df_resid)
        if covariance.kind == "cluster":
            self.df_resid_inference = float(min(covariance.n_groups) - 1)
            self.cov_kwds["groups"] = cluster_names

    @property
    def _estimate(self) -> FactorEstimate:
        """The estimate at the reported slopes, with its data."""
        if self._inference is None:
            raise DataError(
                "The data of these results are gone: remove_data() was called.",
                "Residuals, fitted values and predictions need them.",
                "res = model.fit()",
            )
        return self._inference.final

    # ---- what was fitted ----

    @property
    def n_groups(self) -> int:
        """Number of groups K."""
        return int(self.model.n_groups)

    @property
    def n_factors(self) -> int:
        """Number of factors R."""
        return int(self.model.n_factors)

    @property
    def n_entities(self) -> int:
        """Number of entities N."""
        return self.sample.n_entities

    @property
    def n_times(self) -> int:
        """Number of periods T."""
        return self.sample.n_times

    @cached_property
    def nobs(self) -> float:
        """Number of observations n = NT."""
        return float(self.n_entities * self.n_times)

    @cached_property
    def params_uncorrected(self) -> pd.Series:
        """Least-squares slopes, before bias correction."""
        return pd.Series(self._least_squares, index=self._names)

    @property
    def _names(self) -> list[str]:
        return list(self.model.data.param_names)

    @cached_property
    def factors(self) -> pd.DataFrame:
        """Common factors, time by R, F'F/T = I, by decreasing share of variance."""
        return pd.DataFrame(self._estimate.factors, index=self._times, columns=self._factor_names)

    @cached_property
    def loadings(self) -> pd.DataFrame:
        """Factor loadings, entity by R."""
        return pd.DataFrame(self._estimate.loadings, index=self._entities, columns=self._factor_names)

    @property
    def _factor_names(self) -> list[str]:
        return [f"factor{r + 1}" for r in range(self.n_factors)]

    @property
    def _entities(self) -> pd.Index:
        index = self.model.design.index
        return index.entities.rename(index.entity_name)

    @property
    def _times(self) -> pd.Index:
        index = self.model.design.index
        return index.times.rename(index.time_name)

    @cached_property
    def factor_shares(self) -> pd.Series:
        """Share of the variance of y less slopes and additive effects that each factor takes up."""
        lengths = (self._estimate.loadings**2).sum(axis=0) * self._estimate.shape[1]
        total = lengths.sum() + self._estimate.ssr
        return pd.Series(lengths / total, index=self._factor_names)

    @cached_property
    def entity_effects(self) -> pd.Series:
        """Additive entity effects, zero where not absorbed."""
        return pd.Series(self._estimate.entity_effect, index=self._entities, name="effect")

    @cached_property
    def time_effects(self) -> pd.Series:
        """Additive time effects, zero where not absorbed."""
        return pd.Series(self._estimate.time_effect, index=self._times, name="effect")

    # ---- fit ----

    @cached_property
    def resid(self) -> Array:
        """Residuals after slopes, effects and factors, all at the reported slopes."""
        return self.model.design.index.from_cube(self._estimate.resid)

    @cached_property
    def fittedvalues(self) -> Array:
        """The outcome less the residuals: slopes, effects and factors."""
        return self.model.design.endog - self.model.design.index.from_cube(self._estimate.resid)

    @cached_property
    def wresid(self) -> Array:
        """The residuals: the projection has left them as they are."""
        return self.model.design.index.from_cube(self._estimate.resid)

    @cached_property
    def ssr(self) -> float:
        """Sum of squared residuals."""
        return self._estimate.ssr

    @cached_property
    def centered_tss(self) -> float:
        """Sum of squares of the outcome about its mean."""
        return float(((self._estimate.y - self._estimate.y.mean()) ** 2).sum())

    @cached_property
    def uncentered_tss(self) -> float:
        """Sum of squares of the outcome."""
        return float(np.vdot(self._estimate.y, self._estimate.y))

    @cached_property
    def within_tss(self) -> float:
        """Sum of squares of the outcome projected off effects, factors and loadings."""
        return float(np.vdot(self._estimate.y_projected, self._estimate.y_projected))

    @property
    def _centered(self) -> bool:
        """Sums of squares are about the mean unless neither constant nor factors could fit it, as in statsmodels."""
        return bool(self.k_constant) or self.n_factors > 0

    @cached_property
    def ess(self) -> float:
        """Total less residual sum of squares."""
        return (self.centered_tss if self._centered else self.uncentered_tss) - self.ssr

    @cached_property
    def rsquared(self) -> float:
        """Share of the outcome's variance explained by slopes, effects and factors together."""
        return self.ess / (self.ess + self.ssr)

    @cached_property
    def rsquared_adj(self) -> float:
        """R-squared with variances over their degrees of freedom."""
        return 1.0 - (1.0 - self.rsquared) * (self.nobs - self._centered) / self.df_resid

    @cached_property
    def rsquared_within(self) -> float:
        """Share of what effects and factors leave of the outcome that the slopes explain."""
        return 1.0 - self.ssr / self.within_tss

    @cached_property
    def mse_resid(self) -> float:
        """Residual variance, over the residual degrees of freedom."""
        return self.ssr / self.df_resid

    @cached_property
    def df_total(self) -> int:
        """All that was estimated: slopes, additive effects, factors and loadings."""
        return int(self.nobs - self.df_resid)

    @cached_property
    def llf(self) -> float:
        """Gaussian log-likelihood at the residuals, the variance concentrated out."""
        return float(-0.5 * self.nobs * (np.log(2 * np.pi * self.ssr / self.nobs) + 1))

    @cached_property
    def aic(self) -> float:
        """Akaike's criterion, factors, loadings and additive effects counted among the parameters."""
        return -2 * self.llf + 2 * self.df_total

    @cached_property
    def bic(self) -> float:
        """Schwarz's criterion, factors, loadings and additive effects counted among the parameters."""
        return -2 * self.llf + np.log(self.nobs) * self.df_total

    @cached_property
    def _overall(self) -> tuple[float, float]:
        """F test that all slopes but those of constants are zero, by the chosen covariance."""
        slopes = [j for j in range(len(self.params)) if j not in self.model._constants]
        if not slopes:
            return np.nan, np.nan
        test = self.f_test(np.eye(len(self.params))[slopes])
        return float(np.squeeze(test.fvalue)), float(np.squeeze(test.pvalue))

    @property
    def fvalue(self) -> float:
        """F statistic of all slopes but the intercept being zero, by the chosen covariance."""
        return self._overall[0]

    @property
    def f_pvalue(self) -> float:
        """Its p-value."""
        return self._overall[1]

    # ---- inference ----

    def t_test(self, r_matrix: Any, cov_p: Any = None, use_t: Any = None) -> Any:
        """t tests of linear hypotheses: ``"x1[1] = x1[2]"``, a matrix, or a pair (R, q)."""
        return super().t_test(read_hypothesis(r_matrix, self._names), cov_p=cov_p, use_t=use_t)

    def f_test(self, r_matrix: Any, cov_p: Any = None, invcov: Any = None) -> Any:
        """Joint F test of linear hypotheses: ``"x1[1] = x1[2] = 0"``, a matrix, or a pair (R, q)."""
        return super().f_test(read_hypothesis(r_matrix, self._names), cov_p=cov_p, invcov=invcov)

    def wald_test(self, r_matrix: Any, cov_p: Any = None, invcov: Any = None, **options: Any) -> Any:
        """Joint Wald test of linear hypotheses; ``use_f`` chooses F or chi-squared, ``scalar=True`` is the default."""
        options.setdefault("scalar", True)
        return super().wald_test(read_hypothesis(r_matrix, self._names), cov_p=cov_p, invcov=invcov, **options)

    def get_robustcov_results(
        self, cov_type: str = "HC1", use_t: bool | None = None, *, ssc: bool = True, **cov_kwds: Any
    ) -> FactorResultsWrapper:
        """The same estimates with another covariance.

        Parameters
        ----------
        cov_type : str
            As of ``fit``.
        use_t : bool, optional
        ssc : bool
        **cov_kwds
            ``groups``, ``maxlags``, ``kernel``.
        """
        covariance, names, use_t = self.model._covariance_for(cov_type, cov_kwds, ssc, use_t)
        other = copy(self)
        other._cache = {}
        for name in ("_overall", "_report_parts", "bse", "tvalues", "pvalues"):
            other.__dict__.pop(name, None)
        assert self._inference is not None
        other._inference = replace(
            self._inference, covariance=covariance, cluster_names=names, ssc=ssc, use_t=bool(use_t)
        )
        other._use_covariance(covariance, names, ssc, bool(use_t))
        return FactorResultsWrapper(other)

    def _heteroskedastic(self, kind: Any) -> Array:
        estimate = self.model._fitted("a covariance")
        return factor_covariance(
            estimate.z_projected, estimate.resid, df_resid=estimate.df.residual, kind=kind, ssc=True
        ).cov

    @cached_property
    def cov_HC0(self) -> Array:  # noqa: N802
        """Covariance robust to heteroskedasticity, without small-sample factor."""
        return self._heteroskedastic("HC0")

    @cached_property
    def cov_HC1(self) -> Array:  # noqa: N802
        """Covariance robust to heteroskedasticity, times NT over the residual degrees of freedom."""
        return self._heteroskedastic("HC1")

    @cached_property
    def HC0_se(self) -> Array:  # noqa: N802
        """Standard errors of `cov_HC0`."""
        return np.sqrt(np.diag(self.cov_HC0))

    @cached_property
    def HC1_se(self) -> Array:  # noqa: N802
        """Standard errors of `cov_HC1`."""
        return np.sqrt(np.diag(self.cov_HC1))

    # ---- residuals ----

    @cached_property
    def _diagnostics(self) -> pd.DataFrame:
        estimate = self._estimate
        tests = residual_diagnostics(
            estimate.resid,
            factors=estimate.factors if estimate.n_factors else None,
            loadings=estimate.loadings if estimate.n_factors else None,
        )
        rows = [(test.name, test.statistic, test.pvalue, test.distribution, test.null) for test in tests]
        frame = pd.DataFrame(rows, columns=["test", "statistic", "pvalue", "distribution", "null"])
        return frame.set_index("test")

    def diagnostics(self) -> pd.DataFrame:
        """Tests on the residuals: statistic, p-value, reference distribution and the null hypothesis in words."""
        return self._diagnostics.copy()

    @cached_property
    def minima(self) -> pd.DataFrame:
        """Local-minimum audit: distinct minima of the least-squares objective, best first.

        Columns: sum of squares, its excess over the best in percent, how many starts led there, and which.
        """
        minima: tuple[LocalMinimum, ...] = self._minima
        best = minima[0].ssr if minima else np.nan
        rows = [(m.ssr, 100 * (m.ssr / best - 1), len(m.starts), ", ".join(m.starts)) for m in minima]
        return pd.DataFrame(rows, columns=["ssr", "excess_percent", "n_starts", "starts"])

    _minima: tuple[LocalMinimum, ...] = ()

    # ---- prediction, printing, storage ----

    def predict(self, data: Any = None, *, effects: bool = True) -> pd.Series:
        """Predict the outcome, additive effects and factors included unless ``effects=False``.

        Parameters
        ----------
        data : DataFrame, optional
            New rows with the columns of the formula and the ids; by default the sample.
        effects : bool
            Add the entity and time effects and the factors times loadings. Needs entities and periods of the sample.

        Returns
        -------
        Series
            On the index of `data`; NaN where a regressor is missing.

        Raises
        ------
        DataError
            For entities without a group, and with ``effects`` for entities or periods out of the sample.
        """
        return predict(self.model.design, self._estimate, self.model._kept, data, effects)

    def summary(self, alpha: float = 0.05) -> PanelSummary:
        """The printed report: what was estimated, the fit, coefficients by group, diagnostics and notes.

        Parameters
        ----------
        alpha : float
            One less the level of the confidence intervals.

        Returns
        -------
        PanelSummary
            ``as_text()``, ``as_html()``, ``as_latex()``, ``as_csv()``, ``as_markdown()``.
        """
        from gifepanel.results.summary import summarize

        return summarize(self, alpha)

    @cached_property
    def _report_parts(self) -> Any:
        """What of the report does not depend on the level of the intervals."""
        from gifepanel.results.summary import report_parts

        return report_parts(self)

    def to_html(self) -> str:
        """The summary as HTML."""
        return self.summary().as_html()

    def to_latex(self) -> str:
        """The summary as LaTeX (booktabs)."""
        return self.summary().as_latex()

    def to_markdown(self) -> str:
        """The summary as Markdown."""
        return self.summary().as_markdown()

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def remove_data(self) -> None:
        """Drop everything of the size of the sample; what doesn't need it is computed first and kept."""
        for name in _KEPT:
            getattr(self, name)
        super().remove_data()
        for name in ("resid", "fittedvalues", "wresid"):
            self.__dict__.pop(name, None)
        self._inference = None

    @property
    def default_model_infos(self) -> dict[str, Any]:
        """Rows that ``statsmodels.iolib.summary2.summary_col`` adds under the coefficients."""
        infos = {
            "N": lambda res: f"{int(res.nobs)}",
            "Entities": lambda res: f"{res.n_entities}",
            "Periods": lambda res: f"{res.n_times}",
        }
        if self.n_groups > 1:
            infos["Groups"] = lambda res: f"{res.n_groups}"
        infos["Factors"] = lambda res: f"{res.n_factors}"
        infos["Absorbed"] = lambda res: ", ".join(res.sample.absorbed) or "none"
        infos["Covariance"] = lambda res: res.cov_type
        infos["R2 within"] = lambda res: f"{res.rsquared_within:.3f}"
        return infos

    @property
    def bias_correction_words(self) -> str:
        """The bias correction, in words."""
        return _BIAS_WORDS[self.bias_correction]


_KEPT = (
    "_report_parts",
    "factors",
    "loadings",
    "entity_effects",
    "time_effects",
    "params_uncorrected",
    "minima",
    "ssr",
    "llf",
    "ess",
    "centered_tss",
    "uncentered_tss",
    "within_tss",
    "rsquared_within",
    "factor_shares",
    "_overall",
    "HC0_se",
    "HC1_se",
)


class FactorResultsWrapper(RegressionResultsWrapper):
    """Attaches names and the caller's index to arrays, as in statsmodels."""


wrap.populate_wrapper(FactorResultsWrapper, FactorResults)
