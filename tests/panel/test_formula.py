"""Designs from formulas: against formulaic and statsmodels on plain terms, and against pandas on panel terms."""

from __future__ import annotations

import subprocess
import sys

import formulaic
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from formulaic.materializers.base import FormulaMaterializerMeta
from formulaic.transforms import TRANSFORMS

from gifepanel.exceptions import FormulaError, SpecificationError
from gifepanel.panel import AbsorbedEffect, design_from_formula

PLAIN = [
    "y ~ x1",
    "y ~ x1 + x2 - 1",
    "y ~ 0 + x1",
    "y ~ log(x2) + I(x1**2) + {x1 * x2}",
    "y ~ x1 * x2",
    "y ~ C(region)",
    "y ~ region + size",
    "y ~ x1:region",
    "y ~ 0 + region:flag + x1",
    "y ~ (x1 + x2 + count)**2",
    "y ~ flag + count",
    "y ~ bs(x2, df=4) + scale(x1) + poly(x1, 2)",
    "y ~ C(size, contr.sum) + np.sqrt(x2)",
    "y ~ C(count)",
    "log(x2) ~ x1",
    "y ~ 1",
]


@pytest.mark.parametrize("formula", PLAIN)
@pytest.mark.filterwarnings("ignore:region.flag is a product:gifepanel.exceptions.SpecificationWarning")
def test_plain_terms_are_formulaics(indexed, formula):
    design = design_from_formula(formula, indexed)
    left, right = formulaic.Formula(formula).get_model_matrix(indexed.reset_index())
    assert design.exog_names == tuple(right.columns)
    np.testing.assert_array_equal(design.exog, right.to_numpy(dtype=float))
    np.testing.assert_array_equal(design.endog, left.to_numpy(dtype=float)[:, 0])
    assert design.endog_name == left.columns[0]
    assert design.exog.flags.c_contiguous
    assert design.exog.dtype == design.endog.dtype == np.float64


@pytest.mark.parametrize("formula", ["y ~ x1 + np.log(x2)", "y ~ x1 + C(region)", "y ~ x1 * x2 - 1"])
def test_plain_terms_are_statsmodels(indexed, formula):
    import statsmodels.formula.api as smf

    design = design_from_formula(formula, indexed)
    model = smf.ols(formula, indexed.reset_index())
    assert sorted(design.exog_names) == sorted(model.exog_names)
    order = [model.exog_names.index(name) for name in design.exog_names]  # patsy puts categories first
    np.testing.assert_allclose(design.exog, model.exog[:, order], rtol=1e-15)
    np.testing.assert_array_equal(design.endog, model.endog)


def test_index_levels_are_names(indexed, flat):
    design = design_from_formula("y ~ x1 + year + C(firm)", indexed)
    other = formulaic.Formula("y ~ x1 + year + C(firm)").get_model_matrix(flat).rhs
    np.testing.assert_array_equal(design.exog, other.to_numpy(dtype=float))
    assert design.row_index is indexed.index
    mixed = design_from_formula("y ~ x1 | region", flat.set_index("year"), entity="firm", time="year")
    assert mixed.index.n_times == 8


