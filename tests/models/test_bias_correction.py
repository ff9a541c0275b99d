"""Bias correction: when it is on, what it does, and that it helps."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.exceptions import SpecificationWarning

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


def test_published_terms_stay_by_name(panel: pd.DataFrame) -> None:
    """Another B1 with the other two as they are; default numbers of lags, and the words of summaries and tables."""
    model = InteractiveFE.from_formula(DYNAMIC, panel, n_factors=1)
    names = ("dynamic", "moon-weidner-b1", "analytic", "moon-weidner")
    fits: dict[str, Any] = {name: model.fit(bias_correction=name) for name in names}
    t = fits["dynamic"].n_times
    assert [fits[name].bias.m1 for name in names] == [ceil(2 * t**0.25), ceil(t**0.25)] * 2
    for first, both in (("dynamic", "analytic"), ("moon-weidner-b1", "moon-weidner")):
        np.testing.assert_array_equal(fits[first].bias.b1, fits[both].bias.b1)
        assert not fits[first].bias.b2.any() and fits[both].bias.b2.any() and fits[both].bias.b3.any()
    np.testing.assert_array_equal(fits["analytic"].bias.b3, fits["moon-weidner"].bias.b3)
    assert not np.allclose(fits["dynamic"].bias.b1, fits["moon-weidner-b1"].bias.b1, rtol=0.01)
    np.testing.assert_array_equal(model.fit(bias_correction=True).params, fits["analytic"].params)
    notes = {name: " ".join(str(fit.summary()).split()) for name, fit in fits.items()}
    assert "(B1 of Moon and Weidner 2017, deconvolved), without being asked for" in notes["dynamic"]
    assert "(B1 of Moon and Weidner 2017)." in notes["moon-weidner-b1"]
    assert "B1, B2, B3 (Moon-Weidner), B1 deconvolved." in notes["analytic"]
    assert "published B1, B2, B3 (Moon-Weidner)." in notes["moon-weidner"]
    rows = gife.compare(*fits.values()).to_markdown()
    assert "published B1 " in rows and "published B1, B2, B3" in rows


@pytest.mark.parametrize("holes", [False, True])
def test_b1_is_that_of_the_formula(panel: pd.DataFrame, holes: bool) -> None:
    """Groups with a common slope: gamma pooled by plain loops over the entities that share the slope."""
    data = panel[np.random.default_rng(3).random(len(panel)) > 0.1] if holes else panel
    formula = "y ~ x1 + x2 | entity"
    model = GroupedIFE.from_formula(
        formula, data, n_groups=2, n_factors=1, common=["x1"], predetermined=["x1", "x2"], entity="entity", time="time"
    )
    res, plain = model.fit(bias_correction="dynamic"), model.fit(bias_correction=False)
    estimate, m = plain._estimate, res.bias.m1
    n, t = estimate.shape
    seen = np.ones((n, t), dtype=bool) if estimate.observed is None else estimate.observed
    assert holes != seen.all()
    c, pi, s = np.zeros((2, m, m)), np.zeros((2, m)), np.zeros((2, m, 2))
    for i, g in enumerate(estimate.groups):
        own = np.flatnonzero(seen[i])
        f = np.column_stack([np.ones(t), estimate.factors])[own]
        p = np.zeros((t, t))
        p[np.ix_(own, own)] = f @ np.linalg.solve(f.T @ f, f.T)
        off = np.diag(seen[i].astype(float)) - p
        x = (estimate.x[i] - estimate.x[i][own].mean(axis=0)) * seen[i][:, None]
        for lag in range(1, m + 1):
            pi[g, lag - 1] += np.trace(p, offset=lag)
            s[g, lag - 1] += estimate.resid[i, :-lag] @ x[lag:]
            for j in range(1, m + 1):
                pair = np.outer(seen[i], seen[i])
                c[g, lag - 1, j - 1] += np.trace((off @ (np.eye(t, k=j) * pair)) * pair, offset=lag)
    trace = np.zeros(res.params.size)
    trace[estimate.slots[0, 0]] = pi.sum(axis=0) @ np.linalg.solve(c.sum(axis=0), s.sum(axis=0)[:, 0])
    for g in (0, 1):
        trace[estimate.slots[g, 1]] = pi[g] @ np.linalg.solve(c[g], s[g][:, 1])
    expected = np.linalg.solve(estimate.bread, trace) / seen.sum()
    np.testing.assert_allclose(res.bias.b1, expected, rtol=1e-6)
    assert m == ceil(2 * t**0.25)


def test_lags_are_distances_in_time(panel: pd.DataFrame) -> None:
    """A year that nobody has is a gap; years that are two apart everywhere are not."""
    wide = panel.reset_index()
    fits = []
    for change in (lambda t: t, lambda t: 2 * t + 1, lambda t: t + 3 * (t > wide["time"].median())):
        data = wide.assign(time=change(wide["time"])).set_index(["entity", "time"])
        model = InteractiveFE.from_formula("y ~ x1 + x2 | entity", data, n_factors=1, predetermined=["x1"])
        fits.append(model.fit(bias_correction="analytic"))
    np.testing.assert_array_equal(fits[1].bias.total, fits[0].bias.total)
    np.testing.assert_allclose(fits[2].params_uncorrected, fits[0].params_uncorrected, rtol=1e-9)
    assert not np.allclose(fits[2].bias.b1, fits[0].bias.b1, rtol=1e-3)
    assert not np.allclose(fits[2].bias.b3, fits[0].bias.b3, rtol=1e-3)


def test_too_few_periods_for_a_covariance(panel: pd.DataFrame) -> None:
    short = panel.groupby(level="entity").head(12)
    model = InteractiveFE.from_formula("y ~ x1 | entity", short, n_factors=10, predetermined=["x1"])
    with pytest.warns(SpecificationWarning, match="was not corrected: 12 periods") as said:
        res = model.fit(bias_correction="dynamic")
    assert res.bias.m1 == 0 and not res.bias.b1.any()
    assert model.fit(bias_correction=str(said[0].message).split('"')[1]).bias.b1.any()


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
