"""The convex joint step: secular equation, profile and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, minimize

from gifepanel.kernels.joint import joint_profile, joint_slopes, secular_root
from gifepanel.kernels.small import eigh_batch
from tests.kernels.problems import units


def secular(tau, g, h, c):
    return np.sum((g / (h * tau + c)) ** 2) - 1.0


def bracketed_root(g, h, c):
    """Root in log(tau), from brackets alone."""
    norm = np.linalg.norm(g)
    low = 0.5 * (norm - c) / h.max()
    high = 2.0 * (norm - c) / h[h > 0].min()
    return np.exp(brentq(lambda u: secular(np.exp(u), g, h, c), np.log(low), np.log(high), xtol=1e-14, rtol=1e-14))


@pytest.mark.parametrize("p", range(1, 7))
@pytest.mark.parametrize("decades", [0, 3, 8])
def test_secular_root_against_brent(p, decades):
    rng = np.random.default_rng(100 * decades + p)
    for _ in range(60):
        h = 10.0 ** rng.uniform(-decades, decades, p)
        g = rng.standard_normal(p) * 10.0 ** rng.uniform(-decades, decades, p)
        c = np.linalg.norm(g) * rng.choice([1e-6, 1e-3, 0.1, 0.5, 0.9])
        tau = secular_root(g, h, c)
        assert tau == pytest.approx(bracketed_root(g, h, c), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e12, 1e100])
def test_secular_root_does_not_depend_on_units(scale):
    g, h, c = np.array([1.0, -2.0, 0.3]), np.array([0.2, 1.0, 5.0]), 0.7
    tau = secular_root(g, h, c)
    assert secular_root(g * scale, h, c * scale) == pytest.approx(tau * scale, rel=1e-12)
    assert secular_root(g, h * scale, c) == pytest.approx(tau / scale, rel=1e-12)


def test_secular_root_without_curvature_in_a_direction_without_force():
    tau = secular_root(np.array([2.0, 0.0]), np.array([1.0, 0.0]), 0.5)
    assert tau == pytest.approx(1.5, rel=1e-14)


def test_secular_root_close_to_fusing():
    """tau = (|g| - c) / (g'Hg / g'g) to first order; the difference is all the accuracy there is."""
    g, h = np.array([0.6, 0.8]), np.array([1.0, 3.0])
    for gap in (1e-4, 1e-8, 1e-12):
        expected = gap / ((g**2 @ h) / (g @ g))
        assert secular_root(g, h, 1.0 - gap) == pytest.approx(expected, rel=1e-3)


def evaluate(problem, c, a):
    values, vectors = eigh_batch(problem.hmat)
    values = np.where(values <= 1e-13 * values.max(axis=1, keepdims=True), 0.0, values)
    p = a.shape[0]
    grad, hess = np.empty(p), np.empty((p, p))
    value, fused = joint_profile(problem.v, problem.hmat, values, vectors, c, a, grad, hess)
    beta, at = np.empty_like(problem.free), np.empty(len(c), dtype=np.bool_)
    joint_slopes(problem.v, problem.hmat, values, vectors, problem.free, c, a, beta, at)
    assert fused == at.sum()
    return value, grad, hess, beta, at


def objective(problem, c, a, beta):
    """The joint objective at slopes and centre, up to the constant of the kernel."""
    quadratic = 0.5 * np.einsum("np,npq,nq->n", beta, problem.hmat, beta) - (problem.v * beta).sum(axis=1)
    return float((quadratic + c * np.linalg.norm(beta - a, axis=1))[c > 0].sum())


CASES = [(1, 0), (2, 0), (3, 0), (4, 3), (2, 4)]


@pytest.mark.parametrize(("p", "singular"), CASES)
def test_profile_value_is_the_minimum_over_slopes(p, singular):
    problem = units(12, p, seed=p, singular=singular)
    rng = np.random.default_rng(p)
    c = rng.uniform(0.2, 12.0, 12)
    c[-1] = 0.0
    a = rng.standard_normal(p)
    value, _, _, beta, fused = evaluate(problem, c, a)
    assert 0 < fused.sum() < 11
    assert value == pytest.approx(objective(problem, c, a, beta), rel=1e-11)
    # unit by unit: exact stationarity off the centre, the bound on it
    force = np.einsum("npq,nq->np", problem.hmat, beta) - problem.v
    gap = beta - a
    off = ~fused & (c > 0)
    tau = np.linalg.norm(gap[off], axis=1, keepdims=True)
    np.testing.assert_allclose(force[off] + c[off, None] * gap[off] / tau, 0.0, atol=1e-11)
    assert (np.linalg.norm(force[fused], axis=1) <= c[fused] + 1e-12).all()
    np.testing.assert_array_equal(beta[fused], np.broadcast_to(a, beta[fused].shape))
    np.testing.assert_array_equal(beta[-1], problem.free[-1])
    # and no neighbour is better
    for _ in range(50):
        other = beta + 1e-3 * rng.standard_normal(beta.shape)
        assert objective(problem, c, a, other) >= value - 1e-12


@pytest.mark.parametrize(("p", "singular"), CASES)
def test_derivatives_against_differences(p, singular):
    problem = units(15, p, seed=40 + p, singular=singular)
    rng = np.random.default_rng(50 + p)
    c = rng.uniform(0.2, 2.0, 15)
    a = 0.5 * rng.standard_normal(p)
    _, grad, hess, _, _ = evaluate(problem, c, a)
    step = 1e-5
    for j in range(p):
        e = step * np.eye(p)[j]
        up, down = evaluate(problem, c, a + e), evaluate(problem, c, a - e)
        assert (up[4] == down[4]).all(), "the difference must not cross a kink of the Hessian"
        assert grad[j] == pytest.approx((up[0] - down[0]) / (2 * step), rel=1e-6, abs=1e-7)
        np.testing.assert_allclose(hess[j], (up[1] - down[1]) / (2 * step), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(hess, hess.T, atol=1e-12)
    assert np.linalg.eigvalsh(hess).min() >= -1e-12


def test_no_weight_no_contribution():
    problem = units(5, 2, seed=1)
    value, grad, hess, beta, fused = evaluate(problem, np.zeros(5), np.ones(2))
    assert (value, fused.any()) == (0.0, False)
    assert not grad.any()
    assert not hess.any()
    np.testing.assert_array_equal(beta, problem.free)


def test_a_tiny_weight_on_a_unit_without_curvature_in_some_direction():
    """v has a component of rounding size where H is singular: it must not carry the unit away."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((1, 3, 12))
    x[:, 2] = x[:, 0] + x[:, 1]
    hmat = np.einsum("npt,nqt->npq", x, x) / 6
    v = np.einsum("npt,t->np", x, rng.standard_normal(12)) / 6
    free = np.linalg.lstsq(hmat[0], v[0], rcond=1e-10)[0][None]
    values, vectors = eigh_batch(hmat)
    values[values <= 1e-13 * values.max()] = 0.0
    a = rng.standard_normal(3)
    for weight in (1e-3, 1e-15, 1e-17, 1e-20, 1e-200):
        beta, fused = np.empty((1, 3)), np.empty(1, dtype=np.bool_)
        joint_slopes(v, hmat, values, vectors, free, np.array([weight]), a, beta, fused)
        assert np.linalg.norm(beta) < 10.0
        np.testing.assert_allclose(hmat[0] @ beta[0], v[0], atol=2 * weight + 1e-13)
        # without force along the null direction the unit keeps the centre's coordinate there
        null = np.array([1.0, 1.0, -1.0])
        assert null @ beta[0] == pytest.approx(null @ a, abs=1e-6)
    # a unit without any information sits on the centre
    zero, c = np.zeros((1, 3)), np.array([1e-30])
    joint_slopes(zero + 1e-20, np.zeros((1, 3, 3)), zero, np.eye(3)[None], free, c, a, beta, fused)
    assert fused[0]
    np.testing.assert_array_equal(beta[0], a)


def test_profile_is_a_lower_envelope_of_a_generic_minimiser():
    """scipy on the smooth epigraph form: min t_i with t_i >= ||b_i - a|| replaced by sqrt(||.||^2 + eps^2)."""
    problem = units(4, 2, seed=9)
    c, a = np.array([0.3, 0.8, 1.5, 4.0]), np.array([0.2, -0.1])
    value, _, _, beta, _ = evaluate(problem, c, a)
    eps = 1e-9

    def smooth(flat):
        b = flat.reshape(4, 2)
        gap = np.sqrt(((b - a) ** 2).sum(axis=1) + eps**2)
        force = np.einsum("npq,nq->np", problem.hmat, b) - problem.v
        total = 0.5 * ((force - problem.v) * b).sum() + (c * gap).sum()
        return total, (force + (c / gap)[:, None] * (b - a)).ravel()

    best = min(
        (
            minimize(smooth, start, jac=True, method="BFGS", options={"gtol": 1e-7})
            for start in (problem.free.ravel(), np.tile(a + 0.01, 4), beta.ravel() + 0.01)
        ),
        key=lambda done: done.fun,
    )
    assert value == pytest.approx(best.fun, rel=1e-7)
    assert value <= best.fun
