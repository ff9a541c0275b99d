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
    assert "Chosen from the data: the number of factors (0 to 4) by the edge test" in " ".join(
        str(chosen.summary()).split()
    )
    assert "2 factors (by edge test), 3 groups" in str(choice)
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
    for rule in ("ic1", "ic2", "er", "gr"):
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


# ---- options of a formula


@pytest.fixture(scope="module")
def two_slopes():
    """x2 has the same slope everywhere."""
    rng = np.random.default_rng(5)
    ids = pd.MultiIndex.from_product([range(16), range(15)], names=["entity", "time"])
    data = pd.DataFrame(rng.normal(size=(240, 3)), ids, ["x1", "x2", "y"])
    return data.assign(y=data["y"] / 2 + data["x2"] + data["x1"] * (data.index.get_level_values(0) % 2))


GIVEN = {"n_groups": [1, 2], "n_factors": 0}


def test_select_takes_what_the_model_takes(two_slopes):
    formula, options = "y ~ 0 + x1 + L(x2)", {"common": ["L(x2)"], "predetermined": "x1", **GIVEN}
    model = gife.GroupedIFE.from_formula(formula, two_slopes, **options)
    found = gife.select(formula, two_slopes, **options)
    pd.testing.assert_frame_equal(found.groups, model.select().groups)
    # of p K slopes, one is not counted K times: (2/3) (NT)^(-1/2) (p - 1) K
    heavier = found.groups["ic_independent"] - np.log(found.groups["sigma2"])
    np.testing.assert_allclose(heavier, 2 / 3 * (16 * 14) ** -0.5 * np.array([1, 2]), rtol=1e-12)
    free = gife.select(formula, two_slopes, **GIVEN).groups
    assert free["sigma2"][2] < found.groups["sigma2"][2] and free["sigma2"][1] == found.groups["sigma2"][1]


def test_select_checks_what_the_model_checks(two_slopes):
    gap = two_slopes.assign(x1=two_slopes["x1"].where(two_slopes.index.get_level_values(1) > 0))
    assert gife.select("y ~ 0 + x1 + x2", gap, **GIVEN).n_groups == 2
    for options, message in (
        ({"missing": "raise"}, "x1"),
        ({"missing": "keep"}, 'missing="drop"'),
        ({"common": ["x3"]}, "x3"),
        ({"common": ["x1", "x2"]}, "All regressors are in common"),
        ({"predetermined": ["x3"]}, "predetermined names 'x3'"),
        ({"comon": ["x2"]}, "unknown option 'comon'"),
    ):
        with pytest.raises(gife.exceptions.GifepanelError, match=message):
            gife.select("y ~ 0 + x1 + x2", gap, **GIVEN, **options)


def test_options_of_a_formula_with_a_model_that_is_built(two_slopes):
    names = {"gife": gife, "data": two_slopes, "endog": two_slopes["y"], "exog": two_slopes[["x1", "x2"]]}
    formula = "y ~ 0 + x1 + x2"
    expected = gife.select(formula, two_slopes, common=["x2"], rule="ic1", **GIVEN)
    for model in (
        gife.GroupedIFE.from_formula(formula, two_slopes, n_groups=3, n_factors=1),
        gife.InteractiveFE.from_formula(formula, two_slopes, n_factors=1),
        gife.InteractiveFE(names["endog"], names["exog"], n_factors=1),
    ):
        with pytest.raises(SpecificationError, match=r"a model and data, common\. The model is built") as caught:
            gife.select(model, two_slopes, common=["x2"], rule="ic1", **GIVEN)
        found = eval(str(caught.value.fix), names)
        pd.testing.assert_frame_equal(found.groups, expected.groups)
        assert found.rule == "ic1"
    with pytest.raises(SpecificationError, match="r=") as caught:
        gife.select(formula, two_slopes, r=0, n_groups=[1, 2], common=["x2"], rule="ic1")
    pd.testing.assert_frame_equal(eval(str(caught.value.fix), names).groups, expected.groups)
    assert eval(str(caught.value.fix), names).rule == "ic1"


def test_candidates_are_read_once(two_slopes):
    with pytest.warns(gife.exceptions.SpecificationWarning, match="two candidates") as said:
        found = gife.select("y ~ 0 + x1 + x2", two_slopes, n_groups=1, n_factors=(0, 2))
    assert len(said) == 1 and found.factors.index.tolist() == [0, 2]
    found = gife.select("y ~ 0 + x1 + x2", two_slopes, n_groups=1, n_factors=(n for n in (0, 1)))
    assert found.factors.index.tolist() == [0, 1]
