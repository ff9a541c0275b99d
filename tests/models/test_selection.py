"""Numbers left open: ranges, "auto", and what results say of the choice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.exceptions import SpecificationError


@pytest.fixture(scope="module")
def panel():
    return gife.datasets.simulate("S", n_entities=60, n_times=40, random_state=1)


@pytest.fixture(scope="module")
def chosen(panel):
    model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=range(1, 5), n_factors=range(0, 5))
    return model.fit()


def test_the_choice_is_right_and_the_fit_is_the_one_with_given_numbers(panel, chosen):
    assert (chosen.n_groups, chosen.n_factors) == (3, 2)
    given = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2).fit()
    pd.testing.assert_series_equal(chosen.params, given.params)
    assert given.selection is None


def test_the_choice_stays_with_the_results(chosen):
    choice = chosen.selection
    assert choice.factors["ic2"].idxmin() == 2
    assert choice.groups["ic"].idxmin() == 3
    assert choice.rules["ic1"] == 2
    assert choice.table()["chosen"].sum() == 2
    assert "Chosen from the data: the number of factors (0 to 4) by IC2" in " ".join(str(chosen.summary()).split())
    assert "2 factors (by IC2), 3 groups" in str(choice)
    assert "<table" in choice._repr_html_()


def test_auto_and_the_function_agree(panel, chosen):
    auto = gife.GroupedIFE(panel.y, panel.x, n_groups="auto", n_factors="auto").fit()
    assert (auto.n_groups, auto.n_factors) == (3, 2)
    assert auto.selection.groups.index.tolist() == [1, 2, 3, 4, 5, 6]
    choice = gife.select("y ~ 0 + x1 + x2", panel.data, n_groups=range(1, 5), n_factors=range(0, 5))
    pd.testing.assert_frame_equal(choice.factors, chosen.selection.factors)
    pd.testing.assert_frame_equal(choice.groups, chosen.selection.groups)


def test_one_number_may_be_given(panel):
    res = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=[2, 3], n_factors=2).fit()
    assert res.n_groups == 3
    assert res.selection.factors.empty
    one = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=[1, 2, 3]).fit()
    assert one.n_factors == 2
    assert one.selection.groups.empty


def test_workers_do_not_change_the_answer(panel):
    model = gife.GroupedIFE(panel.y, panel.x, n_groups=[2, 3], n_factors=[1, 2])
    seen = []
    one, two = model.fit(), model.fit(n_jobs=2, progress=lambda done, total: seen.append(done))
    pd.testing.assert_series_equal(one.params, two.params)
    assert seen == [1, 2, 1, 2]


def test_candidates_of_a_small_panel_stop_where_slopes_are_identified():
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(8, 7)), rng.normal(size=(8, 7, 2))
    res = gife.InteractiveFE(y, x, n_factors="auto").fit()
    assert res.selection.factors.index.max() == 2


def test_rules_can_be_chosen(panel):
    for rule in ("ic1", "er", "gr"):
        assert gife.select("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=range(5), rule=rule).n_factors == 2
    with pytest.raises(SpecificationError, match="rule is 'bic'"):
        gife.select("y ~ 0 + x1 + x2", panel.data, rule="bic")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("many", 'a range of them, or "auto"'),
        ([0, "x"], "range of such numbers"),
        ([], "range of such numbers"),
        ([-1], "a whole number from 0"),
    ],
)
def test_bad_candidates(panel, given, message):
    with pytest.raises(SpecificationError, match=message):
        gife.GroupedIFE(panel.y, panel.x, n_groups=2, n_factors=given)
