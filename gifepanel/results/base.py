"""Results of models with factors, on statsmodels' regression results."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import RegressionResults, RegressionResultsWrapper

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.covariance import CovarianceResult, factor_covariance
from gifepanel.inference.diagnostics import residual_diagnostics, weighted_diagnostics
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.inference.missing_information import MissingInformation
from gifepanel.inference.testresult import TestResult
from gifepanel.page.source import called
from gifepanel.plots.factor_models import FactorPlots
from gifepanel.results.additive_test import AdditiveTestMethods
from gifepanel.results.factor_estimates import FactorEstimates
from gifepanel.results.factor_sensitivity import FactorSensitivityMethods
from gifepanel.results.grouping_tests import GroupingTestMethods
from gifepanel.results.inputs import Inference, Sample
from gifepanel.results.linear_prediction import check_effects
from gifepanel.results.nested import NestedModels, check_factors_nested
from gifepanel.results.new_data import labels_of, matrix_of, new_data, one_given
from gifepanel.results.prediction import PredictedParts, predict
from gifepanel.results.refits import RefitMethods
from gifepanel.results.selection import Selection
from gifepanel.results.shared_methods import ReportedResults
from gifepanel.results.what_if import WhatIfMethods
from gifepanel.statsmodels_bridge.inherited import populate_wrapper
from gifepanel.statsmodels_bridge.refused import RefusedMethods
from gifepanel.tables.factor_summary import OVER_TIME, observed_share
from gifepanel.tables.remarks import Remarks

if TYPE_CHECKING:
    from gifepanel.panel.matrices import PanelDesign
    from gifepanel.results.inputs import FittedFactorModel
    from gifepanel.tables.compare_columns import ModelColumn

__all__ = ["FactorResults", "FactorResultsWrapper"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_BIAS_WORDS = {
    "none": "none",
    "dynamic": "B1 (predetermined regressors)",
    "analytic": "B1, B2, B3 (Moon-Weidner)",
    "moon-weidner-b1": "published B1 (Moon-Weidner)",
    "moon-weidner": "published B1, B2, B3 (Moon-Weidner)",
    "jackknife": "half-panel jackknife",
}


_KEPT = (
    "_report_parts",
    "_inputs",
    "_ids",
    "_data_facts",
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
    "eigenvals",
    "condition_number",
)


class FactorResults(
    RefusedMethods,
    ReportedResults,
    NestedModels,
    RefitMethods,
    WhatIfMethods,
    GroupingTestMethods,
    AdditiveTestMethods,
    FactorSensitivityMethods,
    FactorEstimates,
    RegressionResults,
):
    """What the results of models with factors have in common.

    Everything of statsmodels' regression results is here, computed on the projected regression: coefficients, standard
    errors, tests, prediction. R-squared, information criteria and the log-likelihood count factors, loadings and
    additive effects among the parameters. Where a bias was corrected, factors, loadings, effects and residuals are
    those at the corrected slopes, and the covariance is that of least squares (Moon & Weidner 2017).
    """

    report_title = "Interactive Fixed Effects Results"
    _model_kind = "factors"

    selection: Selection | None = None
    _kept: ClassVar[tuple[str, ...]] = _KEPT
    _recipe: tuple[PanelDesign, PredictedParts, list[int]] | None = None  # of predictions, once the data are gone

    def __init__(self, model: FittedFactorModel, inference: Inference) -> None:
        self._inference: Inference | None = inference
        self.sample: Sample = model.sample
        self._least_squares = inference.estimate.theta if inference.soft is None else inference.soft.theta
        self.bias = inference.bias
        self.bias_correction = inference.correction
        estimate = inference.estimate
        super().__init__(
            model,
            np.asarray(inference.params),
            normalized_cov_params=estimate.triangle.inverse,
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
        self.df_resid_inference = covariance.df_inference
        if covariance.kind == "cluster":
            self.cov_kwds["groups"] = cluster_names
        if covariance.kind == "fixed scale":
            self.scale = float(covariance.meat[0, 0] / covariance.bread[0, 0])

    @property
    def missing_information(self) -> MissingInformation | None:
        """The information about slopes by group that is missing since nobody knows who belongs where (Louis 1982).

        ``share`` of it, at most one, ``design_effect`` of the errors, ``n_unclear`` entities and the ``posterior``
        probabilities behind them, see :class:`gifepanel.inference.missing_information.MissingInformation`. None where
        groups are taken as known (``groups_known=True``), and where there is one.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> res = model.fit()
        >>> round(res.missing_information.share, 2), res.missing_information.n_unclear
        (0.45, 4)
        """
        return self._covariance.missing

    @property
    def _groups_known(self) -> bool:
        """Whether standard errors take the groups as known."""
        return self._covariance.missing is None

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

    # ---- inference ----

    def get_robustcov_results(
        self,
        cov_type: str = "HC1",
        use_t: bool | None = None,
        *,
        ssc: bool = True,
        groups_known: bool | None = None,
        **cov_kwds: Any,
    ) -> FactorResultsWrapper:
        """The same estimates with another covariance.

        Parameters
        ----------
        cov_type : str
            As of ``fit``.
        use_t : bool, optional
            By default that of these results, as in statsmodels: t after a "nonrobust" fit, normal after a robust one.
        ssc : bool
        groups_known : bool, optional
            Whether to take groups as known; by default as these results do.
        **cov_kwds
            ``groups``, ``maxlags``, ``kernel``.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> clustered = res.get_robustcov_results("cluster", groups="state")
        >>> res.bse.round(3).tolist(), clustered.bse.round(3).tolist()
        ([0.028, 0.0], [0.095, 0.001])
        """
        use_t = self.use_t or None if use_t is None else use_t
        known = self._groups_known if groups_known is None else groups_known
        soft = None if self._inference is None else self._inference.soft
        if soft is not None and known:
            raise SpecificationError(
                "The groups of this fit are soft, and groups_known is True.",
                "They are probabilities: nobody's group is known.",
                "Leave groups_known out.",
            )
        options: dict[str, Any] = {"groups_known": known, "soft": soft}
        covariance, names, use_t, codes = self.model._covariance_for(cov_type, cov_kwds, ssc, use_t, **options)
        other = self._without_covariance()
        assert self._inference is not None
        other._inference = replace(
            self._inference, covariance=covariance, cluster_names=names, ssc=ssc, use_t=bool(use_t), clusters=codes
        )
        other._use_covariance(covariance, names, ssc, bool(use_t))
        other._covariance_options = {"cov_type": cov_type, "cov_kwds": cov_kwds or None, "use_t": use_t, "ssc": ssc}
        given = {"cov_type": cov_type, "use_t": other.use_t, "ssc": ssc, **cov_kwds}
        if self.n_groups > 1:
            given["groups_known"] = other._covariance_options["groups_known"] = known
        other._robust_call = called("get_robustcov_results", given, {"ssc": True, "groups_known": False})
        return FactorResultsWrapper(other)

    def _check_smaller(self, restricted: Any) -> None:
        check_factors_nested(self, restricted)

    @property
    def _plain(self) -> bool:
        return self.n_factors == 0 and not self.sample.absorbed

    def _heteroskedastic(self, kind: Any) -> Array:
        estimate = self.model._fitted("a covariance")
        if not estimate.theta.size:
            return np.empty((0, 0))
        if self.n_groups > 1:
            return self._with_groups(kind)
        return factor_covariance(
            estimate.blocks if estimate.in_blocks else estimate.z_projected,
            estimate.wresid,
            df_resid=estimate.df.residual,
            kind=kind,
            ssc=True,
            triangle=estimate.triangle,
            observed=estimate.observed,
        ).cov

    def _with_groups(self, kind: str) -> Array:
        """Another covariance of slopes by group."""
        soft = None if self._inference is None else self._inference.soft
        options: dict[str, Any] = {"groups_known": self._groups_known, "soft": soft}
        return np.asarray(self.model._covariance_for(kind, None, True, None, **options)[0].cov)

    @property
    def _index(self) -> Any:
        """Who and when the rows are, while the model has its data."""
        return getattr(getattr(self.model, "design", None), "panel", None)

    @cached_property
    def _diagnostics(self) -> pd.DataFrame:
        estimate = self._estimate
        if self.n_entities < 2 or self.n_times < 3:  # too small for the tests
            columns = ["statistic", "pvalue", "distribution", "null"]
            return pd.DataFrame(columns=columns, index=pd.Index([], name="test"))
        tests = _tests_on_residuals(estimate)
        if getattr(self._index, "packed", None) is not None:  # no dates, no distances: tests over time have no meaning
            tests = tuple(test for test in tests if test.name not in OVER_TIME)
        rows = [(test.name, test.statistic, test.pvalue, test.distribution, test.null) for test in tests]
        frame = pd.DataFrame(rows, columns=["test", "statistic", "pvalue", "distribution", "null"])
        return frame.set_index("test")

    def diagnostics(self) -> pd.DataFrame:
        """Tests on the residuals: statistic, p-value, reference distribution and the null hypothesis in words.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.diagnostics()[["statistic"]].round(1).tail(2)
                            statistic
        test
        Born-Breitung Q(1)       21.8
        Pesaran-Xie CD*           1.6
        """
        if self._index is not None:
            self._index.require_distances("Tests of serial correlation")
        return self._diagnostics.copy()

    def test_homogeneity(self) -> TestResult:
        """Do all entities have the same slopes?

        Slopes of each entity are estimated anew under the number of factors of this fit: Ando and Bai (2015) with
        factors, Pesaran and Yamagata (2008) without. Small p-values speak for groups; groups that were
        found are not what is tested. Entities within which a regressor does not vary are left out; `note` counts them.

        Returns
        -------
        TestResult

        Raises
        ------
        SpecificationError
            If there are too few periods for slopes of each entity, or time effects.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", 50, 25, random_state=0)
        >>> res = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=2).fit()
        >>> bool(res.test_homogeneity().pvalue < 0.001)
        True
        """
        from gifepanel.results.homogeneity import homogeneity_of

        _ = self._estimate  # which raises where the data are gone
        return homogeneity_of(self.model, self.n_factors)

    # ---- pictures, prediction, printing, storage ----

    @property
    def plot(self) -> FactorPlots:
        """Pictures: coefficients, groups, factors, loadings, residuals, fit; ``dir(res.plot)`` lists them."""
        return FactorPlots(self)

    def predict(self, data: Any = None, transform: bool = True, *, effects: bool = True, exog: Any = None) -> pd.Series:
        """Predict the outcome, additive effects and factors included unless ``effects=False``.

        Parameters
        ----------
        data : DataFrame, Series, mapping or array_like, optional
            New rows with the columns of the formula and the ids (a Series is one row); by default the sample. Arrays
            hold all regressors in their order: (N, T, p) for every entity and period, in the order of the arrays the
            model was made from or of the sample, or rows (m, p), for which nothing that depends on entity or period can
            be predicted.
        transform : bool
            False: `data` holds a column for each coefficient, (m, q), and the linear part is predicted.
        effects : bool
            Add the entity and time effects and the factors times loadings, where the model has them. They need entities
            and periods of the sample: with ``n_factors=0`` and entity effects alone, entities are enough.
        exog : optional
            statsmodels' name of `data`.

        Returns
        -------
        Series
            On the index of `data`, cells that were not observed included; NaN where a regressor is missing, and for
            entities and periods that were in the data but left out of the fit.

        Raises
        ------
        DataError
            For entities without a group, and with ``effects`` for entities or periods out of the sample.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> [round(float(res.predict(effects=on).iloc[0]), 1) for on in (True, False)]
        [89.3, 2.5]
        """
        check_effects(effects)
        given = one_given(data, exog)
        if not transform:
            return self._linear_part(matrix_of(given, self._names), effects, labels_of(given))
        if not (isinstance(given, np.ndarray) and given.ndim in (2, 3)):
            given = new_data(given, None, self._inputs, self._ids)
        left_out = self.sample.left_out
        if self._recipe is not None and given is not None:
            return predict(*self._recipe, given, effects, left_out)
        return predict(self.model.design, self._estimate, self.model._kept, given, effects, left_out)

    def _linear_part(self, x: Any, effects: bool, labels: pd.Index | None) -> pd.Series:
        if effects and (self.n_factors or self.sample.absorbed):
            raise SpecificationError(
                "transform=False came with effects or factors in the model.",
                "Regressors alone do not say which entity and period a row is of.",
                "res.predict(x, transform=False, effects=False)",
            )
        return pd.Series(x @ np.asarray(self.params), index=labels, name="predicted")

    # pieces of the report that differ between models

    @property
    def _method(self) -> str:
        return ""

    def _group_information(self) -> list[tuple[str, str]]:
        return []

    def _group_remarks(self) -> Remarks:
        return Remarks()

    def _group_facts(self) -> dict[str, str | tuple[str, ...]]:
        """What a comparison of models says of groups."""
        return {}

    def _comparison_column(self, alpha: float) -> ModelColumn:
        from gifepanel.tables.compare_columns import factor_column

        return factor_column(self, alpha)

    def _group_tables(self, full: bool) -> list[Any]:
        return []

    def _note_on_convergence(self) -> str:
        return "NOT CONVERGED: raise max_iter, or lower the number of factors."

    @cached_property
    def _report_parts(self) -> Any:
        """What of the report does not depend on the level of the intervals."""
        from gifepanel.tables.factor_summary import factor_report_parts

        return factor_report_parts(self)

    def remove_data(self) -> None:
        """Drop everything of the size of the sample; what doesn't need it is computed first and kept.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.remove_data()
        >>> res.factors.shape
        (30, 2)
        """
        self._remove_rows()
        self._inference = None
        self._covariance_options = {}  # clusters may be labels of rows

    def _new_recipe(self) -> tuple[PanelDesign, PredictedParts, list[int]]:
        return self.model.design.without_rows(), PredictedParts.of(self._estimate), self.model._kept

    @property
    def default_model_infos(self) -> dict[str, Any]:
        """Rows that ``statsmodels.iolib.summary2.summary_col`` adds under the coefficients."""
        infos = {
            "N": lambda res: f"{int(res.nobs)}",
            "Entities": lambda res: f"{res.n_entities}",
            "Periods": lambda res: f"{res.n_times}",
        }
        if self.sample.has_holes:
            infos["Cells observed"] = lambda res: observed_share(res.sample)
        if self.n_groups > 1:
            infos["Groups"] = lambda res: f"{res.n_groups}"
        infos["Factors"] = lambda res: f"{res.n_factors}"
        infos["Absorbed"] = lambda res: ", ".join(res.sample.absorbed) or "none"
        infos["Covariance"] = lambda res: res.cov_type
        infos["R2 within"] = lambda res: f"{res.rsquared_within:.3f}"
        return infos | self._infos_on_variances

    @property
    def bias_correction_words(self) -> str:
        """The bias correction, in words."""
        return _BIAS_WORDS[self.bias_correction]


def _tests_on_residuals(estimate: FactorEstimate) -> tuple[TestResult, ...]:
    """Of residuals times the roots of the weights, where rows have some."""
    if estimate.root is not None and estimate.weights is not None:
        return weighted_diagnostics(
            estimate.with_holes(estimate.wresid),
            estimate.root,
            estimate.factors,
            estimate.loadings,
            entity_effects=estimate.entity_effects,
            time_effects=estimate.time_effects,
        )
    return residual_diagnostics(
        estimate.with_holes(estimate.resid),
        factors=estimate.factors if estimate.n_factors else None,
        loadings=estimate.loadings if estimate.n_factors else None,
    )


class FactorResultsWrapper(RegressionResultsWrapper):
    """Attaches names and the caller's index to arrays, as in statsmodels."""

    def __repr__(self) -> str:
        return repr(self._results)


populate_wrapper(FactorResultsWrapper, FactorResults)
