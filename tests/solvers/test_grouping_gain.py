"""What groups gain in fit: against all partitions, and errors that change hands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gifepanel.datasets import simulate
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.cell_regrouped import RegroupedCells
from gifepanel.solvers.cells import cells_of
from gifepanel.solvers.grouping_gain import Contrast, Grouped, bootstrapped_gain, gain, redrawn_errors
from gifepanel.solvers.interactive import SlopeMap, fit_interactive
from gifepanel.solvers.regrouped import RegroupedPanel
from gifepanel.solvers.search import Start, partitions


def contrast(null: Grouped, alternative: Grouped, df: float = 100.0) -> Contrast:
    return Contrast(null.slots(2), alternative.slots(2), null.common, alternative.common, df)


@pytest.fixture(scope="module")
def data() -> Any:
    panel = simulate("S", 6, 12, random_state=4)
    return prepare(panel.y, panel.x)


def best(data: Any, grouped: Grouped) -> float:
    """The least sum of squares over all partitions into the groups, one factor."""
    out = np.inf
    for groups in partitions(len(data.y), grouped.n_groups):
        slopes = SlopeMap(groups, grouped.slots(2))
        out = min(out, fit_interactive(data, slopes, 1, np.ones(slopes.size)).ssr)
    return out


CASES = [
    (Grouped(1, ()), Grouped(2, ())),
    (Grouped(2, ()), Grouped(3, ())),
    (Grouped(2, (0,)), Grouped(2, ())),
]


@pytest.mark.parametrize(("null", "alternative"), CASES)
def test_gain_is_that_of_the_best_partitions(data: Any, null: Grouped, alternative: Grouped) -> None:
    fit = fit_interactive(data, SlopeMap(np.zeros(6, dtype=np.int64), Grouped(1, ()).slots(2)), 1, np.ones(2))
    groups = np.arange(6) % null.n_groups
    start = Start(groups, fit.components.factors / np.sqrt(12), np.zeros(12))
    found = gain(RegroupedPanel(data), contrast(null, alternative), start, np.random.default_rng(0))
    before, after = best(data, null), best(data, alternative)
    assert found.null.ssr == pytest.approx(before, rel=1e-7)
    assert found.alternative.ssr == pytest.approx(after, rel=1e-7)
    assert found.statistic == pytest.approx((before - after) / (after / 100.0), rel=1e-5)
    assert found.smallest == np.bincount(found.alternative.groups).min()


def test_cells_that_are_all_observed_are_a_panel(data: Any) -> None:
    panel = simulate("S", 20, 12, random_state=4)
    whole = prepare(panel.y, panel.x)
    cells = cells_of(panel.y, panel.x, np.ones((20, 12), dtype=bool))
    factors = np.linalg.qr(panel.truth.factors)[0]
    groups = np.zeros(20, dtype=np.int64)
    both = contrast(*CASES[0])
    resid = np.random.default_rng(1).standard_normal(240)
    values = []
    for problem, effect in ((RegroupedPanel(whole), np.zeros(12)), (RegroupedCells(cells), np.zeros((0, 12)))):
        start = Start(groups, factors, effect)
        found = gain(problem, both, start, np.random.default_rng(0))
        beta = found.null.theta[both.null][found.null.groups]
        left = problem.residuals(beta, found.null.factors, found.null.effect)
        assert left @ left == pytest.approx(found.null.ssr, rel=1e-8)
        values.append([found.statistic, bootstrapped_gain(3, problem, both, start, resid, "series")[0]])
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)


def test_errors_are_whole_series_of_others() -> None:
    rng = np.random.default_rng(0)
    resid = rng.standard_normal((30, 9)) * rng.uniform(0.5, 2.0, (30, 1))
    drawn = redrawn_errors(resid.ravel(), np.arange(31) * 9, "series", rng).reshape(30, 9)
    np.testing.assert_allclose((drawn**2).sum(axis=1), (resid**2).sum(axis=1))  # each entity's own variance
    correlation = np.corrcoef(drawn, resid)[:30, 30:]
    givers = np.abs(correlation).argmax(axis=1)
    assert sorted(givers) == list(range(30)) and (givers != np.arange(30)).sum() > 20
    np.testing.assert_allclose(np.abs(correlation[np.arange(30), givers]), 1.0)
    assert 5 < (correlation[np.arange(30), givers] > 0).sum() < 25


def test_series_of_other_lengths_begin_again_or_end_early() -> None:
    resid, starts = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([0, 2, 5])
    for seed in range(20):
        drawn = redrawn_errors(resid, starts, "series", np.random.default_rng(seed))
        if abs(drawn[1] / drawn[0]) == pytest.approx(4.0 / 3.0):
            assert abs(drawn[3] / drawn[2]) == pytest.approx(2.0) and drawn[4] == drawn[2]
            break
    else:
        pytest.fail("they never changed hands")


def test_errors_of_cells_keep_their_size_and_place() -> None:
    resid = np.random.default_rng(0).standard_normal(60)
    drawn = redrawn_errors(resid, np.arange(7) * 10, "cells", np.random.default_rng(1))
    np.testing.assert_array_equal(np.abs(drawn), np.abs(resid))
    assert 15 < (drawn != resid).sum() < 45
