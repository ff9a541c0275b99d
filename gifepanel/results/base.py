"""Results of models with factors, on statsmodels' regression results."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from patsy import DesignInfo
from statsmodels.base import wrapper as wrap
from statsmodels.regression.linear_model import RegressionResults, RegressionResultsWrapper

from gifepanel.exceptions import ConvergenceWarning, SpecificationError
from gifepanel.inference.bias import BiasResult
from gifepanel.inference.covariance import CovarianceResult
from gifepanel.inference.diagnostics import residual_diagnostics
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.results.prediction import predict
from gifepanel.solvers.interactive import LocalMinimum

if TYPE_CHECKING:
    from gifepanel.models.base import FactorModel
    from gifepanel.models.inference import CovarianceChoice
    from gifepanel.results.summary import PanelSummary

__all__ = ["FactorResults", "FactorResultsWrapper", "parse_hypothesis", "warn_not_converged"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_BIAS_WORDS = {
    "none": "none",
    "dynamic": "B1 (predetermined regressors)",
    "analytic": "B1, B2, B3 (Moon-Weidner)",
    "jackknife": "half-panel jackknife",
}


def parse_hypothesis(hypothesis: Any, names: list[str]) -> Any:
    """A string hypothesis (or a list or dict of them) as the pair (R, q); anything else as it is.

    Always patsy's grammar, whatever engine statsmodels is set to: formulaic's reads ``"a = b = 0"`` as one restriction.
    """
    textual = isinstance(hypothesis, (str, Mapping)) or (
        isinstance(hypothesis, (list, tuple)) and len(hypothesis) > 0 and all(isinstance(h, str) for h in hypothesis)
    )
    if not textual:
        return hypothesis
    try:
        constraint = DesignInfo(names).linear_constraint(hypothesis)
    except Exception as error:
        message = str(error).splitlines()[0]
        raise SpecificationError(
            f"The hypothesis {hypothesis!r} can't be read: {message}.",
            f"The coefficients are {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}.",
            f'"{names[0]} = {names[-1]}"' if len(names) > 1 else f'"{names[0]} = 0"',
        ) from None
    return constraint.coefs, constraint.constants.ravel()


def warn_not_converged(what: str, fix: str) -> None:
    """One warning, in the frame of the caller of ``fit``."""
    warnings.warn(ConvergenceWarning(f"{what} did not converge.", None, fix), stacklevel=5)


class FactorResults(RegressionResults):
    """What the results of models with factors have in common.

    Everything of statsmodels' regression results is here, computed on the projected regression: coefficients, standard
    errors, tests, prediction. R-squared, information criteria and the log-likelihood count factors, loadings and
    additive effects among the parameters. Where a bias was corrected, factors, loadings, effects and residuals are
    those at the corrected slopes, and the covariance is that of least squares (Moon & Weidner 2017).
    """

    def __init__(
        self,
        model: FactorModel,
        estimate: FactorEstimate,
        *,
        final: FactorEstimate,
        params: Array,
        bias: BiasResult | None,
        correction: str,
        covariance: CovarianceChoice,
        use_t: bool | None,
    ) -> None:
        self._estimate = final
        self._least_squares = estimate.theta
        self.bias = bias
        self.bias_correction = correction
        self._covariance: CovarianceResult = covariance(estimate)
        self._cluster_names = covariance.group_names
        robust = covariance.kind != "nonrobust"
        bread = estimate.bread
        super().__init__(
            model,
            np.asarray(params),
            normalized_cov_params=np.linalg.inv(bread) / estimate.y.size,
            scale=estimate.ssr / estimate.df.residual,
            use_t=(not robust) if use_t is None else bool(use_t),
        )
        self.cov_params_default = self._covariance.cov
        self.cov_type = covariance.kind
        self.cov_kwds = {"description": self._covariance.description, "ssc": covariance.ssc}
        if covariance.kind == "cluster":
            self.df_resid_inference = float(min(self._covariance.n_groups) - 1)
            self.cov_kwds["groups"] = self._cluster_names

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
        return int(self.factor_shape[0])

    @property
    def n_times(self) -> int:
        """Number of periods T."""
        return int(self.factor_shape[1])

    @cached_property
    def nobs(self) -> float:
        """Number of observations n = NT."""
        n, t = self.factor_shape
        return float(n * t)

    @cached_property
    def factor_shape(self) -> tuple[int, int]:
        """(N, T)."""
        return self._estimate.shape

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
        index = self.model.design.index.times
        return pd.DataFrame(
            self._estimate.factors, index=index.rename(self.model.design.index.time_name), columns=self._factor_names
        )

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
        index = self.model.design.index
        return pd.Series(self._estimate.time_effect, index=index.times.rename(index.time_name), name="effect")

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

    @cached_property
    def ess(self) -> float:
        """Centred total less residual sum of squares."""
        return self.centered_tss - self.ssr

    @cached_property
    def rsquared(self) -> float:
        """Share of the outcome's variance explained by slopes, effects and factors together."""
        return 1.0 - self.ssr / self.centered_tss

    @cached_property
    def rsquared_adj(self) -> float:
        """R-squared with variances over their degrees of freedom."""
        return 1.0 - (self.ssr / self.df_resid) / (self.centered_tss / (self.nobs - 1))

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
        return self._estimate.df.model

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
    def fvalue(self) -> float:
        """F statistic of all slopes being zero, by the chosen covariance (a within-statistic)."""
        return float(np.squeeze(self.f_test(np.eye(len(self.params))).fvalue))

    @cached_property
    def f_pvalue(self) -> float:
        """Its p-value."""
        return float(np.squeeze(self.f_test(np.eye(len(self.params))).pvalue))

    # ---- inference ----

    def t_test(self, r_matrix: Any, cov_p: Any = None, use_t: Any = None) -> Any:
        """t tests of linear hypotheses: ``"x1[1] = x1[2]"``, a matrix, or a pair (R, q)."""
        return super().t_test(parse_hypothesis(r_matrix, self._names), cov_p=cov_p, use_t=use_t)

    def f_test(self, r_matrix: Any, cov_p: Any = None, invcov: Any = None) -> Any:
        """Joint F test of linear hypotheses: ``"x1[1] = x1[2] = 0"``, a matrix, or a pair (R, q)."""
        return super().f_test(parse_hypothesis(r_matrix, self._names), cov_p=cov_p, invcov=invcov)

    def wald_test(self, r_matrix: Any, cov_p: Any = None, invcov: Any = None, **options: Any) -> Any:
        """Joint Wald test of linear hypotheses; ``use_f`` chooses F or chi-squared, ``scalar=True`` is the default."""
        options.setdefault("scalar", True)
        return super().wald_test(parse_hypothesis(r_matrix, self._names), cov_p=cov_p, invcov=invcov, **options)

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

    def predict(self, data: Any = None, *, effects: bool = True, **unknown: Any) -> pd.Series:
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
        if unknown:
            from gifepanel.models.checks import reject_unknown

            reject_unknown(unknown, ("data", "effects"), "predict")
        return predict(self.model.design, self._estimate, self.model._kept, data, effects)

    def summary(self, alpha: float = 0.05, **unknown: Any) -> PanelSummary:
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
        if unknown:
            from gifepanel.models.checks import reject_unknown

            reject_unknown(unknown, ("alpha",), "summary")
        from gifepanel.results.summary import summarize

        return summarize(self, alpha)

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
        """Drop everything of the size of the sample; what the summary prints is computed first and kept."""
        self.summary()
        _ = self.factors, self.loadings, self.entity_effects, self.time_effects, self.params_uncorrected, self.fvalue
        super().remove_data()
        for name in ("resid", "fittedvalues", "wresid"):
            self.__dict__.pop(name, None)
        self._estimate = None  # type: ignore[assignment]

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
        infos["Absorbed"] = lambda res: ", ".join(res.model.design.absorbed) or "none"
        infos["Covariance"] = lambda res: res.cov_type
        infos["R2 within"] = lambda res: f"{res.rsquared_within:.3f}"
        return infos

    @property
    def bias_correction_words(self) -> str:
        """The bias correction, in words."""
        return _BIAS_WORDS[self.bias_correction]


class FactorResultsWrapper(RegressionResultsWrapper):
    """Attaches names and the caller's index to arrays, as in statsmodels."""


wrap.populate_wrapper(FactorResultsWrapper, FactorResults)
