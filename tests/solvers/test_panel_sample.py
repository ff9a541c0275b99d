"""Large complete panels: descents and searches on a sample of the entities lead to the minima of the whole."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from gifepanel.solvers import canonical as one_group
from gifepanel.solvers import grouped as many_groups
from gifepanel.solvers.arrays import PanelArrays, prepare
from gifepanel.solvers.canonical import canonical, fit_one_group
from gifepanel.solvers.grouped import GroupedOptions, PanelFit, fit_grouped
from gifepanel.solvers.interactive import SlopeMap
from gifepanel.solvers.panel_sample import sample_of_panel
from tests.solvers.panels import grouped_panel

N, T, LEAST = 480, 14, 2000


@pytest.fixture(scope="module")
def large() -> PanelArrays:
    """As a large panel."""
    panel = grouped_panel(N, T, seed=4, noise=1.0)
    return prepare(panel.y, panel.x, standardize=True)


@pytest.fixture(scope="module")
def grouped(large: PanelArrays) -> PanelFit:
    """Searched whole."""
    return fit_grouped(large, 2, 1)


@pytest.fixture
def on_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled = partial(sample_of_panel, least=LEAST)
    for module in (one_group, many_groups):
        monkeypatch.setattr(module, "sample_of_panel", lambda data, slopes, r, least=0: sampled(data, slopes, r))


def common(n: int = N) -> SlopeMap:
    return SlopeMap.grouped(np.zeros(n, dtype=np.int64), 1, 2)


def test_a_sample_is_every_third_entity(large):
    form = canonical(large).data
    sample = sample_of_panel(form, common(), 1, LEAST)
    np.testing.assert_array_equal(sample.units, np.arange(0, N, 3))
    np.testing.assert_array_equal(sample.data.y, form.y[::3])
    np.testing.assert_array_equal(sample.data.xx, form.xx[::3])


def test_small_groups_are_in_it_with_more_of_their_entities(large):
    groups = (np.arange(N) % 8 == 0).astype(np.int64)
    sample = sample_of_panel(large, SlopeMap.grouped(groups, 2, 2), 1, LEAST)
    assert sample is None  # 40 of 60 would be more than a third in all
    groups = (np.arange(N) >= N - 5).astype(np.int64)
    sample = sample_of_panel(large, SlopeMap.grouped(groups, 2, 2), 1, LEAST // 2)
    assert (sample.slopes.groups == 1).sum() == 5 and sample.units.size == N // 6 + 5
    np.testing.assert_array_equal(sample.slopes.groups, groups[sample.units])


def test_there_is_none_of_small_panels_nor_without_factors(large):
    assert sample_of_panel(large, common(), 1) is None
    assert sample_of_panel(large, common(), 0, LEAST) is None
    assert sample_of_panel(large, common(), 9, LEAST) is None  # twenty entities for each coefficient of a period


@pytest.mark.parametrize("n_factors", [1, 2])
def test_minima_and_their_starts_are_those_without_a_sample(large, n_factors, on_samples):
    slopes, found = fit_one_group(large, n_factors, 6, np.random.default_rng(0))
    form = canonical(large)
    starts = one_group.interactive_starts(form.data, common(), n_factors, 6, np.random.default_rng(0))
    whole = one_group.fit_on_sample_first(form.data, common(), n_factors, starts, None)
    assert found.converged and slopes.size == 2
    assert found.ssr == pytest.approx(whole.ssr * form.size**2, rel=1e-12)
    names = {name for minimum in found.minima for name in minimum.starts}
    assert names == {name for minimum in whole.minima for name in minimum.starts}


def test_groupings_searched_on_a_sample_are_as_good(large, grouped, on_samples):
    found = fit_grouped(large, 2, 1)
    done = found.classification
    assert done.fit.converged and done.settled
    assert done.fit.ssr <= grouped.classification.fit.ssr * (1.0 + 1e-6)
    assert (found.groups != grouped.groups).mean() < 0.02


def test_a_better_grouping_of_the_sample_is_taken_to_the_whole(large, grouped, on_samples, monkeypatch):
    fitted = many_groups._from_centres

    def spoiled(data, part, n_groups, n_factors, options, *rest):
        fit = fitted(data, part, n_groups, n_factors, GroupedOptions(classify="nearest"), *rest)
        groups = np.random.default_rng(0).integers(2, size=len(fit.groups))
        held = GroupedOptions(classify="nearest")
        worse = many_groups._refined(data, 2, n_factors, held, groups, fit.classification.fit.theta)
        return many_groups.replace(fit, groups=groups, classification=worse)

    monkeypatch.setattr(many_groups, "_from_centres", spoiled)
    monkeypatch.setattr(many_groups, "descended", lambda *at: np.inf)  # as if they led nowhere
    found = fit_grouped(large, 2, 1)
    assert found.classification.fit.ssr <= grouped.classification.fit.ssr * (1.0 + 1e-4)
    assert found.minima[0].starts[0].startswith("search")
