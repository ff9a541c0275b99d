"""Results of PartialledOLS: the full regression's, without its nuisance coefficients."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import stats
from statsmodels.regression.linear_model import RegressionResults, RegressionResultsWrapper

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.linear_covariance import LinearCovariance
from gifepanel.page.source import called
from gifepanel.plots.linear_models import LinearPlots
from gifepanel.projections.base import Certificate, DegreesAbsorbed
from gifepanel.results.fwl import FwlCheck, fwl_check
from gifepanel.results.linear_measures import LinearMeasures, weighted_ssr
from gifepanel.results.linear_predictions import LinearPredictions
from gifepanel.results.linear_tests import LinearTests
from gifepanel.statsmodels_bridge.hypotheses import check_level
from gifepanel.statsmodels_bridge.inherited import populate_wrapper

if TYPE_CHECKING:
    from gifepanel.panel.matrices import PanelDesign
    from gifepanel.results.linear_influence import PartialledInfluence
    from gifepanel.results.linear_inputs import CovarianceChoice, LinearModel, PartialledFit
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


class PartialledOLSResults(LinearTests, LinearPredictions, LinearMeasures, RegressionResults):
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
            scale=(weighted_ssr(fit.resid, model.design.weights) if fit.sums is None else fit.sums.ssr)
            / model.df_resid,
        )
        self._use_covariance(covariance, use_t)

    def _comparison_column(self, alpha: float) -> ModelColumn:
        from gifepanel.tables.compare_columns import linear_column

        return linear_column(self, alpha)

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
        other = self._without_covariance()
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

    # ---- pictures ----

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
        fit = self.model._fit
        if fit is None or fit.sums is None:
            self._remove_rows()
        else:  # there are no rows: the connection to them goes
            for name in self._kept:
                getattr(self, name)
            self._recipe = self._new_recipe()
            self.model.design = self.model.design.without_rows()
        self.model._fit = self._choice = None

    def _new_recipe(self) -> tuple[PanelDesign, tuple[int, ...]]:
        return self.model.design.without_rows(), self._fit.kept

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


def partialled_results(model: Any, fit: Any, choice: CovarianceChoice, *, use_t: bool | None) -> Any:
    """Wrapped results of a fit with the covariance that was chosen."""
    return PartialledOLSResultsWrapper(PartialledOLSResults(model._at(fit), fit, choice(model, fit), use_t, choice))
