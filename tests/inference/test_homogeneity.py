"""Slope homogeneity tests: dense formulas, and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel import diagnostics
from gifepanel.exceptions import DataError
from gifepanel.inference import homogeneity
from tests.reference.ife_numpy import dense_annihilator
from tests.reference.on_cells import heterogeneous_on_cells


def heterogeneous_factor_fit(y, x, r, rounds=300):
    """Entity-wise slopes and common factors in turn, started from entity-wise least squares."""
    t = y.shape[1]
    xt = x.transpose(0, 2, 1)
    b = np.linalg.solve(xt @ x, xt @ y[:, :, None])
    for _ in range(rounds):
        rest = y - (x @ b)[:, :, 0]
        q = np.linalg.svd(rest, full_matrices=False)[2][:r].T
        zt = (x - q @ (q.T @ x)).transpose(0, 2, 1)
        new = np.linalg.solve(zt @ x, zt @ y[:, :, None])
        moved, b = np.abs(new - b).max(), new
        if moved < 1e-9:
            break
    rest = y - (x @ b)[:, :, 0]
    f = q * np.sqrt(t)
    lam = rest @ f / t
    return b[:, :, 0], f, lam, rest - lam @ f.T


def simulate(rng, n, t, r, spread):
    lam, f = rng.normal(size=(n, r)) + 0.5, rng.normal(size=(t, r))
    x = rng.normal(size=(n, t, 2)) + 0.5 * (lam @ f.T)[:, :, None]
    slopes = 1 + spread * rng.normal(size=(n, 1, 2))
    return (x * slopes).sum(axis=2) + lam @ f.T + rng.normal(size=(n, t)), x


def test_pesaran_yamagata_step_by_step():
    y, x = simulate(np.random.default_rng(1), 8, 12, 0, 0.3)
    m = dense_annihilator(np.ones((12, 1)))
    top = sum(x[i].T @ m @ y[i] for i in range(8))
    pooled = np.linalg.solve(sum(x[i].T @ m @ x[i] for i in range(8)), top)
    s2 = [(y[i] - x[i] @ pooled) @ m @ (y[i] - x[i] @ pooled) / 11 for i in range(8)]
    grams = [x[i].T @ m @ x[i] / s2[i] for i in range(8)]
    weighted = np.linalg.solve(sum(grams), sum(x[i].T @ m @ y[i] / s2[i] for i in range(8)))
    own = [np.linalg.solve(x[i].T @ m @ x[i], x[i].T @ m @ y[i]) for i in range(8)]
    dispersion = sum((own[i] - weighted) @ grams[i] @ (own[i] - weighted) for i in range(8))
    delta = np.sqrt(8) * (dispersion / 8 - 2) / np.sqrt(4)
    assert diagnostics.pesaran_yamagata(y, x, adjusted=False).statistic == pytest.approx(delta, rel=1e-10)
    adjusted = delta * np.sqrt(13 / 9)
    assert diagnostics.slope_homogeneity(y, x).statistic == pytest.approx(adjusted, rel=1e-10)


def test_ando_bai_with_dense_blocks():
    n, t, p, r = 7, 15, 2, 2
    y, x = simulate(np.random.default_rng(2), n, t, r, 0.2)
    b, f, lam, e = heterogeneous_factor_fit(y, x, r, rounds=20)
    m = dense_annihilator(f)
    sigma2 = (e**2).sum() / (n * t - n * p - r * (n + t - r))
    inner = np.linalg.inv(lam.T @ lam / n)
    s, big_l, omega = np.zeros((n * p, n * p)), np.zeros((n * p, n * p)), np.zeros((n * p, n * p))
    for i in range(n):
        rows = slice(i * p, i * p + p)
        s[rows, rows] = x[i].T @ m @ x[i] / t
        omega[rows, rows] = sigma2 * s[rows, rows]
        for j in range(n):
            big_l[rows, j * p : j * p + p] = lam[i] @ inner @ lam[j] * x[i].T @ m @ x[j] / t
    gap, a = (b - b.mean(axis=0)).ravel(), s - big_l / n
    gamma = t * gap @ a @ np.linalg.solve(omega, a.T @ gap)
    res = diagnostics.slope_homogeneity(y, x, unit_params=b, resid=e, factors=f, loadings=lam)
    assert res.statistic == pytest.approx((gamma - n * p) / np.sqrt(2 * n * p), rel=1e-9)


def test_size_and_power():
    rng = np.random.default_rng(3)
    rates = {}
    for spread in (0.0, 0.2):
        plain, under_factors = [], []
        for _ in range(60):
            plain.append(diagnostics.pesaran_yamagata(*simulate(rng, 50, 25, 0, spread)).pvalue)
            y, x = simulate(rng, 40, 40, 1, spread)
            b, f, lam, e = heterogeneous_factor_fit(y, x, 1)
            under_factors.append(diagnostics.ando_bai(x, b, e, f, lam).pvalue)
        rates[spread] = np.mean(np.array([plain, under_factors]) < 0.05, axis=1)
    assert (rates[0.0] < 0.17).all()
    assert (rates[0.2] > 0.9).all()


def test_bad_input():
    y, x = simulate(np.random.default_rng(1), 5, 4, 0, 0.0)
    with pytest.raises(DataError, match="4 periods for 2 slopes"):
        diagnostics.pesaran_yamagata(y, x)
    with pytest.raises(DataError, match="shape"):
        diagnostics.pesaran_yamagata(y.T, x)
    with pytest.raises(DataError, match="all four"):
        diagnostics.slope_homogeneity(y, x, resid=y)


# ---- panels with holes ----


def with_holes(rng, n, t, r, spread, late=False):
    """A panel of `simulate` with a fifth of the cells missing; with `late`, half of the entities enter late besides."""
    y, x = simulate(rng, n, t, r, spread)
    observed = rng.uniform(size=(n, t)) > 0.2
    if late:
        start = np.where(rng.uniform(size=n) < 0.5, rng.integers(0, t // 3, size=n), 0)
        observed &= np.arange(t) >= start[:, None]
    return np.where(observed, y, np.nan), x, observed


def test_pesaran_yamagata_with_periods_of_each_entity():
    y, x, observed = with_holes(np.random.default_rng(1), 8, 14, 0, 0.3)
    x[0, np.flatnonzero(observed[0])[0], 1] = np.nan  # a missing regressor is a hole as well
    observed[0, np.flatnonzero(observed[0])[0]] = False
    cells = [(y[i, s], x[i, s], dense_annihilator(np.ones((s.sum(), 1)))) for i, s in enumerate(observed)]
    grams = [z.T @ m @ z for _, z, m in cells]
    crosses = [z.T @ m @ v for v, z, m in cells]
    pooled = np.linalg.solve(sum(grams), sum(crosses))
    s2 = [(v - z @ pooled) @ m @ (v - z @ pooled) / (len(v) - 1) for v, z, m in cells]
    weighted = np.linalg.solve(
        sum(g / s for g, s in zip(grams, s2, strict=True)), sum(c / s for c, s in zip(crosses, s2, strict=True))
    )
    delta = plain = 0.0
    for (v, _, _), g, c, s in zip(cells, grams, crosses, s2, strict=True):
        gap, t = np.linalg.solve(g, c) - weighted, len(v)
        term = gap @ g @ gap / s - 2
        delta, plain = delta + term / np.sqrt(4 * (t - 3) / (t + 1)) / np.sqrt(8), plain + term / 2 / np.sqrt(8)
    assert diagnostics.slope_homogeneity(y, x).statistic == pytest.approx(delta, rel=1e-10)
    assert diagnostics.pesaran_yamagata(y, x, adjusted=False).statistic == pytest.approx(plain, rel=1e-10)


def test_ando_bai_with_the_dense_tangent_space():
    """Products of regressors with X_i b_i less all that factors and loadings can take up, by one large regression."""
    y, x, observed = with_holes(np.random.default_rng(2), 9, 15, 2, 0.2)
    b, f, lam, e = heterogeneous_on_cells(y, x, 2, rounds=20)
    n, t, p = x.shape
    who, when = np.nonzero(observed)
    space = np.zeros((len(who), 2 * (n + t)))
    for k, (i, s) in enumerate(zip(who, when, strict=True)):
        space[k, 2 * i : 2 * i + 2] = f[s]
        space[k, 2 * (n + s) : 2 * (n + s) + 2] = lam[i]
    gap = b - b.mean(axis=0)
    fitted = np.einsum("kp,kp->k", x[who, when], gap[who])
    left = fitted - space @ np.linalg.lstsq(space, fitted, rcond=None)[0]
    gamma = 0.0
    for i in range(n):
        own = who == i
        z = dense_annihilator(f[when[own]]) @ x[i, when[own]]
        score = z.T @ left[own]
        gamma += score @ np.linalg.solve(z.T @ z, score)
    sigma2 = np.nansum(e**2) / (len(who) - n * p - 2 * (n + t - 2))
    expected = (gamma / sigma2 - n * p) / np.sqrt(2 * n * p)
    res = diagnostics.slope_homogeneity(y, x, unit_params=b, resid=e, factors=f, loadings=lam)
    assert res.statistic == pytest.approx(expected, rel=1e-8)
    y, x = simulate(np.random.default_rng(2), n, t, 2, 0.2)
    b, f, lam, e = heterogeneous_factor_fit(y, x, 2, rounds=20)
    whole = diagnostics.ando_bai(x, b, e, f, lam).statistic
    holed = homogeneity._OffFactors(np.linalg.qr(f)[0], np.ones((n, t), dtype=bool))
    z = x - np.einsum("ts,isp->itp", f @ f.T / t, x)
    fitted = np.einsum("itp,ip->it", z, b - b.mean(axis=0))
    assert np.allclose(holed(x), z, atol=1e-12)
    shared = lam @ np.linalg.solve(lam.T @ lam, lam.T @ fitted)
    assert np.allclose(holed.along_loadings(fitted, lam), shared, atol=1e-10)
    assert np.isfinite(whole)


def test_slopes_that_differ_are_found_through_holes_and_short_entities_named():
    rng = np.random.default_rng(3)
    y, x, _ = with_holes(rng, 40, 25, 0, 0.3)
    assert diagnostics.pesaran_yamagata(y, x).pvalue < 0.01
    y[[3, 7], 4:] = np.nan
    with pytest.raises(DataError, match="2 of 40 entities have") as caught:
        diagnostics.pesaran_yamagata(y, x)
    scope = {"y": y, "x": x}
    exec(str(caught.value.fix), scope)
    assert diagnostics.pesaran_yamagata(scope["y"], scope["x"]).pvalue < 0.01
    with pytest.raises(DataError, match="infinite"):
        diagnostics.pesaran_yamagata(np.where(np.isnan(y), np.inf, y), x)


# Share of 200 draws in which Pesaran-Yamagata rejects at 5 %, slopes alike, 80 x 25; a fifth of the cells missing at
# random, and late entry of half of the entities besides.
SIZES = {False: 0.03, True: 0.035}


def rejected_plain(late):
    rng = np.random.default_rng(11 + late)
    return np.mean(
        [diagnostics.pesaran_yamagata(*with_holes(rng, 80, 25, 0, 0.0, late)[:2]).pvalue < 0.05 for _ in range(200)]
    )


def rejected_under_factors(late):
    rng, out = np.random.default_rng(21 + late), []
    for _ in range(200):
        y, x, _ = with_holes(rng, 60, 60, 1, 0.0, late)
        b, f, lam, e = heterogeneous_on_cells(y, x, 1, tol=1e-9)
        out.append(diagnostics.ando_bai(x, b, e, f, lam).pvalue < 0.05)
    return np.mean(out)


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True])
def test_sizes_with_holes(late):
    assert rejected_plain(late) == pytest.approx(SIZES[late], abs=0.02)
