"""Slopes by the likelihood of a mixture, against a maximiser that knows nothing of EM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from gifepanel import GroupedIFE
from gifepanel.datasets import simulate
from gifepanel.inference.soft_groups import soft_groups


def fitted(common: str | None = None) -> Any:
    panel = simulate("S", 12, 10, random_state=3)
    options: dict[str, Any] = {"n_groups": 2, "n_factors": 1, "common": common}
    res = GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, **options).fit()
    return res._results._inference.estimate


def squares(estimate: Any, alpha: np.ndarray) -> np.ndarray:
    """Sums of squares (N, K) at the fitted factors, entity by entity."""
    out = np.empty((len(estimate.y), len(alpha)))
    for i, (y, x) in enumerate(zip(estimate.y, estimate.x, strict=True)):
        for k, slope in enumerate(alpha):
            left = y - x @ slope
            left = left - estimate.factors @ np.linalg.lstsq(estimate.factors, left, rcond=None)[0]
            out[i, k] = left @ left
    return out


@pytest.mark.parametrize(("phi", "common"), [(1.0, None), (1.7, None), (1.3, "x2")])
def test_em_finds_what_a_maximiser_of_the_likelihood_finds(phi: float, common: str | None) -> None:
    estimate = fitted(common)
    df, q = estimate.df.residual, estimate.theta.size

    def minus_likelihood(at: np.ndarray) -> float:
        theta, share, variance = at[:q], 1 / (1 + np.exp(-at[q])), np.exp(at[q + 1])
        logs = np.log([share, 1 - share]) - squares(estimate, theta[estimate.slots]) / (2 * variance * phi)
        return float(-logsumexp(logs, axis=1).sum() + df * at[q + 1] / (2 * phi))

    found = soft_groups(estimate, design_effect=phi, tol=1e-12)
    own = np.array([*found.theta, np.log(found.shares[0] / found.shares[1]), np.log(found.variance)])
    best = minimize(minus_likelihood, np.array([*estimate.theta, 0.0, np.log(estimate.ssr / df)]), method="BFGS")
    assert found.converged and np.abs(found.theta - estimate.theta).max() > 1e-4
    np.testing.assert_allclose(own, best.x, atol=2e-5)
    assert minus_likelihood(own) <= best.fun + 1e-9
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, rtol=1e-14)
    logs = np.log(found.shares) - squares(estimate, found.theta[estimate.slots]) / (2 * found.variance * phi)
    np.testing.assert_allclose(found.posterior, np.exp(logs - logsumexp(logs, axis=1, keepdims=True)), atol=1e-9)
