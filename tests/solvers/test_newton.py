"""Newton's step of the penalised descent, against differences of the criterion and its gradient."""

from __future__ import annotations

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.solvers.arrays import prepare, principal_components, residuals
from gifepanel.solvers.curvature import Curvature
from gifepanel.solvers.descent import criterion, descend
from gifepanel.solvers.heterogeneous import heterogeneous_slopes, kmeans_centres
from gifepanel.solvers.newton import newton_step
from tests.solvers.panels import grouped_panel

EFFECTS = [{}, {"entity_effects": True, "time_effects": True}]


def components(data, beta, r):
    return principal_components(residuals(data, beta), r, time_effects=data.time_effects)


def half_gradient(data, beta, r):
    """Of half the concentrated sum of squares: -X_i'e_i, factors at their best."""
    at = components(data, beta, r)
    e = residuals(data, beta)
    e -= at.time_effect
    e -= at.loadings @ at.factors.T
    return -np.einsum("npt,nt->np", data.xt, e)


def error(noise, effects, r=2):
    """Of the curvature in a direction, against differences of the gradient, as a share."""
    panel = grouped_panel(30, 25, r=r, seed=3, noise=noise)
    data = prepare(panel.y, panel.x, **effects)
    rng = np.random.default_rng(4)
    beta = panel.alpha[panel.groups] + 0.1 * noise * rng.standard_normal((30, 2))
    direction, step = rng.standard_normal((30, 2)), 1e-5
    up, down = (half_gradient(data, beta + sign * step * direction, r) for sign in (1.0, -1.0))
    expected = (up - down) / (2.0 * step)
    found = Curvature.at(data, beta, components(data, beta, r)).times(direction)
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("effects", EFFECTS)
def test_curvature_is_that_of_the_concentrated_sum_of_squares(effects):
    """What is left out is of second order in the residuals: halved residuals leave a quarter of it."""
    errors = [error(noise, effects) for noise in (0.4, 0.2, 0.1)]
    assert errors[0] < 0.02
    np.testing.assert_allclose(np.divide(errors[1:], errors[:-1]), 0.25, atol=0.05)


def test_without_factors_it_is_exact():
    assert error(1.0, {}, r=0) < 1e-9


@pytest.mark.parametrize("effects", EFFECTS)
def test_a_step_leads_to_a_stationary_point(effects):
    """The gradient of Q, by differences, falls to a small share of itself in a step, units on centres moving along."""
    panel = grouped_panel(30, 25, r=2, seed=5, noise=0.5)
    data = prepare(panel.y, panel.x, **effects)
    start = heterogeneous_slopes(data, 2)
    centres = kmeans_centres(start, 3, np.random.default_rng(0))[0].alpha
    kappa = 0.05
    done = descend(data, 2, kappa, centres, start.beta, tol=1e-9)
    on = done.at >= 0
    assert on.any() and not on.all()

    def value(alpha, beta):
        beta = np.where(on[:, None], alpha[done.at], beta)
        return criterion(data, components(data, beta, 2).ssr, kappa, beta, alpha)

    def gradient(alpha, beta):
        flat, step, out = np.concatenate([alpha.ravel(), beta[~on].ravel()]), 1e-6, []
        for j in range(flat.size):
            ends = []
            for sign in (1.0, -1.0):
                moved = flat.copy()
                moved[j] += sign * step
                full = beta.copy()
                full[~on] = moved[alpha.size :].reshape(-1, 2)
                ends.append(value(moved[: alpha.size].reshape(alpha.shape), full))
            out.append((ends[0] - ends[1]) / (2.0 * step))
        return np.linalg.norm(out)

    rng = np.random.default_rng(6)
    alpha = done.alpha + 1e-4 * rng.standard_normal(done.alpha.shape)
    beta = done.beta + 1e-4 * rng.standard_normal(done.beta.shape)
    beta[on] = alpha[done.at[on]]
    steps = newton_step(data, kappa, alpha, beta, done.at, components(data, beta, 2))
    assert steps is not None
    np.testing.assert_array_equal(steps[1][on], steps[0][done.at[on]])
    assert gradient(alpha + steps[0], beta + steps[1]) < 0.1 * gradient(alpha, beta)


def test_a_unit_at_no_minimum_stops_it():
    """On the kink at a centre, and between centres, where the penalty is concave."""
    panel = grouped_panel(12, 10, k=2, r=1, seed=7)
    data, at = prepare(panel.y, panel.x), np.full(12, -1)
    between = np.tile(panel.alpha.mean(axis=0), (12, 1))
    for kappa, beta in ((1.0, panel.alpha[panel.groups]), (1e9, between)):
        assert newton_step(data, kappa, panel.alpha, beta, at, components(data, beta, 1)) is None


@pytest.mark.parametrize(("n_groups", "n_factors"), [(2, 2), (3, 2), (3, 3)])
def test_trending_panels_come_to_an_end(n_groups, n_factors):
    """Prices and incomes load on the factors: without such steps 104, 288 and more than 300 iterations."""
    frame = gife.datasets.load_cigar()
    model = gife.GroupedIFE.from_formula(
        "np.log(sales) ~ np.log(price) + np.log(ndi)", frame, n_groups=n_groups, n_factors=n_factors
    )
    fit = model.fit(kappa_scale=3.0).penalized
    assert fit.converged
    assert fit.n_iter < 90
    assert (np.diff(fit.path) <= 0.0).all()
