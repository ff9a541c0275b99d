"""Each line of bad input: the error names what was found, and its fix is in the text."""

from __future__ import annotations

import pathlib

import numpy as np
import pandas as pd
import polars as pl
import pytest

from gifepanel.exceptions import (
    CollinearityWarning,
    DataError,
    DataWarning,
    FormulaError,
    GifepanelError,
    SpecificationError,
)
from gifepanel.panel import design_from_arrays, design_from_formula, design_from_frames


def fails(error, words, formula, data, **options):
    """The error's text matches, has no terminal codes, and carries a fix."""
    with pytest.raises(error, match=words) as caught:
        design_from_formula(formula, data, **{"context": 0, **options})
    assert "\x1b" not in str(caught.value)
    assert "⧛" not in str(caught.value)
    assert isinstance(caught.value, GifepanelError)
    return caught.value


# --- values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["drop", "raise"])
def test_infinite_values(indexed, missing):
    indexed.iloc[[3, 5], indexed.columns.get_loc("x1")] = np.inf
    indexed.iloc[0, indexed.columns.get_loc("y")] = -np.inf
    error = fails(
        DataError,
        r"infinite values in 'y': 1 of 48 rows, first \('f1', 2001\); 'x1': 2 of 48 rows, "
        r"first \('f1', 2004\), \('f1', 2006\)",
        "y ~ x1 | firm",
        indexed,
        missing=missing,
    )
    names = {"data": indexed, "np": np}
    exec(error.fix, names)
    assert np.isfinite(names["data"][["y", "x1"]].dropna()).all().all()
    assert names["data"]["y"].count() + names["data"]["x1"].count() == 2 * 48 - (3 if missing == "drop" else 6)
    assert design_from_formula("y ~ x1", names["data"], missing=missing).nobs == 45


def test_infinite_values_in_unused_columns_do_not_matter(indexed):
    indexed["x2"] = np.inf
    assert design_from_formula("y ~ x1", indexed).nobs == 48


def test_missing_values(indexed):
    indexed.iloc[[3, 5, 6, 9], indexed.columns.get_loc("x1")] = np.nan
    design = design_from_formula("y ~ x1", indexed)
    assert (design.n_dropped, design.dropped_by, design.nobs) == (4, {"x1": 4}, 44)
    error = fails(
        DataError,
        r"missing values in 'x1': 4 of 48 rows, first .*\('f1', 2007\), \.\.\.",
        "y ~ x1",
        indexed,
        missing="raise",
    )
    assert "data.dropna(subset=['x1'])" in error.fix
    assert design.index.missing_times(0).tolist() == [2004, 2006, 2007]
    fails(
        DataError,
        "missing values in 'region'",
        "y ~ x2 | region",
        indexed.assign(region=[None, *["e"] * 47]),
        missing="raise",
    )
    assert design_from_formula("y ~ L(x2)", indexed, missing="raise").n_dropped == 6


def test_a_column_without_values_and_an_empty_sample(indexed):
    fails(DataError, "'x1' has no value in any row", "y ~ x1 + x2", indexed.assign(x1=np.nan))
    first, second = indexed["x1"].where(indexed["flag"]), indexed["x2"].where(~indexed["flag"])
    words = r"no row is left of 48: 'x1' is missing in \d+; 'x2' is missing in \d+"
    fails(DataError, words, "y ~ x1 + x2", indexed.assign(x1=first, x2=second))
    error = fails(DataError, r"no row is left of 48: L\(x1, 9\) in 48", "y ~ L(x1, 9)", indexed)
    assert "fewer lags" in error.fix
    fails(DataError, "the frame has no rows", "y ~ x1", indexed.iloc[:0])


@pytest.mark.parametrize(
    ("formula", "change", "words"),
    [
        ("y ~ log(x2)", 0.0, r"the term log\(x2\) is -inf in 1 rows .* first \('f1', 2003\)"),
        ("y ~ log(x2)", -1.0, r"the term log\(x2\) is NaN in 1 rows"),
        ("log(x2) ~ x1", 0.0, r"the term log\(x2\) is -inf"),
        ("y ~ I(x1 / x2)", 0.0, r"the term I\(x1 / x2\) is -?inf"),
        ("y ~ L(log(x2))", 0.0, r"the term L\(log\(x2\)\) is -inf in 1 rows .* \('f1', 2004\)"),
        ("y ~ L(log(x2))", -1.0, r"the term L\(log\(x2\)\) is NaN in 1 rows .* \('f1', 2004\)"),
        ("y ~ np.sqrt(x2) + x1", -1.0, r"the term np.sqrt\(x2\) is NaN in 1 rows"),
    ],
)
def test_terms_that_are_not_finite(indexed, formula, change, words):
    indexed.iloc[2, indexed.columns.get_loc("x2")] = change
    error = fails(FormulaError, words, formula, indexed)
    names = {"data": indexed}
    exec(error.fix, names)
    assert len(names["data"]) == 47
    assert design_from_formula(formula, names["data"]).nobs == 47 - (7 if "L(" in formula else 0)


