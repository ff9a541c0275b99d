"""What panels in blocks rest on, against the same computed from whole arrays."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel import blocks
from gifepanel.kernels.permute import permute_rows
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.blocked import BlockedPanel, order_of_rows, prepare_panel
from gifepanel.solvers.by_moments import evaluated, gram_of_moments
from gifepanel.solvers.canonical import canonical
from gifepanel.solvers.interactive import SlopeMap, _evaluate, projected_gram
from gifepanel.solvers.mixing import mixed, mixing_weights


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "LARGE", 1)
    monkeypatch.setattr(blocks, "_ELEMENTS", 1 << 8)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 7)) + 30.0, rng.normal(size=(60, 7, 2)) + 10.0


EFFECTS = [(entity, time) for entity in (False, True) for time in (False, True)]


@pytest.mark.parametrize(("entity", "time"), EFFECTS)
@pytest.mark.parametrize("common", [(), (1,)])
@pytest.mark.parametrize("n_factors", [0, 2])
def test_moments_by_group_give_objective_gradient_and_metric(arrays, entity, time, common, n_factors):
    options = {"entity_effects": entity, "time_effects": time}
    whole, parts = prepare(*arrays, **options), prepare_panel(*arrays, **options)
    assert isinstance(parts, BlockedPanel)
    rng = np.random.default_rng(1)
    slopes = SlopeMap.grouped(rng.integers(3, size=60), 3, 2, common)
    for theta in rng.normal(size=(2, slopes.size)):
        point = _evaluate(whole, slopes, n_factors, theta)
        comp, left, gradient, _ = evaluated(parts, slopes.groups, slopes.slots, n_factors, theta)
        assert comp.ssr == pytest.approx(point.value, rel=1e-10)
        np.testing.assert_allclose(np.abs(comp.factors), np.abs(point.components.factors), atol=1e-8)
        np.testing.assert_allclose(comp.time_effect, point.components.time_effect, atol=1e-10)
        np.testing.assert_allclose(gradient, point.gradient, atol=1e-10 * np.abs(point.gradient).max())
        alpha = theta[slopes.slots]
        metric = gram_of_moments(parts, slopes.groups, slopes.slots, comp.factors, alpha)
        expected = projected_gram(whole, slopes, point.components.factors, point.components.loadings)
        np.testing.assert_allclose(metric, expected, atol=1e-9 * np.abs(expected).max())
        other = _evaluate(whole, slopes, n_factors, 0.5 * theta)
        second = evaluated(parts, slopes.groups, slopes.slots, n_factors, 0.5 * theta)[1]
        assert left.distance(second) == pytest.approx(np.square(point.resid - other.resid).sum(), rel=1e-8)


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_moments_follow_entities_that_move(arrays, share):
    data, rng = prepare_panel(*arrays, time_effects=True), np.random.default_rng(2)
    groups = rng.integers(3, size=60)
    first = data.group_moments(groups, 3)
    moved = np.where(rng.random(60) < share, rng.integers(3, size=60), groups)
    found = data.group_moments(moved, 3)
    fresh = type(first).of(data, moved, 3, demeaned=True)
    for name in ("counts", "sums", "products"):
        np.testing.assert_allclose(getattr(found, name), getattr(fresh, name), atol=1e-10, err_msg=name)


def test_components_are_exact_where_factors_leave_nothing(arrays):
    rng = np.random.default_rng(3)
    y = rng.normal(size=(60, 1)) @ rng.normal(size=(1, 7)) + 1e-9 * rng.normal(size=(60, 7))
    found = prepare_panel(y, arrays[1]).components(np.zeros((60, 2)), 1)
    assert found.ssr == pytest.approx(np.square(np.linalg.svd(y)[1][1:]).sum(), rel=1e-5)


def test_the_canonical_form_is_that_of_whole_arrays(arrays):
    y, x = np.round(arrays[0]), np.round(arrays[1])  # many ties
    y[7], x[7] = y[3], x[3] + 1.0
    own = prepare_panel(y, x)
    kept, form = canonical(own), canonical(own, given_up=True)
    whole = canonical(prepare(y, x))
    for found in (kept, form):
        np.testing.assert_array_equal(found.units, whole.units)
        np.testing.assert_array_equal(found.columns, whole.columns)
        for name in ("y", "xt", "xx", "xy", "yy", "scale"):
            np.testing.assert_array_equal(getattr(found.data, name), getattr(whole.data, name), err_msg=name)
        assert found.outcome == whole.outcome


def test_rows_in_order_and_in_place():
    rng = np.random.default_rng(4)
    y, further = rng.integers(-1, 2, size=(500, 4)).astype(float), rng.integers(0, 3, size=(500, 3))
    order = order_of_rows(y, lambda rows: further[rows])
    keys = np.concatenate([further.T[::-1], np.abs(y).T[::-1]])
    np.testing.assert_array_equal(order, np.lexsort(keys))
    changed = y.copy()
    permute_rows(changed, order)
    np.testing.assert_array_equal(changed, y[order])


def test_mixing_in_blocks_is_least_squares_on_all():
    rng = np.random.default_rng(5)
    news, olds = ([[rng.normal(size=(3, 2)), rng.normal(size=(90, 2))] for _ in range(4)] for _ in range(2))
    flat = [np.stack([np.concatenate([a.ravel() for a in one]) for one in some], axis=1) for some in (news, olds)]
    steps = flat[0] - flat[1]
    expected = np.linalg.lstsq(np.diff(steps, axis=1), steps[:, -1], rcond=1e-8)[0]
    weights = mixing_weights(news, olds)
    np.testing.assert_allclose(weights, expected, atol=1e-12)
    found = np.concatenate([mixed([one[k] for one in news], weights, 0.3).ravel() for k in range(2)])
    np.testing.assert_allclose(found, flat[0][:, -1] - 0.3 * np.diff(flat[0], axis=1) @ expected, atol=1e-12)
