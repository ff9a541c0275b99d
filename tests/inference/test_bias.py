"""Bias terms against dense traces, and what they do in dynamic panels."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference import bias_terms, default_bandwidth, factor_covariance, factor_space, project
from tests.reference.ife_numpy import dense_annihilator, fit_ife


def dense_terms(z, e, f, lam, known_f, known_lam, m1, m2):
    """METHODS-style traces with T x T and N x N matrices, straight from Moon & Weidner (2017)."""
    n, t, q = z.shape
    mf = dense_annihilator(np.column_stack([f, known_f]))
    ml = dense_annihilator(np.column_stack([lam, known_lam]))
    gap = np.arange(t)[None] - np.arange(t)[:, None]
    middle = np.linalg.inv(f.T @ f) @ np.linalg.inv(lam.T @ lam)
    w = np.array([[np.trace(mf @ z[:, :, a].T @ ml @ z[:, :, b]) for b in range(q)] for a in range(q)]) / (n * t)
    out = np.empty((3, q))
    for a in range(q):
        za = z[:, :, a]
        out[0, a] = np.trace((np.eye(t) - mf) @ np.where((gap >= 1) & (gap <= m1), e.T @ za, 0))
        out[1, a] = np.trace(np.diag(np.diag(e @ e.T)) @ ml @ za @ f @ middle @ lam.T)
        out[2, a] = np.trace(np.where(np.abs(gap) <= m2, e.T @ e, 0) @ mf @ za.T @ lam @ middle.T @ f.T)
    return np.linalg.solve(w, out.T / (n * t)).T, w


@pytest.mark.parametrize("known", [False, True])
def test_terms_equal_dense_traces(known):
    rng = np.random.default_rng(5)
    n, t, q, r = 12, 10, 3, 2
    z, e = rng.normal(size=(n, t, q)), rng.normal(size=(n, t))
    f, lam = rng.normal(size=(t, r)), rng.normal(size=(n, r))
    known_f = np.ones((t, 1)) if known else np.empty((t, 0))
    known_lam = np.ones((n, 1)) if known else np.empty((n, 0))
    reference, w = dense_terms(z, e, f, lam, known_f, known_lam, 2, 3)
    kwds = {"known_factors": known_f, "known_loadings": known_lam, "m1": 2, "m2": 3}
    res = bias_terms(z, e, f, lam, w, predetermined=True, **kwds)
    np.testing.assert_allclose((res.b1, res.b2, res.b3), reference, rtol=1e-10)
    np.testing.assert_allclose(res.corrected(np.ones(q)), 1 + reference.sum(axis=0), rtol=1e-10)
    rotation = rng.normal(size=(r, r))
    turned = bias_terms(z, e, f @ rotation, lam @ np.linalg.inv(rotation).T, w, predetermined=True, **kwds)
    np.testing.assert_allclose(turned.total, res.total, rtol=1e-8)
    static = bias_terms(z, e, f, lam, w, heteroskedastic=False, **kwds)
    np.testing.assert_array_equal(static.total, np.zeros(q))


def test_bandwidths():
    assert [default_bandwidth(t) for t in (2, 16, 17, 30, 81, 100, 256)] == [2, 2, 3, 3, 3, 4, 4]
    z, e, w = np.ones((4, 5, 1)), np.ones((4, 5)), np.eye(1)
    with pytest.raises(SpecificationError, match="m1 = 5 with 5 periods"):
        bias_terms(z, e, None, None, w, m1=5)
    with pytest.raises(DataError, match="shape"):
        bias_terms(z, e.T, None, None, w)
    with pytest.raises(DataError, match="loadings"):
        bias_terms(z, e, np.ones((5, 1)), None, w)


def simulate_dynamic(rng, n, t, rho, *, factor, effects):
    f, lam = rng.normal(size=t + 50), rng.normal(size=n) * factor
    mu = rng.normal(size=n) * effects
    y = np.zeros((n, t + 50))
    for s in range(1, t + 50):
        y[:, s] = rho * y[:, s - 1] + mu + lam * f[s] + rng.normal(size=n)
    return y[:, 50:], y[:, 49:-1, None]


def nickell(n, t, rho, draws, seed):
    """Mean error of the within estimator before and after B1, and B1 when iota is forgotten."""
    rng, errors = np.random.default_rng(seed), []
    for _ in range(draws):
        y, x = simulate_dynamic(rng, n, t, rho, factor=0.0, effects=1.0)
        y, x = y - y.mean(1, keepdims=True), x - x.mean(1, keepdims=True)
        beta = np.vdot(x, y) / np.vdot(x, x)
        e = y - x[:, :, 0] * beta
        w = factor_covariance(x, e, df_resid=1).bread
        res = bias_terms(x, e, None, None, w, known_factors=np.ones(t), predetermined=True, m1=8)
        without = bias_terms(x, e, None, None, w, predetermined=True, m1=8)
        errors.append((beta - rho, res.corrected([beta])[0] - rho, without.total[0]))
    return np.mean(errors, axis=0)


def test_entity_effects_bias_goes_only_with_iota_in_the_projection():
    """The within bias is Nickell's (1981, eq. 18) before, of smaller order in 1/T after, and stays without
    iota."""
    rho = 0.6
    short, long = nickell(200, 25, rho, 80, 77), nickell(200, 100, rho, 40, 78)
    for raw, t, error in ((short[0], 25, 0.0015), (long[0], 100, 0.001)):
        inner = 1 - (1 - rho**t) / (t * (1 - rho))
        limit = -(1 + rho) / (t - 1) * inner / (1 - 2 * rho / ((1 - rho) * (t - 1)) * inner)
        assert raw == pytest.approx(limit, abs=3 * error)
    left_short, left_long = abs(short[1] / short[0]), abs(long[1] / long[0])
    assert left_short < 0.5
    assert left_long < 0.5 * left_short
    assert short[2] == long[2] == 0


def test_dynamic_panel_with_effects_and_a_factor():
    """AR(1) 0.6, N = 100, T = 30, entity effects and one factor: bias and coverage before and after."""
    rng, n, t, rho = np.random.default_rng(5), 100, 30, 0.6
    iota, errors, covered = np.ones(t), [], []
    for _ in range(40):
        y, x = simulate_dynamic(rng, n, t, rho, factor=1.0, effects=1.0)
        fit = fit_ife(y, x, 1, entity=True, n_starts=1)
        space = factor_space(n, t, factors=fit.factors, loadings=fit.loadings, known_factors=iota)
        cov = factor_covariance(project(fit.x, space), fit.resid, df_resid=space.residual_rank - 1, kind="HC1")
        good = bias_terms(
            fit.x,
            fit.resid,
            fit.factors,
            fit.loadings,
            cov.bread,
            known_factors=iota,
            predetermined=True,
            m1=4,
            m2=0,
        )
        trap = bias_terms(fit.x, fit.resid, fit.factors, fit.loadings, cov.bread, predetermined=True, m1=4, m2=0)
        estimates = np.array([fit.beta[0], trap.corrected(fit.beta)[0], good.corrected(fit.beta)[0]])
        errors.append(estimates - rho)
        covered.append(np.abs(estimates - rho) < 1.96 * cov.bse[0])
    bias, coverage = np.mean(errors, axis=0), np.mean(covered, axis=0)
    assert bias[0] < -0.05
    assert bias[1] < -0.03
    assert abs(bias[2]) < 0.3 * abs(bias[0])
    assert coverage[0] < 0.2
    assert coverage[2] > 0.8