def test_missing_values_do_not_hide_a_bad_term(indexed):
    indexed.iloc[[2, 4], indexed.columns.get_loc("x2")] = [-1.0, np.nan]
    fails(FormulaError, r"log\(x2\) is NaN in 1 rows .* \('f1', 2003\)", "y ~ log(x2)", indexed)


# --- who and when -----------------------------------------------------------------------------------------


def test_text_as_time_without_order(flat):
    months = flat.assign(when=np.tile(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug"], 6))
    error = fails(DataError, "'when' is text with no order in time", "y ~ x1", months, entity="firm", time="when")
    assert "pd.Categorical" in error.fix
    mixed = flat.assign(when=flat["year"].astype(object).where(flat["year"] > 2003, "early"))
    fails(DataError, "do not sort", "y ~ x1", mixed, entity="firm", time="when")
    ordered = pd.Categorical(months["when"], months["when"].iloc[:8], ordered=True)
    assert design_from_formula("y ~ L(x1)", months.assign(when=ordered), entity="firm", time="when").nobs == 42


def test_duplicates(flat, indexed):
    words = r"2 \(entity, time\) pairs occur more than once, first \('f1', 2001\), \('f2', 2001\)"
    double = pd.concat([flat, flat.iloc[[0, 8]]])
    error = fails(DataError, words, "y ~ x1", double, entity="firm", time="year")
    assert 'drop_duplicates(["firm", "year"])' in error.fix
    error = fails(DataError, words, "y ~ x1", double.set_index(["firm", "year"]))
    assert "index.duplicated()" in error.fix


def test_years_first_and_names_second_are_swapped(flat):
    years = flat.assign(year=2000 + flat["year"].rank(method="dense").astype(int))
    names = dict(zip(years["firm"].unique(), ("oak", "elm", "ash", "fir", "yew", "box"), strict=True))
    swapped = years.assign(firm=years["firm"].map(names)).set_index(["year", "firm"])
    error = fails(DataError, "'year', holds years and the second, 'firm', text without an order", "y ~ x1", swapped)
    assert error.fix == "data = data.swaplevel()"
    assert design_from_formula("y ~ x1", swapped.swaplevel()).index.n_entities == 6


def test_swapped_levels(flat):
    dated = flat.assign(date=pd.to_datetime(flat["year"].astype(str) + "-12-31"))
    for when in (dated["date"], dated["date"].dt.to_period("Y"), dated["date"].dt.date):
        swapped = dated.assign(date=when).set_index(["date", "firm"])
        error = fails(DataError, "'date', holds dates and the second, 'firm', does not", "y ~ x1", swapped)
        assert "swaplevel" in error.fix
        assert design_from_formula("y ~ x1", swapped.swaplevel()).index.n_entities == 6
        assert design_from_formula("y ~ x1", swapped, entity="firm", time="date").index.n_entities == 6
    looks = flat.assign(firm=flat["firm"].str[1:].astype(int)).set_index(["year", "firm"])
    error = fails(DataError, "'year', holds years and the second, 'firm', does not", "y ~ x1", looks)
    assert error.fix == "data = data.swaplevel()"
    assert design_from_formula("y ~ x1", looks, entity="year", time="firm").index.n_entities == 8
    waves = looks.rename(lambda year: year - 2000, level="year")
    with pytest.warns(DataWarning, match="'year', looks like time, but is taken as the entity"):
        design_from_formula("y ~ x1", waves)


def test_months_packed_into_integers(flat):
    months = [200007, 200008, 200009, 200010, 200011, 200101, 200102, 200103]
    packed = flat.assign(month=flat["year"].map(dict(zip(range(2001, 2009), months, strict=True))))
    words = r"200007 \.\.\. 200103 of 'month' look like year and month"
    error = fails(DataError, words, "y ~ L(x1)", packed, entity="firm", time="month")
    names = {"data": packed, "pd": pd}
    exec(error.fix, names)
    design = design_from_formula("y ~ L(x1)", names["data"], entity="firm", time="month")
    assert design.index.time_unit == "M"
    assert design_from_formula("y ~ x1", packed, entity="firm", time="month").nobs == 48


def test_a_name_with_two_meanings(flat):
    frame = flat.assign(firm="g").set_index(flat[["firm", "year"]].pipe(pd.MultiIndex.from_frame))
    error = fails(DataError, "'firm' names a column and an index level with other values", "y ~ x1 + C(firm)", frame)
    assert "rename" in error.fix
    same = flat.set_index(["firm", "year"], drop=False)
    assert design_from_formula("y ~ x1 + year | firm", same).nobs == 48


def test_other_indexes(flat, indexed):
    error = fails(DataError, "one-level index, and neither entity= nor time=", "y ~ x1", flat)
    assert 'entity="firm", time="year"' in error.fix
    three = flat.set_index(["firm", "region", "year"])
    error = fails(DataError, "3 levels: firm, region, year", "y ~ x1", three)
    assert "reset_index(level=['region'])" in error.fix
    assert design_from_formula("y ~ x1", three, entity="firm", time="year").index.is_balanced
    fails(DataError, "this kind of frame has no index", "y ~ x1", pl.from_pandas(flat))
    fails(DataError, "entity='Firm' is neither .*entity=\"firm\"", "y ~ x1", flat, entity="Firm", time="year")
    fails(DataError, "entity= was given without time=", "y ~ x1", flat, entity="firm")
    fails(DataError, "time= was given without entity=", "y ~ x1", flat, time="year")
    assert design_from_formula("y ~ x1", indexed, entity="firm").index.time_name == "year"
    fails(DataError, "both name 'firm'", "y ~ x1", flat, entity="firm", time="firm")
    fails(DataError, r"entity= has shape \(3,\) for 48 rows", "y ~ x1", flat, entity=[1, 2, 3], time="year")
    fails(
        DataError,
        "1 rows have no 'firm'",
        "y ~ x1",
        flat.assign(firm=[None, *flat["firm"][1:]]),
        entity="firm",
        time="year",
    )
    error = fails(
        DataError,
        "1 rows have no 'firm'",
        "y ~ x1",
        flat.assign(firm=[None, *flat["firm"][1:]]).set_index(["firm", "year"]),
    )
    assert "get_level_values" in error.fix


def test_not_a_frame(flat):
    for data in (None, [1, 2], np.ones((3, 3)), "data.csv"):
        fails(DataError, "a DataFrame is needed", "y ~ x1", data, entity="firm", time="year")
    fails(DataError, "lazy frame", "y ~ x1", pl.from_pandas(flat).lazy(), entity="firm", time="year")
    for data in ("panel.parquet", pathlib.Path("panel.csv"), pl.from_pandas(flat).lazy()):
        error = fails(DataError, "PartialledOLS takes", "y ~ x1", data, entity="firm", time="year")
        assert error.fix in (
            "data = pd.read_parquet('panel.parquet')",
            "data = pd.read_csv('panel.csv')",
            "data = data.collect()",
        )
    twice = pd.concat([flat, flat[["x1"]]], axis=1)
    fails(DataError, "2 columns named 'x1'", "y ~ x1", twice, entity="firm", time="year")


# --- formulas ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ regoin", "names 'regoin', .*'region' instead of 'regoin'"),
        ("y ~ log(coutn)", "names 'coutn', .*'count' instead"),
        ("Y ~ x1", "names 'Y', .*'y' instead"),
        ("y ~ x1 | frim", "names 'frim', .*'firm' instead"),
        ("y ~ x1 | firm[yaer]", "names 'yaer', .*'year' instead"),
        ("y ~ x1 + lg(x2)", "names 'lg'"),
        ("y ~ L(zzz)", "names 'zzz', which is not in the data. there are 'y', 'x1'"),
    ],
)
def test_misspelt_names(indexed, formula, words):
    fails(FormulaError, words, formula, indexed)


