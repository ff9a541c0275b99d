"""Bias and coverage of average effects under staggered adoption, 200 draws each: slow; docs/counterfactuals.md."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife

pytestmark = pytest.mark.slow

DRAWS = 200
N, T = 60, 30
KINDS = ("cluster", "HC2", "nonrobust")


def draw(seed: int, design: str) -> tuple[pd.DataFrame, float]:
    """A panel in which 25 of 60 entities are treated from period 15, 18, 21 or 24 on, and the truth."""
    rng = np.random.default_rng(seed)
    n_factors = 0 if design.startswith("two-way") else 2
    f, load = rng.normal(size=(T, n_factors)), 1 + rng.normal(size=(N, n_factors))
    load[:25] += 0.5
    x = rng.normal(size=(N, T)) + 0.5 * load @ f.T
    error = rng.normal(size=(N, T + 20))
    if design.endswith("serial"):
        for t in range(1, T + 20):
            error[:, t] = 0.5 * error[:, t - 1] + np.sqrt(0.75) * error[:, t]
    start = np.full(N, T)
    start[:25] = rng.choice([15, 18, 21, 24], size=25)
    since = np.arange(T) - start[:, None]
    effect = 1 + 0.2 * since
    if design.startswith("effects"):
        effect = effect + rng.normal(size=(N, 1))
    slope = np.where(np.arange(N) % 2, 2.0, 0.5)[:, None] if design.startswith("groups") else 1.0
    y = slope * x + load @ f.T + rng.normal(size=(N, 1)) + rng.normal(size=T) + error[:, 20:] + effect * (since >= 0)
    index = pd.MultiIndex.from_product([range(N), range(T)], names=["i", "t"])
    data = pd.DataFrame({"y": y.ravel(), "x": x.ravel(), "d": (since >= 0).ravel()}, index=index)
    return data, float(effect[since >= 0].mean())


def fitted(data: pd.DataFrame, design: str) -> Any:
    if design.startswith("groups"):
        model: Any = gife.GroupedIFE.from_formula("y ~ x | i + t", data, n_groups=2, n_factors=2, treated="d")
        return model.fit()
    n_factors = 0 if design.startswith("two-way") else 2
    model = gife.InteractiveFE.from_formula("y ~ x | i + t", data, n_factors=n_factors, treated="d")
    return model.fit(n_starts=3)


# by design: bias, standard deviation, then coverage of 95 % intervals by covariance
STORED = {
    "factors": (0.003, 0.114, 0.965, 0.955, 0.955),
    "effects by entity": (0.003, 0.114, 1.0, 0.955, 0.955),
    "two-way, serial": (-0.003, 0.158, 0.955, 0.74, 0.75),
    "groups": (0.004, 0.114, 0.965, 0.95, 0.945),
}


def table_row(design: str) -> tuple[float, ...]:
    rows = []
    for seed in range(DRAWS):
        data, truth = draw(seed, design)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            res = fitted(data, design)
        row = [res.counterfactual().att - truth]
        for kind in KINDS:
            low, high = res.counterfactual(cov_type=kind).conf_int().iloc[0]
            row.append(float(low <= truth <= high))
        rows.append(row)
    found = np.array(rows)
    return tuple(np.round([found[:, 0].mean(), found[:, 0].std(), *found[:, 1:].mean(axis=0)], 3).tolist())


@pytest.mark.parametrize("design", STORED)
def test_coverage(design: str) -> None:
    found = table_row(design)
    np.testing.assert_allclose(found, STORED[design], atol=0.011)
    bias, deviation, *cover = found
    assert abs(bias) < 3 * deviation / np.sqrt(DRAWS)
    assert cover[0] > 0.92
