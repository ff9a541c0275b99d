"""Confidence sets for group membership, against loops over entities, groups and periods."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from gifepanel import GroupedIFE
from gifepanel.datasets import simulate
from gifepanel.inference.membership_sets import membership_sets, membership_statistics


def by_loops(estimate: Any, cov: np.ndarray, serial: bool) -> np.ndarray:
    """max over h of D_i(g, h), in the words of Dzemski & Okui with factors and effects projected out."""
    n, t = estimate.y.shape
    alpha, variance = estimate.theta[estimate.slots], estimate.ssr / estimate.df.residual
    basis = np.column_stack([estimate.factors, *([np.ones(t)] if estimate.entity_effects else [])])
    annihilator = np.eye(t) - basis @ np.linalg.pinv(basis)
    autocov = [
        float((estimate.resid[:, lag:] * estimate.resid[:, : t - lag]).sum())
        * (n * t / estimate.df.residual)
        / (n * (t - lag))
        for lag in range(1, ceil(t**0.25) + 1)
    ]
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
                    for lag, gamma in enumerate(autocov, start=1):
                        noise += 2 * gamma * (v[lag:] @ v[: t - lag])
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