@pytest.mark.parametrize("formula", ["y ~ x1 + C(region) | firm + year", "y ~ L(y) + D(x1) + scale(x2)", "y ~ size*x1"])
@pytest.mark.parametrize("seed", [0, 1])
def test_row_order_does_not_matter(flat, formula, seed):
    straight = design_from_formula(formula, flat, entity="firm", time="year")
    shuffled_frame = flat.sample(frac=1, random_state=seed)
    shuffled = design_from_formula(formula, shuffled_frame, entity="firm", time="year")
    assert shuffled.exog_names == straight.exog_names
    for own, other in zip(shuffled.cubes(), straight.cubes(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-14)
    for name in straight.absorbed:
        own, other = shuffled.absorbed_codes[name], straight.absorbed_codes[name]
        assert own[1].equals(other[1])
        assert np.array_equal(shuffled.index.to_cube(own[0]), straight.index.to_cube(other[0]))
    assert shuffled_frame.index[shuffled.esample].equals(shuffled.row_index)


def test_every_kind_of_frame_gives_the_same_design(flat):
    formula = "y ~ x1 + L(log(x2)) + flag + count + region + size | firm + year"
    reference = design_from_formula(formula, flat, entity="firm", time="year")
    polars = pl.from_pandas(flat)
    frames = {
        "indexed": (flat.set_index(["firm", "year"]), {}),
        "mapping": ({name: flat[name].array for name in flat}, None),
        "polars": (polars, None),
        "polars enum": (polars.with_columns(pl.col("size").cast(pl.Enum(["small", "mid", "big"]))), None),
        "pyarrow": (pa.Table.from_pandas(flat, preserve_index=False), None),
        "arrow dtypes": (flat.convert_dtypes(dtype_backend="pyarrow"), None),
        "nullable dtypes": (flat.convert_dtypes(), None),
        "objects": (flat.astype({"x1": object, "count": object, "flag": object}), None),
        "small dtypes": (flat.astype({"count": "int8", "year": "int16"}), None),
        "categorical ids": (flat.astype({"firm": "category", "year": "category"}), None),
        "given ids": (flat.drop(columns=["firm", "year"]), {"entity": flat["firm"], "time": flat["year"]}),
    }
    for kind, (data, options) in frames.items():
        design = design_from_formula(
            formula, data, **({"entity": "firm", "time": "year"} if options is None else options)
        )
        if kind not in ("polars", "pyarrow"):  # a plain dictionary column has no order of its own there
            assert design.exog_names == reference.exog_names, kind
        assert design.exog.shape == reference.exog.shape, kind
        np.testing.assert_array_equal(design.endog, reference.endog, err_msg=kind)
        np.testing.assert_array_equal(design.exog[:, :2], reference.exog[:, :2], err_msg=kind)
        assert list(design.index.entities) == list(reference.index.entities), kind
        assert design.absorbed_codes["year"][1].tolist() == list(range(2002, 2009)), kind


def test_missing_values_of_nullable_frames_are_dropped(flat):
    flat.loc[3, "x1"] = np.nan
    flat["count"] = flat["count"].astype("Int64")
    flat.loc[5, "count"] = pd.NA
    flat["flag"] = flat["flag"].astype("boolean")
    flat.loc[7, "flag"] = pd.NA
    flat.loc[9, "region"] = None
    for data in (flat, pl.from_pandas(flat), pa.Table.from_pandas(flat, preserve_index=False)):
        design = design_from_formula("y ~ x1 + count + flag + region", data, entity="firm", time="year")
        assert np.flatnonzero(~design.esample).tolist() == [3, 5, 7, 9]
        assert design.dropped_by == {"x1": 1, "count": 1, "flag": 1, "region": 1}
        assert design.n_dropped == 4
        assert design.nobs == 44


def test_the_callers_frame_is_left_alone(indexed):
    before = indexed.copy(deep=True)

    def spoil(x):
        x += 1.0
        return x

    design = design_from_formula("y ~ spoil(x1) + x2 | firm", indexed, context={"spoil": spoil})
    design.exog[:] = 0.0
    design.endog[:] = 0.0
    pd.testing.assert_frame_equal(indexed, before)


# --- intercept and absorbed effects -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("y ~ x1", ("Intercept", "x1")),
        ("y ~ x1 - 1", ("x1",)),
        ("y ~ x1 | firm", ("x1",)),
        ("y ~ x1 - 1 | firm", ("x1",)),
        ("y ~ 0 + region | year", ("region[T.north]", "region[T.west]")),
        ("y ~ 1 | firm", ()),
        ("y ~ x1 | 0", ("Intercept", "x1")),
        ("y ~ x1 | firm[[x2]]", ("Intercept", "x1")),
        ("y ~ x1 | firm[x2]", ("x1",)),
        ("y ~ . - region - size - flag | firm + year", ("x1", "x2", "count")),
    ],
)
def test_intercept(indexed, formula, names):
    design = design_from_formula(formula, indexed)
    assert design.exog_names == names
    assert design.exog.shape == (48, len(names))


def test_absorbed_effects_are_categories(indexed):
    design = design_from_formula("y ~ x1 | firm + year + region^flag + firm[x2]", indexed)
    assert design.absorbed == ("firm", "year", "region^flag", "firm[x2]")
    codes, levels = design.absorbed_codes["year"]
    assert codes.dtype == np.int32
    assert levels[codes].tolist() == indexed.index.get_level_values("year").tolist()
    codes, levels = design.absorbed_codes["region^flag"]
    expected = pd.MultiIndex.from_frame(indexed[["region", "flag"]])
    assert levels[codes].to_list() == expected.to_list()
    assert levels.is_monotonic_increasing
    assert len(levels) == expected.nunique()
    assert design.absorbed_effects[3] == AbsorbedEffect("firm[x2]", ("firm",), ("x2",))
    np.testing.assert_array_equal(design.absorbed_slopes["x2"], indexed["x2"])


