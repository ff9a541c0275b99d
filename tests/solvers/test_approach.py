"""Cheap steps toward a minimum: where descents of least squares with factors lead, at a part of their cost."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.solvers import interactive
from gifepanel.solvers.approach import approached, rounded
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.interactive import SlopeMap, fit_interactive, fit_interactive_multistart
from tests.solvers.panels import grouped_panel


def ssr_at(data, slopes, n_factors, theta):
    """From singular values."""
    resid = data.y - np.einsum("npt,np->nt", data.xt, slopes.unit_slopes(theta))
    if data.time_effects:
        resid = resid - resid.mean(axis=0)
    return float((np.linalg.svd(resid, compute_uv=False)[n_factors:] ** 2).sum())


@pytest.fixture(scope="module", params=[False, True])
def problem(request):
    panel = grouped_panel(30, 16, seed=3, time=float(request.param))
    data = prepare(panel.y, panel.x, time_effects=request.param, standardize=True)
    return data, SlopeMap.grouped(panel.groups, 3, 2)


def test_slopes_come_within_one_percent_of_the_minimum_that_descents_find(problem):
    data, slopes = problem
    fit = fit_interactive(data, slopes, 2, np.zeros(slopes.size))
    start = fit.theta + np.random.default_rng(0).standard_normal(slopes.size)
    near = approached(data, slopes.groups, slopes.slots, 2, start)
    assert ssr_at(data, slopes, 2, start) > 1.05 * fit.ssr
    assert fit.ssr * (1 - 1e-9) <= ssr_at(data, slopes, 2, near) < 1.01 * fit.ssr
    np.testing.assert_array_equal(near, rounded(near))
    np.testing.assert_allclose(near, fit.theta, atol=0.05)


def test_without_factors_or_regressors_there_is_nothing_to_come_near(problem):
    data, slopes = problem
    theta = np.ones(slopes.size)
    assert approached(data, slopes.groups, slopes.slots, 0, theta) is theta


def test_starts_that_come_near_a_known_minimum_need_no_descent(problem, monkeypatch):
    data, slopes = problem
    known = fit_interactive(data, slopes, 2, np.zeros(slopes.size))
    rng = np.random.default_rng(1)
    starts = [(str(j), known.theta + 0.5 * rng.standard_normal(slopes.size)) for j in range(4)]
    searches = []
    search = interactive._line_search
    monkeypatch.setattr(interactive, "_line_search", lambda *a: searches.append(1) or search(*a))
    found = fit_interactive_multistart(data, slopes, 2, starts, known=known)
    assert found.theta is known.theta and len(searches) <= 2
    assert [m.starts for m in found.minima] == [("0", "1", "2", "3")]


def test_another_minimum_is_found_as_before():
    """A panel of few periods has several; what is known is the worse one."""
    panel = grouped_panel(12, 8, k=2, r=2, seed=32, noise=1.0)
    data, slopes = prepare(panel.y, panel.x), SlopeMap.grouped(panel.groups, 2, 2)
    starts = [(str(j), 3.0 * np.random.default_rng(j).standard_normal(slopes.size)) for j in range(12)]
    every = fit_interactive_multistart(data, slopes, 1, starts)
    assert len(every.minima) > 1
    worse = fit_interactive(data, slopes, 1, every.minima[-1].theta)
    found = fit_interactive_multistart(data, slopes, 1, starts, known=worse)
    np.testing.assert_allclose(found.ssr, every.ssr, rtol=1e-9)
    np.testing.assert_allclose(found.theta, every.theta, atol=1e-6)
