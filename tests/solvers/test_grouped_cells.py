"""Groups of slopes with factors on observed cells: references, identities, the search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gifepanel.kernels.regroup_cells import alternate_on_cells
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.cell_descent import SPANNED, descend_cells, free_rows
from gifepanel.solvers.cell_interactive import fit_cells_multistart
from gifepanel.solvers.grouped import GroupedOptions, fit_grouped
from gifepanel.solvers.grouped_cells import fit_grouped_cells
from gifepanel.solvers.interactive import SlopeMap
from tests.solvers.cell_panels import REFERENCE, cigarettes, holed, laid_out
from tests.solvers.panels import matched

NONE = np.empty(0, dtype=np.int64)


@pytest.fixture(scope="module")
def small():
    """14 x 12, a fifth missing, noisy: many groupings are nearly as good."""
    panel, observed = holed(14, 12, seed=2, noise=1.5)
    cells = laid_out(panel, observed, standardize=True)
    return panel, cells, fit_grouped_cells(cells, 2, 1)


@pytest.mark.parametrize("time", [False, True])
def test_the_best_grouping_of_the_states_is_found(time):
    expected = REFERENCE[f"cigar1180 grouped K2 R1 en1 te{int(time)}"]
    cells, states = cigarettes(time)
    members = (~np.isin(states, expected["members_of_group_1"])).astype(np.int64)
    given = SlopeMap.grouped(members, 2, 2)
    fit = fit_cells_multistart(cells, given, 1, 4, np.random.default_rng(0)).fit
    theta = fit.theta[given.slots] / cells.scale
    assert fit.ssr == pytest.approx(expected["ssr"], rel=1e-9)
    np.testing.assert_allclose(theta, expected["theta"], rtol=1e-8)
    found, _ = fit_grouped_cells(cells, 2, 1)
    done = found.classification
    assert done.fit.converged and done.settled
    assert done.fit.ssr <= expected["ssr"] * (1 + 1e-9)
    # what was tried is in the list, and the best of it was kept
    assert len(found.minima) > 5 and found.minima[0].ssr == pytest.approx(done.fit.ssr, rel=1e-7)
    np.testing.assert_allclose(found.minima[0].theta, done.fit.theta, rtol=1e-3)
    assert any(minimum.n_groupings > 1 for minimum in found.minima)


@pytest.mark.parametrize("effects", [(False, False), (True, True)])
def test_all_cells_observed_it_is_the_solver_of_complete_panels(effects):
    panel, _ = holed(30, 16, seed=9, entity=0.5, time=0.5)
    cells = laid_out(panel, np.ones((30, 16), dtype=bool), *effects, standardize=True)
    found, scaled = fit_grouped_cells(cells, 3, 1)
    data = prepare(panel.y, panel.x, entity_effects=effects[0], time_effects=effects[1], standardize=True)
    fit = fit_grouped(data, 3, 1)
    done, other = found.classification, fit.classification
    np.testing.assert_array_equal(found.groups, fit.groups)
    assert done.fit.ssr == pytest.approx(other.fit.ssr, rel=1e-11)
    slopes = done.fit.theta[done.slopes.slots] / scaled.scale
    np.testing.assert_allclose(slopes, other.fit.theta[other.slopes.slots] / fit.scale, rtol=1e-9)


def test_the_order_of_entities_and_of_draws_does_not_matter(small):
    _, cells, (fit, scaled) = small
    order = np.random.default_rng(1).permutation(14)
    other, _ = fit_grouped_cells(cells.take(order), 2, 1)
    np.testing.assert_array_equal(other.groups, fit.groups[order])
    np.testing.assert_array_equal(other.classification.fit.theta, fit.classification.fit.theta)
    np.testing.assert_array_equal(other.unit_params, fit.unit_params[order])
    np.testing.assert_array_equal(other.penalized.distances, fit.penalized.distances[order])
    assert [m.ssr for m in other.minima] == [m.ssr for m in fit.minima]
    # residuals and loadings belong to the entities of the data
    done = fit.classification
    again = descend_cells(scaled, done.slopes, done.fit.theta, done.fit.factors, done.fit.effects, max_iter=0)
    np.testing.assert_allclose(done.fit.state.e, again.state.e, atol=1e-9)
    np.testing.assert_allclose(np.abs(done.fit.loadings), np.abs(again.loadings), atol=1e-9)


def test_alternating_lowers_the_sum_of_squares_and_ends_at_the_cutoff(small):
    _, cells, (fit, _) = small
    rng = np.random.default_rng(3)
    slots, (n, t) = fit.classification.slopes.slots, cells.shape
    start = rng.integers(2, size=n), np.zeros(4), rng.standard_normal((1, t)), np.zeros((1, t))
    known = cells.data, slots, cells.series, free_rows(cells, 1)
    path = []
    for rounds in (1, 2, 3, 5, 8, 40, 400):
        groups, theta, rows, effects = (value.copy() for value in start)
        ssr, done = alternate_on_cells(*known, groups, theta, rows, effects, True, rounds, 1e-12, np.inf, NONE, SPANNED)
        path.append(ssr)
        assert done <= rounds
    assert (np.diff(path) <= 1e-12 * path[0]).all()
    # it ends where least squares ends, groups given
    least = descend_cells(cells, SlopeMap(groups, slots), theta, rows, effects)
    assert ssr == pytest.approx(least.ssr, rel=1e-6) and ssr >= least.ssr * (1 - 1e-12)
    groups, theta, rows, effects = (value.copy() for value in start)
    cut, early = alternate_on_cells(*known, groups, theta, rows, effects, True, 400, 1e-12, 0.1 * ssr, NONE, SPANNED)
    assert early < done and cut >= ssr


def test_no_grouping_of_a_few_entities_is_better():
    panel, observed = holed(6, 12, seed=11, noise=2.0)
    cells = laid_out(panel, observed, time=False, standardize=True)
    fit, scaled = fit_grouped_cells(cells, 2, 1)
    best = np.inf
    for code in range(1, 2**5):
        groups = np.array([0, *((code >> j) & 1 for j in range(5))])
        slopes = SlopeMap.grouped(groups, 2, 2)
        done = fit.classification.fit
        own = descend_cells(scaled, slopes, np.zeros(4), done.factors, done.effects, tol=1e-7)
        best = min(best, own.ssr)
    assert fit.classification.fit.ssr <= best * (1 + 1e-9)


def test_a_slope_in_common_and_groups_without_members():
    panel, observed = holed(16, 14, seed=12)
    cells = laid_out(panel, observed, entity=False, standardize=True)
    fit, scaled = fit_grouped_cells(cells, 2, 1, GroupedOptions(common=(1,)))
    done = fit.classification
    alpha = done.fit.theta[done.slopes.slots]
    assert alpha[0, 1] == alpha[1, 1] and alpha[0, 0] != alpha[1, 0] and done.slopes.size == 3
    least = descend_cells(scaled, done.slopes, np.zeros(3), done.fit.factors, done.fit.effects)
    assert done.fit.ssr == pytest.approx(least.ssr, rel=1e-9)
    many, _ = fit_grouped_cells(cells, 8, 1)
    assert np.bincount(many.groups, minlength=8).min() >= 1


def test_groups_of_a_penalised_fit_are_those_of_kmeans_and_found_again():
    panel, observed = holed(40, 24, seed=13)
    cells = laid_out(panel, observed, entity=False, time=False, standardize=True)
    fit, _ = fit_grouped_cells(cells, 3, 2)
    assert matched(fit.groups, panel.groups) > 0.9
    plain, _ = fit_grouped_cells(cells, 3, 2, replace(GroupedOptions(), search=False))
    assert fit.classification.fit.ssr <= plain.classification.fit.ssr * (1 + 1e-12)
    assert fit.penalized.path == plain.penalized.path
