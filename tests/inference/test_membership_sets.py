"""Confidence sets for group membership, against loops over entities, groups and periods."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.datasets import simulate
from gifepanel.inference.entity_variances import moderated_variances
from gifepanel.inference.error_autocovariances import error_autocovariances
from gifepanel.inference.membership_sets import membership_sets, membership_statistics


def by_loops(estimate: Any, cov: np.ndarray, serial: bool) -> np.ndarray:
    """max over h of D_i(g, h), in the words of Dzemski & Okui with factors and effects projected out."""
    n, t = estimate.y.shape
    alpha, variance = estimate.theta[estimate.slots], estimate.ssr / estimate.df.residual
    basis = np.column_stack([estimate.factors, *([np.ones(t)] if estimate.entity_effects else [])])
    annihilator = np.eye(t) - basis @ np.linalg.pinv(basis)
    lags = ceil(t**0.25)
    shifts = [np.eye(t, k=lag) for lag in range(lags + 1)]
    seen = [float((estimate.resid @ shift * estimate.resid).sum()) for shift in shifts]
    shares = [
        [np.trace(annihilator @ (s if j == 0 else s + s.T) @ annihilator @ shift.T) for j, s in enumerate(shifts)]
        for shift in shifts
    ]
    gamma = np.linalg.solve(shares, seen) / n * (n * np.trace(annihilator) / estimate.df.residual)
    assert gamma[0] == pytest.approx(variance, rel=0.1)
    out = np.full((n, len(alpha)), -np.inf)
    for i in range(n):
        y, x = annihilator @ (estimate.y[i] - estimate.time_effect), annihilator @ estimate.x[i]
        for g, own in enumerate(alpha):
            for h, other in enumerate(alpha):
                if g == h:
                    continue
                u, v = y - x @ own, x @ (other - own)
                noise = variance * v @ v
                if serial:
                    noise = gamma[0] * v @ v + 2 * sum(gamma[k] * (v[k:] @ v[: t - k]) for k in range(1, lags + 1))
                noise = max(noise, 0.1 * variance * v @ v)
                w = x.T @ v
                slot = estimate.slots[g]
                noise += w @ cov[np.ix_(slot, slot)] @ w
                out[i, g] = max(out[i, g], (v @ u) / np.sqrt(noise))
    return out


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("effects", ["", " | entity + time"])
def test_statistics_by_loops(serial: bool, effects: str) -> None:
    panel = simulate("S", 14, 12, random_state=5)
    res = GroupedIFE.from_formula(f"y ~ 0 + x1 + x2{effects}", panel.data, n_groups=3, n_factors=1).fit()._results
    estimate, cov = res._inference.estimate, res._covariance.cov
    expected = by_loops(estimate, cov, serial)
    np.testing.assert_allclose(membership_statistics(estimate, cov, serial=serial), expected, rtol=1e-8)
    for joint in (True, False):
        critical = norm.ppf(1 - 0.1 / (2 * (14 if joint else 1)))
        inside = expected <= critical
        inside[np.arange(14), estimate.groups] = True
        sets = membership_sets(estimate, cov, 0.9, joint=joint, serial=serial)
        np.testing.assert_array_equal(sets, inside)


def test_autocovariances_of_white_noise_are_zero_where_those_of_residuals_are_not() -> None:
    means = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x, e = rng.standard_normal((900, 10, 1)), rng.standard_normal((900, 10))
        common = rng.standard_normal((900, 2)) @ rng.standard_normal((2, 10))
        model = InteractiveFE(3 * common + x[:, :, 0] + e, x, n_factors=2, absorb="entity")
        estimate = model.fit()._inference.estimate
        resid = estimate.wresid
        means.append([*error_autocovariances(estimate, 2)[1:], (resid[:, 1:] * resid[:, :-1]).mean()])
    first, second, naive = np.mean(means, axis=0)
    assert abs(first) < 0.02 > abs(second)
    assert naive < -0.05


def test_autocovariances_on_cells_are_those_of_the_balanced_panel_entity_by_entity() -> None:
    panel = simulate("S", 12, 10, random_state=3)
    data = panel.data.drop(index=panel.data.index[[5, 37, 38, 91]])
    estimate = GroupedIFE.from_formula("y ~ 0 + x1 + x2 | entity", data, n_groups=1, n_factors=1).fit()
    estimate = estimate._inference.estimate
    shares, sums = np.zeros((3, 3)), np.zeros(3)
    for e, seen in zip(estimate.wresid, estimate.observed, strict=True):
        basis = np.column_stack([estimate.factors, np.ones(10)]) * seen[:, None]
        m = np.diag(seen * 1.0) - basis @ np.linalg.pinv(basis)
        for lag in range(3):
            sums[lag] += e[: 10 - lag] @ e[lag:]
            for j in range(3):
                toeplitz = np.eye(10, k=j) + (np.eye(10, k=-j) if j else 0.0)
                shares[lag, j] += np.trace(m @ toeplitz @ m, offset=lag)
    expected = np.linalg.solve(shares, sums) * shares[0, 0] / estimate.df.residual
    np.testing.assert_allclose(error_autocovariances(estimate, 2), expected, rtol=1e-9)


def test_variances_of_entities_that_are_alike_are_one() -> None:
    rng = np.random.default_rng(2)
    df = np.full(200, 20.0)
    alike = moderated_variances(3.0 * rng.chisquare(df), df, 3.1)
    assert alike.df.min() > 200
    np.testing.assert_allclose(alike.variance, 3.0, rtol=0.1)
    few = moderated_variances(np.array([1.0, 9.0]), np.array([5.0, 5.0]), 2.0)
    assert np.isinf(few.df).all() and (few.variance == 2.0).all()


def test_variances_that_differ_are_drawn_towards_each_other() -> None:
    rng = np.random.default_rng(3)
    prior, level, df = 8.0, 2.0, np.where(np.arange(4000) < 2000, 15.0, 30.0)
    true = prior * level / rng.chisquare(prior, df.size)  # scaled inverse chi-squared
    ssr = true * rng.chisquare(df)
    found = moderated_variances(ssr, df, 1.0)
    assert found.df[0] - 15.0 == pytest.approx(prior, rel=0.1)
    np.testing.assert_allclose(found.variance, (prior * level + ssr) / (prior + df), rtol=0.1)
    own = ssr / df
    assert ((np.log(found.variance / true)) ** 2).mean() < 0.9 * (np.log(own / true) ** 2).mean()
    none = moderated_variances(np.append(ssr, 0.0), np.append(df, 0.0), 1.0)
    assert none.variance[-1] == pytest.approx(level, rel=0.1) and none.df[-1] == pytest.approx(prior, rel=0.1)