def test_a_variable_of_the_caller_is_not_a_column(indexed):
    z = indexed["x1"]
    assert len(z)
    with pytest.raises(FormulaError, match="names 'z', which is not in the data") as caught:
        design_from_formula("y ~ z", indexed, context=0)
    assert caught.value.fix == "data = data.assign(z=z)"


@pytest.mark.parametrize("formula", ["y ~ x1**2", "y ~ x2 + x1^2"])
def test_powers(indexed, formula):
    error = fails(FormulaError, "is a crossing of terms", formula, indexed)
    assert "I(x" in error.fix


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y + x1 ~ x2", "2 columns: 'y', 'x1'"),
        ("y:x2 ~ x1", "has a ':'"),
        ("region ~ x1", "region is text or a category|2 columns|3 columns"),
        ("1 ~ x1", "names no outcome"),
        ("y ~ x1.shift(1)", "cross from one entity to the next"),
        ("y ~ max(x1)", "one value per row"),
        ("y ~ L(x1, n=2)", r"evaluated: TypeError: lag\(\) got an unexpected"),
        ("y ~ x1 > 2", "into braces"),
        ("y ~ x1 + y", "the outcome y is also a regressor"),
        ("y ~ x1 + 2", "can't be read: Numeric literals"),
        ("y ~ x1 + + * x2", "can't be read"),
        ("y ~ log(x2", r"before '\)' is closed"),
        ("y ~ log(x2 x1)", "can't be read"),
        ("y ~ np.diff(x1)", "has 47 values for 48 rows"),
        ("y ~ x1.nope", "names 'x1.nope'"),
        ("y ~ x1.nope()", "AttributeError"),
        ("y ~ log(region)", r"the term log\(region\) can't be evaluated: TypeError"),
        ("y ~ L(region)", "not one column of numbers"),
        ("y ~ log(L(x1, (1, 2)))", "not a whole number"),
        ("y ~ C(region, levels=['east', 'west'])", "categories outside .*'north'.* levels= has to list each"),
        ("y ~ x1 | firm*year", "can't be read"),
        ("y ~ x1 | firm | year", "instruments are not"),
    ],
)
def test_formulas_that_do_not_work(indexed, formula, words):
    fails(FormulaError, words, formula, indexed)


