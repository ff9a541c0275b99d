"""Tests that hold after grouping: statistics against two fits, p-values against the draws, wrong questions."""

from __future__ import annotations

import re
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.exceptions import DataError, SpecificationError

FORMULA = "y ~ 0 + x1 + x2"


@pytest.fixture(scope="module")
def panel() -> Any:
    return gife.datasets.simulate("S", 36, 12, random_state=2)


@pytest.fixture(scope="module")
def single(panel: Any) -> Any:
    return gife.InteractiveFE.from_formula(FORMULA, panel.data, n_factors=2).fit()


@pytest.fixture(scope="module")
def grouped(panel: Any) -> Any:
    return gife.GroupedIFE.from_formula(FORMULA, panel.data, n_groups=3, n_factors=2).fit()


def expected(null: Any, alternative: Any) -> float:
    return float((null.ssr - alternative.ssr) / (alternative.ssr / alternative.df_resid))


def test_statistics_are_gains_of_fits(panel: Any, single: Any, grouped: Any) -> None:
    found = grouped.test_groups(n_draws=19)
    assert found.statistic == pytest.approx(expected(single, grouped), rel=1e-6)
    assert (found.ssr_null, found.ssr_alternative) == pytest.approx((single.ssr, grouped.ssr), rel=1e-6)
    assert found.pvalue == 0.05 and found.draws.size == 19 and found.n_failed == 0
    assert found.pvalue == (1 + (found.draws >= found.statistic).sum()) / 20
    common = gife.GroupedIFE.from_formula(FORMULA, panel.data, n_groups=3, n_factors=2, common=["x1"]).fit()
    assert grouped.test_common("x1", n_draws=1).statistic == pytest.approx(expected(common, grouped), rel=1e-2)
    # without the groups of a fit to begin with, the shorter search may end a little above them
    assert single.test_groups(3, n_draws=1).statistic == pytest.approx(found.statistic, rel=1e-2)
    # all slopes in common are one slope for all
    assert grouped.test_common(["x1", "x2"], n_draws=19).pvalue == found.pvalue


def test_draws_are_of_the_null(grouped: Any) -> None:
    found = grouped.test_groups(against=4, n_draws=19)
    assert found.null == "3 groups" and found.alternative == "4 groups" and found.draws.std() > 0
    # a true null gains what its draws gain, a false one many times as much; sizes are in the benchmarks
    false = grouped.test_groups(n_draws=9)
    assert found.statistic < 2 * np.median(found.draws) and false.statistic > 3 * np.median(false.draws)
    # at a level of one in twenty nothing but the largest draw rejects, and at a quarter the fourth largest too
    assert found.critical_value(0.05) == found.draws.max() and np.isinf(found.critical_value(0.04))
    assert found.critical_value(0.25) == np.sort(found.draws)[-5]


def test_a_checkpoint_goes_on(grouped: Any, tmp_path: Any) -> None:
    folder, seen = tmp_path / "run", []

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grouped.test_groups(n_draws=4, checkpoint=folder, progress=stop)
    whole = grouped.test_groups(n_draws=4, checkpoint=folder, progress=lambda *at: seen.append(at))
    np.testing.assert_array_equal(whole.draws, grouped.test_groups(n_draws=4).draws)
    assert seen == [(3, 4), (4, 4)]
    with pytest.raises(SpecificationError, match="another run: hypotheses"):
        grouped.test_groups(against=4, n_draws=4, checkpoint=folder)


def test_the_same_whatever_the_workers_the_order_and_the_units(panel: Any, grouped: Any) -> None:
    one = grouped.test_groups(n_draws=4)
    with joblib.parallel_config("threading", n_jobs=2):
        two = grouped.test_groups(n_draws=4)
    np.testing.assert_array_equal(one.draws, two.draws)
    other = panel.data.reset_index()
    other["entity"] = -other["entity"]
    other["y"] *= 4.0
    other["x1"], other["x2"] = -0.5 * other["x2"], other["x1"].copy()
    model = gife.GroupedIFE.from_formula(FORMULA, other, entity="entity", time="time", n_groups=3, n_factors=2)
    turned = model.fit().test_groups(n_draws=4)
    np.testing.assert_allclose(turned.draws, one.draws, rtol=1e-6)
    assert turned.ssr_null == pytest.approx(16 * one.ssr_null)
    assert not np.array_equal(grouped.test_groups(n_draws=4, random_state=1).draws, one.draws)
    assert np.isfinite(grouped.test_groups(n_draws=4, errors="cells").draws).all()


@pytest.fixture(scope="module")
def holes(panel: Any) -> pd.DataFrame:
    return panel.data.sample(frac=0.85, random_state=0).sort_index()


def test_panels_with_holes(holes: pd.DataFrame) -> None:
    formula = "y ~ x1 + x2 | entity + time"
    grouped = gife.GroupedIFE.from_formula(formula, holes, n_groups=2, n_factors=1).fit()
    single = gife.InteractiveFE.from_formula(formula, holes, n_factors=1).fit()
    found = grouped.test_groups(n_draws=9)
    assert found.statistic == pytest.approx(expected(single, grouped), rel=1e-5)
    assert found.pvalue == 0.1 and np.isfinite(found.draws).all()
    common = grouped.test_common("x2", n_draws=2)
    assert common.statistic > 0 and common.ssr_null < found.ssr_null


