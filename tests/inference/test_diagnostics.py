"""Residual tests against plain formulas, other packages, and simulation under null and alternative."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm
from statsmodels.stats.stattools import durbin_watson

from gifepanel import diagnostics
from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference import crosssection
from tests.reference.ife_numpy import demean, dense_annihilator


def principal(y, r):
    u, s, vt = np.linalg.svd(y, full_matrices=False)
    t = y.shape[1]
    f, lam = vt[:r].T * np.sqrt(t), u[:, :r] * s[:r] / np.sqrt(t)
    return f, lam, y - lam @ f.T


@pytest.fixture(scope="module")
def resid():
    return np.random.default_rng(4).gamma(2.0, size=(14, 11)) - 1.9


def test_moments_are_scipys(resid):
    mean, skew, kurt, jb = diagnostics.residual_moments(resid)
    flat = resid.ravel()
    t = scipy.stats.ttest_1samp(flat, 0)
    assert mean.statistic == pytest.approx(flat.mean())
    assert mean.pvalue == pytest.approx(t.pvalue, rel=1e-10)
    assert skew.statistic == pytest.approx(scipy.stats.skew(flat), rel=1e-12)
    assert kurt.statistic == pytest.approx(scipy.stats.kurtosis(flat, fisher=False), rel=1e-12)
    reference = scipy.stats.jarque_bera(flat)
    assert (jb.statistic, jb.pvalue) == pytest.approx((reference.statistic, reference.pvalue), rel=1e-10)
    assert diagnostics.jarque_bera(resid) == jb
    parts = (skew.statistic**2 / (6 / flat.size), (kurt.statistic - 3) ** 2 / (24 / flat.size))
    assert sum(parts) == pytest.approx(jb.statistic)


def test_mean_zero_by_construction_has_no_pvalue(resid):
    mean = diagnostics.residual_moments(demean(resid, True, False))[0]
    assert np.isnan(mean.pvalue)
    assert "no p-value" in str(mean)
    assert "by construction" in str(mean)


def test_durbin_watson_pools_the_units(resid):
    squares = (resid**2).sum(axis=1)
    reference = np.sum(durbin_watson(resid, axis=1) * squares) / squares.sum()
    assert diagnostics.panel_durbin_watson(resid).statistic == pytest.approx(reference, rel=1e-12)


@pytest.mark.parametrize("effects", [False, True])
def test_expected_durbin_watson_is_a_trace(resid, effects):
    f = np.random.default_rng(1).normal(size=(11, 2))
    m = dense_annihilator(np.column_stack([f, np.ones(11)]) if effects else f)
    d = np.diff(np.eye(11), axis=0)
    expected = np.trace(m @ d.T @ d) / np.trace(m)
    res = diagnostics.panel_durbin_watson(resid, f, entity_effects=effects)
    assert f"{expected:.3f}" in res.note


def test_born_breitung_is_their_q_with_entity_effects(resid):
    """Q(p) with z_k = L_k Me + (T-k)/(T^2-T) e (Born & Breitung 2016; Wursten 2018, Stata Journal 18)."""
    e = demean(resid, True, False)
    n, t = e.shape
    outer, total = np.zeros((3, 3)), np.zeros(3)
    for row in e:
        z = np.stack([np.r_[np.zeros(k), row[:-k]] + (t - k) / (t**2 - t) * row for k in (1, 2, 3)], axis=1)
        outer += np.outer(z.T @ row, z.T @ row)
        total += z.T @ row
    reference = total @ np.linalg.solve(outer - np.outer(total, total) / n, total)
    res = diagnostics.born_breitung(e, 3)
    assert res.statistic == pytest.approx(reference, rel=1e-10)
    assert res.pvalue == pytest.approx(scipy.stats.f.sf(reference * (n - 3) / (3 * n), 3, n - 3), rel=1e-10)


def test_wooldridge_is_a_clustered_wald_test(resid):
    d = np.diff(resid, axis=1)
    units = np.repeat(np.arange(14), 9)
    fit = sm.OLS(d[:, 1:].ravel(), d[:, :-1].ravel()).fit(cov_type="cluster", cov_kwds={"groups": units})
    res = diagnostics.wooldridge_ar1(resid)
    assert res.statistic == pytest.approx(((fit.params[0] + 0.5) / fit.bse[0]) ** 2, rel=1e-10)
    assert res.pvalue == pytest.approx(scipy.stats.f.sf(res.statistic, 1, 13), rel=1e-10)
    assert diagnostics.wooldridge_ar1(demean(resid, True, False)).statistic == pytest.approx(res.statistic)


def test_cd_is_the_sum_over_pairs(resid):
    n, t = resid.shape
    rho = np.corrcoef(resid)
    reference = np.sqrt(2 * t / (n * (n - 1))) * sum(rho[i, j] for i, j in combinations(range(n), 2))
    res = diagnostics.pesaran_cd(resid)
    assert res.statistic == pytest.approx(reference, rel=1e-10)
    assert res.pvalue == pytest.approx(2 * scipy.stats.norm.sf(abs(reference)), rel=1e-10)


def test_cd_star_in_the_notation_of_the_paper(resid):
    """Loadings normalised to G'G/N = I, phi = mean(g_i / sigma_i), a_i = 1 - sigma_i phi'g_i."""
    n, t = resid.shape
    rng = np.random.default_rng(3)
    _, lam, e = principal(resid, 2)
    gamma = np.linalg.qr(lam)[0] * np.sqrt(n)
    sigma = np.sqrt((e**2).mean(axis=1))
    phi = (gamma / sigma[:, None]).mean(axis=0)
    theta = 1 - np.mean((1 - sigma * (gamma @ phi)) ** 2)
    reference = (diagnostics.pesaran_cd(e).statistic + np.sqrt(t / 2) * theta) / (1 - theta)
    rotated = lam @ rng.normal(size=(2, 2))
    assert diagnostics.pesaran_xie_cd(e, rotated).statistic == pytest.approx(reference, rel=1e-9)


def test_cdw_is_the_weighted_sum_over_pairs(resid, monkeypatch):
    n, t = resid.shape
    draws = np.random.default_rng(12).integers(0, 2, size=(3, n)) * 2 - 1
    single = [
        np.sqrt(2 / (t * n * (n - 1)))
        * sum((w[i] * resid[i]) @ (w[j] * resid[j]) for i, j in combinations(range(n), 2))
        / np.mean(resid**2)
        for w in draws
    ]
    plain = diagnostics.weighted_cd(resid, n_draws=3, random_state=12)
    assert plain.statistic == pytest.approx(sum(single) / np.sqrt(3), rel=1e-10)
    rng = np.random.default_rng(1)
    dependent = rng.normal(size=(9, 60)) + 0.7 * rng.normal(size=60)
    rho = np.abs(np.corrcoef(dependent)[np.triu_indices(9, 1)])
    threshold = 2 * np.sqrt(np.log(9) / 60)
    assert 0 < (rho > threshold).sum() < 36
    screened = rho[rho > threshold].sum()
    monkeypatch.setattr(crosssection._screening_term, "__defaults__", (4,))
    base = diagnostics.weighted_cd(dependent, random_state=1).statistic
    plus = diagnostics.weighted_cd(dependent, random_state=1, power_enhanced=True).statistic
    assert plus - base == pytest.approx(screened, rel=1e-10)


def rejections(draw, tests, reps, seed):
    rng = np.random.default_rng(seed)
    return np.mean([[test(*draw(rng)).pvalue < 0.05 for test in tests] for _ in range(reps)], axis=0)


def factor_residuals(rng, n, t, true, fitted, mean=0.5, time=False):
    errors = rng.normal(size=(n, t)) * np.sqrt(rng.uniform(0.5, 1.5, size=(n, 1)))
    y = (rng.normal(size=(n, true)) + mean) @ rng.normal(size=(true, t)) + errors
    return principal(demean(y, True, time), fitted)


def within_band(rate, reps, level=0.05):
    """Four binomial standard errors, and two points for what is asymptotic."""
    return abs(rate - level) < 4 * np.sqrt(level * (1 - level) / reps) + 0.02


def test_after_factors_cd_is_degenerate_and_cd_star_and_cdw_hold_their_size():
    rng, reps = np.random.default_rng(31), 60
    out = []
    for _ in range(reps):
        f, lam, e = factor_residuals(rng, 80, 60, 2, 2, mean=1.0)
        out.append(
            [
                diagnostics.pesaran_cd(e).pvalue,
                diagnostics.pesaran_xie_cd(e, lam).pvalue,
                diagnostics.weighted_cd(e, random_state=rng).pvalue,
                diagnostics.born_breitung(e, 1, f).pvalue,
                diagnostics.panel_durbin_watson(e, f).pvalue,
            ]
        )
    rates = np.mean(np.array(out) < 0.05, axis=0)
    assert rates[0] > 0.7
    for rate in rates[1:]:
        assert within_band(rate, reps)


def test_too_few_factors_are_found():
    rng, out = np.random.default_rng(8), []
    for _ in range(40):
        _, lam, e = factor_residuals(rng, 80, 60, 4, 1)
        star = diagnostics.pesaran_xie_cd(e, lam).pvalue
        plus = diagnostics.weighted_cd(e, power_enhanced=True, random_state=rng).pvalue
        out.append([star, plus])
    rates = np.mean(np.array(out) < 0.05, axis=0)
    assert rates[0] > 0.5
    assert rates[1] > 0.9


@pytest.mark.parametrize(("t", "effects"), [(6, True), (25, True), (25, False)])
def test_serial_tests_hold_their_size_without_factors(t, effects):
    rng, reps, out = np.random.default_rng(t), 300, []
    for _ in range(reps):
        e = rng.chisquare(4, size=(80, t)) - 4
        e = demean(e * np.sqrt(rng.uniform(0.3, 2, size=(80, 1))), effects, False)
        tests = (
            diagnostics.panel_durbin_watson(e),
            diagnostics.born_breitung(e),
            diagnostics.wooldridge_ar1(e),
        )
        out.append([test.pvalue for test in tests])
    for rate in np.mean(np.array(out) < 0.05, axis=0):
        assert within_band(rate, reps)


def test_serial_correlation_is_found_after_factors():
    rng, found = np.random.default_rng(3), []
    for _ in range(20):
        u = rng.normal(size=(50, 31))
        y = u[:, 1:] + 0.3 * u[:, :-1] + rng.normal(size=(50, 2)) @ rng.normal(size=(2, 30))
        f, _, e = principal(demean(y, True, False), 2)
        found.append([diagnostics.born_breitung(e, 1, f).pvalue, diagnostics.panel_durbin_watson(e, f).pvalue])
    assert (np.array(found) < 0.05).mean() > 0.95


def test_the_set_picks_the_cross_section_test_that_is_valid():
    rng = np.random.default_rng(5)
    f, lam, e = factor_residuals(rng, 60, 40, 2, 2)
    assert [r.name for r in diagnostics.residual_diagnostics(e, f, lam)] == [
        "Mean",
        "Skewness",
        "Kurtosis",
        "Jarque-Bera",
        "Panel Durbin-Watson",
        "Born-Breitung Q(1)",
        "Pesaran-Xie CD*",
    ]
    assert diagnostics.residual_diagnostics(rng.normal(size=(60, 40)))[-1].name == "Pesaran CD"
    two_way = demean(rng.normal(size=(60, 40)), True, True)
    assert diagnostics.residual_diagnostics(two_way)[-1].name == "Juodis-Reese CDw"
    f, lam, e = factor_residuals(rng, 60, 40, 1, 1, time=True)
    assert diagnostics.residual_diagnostics(e, f, lam)[-1].name == "Juodis-Reese CDw"


def test_frames_give_what_arrays_give():
    f, lam, e = factor_residuals(np.random.default_rng(6), 9, 12, 1, 1)
    units, years = [f"u{i}" for i in range(9)], range(1990, 2002)
    index = pd.MultiIndex.from_product([units, years], names=["unit", "year"])
    series = pd.Series(e.ravel(), index=index, name="resid").sample(frac=1, random_state=0)
    factors = pd.DataFrame(f, index=pd.Index(years)).iloc[::-1]
    loadings = pd.DataFrame(lam, index=units).sample(frac=1, random_state=1)
    from_frames = diagnostics.residual_diagnostics(series, factors, loadings)
    for got, expected in zip(from_frames, diagnostics.residual_diagnostics(e, f, lam), strict=True):
        assert got.name == expected.name
        assert got.statistic == pytest.approx(expected.statistic, rel=1e-8)
    star = diagnostics.pesaran_xie_cd(series.to_frame(), loadings)
    assert star.statistic == pytest.approx(diagnostics.pesaran_xie_cd(e, lam).statistic, rel=1e-8)
    assert diagnostics.wooldridge_ar1(series).statistic == pytest.approx(diagnostics.wooldridge_ar1(e).statistic)
    holed = np.where(np.arange(e.size).reshape(e.shape) == units.index(series.index[0][0]) * 12
                     + series.index[0][1] - 1990, np.nan, e)  # fmt: skip
    assert diagnostics.pesaran_cd(series.iloc[1:]).statistic == pytest.approx(diagnostics.pesaran_cd(holed).statistic)
    with pytest.raises(DataError, match="twice"):
        diagnostics.pesaran_cd(pd.concat([series, series.iloc[:1]]))
    with pytest.raises(DataError, match="1 level"):
        diagnostics.pesaran_cd(series.droplevel("unit"))
    with pytest.raises(DataError, match="2 columns"):
        diagnostics.pesaran_cd(pd.DataFrame({"a": series, "b": series}))


def test_bad_input_is_named(resid):
    with pytest.raises(DataError, match="shape"):
        diagnostics.pesaran_cd(resid[0])
    with pytest.raises(DataError, match="don't vary"):
        diagnostics.pesaran_cd(np.vstack([resid, np.zeros(11)]))
    with pytest.raises(DataError, match="Only one of"):
        diagnostics.residual_diagnostics(resid, np.ones((11, 1)))
    with pytest.raises(SpecificationError, match="lags is 0"):
        diagnostics.born_breitung(resid, 0)
    with pytest.raises(SpecificationError, match="n_draws"):
        diagnostics.weighted_cd(resid, n_draws=0)
    with pytest.raises(SpecificationError, match="0/0"):
        diagnostics.pesaran_xie_cd(resid, 1 / np.sqrt((resid**2).mean(axis=1)))


def test_the_same_seed_gives_the_same_weights(resid):
    assert diagnostics.weighted_cd(resid) == diagnostics.weighted_cd(resid)
    assert diagnostics.weighted_cd(resid, random_state=1) != diagnostics.weighted_cd(resid, random_state=2)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "t"), [(50, 50), (100, 50), (46, 30), (50, 100), (200, 30)])
@pytest.mark.parametrize("mean", [0.5, 2.0])
def test_size_of_the_default_cross_section_test(n, t, mean):
    rng, reps, out = np.random.default_rng(n + t), 1000, []
    for _ in range(reps):
        f, lam, e = factor_residuals(rng, n, t, 2, 2, mean=mean)
        out.append(diagnostics.residual_diagnostics(e, f, lam, random_state=rng)[-1].pvalue)
    assert within_band(np.mean(np.array(out) < 0.05), reps)
