"""Passes over the data against einsum."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.kernels.passes import cross_moments, deflate, gradient_pass, group_sums, residual_pass, unit_ssr

SHAPES = [(7, 5, 1, 1), (4, 9, 3, 2), (1, 6, 2, 0), (5, 4, 2, 3)]


def panel(n, t, p, r, seed=0):
    rng = np.random.default_rng(seed)
    factors = np.linalg.qr(rng.standard_normal((t, t)))[0][:, :r] * np.sqrt(t)
    return rng.standard_normal((n, t)), rng.standard_normal((n, p, t)), factors


@pytest.mark.parametrize(("n", "t", "p", "r"), SHAPES)
def test_cross_moments(n, t, p, r):
    y, xt, _ = panel(n, t, p, r)
    xx, xy, yy = cross_moments(y, xt)
    np.testing.assert_allclose(xx, np.einsum("npt,nqt->npq", xt, xt), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(xy, np.einsum("npt,nt->np", xt, y), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(yy, np.einsum("nt,nt->n", y, y), rtol=1e-12)


@pytest.mark.parametrize(("n", "t", "p", "r"), SHAPES)
def test_residuals_and_scores(n, t, p, r):
    y, xt, _ = panel(n, t, p, r)
    beta = np.random.default_rng(1).standard_normal((n, p))
    beta[0, 0] = 0.0
    out = np.full((n, t), np.nan)
    residual_pass(y, xt, beta, out)
    np.testing.assert_allclose(out, y - np.einsum("npt,np->nt", xt, beta), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(gradient_pass(xt, out), np.einsum("npt,nt->np", xt, out), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("n", "t", "p", "r"), SHAPES)
def test_deflated_moments_and_sums_of_squares(n, t, p, r):
    y, xt, f = panel(n, t, p, r)
    xx, xy, yy = cross_moments(y, xt)
    a, c, s = np.empty_like(xx), np.empty_like(xy), np.empty_like(yy)
    deflate(xx, xy, yy, xt @ f, y @ f, t, a, c, s)
    m = np.eye(t) - f @ f.T / t
    np.testing.assert_allclose(a, np.einsum("npt,ts,nqs->npq", xt, m, xt), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(c, np.einsum("npt,ts,ns->np", xt, m, y), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(s, np.einsum("nt,ts,ns->n", y, m, y), rtol=1e-10, atol=1e-11)
    alpha = np.random.default_rng(2).standard_normal((3, p))
    left = y[:, None, :] - np.einsum("npt,kp->nkt", xt, alpha)
    expected = np.einsum("nkt,ts,nks->nk", left, m, left)
    np.testing.assert_allclose(unit_ssr(a, c, s, alpha), expected, rtol=1e-10, atol=1e-10)


def test_a_regressor_in_the_span_of_the_factors_leaves_zeros():
    """Rounding of X'M_F X is no information: without this a unit's slope would be noise over noise."""
    n, t = 20, 30
    y, xt, f = panel(n, t, 2, 2, seed=3)
    xt[:, 1] = 1e3 * (f @ np.random.default_rng(4).standard_normal((2, n))).T
    xx, xy, yy = cross_moments(y, xt)
    a, c, s = np.empty_like(xx), np.empty_like(xy), np.empty_like(yy)
    deflate(xx, xy, yy, xt @ f, y @ f, t, a, c, s)
    assert not a[:, 1].any()
    assert not a[:, :, 1].any()
    assert not c[:, 1].any()
    assert (a[:, 0, 0] > 1.0).all()


def test_group_sums():
    rng = np.random.default_rng(5)
    values, labels = rng.standard_normal((9, 4)), np.array([0, 2, 2, 0, 3, 0, 2, 3, 3])
    expected = np.stack([values[labels == k].sum(axis=0) for k in range(4)])
    np.testing.assert_allclose(group_sums(values, labels, 4), expected, rtol=1e-13)
