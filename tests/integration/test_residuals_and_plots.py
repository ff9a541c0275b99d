"""Tests on residuals, influence and pictures: what statsmodels' functions make of our results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from matplotlib import pyplot as plt
from numpy.testing import assert_allclose
from statsmodels.graphics import regressionplots as plots
from statsmodels.sandbox.regression.predstd import wls_prediction_std
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.diagnostic import acorr_breusch_godfrey, linear_rainbow, linear_reset
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.tools.numdiff import approx_fprime
from statsmodels.tools.sm_exceptions import InvalidTestWarning

from gifepanel import InteractiveFE, PartialledOLS, diagnostics
from gifepanel.exceptions import SpecificationError
from tests.integration.panels import LINEAR, Pair, fit, panel

mpl.use("Agg")


@pytest.fixture(autouse=True)
def no_open_pictures() -> Iterator[None]:
    yield
    plt.close("all")


# ---- RESET


@pytest.mark.parametrize("options", [{}, {"use_f": True, "power": [2, 4]}, {"test_type": "exog", "use_f": True}])
@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "HC1"])
def test_reset(options: dict[str, Any], cov_type: str, both: Pair) -> None:
    """Powers beside the regressors, in the full regression by hand: statsmodels' own forgets weights there."""
    got = linear_reset(both.ours, cov_type=cov_type, **options)
    exog = np.asarray(both.full.model.exog)
    base = np.asarray(both.full.fittedvalues)[:, None]
    if options.get("test_type") == "exog":
        base = exog[:, : both.k]
    powers = options.get("power", [2, 3])
    wide = np.hstack([exog, *(base**p for p in powers)])
    wide = wide / np.linalg.norm(wide, axis=0)
    if both.name == "weighted":
        full = sm.WLS(both.full.model.endog, wide, weights=both.full.model.weights).fit(cov_type=cov_type)
    else:
        full = sm.OLS(both.full.model.endog, wide).fit(cov_type=cov_type)
    added = wide.shape[1] - exog.shape[1]
    expected = full.wald_test(np.eye(added, wide.shape[1], k=exog.shape[1]), use_f="use_f" in options, scalar=True)
    assert_allclose(float(got.statistic), float(expected.statistic), rtol=1e-6)
    assert_allclose(float(got.pvalue), float(expected.pvalue), rtol=1e-5)


def test_reset_of_one_regressor_and_by_principal_component(both: Pair) -> None:
    assert np.isfinite(linear_reset(both.smaller).statistic)
    with pytest.raises(SpecificationError, match="princomp") as caught:
        linear_reset(both.ours, test_type="princomp")
    assert "fitted" in str(caught.value.fix)


def test_reset_with_factors_knows_few_covariances(factors: Pair) -> None:
    groups = {"groups": panel()["block"].to_numpy()}
    key = "cov_kwds" if "cov_kwds" in linear_reset.__code__.co_varnames else "cov_kwargs"
    with pytest.raises(SpecificationError, match="cov_type is 'cluster'"):
        linear_reset(factors.ours, cov_type="cluster", **{key: groups})


# ---- serial correlation: panel versions


def test_durbin_watson_within_entities(both: Pair) -> None:
    """statsmodels' crosses entities; the panel's is that of each entity, weighted by its sum of squares."""
    resid = both.full.resid
    each = [(sm.stats.durbin_watson(e.to_numpy()), float(e @ e)) for _, e in resid.groupby(level=0)]
    expected = sum(d * s for d, s in each) / sum(s for _, s in each)
    got = diagnostics.panel_durbin_watson(both.ours.resid).statistic
    assert got == pytest.approx(expected, rel=1e-6)
    assert sm.stats.durbin_watson(both.ours.resid) != pytest.approx(expected, rel=1e-3)


def test_breusch_godfrey_says_where_to_go(both: Pair) -> None:
    with pytest.raises(SpecificationError, match="rejects far too often") as caught:
        acorr_breusch_godfrey(both.ours, nlags=1)
    for name in ("wooldridge_ar1", "born_breitung", "panel_durbin_watson"):
        assert name in str(caught.value.fix)
        assert np.isfinite(getattr(diagnostics, name)(both.ours.resid).statistic)


