"""Unit problems under the product penalty against grids, generic minimisers and differences."""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.optimize import minimize

from gifepanel.kernels.product import profile_derivatives, smooth_minimum, solve_units, total_penalty
from tests.kernels.problems import Units, units

SEEDS = 4 if os.environ.get("NUMBA_DISABLE_JIT") == "1" else 12  # interpreted, a few show that it is the same code


def value(b, v, h, kappa, alpha):
    """f(b), for one b (p,) or many (m, p)."""
    b = np.atleast_2d(b)
    distances = np.linalg.norm(b[:, None, :] - alpha[None], axis=2)
    return 0.5 * np.einsum("mp,pq,mq->m", b, h, b) - b @ v + kappa * distances.prod(axis=1)


def gradient(b, v, h, kappa, alpha):
    gap = b - alpha
    distances = np.linalg.norm(gap, axis=1)
    out = h @ b - v
    for k in range(len(alpha)):
        out = out + kappa * np.delete(distances, k).prod() * gap[k] / distances[k]
    return out


def brute_force(v, h, kappa, alpha, free):
    """The best of the centres and of generic descents from the best points of a grid and from around the centres."""
    p = len(v)
    lowest = np.minimum(alpha.min(axis=0), free) - 1.0
    highest = np.maximum(alpha.max(axis=0), free) + 1.0
    axes = [np.linspace(a, b, 2001 if p == 1 else 61) for a, b in zip(lowest, highest, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, p)
    on_grid = value(grid, v, h, kappa, alpha)
    starts = [free, *grid[np.argsort(on_grid)[:3]]]
    best = min(on_grid.min(), value(alpha, v, h, kappa, alpha).min())
    for start in starts:
        found = minimize(lambda b: float(value(b, v, h, kappa, alpha)[0]), start, method="BFGS")
        best = min(best, found.fun)
    return best


def solved(problem: Units, kappa: float, alpha: np.ndarray, explore: bool = True):
    beta, at = problem.free.copy(), np.full(len(problem.v), -1, dtype=np.int64)
    total = solve_units(problem.v, problem.hmat, kappa, alpha, problem.free, beta, at, explore)
    return total, beta, at


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("kappa", [0.05, 0.5, 3.0])
def test_units_reach_the_global_minimum(p, groups, kappa):
    problem = units(8, p, seed=10 * p + groups)
    alpha = np.random.default_rng(p).standard_normal((groups, p))
    total, beta, at = solved(problem, kappa, alpha)
    mine = [value(*row)[0] for row in zip(beta, problem.v, problem.hmat, [kappa] * 8, [alpha] * 8, strict=True)]
    assert total == pytest.approx(sum(mine), rel=1e-12)
    for i in range(8):
        best = brute_force(problem.v[i], problem.hmat[i], kappa, alpha, problem.free[i])
        assert mine[i] <= best + 1e-8
        if at[i] >= 0:
            np.testing.assert_array_equal(beta[i], alpha[at[i]])


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("p", [1, 2, 4])
def test_every_unit_is_stationary(p, groups):
    """Off the centres the gradient is zero; on one the force is within the bound. Never anything in between."""
    rng = np.random.default_rng(7 * p + groups)
    fused = 0
    for seed in range(SEEDS):
        problem = units(15, p, seed=seed, singular=2, spread=1.5)
        alpha = rng.standard_normal((groups, p))
        kappa = 10.0 ** rng.uniform(-2, 1)
        _, beta, at = solved(problem, kappa, alpha)
        fused += (at >= 0).sum()
        for i in range(15):
            v, h = problem.v[i], problem.hmat[i]
            if at[i] < 0:
                assert np.linalg.norm(gradient(beta[i], v, h, kappa, alpha)) <= 1e-6 * np.abs(v).sum()
            else:
                others = np.delete(np.linalg.norm(alpha - alpha[at[i]], axis=1), at[i])
                assert np.linalg.norm(v - h @ beta[i]) <= kappa * others.prod() * (1 + 1e-9)
    assert 0 < fused < 15 * SEEDS


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="many problems")
@pytest.mark.parametrize(("p", "groups"), [(2, 3), (2, 4), (3, 3)])
def test_exploring_finds_what_a_start_elsewhere_misses(p, groups):
    """No worse than from the unpenalised minimisers, wherever units start; some would be without exploring."""
    rng, behind = np.random.default_rng(p + groups), 0
    for seed in range(SEEDS):
        problem, alpha = units(40, p, seed=seed, singular=3, spread=1.5), rng.standard_normal((groups, p))
        at = rng.integers(-1, groups, 40)
        start = np.where(at[:, None] >= 0, alpha[at], problem.free + 3.0 * rng.standard_normal((40, p)))
        for kappa in (0.02, 0.2, 1.0, 4.0):
            each = problem.v, problem.hmat, kappa, alpha, problem.free
            best = solved(problem, kappa, alpha)[0]
            there, here = (solve_units(*each, start.copy(), at.copy(), explore) for explore in (True, False))
            assert there <= best + 1e-9 * abs(best)
            behind += here > best + 1e-6 * abs(best)
    assert behind