def test_absorbed_levels_are_those_of_the_sample(flat):
    flat.loc[flat["firm"] == "f3", "x1"] = np.nan
    flat.loc[0, "region"] = None
    design = design_from_formula("y ~ x1 | firm + region", flat, entity="firm", time="year")
    assert design.absorbed_codes["firm"][1].tolist() == ["f1", "f2", "f4", "f5", "f6"]
    assert design.n_dropped == 9
    assert not design.esample[0]
    assert design.absorbed_codes["firm"][0].max() == 4
    assert design.index.n_entities == 5


# --- lags ---------------------------------------------------------------------------------------------------


def test_lags_agree_with_pandas(flat):
    frame = flat.sample(frac=1, random_state=0)
    formula = "D(log(x2)) ~ L(y) + L(x1, (1, 2)) + F(x1) + lag(x1, 3) + diff(x1, 2) + lead(y, 1)"
    design = design_from_formula(formula, frame, entity="firm", time="year")
    by_firm = frame.sort_values(["firm", "year"]).assign(lx=lambda d: np.log(d["x2"])).groupby("firm")
    expected = pd.DataFrame(
        {
            "L(y)": by_firm["y"].shift(1),
            "L(x1, 1)": by_firm["x1"].shift(1),
            "L(x1, 2)": by_firm["x1"].shift(2),
            "F(x1)": by_firm["x1"].shift(-1),
            "lag(x1, 3)": by_firm["x1"].shift(3),
            "diff(x1, 2)": by_firm["x1"].diff(2),
            "lead(y, 1)": by_firm["y"].shift(-1),
            "y": by_firm["lx"].diff(),
        }
    ).reindex(frame.index)
    complete = expected.dropna()
    assert design.exog_names[1:] == tuple(expected.columns[:-1])
    assert design.row_index.equals(complete.index)
    np.testing.assert_array_equal(design.exog[:, 1:], complete.iloc[:, :-1])
    np.testing.assert_array_equal(design.endog, complete["y"])
    assert design.n_dropped == 48 - len(complete)
    assert design.index.is_balanced


def test_lags_see_rows_that_other_columns_lose(indexed):
    indexed.loc[("f2", 2004), "x2"] = np.nan
    design = design_from_formula("y ~ L(x1) + x2", indexed)
    rows = design.row_index
    assert ("f2", 2004) not in rows
    assert design.exog[rows.get_loc(("f2", 2005)), 1] == indexed.loc[("f2", 2004), "x1"]


def test_gaps_are_seen_in_the_values_of_time(indexed):
    gappy = indexed.drop(2004, level="year")
    design = design_from_formula("y ~ L(x1)", gappy)
    assert 2005 not in design.row_index.get_level_values("year")
    assert design.index.n_times == 5
    assert design.index.periods.tolist() == [0, 1, 4, 5, 6]


def test_lags_nest(indexed):
    nested = design_from_formula("y ~ L(log(x2)) + log(L(x2)) + D(D(x1)) + L(D(x1)) + scale(L(x1))", indexed)
    np.testing.assert_allclose(nested.exog[:, 1], nested.exog[:, 2])
    x = indexed["x1"].unstack()
    twice = x.diff(axis=1).diff(axis=1).iloc[:, 2:].to_numpy()
    np.testing.assert_allclose(nested.index.to_cube(nested.exog[:, 3]), twice)
    before = x.diff(axis=1).shift(axis=1).iloc[:, 2:].to_numpy()
    np.testing.assert_allclose(nested.index.to_cube(nested.exog[:, 4]), before)
    lagged = x.shift(axis=1).to_numpy()
    standard = (lagged - np.nanmean(lagged)) / np.nanstd(lagged, ddof=1)
    np.testing.assert_allclose(nested.index.to_cube(nested.exog[:, 5]), standard[:, 2:])


