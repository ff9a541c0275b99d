"""The grouped estimator on degenerate data: singular units, exact fits, ties, extreme penalties and levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.grouped import GroupedOptions, fit_grouped
from tests.solvers.panels import fitted, grouped_panel, matched, slopes_of


@pytest.mark.parametrize("effects", [{}, {"entity_effects": True}, {"entity_effects": True, "time_effects": True}])
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_a_dummy_that_does_not_vary_in_some_units(effects, value):
    """Every fourth unit has a constant second regressor: zero over zero, or noise over noise without its mean."""
    panel = grouped_panel(40, 25, r=1, seed=22, noise=0.7)
    x = panel.x.copy()
    x[::4, :, 1] = value
    y = panel.y + ((x - panel.x) * panel.alpha[panel.groups][:, None]).sum(axis=2)
    fit = fitted(replace(panel, y=y, x=x), 3, 1, **effects)
    if value == 0.0 or effects:
        np.testing.assert_array_equal(fit.singular_units, np.arange(0, 40, 4))
    assert np.abs(fit.unit_params).max() < 20.0
    assert np.abs(fit.penalized.unit_params).max() < 20.0
    order = np.lexsort(panel.alpha.T[::-1])
    np.testing.assert_allclose(slopes_of(fit), panel.alpha[order], atol=0.2)
    assert matched(fit.groups, panel.groups) >= 0.85


def test_collinear_regressors_in_some_units():
    panel = grouped_panel(40, 25, r=1, seed=23, noise=0.7)
    x = panel.x.copy()
    x[2::5, :, 1] = 3.0 * x[2::5, :, 0]
    y = panel.y + ((x - panel.x) * panel.alpha[panel.groups][:, None]).sum(axis=2)
    fit = fitted(replace(panel, y=y, x=x), 3, 1)
    np.testing.assert_array_equal(fit.singular_units, np.arange(2, 40, 5))
    assert np.abs(fit.penalized.unit_params).max() < 20.0
    order = np.lexsort(panel.alpha.T[::-1])
    np.testing.assert_allclose(slopes_of(fit), panel.alpha[order], atol=0.15)


@pytest.mark.parametrize("r", [0, 1])
@pytest.mark.parametrize("s", [1e-6, 1.0, 1e6])
def test_an_outcome_fitted_exactly(r, s):
    panel = grouped_panel(30, 20, r=1, seed=24, noise=0.0)
    y = s * (panel.y if r else np.einsum("ntp,np->nt", panel.x, panel.alpha[panel.groups]))
    fit = fitted(replace(panel, y=y), 3, r)
    assert matched(fit.groups, panel.groups) == 1.0
    np.testing.assert_allclose(slopes_of(fit), s * panel.alpha, rtol=1e-5)
    assert fit.classification.fit.converged
    assert fit.classification.settled


@pytest.mark.parametrize("level", [0.0, 2.5])
def test_a_constant_outcome(level):
    panel = grouped_panel(20, 15, seed=25)
    fit = fitted(replace(panel, y=np.full((20, 15), level)), 3, 1, entity_effects=True)
    assert not slopes_of(fit).any()
    assert fit.classification.fit.ssr == 0.0
    assert np.bincount(fit.groups, minlength=3).min() >= 1


def test_duplicated_units():
    """Every unit five times: fewer distinct slopes than restarts, ties everywhere."""
    small = grouped_panel(6, 20, r=1, seed=26)
    panel = replace(small, y=np.repeat(small.y, 5, axis=0), x=np.repeat(small.x, 5, axis=0))
    fit = fitted(panel, 3, 1)
    assert (fit.groups.reshape(6, 5) == fit.groups[::5, None]).all()
    assert np.isfinite(slopes_of(fit)).all()
    assert fit.classification.settled


def test_more_groups_than_distinct_units():
    small = grouped_panel(2, 20, k=2, r=0, seed=27)
    panel = replace(small, y=np.repeat(small.y, 6, axis=0), x=np.repeat(small.x, 6, axis=0))
    fit = fitted(panel, 4, 0)
    assert np.bincount(fit.groups, minlength=4).min() >= 1
    assert np.isfinite(slopes_of(fit)).all()


def test_too_few_periods_for_unit_regressions():
    """T < p + R: every unit regression is singular, and everything starts at the pooled slopes."""
    panel = grouped_panel(60, 3, k=2, r=2, p=2, seed=28)
    fit = fitted(panel, 2, 2)
    assert np.isfinite(slopes_of(fit)).all()
    assert len(fit.singular_units) == 60


@pytest.mark.parametrize("kappa", [0.0, 1e-12, 1e3, 1e12])
def test_extreme_penalties(kappa):
    panel = grouped_panel(30, 15, seed=29)
    data = prepare(panel.y, panel.x)
    fit = fit_grouped(data, 3, 2, GroupedOptions(kappa=kappa, standardize=False))
    assert np.isfinite(fit.penalized.criterion)
    assert np.isfinite(slopes_of(fit)).all()
    assert fit.penalized.fused.any() == (kappa > 1.0)


def test_a_large_common_level():
    """A factor of 1e6 beside errors of 1: the first factor takes the level, the answer keeps its digits."""
    panel = grouped_panel(30, 20, r=1, seed=30)
    fit = fitted(panel, 3, 2)
    level = fitted(replace(panel, y=panel.y + 1e6), 3, 2)
    np.testing.assert_array_equal(fit.groups == fit.groups[0], level.groups == level.groups[0])
    assert level.penalized.converged
    assert level.classification.fit.converged
    order = np.lexsort(panel.alpha.T[::-1])
    np.testing.assert_allclose(slopes_of(level), panel.alpha[order], atol=0.2)
