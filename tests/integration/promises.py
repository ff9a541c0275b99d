"""What becomes of everything that statsmodels offers for a regression: one line per attribute, method and function.

Each is called on every kind of results. "same" is compared with the regression on every dummy; "error" must be an error
of this package that names a way out; "own" is an answer of another kind, which the note explains and another test
checks. ``docs/statsmodels.md`` prints this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import statsmodels.api as sm
import statsmodels.stats.diagnostic as diagnostic
import statsmodels.stats.outliers_influence as influence
import statsmodels.stats.sandwich_covariance as sandwich
from matplotlib import pyplot as plt
from statsmodels.graphics import regressionplots as plots
from statsmodels.iolib.summary2 import summary_col
from statsmodels.sandbox.regression.predstd import wls_prediction_std
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contrast import t_test_pairwise

from gifepanel.statsmodels_bridge.callers import REFUSED
from tests.integration.panels import panel

mpl.use("Agg")

Call = Callable[[Any, Any], Any]  # of results and a smaller fit


@dataclass(frozen=True)
class Promise:
    """One line.

    Attributes
    ----------
    name : str
    statuses : (str, str, str)
        For models with factors, for `PartialledOLS`, and with a learner.
    call : callable
    note : str
    """

    name: str
    statuses: tuple[str, str, str]
    call: Call
    note: str = ""

    def status(self, name: str) -> str:
        """For the kind of fit named."""
        return self.statuses[0 if name in ("grouped", "interactive") else 2 if name == "learner" else 1]


SAME = ("same", "same", "own")
ERROR = ("error", "error", "error")
OWN = ("own", "own", "own")
LINEAR_ONLY = ("error", "same", "error")
NO_LEARNER = ("same", "same", "error")


def attribute(name: str, statuses: tuple[str, str, str] = SAME, note: str = "") -> Promise:
    return Promise(name, statuses, lambda res, smaller: getattr(res, name), note)


def lines(draw: Callable[[Any], Any]) -> Call:
    """The points of all lines and markers, and the ends of all segments, of a picture."""

    def read(res: Any, smaller: Any) -> Any:
        try:
            points = []
            for ax in draw(res).axes:
                points += [line.get_xydata() for line in ax.lines]
                for marks in ax.collections:
                    points += marks.get_segments() if hasattr(marks, "get_segments") else [marks.get_offsets()]
            return np.vstack(points)
        finally:
            plt.close("all")

    return read


def raw(res: Any) -> Any:
    """Arrays without labels, where statsmodels trips over its own."""
    return getattr(res, "_results", res)


def restriction(res: Any) -> Any:
    """The first coefficient."""
    return np.eye(1, len(np.asarray(res.params)))


def tested(test: Any) -> list[float]:
    return [float(np.squeeze(test.statistic)), float(np.squeeze(test.pvalue))]


def exog_het() -> np.ndarray:
    return sm.add_constant(panel()[["x1", "x2"]].to_numpy())


def blocks() -> np.ndarray:
    return panel()["block"].to_numpy()


def first_names(res: Any) -> list[int]:
    """Positions of the regressors, without dummies."""
    return [j for j, name in enumerate(res.model.exog_names) if name.startswith("x")]


_RESIDUALISED = "of the residualised regressors"
_SCORE = "with a learner: of the orthogonal score"
_SLOPES = "all slopes but the intercept are zero, by the chosen covariance"
_WITHIN = "with a learner: of the residuals on residuals"
_NAN = "with a learner: NaN"
_NO_LEVERAGE = "with factors: `HC1`, there are no leverages"
_FIT_AGAIN = "with a learner: `model.fit(cov_type=...)`"
_DUMMIES = "with factors: of `res.to_statsmodels(dummies=True)`"

ATTRIBUTES = (
    attribute("HC0_se", NO_LEARNER, _FIT_AGAIN),
    attribute("HC1_se", NO_LEARNER, _FIT_AGAIN),
    attribute("HC2_se", LINEAR_ONLY, _NO_LEVERAGE),
    attribute("HC3_se", LINEAR_ONLY, _NO_LEVERAGE),
    attribute("cov_HC0", NO_LEARNER, _FIT_AGAIN),
    attribute("cov_HC1", NO_LEARNER, _FIT_AGAIN),
    attribute("cov_HC2", LINEAR_ONLY, _NO_LEVERAGE),
    attribute("cov_HC3", LINEAR_ONLY, _NO_LEVERAGE),
    attribute("aic", note=f"everything counted; {_NAN}"),
    attribute("bic", note=f"everything counted; {_NAN}"),
    attribute("llf", note=_NAN),
    attribute("params", note=_SCORE),
    attribute("bse", note=_SCORE),
    attribute("tvalues", note=_SCORE),
    attribute("pvalues", note=_SCORE),
    attribute("normalized_cov_params", note=_WITHIN),
    attribute("centered_tss", ("same",) * 3),
    attribute("uncentered_tss", ("same",) * 3),
    attribute("ess", note=_WITHIN),
    attribute("ssr", note=_WITHIN),
    attribute("mse_model", note=_WITHIN),
    attribute("mse_resid", note=_WITHIN),
    attribute("mse_total", ("same",) * 3),
    attribute("scale", note=_WITHIN),
    attribute("nobs", ("same",) * 3),
    attribute("df_model", note=_WITHIN),
    attribute("df_resid", note=_WITHIN),
    attribute("k_constant", ("same",) * 3),
    attribute("rsquared", note="effects and factors included; `rsquared_within` without"),
    attribute("rsquared_adj", note="effects and factors included"),
    attribute("resid", note=_WITHIN),
    attribute("wresid", note=_WITHIN),
    attribute("resid_pearson", note=_WITHIN),
    attribute("fittedvalues", note="effects and factors included"),
    attribute("fvalue", OWN, _SLOPES),
    attribute("f_pvalue", OWN, _SLOPES),
    attribute("eigenvals", OWN, _RESIDUALISED),
    attribute("condition_number", OWN, _RESIDUALISED),
    attribute("use_t", note="with a learner: False"),
)

METHODS = (
    Promise("cov_params", SAME, lambda res, smaller: res.cov_params(), _SCORE),
    Promise("conf_int", SAME, lambda res, smaller: res.conf_int(0.1), _SCORE),
    Promise("info_criteria", SAME, lambda res, smaller: res.info_criteria("hqic"), _NAN),
    Promise("t_test", SAME, lambda res, smaller: np.squeeze(res.t_test(restriction(res)).tvalue), _SCORE),
    Promise("f_test", SAME, lambda res, smaller: tested(res.f_test(restriction(res))), _SCORE),
    Promise("wald_test", SAME, lambda res, smaller: tested(res.wald_test(restriction(res), scalar=True)), _SCORE),
    Promise("wald_test_terms", OWN, lambda res, smaller: res.wald_test_terms(), "terms by the names of coefficients"),
    Promise("t_test_pairwise", ERROR, lambda res, smaller: res.t_test_pairwise("kind")),
    Promise("compare_f_test", NO_LEARNER, lambda res, smaller: res.compare_f_test(smaller), "only if nested"),
    Promise("compare_lr_test", NO_LEARNER, lambda res, smaller: res.compare_lr_test(smaller), "only if nested"),
    Promise(
        "compare_lm_test",
        LINEAR_ONLY,
        lambda res, smaller: raw(res).compare_lm_test(raw(smaller)),
        "homoskedastic errors; otherwise `res.wald_test`",
    ),
    Promise("predict", SAME, lambda res, smaller: res.predict(), "with effects, or `effects=False`"),
    Promise(
        "get_prediction",
        LINEAR_ONLY,
        lambda res, smaller: res.get_prediction().summary_frame(0.1),
        "with factors: `res.predict(data)`",
    ),
    Promise(
        "get_robustcov_results",
        NO_LEARNER,
        lambda res, smaller: np.asarray(res.get_robustcov_results("HC1").pvalues),
        _FIT_AGAIN,
    ),
    Promise("get_influence", LINEAR_ONLY, lambda res, smaller: res.get_influence().hat_matrix_diag, _DUMMIES),
    Promise("outlier_test", LINEAR_ONLY, lambda res, smaller: res.outlier_test(), _DUMMIES),
    Promise("el_test", ERROR, lambda res, smaller: res.el_test([0], [0]), "instead: `res.f_test`"),
    Promise("conf_int_el", ERROR, lambda res, smaller: res.conf_int_el(0), "instead: `res.conf_int`"),
    Promise("summary", OWN, lambda res, smaller: res.summary(), "a report of this package"),
    Promise("summary2", OWN, lambda res, smaller: res.summary2(), "without tests on residuals"),
    Promise("remove_data", OWN, lambda res, smaller: None, "`summary()` and tests still work"),
    Promise("save", OWN, lambda res, smaller: None, "and pickle, joblib, deepcopy"),
    Promise("load", OWN, lambda res, smaller: None),
    Promise("initialize", OWN, lambda res, smaller: None),
)

FUNCTIONS = (
    Promise("anova_lm", NO_LEARNER, lambda res, smaller: anova_lm(smaller, res), "two fits, nested"),
    Promise("anova_lm(res)", ERROR, lambda res, smaller: anova_lm(res), "one fit"),
    Promise("summary_col", OWN, lambda res, smaller: summary_col([res]), "rows of our own appear by themselves"),
    Promise(
        "summary_col(fixed_effects=)", ERROR, lambda res, smaller: summary_col([res], fixed_effects=["firm"]).as_text()
    ),
    Promise(
        "het_breuschpagan", SAME, lambda res, smaller: diagnostic.het_breuschpagan(res.resid, exog_het()),
        "of the residuals and the columns given",
    ),
    Promise(
        "het_white", SAME, lambda res, smaller: diagnostic.het_white(res.resid, exog_het()),
        "of the residuals and the columns given",
    ),
    Promise("jarque_bera", SAME, lambda res, smaller: sm.stats.jarque_bera(np.asarray(res.resid))),
    Promise("omni_normtest", SAME, lambda res, smaller: sm.stats.omni_normtest(np.asarray(res.resid))),
    Promise("linear_reset", NO_LEARNER, lambda res, smaller: tested(diagnostic.linear_reset(res, use_f=True)),
            "with factors: at the estimated factors and groups"),
    Promise("reset_ramsey", ERROR, lambda res, smaller: influence.reset_ramsey(res)),
    Promise("linear_rainbow", ERROR, lambda res, smaller: diagnostic.linear_rainbow(res)),
    Promise("linear_harvey_collier", ERROR, lambda res, smaller: diagnostic.linear_harvey_collier(res)),
    Promise("recursive_olsresiduals", ERROR, lambda res, smaller: diagnostic.recursive_olsresiduals(res)),
    Promise("breaks_hansen", ERROR, lambda res, smaller: diagnostic.breaks_hansen(res)),
    Promise("acorr_breusch_godfrey", ERROR, lambda res, smaller: diagnostic.acorr_breusch_godfrey(res, nlags=1)),
    Promise("compare_cox", ERROR, lambda res, smaller: diagnostic.compare_cox(res, smaller)),
    Promise("compare_j", ERROR, lambda res, smaller: diagnostic.compare_j(res, smaller)),
    Promise("compare_encompassing", ERROR, lambda res, smaller: diagnostic.compare_encompassing(res, smaller)),
    Promise("t_test_pairwise(res)", ERROR, lambda res, smaller: t_test_pairwise(res, "kind")),
    Promise("OLSInfluence", ERROR, lambda res, smaller: influence.OLSInfluence(res)),
    Promise("summary_table", ERROR, lambda res, smaller: influence.summary_table(res)),
    Promise("outlier_test(res)", LINEAR_ONLY, lambda res, smaller: influence.outlier_test(res), _DUMMIES),
    Promise("wls_prediction_std", LINEAR_ONLY, lambda res, smaller: np.column_stack(wls_prediction_std(res)),
            "in the sample"),
    Promise("cov_hc0", SAME, lambda res, smaller: sandwich.cov_hc0(raw(res)), "as statsmodels', without weights"),
    Promise("cov_hc1", SAME, lambda res, smaller: sandwich.cov_hc1(raw(res)), "as statsmodels', without weights"),
    Promise("cov_hc2", ERROR, lambda res, smaller: sandwich.cov_hc2(res)),
    Promise("cov_hc3", ERROR, lambda res, smaller: sandwich.cov_hc3(res)),
    Promise("cov_white_simple", NO_LEARNER, lambda res, smaller: sandwich.cov_white_simple(res, use_correction=False),
            "with `use_correction=False`"),
    Promise("cov_cluster", NO_LEARNER, lambda res, smaller: sandwich.cov_cluster(res, blocks(), use_correction=False),
            "with `use_correction=False`"),
    Promise("cov_cluster with a correction", ERROR, lambda res, smaller: sandwich.cov_cluster(res, blocks())),
    Promise("cov_cluster_2groups", ERROR, lambda res, smaller: sandwich.cov_cluster_2groups(res, blocks(), blocks())),
    Promise("cov_hac", ERROR, lambda res, smaller: sandwich.cov_hac(res, nlags=1)),
    Promise("cov_nw_panel", ERROR, lambda res, smaller: sandwich.cov_nw_panel(res, 1, [(0, 80), (80, 160)])),
    Promise("influence_plot", LINEAR_ONLY, lines(plots.influence_plot), _DUMMIES),
    Promise("plot_leverage_resid2", LINEAR_ONLY, lines(plots.plot_leverage_resid2), _DUMMIES),
    Promise("plot_fit", LINEAR_ONLY, lines(lambda res: plots.plot_fit(res, 0)), "or with `vlines=False`"),
    Promise("plot_fit(vlines=False)", SAME, lines(lambda res: plots.plot_fit(res, 0, vlines=False)), _WITHIN),
    Promise("plot_ccpr", SAME, lines(lambda res: plots.plot_ccpr(res, 0)), _WITHIN),
    Promise("plot_ccpr_grid", SAME, lines(lambda res: plots.plot_ccpr_grid(res, exog_idx=first_names(res))), _WITHIN),
    Promise("plot_partregress_grid", SAME,
            lines(lambda res: plots.plot_partregress_grid(res, exog_idx=first_names(res))), _WITHIN),
    Promise("plot_regress_exog", ERROR, lambda res, smaller: plots.plot_regress_exog(res, 0)),
    Promise("plot_added_variable", ERROR, lambda res, smaller: plots.plot_added_variable(res, 0)),
    Promise("added_variable_resids", ERROR, lambda res, smaller: plots.added_variable_resids(res, 0)),
    Promise("plot_ceres_residuals", ERROR, lambda res, smaller: plots.plot_ceres_residuals(res, 0)),
    Promise("ceres_resids", ERROR, lambda res, smaller: plots.ceres_resids(res, 0)),
    Promise("partial_resids", SAME, lambda res, smaller: plots.partial_resids(raw(res), 0), _WITHIN),
    Promise("plot_partial_residuals", SAME,
            lines(lambda res: plots.plot_partial_residuals(raw(res), 0)), _WITHIN),
    Promise("abline_plot", ERROR, lambda res, smaller: plots.abline_plot(model_results=res),
            "but for an intercept and a slope"),
)  # fmt: skip

PROMISES = (*ATTRIBUTES, *METHODS, *FUNCTIONS)


# ---- the tables of docs/statsmodels.md

PAGE = Path(__file__).parents[2] / "docs" / "statsmodels.md"
HEAD = "| | factors | `PartialledOLS` | learner | |\n|---|---|---|---|---|"
_SAID = {"same": "✓", "own": "own", "error": "error"}


def table_of(promises: tuple[Promise, ...]) -> str:
    """As Markdown; lines that say the same are put together."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for promise in promises:
        note = promise.note or _ways_out().get(promise.name, "")
        rows.setdefault((*promise.statuses, note), []).append(f"`{promise.name}`")
    text = [
        f"| {', '.join(names)} | {' | '.join(_SAID[status] for status in key[:3])} | {key[3]} |"
        for key, names in rows.items()
    ]
    return "\n".join([HEAD, *text])


def _ways_out() -> dict[str, str]:
    """What the errors of functions name instead."""
    by_name = {name.partition(".")[0]: refusal.instead for (_, name), refusal in REFUSED.items()}
    sums = by_name["_get_sandwich_arrays"]
    out = by_name | {
        "anova_lm(res)": by_name["anova_single"],
        "summary_table": by_name["OLSInfluence"],
        "t_test_pairwise(res)": by_name["t_test_pairwise"],
        "summary_col(fixed_effects=)": by_name["summary_col"],
        **dict.fromkeys(("cov_cluster with a correction", "cov_cluster_2groups", "cov_hac", "cov_nw_panel"), sums),
    }
    return {name: f"instead: {way}".replace("|", "\\|") for name, way in out.items()}


def written(text: str) -> str:
    """The page with its tables as they should be."""
    for name, promises in (("attributes", ATTRIBUTES), ("methods", METHODS), ("functions", FUNCTIONS)):
        begin, end = f"<!-- {name} -->\n", "\n<!-- end -->"
        before, _, rest = text.partition(begin)
        text = before + begin + table_of(promises) + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