def test_one_centre_agrees_with_the_convex_step():
    from gifepanel.kernels.joint import joint_slopes
    from gifepanel.kernels.small import eigh_batch

    for seed in range(min(SEEDS, 10)):
        problem = units(12, 3, seed=seed)
        alpha = np.random.default_rng(seed).standard_normal((1, 3))
        for kappa in (0.3, 1.0, 3.0):
            _, beta, at = solved(problem, kappa, alpha)
            exact, fused = np.empty_like(beta), np.empty(12, dtype=np.bool_)
            joint_slopes(
                problem.v,
                problem.hmat,
                *eigh_batch(problem.hmat),
                problem.free,
                np.full(12, kappa),
                alpha[0],
                exact,
                fused,
            )
            np.testing.assert_array_equal(at >= 0, fused)
            np.testing.assert_allclose(beta, exact, rtol=0, atol=1e-7)


def test_descent_leaves_a_centre_that_is_no_minimum():
    """Newton's steps run into the kink at the only centre, whose force 3.19 exceeds its bound 3."""
    problem = units(12, 2, seed=0)
    alpha = np.random.default_rng(0).standard_normal((1, 2))
    v, h = problem.v[8], problem.hmat[8]
    assert np.linalg.norm(v - h @ alpha[0]) > 3.0
    for start in (problem.free[8], alpha[0], alpha[0] + 1e-9):
        b = start.copy()
        space = (np.empty((1, 2)), np.empty(1), np.empty(2), np.empty((2, 2)), np.empty(2))
        reached, smooth = smooth_minimum(v, h, 3.0, alpha, np.zeros((1, 1)), b, *space, 1e-12)
        assert smooth
        assert reached < value(alpha[0], v, h, 3.0, alpha)[0] - 1e-3
        np.testing.assert_allclose(gradient(b, v, h, 3.0, alpha), 0.0, atol=1e-7)


def test_no_penalty_gives_the_unpenalised_minimisers():
    problem = units(9, 3, seed=2)
    alpha = np.random.default_rng(2).standard_normal((2, 3))
    _, beta, at = solved(problem, 0.0, alpha)
    np.testing.assert_allclose(beta, problem.free, atol=1e-12)
    assert (at == -1).all()


def test_a_unit_without_information_sits_on_a_centre():
    alpha = np.array([[0.0, 1.0], [2.0, 0.5]])
    problem = Units(np.zeros((1, 2)), np.zeros((1, 2, 2)), np.array([[1.0, 1.0]]))
    total, _, at = solved(problem, 0.7, alpha)
    assert total == 0.0
    assert at[0] >= 0


def test_a_start_on_a_centre_is_kept_only_while_it_is_best():
    problem = units(10, 2, seed=3)
    alpha = np.random.default_rng(3).standard_normal((3, 2))
    fresh, beta, at = solved(problem, 0.4, alpha)
    for begin in range(3):
        again_beta, again_at = np.repeat(alpha[[begin]], 10, axis=0), np.full(10, begin, dtype=np.int64)
        total = solve_units(problem.v, problem.hmat, 0.4, alpha, problem.free, again_beta, again_at, True)
        assert total == pytest.approx(fresh, rel=1e-12)
        np.testing.assert_array_equal(again_at, at)
        np.testing.assert_allclose(again_beta, beta, atol=1e-8)


@pytest.mark.parametrize(("p", "groups", "kappa"), [(1, 2, 0.4), (2, 1, 0.4), (2, 3, 0.4), (3, 2, 1.5), (1, 4, 2.0)])
def test_profile_derivatives_against_differences(p, groups, kappa):
    problem = units(14, p, seed=60 + p)
    alpha = np.random.default_rng(70 + groups).standard_normal((groups, p))
    size = groups * p
    _, beta, at = solved(problem, kappa, alpha)
    assert 0 < (at >= 0).sum() < 14

    def at_centres(centres):
        b, on = beta.copy(), at.copy()
        total = solve_units(problem.v, problem.hmat, kappa, centres, problem.free, b, on, False)
        assert (on == at).all(), "the difference must not cross a kink"
        grad, hess = np.empty(size), np.empty((size, size))
        worst = profile_derivatives(
            problem.v, problem.hmat, kappa, centres, b, on, grad, hess, np.empty((p, size)), np.empty((size, p))
        )
        assert worst < 1e-7
        return total, grad, hess

    _, grad, hess = at_centres(alpha)
    step = 1e-6
    for row in range(size):
        shift = step * np.eye(size)[row].reshape(groups, p)
        up, down = at_centres(alpha + shift), at_centres(alpha - shift)
        assert grad[row] == pytest.approx((up[0] - down[0]) / (2 * step), rel=1e-6, abs=1e-7)
        np.testing.assert_allclose(hess[row], (up[1] - down[1]) / (2 * step), rtol=2e-5, atol=1e-5)


def test_total_penalty():
    rng = np.random.default_rng(8)
    beta, alpha = rng.standard_normal((6, 2)), rng.standard_normal((4, 2))
    beta[2] = alpha[1]
    distances = np.linalg.norm(beta[:, None] - alpha[None], axis=2)
    assert total_penalty(beta, alpha) == pytest.approx(distances.prod(axis=1).sum(), rel=1e-13)
    assert total_penalty(beta[2:3], alpha) == 0.0
