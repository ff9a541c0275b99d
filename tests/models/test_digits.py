"""Digits of coefficients and standard errors: certified values, rational arithmetic, equivalent regressors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression

from gifepanel import InteractiveFE, PartialledOLS
from gifepanel.exceptions import CollinearityWarning
from tests.reference.exact import exact_fit
from tests.reference.nist import NIST, correct_digits

# ---- NIST

# digits of coefficients and of standard errors, a little below what is reached
DIGITS = {
    "Norris": (13, 13),
    "Pontius": (12, 12),
    "NoInt1": (14, 14),
    "NoInt2": (14, 14),
    "Filip": (7, 7),
    "Longley": (13, 13),
    "Wampler1": (9, 8),
    "Wampler2": (12, 12),
    "Wampler3": (9, 12),
    "Wampler4": (7.5, 12),
    "Wampler5": (5.5, 12),
}


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
@pytest.mark.parametrize("name", NIST)
def test_certified_values_of_nist(name: str) -> None:
    certified = NIST[name]
    data = certified.data()
    ours = PartialledOLS.from_formula(certified.formula, data).fit()
    theirs = smf.ols(certified.formula, data).fit()
    for got, other, want, least in (
        (ours.params, theirs.params, certified.params, DIGITS[name][0]),
        (ours.bse, theirs.bse, certified.bse, DIGITS[name][1]),
    ):
        digits = correct_digits(got, want)
        assert digits >= least
        assert digits >= min(correct_digits(other, want), 13.5) - 0.1


# ---- rational arithmetic


@pytest.fixture(scope="module")
def years() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"i": np.repeat(np.arange(3), 8), "t": np.tile(np.arange(1980, 1988), 3).astype(float)})
    data["t2"], data["t3"] = data["t"] ** 2, data["t"] ** 3
    data["y"] = rng.normal(size=24)
    data["w"] = rng.integers(1, 5, size=24) / 2
    data["block"] = np.arange(24) % 6
    data["order"] = np.arange(24)
    return data


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize(("terms", "tol"), [(("t", "t2"), 1e-9), (("t", "t2", "t3"), 1e-7)])
def test_powers_of_years(years: pd.DataFrame, terms: tuple[str, ...], tol: float, weights: str | None) -> None:
    """Of t, t2, t3 over eight years 2e-7 is left of the last: statsmodels is off by 1e-2 there."""
    data, n = years, len(years)
    columns = [np.ones(n), *(data[term].to_numpy() for term in terms)]
    y, w = data["y"].to_numpy(), None if weights is None else data[weights].to_numpy()
    exact = exact_fit(columns, y, w)
    model = PartialledOLS.from_formula("y ~ " + " + ".join(terms), data, weights=weights)
    res = model.fit()
    assert_allclose(res.params, exact.params, rtol=tol)
    assert_allclose(res.bse, exact.nonrobust(), rtol=tol)
    assert_allclose(res.bse**2, np.diag(res.normalized_cov_params) * res.scale, rtol=1e-12)
    for power, kind in enumerate(("HC0", "HC2", "HC3")):
        assert_allclose(model.fit(cov_type=kind).bse, exact.robust(power), rtol=tol)
    blocks = [np.flatnonzero(data["block"] == g).tolist() for g in range(6)]
    ones = [Fraction(1)] * n
    groups: dict[str, Any] = {"cov_kwds": {"groups": "block"}, "ssc": "none"}
    assert_allclose(model.fit(cov_type="CR0", **groups).bse, exact.lagged(ones, blocks), rtol=tol)
    assert_allclose(model.fit(cov_type="CR3", **groups).bse, exact.jackknife(blocks, y), rtol=10 * tol)
    bartlett = [Fraction(4 - lag, 4) for lag in range(4)]
    hac = model.fit(cov_type="HAC", cov_kwds={"maxlags": 3}, ssc="none")
    assert_allclose(hac.bse, exact.lagged(bartlett, [list(range(n))]), rtol=tol)


@pytest.mark.parametrize("weights", [None, "w"])
def test_powers_of_years_within_units(years: pd.DataFrame, weights: str | None) -> None:
    columns = [(years["i"] == g).to_numpy(dtype=float) for g in range(3)]
    columns += [years[term].to_numpy() for term in ("t", "t2", "t3")]
    w = None if weights is None else years[weights].to_numpy()
    exact = exact_fit(columns, years["y"].to_numpy(), w)
    for formula, partial in (("y ~ t + t2 + t3 | i", ""), ("y ~ t2 + t3 | i", "t"), ("y ~ t3", "C(i) + t + t2")):
        res = PartialledOLS.from_formula(formula, years, partial=partial, weights=weights).fit()
        left = [3 + k for k, term in enumerate(("t", "t2", "t3")) if term in res.params.index]
        names = [f"t{k - 2}" if k > 3 else "t" for k in left]
        assert_allclose(res.params[names], exact.params[left], rtol=1e-7)
        assert_allclose(res.bse[names], exact.nonrobust()[left], rtol=1e-7)
        assert_allclose(res.get_robustcov_results("HC3").bse[names], exact.robust(2)[left], rtol=1e-7)


# ---- regressors that nearly agree: x2 = x1 + d stands for d, and their difference is exact


@pytest.fixture(scope="module")
def pairs() -> dict[float, pd.DataFrame]:
    rng = np.random.default_rng(1)
    n = 120
    base = pd.DataFrame({"i": np.repeat(np.arange(12), 10), "t": np.tile(np.arange(10), 12), "w": rng.uniform(1, 2, n)})
    base["x1"], noise = rng.normal(size=n) + 0.1 * base["i"], rng.normal(size=n)
    base["z"], base["block"] = rng.normal(size=n), base["i"] % 6
    base["y"] = base["x1"] + noise + rng.normal(size=n)
    out = {}
    for share in (1e-6, 1e-7, 1e-8):
        data = base.assign(x2=base["x1"] + share * noise)
        out[share] = data.assign(d=data["x2"] - data["x1"])
    return out


KINDS: dict[str, dict[str, Any]] = {
    "nonrobust": {},
    "fixed scale": {},
    "HC1": {},
    "HC2": {},
    "HC3": {},
    "cluster": {"groups": "block"},
    "two ways": {"groups": ["i", "t"]},
    "CR2": {"groups": "block"},
    "CR3": {"groups": "block"},
    "cluster-jk": {"groups": "block"},
    "hac-panel": {"groups": "i", "time": "t"},
    "hac-groupsum": {"time": "t"},
}


@pytest.mark.parametrize("share", [1e-6, 1e-7, 1e-8])
@pytest.mark.parametrize(
    ("formula", "options"),
    [("y ~ x1 + {}", {}), ("y ~ x1 + {} | i + t", {"weights": "w"}), ("y ~ x1 + {} | i", {"partial": "z"})],
)
def test_a_regressor_and_nearly_the_same(pairs: Any, share: float, formula: str, options: dict[str, Any]) -> None:
    near, apart = (PartialledOLS.from_formula(formula.format(x), pairs[share], **options) for x in ("x2", "d"))
    tol = 1e-13 / share
    for kind, keywords in KINDS.items():
        cov_type = "cluster" if kind == "two ways" else kind
        got, want = (model.fit(cov_type=cov_type, cov_kwds=keywords) for model in (near, apart))
        assert_allclose(got.params["x2"], want.params["d"], rtol=10 * tol)
        assert_allclose(got.bse["x2"], want.bse["d"], rtol=tol)
        assert_allclose(got.f_test("x1 = x2 = 0").fvalue, want.f_test("x1 = d = 0").fvalue, rtol=tol)
        assert_allclose(got.fvalue, want.fvalue, rtol=tol)
        assert_allclose(got._covariance.df_inference[-1], want._covariance.df_inference[-1], rtol=tol)
        assert_allclose(got.resid, want.resid, atol=100 * 1e-16 / share * want.resid.std())
    plain, other = near.fit(), apart.fit()
    assert_allclose(plain.get_influence().dfbetas[:, -1], other.get_influence().dfbetas[:, -1], rtol=1e-4, atol=1e-8)
    assert_allclose(plain.get_prediction().se_mean, other.get_prediction().se_mean, rtol=10 * tol)
    if "| i + t" in formula:
        boots = [r.wild_bootstrap(x, groups="block", n_draws=99) for r, x in ((plain, "x2"), (other, "d"))]
        assert boots[0].pvalue == boots[1].pvalue
        assert_allclose(boots[0].statistic, boots[1].statistic, rtol=10 * tol)


@pytest.mark.parametrize("share", [1e-6, 1e-8])
def test_factor_models_and_learners(pairs: Any, share: float) -> None:
    tol = 1e-13 / share
    data = pairs[share]
    for bias in (False, True):
        got, want = (
            InteractiveFE.from_formula(f"y ~ x1 + {x} | i", data, entity="i", time="t", n_factors=1).fit(
                bias_correction=bias
            )
            for x in ("x2", "d")
        )
        for cov_type in ("nonrobust", "HC1", "HAC", "cluster", "driscoll-kraay"):
            a, b = (r.get_robustcov_results(cov_type) for r in (got, want))
            assert_allclose(a.params["x2"], b.params["d"], rtol=1e-5)
            assert_allclose(a.bse["x2"], b.bse["d"], rtol=max(tol, 1e-6))
            assert_allclose(a.f_test("x1 = x2 = 0").fvalue, b.f_test("x1 = d = 0").fvalue, rtol=1e-5)
    for options in ({}, {"score": "IV-type"}):
        a, b = (
            PartialledOLS.from_formula(f"y ~ x1 + {x} | i", data, partial="z", learner=LinearRegression()).fit(
                **options
            )
            for x in ("x2", "d")
        )
        assert_allclose(a.params["x2"], b.params["d"], rtol=10 * tol)
        assert_allclose(a.bse["x2"], b.bse["d"], rtol=10 * tol)


# ---- what falls away, and what is said


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_columns_that_nearly_agree_are_named_in_all_units(pairs: Any, unit: float) -> None:
    data = pairs[1e-8].assign(x1=lambda d: unit * d["x1"])
    rng = np.random.default_rng(3)
    noise = rng.normal(size=len(data))
    for share, said in (
        (1e-10, r"x2 is a multiple of x1 but for .* digits"),
        (0.0, "x2 was dropped: it is a multiple"),
    ):
        two = data.assign(x2=data["x1"] * (1 + share * noise))
        for formula in ("y ~ x1 + x2", "y ~ x1 + x2 | i"):
            with pytest.warns(CollinearityWarning, match=said):
                res = PartialledOLS.from_formula(formula, two).fit()
            assert np.isfinite(res.bse).all()
        with pytest.warns(CollinearityWarning, match=said):
            PartialledOLS.from_formula("y ~ x1 + x2 | i", two, partial="z", learner=LinearRegression()).fit()
        with pytest.warns(CollinearityWarning, match="x2 was dropped: it is a multiple of x1"):
            InteractiveFE.from_formula("y ~ x1 + x2 | i", two, entity="i", time="t", n_factors=1).fit()
    three = data.assign(x3=data["x1"] / unit + data["z"] + 1e-11 * noise)
    with pytest.warns(CollinearityWarning, match=r"x3 is a linear combination of x1, z but for"):
        PartialledOLS.from_formula("y ~ x1 + z + x3 | i", three).fit()
    spanned = data.assign(x2=unit * (data["i"] + 1e-13 * noise))
    with pytest.warns(CollinearityWarning, match="x2 was dropped: it is spanned by i"):
        PartialledOLS.from_formula("y ~ x1 + x2 | i", spanned).fit()