def test_nothing_partialled_out_is_plain_least_squares() -> None:
    """Then statsmodels' functions have all columns, and their numbers stand."""
    data = panel()
    full = smf.ols("y ~ x1 + x2", data).fit()
    for ours in (
        PartialledOLS.from_formula("y ~ x1 + x2", data).fit(),
        InteractiveFE.from_formula("y ~ x1 + x2", data, n_factors=0).fit(),
    ):
        assert_allclose(linear_rainbow(ours), linear_rainbow(full), rtol=1e-8)
        assert_allclose(linear_reset(ours).statistic, linear_reset(full).statistic, rtol=1e-6)
        assert ours.model.pinv_wexog.shape == (3, 160)
    one = PartialledOLS.from_formula("y ~ x1", data).fit()
    line = plots.abline_plot(model_results=one).axes[0].lines[0].get_xydata()
    assert_allclose(np.diff(line[:, 1]) / np.diff(line[:, 0]), one.params["x1"])
    with pytest.raises(SpecificationError, match="abline_plot"):
        plots.abline_plot(model_results=fit("partialled"))


# ---- variance inflation


def test_vif(both: Pair) -> None:
    exog = np.asarray(both.full.model.exog)
    table = both.ours.vif()
    assert list(table.index) == list(both.ours.params.index)
    for j in range(both.k if both.name != "weighted" else 0):
        share = sm.OLS(exog[:, j], np.delete(exog, j, axis=1)).fit().rsquared  # dummies add up to the constant
        assert table["full"].iloc[j] == pytest.approx(1 / (1 - share), rel=1e-6)
    inside = np.asarray(both.ours.model.wexog)
    for j in range(both.k):
        others = np.delete(inside, j, axis=1)
        rest = inside[:, j] - others @ np.linalg.lstsq(others, inside[:, j], rcond=None)[0]
        assert table["within"].iloc[j] == pytest.approx((inside[:, j] @ inside[:, j]) / (rest @ rest))
    plain = PartialledOLS.from_formula("y ~ x1 + x2", panel()).fit()
    expected = [variance_inflation_factor(np.asarray(plain.model.exog), j) for j in (1, 2)]
    assert_allclose(plain.vif()["full"].iloc[1:], expected, rtol=1e-8)
    assert plain.vif().loc["Intercept"].isna().all()


# ---- smaller models


def test_what_is_not_nested(pairs: dict[str, Pair]) -> None:
    data = panel()
    large = pairs["partialled"].ours
    other = PartialledOLS.from_formula("y ~ x1 + z1 | year", data).fit()
    shuffled = PartialledOLS.from_formula("y ~ x1 | firm + year", data.sample(frac=1, random_state=0)).fit()
    third = PartialledOLS.from_formula("z1 ~ x1 | firm + year", data).fit()
    pooled = smf.ols("y ~ x1 + z1", data).fit()
    for test in (large.compare_f_test, large.compare_lr_test, large.compare_lm_test, lambda r: anova_lm(r, large)):
        for smaller in (other, shuffled, third, pooled):
            with pytest.raises(SpecificationError, match=r"not nested|another outcome"):
                test(smaller)
    within = smf.ols("y ~ x1 + C(year)", data.reset_index()).fit()
    expected = pairs["partialled"].full.compare_f_test(within)
    assert_allclose(large.compare_f_test(within), expected, rtol=1e-7)
    assert_allclose(anova_lm(within, large)["F"].iloc[1], expected[0], rtol=1e-7)
    unwrapped = pairs["partialled"].full._results.compare_lm_test(within._results)
    assert_allclose(large.compare_lm_test(within), unwrapped, rtol=1e-7)
    assert_allclose(large.compare_lr_test(within, large_sample=True), unwrapped, rtol=1e-7)


def test_robust_covariances_and_smaller_models(both: Pair) -> None:
    robust = both.ours.get_robustcov_results("HC1")
    for test in (robust.compare_f_test, robust.compare_lr_test):
        with pytest.warns(InvalidTestWarning):
            test(both.smaller)
    with pytest.raises(SpecificationError, match="compare_lm_test"):
        robust.compare_lm_test(both.smaller)


