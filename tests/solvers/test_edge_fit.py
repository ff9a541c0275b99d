"""Weighted factors beside slopes of every entity: bases, optimality, and holes."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.solvers.arrays import prepare, residuals
from gifepanel.solvers.cells import cells_of
from gifepanel.solvers.edge_fit import EdgePanel, bases, edge_panel, quasi_difference, weighted_factors
from gifepanel.solvers.heterogeneous import heterogeneous_slopes


def drawn(seed=0, n=40, t=25, r=2, *, noisy=0):
    """Outcome and regressors with r factors that they load on; the first `noisy` entities with a large variance."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, r)) @ rng.normal(size=(r, t))
    x = rng.normal(size=(n, t, 2)) + 0.5 * common[..., None]
    errors = rng.normal(size=(n, t))
    errors[:noisy] *= 6.0
    return x @ np.ones(2) + common + errors, x, common


def test_bases_are_orthonormal_and_span_the_columns():
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(5, 12, 3))
    columns = np.concatenate([columns, columns[..., :1] + columns[..., 1:2], np.zeros((5, 12, 1))], axis=2)
    q = bases(columns)
    gram = np.swapaxes(q, 1, 2) @ q
    np.testing.assert_allclose(gram, np.broadcast_to(np.diag([1.0, 1.0, 1.0, 0.0, 0.0]), gram.shape), atol=1e-12)
    np.testing.assert_allclose(q @ (np.swapaxes(q, 1, 2) @ columns), columns, atol=1e-12)


def test_equal_variances_give_the_factors_of_heterogeneous_slopes():
    y, x, _ = drawn()
    y -= y.mean(axis=1, keepdims=True)
    data = prepare(y, x)
    plain = heterogeneous_slopes(data, 2, tol=1e-10, max_iter=500)
    found = weighted_factors(edge_panel(data), residuals(data, np.ones((40, 2))), 2)
    # weights that differ by sampling error alone
    angles = np.linalg.svd(np.linalg.qr(plain.components.factors)[0].T @ found.factors)[1]
    assert angles.min() > 0.99


def test_residuals_are_orthogonal_to_what_was_taken_out():
    y, x, _ = drawn(2)
    seen = np.random.default_rng(3).random(y.shape) > 0.15
    period = np.ones((*y.shape, 1))
    cells = cells_of(y, x, seen, known=np.ones((*y.shape, 1)), period=period)
    panel = edge_panel(cells)
    np.testing.assert_array_equal(panel.observed, seen)
    found = weighted_factors(panel, y * seen, 2)
    assert not found.resid[~seen].any() and not found.units[~seen].any() and not found.periods[~seen.T].any()
    size = np.abs(found.resid).max()
    assert np.abs(np.einsum("tnr,nt->tr", found.periods[..., :1], found.resid)).max() < 0.05 * size
    # slopes, loadings and factors take turns: residuals of a converged fit are orthogonal to both
    left = np.einsum("ntk,nt->nk", found.units, found.resid)
    assert np.abs(left).max() < 0.1 * np.linalg.norm(found.resid, axis=1).max()


def test_weights_find_the_factors_of_all_before_those_of_the_noisy():
    y, x, common = drawn(4, n=60, r=1, noisy=12)
    truth = np.linalg.svd(common)[2][0]
    data = prepare(y, x)
    start = residuals(data, np.ones((60, 2)))
    plain = np.abs(np.linalg.svd(start)[2][0] @ truth)
    assert np.abs(weighted_factors(edge_panel(data), start, 1).factors[:, 0] @ truth) > 0.98 > plain


def test_no_entity_takes_a_factor_for_itself():
    """Without the leverage the variance of one entity goes to zero, and the factor is its series (Heywood 1931)."""
    for seed in range(6):
        y, x, _ = drawn(seed, n=30, t=20, r=2, noisy=6)
        data = prepare(y, x)
        found = weighted_factors(edge_panel(data), residuals(data, np.ones((30, 2))), 2)
        assert np.square(found.periods[0]).sum(axis=1).max() < 0.7


def test_complete_cells_are_the_complete_panel():
    y, x, _ = drawn(5)
    one, two = edge_panel(prepare(y, x)), edge_panel(cells_of(y, x, np.ones(y.shape, dtype=bool)))
    np.testing.assert_array_equal(one.y, two.y)
    np.testing.assert_allclose(one.unit, two.unit)
    assert two.observed.all()
    weights = np.random.default_rng(6).uniform(0.5, 2.0, y.shape)
    weighted = edge_panel(cells_of(y, x, np.ones(y.shape, dtype=bool), weights=weights))
    np.testing.assert_allclose(weighted.y, y, rtol=1e-14)


@pytest.mark.parametrize("rho", [0.5, -0.3])
def test_differences_take_pairs_that_are_observed(rho):
    y, x, _ = drawn(7, n=6, t=9)
    seen = np.ones(y.shape, dtype=bool)
    seen[0, 3] = seen[1, 0] = False
    size = np.random.default_rng(8).random((6, 9, 1))
    panel = EdgePanel(y * seen, x * seen[..., None], np.concatenate([np.ones((6, 9, 1)), size], axis=2), seen)
    done = panel.differenced(rho)
    assert done.observed.sum() == 6 * 8 - 3 and not done.y[~done.observed].any()
    np.testing.assert_allclose(done.y[2], y[2, 1:] - rho * y[2, :-1])
    np.testing.assert_array_equal(done.y, quasi_difference(panel.y, rho, done.observed))
    # effects of two periods where what they multiply changes over time; the same ones where it does not
    assert done.period.shape[2] == 4
    constant = EdgePanel(panel.y, panel.unit, np.ones((6, 9, 1)), seen).differenced(rho)
    assert constant.period.shape[2] == 1
