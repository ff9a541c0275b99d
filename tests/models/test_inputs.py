"""The same panel in every form, order, labelling and unit gives the same answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.datasets import load_cigar

COUNTS = {"n_groups": 3, "n_factors": 2}
DEMO = "log(sales) ~ log(real_price) + log(real_income) | state"


@pytest.fixture
def reference(panel: pd.DataFrame) -> Any:
    return GroupedIFE.from_formula("y ~ 0 + x1 + x2 | entity", panel, **COUNTS).fit()


def flat(panel: pd.DataFrame) -> pd.DataFrame:
    return panel.reset_index()[["x1", "x2", "entity", "time"]]


FORMS = {
    "series and frame": lambda p: GroupedIFE(p["y"], p[["x1", "x2"]], absorb="entity", **COUNTS),
    "two frames": lambda p: GroupedIFE(p[["y"]], p[["x1", "x2"]], absorb=["entity"], **COUNTS),
    "array and frame": lambda p: GroupedIFE(p["y"].to_numpy(), p[["x1", "x2"]], absorb="entity", **COUNTS),
    "series and array": lambda p: GroupedIFE(p["y"], p[["x1", "x2"]].to_numpy(), absorb="entity", **COUNTS),
    "flat": lambda p: GroupedIFE(
        p.reset_index()["y"], flat(p), entity="entity", time="time", absorb="entity", **COUNTS
    ),
    "stacked arrays": lambda p: GroupedIFE(
        p["y"].to_numpy(),
        p[["x1", "x2"]].to_numpy(),
        entity=p.reset_index()["entity"],
        time=p.reset_index()["time"],
        absorb="entity",
        **COUNTS,
    ),
    "cubes": lambda p: GroupedIFE(
        p["y"].to_numpy().reshape(24, 20), p[["x1", "x2"]].to_numpy().reshape(24, 20, 2), absorb="entity", **COUNTS
    ),
    "lists": lambda p: GroupedIFE(
        p["y"].to_numpy().reshape(24, 20).tolist(),
        p[["x1", "x2"]].to_numpy().reshape(24, 20, 2).tolist(),
        absorb="entity",
        **COUNTS,
    ),
    "wide frame and cube": lambda p: GroupedIFE(
        p["y"].unstack(), p[["x1", "x2"]].to_numpy().reshape(24, 20, 2), absorb="entity", **COUNTS
    ),
    "flat formula": lambda p: GroupedIFE.from_formula(
        "y ~ 0 + x1 + x2 | entity", p.reset_index(), entity="entity", time="time", **COUNTS
    ),
    "polars": lambda p: GroupedIFE.from_formula(
        "y ~ 0 + x1 + x2 | entity", pl.from_pandas(p.reset_index()), entity="entity", time="time", **COUNTS
    ),
    "polars frames": lambda p: GroupedIFE(
        pl.from_pandas(p.reset_index())["y"],
        pl.from_pandas(flat(p)),
        entity="entity",
        time="time",
        absorb="entity",
        **COUNTS,
    ),
    "pyarrow": lambda p: GroupedIFE.from_formula(
        "y ~ 0 + x1 + x2 | entity", pa.Table.from_pandas(p.reset_index()), entity="entity", time="time", **COUNTS
    ),
    "dates": lambda p: GroupedIFE.from_formula(
        "y ~ 0 + x1 + x2 | entity",
        p.rename(index=lambda t: pd.Timestamp(2000 + t, 1, 1), level="time"),
        **COUNTS,
    ),
}


@pytest.mark.parametrize("form", list(FORMS))
def test_forms(panel: pd.DataFrame, reference: Any, form: str) -> None:
    res = FORMS[form](panel).fit()
    assert list(res.params.index) == list(reference.params.index)
    np.testing.assert_allclose(res.params, reference.params, rtol=1e-12)
    np.testing.assert_allclose(res.bse, reference.bse, rtol=1e-12)
    np.testing.assert_array_equal(res.groups, reference.groups)
    np.testing.assert_allclose(res.resid, reference.resid, atol=1e-12)


def test_wide_frame_gives_the_labels(panel: pd.DataFrame) -> None:
    wide = panel["y"].unstack().rename(index=lambda i: f"firm {i:02d}")
    res = InteractiveFE(wide, panel[["x1"]].to_numpy().reshape(24, 20, 1), n_factors=1).fit()
    assert list(res.loadings.index[:2]) == ["firm 01", "firm 02"]
    assert list(res.factors.index) == list(range(1, 21))


def test_one_column_of_regressors(panel: pd.DataFrame) -> None:
    expected = InteractiveFE(panel["y"], panel[["x1"]], n_factors=2).fit().params
    series = InteractiveFE(panel["y"], panel["x1"], n_factors=2).fit().params
    pd.testing.assert_series_equal(series, expected)
    y, x = panel["y"].to_numpy().reshape(24, 20), panel["x1"].to_numpy().reshape(24, 20)
    np.testing.assert_allclose(InteractiveFE(y, x, n_factors=2).fit().params, expected, rtol=1e-12)


def test_a_constant_column_is_the_intercept(panel: pd.DataFrame) -> None:
    import statsmodels.api as sm

    formula = InteractiveFE.from_formula("y ~ x1 + x2", panel, n_factors=2).fit()
    frames = InteractiveFE(panel["y"], sm.add_constant(panel[["x1", "x2"]]), n_factors=2).fit()
    np.testing.assert_allclose(frames.params, formula.params, rtol=1e-12)
    assert frames.fvalue == pytest.approx(formula.fvalue)


@pytest.mark.parametrize("effects", [" | state", " | state + year"])
def test_shuffled_rows(effects: str) -> None:
    data = load_cigar()
    formula = DEMO.partition(" |")[0] + effects
    shuffled = data.sample(frac=1, random_state=1)
    one = GroupedIFE.from_formula(formula, data, **COUNTS).fit(cov_type="cluster")
    two = GroupedIFE.from_formula(formula, shuffled, **COUNTS).fit(cov_type="cluster")
    pd.testing.assert_series_equal(one.params, two.params, rtol=1e-12)
    pd.testing.assert_series_equal(one.bse, two.bse, rtol=1e-12)
    pd.testing.assert_series_equal(one.groups, two.groups)
    for name in ("resid", "fittedvalues"):
        found = getattr(two, name)
        assert found.index.equals(shuffled.index)
        np.testing.assert_allclose(found, getattr(one, name).loc[shuffled.index], atol=1e-12)
    np.testing.assert_allclose(two.resid + two.fittedvalues, np.log(shuffled["sales"]), atol=1e-12)


def test_flat_rows_keep_a_doubled_index(panel: pd.DataFrame, reference: Any) -> None:
    data = panel.reset_index().sample(frac=1, random_state=3).set_index(np.zeros(480, dtype=int))
    res = GroupedIFE.from_formula("y ~ 0 + x1 + x2 | entity", data, entity="entity", time="time", **COUNTS).fit()
    assert res.resid.index.equals(data.index)
    np.testing.assert_allclose(res.resid + res.fittedvalues, data["y"], atol=1e-12)
    np.testing.assert_allclose(res.params, reference.params, rtol=1e-12)


@pytest.mark.parametrize("n_groups", [2, 3])
def test_relabelled_entities(n_groups: int) -> None:
    data = load_cigar()
    states = data.index.levels[0]
    order = np.random.default_rng(0).permutation(len(states))
    renamed = data.rename(index=dict(zip(states, (f"s{k:02d}" for k in order), strict=True)), level="state")
    one = GroupedIFE.from_formula(DEMO, data, n_groups=n_groups, n_factors=2).fit()
    two = GroupedIFE.from_formula(DEMO, renamed, n_groups=n_groups, n_factors=2).fit()
    np.testing.assert_allclose(one.params, two.params, rtol=1e-6)
    np.testing.assert_allclose(one.bse, two.bse, rtol=1e-6)
    back = two.groups.rename(dict(zip((f"s{k:02d}" for k in order), states, strict=True))).sort_index()
    np.testing.assert_array_equal(back, one.groups)


@pytest.mark.parametrize("correction", [None, True, "jackknife"])
@pytest.mark.parametrize("scale", [1e-3, 50.0, 1e6])
def test_units_of_the_outcome(panel: pd.DataFrame, scale: float, correction: Any) -> None:
    one = GroupedIFE.from_formula("y ~ x1 + x2 | time", panel, **COUNTS).fit(bias_correction=correction)
    scaled = panel.assign(y=panel["y"] * scale)
    two = GroupedIFE.from_formula("y ~ x1 + x2 | time", scaled, **COUNTS).fit(bias_correction=correction)
    np.testing.assert_allclose(two.params, one.params * scale, rtol=1e-6)
    np.testing.assert_allclose(two.bse, one.bse * scale, rtol=1e-6)
    np.testing.assert_allclose(two.tvalues, one.tvalues, rtol=1e-6)
    np.testing.assert_array_equal(two.groups, one.groups)
    np.testing.assert_allclose(two.loadings, one.loadings * scale, rtol=1e-5, atol=1e-5 * scale)
    assert two.rsquared == pytest.approx(one.rsquared)
    np.testing.assert_allclose(two.membership["margin"], one.membership["margin"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", ["grouped", "interactive"])
def test_units_of_the_regressors(panel: pd.DataFrame, model: str) -> None:
    scaled = panel.assign(x1=panel["x1"] * 1e4, x2=panel["x2"] * 1e-3)
    if model == "grouped":
        one, two = (GroupedIFE.from_formula("y ~ 0 + x1 + x2", d, **COUNTS).fit() for d in (panel, scaled))
        np.testing.assert_array_equal(two.groups, one.groups)
    else:
        one, two = (InteractiveFE.from_formula("y ~ 0 + x1 + x2", d, n_factors=2).fit() for d in (panel, scaled))
    factor = np.where(one.params.index.str.startswith("x1"), 1e-4, 1e3)
    np.testing.assert_allclose(two.params, one.params * factor, rtol=1e-6)
    np.testing.assert_allclose(two.bse, one.bse * factor, rtol=1e-6)
    np.testing.assert_allclose(two.tvalues, one.tvalues, rtol=1e-6)
    np.testing.assert_allclose(two.resid, one.resid, atol=1e-7)


def test_formula_functions_in_lower_case(panel: pd.DataFrame) -> None:
    import gifepanel.formula.api as gfa

    bonus = panel["x1"].mean()

    def shifted(x: Any) -> Any:
        return x - bonus

    grouped = gfa.gife("y ~ shifted(x1) + x2 | entity", panel, **COUNTS)
    single = gfa.ife("y ~ shifted(x1) + x2 | entity", panel, n_factors=2)
    assert grouped.exog_names == single.exog_names == ["shifted(x1)", "x2"]
    pd.testing.assert_series_equal(
        grouped.fit().params,
        GroupedIFE.from_formula("y ~ shifted(x1) + x2 | entity", panel, **COUNTS).fit().params,
    )
