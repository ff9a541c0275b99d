"""Bias correction: when it is on, what it does, and that it helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel import GroupedIFE, InteractiveFE

DYNAMIC = "y ~ L(y) + x1 | entity"


def ar1(rho: float, n: int, t: int, seed: int, factor: bool) -> pd.DataFrame:
    """y_it = rho y_it-1 + mu_i + [lambda_i f_t] + e_it."""
    rng = np.random.default_rng(seed)
    mu, load, f = rng.normal(size=n), factor * rng.normal(size=n), rng.normal(size=t + 50)
    y = np.zeros((n, t + 50))
    for s in range(1, t + 50):
        y[:, s] = rho * y[:, s - 1] + mu + load * f[s] + rng.normal(size=n)
    index = pd.MultiIndex.from_product([range(n), range(t)], names=["firm", "year"])
    return pd.DataFrame({"y": y[:, 50:].ravel()}, index=index)


@pytest.mark.parametrize("lag", ["L(y)", "L(y, 2)", "lag(y)"])
def test_a_lag_of_the_outcome_switches_it_on(panel: pd.DataFrame, lag: str) -> None:
    for model in (
        InteractiveFE.from_formula(f"y ~ {lag} + x1 | entity", panel, n_factors=1),
        GroupedIFE.from_formula(f"y ~ {lag} + x1 | entity", panel, n_groups=2, n_factors=1),
    ):
        res = model.fit()
        assert res.bias_correction == "dynamic" and res.bias.b1.any()
        assert not res.bias.b2.any() and not res.bias.b3.any()
        np.testing.assert_allclose(res.params, res.params_uncorrected + res.bias.b1, rtol=1e-12)
        text = " ".join(str(res.summary()).split())
        assert "without being asked for" in text and "B1 (predetermined regressors)" in text
        plain = model.fit(bias_correction=False)
        np.testing.assert_allclose(plain.params, res.params_uncorrected, rtol=1e-12)
        assert plain.bias is None and "corrected" not in str(plain.summary())


@pytest.mark.parametrize("formula", ["y ~ L(x1) + x2 | entity", "y ~ x1 + x2", "y ~ F(x1) + x2"])
def test_other_lags_do_not(panel: pd.DataFrame, formula: str) -> None:
    res = InteractiveFE.from_formula(formula, panel, n_factors=1).fit()
    assert res.bias_correction == "none" and res.bias is None


def test_predetermined_regressors(panel: pd.DataFrame) -> None:
    """They count in B1 where a correction is asked for; formulas and arrays alike."""
    y, x = panel["y"].to_numpy().reshape(24, 20), panel[["x1", "x2"]].to_numpy().reshape(24, 20, 2)
    exogenous = InteractiveFE(y, x, n_factors=1).fit(bias_correction=True)
    assert not exogenous.bias.b1.any() and exogenous.bias.b2.any() and exogenous.bias.b3.any()
    found = [
        InteractiveFE(y, x, n_factors=1, predetermined=[0]).fit(bias_correction=True),
        InteractiveFE(y, x, n_factors=1, predetermined="x1").fit(bias_correction=True),
        InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel, n_factors=1, predetermined=["x1"]).fit(
            bias_correction=True
        ),
    ]
    for res in found:
        assert res.bias.b1.any()
        np.testing.assert_allclose(res.params, found[0].params, rtol=1e-12)
    assert InteractiveFE(y, x, n_factors=1, predetermined=[0]).fit().bias is None
    dynamic = InteractiveFE(y, x, n_factors=1, predetermined=[0]).fit(bias_correction="dynamic")
    assert "Regressors are predetermined" in " ".join(str(dynamic.summary()).split())


def test_positions_follow_dropped_regressors(panel: pd.DataFrame) -> None:
    with pytest.warns(match="size was dropped"):
        model = InteractiveFE.from_formula("y ~ size + L(y) + x1 | entity", panel, n_factors=1)
    without = InteractiveFE.from_formula(DYNAMIC, panel, n_factors=1)
    np.testing.assert_allclose(model.fit().params, without.fit().params, rtol=1e-10)


def test_jackknife_by_hand(panel: pd.DataFrame) -> None:
    """Twice the whole less the mean of the halves (Dhaene and Jochmans 2015, eq. 2.4)."""
    whole = InteractiveFE.from_formula("y ~ x1 + x2 | entity", panel, n_factors=1).fit(bias_correction="jackknife")
    halves = [
        InteractiveFE.from_formula("y ~ x1 + x2 | entity", part, n_factors=1).fit().params
        for part in (panel.groupby(level=0).head(10), panel.groupby(level=0).tail(10))
    ]
    expected = 2 * whole.params_uncorrected - (halves[0] + halves[1]) / 2
    np.testing.assert_allclose(whole.params, expected, rtol=1e-6)
    assert "half-panel jackknife" in str(whole.summary()) and whole.bias is None


def test_everything_is_at_the_corrected_slopes(panel: pd.DataFrame) -> None:
    res = InteractiveFE.from_formula(DYNAMIC, panel, n_factors=1).fit()
    linear = res.predict(effects=False)
    np.testing.assert_allclose(linear, np.asarray(res.model.exog) @ res.params.to_numpy(), atol=1e-10)
    inside = np.asarray(res.loadings) @ np.asarray(res.factors).T + np.asarray(res.entity_effects)[:, None]
    np.testing.assert_allclose(res.fittedvalues - linear, inside.ravel(), atol=1e-10)
    assert res.ssr > InteractiveFE.from_formula(DYNAMIC, panel, n_factors=1).fit(bias_correction=False).ssr


@pytest.mark.parametrize(
    ("correction", "n_factors", "t"), [(None, 0, 16), (None, 1, 16), ("jackknife", 0, 16), ("jackknife", 1, 40)]
)
def test_nickell_bias_shrinks(correction: str | None, n_factors: int, t: int) -> None:
    """AR(1) with entity effects, N = 60: the mean error over 12 draws falls to less than half."""
    rho = 0.6
    errors = []
    for seed in range(12):
        data = ar1(rho, 60, t, seed, factor=n_factors > 0)
        model: Any = InteractiveFE.from_formula("y ~ L(y) | firm", data, n_factors=n_factors)
        fits = (model.fit(bias_correction=c, n_starts=2) for c in (False, correction))
        errors.append([float(fit.params.iloc[0]) - rho for fit in fits])
    plain, corrected = np.mean(errors, axis=0)
    assert plain < -0.03
    assert abs(corrected) < 0.5 * abs(plain)
