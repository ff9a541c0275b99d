"""What statsmodels computes on all dummies and factors, attribute by attribute; and options set afterwards."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import gifepanel as gife
from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS

ATTRIBUTES = (
    "rsquared", "rsquared_adj", "ess", "mse_model", "mse_total", "mse_resid", "centered_tss", "uncentered_tss", "ssr",
    "df_model", "df_resid", "aic", "bic", "llf", "nobs", "scale",
)  # fmt: skip


@cache
def cigar() -> pd.DataFrame:
    data = gife.datasets.load_cigar()
    states = [s for s in data.index.get_level_values(0).unique() if s != "District of Columbia"][:12]
    return data.loc[states].query("year < 1975")


def same(res: Any) -> None:
    full = res.to_statsmodels(dummies=True)
    for name in ATTRIBUTES:
        assert_allclose(getattr(res, name), getattr(full, name), rtol=1e-7, err_msg=name)
    assert bool(res.k_constant) == bool(full.model.k_constant)


@pytest.mark.filterwarnings("ignore:Group . has one entity")
@pytest.mark.parametrize("n_factors", [0, 1, 2])
@pytest.mark.parametrize(
    "formula", ["sales ~ 0 + price + ndi", "sales ~ price", "sales ~ 0 + price | state", "sales ~ price | state + year"]
)
def test_measures_of_factor_models(formula: str, n_factors: int) -> None:
    """Sums of squares are about zero where no constant is in the model, factors or not."""
    same(InteractiveFE.from_formula(formula, cigar(), n_factors=n_factors).fit())
    if n_factors < 2:
        same(GroupedIFE.from_formula(formula, cigar(), n_groups=2, n_factors=n_factors).fit())


@pytest.mark.parametrize("weights", [None, "pop"])
@pytest.mark.parametrize("partial", ["", "0 + cpi", "cpi - 1", "cpi"])
@pytest.mark.parametrize("formula", ["sales ~ 0 + price", "sales ~ price", "sales ~ 0 + price | state[[ndi]]"])
def test_measures_of_partialled_models(formula: str, partial: str, weights: str | None) -> None:
    same(PartialledOLS.from_formula(formula, cigar(), partial=partial, weights=weights).fit())


def test_the_report_says_what_r_squared_is_about() -> None:
    texts = [
        str(InteractiveFE.from_formula(f"sales ~ {start}price", cigar(), n_factors=1).fit().summary())
        for start in ("0 + ", "")
    ]
    texts += [
        str(PartialledOLS.from_formula(f"sales ~ {start}price", cigar()).fit().summary()) for start in ("0 + ", "")
    ]
    assert ["about zero" in text for text in texts] == [True, False, True, False]


@pytest.mark.parametrize("start", ["", "1 + ", "0 + "])
@pytest.mark.parametrize("controls", ["cpi", "0 + cpi", "cpi - 1", "-1 + cpi", ["cpi", "0"], "0 + C(year)"])
def test_the_intercept_is_the_formulas(start: str, controls: Any) -> None:
    """A 0 among the controls says nothing of the formula's intercept."""
    res = PartialledOLS.from_formula(f"sales ~ {start}price", cigar(), partial=controls).fit()
    plain = "C(year)" if "year" in str(controls) else "cpi"
    theirs = smf.ols(f"sales ~ {start}price + {plain}", cigar().reset_index()).fit()
    assert_allclose(res.params.price, theirs.params["price"], rtol=1e-8)
    assert_allclose([res.ssr, res.rsquared, res.df_resid], [theirs.ssr, theirs.rsquared, theirs.df_resid], rtol=1e-8)


def test_weights_of_the_model() -> None:
    data = cigar()
    res = PartialledOLS.from_formula("sales ~ price | state", data, weights="pop").fit()
    assert_array_equal(res.model.weights, data["pop"])
    theirs = smf.wls("sales ~ price + C(state)", data.reset_index(), weights=data["pop"].to_numpy()).fit()
    assert_array_equal(res.model.weights, theirs.model.weights)
    assert_allclose(res.wresid, theirs.wresid, atol=1e-7)
    assert_allclose(res.centered_tss, theirs.centered_tss)
    from statsmodels.sandbox.regression.predstd import wls_prediction_std

    for ours, other in zip(wls_prediction_std(res), wls_prediction_std(theirs), strict=True):
        assert_allclose(ours, other, rtol=1e-6)
    zero = data.assign(pop=lambda d: d["pop"].where(d["pop"] > d["pop"].min(), 0.0))
    some = PartialledOLS.from_formula("sales ~ price | state", zero, weights="pop")
    assert (some.weights > 0).all() and len(some.weights) == some.design.nobs < len(zero)
    assert (PartialledOLS.from_formula("sales ~ price", data).fit().model.weights == 1).all()


@pytest.mark.parametrize(
    "model",
    [
        PartialledOLS.from_formula("sales ~ price | state", gife.datasets.load_cigar()),
        InteractiveFE.from_formula("sales ~ price", gife.datasets.load_cigar(), n_factors=1),
    ],
)
def test_use_t_can_be_set(model: Any) -> None:
    """statsmodels' robust results are no wrapper: what is set there counts."""
    for res in (model.fit(), model.fit().get_robustcov_results("HC1")):
        for use_t in (False, True, False):
            before = str(res.summary())
            res.use_t = use_t
            statistic = np.abs(np.asarray(res.tvalues))
            tail = stats.t(res.df_resid_inference).sf(statistic) if use_t else stats.norm.sf(statistic)
            assert_allclose(res.pvalues, 2 * tail, rtol=1e-10)
            assert_allclose(res.t_test(np.eye(len(res.params))).pvalue, res.pvalues, rtol=1e-10)
            quantile = stats.t(res.df_resid_inference).ppf(0.975) if use_t else stats.norm.ppf(0.975)
            assert_allclose(np.asarray(res.conf_int())[:, 1], res.params + quantile * res.bse, rtol=1e-10)
            assert f"P>|{'t' if use_t else 'z'}|" in str(res.summary()) and before
        res.remove_data()
        res.use_t = True
        assert "P>|t|" in str(res.summary())


@pytest.mark.parametrize("ssc", ["none", "fixest", "stata", "statsmodels"])
@pytest.mark.parametrize("cov_type", ["nonrobust", "HC1", "HC3", "fixed scale"])
def test_intervals_in_the_sample_are_those_of_the_same_rows(cov_type: str, ssc: str) -> None:
    for formula in ("sales ~ price | state + year", "sales ~ price"):
        res = PartialledOLS.from_formula(formula, cigar()).fit(cov_type=cov_type, ssc=ssc)
        assert_allclose(res.get_prediction().se_mean, res.get_prediction(cigar()).se_mean, rtol=1e-8)
    if cov_type == "nonrobust":
        counted = (
            PartialledOLS.from_formula("sales ~ price | state", cigar()).fit(ssc="fixest").get_prediction().se_mean
        )
        plain = PartialledOLS.from_formula("sales ~ price | state", cigar()).fit(ssc=ssc).get_prediction().se_mean
        n, k = 144, 13
        assert_allclose((plain / counted) ** 2, (n - k) / n if ssc == "none" else 1.0, rtol=1e-10)