def test_columns_named_like_panel_functions(indexed):
    frame = indexed.rename(columns={"x1": "D", "x2": "L"})
    design = design_from_formula("y ~ D + L + L(D) + D(L)", frame)
    reference = design_from_formula("y ~ x1 + x2 + L(x1) + D(x2)", indexed)
    np.testing.assert_array_equal(design.exog, reference.exog)
    assert design.exog_names == ("Intercept", "D", "L", "L(D)", "D(L)")


def test_columns_named_like_other_functions(indexed):
    frame = indexed.rename(columns={"x1": "I", "x2": "C"})
    design = design_from_formula("y ~ I + C + I(C**2) + C(region)", frame)
    reference = design_from_formula("y ~ x1 + x2 + I(x2**2) + C(region)", indexed)
    np.testing.assert_array_equal(design.exog, reference.exog)
    assert design.exog_names == ("Intercept", "I", "C", "I(C ** 2)", "C(region)[T.north]", "C(region)[T.west]")
    np.testing.assert_array_equal(design.spec.exog_for(frame).exog, design.exog)


def test_columns_with_odd_names(indexed):
    frame = indexed.rename(columns={"x1": "my x", "x2": "a|b", "y": "class"})
    design = design_from_formula("`class` ~ `my x` + log(`a|b`) + L(`my x`) + Q('a|b')", frame)
    reference = design_from_formula("y ~ x1 + log(x2) + L(x1) + x2", indexed)
    np.testing.assert_array_equal(design.exog, reference.exog)


@pytest.mark.parametrize(
    ("formula", "lags"),
    [
        ("y ~ x1 + L(y) + L(y, 2)", (2, 3)),
        ("y ~ L(y, (1, 2)) + x1 | firm", (0, 1)),
        ("log(x2) ~ lag(log(x2)) + L(x1)", (1,)),
        ("y ~ L(x1) + x1:L(y)", (2,)),
        ("D(y) ~ L(y) + x1", (1,)),
        ("y ~ x1", ()),
    ],
)
def test_lags_of_the_outcome_are_marked(indexed, formula, lags):
    assert design_from_formula(formula, indexed).lags_of_endog == lags


# --- names from the caller --------------------------------------------------------------------------------


def half(x):
    return x / 2


def test_functions_of_the_caller(indexed):
    third = 3.0

    def scaled(x):
        return x / third

    expected = indexed["x1"].to_numpy()
    by_frame = design_from_formula("y ~ half(x1) + scaled(x1)", indexed, context=0)
    np.testing.assert_array_equal(by_frame.exog[:, 1:], np.column_stack([expected / 2, expected / 3]))
    assert set(by_frame.spec.context) == {"half", "scaled"}
    by_name = design_from_formula("y ~ half(x1)", indexed, context={"half": half, "unused": object()})
    assert set(by_name.spec.context) == {"half"}

    def from_deeper():
        return design_from_formula("y ~ scaled(x1)", indexed, context=1)

    np.testing.assert_array_equal(from_deeper().exog[:, 1], expected / 3)
    with pytest.raises(FormulaError, match="a call of 'half'"):
        design_from_formula("y ~ half(x1)", indexed)


def test_python_functions_do_not_hide_formula_functions(indexed):
    from math import log, sqrt

    C, scale, np_ = 3, "text", np
    assert log and sqrt and C and scale and np_
    design = design_from_formula("y ~ log(x2) + sqrt(x2) + scale(x1) + C(region) + np.exp(x1)", indexed, context=0)
    np.testing.assert_array_equal(design.exog[:, 1], np.log(indexed["x2"]))


def test_a_callers_function_may_reorder_or_make_missing(flat):
    def trimmed(x):
        return x.where(x > 0)

    design = design_from_formula("y ~ trimmed(x1)", flat, entity="firm", time="year", context=0)
    assert design.nobs == (flat["x1"] > 0).sum()
    explicit = design_from_formula("y ~ np.where(x1 > 0, x1, np.nan)", flat, entity="firm", time="year")
    assert np.array_equal(explicit.esample, design.esample)
    ordered = design_from_formula(
        "y ~ f(x1)", flat, entity="firm", time="year", context={"f": lambda x: x.sort_values()}
    )
    np.testing.assert_array_equal(ordered.exog[:, 1], flat["x1"])


# --- categories, transforms with a state ------------------------------------------------------------------


