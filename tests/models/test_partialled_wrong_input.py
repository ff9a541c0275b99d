"""Mistakes that a new user makes with PartialledOLS: each is named, and the fix that the message gives runs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from statsmodels.tools.sm_exceptions import InvalidTestWarning

from gifepanel import PartialledOLS
from gifepanel.exceptions import (
    CollinearityWarning,
    DataError,
    DataWarning,
    FormulaError,
    GifepanelError,
    SpecificationError,
    SpecificationWarning,
)
from gifepanel.models import partialled
from tests.models.partialled_data import panel

FORMULA = "y ~ x1 + x2 | firm + year"


def model(formula: str = FORMULA, data: Any = None, **options: Any) -> PartialledOLS:
    return PartialledOLS.from_formula(formula, panel() if data is None else data, **options)


def indexed() -> pd.DataFrame:
    return panel().groupby(["firm", "year"]).first()


def texts(column: str) -> pd.DataFrame:
    return panel().assign(**{column: lambda d: d[column].astype(str)})


CLUSTER: dict[str, Any] = {"cov_type": "cluster", "cov_kwds": {"groups": "firm"}}
TIME: dict[str, Any] = {"cov_type": "driscoll-kraay"}

# ---- formulas and columns: what was written, the message, what it says to write


@pytest.mark.parametrize(
    ("wrong", "match", "right"),
    [
        (lambda: model("y ~ X1 | firm"), "'x1' instead of 'X1'", lambda: model("y ~ x1 | firm")),
        (lambda: model("y ~ x1 | frm"), "'firm' instead of 'frm'", lambda: model("y ~ x1 | firm")),
        (lambda: model("y ~ x1 + factor(year)"), r"C\(year\)", lambda: model("y ~ x1 + C(year)")),
        (lambda: model("y ~ x1 + i(year)"), r"C\(year\)", lambda: model("y ~ x1 + C(year)")),
        (lambda: model("y ~ l(x1) | firm", indexed()), r"L\(x1\)", lambda: model("y ~ L(x1, 1) | firm", indexed())),
        (lambda: model("y ~ x1 + EntityEffects"), r"y ~ x1 \| firm", lambda: model("y ~ x1 | firm")),
        (lambda: model("y ~ x1 | firm, year"), r"names joined by '\+'", lambda: model("y ~ x1 | firm + year")),
        (lambda: model("y ~ x1 + x1**2 | firm"), r"I\(x1\*\*2\)", lambda: model("y ~ x1 + I(x1**2) | firm")),
        (lambda: model("y ~ x1 | firm[trend"), r"\| firm\[trend\]", lambda: model("y ~ x1 | firm[trend]")),
        (lambda: model("y ~ x1 + x2", partial="x1"), 'partial=""', lambda: model("y ~ x1 + x2", partial="")),
        (
            lambda: model("y ~ x1 | firm", texts("x1")),
            r'300 levels in 300 rows.*data\["x1"\] = pd.to_numeric\(data\["x1"\]\)',
            lambda: model("y ~ x1 | firm", texts("x1").assign(x1=lambda d: pd.to_numeric(d["x1"]))),
        ),
        (
            lambda: model("y ~ x1 | firm", texts("x1").assign(x1=lambda d: d["x1"].where(d["firm"] > 2, "n/a"))),
            r"cells that are no numbers in 38 rows: 'n/a'.*replace\(\{'n/a': pd.NA\}\)",
            lambda: model("y ~ x1 | firm", texts("x1").assign(x1=lambda d: pd.to_numeric(d["x1"], errors="coerce"))),
        ),
        (
            lambda: model("y ~ x1 | firm", texts("y")),
            r'data\["y"\] = pd.to_numeric',
            lambda: model("y ~ x1 | firm", texts("y").assign(y=lambda d: pd.to_numeric(d["y"]))),
        ),
        (
            lambda: model("y ~ name | firm", panel().assign(name=[f"n{i}" for i in range(300)])),
            "leave it out",
            lambda: model("y ~ x1 | firm"),
        ),
        (
            lambda: model(weights="1/w"),
            r"data.eval\('1/w'\), weights=\"weight\"",
            lambda: model(data=panel().assign(weight=lambda d: d.eval("1/w")), weights="weight"),
        ),
        (
            lambda: model(weights=panel()["w"].sample(frac=1.0, random_state=0)),
            r"weights.loc\[data.index\]",
            lambda: model(weights=panel()["w"].sample(frac=1.0, random_state=0).loc[panel().index]),
        ),
        (lambda: model(weights=2.0), "weights=None", lambda: model(weights=None)),
        (lambda: model(entity="frm", time="year"), 'entity="firm"', lambda: model(entity="firm", time="year")),
        (
            lambda: PartialledOLS("y ~ x1 | firm", panel()),
            r"PartialledOLS.from_formula\('y ~ x1 \| firm', data\)",
            lambda: PartialledOLS.from_formula("y ~ x1 | firm", panel()),
        ),
        (
            lambda: PartialledOLS(panel()["y"].iloc[:99], panel()[["x1", "firm"]], absorb="firm"),
            "of one frame",
            lambda: PartialledOLS(panel()["y"], panel()[["x1", "firm"]], absorb="firm"),
        ),
        (
            lambda: PartialledOLS(panel()["y"], panel()[["x1", "firm"]], absorb="frm"),
            "absorb= names 'frm'.*'firm' instead",
            lambda: PartialledOLS(panel()["y"], panel()[["x1", "firm"]], absorb="firm"),
        ),
    ],
)
def test_formula_and_data(wrong: Any, match: str, right: Any) -> None:
    with pytest.raises(GifepanelError, match=match):
        wrong()
    assert np.isfinite(right().fit().params).all()


# ---- covariances, before the work starts


@pytest.mark.parametrize(
    ("wrong", "match", "right"),
    [
        ({"cov_type": "clustered"}, r'cov_type="cluster", cov_kwds=\{"groups": "firm"\}', CLUSTER),
        ({"cov_type": {"CRV1": "firm"}}, r'cov_type="cluster", cov_kwds=\{"groups": "firm"\}', CLUSTER),
        (
            {**CLUSTER, "cov_kwds": "firm"},
            r"cov_kwds=\{\"groups\": 'firm'\}",
            {**CLUSTER, "cov_kwds": {"groups": "firm"}},
        ),
        (
            {**CLUSTER, "cov_kwds": {"groups": []}},
            "list of clusters is empty",
            {**CLUSTER, "cov_kwds": {"groups": "firm"}},
        ),
        ({**CLUSTER, "cov_kwds": {"groups": "frm"}}, "groups= names 'frm'.*'firm' instead", CLUSTER),
        (
            {**CLUSTER, "cov_kwds": {"groups": "firm + year"}},
            r"\{\"groups\": \['firm', 'year'\]\}",
            {**CLUSTER, "cov_kwds": {"groups": ["firm", "year"]}},
        ),
        (
            {**CLUSTER, "cov_kwds": {"groups": panel()["block"].sort_values()}},
            r"clusters.loc\[data.index\]",
            {**CLUSTER, "cov_kwds": {"groups": panel()["block"].sort_values().loc[panel().index]}},
        ),
        ({**CLUSTER, "cov_kwds": {"groups": np.arange(9)}}, "The name of a column", CLUSTER),
        ({"cov_type": "CR2", "cov_kwds": {"groups": ["firm", "year"]}}, 'cov_type="cluster"', CLUSTER),
        ({"cov_type": "CR3", "cov_kwds": {"groups": ["firm", "year"]}}, 'cov_type="cluster"', CLUSTER),
        (TIME, r"cov_kwds=\{\"time\": \"year\"\}", {**TIME, "cov_kwds": {"time": "year"}}),
        (
            {**TIME, "cov_kwds": {"time": "yeer"}},
            "time= names 'yeer'.*'year' instead",
            {**TIME, "cov_kwds": {"time": "year"}},
        ),
        ({**TIME, "cov_kwds": {"time": np.ones(300)}}, 'one level.*cov_type="HC1"', {"cov_type": "HC1"}),
        (
            {**TIME, "cov_kwds": {"time": "year", "maxlags": "3"}},
            "maxlags=3",
            {**TIME, "cov_kwds": {"time": "year", "maxlags": 3}},
        ),
        (
            {**TIME, "cov_kwds": {"time": "year", "maxlags": 8}},
            "from 0 to 7",
            {**TIME, "cov_kwds": {"time": "year", "maxlags": 7}},
        ),
        (
            {**TIME, "cov_kwds": {"time": "year", "kernel": "bartlet"}},
            "kernel='bartlett'",
            {**TIME, "cov_kwds": {"time": "year", "kernel": "bartlett"}},
        ),
        ({"cov_type": "hac-panel", "cov_kwds": {"groups": "firm"}}, r"do not say when.*\"time\": \"year\"", CLUSTER),
        ({"cov_type": "hac-panel", "cov_kwds": {"time": "year"}}, "do not say who", CLUSTER),
        ({"cov_type": "hac-panel"}, "do not say who and when", CLUSTER),
        (
            {"cov_type": "hac-panel", "cov_kwds": {"groups": "firm", "time": "year"}},
            'occur more than once.*cov_type="cluster"',
            CLUSTER,
        ),
        ({"ssc": "Stata"}, "ssc='stata'", {"ssc": "stata"}),
        ({"ssc": False}, 'ssc="none"', {"ssc": "none"}),
        ({"n_folds": 3}, "has no learner", {}),
    ],
)
def test_covariance_options(
    wrong: dict[str, Any], match: str, right: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = partialled.partial_out
    monkeypatch.setattr(partialled, "partial_out", lambda *a: pytest.fail("work began before the input was checked"))
    with pytest.raises(GifepanelError, match=match):
        model().fit(**wrong)
    monkeypatch.setattr(partialled, "partial_out", fine)
    assert np.isfinite(model().fit(**right).bse).all()


def test_a_panel_is_no_time_series() -> None:
    data = indexed()
    with pytest.raises(SpecificationError, match=r"one time series, and there are 25 entities.*hac-panel"):
        model("y ~ x1 | firm", data).fit(cov_type="HAC", cov_kwds={"maxlags": 2})
    for kind in ("hac-panel", "driscoll-kraay"):
        assert np.isfinite(model("y ~ x1 | firm", data).fit(cov_type=kind, cov_kwds={"maxlags": 2}).bse).all()


def test_text_without_an_order_in_time() -> None:
    data = panel().assign(t=lambda d: np.where(d["region"] > 2, "jan", "feb"))
    with pytest.raises(DataError, match=r"no order in time \('feb', 'jan'\).*ordered=True"):
        model(data=data).fit(**TIME, cov_kwds={"time": "t"})
    data["t"] = pd.Categorical(data["t"], categories=["jan", "feb"], ordered=True)
    one = model("y ~ x1 | firm", data)
    assert np.isfinite(one.fit(**TIME, cov_kwds={"time": "t", "maxlags": 1}).bse).all()


def test_gaps_in_a_column_of_times_count() -> None:
    """A named column, its labels row by row, and an index (entity, time) give one answer."""
    data = indexed().reset_index()
    data = data[data["year"] != 2003]
    options = {"maxlags": 2, "kernel": "bartlett"}
    by_index = model("y ~ x1 + x2 | firm", data.set_index(["firm", "year"])).fit(**TIME, cov_kwds=options)
    flat = model("y ~ x1 + x2 | firm", data)
    for time in ("year", data["year"], data["year"].to_numpy()):
        assert_allclose(flat.fit(**TIME, cov_kwds={**options, "time": time}).bse, by_index.bse, rtol=1e-12)
    x, u = by_index._fit.x_tilde, by_index.resid.to_numpy()
    sums = np.zeros((8, 2))  # a row of zeros for the year without data
    np.add.at(sums, data["year"] - 2000, x * u[:, None])
    meat = sum((1 - lag / 3) * (sums[lag:].T @ sums[: 8 - lag]) for lag in range(3))
    meat = meat + meat.T - sums.T @ sums
    bread = np.linalg.inv(x.T @ x)
    n, k = len(u), 2 + 25
    factor = 7 / 6 * (n - 1) / (n - k)
    assert_allclose(by_index.bse, np.sqrt(np.diag(factor * bread @ meat @ bread)), rtol=1e-10)


def test_combinations_as_clusters() -> None:
    data = panel().assign(pair=lambda d: d["region"].astype(str) + "/" + d["year"].astype(str))
    one = model(data=data).fit(cov_type="cluster", cov_kwds={"groups": "region^year"})
    assert_allclose(one.bse, model(data=data).fit(cov_type="cluster", cov_kwds={"groups": "pair"}).bse, rtol=1e-12)
    with pytest.raises(DataError, match="groups= names 'yeer'"):
        model().fit(cov_type="cluster", cov_kwds={"groups": "region^yeer"})


# ---- degenerate data


def test_as_many_columns_as_rows() -> None:
    with (
        pytest.warns(CollinearityWarning, match="z2 was dropped: it is a linear combination of Intercept, x1, x2, z1"),
        pytest.raises(SpecificationError, match=r"4 observations, 4 parameters \(4 of regressors\)"),
    ):
        model("y ~ x1 + x2 + z1 + z2", panel().iloc[:4]).fit()
    with (
        pytest.warns(CollinearityWarning, match="x1 was dropped: it is a multiple of Intercept"),
        pytest.raises(SpecificationError, match="1 observations, 1 parameters"),
    ):
        model("y ~ x1", panel().iloc[:1]).fit()
    for rows in (0, 1):
        with pytest.raises(DataError, match="no rows" if rows == 0 else "No row is left of 1"):
            model(data=panel().iloc[:rows])


def test_independent_columns_after_a_collinear_one_stay() -> None:
    """Two columns alike must not take a third one with them, with as few rows as columns."""
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0], "a": [1.0, 0, 0], "b": [2.0, 0, 0], "c": [0, 1.0, 0]})
    with pytest.warns(CollinearityWarning, match="b was dropped: it is a multiple of a"):
        res = PartialledOLS.from_formula("y ~ 0 + a + b + c", data).fit()
    assert_allclose(res.params, [1, 2])


def test_what_spans_a_column_is_named_alone() -> None:
    data = panel().assign(both=lambda d: d["x2"] + d["z1"])
    with pytest.warns(CollinearityWarning, match=r"both was dropped: it is a linear combination of x2, z1\."):
        model("y ~ x1 + x2 + z1 + both | firm", data).fit()


def test_nothing_weighs() -> None:
    with pytest.raises(DataError, match=r"300 have weight zero\. Some rows need a positive weight\. weights=None"):
        model(data=panel().assign(w=0.0), weights="w")


# ---- results


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda r: r.conf_int(95), "alpha is 95.*alpha=0.05"),
        (lambda r: r.conf_int(0), "between 0 and 1"),
        (lambda r: r.predict(panel().head(), effects="no"), "effects is 'no'"),
        (lambda r: r.get_robustcov_results("HC1", use_t="yes"), "use_t is 'yes'"),
        (lambda r: r.get_robustcov_results("clustr"), "cov_type='cluster'"),
        (lambda r: r.get_robustcov_results("cluster", groups="frm"), "'firm' instead"),
        (lambda r: r.t_test("x9 = 0"), "coefficients are x1, x2"),
        (lambda r: r.t_test("x1 == 0"), "coefficients are x1, x2"),
        (lambda r: r.f_test(" "), "hypothesis is empty"),
        (lambda r: r.f_test(np.eye(3)), "2 columns"),
        (lambda r: r.predict(panel().head().drop(columns="x1")), "names 'x1'"),
        (lambda r: r.predict(panel().head().drop(columns="firm")), "effects=False"),
        (lambda r: r.wild_bootstrap("x1 = x2 = 0", groups="firm"), 'tests one.*wild_bootstrap\\("x1"\\)'),
        (lambda r: r.wild_bootstrap(["x1", "x2"], groups="firm"), "tests one"),
        (lambda r: r.wild_bootstrap("x1", groups=["firm", "year"]), 'takes one.*groups="firm"'),
        (lambda r: r.wild_bootstrap("x1", groups="firm", n_draws="999"), "n_draws=9999"),
        (lambda r: r.wild_bootstrap("x1", groups="firm", n_draws=99.5), "n_draws=9999"),
        (lambda r: r.wild_bootstrap("x1", groups="firm", random_state="a"), "random_state=0"),
        (lambda r: r.wild_bootstrap("x1", groups="firm", alpha=95), "alpha=0.05"),
    ],
)
def test_refused_by_results(wrong: Any, match: str) -> None:
    with pytest.raises(GifepanelError, match=match):
        wrong(model().fit())


def test_predictions_without_a_value_are_missing() -> None:
    res = model().fit()
    data = panel()
    expected = res.predict(data)
    for rows in (data.head(1), data.head(3)):
        assert res.predict(rows.assign(x1=np.nan)).isna().all()
        with pytest.warns(DataWarning, match=r"firm \(1 level not in the sample\)"):
            assert res.predict(rows.assign(firm=999)).isna().all()
        assert_allclose(res.predict(rows), expected.iloc[: len(rows)])
    gone = data.head(3).assign(x1=lambda d: d["x1"].where(np.arange(3) != 1))
    assert res.predict(gone).isna().tolist() == [False, True, False]


def test_lags_that_reach_no_neighbour() -> None:
    data = panel().drop_duplicates(["firm", "year"])
    far = data.assign(stamp=data["year"] * 1000)
    near = PartialledOLS.from_formula("y ~ x1 | firm", data, entity="firm", time="year")
    apart = PartialledOLS.from_formula("y ~ x1 | firm", far, entity="firm", time="stamp")
    with pytest.warns(SpecificationWarning, match=r"maxlags=2 is less than the 1000"):
        apart.fit(cov_type="driscoll-kraay", cov_kwds={"maxlags": 2})
    again = apart.fit(cov_type="hac-groupsum", cov_kwds={"maxlags": 2000, "kernel": "uniform"})
    want = near.fit(cov_type="hac-groupsum", cov_kwds={"maxlags": 2, "kernel": "uniform"})
    assert_allclose(again.bse, want.bse)


@pytest.mark.parametrize(
    ("formula", "fix"),
    [
        ("y ~ x1 | firm, year", "y ~ x | firm + year"),
        ("y ~ x1 | firm | year", "y ~ x1 | firm + year"),
        ("y ~ x1 || firm", "y ~ x1 | firm"),
    ],
)
def test_effects_joined_in_another_way(formula: str, fix: str) -> None:
    with pytest.raises(FormulaError) as error:
        model(formula)
    assert error.value.fix == fix


def test_warnings_of_comparisons_point_at_the_caller() -> None:
    small = model("y ~ x1 | firm + year").fit()
    big = model().fit(cov_type="HC1")
    for compare, name in ((big.compare_f_test, "F"), (big.compare_lr_test, "likelihood ratio")):
        with pytest.warns(InvalidTestWarning, match=rf"The {name} test .*HC1.*res.f_test") as caught:
            compare(small)
        assert [w.filename for w in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = model().fit().compare_f_test(small)
    assert_allclose(value[0], model().fit().f_test("x2 = 0").fvalue, rtol=1e-10)


def test_warning_of_a_clipped_covariance_points_at_the_caller() -> None:
    data = panel().assign(a=lambda d: d["firm"] % 2, b=lambda d: d["year"] % 2)
    with pytest.warns(UserWarning, match="not positive semidefinite") as caught:
        model(data=data).fit(cov_type="cluster", cov_kwds={"groups": ["a", "b"]})
    assert {w.filename for w in caught} == {__file__}


def test_formula_error_is_raised_for_the_three_part_formula() -> None:
    with pytest.raises(FormulaError, match=r"instruments are not.*y ~ x1 \| firm \+ year"):
        model("y ~ x1 | firm | year")
