"""Interactive fixed effects on the Cigar panel: numbers of other software, and a plain NumPy solution.

Sources: R packages PanelIFE, phtt and fect, InteractiveFixedEffectModels.jl, Stata's regife, and Totty's MATLAB code,
as each number says; where nothing is said, it is an independent NumPy solution polished by Newton.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gifepanel import InteractiveFE
from tests.reference.ife_numpy import cigar_growth, cigar_panel, fit_ife

GROWTH = "D(log(sales)) ~ 0 + D(log(real_price)) + D(log(real_income))"


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("sales ~ price", [163.01350491220396, -0.4061036401006838]),  # InteractiveFixedEffectModels.jl, regife
        ("sales ~ 0 + price", [0.07790896102289697]),  # Bai's code, statspai
        ("sales ~ price | state", [-0.4253893870423139]),
    ],
)
def test_intercept_conventions(cigar: pd.DataFrame, formula: str, expected: list[float]) -> None:
    res = InteractiveFE.from_formula(formula, cigar, n_factors=2).fit()
    np.testing.assert_allclose(res.params, expected, rtol=1e-7)


def test_grand_mean_removed_first(cigar: pd.DataFrame) -> None:
    """phtt, and fect with force="none"."""
    demeaned = cigar[["sales", "price"]] - cigar[["sales", "price"]].mean()
    res = InteractiveFE.from_formula("sales ~ 0 + price", demeaned, n_factors=2).fit()
    assert res.params["price"] == pytest.approx(-0.34882078246158305, rel=1e-7)


def test_two_way_effects(cigar: pd.DataFrame) -> None:
    res = InteractiveFE.from_formula("sales ~ price | state + year", cigar, n_factors=2).fit()
    sales, price = cigar_panel("Sales", "Price")
    plain = fit_ife(sales, price[:, :, None], 2, entity=True, time=True)
    assert res.params["price"] == pytest.approx(plain.beta[0], rel=1e-7)
    assert res.ssr == pytest.approx(plain.ssr, rel=1e-10)
    # Totty's MATLAB code, which stops at 1e-8, after both bias terms
    corrected = InteractiveFE.from_formula("sales ~ price | state + year", cigar, n_factors=2)
    assert corrected.fit(bias_correction=True, m2=0).params["price"] == pytest.approx(-0.52888603320223, rel=1e-6)


@pytest.mark.parametrize(
    ("n_factors", "expected"),
    [(2, [-0.4378155033, 0.1777987881]), (5, [-0.3140093369, 0.1593977364])],  # PanelIFE at tol 1e-10
)
def test_growth_rates(cigar: pd.DataFrame, n_factors: int, expected: list[float]) -> None:
    res = InteractiveFE.from_formula(GROWTH, cigar, n_factors=n_factors).fit()
    np.testing.assert_allclose(res.params, expected, atol=2e-9)
    y, x = cigar_growth()
    assert res.ssr == pytest.approx(fit_ife(y, x, n_factors).ssr, rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "cov_type", "groups", "expected"),
    [
        ("state", "nonrobust", None, 0.013059609797005534),
        ("state", "HC0", None, 0.025819399597534314),  # Totty: .02581938788
        ("state", "cluster", "state", 0.03877846284701055),
        ("state", "cluster", "year", 0.037831235847057956),
        ("state + year", "nonrobust", None, 0.03821125602775335),
        ("state + year", "HC0", None, 0.04708176517956182),  # Totty: .04708176827
        ("state + year", "cluster", "state", 0.08454670958338503),
        ("state + year", "cluster", "year", 0.08067845263641547),
    ],
)
def test_standard_errors_without_factor(
    cigar: pd.DataFrame, formula: str, cov_type: str, groups: str | None, expected: float
) -> None:
    model = InteractiveFE.from_formula(f"sales ~ price | {formula}", cigar, n_factors=2)
    res = model.fit(cov_type=cov_type, cov_kwds={"groups": groups} if groups else None, ssc=False)
    assert res.bse["price"] == pytest.approx(expected, rel=1e-6)


def test_small_sample_factor_is_nt_over_df(cigar: pd.DataFrame) -> None:
    model = InteractiveFE.from_formula("sales ~ price | state", cigar, n_factors=2)
    res = model.fit()
    n, t, r = 46, 30, 2
    assert res.df_resid == n * t - n - r * (n + t - 1 - r) - 1
    assert res.bse["price"] == pytest.approx(0.013059609797005534 * np.sqrt(n * t / res.df_resid), rel=1e-6)


def test_growth_rate_covariances(cigar: pd.DataFrame) -> None:
    """PanelIFE at R = 2, M1 = M2 = 2, without the degrees-of-freedom factor."""
    model = InteractiveFE.from_formula(GROWTH, cigar, n_factors=2)
    variances = {
        "nonrobust": [4.340731748e-4, 9.718494623e-4],
        "HC0": [6.285573147e-4, 9.568193661e-4],
    }
    for cov_type, expected in variances.items():
        np.testing.assert_allclose(model.fit(cov_type=cov_type, ssc=False).bse ** 2, expected, rtol=1e-6)
    hac = model.fit(cov_type="HAC", cov_kwds={"maxlags": 2, "kernel": "uniform"}, ssc=False)
    np.testing.assert_allclose(hac.bse**2, [7.609392138e-4, 1.2544719074e-3], rtol=1e-6)


def test_bias_terms(cigar: pd.DataFrame) -> None:
    """PanelIFE, whose terms estimate the bias; ours are what is added to the slopes, hence the sign."""
    model = InteractiveFE.from_formula(GROWTH, cigar, n_factors=2, predetermined=["D(log(real_price))"])
    res = model.fit(bias_correction="moon-weidner", m1=2, m2=2)
    np.testing.assert_allclose(-res.bias.b1, [-0.0016234611455, 0.0006831938447], rtol=1e-5)
    np.testing.assert_allclose(-res.bias.b2, [0.002228577227, -0.001817543967], rtol=1e-5)
    np.testing.assert_allclose(-res.bias.b3, [0.005477355219, -0.001848071214], rtol=1e-5)
    np.testing.assert_allclose(res.params, res.params_uncorrected + res.bias.total, rtol=1e-12)
    exogenous = InteractiveFE.from_formula(GROWTH, cigar, n_factors=2).fit(bias_correction=True, m1=2, m2=2)
    np.testing.assert_allclose(exogenous.params, res.params_uncorrected + res.bias.b2 + res.bias.b3, rtol=1e-9)


def test_bias_correction_with_entity_effects(cigar: pd.DataFrame) -> None:
    res = InteractiveFE.from_formula("sales ~ price | state", cigar, n_factors=2).fit(bias_correction=True, m2=0)
    assert res.params["price"] == pytest.approx(-0.44471901059513647, rel=1e-6)


def test_minima_are_audited(cigar: pd.DataFrame) -> None:
    """The growth rates have a second, inferior minimum at R = 5 that some packages report."""
    res = InteractiveFE.from_formula(GROWTH, cigar, n_factors=5).fit(n_starts=20)
    minima = res.minima
    assert minima["ssr"].is_monotonic_increasing and minima["n_starts"].sum() == 20
    assert minima["ssr"].iloc[0] == pytest.approx(res.ssr) and minima["excess_percent"].iloc[0] == 0