def test_levels_lost_with_dropped_rows_leave_no_empty_column(flat):
    flat.loc[flat["region"] == "north", "x1"] = np.nan
    flat["size"] = flat["size"].cat.add_categories("huge")
    design = design_from_formula("y ~ x1 + region + size", flat, entity="firm", time="year")
    assert design.exog_names == ("Intercept", "x1", "region[T.west]", "size[T.mid]", "size[T.big]")
    assert (design.exog != 0).any(axis=0).all()


def test_stateful_transforms_train_on_what_is_there(flat):
    flat.loc[[2, 11], "x2"] = np.nan
    design = design_from_formula("y ~ scale(x2) + bs(x2, df=4)", flat, entity="firm", time="year")
    present = flat.dropna()
    reference = formulaic.Formula("scale(x2) + bs(x2, df=4)").get_model_matrix(present)
    np.testing.assert_allclose(design.exog, reference.to_numpy(), rtol=1e-12, atol=1e-15)
    assert design.n_dropped == 2


def test_common_columns(indexed):
    design = design_from_formula(
        "y ~ x1 + log(x2) + C(region) + x1:x2 | year", indexed, common=["log(x2)", "C(region)"]
    )
    assert [design.exog_names[j] for j in design.common] == ["log(x2)", "C(region)[T.north]", "C(region)[T.west]"]
    assert design_from_formula("y ~ x1 + x2", indexed, common="x2").common == (2,)
    assert design_from_formula("y ~ I(x1+x2)", indexed, common="I(x1+x2)").common == (1,)
    with pytest.raises(SpecificationError, match=r"names 'x3', which is not a regressor.*common=\['x1'\]"):
        design_from_formula("y ~ x1", indexed, common=["x3"])


def test_clusters_on_the_sample(flat):
    flat.loc[4, "x1"] = np.nan
    design = design_from_formula("y ~ x1 | year", flat, entity="firm", time="year")
    codes, levels = design.codes_of(flat, "region")
    assert levels[codes].tolist() == flat["region"].drop(4).tolist()
    assert design.codes_of(flat, "firm")[0] is design.index.entity_codes
    codes, levels = design.codes_of(flat, "year")
    assert codes.dtype == np.int64
    assert codes.tolist() == design.absorbed_codes["year"][0].tolist()
    assert levels is design.absorbed_codes["year"][1]


def test_nothing_is_registered_with_formulaic(indexed):
    import gifepanel.panel.formulaic_evaluation  # noqa: F401

    transforms, names = set(TRANSFORMS), dict(FormulaMaterializerMeta.REGISTERED_NAMES)
    assert not {"L", "F", "D", "lead", "diff"} & transforms
    assert all("gifepanel" not in kind.__module__ for kind in names.values())
    assert all(
        "gifepanel" not in kind.__module__
        for kinds in FormulaMaterializerMeta.REGISTERED_INPUTS.values()
        for kind in kinds
    )
    design_from_formula("y ~ L(x1) + scale(x2)", indexed)
    assert set(TRANSFORMS) == transforms
    assert names == FormulaMaterializerMeta.REGISTERED_NAMES


def test_import_is_light():
    script = "import sys, gifepanel.panel; print(*{'formulaic', 'statsmodels', 'narwhals', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.slow
def test_a_million_rows_are_quick():
    import time

    rng = np.random.default_rng(0)
    n = 1_000_000
    frame = pd.DataFrame(
        {"firm": np.repeat(np.arange(n // 20), 20), "year": np.tile(np.arange(2000, 2020), n // 20)}
        | {name: rng.normal(size=n) for name in ("y", "x1", "x2")}
    ).sample(frac=1, random_state=0)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        design_from_formula("y ~ x1 + x2 | firm + year", frame, entity="firm", time="year")
        best = min(best, time.perf_counter() - start)
    assert best < 0.5


def test_exclusive_or_is_no_power():
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "n": [1, 2, 3, 5], "b": [True, False, True, True]})
    for term in ("I(n^2)", "{n ^ 2}", "log(2^n)"):
        with pytest.raises(FormulaError, match="no power in Python") as caught:
            design_from_formula(f"y ~ {term}", data, panel=False)
        assert "**" in caught.value.fix
    design = design_from_formula("y ~ 0 + {(n > 2) ^ b}", data, panel=False)
    assert design.exog[:, -1].tolist() == [1.0, 0.0, 0.0, 0.0]
