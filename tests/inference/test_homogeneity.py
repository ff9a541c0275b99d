"""Slope homogeneity tests: dense formulas, and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel import diagnostics
from gifepanel.exceptions import DataError
from tests.reference.ife_numpy import dense_annihilator


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
