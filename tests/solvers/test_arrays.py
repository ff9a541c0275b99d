"""Principal components and unit quadratics against dense definitions."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.solvers.arrays import prepare, principal_components, residuals, unit_quadratics
from tests.solvers.panels import annihilator


def span(columns):
    return columns @ np.linalg.pinv(columns)


@pytest.mark.parametrize(("n", "t"), [(30, 12), (12, 30), (15, 15)])
@pytest.mark.parametrize("n_factors", [0, 1, 3])
@pytest.mark.parametrize("time_effects", [False, True])
def test_against_singular_values(n, t, n_factors, time_effects):
    resid = np.random.default_rng(n).standard_normal((n, t)) + 2.0
    centred = resid - resid.mean(axis=0) if time_effects else resid
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    comp = principal_components(resid.copy(), n_factors, time_effects=time_effects)
    assert comp.ssr == pytest.approx((s[n_factors:] ** 2).sum(), rel=1e-12)
    np.testing.assert_allclose(comp.time_effect, resid.mean(axis=0) if time_effects else np.zeros(t), atol=1e-14)
    np.testing.assert_allclose(comp.factors.T @ comp.factors / t, np.eye(n_factors), atol=1e-12)
    fitted = (u[:, :n_factors] * s[:n_factors]) @ vt[:n_factors]
    np.testing.assert_allclose(comp.loadings @ comp.factors.T, fitted, atol=1e-10)
    gram = comp.loadings.T @ comp.loadings
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-9)
    assert (np.diff(np.diag(gram)) <= 0).all()


def test_transposed_panel_gives_the_same_sum_of_squares():
    resid = np.random.default_rng(1).standard_normal((40, 15))
    wide, tall = principal_components(resid.copy(), 3), principal_components(resid.T.copy(), 3)
    assert wide.ssr == pytest.approx(tall.ssr, rel=1e-13)
    np.testing.assert_allclose(span(wide.factors), span(tall.loadings), atol=1e-10)


@pytest.mark.parametrize(("n", "t"), [(30, 12), (12, 30)])
def test_more_factors_than_the_rank(n, t):
    """A residual of rank one, three factors asked for: still orthonormal, nothing left."""
    rng = np.random.default_rng(2)
    resid = np.outer(rng.standard_normal(n), rng.standard_normal(t))
    comp = principal_components(resid.copy(), 3)
    np.testing.assert_allclose(comp.factors.T @ comp.factors / t, np.eye(3), atol=1e-12)
    assert 0.0 <= comp.ssr <= 1e-26 * (resid**2).sum()
    zero = principal_components(np.zeros((n, t)), 2)
    assert zero.ssr == 0.0
    np.testing.assert_allclose(zero.factors.T @ zero.factors / t, np.eye(2), atol=1e-12)


@pytest.mark.parametrize(("n", "t"), [(30, 12), (12, 30)])
def test_a_factor_a_billion_times_the_noise(n, t):
    """A difference of eigenvalues has lost its digits there; the sum of squares must not have."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((n, t))
    lam, f = rng.standard_normal((n, 1)), rng.standard_normal((t, 1))
    resid = 1e7 * lam @ f.T + noise
    comp = principal_components(resid.copy(), 1)
    expected = np.linalg.norm(annihilator(lam) @ noise @ annihilator(f)) ** 2
    assert comp.ssr == pytest.approx(expected, rel=1e-6)
    s = np.linalg.svd(resid, compute_uv=False)
    assert comp.ssr == pytest.approx((s[1:] ** 2).sum(), rel=1e-6)


@pytest.mark.parametrize("time_effects", [False, True])
@pytest.mark.parametrize("n_factors", [0, 2])
def test_unit_quadratics_are_the_projected_sums_of_squares(n_factors, time_effects):
    rng = np.random.default_rng(4)
    n, t, p = 8, 11, 2
    y, x, b = rng.standard_normal((n, t)), rng.standard_normal((n, t, p)), rng.standard_normal((n, p))
    data = prepare(y, x, time_effects=time_effects)
    comp = principal_components(residuals(data, b), n_factors, time_effects=time_effects)
    q = unit_quadratics(data, comp.factors, comp.time_effect)
    left = q.s - 2 * (q.c * b).sum(axis=1) + np.einsum("np,npq,nq->n", b, q.a, b)
    m = annihilator(comp.factors) if n_factors else np.eye(t)
    resid = y - np.einsum("ntp,np->nt", x, b) - comp.time_effect
    np.testing.assert_allclose(left, ((resid @ m) ** 2).sum(axis=1), rtol=1e-10)
    assert left.sum() == pytest.approx(comp.ssr, rel=1e-10)


def test_prepare_standardises_and_leaves_the_input_alone():
    rng = np.random.default_rng(5)
    y, x = rng.standard_normal((6, 9)) + 3, rng.standard_normal((6, 9, 2)) * [1e-3, 1e4] + 1
    before = y.copy(), x.copy()
    data = prepare(y, x, entity_effects=True, standardize=True)
    np.testing.assert_array_equal(y, before[0])
    np.testing.assert_array_equal(x, before[1])
    within = x - x.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(data.scale, np.sqrt((within**2).mean(axis=(0, 1))), rtol=1e-12)
    np.testing.assert_allclose(data.xt, (within / data.scale).transpose(0, 2, 1), atol=1e-12)
    np.testing.assert_allclose(data.y, y - y.mean(axis=1, keepdims=True), atol=1e-14)
    assert data.shape == (6, 9, 2)
    single = prepare(y, x[:, :, :1], entity_effects=True)
    assert not np.may_share_memory(single.xt, x)


@pytest.mark.parametrize("constant", [0.1, 1 / 3, 1e9 + 0.7, 0.0])
@pytest.mark.parametrize("t", [7, 25, 30])
def test_a_series_constant_in_time_is_exactly_zero_under_entity_effects(constant, t):
    """Not 1e-17: a unit whose regressor does not vary would get a slope of noise over noise."""
    rng = np.random.default_rng(6)
    y, x = rng.standard_normal((5, t)), rng.standard_normal((5, t, 2))
    x[2, :, 1] = constant
    data = prepare(y, x, entity_effects=True)
    assert not data.xt[2, 1].any()
    assert not data.xx[2, 1].any()
    np.testing.assert_allclose(data.xt[0, 1], x[0, :, 1] - x[0, :, 1].mean(), atol=1e-14)
    small = 1e6 + 1e-7 * rng.standard_normal((5, t))
    kept = prepare(small, x, entity_effects=True)
    assert (kept.yy > 0).all()
