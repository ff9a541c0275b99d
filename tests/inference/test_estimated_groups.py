"""Missing information about groups, against the mixture likelihood and dense algebra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from statsmodels.tools.numdiff import approx_hess_cs

from gifepanel import GroupedIFE
from gifepanel.datasets import simulate
from gifepanel.inference.estimated_groups import _information, missing_at, missing_information, posterior, unit_losses
from gifepanel.interop.statsmodels import nuisance_columns


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    """24 entities, 10 periods: few enough for many to be unclear."""
    return simulate("S", 24, 10, random_state=5).data


def fitted(data: pd.DataFrame, formula: str = "y ~ 0 + x1 + x2", **options: Any) -> Any:
    model = GroupedIFE.from_formula(formula, data, **{"n_groups": 2, "n_factors": 1, **options})
    return model.fit()


@pytest.mark.parametrize("common", [[], ["x2"]])
def test_observed_information_is_the_curvature_of_the_mixture(common: list[str]) -> None:
    """Louis (1982): B - Cov is minus the second derivative of the log-likelihood, at any slopes and group shares."""
    data = simulate("P", 24, 20, random_state=1).data
    res = fitted(data, "y ~ 0 + x1 + x2 | entity", n_groups=2, n_factors=0, common=common)
    estimate = res._estimate
    (n, t), q, k = estimate.shape, estimate.theta.size, 2
    off = np.eye(t) - 1 / t
    y, x = estimate.y @ off, np.einsum("st,ntp->nsp", off, estimate.x)
    rng = np.random.default_rng(0)
    theta, odds, variance = estimate.theta + 0.05 * rng.normal(size=q), np.array([0.3, 0.0]), 1.5

    def losses(slopes: Any) -> Any:
        e = y[:, None] - np.einsum("ntp,kp->nkt", x, slopes[estimate.slots])
        return (e * e).sum(axis=2)

    def likelihood(values: Any) -> Any:
        eta = np.append(values[q:], 0.0)
        logs = eta - np.log(np.exp(eta).sum()) - losses(values[:q]) / (2 * variance)
        return np.log(np.exp(logs + 20).sum(axis=1)).sum()

    shares = np.exp(odds) / np.exp(odds).sum()
    weights = shares * np.exp(-losses(theta) / (2 * variance))
    tau = weights / weights.sum(axis=1, keepdims=True)
    assert_allclose(posterior(losses(theta), shares, variance), tau, rtol=1e-9)
    curvature = -approx_hess_cs(np.concatenate([theta, odds[:-1]]), likelihood)
    a = np.einsum("ntp,ntr->npr", x, x)
    complete = np.zeros((q + k - 1, q + k - 1))
    for g, slot in enumerate(estimate.slots):
        np.add.at(complete, (slot[:, None], slot), np.einsum("n,npr->pr", tau[:, g], a) / variance)
    complete[q:, q:] = n * (np.diag(shares) - np.outer(shares, shares))[:-1, :-1]
    found = missing_at(estimate, theta, tau, shares, variance)
    assert 0.05 < found.share < 0.8  # nothing is cut off, so that
    assert_allclose(
        np.sort(np.linalg.eigvals(np.linalg.solve(complete, curvature)).real), 1 - found.shares[::-1], rtol=1e-6
    )
    given = np.linalg.inv(complete[:q, :q])
    assert_allclose(found.inflated(given), np.linalg.inv(curvature)[:q, :q], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("case", ["complete", "holes", "weights"])
def test_information_of_known_groups_by_dense_algebra(panel: pd.DataFrame, case: str) -> None:
    """W_tau: least squares on every entity's share of every group, factors and loadings free to move."""
    rng = np.random.default_rng(3)
    data = panel.assign(w=rng.uniform(0.5, 2.0, len(panel)))
    data = data[rng.random(len(data)) > 0.15] if case == "holes" else data
    formula = "y ~ 0 + x1 + x2 | entity + time"
    res = fitted(data, formula, **({"weights": "w"} if case == "weights" else {}))
    estimate, index = res._estimate, res.model.design.index
    n, q = estimate.shape[0], estimate.theta.size
    tau = rng.dirichlet(np.ones(2), n)
    all_columns = nuisance_columns(res)
    own = [
        j
        for j, name in enumerate(all_columns.names)
        if name.startswith(("Intercept", "entity[")) and ":loading" not in name
    ]
    w = np.sqrt(data["w"].to_numpy()) if case == "weights" else np.ones(index.nobs)
    x, who = w[:, None] * index.from_cube(estimate.x), index.entity_codes

    def off(columns: Any, values: Any) -> Any:
        left = w[:, None] * columns
        return values - left @ np.linalg.lstsq(left, values, rcond=1e-11)[0]

    z = np.zeros((index.nobs, q))
    expected = np.zeros((q, q))
    units = off(all_columns.columns[:, own], x)
    for k, slot in enumerate(estimate.slots):
        z[:, slot] += tau[who, k][:, None] * x
        expected[np.ix_(slot, slot)] += (units * tau[who, k][:, None]).T @ units
    within, projected = off(all_columns.columns[:, own], z), off(all_columns.columns, z)
    expected -= within.T @ within - projected.T @ projected
    assert_allclose(_information(estimate, tau), expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())
    hard = np.eye(2)[estimate.groups]
    assert_allclose(_information(estimate, hard), np.linalg.inv(estimate.triangle.inverse), rtol=1e-7, atol=1e-7)
    assert_allclose(unit_losses(estimate)[np.arange(n), estimate.groups].sum(), estimate.ssr, rtol=1e-8)


def test_a_design_effect_tempers_the_likelihood(panel: pd.DataFrame) -> None:
    """With variances given the groups twice as large, probabilities are those of an error variance twice as large."""
    estimate = fitted(panel)._estimate
    variance = estimate.ssr / estimate.df.residual
    plain = variance * estimate.triangle.inverse
    once, twice, less = (missing_information(estimate, scale * plain, plain) for scale in (1.0, 2.0, 0.5))
    assert (once.design_effect, twice.design_effect, less.design_effect) == pytest.approx((1.0, 2.0, 1.0))
    sizes = np.bincount(estimate.groups) / len(estimate.groups)
    assert_allclose(twice.posterior, posterior(unit_losses(estimate), sizes, 2 * variance), rtol=1e-10)
    assert_allclose(less.shares, once.shares)
    assert once.n_unclear == int((once.posterior.max(axis=1) < 0.95).sum()) > 0
    assert once.share == min(once.shares[-1], 1.0)


@pytest.mark.parametrize("formula", ["y ~ 0 + x1 + x2", "y ~ x1 + x2 | entity + time"])
def test_what_periods_take_is_the_difference_of_two_projections(panel: pd.DataFrame, formula: str) -> None:
    estimate = fitted(panel, formula)._estimate
    rng = np.random.default_rng(1)
    tau = rng.dirichlet(np.ones(2), size=estimate.shape[0])
    z = np.zeros((*estimate.shape, estimate.theta.size))
    for k, slot in enumerate(estimate.slots):
        z[:, :, slot] += tau[:, k, None, None] * estimate.x
    within, both = (f(z).reshape(-1, z.shape[2]) for f in (estimate.off_units, estimate.project))
    assert_allclose(estimate.moments_of_periods(tau), within.T @ within - both.T @ both, rtol=1e-9, atol=1e-9)