def test_a_bad_term_is_not_excused_by_its_letters(indexed):
    frame = indexed.assign(finance=-1.0)
    fails(FormulaError, r"log\(finance\) is NaN", "y ~ log(finance)", frame)


def test_one_category_has_no_column(indexed):
    with pytest.warns(CollinearityWarning, match="'region' has one category in the sample") as caught:
        design = design_from_formula("y ~ x1 + region", indexed.assign(region="all"))
    assert design.exog_names == ("Intercept", "x1")
    assert caught[0].filename == __file__


def test_dates_are_not_numbers(indexed):
    dated = indexed.assign(date=pd.Timestamp("2001-01-01"))
    error = fails(FormulaError, "the term date holds datetime64", "y ~ date", dated)
    assert "C(date)" in error.fix
    fails(FormulaError, "holds complex128", "y ~ x1", indexed.assign(x1=1j))


def test_options(indexed):
    fails(SpecificationError, "missing='ignore' is unknown", "y ~ x1", indexed, missing="ignore")
    with pytest.raises(TypeError, match="mising"):
        design_from_formula("y ~ x1", indexed, mising="drop")


# --- frames and arrays ------------------------------------------------------------------------------------


def test_frames(flat, indexed):
    exog = indexed[["x1", "x2"]]
    with pytest.raises(DataError, match="different indexes"):
        design_from_frames(indexed["y"].iloc[::-1], exog)
    with pytest.raises(DataError, match="endog has 3 rows, exog 48"):
        design_from_frames([1.0, 2.0, 3.0], exog)
    with pytest.raises(DataError, match="endog has 2 columns"):
        design_from_frames(exog, exog)
    with pytest.raises(DataError, match=r"'region' holds (object|str), not numbers.*get_dummies"):
        design_from_frames(indexed["y"], indexed[["x1", "region"]])
    with pytest.raises(SpecificationError, match=r"absorb= names 'frim'.*'firm'"):
        design_from_frames(indexed["y"], exog, absorbed="frim")
    with pytest.raises(DataError, match="infinite values in 'x1'"):
        design_from_frames(indexed["y"], exog.assign(x1=np.inf))
    with pytest.raises(DataError, match='missing="raise"'):
        design_from_frames(indexed["y"].where(indexed["flag"]), exog, missing="raise")


def test_arrays():
    y, x = np.ones((4, 3)), np.ones((4, 3, 2))
    with pytest.raises(DataError, match=r"y has shape \(4, 3\) and x \(3, 4, 2\).*entities first"):
        design_from_arrays(y, x.transpose(1, 0, 2))
    with pytest.raises(DataError, match="not numbers"):
        design_from_arrays(y, [["a"]])
    with pytest.raises(DataError, match="exog_names has 3 names"):
        design_from_arrays(y, x, exog_names=["a", "b", "c"])
    with pytest.raises(DataError, match="entities has 2 labels"):
        design_from_arrays(y, x, entities=["a", "b"])
    with pytest.raises(DataError, match="times has 3 labels"):
        design_from_arrays(y, x, times=[1, 1, 2])
    with pytest.raises(DataError, match=r"infinite values in 'x2': 1 of 12 rows, first \(1, 2\)"):
        bad = x.copy()
        bad[1, 2, 1] = np.inf
        design_from_arrays(y, bad)
    with pytest.raises(DataError, match="empty"):
        design_from_arrays(np.ones((0, 3)), np.ones((0, 3, 1)))
    with pytest.raises(DataError, match="'y' has no value"):
        design_from_arrays(y * np.nan, x)