def test_weights_and_effects(panel: Any) -> None:
    data = panel.data.assign(w=np.random.default_rng(0).uniform(0.5, 2.0, len(panel.data)))
    for formula, r, weights in ((FORMULA, 1, "w"), ("y ~ x1 + x2 | time", 1, None), ("y ~ x1 + x2 | entity", 0, None)):
        single = gife.InteractiveFE.from_formula(formula, data, n_factors=r, weights=weights).fit()
        grouped = gife.GroupedIFE.from_formula(formula, data, n_factors=r, n_groups=2, weights=weights).fit()
        found = single.test_groups(2, n_draws=2)
        assert found.statistic == pytest.approx(expected(single, grouped), rel=1e-4)
        assert np.isfinite(found.draws).all()


def test_correlated_errors_are_said(panel: Any) -> None:
    rng = np.random.default_rng(0)
    y = panel.x.sum(axis=2) + 2.0 * rng.standard_normal((36, 12)).cumsum(axis=1)
    res = gife.InteractiveFE(y, panel.x, n_factors=1).fit()
    assert "the test rejects somewhat too often" in res.test_groups(n_draws=1).note
    assert 'errors="series"' in res.test_groups(n_draws=1, errors="cells").note


def test_errors_that_vary_with_the_regressors_are_said(panel: Any) -> None:
    noise = np.random.default_rng(0).standard_normal((36, 12)) * panel.x[:, :, 1]
    res = gife.InteractiveFE(panel.x.sum(axis=2) + noise, panel.x, n_factors=1).fit()
    assert "larger where x2 is far from its mean" in res.test_groups(n_draws=1).note
    assert res.test_groups(n_draws=1, errors="cells").note == ""


def test_it_prints_what_it_is(grouped: Any) -> None:
    found = grouped.test_groups(n_draws=1)
    text = found.as_text()
    assert "Do slopes differ between groups?" in text and re.search(r"Statistic: +\d+\.\d\d", text)
    assert "too few draws" in text and "one slope for all" in found._repr_html_()
    assert found.distribution == "1 draw from the null model" and "whole series" in text


WRONG: list[tuple[Any, str, str]] = [
    (lambda r: r.test_groups(3, null=3), "3 groups were to be tested against 3 groups", "against=4"),
    (lambda r: r.test_groups(1), "One group was to be tested against itself", "against=2"),
    (lambda r: r.test_groups(2.5), "against is 2.5", "against=2"),
    (lambda r: r.test_groups(400), "400 with 36 entities", "n_groups=3"),
    (lambda r: r.test_groups(n_draws=0), "n_draws is 0", "n_draws=199"),
    (lambda r: r.test_groups(n_draws=True), "n_draws is True", "n_draws=199"),
    (lambda r: r.test_groups(errors="wild"), "errors is 'wild'", 'errors="series"'),
    (lambda r: r.test_groups(random_state=-1, n_draws=1), "random_state is -1", "random_state=0"),
    (lambda r: r.test_groups(n_draws=1).critical_value(1.0), "alpha is 1.0", "alpha=0.05"),
    (lambda r: r.test_common("x9"), "'x9' is not a regressor", 'res.test_common("x1")'),
    (lambda r: r.test_common([]), "No regressor was named", 'res.test_common("x1")'),
]


@pytest.mark.parametrize(("call", "found", "fix"), WRONG, ids=[found for _, found, _ in WRONG])
def test_wrong_questions(grouped: Any, call: Any, found: str, fix: str) -> None:
    with pytest.raises(SpecificationError, match=re.escape(found)) as caught:
        call(grouped)
    assert caught.value.fix == fix


def test_common_slopes_and_single_groups_are_said(panel: Any, single: Any) -> None:
    with pytest.raises(SpecificationError, match="The fit has one group"):
        single.test_common("x1")
    res = gife.GroupedIFE.from_formula(FORMULA, panel.data, n_groups=2, n_factors=1, common=["x1"]).fit()
    with pytest.raises(SpecificationError, match="x1 is common to all groups already"):
        res.test_common("x1")
    assert res.test_common("x2", n_draws=1).null == "one slope for all"
    res.remove_data()
    with pytest.raises(DataError, match="remove_data"):
        res.test_groups(n_draws=1)


def test_draws_without_a_group_are_counted_and_said(grouped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import gifepanel.models.grouping_tests as module

    true = module.bootstrapped_gain

    def losing(seed: Any, *arguments: Any) -> tuple[float, int]:
        number = seed.spawn_key[-1]
        value, smallest = true(seed, *arguments)
        return (float("nan"), smallest) if number == 1 else (value, {2: 0, 3: 1}.get(number, smallest))

    monkeypatch.setattr(module, "bootstrapped_gain", losing)
    found = grouped.test_groups(n_draws=6)
    assert found.n_failed == 2 and found.draws.size == 4 and found.pvalue == 1 / 5
    assert "2 of 6 draws lost a group" in found.note and "In 1 of 4 draws a group has one entity" in " ".join(
        found.as_text().split()
    )
