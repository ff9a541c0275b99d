"""The convex joint step against certificates of optimality and an independent solver."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.solvers.joint import joint_step
from tests.kernels.problems import units


def certificate(v, hessians, c, step):
    """Subgradient conditions (Su & Ju 2018, Section 3.2): relative violation by units and by the centre.

    A force H_i (b_i^ - b_i) of every unit balances c_i (b_i - a)/||b_i - a|| off the centre, is at most c_i on it, and
    the forces of the units with a weight add up to zero: they are the pull on the centre.
    """
    force = v - np.einsum("npq,nq->np", hessians, step.beta)
    gap = step.beta - step.centre
    off = ~step.fused & (c > 0)
    on = step.fused
    worst = [0.0]
    if off.any():
        tau = np.linalg.norm(gap[off], axis=1, keepdims=True)
        worst.append(np.abs(force[off] - c[off, None] * gap[off] / tau).max() / c.max())
    if on.any():
        assert not gap[on].any()
        worst.append((np.linalg.norm(force[on], axis=1) - c[on]).max() / c.max())
    centre = np.linalg.norm(force[c > 0].sum(axis=0)) / max(c.sum(), 1e-300)
    return max(worst), centre


@pytest.mark.parametrize("p", [1, 2, 3, 5])
@pytest.mark.parametrize("strength", [0.05, 0.5, 3.0, 30.0])
def test_optimality(p, strength):
    fused = 0
    for seed in range(6):
        problem = units(30, p, seed=seed)
        c = strength * np.random.default_rng(seed).uniform(0.0, 1.0, 30)
        c[:3] = 0.0
        start = np.random.default_rng(seed).standard_normal(p) * 3
        step = joint_step(problem.v, problem.hmat, problem.free, c, start)
        by_unit, by_centre = certificate(problem.v, problem.hmat, c, step)
        assert by_unit <= 1e-10
        assert by_centre <= 1e-9
        assert step.n_iter <= 30
        np.testing.assert_array_equal(step.beta[:3], problem.free[:3])
        assert not step.fused[:3].any()
        fused += step.fused.sum()
    # from almost none to all
    if strength == 0.05:
        assert fused <= 6 * 27 / 4
    if strength == 30.0:
        assert fused >= 6 * 27 * 3 / 4


def admm(hessians, minimisers, c, rounds=20_000):
    """The same problem by alternating directions (Boyd et al. 2011, Section 3): no secular equation, no Newton."""
    n, p = minimisers.shape
    rho = 1.0
    v = np.einsum("npq,nq->np", hessians, minimisers)
    inverse = np.linalg.inv(hessians + rho * np.eye(p))
    beta, a, d, u = minimisers.copy(), minimisers.mean(axis=0), np.zeros((n, p)), np.zeros((n, p))
    for _ in range(rounds):
        beta = np.einsum("npq,nq->np", inverse, v + rho * (a + d - u))
        a_new = (beta - d + u).mean(axis=0)
        z = beta - a_new + u
        norm = np.linalg.norm(z, axis=1, keepdims=True)
        d_new = z * np.maximum(0.0, 1.0 - c[:, None] / (rho * np.maximum(norm, 1e-300)))
        u += beta - a_new - d_new
        moved = max(np.abs(a_new - a).max(), np.abs(d_new - d).max())
        a, d = a_new, d_new
        if moved < 1e-13:
            break
    return a, a + d


@pytest.mark.parametrize("p", [1, 2, 3])
def test_same_point_as_alternating_directions(p):
    problem = units(20, p, seed=90 + p)
    c = np.random.default_rng(p).uniform(0.3, 2.0, 20)
    step = joint_step(problem.v, problem.hmat, problem.free, c, np.zeros(p))
    a, beta = admm(problem.hmat, problem.free, c)
    np.testing.assert_allclose(step.centre, a, atol=1e-8)
    np.testing.assert_allclose(step.beta, beta, atol=1e-8)
    np.testing.assert_array_equal(step.fused, ~np.any(np.abs(beta - a) > 1e-7, axis=1))


def test_weighted_median_where_weights_are_small():
    """p = 1: pulls are -c, 0 or c, so a small weight leaves the weighted median of the minimisers."""
    rng = np.random.default_rng(1)
    free = rng.standard_normal((11, 1))
    c = rng.uniform(0.5, 1.5, 11) * 1e-6
    hessians = np.ones((11, 1, 1))
    step = joint_step(hessians[:, :, 0] * free, hessians, free, c, np.array([5.0]))
    order = np.argsort(free[:, 0])
    middle = order[np.searchsorted(np.cumsum(c[order]), 0.5 * c.sum())]
    assert step.centre[0] == pytest.approx(free[middle, 0], abs=2e-6)
    assert step.fused[middle]


def test_a_flat_stretch_of_the_profile():
    """p = 1 and two units of equal weight: every centre between them is a minimum, and Newton has no curvature."""
    free = np.array([[0.0], [10.0]])
    hessians = np.ones((2, 1, 1))
    for start in (-50.0, 3.0, 1e6):
        step = joint_step(free.copy(), hessians, free, np.full(2, 0.1), np.array([start]))
        assert 0.0 <= step.centre[0] <= 10.0
        assert step.gradient <= 1e-10


def test_all_fuse_at_the_pooled_estimate():
    problem = units(12, 3, seed=4)
    step = joint_step(problem.v, problem.hmat, problem.free, np.full(12, 1e6), np.zeros(3))
    assert step.fused.all()
    pooled = np.linalg.solve(problem.hmat.sum(axis=0), problem.v.sum(axis=0))
    np.testing.assert_allclose(step.centre, pooled, rtol=1e-9)


def test_no_weights_leave_everything_as_it_was():
    problem = units(6, 2, seed=5)
    step = joint_step(problem.v, problem.hmat, problem.free, np.zeros(6), np.array([1.0, 2.0]))
    np.testing.assert_array_equal(step.beta, problem.free)
    np.testing.assert_array_equal(step.centre, [1.0, 2.0])
    assert step.n_iter == 0


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_of_measurement(scale):
    problem = units(20, 2, seed=6)
    c = np.random.default_rng(6).uniform(0.1, 2.0, 20)
    one = joint_step(problem.v, problem.hmat, problem.free, c, np.zeros(2))
    two = joint_step(scale * problem.v, problem.hmat, scale * problem.free, scale * c, np.zeros(2))
    np.testing.assert_allclose(two.beta, scale * one.beta, rtol=1e-8, atol=1e-9 * scale)
    np.testing.assert_array_equal(one.fused, two.fused)


def test_units_without_full_curvature():
    problem = units(15, 3, seed=7, singular=5)
    c = np.random.default_rng(7).uniform(0.1, 2.0, 15)
    step = joint_step(problem.v, problem.hmat, problem.free, c, np.zeros(3))
    by_unit, by_centre = certificate(problem.v, problem.hmat, c, step)
    assert by_unit <= 1e-10
    assert by_centre <= 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_weights_over_twenty_powers_of_ten(seed):
    """Units close to another centre have weights near zero; none of them may spoil the step.

    In the first 20 units the third regressor is the sum of the others, so that H is singular but for rounding, and so
    is the force along its null direction: beside a small enough weight it would carry the unit away.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((40, 3, 12))
    x[:20, 2] = x[:20, 0] + x[:20, 1]
    hessians = np.einsum("npt,nqt->npq", x, x) / 6
    v = np.einsum("npt,nt->np", x, rng.standard_normal((40, 12))) / 6
    free = np.array([np.linalg.lstsq(h, w, rcond=1e-10)[0] for h, w in zip(hessians, v, strict=True)])
    c = 10.0 ** np.linspace(-20, 1, 40)[rng.permutation(40)]
    step = joint_step(v, hessians, free, c, np.zeros(3))
    assert np.abs(step.beta).max() < 20.0
    np.testing.assert_allclose((step.beta - step.centre)[:20] @ np.array([1.0, 1.0, -1.0]), 0.0, atol=1e-7)
    by_unit, by_centre = certificate(v, hessians, c, step)
    assert by_unit <= 1e-10
    assert by_centre <= 1e-9