def test_what_is_not_nested_beside_factors(pairs: dict[str, Pair]) -> None:
    data = panel()
    large = pairs["interactive"].ours
    more = InteractiveFE.from_formula("y ~ x1 + x2 | firm", data, n_factors=2).fit()
    bare = InteractiveFE.from_formula("y ~ x1", data, n_factors=1).fit()
    moved = InteractiveFE.from_formula("y ~ x1 + z1 | firm", data, n_factors=1).fit()
    corrected = InteractiveFE.from_formula("y ~ x1 | firm", data, n_factors=1).fit(bias_correction=True)
    for ours, smaller, match in (
        (more, large, "1 factors"),
        (large, bare, "other effects"),
        (large, moved, "regressors that this one lacks"),
        (large, corrected, "corrected for bias"),
        (large, pairs["partialled"].smaller, "is a PartialledOLS"),
    ):
        with pytest.raises(SpecificationError, match=match) as caught:
            ours.compare_f_test(smaller)
        assert "gife.select" in str(caught.value.fix)
        with pytest.raises(SpecificationError, match=match):
            anova_lm(smaller, ours)


def test_score_of_the_likelihood(factors: Pair) -> None:
    """Differences of the likelihood with factors estimated anew; statsmodels' score would see slopes alone."""
    model = factors.ours.model
    at = np.asarray(factors.ours.params) + 0.05
    for scale in (None, 1.5):
        expected = approx_fprime(at, lambda b, scale=scale: model.loglike(b, scale=scale), centered=True)
        assert_allclose(model.score(at, scale=scale), expected, rtol=1e-5, atol=1e-6)
    for name in ("hessian", "hessian_factor", "get_distribution", "fit_regularized"):
        with pytest.raises(SpecificationError, match=name):
            getattr(model, name)(at)


# ---- pictures


def test_partial_regressions_have_our_slopes(both: Pair) -> None:
    """Weights too, which statsmodels' picture of a weighted regression leaves out."""
    axes = plots.plot_partregress_grid(both.ours).axes
    for ax, name, slope in zip(axes, both.ours.params.index, both.ours.params, strict=True):
        points, line = (drawn.get_xydata() for drawn in ax.lines)
        assert_allclose(np.diff(line[:2, 1]) / np.diff(line[:2, 0]), slope, rtol=1e-8)
        assert_allclose(points[:, 0] @ points[:, 1] / (points[:, 0] @ points[:, 0]), slope, rtol=1e-8)
        assert name in ax.get_xlabel()


def test_one_partial_regression_from_residualised_columns(linear: Pair) -> None:
    columns = linear.ours.fwl().columns
    if linear.name == "weighted":
        return
    figure, found = plots.plot_partregress("y", "x1", ["x2"], data=columns, ret_coords=True)
    slope = found[0] @ found[1] / (found[0] @ found[0])
    assert_allclose(slope, linear.ours.params["x1"], rtol=1e-8)
    assert figure is not None


def test_plot_fit_has_the_right_intervals(linear: Pair) -> None:
    spread, low, high = wls_prediction_std(linear.ours, alpha=0.1)
    frame = linear.ours.get_prediction().summary_frame(0.1)
    assert_allclose(np.column_stack([low, high]), frame[["obs_ci_lower", "obs_ci_upper"]], rtol=1e-8)
    reference = wls_prediction_std(linear.full, alpha=0.1)
    assert_allclose(np.column_stack([spread, low, high]), np.column_stack(reference), rtol=1e-7)
    with pytest.raises(SpecificationError, match="new rows"):
        wls_prediction_std(linear.ours, exog=np.ones((1, 2)))
    clustered = linear.ours.get_robustcov_results("cluster", groups="block")
    with pytest.raises(SpecificationError, match="vlines=False"):
        plots.plot_fit(clustered, 0)
    assert plots.plot_fit(clustered, "x1", vlines=False)


def test_quantiles_of_residuals(both: Pair) -> None:
    one, two = (sm.qqplot(r.resid, line="s").axes[0].lines[0].get_xydata() for r in (both.ours, both.full))
    assert_allclose(one, two, atol=1e-8)


def test_influence_marks_the_same_observations(pairs: dict[str, Pair]) -> None:
    """With weights: those of least squares on all columns times their roots."""
    for name in LINEAR:
        full = pairs[name].full.model
        reference = sm.OLS(np.asarray(full.wendog), np.asarray(full.wexog)).fit()
        got, want = (r.get_influence().summary_frame() for r in (pairs[name].ours, reference))
        for column in ("cooks_d", "standard_resid", "hat_diag", "student_resid", "dffits"):
            assert_allclose(got[column], want[column], rtol=1e-6, atol=1e-9)
        assert_allclose(pairs[name].ours.outlier_test(), reference.outlier_test(), rtol=1e-6)
