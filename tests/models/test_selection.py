"""Numbers left open: ranges, "auto", and what results say of the choice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.exceptions import SpecificationError, SpecificationWarning
from gifepanel.results.selection import Selection
from gifepanel.tables.choices import notes_on_choice, notes_on_edges


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


# ---- what is said of a choice


def selection(n_factors=2, rules=(2, 2, 2, 2, 2), n_groups=2, smallest=3, sizes=(40, 12, 4), **more):
    """A choice out of 0 to 4 factors and 1 to 3 groups, in round numbers."""
    index = pd.Index(range(5), name="n_factors")
    share = pd.Series([0.5, 0.4, 0.1, np.nan, np.nan], index)
    factors = pd.DataFrame({"v": 1.0, "ic1": -1.0, "ic2": -1.0, "share": share, "edge": 0.2, "memory": share + 0.3})
    named = pd.Series(dict(zip(("edge", "ic1", "ic2", "er", "gr"), rules, strict=True)))
    groups = pd.DataFrame({"sigma2": 1.0, "ic": [3.0, 1.0, 2.0], "ic_independent": [3.0, 1.0, 2.0]})
    groups.index = pd.Index([1, 2, 3], name="n_groups")
    groups["smallest"], groups["converged"] = sizes, True
    groups["admissible"] = (groups["smallest"] >= smallest) | (groups.index == 1)
    more = {"rule": "edge", "periods": 30.0, **more}
    return Selection(n_factors, n_groups, factors, named, groups, smallest=smallest, **more)


def test_nothing_is_said_of_a_choice_that_all_agree_on():
    assert notes_on_choice(selection()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rules": (2, 4, 4, 0, 1)}, "more by IC1, IC2 (4); fewer by ER (0), GR (1)"),
        ({"rules": (2, 4, 2, 2, 2)}, "move from 2 to 4 factors. IC1 and IC2 take errors that remember"),
        ({"rules": (2, 2, 2, 1, 2)}, "too few bias them (Moon & Weidner 2015)"),
        ({"n_factors": 4, "edge_accepted": False}, "4, is the largest of those tried: the edge test finds more than"),
        ({"n_factors": 4}, "4, is the largest of those tried: the edge test finds no more than these."),
        ({"n_factors": 4, "rule": "ic2"}, "the criterion may go on falling"),
        ({"n_groups": 3}, "The number of groups, 3, is the largest of those tried"),
        ({"sizes": (40, 12, 2)}, "K = 3 has a group of fewer than 3 entities (min_group_share) and was left out"),
        ({"sizes": (40, 1, 2)}, "K = 2 and 3 have a group of fewer than 3 entities"),
        ({"periods": 17.0}, "With 17 periods of an entity no rule for the number of factors is reliable"),
    ],
)
def test_what_is_said_of_a_choice(given, said):
    assert said in " ".join(notes_on_choice(selection(**given)))
    assert said.split(" (")[0].split(":")[0] in " ".join(str(selection(**given)).split())


def test_the_smallest_of_a_range_is_said():
    found = selection(n_factors=1)
    assert notes_on_edges(replace(found, factors=found.factors.loc[1:])) == [
        "The number of factors, 1, is the smallest of those tried: nothing is known of fewer."
    ]
    assert notes_on_edges(selection(n_factors=0, n_groups=1)) == []


def test_the_criterion_without_the_design_effect_is_named():
    found = selection(design_effect=2.5)
    found.groups["ic_independent"] = [3.0, 2.0, 1.0]
    said = " ".join(notes_on_choice(found))
    assert "Without the design effect in its penalty (2.50) the criterion takes 3 groups" in said


# ---- memory, and groups that are too small


@pytest.fixture(scope="module")
def remembering():
    """Two factors; errors and the regressor with autocorrelation .8, two groups of slopes and an outlier."""
    rng = np.random.default_rng(12)
    n, t = 40, 24
    errors, x = rng.normal(size=(n, t)), rng.normal(size=(n, t))
    for s in range(1, t):
        errors[:, s] = 0.8 * errors[:, s - 1] + 0.6 * errors[:, s]
        x[:, s] = 0.8 * x[:, s - 1] + 0.6 * x[:, s]
    slopes = np.where(np.arange(n) < 20, 0.0, 2.0)
    slopes[-1] = 12.0
    common = rng.normal(0.5, 1, (n, 2)) @ rng.normal(size=(2, t))
    return slopes[:, None] * x + common + errors, x[..., None]


def test_memory_makes_no_factors_and_no_groups(remembering):
    model = gife.GroupedIFE(*remembering, n_factors=range(5), n_groups=range(1, 5))
    found = model.select()
    assert (found.n_factors, found.n_groups) == (2, 2) and found.rules["ic2"] > 2
    assert found.memory == pytest.approx(0.8, abs=0.12) and found.design_effect > 1.3
    # one entity is a group of its own in three groups
    assert not found.groups["admissible"][3] and found.groups["smallest"][3] == 1
    np.testing.assert_allclose(
        found.groups["ic"] - found.groups["ic_independent"],
        2 / 3 * (40 * 24) ** -0.5 * found.groups.index * (found.design_effect - 1),
    )
    assert model.select(n_factors=2, min_group_share=0).n_groups > 2


def test_order_of_rows_changes_no_choice(remembering):
    y, x = remembering
    order = np.random.default_rng(1).permutation(len(y))
    one, two = (gife.InteractiveFE(a, b, n_factors=range(4)).select() for a, b in ((y, x), (y[order], x[order])))
    pd.testing.assert_series_equal(one.rules, two.rules)
    np.testing.assert_allclose(two.factors["edge"], one.factors["edge"], rtol=1e-3)


def test_a_fit_says_that_groups_are_small(remembering):
    with pytest.warns(SpecificationWarning, match=r"has one entity: 39\."):
        res = gife.GroupedIFE(*remembering, n_factors=2, n_groups=3).fit()
    assert "of 40 entities, fewer than the 2 of min_group_share=0.05" in " ".join(str(res.summary()).split())
    with pytest.warns(SpecificationWarning, match=r"min_group_share=0\.5") as caught:
        gife.GroupedIFE(*remembering, n_factors=2, n_groups=3, min_group_share=0.5).fit()
    assert caught[0].message.fix == "n_groups=1"


@pytest.mark.parametrize("share", [-0.1, 0.6, "5 %", True, float("nan")])
def test_a_share_that_no_two_groups_can_have(remembering, share):
    for call in (
        lambda: gife.GroupedIFE(*remembering, n_factors=0, n_groups=2, min_group_share=share),
        lambda: gife.InteractiveFE(*remembering, n_factors=1).select(n_factors=[0, 1], min_group_share=share),
    ):
        with pytest.raises(SpecificationError, match=r"from 0 to 0\.5") as caught:
            call()
        assert caught.value.fix == "min_group_share=0.05"


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


def test_a_checkpoint_goes_on_and_grows(panel, chosen, tmp_path):
    """Every candidate is kept by its number, so that a wider range asks for the new ones alone."""
    folder, counts = tmp_path / "run", []
    gife.select("y ~ 0 + x1 + x2", panel.data, n_groups=[2], n_factors=range(1, 3), checkpoint=folder)
    shuffled = panel.data.sample(frac=1, random_state=1)
    wide = {"n_groups": range(1, 5), "n_factors": range(0, 5), "checkpoint": folder}
    choice = gife.select("y ~ 0 + x1 + x2", shuffled, progress=lambda *at: counts.append(at), **wide)
    pd.testing.assert_frame_equal(choice.factors, chosen.selection.factors)
    pd.testing.assert_frame_equal(choice.groups, chosen.selection.groups)
    assert counts == [(3, 5), (4, 5), (5, 5), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(SpecificationError, match="another run: data"):
        gife.select("y ~ 0 + x1", panel.data, **wide)
    with pytest.raises(SpecificationError, match="there is a checkpoint"):
        gife.select("y ~ 0 + x1 + x2", panel.data, random_state=None, **wide)
