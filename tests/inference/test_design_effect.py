"""The design effect against the covariances it compares."""

from __future__ import annotations

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.inference.design_effect import clustered_design_effect
from gifepanel.models.base import FactorModel


def estimate_of(y, x, **options):
    model: FactorModel = gife.InteractiveFE(y, x, n_factors=1, **options)
    res = model.fit()
    return res, res.model._estimate


@pytest.mark.parametrize("holes", [False, True])
def test_it_is_the_mean_ratio_of_variances(holes):
    rng = np.random.default_rng(0)
    errors, x = rng.normal(size=(40, 20)), rng.normal(size=(40, 20, 2))
    for s in range(1, 20):
        errors[:, s] += 0.7 * errors[:, s - 1]
        x[:, s] += 0.7 * x[:, s - 1]
    y = x.sum(axis=2) + errors
    if holes:
        y[rng.random(y.shape) < 0.1] = np.nan
    res, estimate = estimate_of(y, x)
    clustered = res.get_robustcov_results("cluster").bse ** 2
    expected = float(np.mean(np.asarray(clustered) / np.asarray(res.bse) ** 2))
    assert clustered_design_effect(estimate) == pytest.approx(expected, rel=1e-9)
    assert expected > 1.5


def test_it_is_at_least_one():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 10, 1))
    assert clustered_design_effect(estimate_of(x[..., 0] + rng.normal(size=(12, 10)), x)[1]) >= 1.0
