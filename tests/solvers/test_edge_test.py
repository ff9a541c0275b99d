"""The sequential test of the number of factors: its pieces against brute force, and what it finds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gifepanel.solvers import edge_test as module
from gifepanel.solvers.arrays import prepare, residuals
from gifepanel.solvers.cells import cells_of
from gifepanel.solvers.edge_fit import EdgePanel, bases, edge_panel, weighted_factors
from gifepanel.solvers.edge_test import edge_test, largest_share
from gifepanel.solvers.heterogeneous import heterogeneous_slopes


def remembering(rng, rho, shape):
    """Stationary autoregressions with unit variance along the last axis."""
    out = rng.standard_normal(shape)
    for s in range(1, shape[-1]):
        out[..., s] = rho * out[..., s - 1] + np.sqrt(1 - rho**2) * out[..., s]
    return out


def drawn(seed, n=60, t=30, r=2, rho=0.5):
    rng = np.random.default_rng(seed)
    common = rng.normal(0.5, 1, (n, r)) @ rng.normal(size=(r, t))
    x = rng.normal(size=(n, t, 1)) + 0.5 * common[..., None]
    return x[..., 0] * rng.normal(1, 0.3, (n, 1)) + common + remembering(rng, rho, (n, t)), x


def answer(y, x, most=4, **effects):
    data = prepare(y, x, standardize=True, **effects)
    left = [residuals(data, heterogeneous_slopes(data, r).beta) for r in range(most + 1)]
    return edge_test(edge_panel(data), list(range(most + 1)), left)


def test_the_share_is_that_of_the_first_singular_value():
    rng = np.random.default_rng(0)
    for shape in ((7, 12), (12, 7)):
        resid = rng.normal(size=shape) * rng.uniform(0.1, 9, (shape[0], 1))
        z = resid / np.sqrt(np.square(resid).mean(axis=1, keepdims=True))
        squares = np.linalg.svd(z, compute_uv=False) ** 2
        found = largest_share(np.stack([resid, 3 * resid]), np.ones(shape, dtype=bool))
        np.testing.assert_allclose(found, squares[0] / squares.sum(), rtol=1e-12)


@pytest.mark.parametrize("used", [0.0, 0.6])
def test_autocorrelations_of_residuals_are_those_of_projections(used):
    """The map from errors to residuals, against dense projections."""
    rng = np.random.default_rng(1)
    seen = rng.random((8, 14)) > 0.2
    panel = EdgePanel(np.zeros((8, 14)), rng.normal(size=(8, 14, 3)) * seen[..., None], np.empty((8, 14, 0)), seen)
    fit = SimpleNamespace(units=bases(panel.unit))
    found = module._map(panel, fit, used)
    for j in (3, 20, 39):
        full = 14 + (used > 0)
        v = module._GRID[j] ** np.abs(np.subtract.outer(np.arange(full), np.arange(full)))
        if used:
            step = np.eye(full)[1:] - used * np.eye(full)[:-1]
            v = step @ v @ step.T
        over = under = 0.0
        for q, own in zip(fit.units, seen, strict=True):
            m = np.diag(own.astype(float)) - q @ q.T
            covariance = m @ v @ m
            over += np.trace(covariance, offset=1)
            under += np.trace(covariance)
        assert found[j] == pytest.approx(over / under, rel=1e-10)


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_memory_is_that_of_the_errors(rho):
    y, x = drawn(2, n=100, t=30, rho=rho)
    found = answer(y, x, entity_effects=True)
    assert found.n_factors == 2 and found.memory[2] == pytest.approx(rho, abs=0.06)
    # what residuals show is less than that
    data = prepare(y, x, entity_effects=True)
    fit = weighted_factors(edge_panel(data), residuals(data, heterogeneous_slopes(data, 2).beta), 2)
    shown = (fit.resid[:, 1:] * fit.resid[:, :-1]).sum() / np.square(fit.resid).sum()
    assert shown < rho - 0.03


@pytest.mark.parametrize("effects", [{}, {"entity_effects": True, "time_effects": True}])
@pytest.mark.parametrize(("r", "rho"), [(0, 0.0), (0, 0.8), (2, 0.0), (2, 0.8)])
def test_it_finds_the_factors_whatever_errors_remember(r, rho, effects):
    y, x = drawn(5, r=r, rho=rho)
    found = answer(y, x, **effects)
    assert found.n_factors == r and found.accepted
    assert (found.share[:r] > found.edge[:r]).all() and found.share[r] <= found.edge[r]
    assert np.isnan(found.share[r + 1 :]).all()


def test_candidates_may_end_below_what_there_is():
    y, x = drawn(4)
    found = answer(y, x, most=1)
    assert (found.n_factors, found.accepted) == (1, False)


def test_order_signs_and_units_change_nothing():
    y, x = drawn(5)
    one = answer(y, x)
    order = np.random.default_rng(6).permutation(len(y))
    two = answer(-1e3 * y[order], 1e-2 * x[order])
    np.testing.assert_allclose(two.share, one.share, rtol=1e-6)
    np.testing.assert_allclose(two.edge, one.edge, rtol=1e-3)
    three = answer(y, x)
    np.testing.assert_array_equal(three.edge, one.edge)


def test_cells():
    """On all cells the answer of the complete panel; with a fifth missing the same factors."""
    y, x = drawn(7, n=80)
    data = prepare(y, x)
    left = [residuals(data, heterogeneous_slopes(data, r).beta) for r in range(4)]
    whole = edge_test(edge_panel(data), range(4), left)
    seen = np.ones(y.shape, dtype=bool)
    same = edge_test(edge_panel(cells_of(y, x, seen)), range(4), left)
    np.testing.assert_allclose(same.share, whole.share, rtol=1e-9)
    seen = np.random.default_rng(8).random(y.shape) > 0.2
    holes = edge_test(edge_panel(cells_of(y, x, seen)), range(4), [e * seen for e in left])
    assert holes.n_factors == whole.n_factors == 2
    assert holes.memory[2] == pytest.approx(0.5, abs=0.1)


def test_a_panel_without_noise_ends_where_nothing_is_left():
    rng = np.random.default_rng(10)
    y, x = np.outer(rng.normal(size=12), rng.normal(size=15)), rng.normal(size=(12, 15, 1))
    found = answer(y, x, most=3)
    assert found.n_factors >= 1 and found.share[0] > found.edge[0]
    nothing = edge_test(edge_panel(prepare(np.zeros((12, 15)), x)), [0, 1], [np.zeros((12, 15))] * 2)
    assert nothing.n_factors == 0 and nothing.memory[0] == 0.0


def test_too_few_entities_say_nothing():
    rng = np.random.default_rng(9)
    y, x = rng.normal(size=(3, 12)), rng.normal(size=(3, 12, 1))
    found = edge_test(edge_panel(prepare(y, x)), [1, 2], [y, y])
    assert found.n_factors == 1 and found.accepted and np.isnan(found.share).all()
