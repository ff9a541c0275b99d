"""Residual tests on panels with holes: loops over entities, periods and pairs, other packages, simulation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm

from gifepanel import diagnostics
from gifepanel.exceptions import DataError
from gifepanel.inference.residuals import Residuals, check_residuals, has_entity_effects, has_time_effects
from tests.reference.ife_numpy import dense_annihilator
from tests.reference.on_cells import als_on_cells, demeaned_on_cells

N, T = 12, 14


def panel_of_holes(seed=2):
    """A fifth missing at random, late entry, an early exit, two cells of one entity, a period nobody observes."""
    rng = np.random.default_rng(seed)
    observed = rng.uniform(size=(N, T)) > 0.2
    observed[3, :6], observed[4, 9:] = False, False
    observed[5] = False
    observed[5, [2, 8]] = True
    observed[:, 7] = False
    return observed


@pytest.fixture(scope="module")
def holed():
    e = np.random.default_rng(4).gamma(2.0, size=(N, T)) - 1.9
    return np.where(panel_of_holes(), e * np.linspace(0.5, 1.5, N)[:, None], np.nan)


@pytest.fixture(scope="module")
def span():
    """Factors and loadings that the residuals are taken to come after."""
    rng = np.random.default_rng(9)
    return rng.normal(size=(T, 2)), rng.normal(size=(N, 2))


def test_moments_count_observed_cells(holed):
    flat = holed[~np.isnan(holed)]
    mean, skew, kurt, jb = diagnostics.residual_moments(holed)
    assert mean.statistic == pytest.approx(flat.mean(), rel=1e-12)
    assert mean.pvalue == pytest.approx(scipy.stats.ttest_1samp(flat, 0).pvalue, rel=1e-10)
    assert skew.statistic == pytest.approx(scipy.stats.skew(flat), rel=1e-12)
    assert kurt.distribution == f"N(3, 24/{flat.size})"
    assert jb.statistic == pytest.approx(scipy.stats.jarque_bera(flat).statistic, rel=1e-10)


def annihilators(holed, basis):
    """M_i on the whole calendar, zero in rows and columns of holes."""
    out = []
    for row in holed:
        seen = np.flatnonzero(~np.isnan(row))
        m = np.zeros((T, T))
        m[np.ix_(seen, seen)] = dense_annihilator(basis[seen])
        out.append(m)
    return out


def studentised(g):
    total = g.sum(axis=0)
    return total @ np.linalg.solve(g.T @ g - np.outer(total, total) / len(g), total)


@pytest.mark.parametrize("effects", [False, True])
def test_durbin_watson_is_that_of_xtregar(holed, span, effects):
    """d_1 of Baltagi & Wu (1999, eq. 16), entity by entity and cell by cell."""
    f = span[0]
    above, below, deviations, expected = 0.0, 0.0, [], []
    hats = annihilators(holed, np.column_stack([f, np.ones(T)]) if effects else f)
    for row, m in zip(holed, hats, strict=True):
        seen = np.flatnonzero(~np.isnan(row))
        d = np.zeros((len(seen) - 1, T))
        for k, t in enumerate(seen[1:]):
            d[k, t] = 1
            if seen[k] == t - 1:
                d[k, t - 1] = -1
        steps, squares = np.sum((d @ np.nan_to_num(row)) ** 2), np.nansum(row**2)
        share = np.trace(m @ d.T @ d) / np.trace(m) if np.trace(m) > 1e-9 else 0.0
        above, below = above + steps, below + squares
        deviations.append(steps - share * squares)
        expected.append(share * squares)
    res = diagnostics.panel_durbin_watson(holed, f, entity_effects=effects)
    assert res.statistic == pytest.approx(above / below, rel=1e-12)
    assert f"Expected under H0: {sum(expected) / below:.3f};" in res.note
    z = np.sqrt(studentised(np.array(deviations)[:, None]))
    assert res.pvalue == pytest.approx(2 * scipy.stats.norm.sf(z), rel=1e-9)


@pytest.mark.parametrize("effects", [False, True])
def test_born_breitung_pairs_nothing_across_a_hole(holed, span, effects):
    f, g = span[0], []
    hats = annihilators(holed, np.column_stack([f, np.ones(T)]) if effects else f)
    for row, m in zip(holed, hats, strict=True):
        e, seen = np.nan_to_num(row), ~np.isnan(row)
        each = []
        for k in (1, 2):
            shift = np.diag((seen[k:] & seen[:-k]).astype(float), -k)
            c = np.trace(m @ shift) / np.trace(m) if np.trace(m) > 1e-9 else 0.0
            each.append(e @ shift @ e - c * (e @ e))
        g.append(each)
    res = diagnostics.born_breitung(holed, 2, f, entity_effects=effects)
    g = np.array(g)
    assert res.statistic == pytest.approx(studentised(g), rel=1e-9)
    # Hotelling's test of a mean of zero, from the sample covariance
    squared = N * g.mean(axis=0) @ np.linalg.solve(np.cov(g.T), g.mean(axis=0))
    assert res.pvalue == pytest.approx(scipy.stats.f.sf(squared * (N - 2) / (2 * (N - 1)), 2, N - 2), rel=1e-9)
    assert res.df == (2.0, N - 2.0)


def test_born_breitung_after_entity_effects_has_their_correction(holed):
    """-n_ik / (T_i (T_i - 1)), which is -(T-k) / (T (T-1)) in a panel without holes; effects are recognised."""
    e = holed - np.nanmean(holed, axis=1, keepdims=True)
    g = []
    for row in e:
        pairs = row[1:] * row[:-1]
        t, n = np.isfinite(row).sum(), np.isfinite(pairs).sum()
        g.append([np.nansum(pairs) + n / (t * (t - 1)) * np.nansum(row**2)])
    assert diagnostics.born_breitung(e).statistic == pytest.approx(studentised(np.array(g)), rel=1e-10)


def test_wooldridge_is_a_clustered_wald_test_on_rows_in_a_row(holed):
    d = np.diff(holed, axis=1)
    units = np.repeat(np.arange(N), T - 2)
    y, x = d[:, 1:].ravel(), d[:, :-1].ravel()
    use = np.isfinite(y) & np.isfinite(x)
    fit = sm.OLS(y[use], x[use]).fit(cov_type="cluster", cov_kwds={"groups": units[use]})
    res = diagnostics.wooldridge_ar1(holed)
    assert res.df == (1.0, np.unique(units[use]).size - 1.0)
    clusters, cells = np.unique(units[use]).size, use.sum()
    ours = (fit.params[0] + 0.5) ** 2 / (fit.bse[0] ** 2 / (clusters / (clusters - 1)) * clusters / (clusters - 1))
    assert cells > 20
    assert res.statistic == pytest.approx(ours, rel=1e-10)


def correlations(holed, least=3):
    for i, j in combinations(range(N), 2):
        both = ~np.isnan(holed[i]) & ~np.isnan(holed[j])
        if both.sum() >= least:
            yield both.sum(), np.corrcoef(holed[i, both], holed[j, both])[0, 1]


def test_cd_is_the_sum_over_pairs_of_common_periods(holed, monkeypatch):
    pairs = list(correlations(holed))
    reference = sum(np.sqrt(common) * rho for common, rho in pairs) / np.sqrt(len(pairs))
    res = diagnostics.pesaran_cd(holed)
    assert res.statistic == pytest.approx(reference, rel=1e-10)
    assert f"{N * (N - 1) // 2 - len(pairs)} of {N * (N - 1) // 2} pairs" in res.note
    monkeypatch.setattr("gifepanel.inference.crosssection._BLOCK", 5)
    assert diagnostics.pesaran_cd(holed).statistic == pytest.approx(reference, rel=1e-10)


def test_cd_is_that_of_linearmodels():
    panel = pytest.importorskip("linearmodels.panel")
    rng = np.random.default_rng(3)
    index = pd.MultiIndex.from_product([range(15), range(20)], names=["i", "t"])
    data = pd.DataFrame({"y": rng.normal(size=300), "x": rng.normal(size=300)}, index=index)
    res = panel.PanelOLS.from_formula("y ~ x + EntityEffects", data[rng.uniform(size=300) > 0.25]).fit()
    ours = diagnostics.pesaran_cd(res.resids)
    if not hasattr(res, "pesaran_cd"):  # older than 7
        pytest.skip("no CD test in this version")
    assert ours.statistic == pytest.approx(float(res.pesaran_cd.stat), rel=1e-8)


def test_cd_star_period_by_period(holed, span):
    lam, observed = span[1], ~np.isnan(holed)
    counts = observed.sum(axis=0)
    sigma = np.sqrt(np.nanmean(holed**2, axis=1))
    centred = np.nan_to_num(holed - np.nanmean(holed, axis=1, keepdims=True))
    scaled = centred / np.sqrt((centred**2).sum(axis=1) / observed.sum(axis=1))[:, None]
    scaled[observed.sum(axis=1) < 3] = 0.0
    total, left = 0.0, np.zeros(T)
    for t in range(T):
        seen = np.flatnonzero(observed[:, t])
        if not seen.size:
            continue
        total += sum(scaled[i, t] * scaled[j, t] for i, j in combinations(seen, 2))
        m = dense_annihilator(lam[seen])
        left[t] = np.mean((sigma[seen] * (m @ (1 / sigma[seen]))) ** 2)
    w = total / np.sqrt((counts * (counts - 1)).sum() / 2)
    share = np.sqrt((counts**2 * left**2).sum() / (counts**2).sum())
    shift = (counts * (1 - left)).sum() / np.sqrt(2 * (counts**2).sum())
    res = diagnostics.pesaran_xie_cd(holed, lam)
    assert res.statistic == pytest.approx((w + shift) / share, rel=1e-9)
    assert f"1 - theta = {share:.3f}" in res.note


def test_cdw_is_the_weighted_sum_over_pairs(holed):
    observed = ~np.isnan(holed)
    draws = np.random.default_rng(12).integers(0, 2, size=(3, N)) * 2 - 1
    variances, e = np.nanmean(holed**2, axis=1), np.nan_to_num(holed)
    spread = sum((1 - 1 / seen.sum()) * variances[seen].sum() ** 2 / 2 for seen in observed.T if seen.any())
    single = [sum((w[i] * e[i]) @ (w[j] * e[j]) for i, j in combinations(range(N), 2)) for w in draws]
    plain = diagnostics.weighted_cd(holed, n_draws=3, random_state=12)
    assert plain.statistic == pytest.approx(sum(single) / np.sqrt(3 * spread), rel=1e-10)
    screened = sum(abs(r) for common, r in correlations(holed) if abs(r) > 2 * np.sqrt(np.log(N) / common))
    plus = diagnostics.weighted_cd(holed, n_draws=3, power_enhanced=True, random_state=12)
    assert plus.statistic - plain.statistic == pytest.approx(screened, rel=1e-9)


def test_formulas_for_holes_are_the_old_ones_where_there_are_none(span):
    """The way of panels with holes, all cells observed, against the way of complete panels."""
    f, lam = span
    e = np.random.default_rng(1).normal(size=(N, T)) * np.linspace(0.5, 1.5, N)[:, None]
    for values in (e, e - e.mean(axis=1, keepdims=True)):
        holes = Residuals(values, np.ones((N, T), dtype=bool))
        for test in (
            lambda r: diagnostics._serial.panel_durbin_watson(r, f),
            lambda r: diagnostics._serial.born_breitung(r, 3, f),
            diagnostics._serial.wooldridge_ar1,
            diagnostics._cross.pesaran_cd,
            lambda r: diagnostics._cross.pesaran_xie_cd(r, lam),
            lambda r: diagnostics._cross.weighted_cd(r, power_enhanced=True),
        ):
            one, other = test(holes), test(values)
            assert one.statistic == pytest.approx(other.statistic, rel=1e-10)
            assert (one.note, one.df, one.name) == (other.note, other.df, other.name)


def test_effects_are_recognised_with_holes(holed):
    alone = demeaned_on_cells(holed, True, False)
    both = demeaned_on_cells(holed, True, True)
    found = [(has_entity_effects(r), has_time_effects(r)) for r in map(check_residuals, (holed, alone, both))]
    assert found == [(False, False), (True, False), (True, True)]
    assert diagnostics.residual_diagnostics(both)[-1].name.startswith(("Juodis", "Pesaran-Xie"))


def test_frames_with_missing_rows_are_arrays_with_nan(holed, span):
    f, lam = span
    units, years = [f"u{i:02d}" for i in range(N)], range(1990, 1990 + T)
    index = pd.MultiIndex.from_product([units, years], names=["unit", "year"])
    full = pd.Series(holed.ravel(), index=index)
    factors, loadings = pd.DataFrame(f, index=pd.Index(years)), pd.DataFrame(lam, index=units)
    kept = ~np.isnan(holed).all(axis=0)  # 1997 has no row at all in the second: nobody knows of it
    for given, cells in ((full, holed), (full.dropna().sample(frac=1, random_state=0), holed[:, kept])):
        expected = diagnostics.residual_diagnostics(cells, f if cells is holed else f[kept], lam)
        got = diagnostics.residual_diagnostics(given, factors, loadings)
        assert [t.name for t in got] == [t.name for t in expected]
        for one, other in zip(got, expected, strict=True):
            assert one.statistic == pytest.approx(other.statistic, rel=1e-8)
    nobody = pd.concat([full, pd.Series(np.nan, index=pd.MultiIndex.from_product([["a"], years]))])
    assert diagnostics.pesaran_cd(nobody).statistic == pytest.approx(diagnostics.pesaran_cd(holed).statistic)
    with_a = np.vstack([np.ones(2), lam])
    star = diagnostics.pesaran_xie_cd(holed, lam).statistic
    assert diagnostics.pesaran_xie_cd(nobody, with_a).statistic == pytest.approx(star)


def test_what_holes_leave_no_room_for():
    rng = np.random.default_rng(0)
    every_other = rng.normal(size=(8, 12))
    every_other[:, 1::2] = np.nan
    with pytest.raises(DataError, match="Fewer than two entities have residuals one period apart") as caught:
        diagnostics.born_breitung(every_other)
    scope = {"resid": every_other}
    exec(str(caught.value.fix), scope)
    assert diagnostics.born_breitung(scope["resid"]).df[0] == 1
    with pytest.raises(DataError, match="three consecutive periods"):
        diagnostics.wooldridge_ar1(every_other)
    names = [test.name for test in diagnostics.residual_diagnostics(every_other)]
    assert names == ["Mean", "Skewness", "Kurtosis", "Jarque-Bera", "Pesaran CD"]
    apart = np.full((4, 12), np.nan)
    for i in range(4):
        apart[i, 3 * i : 3 * i + 3] = rng.normal(size=3)
    with pytest.raises(DataError, match="No two entities share 3 periods"):
        diagnostics.pesaran_cd(apart)
    assert diagnostics.residual_diagnostics(apart)[-1].name == "Born-Breitung Q(1)"
    with pytest.raises(DataError, match="1 entities have no residual") as caught:
        diagnostics.pesaran_cd(np.vstack([every_other, np.full(12, np.nan)]))
    scope = {"resid": np.vstack([every_other, np.full(12, np.nan)]), "np": np}
    exec(str(caught.value.fix), scope)
    assert diagnostics.pesaran_cd(scope["resid"]) == diagnostics.pesaran_cd(every_other)
    with pytest.raises(DataError, match="infinite"):
        diagnostics.pesaran_cd(np.where(np.isnan(every_other), np.inf, every_other))


# ---- size and power ----


def missing(rng, n, t, kind):
    """A fifth at random; or that and late entry of half of the entities."""
    observed = rng.uniform(size=(n, t)) > 0.2
    if kind == "staggered":
        start = np.where(rng.uniform(size=n) < 0.5, rng.integers(0, t // 2, size=n), 0)
        observed &= np.arange(t) >= start[:, None]
    return observed


def p_values_without_factors(rng, kind, n=80, t=25, persistence=0.0, common=0.0, by="entity"):
    u = rng.chisquare(4, size=(n, t + 10)) - 4
    for s in range(1, t + 10):
        u[:, s] += persistence * u[:, s - 1]
    e = u[:, 10:] * np.sqrt(rng.uniform(0.3, 2, size=(n, 1))) + common * rng.normal(size=t) * 2
    e = demeaned_on_cells(np.where(missing(rng, n, t, kind), e, np.nan), True, by == "both")
    tests = [diagnostics.panel_durbin_watson(e), diagnostics.born_breitung(e), diagnostics.born_breitung(e, 3)]
    last = diagnostics.pesaran_cd(e) if by == "entity" else diagnostics.weighted_cd(e, random_state=rng)
    return [test.pvalue for test in (*tests, diagnostics.wooldridge_ar1(e), last)]


def p_values_after_factors(rng, kind, n=80, t=40, fitted=2, persistence=0.0):
    u = rng.normal(size=(n, t + 10))
    for s in range(1, t + 10):
        u[:, s] += persistence * u[:, s - 1]
    u = u[:, 10:] * np.sqrt(rng.uniform(0.5, 1.5, size=(n, 1)))
    y = (rng.normal(size=(n, 2)) + 0.5) @ rng.normal(size=(2, t)) + u
    f, lam, e = als_on_cells(np.where(missing(rng, n, t, kind), y, np.nan), fitted)
    tests = [
        diagnostics.panel_durbin_watson(e, f, entity_effects=False),
        diagnostics.born_breitung(e, 1, f, entity_effects=False),
        diagnostics.pesaran_xie_cd(e, lam),
        diagnostics.weighted_cd(e, random_state=rng),
    ]
    return [test.pvalue for test in tests]


def rejected(draw, reps, seed, **options):
    rng = np.random.default_rng(seed)
    return np.mean(np.array([draw(rng, **options) for _ in range(reps)]) < 0.05, axis=0)


def test_dependence_is_found_through_holes():
    assert (rejected(p_values_without_factors, 6, 1, kind="random", persistence=0.4, common=0.7) == 1).all()
    assert (rejected(p_values_after_factors, 3, 1, kind="random", persistence=0.4)[:2] == 1).all()
    assert rejected(p_values_after_factors, 4, 1, kind="random", fitted=0)[2:].mean() > 0.5


# Share of 200 draws rejected at 5 %. Errors chi-squared, variances .3 to 2 by entity, 80 x 25, effects: DW, Q(1),
# Q(3), Wooldridge, CD (both effects: CDw). Two factors, 80 x 40: DW, Q(1), CD*, CDw.
SIZES = {
    ("random", "entity"): [0.11, 0.10, 0.11, 0.11, 0.095],  # high: .064 .051 .056 .046 .049 in 390 draws of other seeds
    ("random", "both"): [0.07, 0.045, 0.07, 0.05, 0.06],
    ("random", "factors"): [0.075, 0.07, 0.07, 0.05],
    ("staggered", "entity"): [0.07, 0.045, 0.065, 0.06, 0.07],
    ("staggered", "both"): [0.055, 0.08, 0.11, 0.05, 0.06],
    ("staggered", "factors"): [0.055, 0.035, 0.06, 0.075],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "staggered"])
def test_sizes_with_holes(kind):
    found = {
        "entity": rejected(p_values_without_factors, 200, 1, kind=kind),
        "both": rejected(p_values_without_factors, 200, 2, kind=kind, by="both"),
        "factors": rejected(p_values_after_factors, 200, 3, kind=kind),
    }
    for name, rates in found.items():
        assert rates == pytest.approx(SIZES[kind, name], abs=0.02)
        assert (np.abs(rates - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 200) + 0.02).all()
