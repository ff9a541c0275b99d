"""Least squares with factors on observed cells: derivatives, optimality, identities."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.kernels.cell_newton import fix_gauge, invert_blocks, invert_scaled
from gifepanel.kernels.cells import evaluate_cells, hessian_product, normal_blocks, slope_moments, unit_sums
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.cell_descent import SPANNED, alternate_cells, descend_cells, room
from gifepanel.solvers.cell_interactive import fit_cells_multistart
from gifepanel.solvers.cells import Cells, canonical_units, cells_of, core
from gifepanel.solvers.interactive import SlopeMap, fit_interactive_multistart
from gifepanel.solvers.multistart import interactive_starts
from tests.solvers.cell_panels import holed, laid_out
from tests.solvers.panels import annihilator


@pytest.fixture(scope="module")
def weighted() -> tuple[Cells, SlopeMap]:
    """12 x 11, a fifth missing, weights, a trend and both effects, two groups with one slope in common."""
    panel, observed = holed(12, 11, seed=3)
    n, t = observed.shape
    known = np.stack([np.ones((n, t)), np.broadcast_to(np.linspace(-1, 1, t), (n, t))], axis=-1)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, (n, t))
    period = np.ones((n, t, 1))
    cells = cells_of(panel.y, panel.x, observed, known=known, period=period, weights=weights)
    return cells, SlopeMap.grouped(np.arange(n) % 2, 2, 2, (1,))


def point(cells: Cells, slopes: SlopeMap, r: int, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    m, t = cells.data.period.shape[0], cells.shape[1]
    return [rng.standard_normal(slopes.size), rng.standard_normal((r, t)), rng.standard_normal((m, t))]


def evaluated(cells: Cells, slopes: SlopeMap, at: list[np.ndarray]):
    state = room(cells, len(at[1]), slopes.size)
    return evaluate_cells(cells.data, slopes.groups, slopes.slots, *at, SPANNED, state), state


def test_an_evaluation_is_least_squares_of_every_entity(weighted):
    cells, slopes = weighted
    at = point(cells, slopes, 2)
    ssr, state = evaluated(cells, slopes, at)
    data, total = cells.data, 0.0
    moments, blocks = np.empty((12, 2, 2)), np.empty((cells.shape[1], 3, 3))
    unit_sums(data, state, slopes.unit_slopes(at[0]), moments, np.empty((12, 2)), np.empty(12))
    normal_blocks(data, state, blocks)
    dense = np.zeros_like(blocks)
    for i, (lo, hi) in enumerate(zip(data.ptr[:-1], data.ptr[1:], strict=True)):
        time, x = data.time[lo:hi], data.x[:, lo:hi].T
        y = data.y[lo:hi] - x @ at[0][slopes.slots[slopes.groups[i]]] - data.period[0, lo:hi] * at[2][0, time]
        basis = np.vstack([data.known[:, lo:hi], data.root[lo:hi] * at[1][:, time]]).T
        off = annihilator(basis)
        np.testing.assert_allclose(state.e[lo:hi], off @ y, atol=1e-12)
        np.testing.assert_allclose(state.coef[i], np.linalg.lstsq(basis, y, rcond=None)[0], atol=1e-10)
        np.testing.assert_allclose(moments[i], x.T @ off @ x, atol=1e-12)
        total += y @ off @ y
        own = np.vstack([data.root[lo:hi] * state.coef[i, 2:, None], data.period[:, lo:hi]]).T
        np.add.at(dense, time, own[:, :, None] * own[:, None, :])
    assert ssr == pytest.approx(total, rel=1e-13)
    np.testing.assert_allclose(blocks, dense, atol=1e-12)
    inverses, gram, inverse = np.empty_like(blocks), np.empty((3, 3)), np.empty((3, 3))
    invert_blocks(blocks, inverses)
    np.testing.assert_allclose(inverses @ blocks, np.broadcast_to(np.eye(3), blocks.shape), atol=1e-6)
    slope_moments(data, state, slopes.groups, slopes.slots, gram)
    for shape in (gram, np.outer(gram[0], gram[0])):  # one of full rank, one of rank one
        invert_scaled(shape, inverse)
        np.testing.assert_allclose(shape @ inverse @ shape, shape, rtol=1e-9, atol=1e-9 * np.abs(shape).max())


def test_gradient_and_hessian_are_those_of_finite_differences(weighted):
    cells, slopes = weighted
    at, way = point(cells, slopes, 2), point(cells, slopes, 2, seed=2)
    step = 1e-5
    ends = [evaluated(cells, slopes, [a + s * w for a, w in zip(at, way, strict=True)]) for s in (-step, step)]
    _, state = evaluated(cells, slopes, at)
    gradient = way[0] @ state.g_theta + (np.vstack(way[1:]) * state.g_period).sum()
    assert gradient == pytest.approx(0.5 * (ends[1][0] - ends[0][0]) / (2 * step), rel=1e-7)
    outs = [np.empty_like(state.g_period), np.empty_like(state.g_theta)]
    work = [np.empty((2, cells.shape[1])), np.empty(4), np.empty(4)]
    hessian_product(cells.data, slopes.groups, slopes.slots, state, np.vstack(way[1:]), way[0], True, *outs, *work)
    for out, name in zip(outs, ("g_period", "g_theta"), strict=True):
        slope = (getattr(ends[1][1], name) - getattr(ends[0][1], name)) / (2 * step)
        np.testing.assert_allclose(out, slope, atol=1e-6 * np.abs(slope).max())


def test_a_gauge_is_orthonormal_whatever_the_factors_are():
    series = np.full((1, 9), 1 / 3.0)
    row = np.arange(9.0)
    factors, effects = np.vstack([row, 2 * row + 1, np.zeros(9)]), np.vstack([row, row**2])
    gauge = np.empty((4, 9))
    fix_gauge(series, np.array([False, False, False, False, True]), factors, effects, gauge)
    np.testing.assert_allclose(gauge @ gauge.T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(factors, 3.0 * gauge[1:], atol=1e-12)
    np.testing.assert_allclose(gauge @ effects[0], 0.0, atol=1e-12)
    np.testing.assert_array_equal(effects[1], row**2)


def test_rounds_and_steps_lower_the_sum_of_squares(weighted):
    cells, slopes = weighted
    at = point(cells, slopes, 2)
    path = [evaluated(cells, slopes, at)[0]]
    for _ in range(6):
        *at, ssr = alternate_cells(cells, slopes, *at, 1)
        path.append(ssr)
    for steps in range(1, 25):
        path.append(descend_cells(cells, slopes, *at, max_iter=steps).ssr)
    assert (np.diff(path) <= 1e-12 * path[0]).all()
    fit = descend_cells(cells, slopes, *at, tol=1e-12)
    assert fit.converged and fit.gradient <= 1e-12 and fit.ssr <= path[-1] * (1.0 + 1e-15)  # one rounding
    assert descend_cells(cells, slopes, *at, known=fit) is fit  # it leads to a minimum that is known


@pytest.mark.parametrize("effects", [(False, False), (True, True)])
def test_all_cells_observed_it_is_the_solver_of_complete_panels(effects):
    panel, _ = holed(25, 12, seed=5, entity=0.5, time=0.5)
    cells = laid_out(panel, np.ones((25, 12), dtype=bool), *effects)
    slopes = SlopeMap(np.zeros(25, dtype=np.int64), np.arange(2)[None])
    found = fit_cells_multistart(cells, slopes, 2, 4, np.random.default_rng(0))
    data = prepare(panel.y, panel.x, entity_effects=effects[0], time_effects=effects[1])
    starts = interactive_starts(data, slopes, 2, 4, np.random.default_rng(0))
    fit = fit_interactive_multistart(data, slopes, 2, starts, tol=1e-11)
    assert found.fit.ssr == pytest.approx(fit.ssr, rel=1e-11)
    np.testing.assert_allclose(found.fit.theta, fit.theta, rtol=1e-9)


def test_a_weight_is_so_many_copies_of_an_entity():
    panel, observed = holed(15, 12, seed=6)
    copies = np.arange(15) % 3 + 1
    rows = np.repeat(np.arange(15), copies)
    weights = np.broadcast_to(copies[:, None], observed.shape).astype(float)
    fits = []
    for own, options in ((slice(None), {"weights": weights}), (rows, {})):
        part = type(panel)(panel.y[own], panel.x[own], panel.groups[own], panel.alpha)
        cells = laid_out(part, observed[own], **options)
        slopes = SlopeMap(np.zeros(cells.shape[0], dtype=np.int64), np.arange(2)[None])
        fits.append(fit_cells_multistart(cells, slopes, 1, 4, np.random.default_rng(0)).fit)
    assert fits[0].ssr == pytest.approx(fits[1].ssr, rel=1e-11)
    np.testing.assert_allclose(fits[0].theta, fits[1].theta, rtol=1e-10)


def test_what_is_pruned_is_fitted_exactly():
    panel, observed = holed(20, 14, seed=7)
    thin = observed.copy()
    thin[4, 3:], thin[:, 9], thin[9, :11] = False, False, False
    thin[0, 9] = True
    kept = core(thin, 3, 3)
    assert not kept[4].any() and not kept[:, 9].any() and kept.sum() < thin.sum()
    part = [type(panel)(panel.y, panel.x, panel.groups, panel.alpha), thin]
    rows, columns = kept.any(axis=1), kept.any(axis=0)
    small = type(panel)(panel.y[rows][:, columns], panel.x[rows][:, columns], panel.groups, panel.alpha)
    cells = laid_out(small, kept[rows][:, columns])
    one = np.arange(2)[None]
    fit = fit_cells_multistart(cells, SlopeMap(np.zeros(len(small.y), dtype=np.int64), one), 2, 6, _rng()).fit
    # all cells: the period that one entity has alone is fitted by its effect, and there is nothing left to gain
    factors, effects = np.zeros((2, 14)), np.zeros((1, 14))
    factors[:, columns], effects[:, columns] = fit.factors, fit.effects
    effects[0, 9] = panel.y[0, 9] - panel.x[0, 9] @ fit.theta - fit.state.coef[0, 0]
    everybody = SlopeMap(np.zeros(20, dtype=np.int64), one)
    ssr, state = evaluated(laid_out(*part), everybody, [fit.theta, factors, effects])
    assert ssr == pytest.approx(fit.ssr, rel=1e-12)
    np.testing.assert_allclose(state.g_theta, 0.0, atol=1e-8)
    np.testing.assert_allclose(state.g_period, 0.0, atol=1e-8)


def _rng():
    return np.random.default_rng(0)


def test_entities_in_another_order_are_the_same_cells():
    panel, observed = holed(12, 10, seed=8)
    cells = laid_out(panel, observed)
    order = np.random.default_rng(0).permutation(12)
    other = laid_out(type(panel)(panel.y[order], panel.x[order], panel.groups, panel.alpha), observed[order])
    for a, b in zip(cells.take(order).data, other.data, strict=True):
        np.testing.assert_array_equal(a, b)
    first, second = cells.take(canonical_units(cells)), other.take(canonical_units(other))
    for a, b in zip(first.data, second.data, strict=True):
        np.testing.assert_array_equal(a, b)
    slopes = SlopeMap(np.zeros(12, dtype=np.int64), np.arange(2)[None])
    at = point(cells, slopes, 2)
    state, turned = evaluated(cells, slopes, at)[1], evaluated(other, slopes, at)[1]
    for name in ("e", "q", "tri", "coef"):
        np.testing.assert_array_equal(getattr(cells.state_in_order(state, order), name), getattr(turned, name))
