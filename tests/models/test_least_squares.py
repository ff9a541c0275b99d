"""Without factors the models are least squares with dummies: statsmodels and linearmodels give the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from linearmodels.panel import PanelOLS

from gifepanel import GroupedIFE, InteractiveFE

FORMULA = "log(sales) ~ log(real_price) + log(real_income)"
SLOPES = ["log(real_price)", "log(real_income)"]
DUMMIES = {
    "": ("", []),
    "state": (" + C(state)", ["state"]),
    "year": (" + C(year)", ["year"]),
    "state + year": (" + C(state) + C(year)", ["state", "year"]),
}


def dummy_regression(data: pd.DataFrame, effects: str, **options: Any) -> Any:
    formula = FORMULA.replace("log(", "np.log(") + DUMMIES[effects][0]
    return smf.ols(formula, data.reset_index()).fit(**options)


def fitted(data: pd.DataFrame, effects: str, **options: Any) -> Any:
    formula = f"{FORMULA} | {effects}" if effects else FORMULA
    return InteractiveFE.from_formula(formula, data, n_factors=0).fit(**options)


def own(values: Any) -> np.ndarray:
    """The slopes' part of a dummy regression's estimates."""
    return np.asarray(values)[-2:]


@pytest.mark.parametrize("effects", list(DUMMIES))
def test_everything_of_a_dummy_regression(cigar: pd.DataFrame, effects: str) -> None:
    ours, theirs = fitted(cigar, effects), dummy_regression(cigar, effects)
    for name in ("params", "bse", "tvalues", "pvalues"):
        np.testing.assert_allclose(getattr(ours, name)[SLOPES], own(getattr(theirs, name)), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ours.conf_int(0.1).loc[SLOPES], np.asarray(theirs.conf_int(0.1))[-2:], rtol=1e-8)
    np.testing.assert_allclose(ours.cov_params().loc[SLOPES, SLOPES], theirs.cov_params().iloc[-2:, -2:], rtol=1e-8)
    np.testing.assert_allclose(ours.resid, theirs.resid, atol=1e-10)
    np.testing.assert_allclose(ours.fittedvalues, theirs.fittedvalues, atol=1e-10)
    for name in (
        *("nobs", "df_resid", "df_model", "rsquared", "rsquared_adj", "llf", "aic", "bic", "ssr", "ess"),
        *("scale", "mse_resid", "mse_model", "mse_total", "centered_tss", "uncentered_tss"),
    ):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-8), name
    assert ours.info_criteria("aic") == pytest.approx(theirs.aic)
    assert ours.model.loglike(ours.params) == pytest.approx(theirs.llf)


@pytest.mark.parametrize("effects", ["state", "state + year"])
@pytest.mark.parametrize("hypothesis", ["{0} = {1} = 0", "{0} = -0.7", "2*{0} + 1e-1*{1} = -1.4E0"])
def test_hypotheses(cigar: pd.DataFrame, effects: str, hypothesis: str) -> None:
    ours, theirs = fitted(cigar, effects), dummy_regression(cigar, effects)
    text = hypothesis.format(*SLOPES)
    names = list(theirs.params.index[-2:])
    matrix = np.zeros((2, len(theirs.params)))
    if hypothesis.startswith("{0} = {1}"):
        matrix[0, -2], matrix[1, -1], q = 1, 1, [0.0, 0.0]
    elif hypothesis.startswith("2"):
        matrix[0, -2:], q = [2, 0.1], [-1.4]
    else:
        matrix[0, -2], q = 1, [-0.7]
    pair = (matrix[: len(q)], q)
    assert names[0] == "np.log(real_price)"
    for test in ("f_test", "wald_test"):
        one = getattr(ours, test)(text)
        two = getattr(theirs, test)(pair, **({"scalar": True} if test == "wald_test" else {}))
        assert float(one.statistic) == pytest.approx(float(two.statistic), rel=1e-7)
        assert float(one.pvalue) == pytest.approx(float(two.pvalue), rel=1e-6, abs=1e-300)
    if len(q) == 2:
        return  # "a = b = 0" may be split into two hypotheses in several ways: joint tests agree, single ones need not
    one, two = ours.t_test(text), theirs.t_test(pair)
    np.testing.assert_allclose(one.tvalue, two.tvalue, rtol=1e-8)
    np.testing.assert_allclose(one.pvalue, two.pvalue, rtol=1e-6)
    np.testing.assert_allclose(one.conf_int(), two.conf_int(), rtol=1e-8)


def test_overall_f_leaves_the_intercept_out(cigar: pd.DataFrame) -> None:
    ours, theirs = fitted(cigar, ""), dummy_regression(cigar, "")
    assert ours.fvalue == pytest.approx(theirs.fvalue) and ours.f_pvalue == pytest.approx(theirs.f_pvalue)


def test_rsquared_without_constant_is_uncentred(cigar: pd.DataFrame) -> None:
    formula = "log(sales) ~ 0 + log(real_price)"
    ours = InteractiveFE.from_formula(formula, cigar, n_factors=0).fit()
    theirs = smf.ols(formula.replace("log(", "np.log("), cigar).fit()
    for name in ("rsquared", "rsquared_adj", "ess", "fvalue", "aic", "mse_total", "df_model"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name)), name


@pytest.mark.parametrize("effects", list(DUMMIES))
@pytest.mark.parametrize("cov_type", ["HC0", "HC1"])
def test_heteroskedasticity_robust(cigar: pd.DataFrame, effects: str, cov_type: str) -> None:
    ours = fitted(cigar, effects, cov_type=cov_type)
    theirs = dummy_regression(cigar, effects, cov_type=cov_type)
    np.testing.assert_allclose(ours.bse[SLOPES], own(theirs.bse), rtol=1e-8)
    assert ours.use_t == theirs.use_t
    np.testing.assert_allclose(ours.pvalues[SLOPES], own(theirs.pvalues), rtol=1e-6, atol=1e-300)
    np.testing.assert_allclose(getattr(fitted(cigar, effects), f"{cov_type}_se"), ours.bse, rtol=1e-12)


@pytest.mark.parametrize("cluster", ["state", "year"])
def test_clusters_up_to_the_documented_factor(cigar: pd.DataFrame, cluster: str) -> None:
    """Ours scales by n/df, statsmodels by (n - 1)/df."""
    groups = cigar.reset_index()[cluster].astype("category").cat.codes
    theirs = dummy_regression(cigar, "state", cov_type="cluster", cov_kwds={"groups": groups})
    ours = fitted(cigar, "state", cov_type="cluster", cov_kwds={"groups": cluster})
    n = ours.nobs
    np.testing.assert_allclose(ours.bse[SLOPES], own(theirs.bse) * np.sqrt(n / (n - 1)), rtol=1e-8)
    assert ours.f_test(np.eye(2)).df_denom == theirs.f_test(np.eye(len(theirs.params))[-2:]).df_denom
    bare = fitted(cigar, "state", cov_type="cluster", cov_kwds={"groups": cluster}, ssc=False)
    plain = {"groups": groups, "use_correction": False}
    theirs = dummy_regression(cigar, "state", cov_type="cluster", cov_kwds=plain)
    np.testing.assert_allclose(bare.bse[SLOPES], own(theirs.bse), rtol=1e-8)


def test_two_way_clusters(cigar: pd.DataFrame) -> None:
    ours = fitted(cigar, "state", cov_type="cluster", cov_kwds={"groups": ["state", "year"]}, ssc=False)
    codes = np.column_stack(cigar.index.codes)
    options = {"groups": codes, "use_correction": False}
    theirs = dummy_regression(cigar, "state", cov_type="cluster", cov_kwds=options)
    # the variances of some dummies come out negative: look at those of the slopes only
    np.testing.assert_allclose(ours.cov_params(), theirs.cov_params().iloc[-2:, -2:], rtol=1e-7)


@pytest.mark.parametrize("effects", ["state", "state + year"])
def test_within_rsquared_is_that_of_linearmodels(cigar: pd.DataFrame, effects: str) -> None:
    y, x = np.log(cigar[["sales"]]), np.log(cigar[["real_price", "real_income"]])
    theirs = PanelOLS(y, x, entity_effects=True, time_effects="year" in effects).fit()
    ours = fitted(cigar, effects)
    assert ours.rsquared_within == pytest.approx(theirs.rsquared)  # of the demeaned data
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-8)
    np.testing.assert_allclose(ours.bse, theirs.std_errors, rtol=1e-8)
    effects_sum = (
        ours.entity_effects.reindex(cigar.index.get_level_values(0)).to_numpy()
        + ours.time_effects.reindex(cigar.index.get_level_values(1)).to_numpy()
    )
    np.testing.assert_allclose(effects_sum, theirs.estimated_effects.to_numpy()[:, 0], atol=1e-9)


def test_groups_are_separate_regressions(cigar: pd.DataFrame) -> None:
    model = GroupedIFE.from_formula(f"{FORMULA} | state", cigar, n_groups=2, n_factors=0)
    res = model.fit(cov_type="HC0", groups_known=True)
    states = cigar.index.get_level_values("state")
    total = 0.0
    for k in (1, 2):
        members = cigar[states.isin(res.groups.index[res.groups == k])]
        assert members.index.get_level_values(0).nunique() == res.group_sizes[k]
        alone = dummy_regression(members, "state", cov_type="HC0")
        np.testing.assert_allclose(res.params_by_group.loc[k], own(alone.params), rtol=1e-7)
        np.testing.assert_allclose(res.bse_by_group.loc[k], own(alone.bse), rtol=1e-7)
        total += alone.ssr
    assert res.ssr == pytest.approx(total)


@pytest.mark.filterwarnings("ignore:Group . has one entity")
def test_groups_with_a_common_slope_are_one_regression_with_interactions(cigar: pd.DataFrame) -> None:
    model = GroupedIFE.from_formula(f"{FORMULA} | state", cigar, n_groups=2, n_factors=0, common=["log(real_income)"])
    res = model.fit()
    data = cigar.reset_index().assign(g=lambda d: d["state"].map(res.groups))
    alone = smf.ols("np.log(sales) ~ np.log(real_income) + np.log(real_price):C(g) + C(state)", data).fit()
    assert list(res.params.index) == ["log(real_income)", "log(real_price)[1]", "log(real_price)[2]"]
    names = ["np.log(real_income)", "np.log(real_price):C(g)[1]", "np.log(real_price):C(g)[2]"]
    np.testing.assert_allclose(res.params, alone.params[names], rtol=1e-7)
    np.testing.assert_allclose(res.bse, alone.bse[names], rtol=1e-7)
    assert res.df_resid == alone.df_resid


def test_compare_f_and_lr_tests(cigar: pd.DataFrame) -> None:
    small = InteractiveFE.from_formula("log(sales) ~ log(real_price) | state", cigar, n_factors=0).fit()
    large = fitted(cigar, "state")
    their_large = dummy_regression(cigar, "state")
    their_small = smf.ols("np.log(sales) ~ np.log(real_price) + C(state)", cigar.reset_index()).fit()
    np.testing.assert_allclose(large.compare_f_test(small), their_large.compare_f_test(their_small), rtol=1e-7)
    np.testing.assert_allclose(large.compare_lr_test(small), their_large.compare_lr_test(their_small), rtol=1e-7)
