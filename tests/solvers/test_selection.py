"""Numbers of factors: the rules against their formulas and on panels with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.datasets import simulate
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.selection import (
    edge_distribution,
    eigenvalue_ratios,
    factor_criteria,
    group_criterion,
    heterogeneous_ssr,
)


def criteria_of(y, x, numbers, **effects):
    data = prepare(y, x, **effects)
    found = [heterogeneous_ssr(data, r) for r in numbers]
    return factor_criteria(data, numbers, [ssr for ssr, _ in found], found[-1][1])


def pure_factors(n, t, r, seed, noise=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, r)) @ rng.normal(size=(r, t)) * 1.5 + noise * rng.normal(size=(n, t))


def test_v_falls_to_the_truncated_sum_of_squares():
    """With a regressor that is nothing but noise, V(R) is the tail of the spectrum of y to first order."""
    y = pure_factors(60, 40, 2, 0)
    x = np.random.default_rng(1).normal(size=(60, 40, 1))
    found = criteria_of(y, x, [0, 1, 2, 3])
    tail = np.linalg.svd(y, compute_uv=False) ** 2
    expected = np.array([tail[r:].sum() for r in range(4)]) / y.size
    assert (np.diff(found.v) < 0).all()
    np.testing.assert_allclose(found.v, expected * (1 - 1 / 40), rtol=0.03)


def test_information_criteria_are_those_of_bai_and_ng():
    y, x = pure_factors(50, 30, 1, 2), np.random.default_rng(3).normal(size=(50, 30, 1))
    found = criteria_of(y, x, [0, 1, 2])
    n, t = y.shape
    g1 = (n + t) / (n * t) * np.log(n * t / (n + t))
    g2 = (n + t) / (n * t) * np.log(min(n, t))
    np.testing.assert_allclose(found.ic1, np.log(found.v) + np.arange(3) * g1, rtol=1e-12)
    np.testing.assert_allclose(found.ic2, np.log(found.v) + np.arange(3) * g2, rtol=1e-12)


@pytest.mark.parametrize("r", [0, 1, 3])
@pytest.mark.parametrize("shape", [(80, 60), (60, 80)])
def test_rules_find_the_number_of_factors(r, shape):
    y = pure_factors(*shape, r, 4)
    x = np.random.default_rng(5).normal(size=(*shape, 1))
    found = criteria_of(y, x, list(range(7)))
    assert (found.by_ic1, found.by_ic2) == (r, r)
    assert found.by_ed == r
    if r:
        assert (found.by_er, found.by_gr) == (r, r)


def test_ratios_are_those_of_ahn_and_horenstein():
    mu = np.array([9.0, 5.0, 1.0, 0.9, 0.8, 0.7, 0.6])
    total = mu.sum()
    mock = total / np.log(len(mu))
    er = [mock / mu[0], *(mu[k] / mu[k + 1] for k in range(4))]
    v = [total + mock, *(mu[k:].sum() for k in range(len(mu)))]
    growth = [np.log(v[k] / v[k + 1]) for k in range(len(v) - 1)]
    gr = [growth[k] / growth[k + 1] for k in range(5)]
    assert eigenvalue_ratios(mu, 4) == (int(np.argmax(er)), int(np.argmax(gr)))


def test_edge_distribution_of_noise_alone_is_zero():
    noise = np.random.default_rng(6).normal(size=(200, 150))
    eigenvalues = np.linalg.svd(noise, compute_uv=False) ** 2 / noise.size
    assert edge_distribution(eigenvalues, 8) == 0
    assert edge_distribution(np.concatenate([[1.0, 0.6], eigenvalues]), 8) == 2
    assert edge_distribution(eigenvalues[:4], 8) == 0


def test_criteria_do_not_depend_on_units():
    y, x = pure_factors(50, 40, 2, 7), np.random.default_rng(8).normal(size=(50, 40, 2))
    one, two = criteria_of(y, x, [0, 1, 2, 3]), criteria_of(1e4 * y, x * [1e3, 1e-3], [0, 1, 2, 3])
    np.testing.assert_allclose(one.ic2 - one.ic2[0], two.ic2 - two.ic2[0], atol=1e-6)


def test_group_criterion():
    assert group_criterion(200.0, 10, 20, 2, 3) == pytest.approx(np.log(1.0) + 2 / 3 / np.sqrt(200) * 6)


@pytest.mark.parametrize("design", ["S", "D"])
def test_designs_with_heterogeneous_slopes(design):
    panel = simulate(design, n_entities=60, n_times=40, random_state=9)
    found = criteria_of(panel.y, panel.x, list(range(6)))
    assert (found.by_ic1, found.by_ic2) == (2, 2)
