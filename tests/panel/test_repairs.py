"""The line that repairs data runs, keeps every value, and the model fits: text, ids, infinities, several at once."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS
from gifepanel.exceptions import DataError, DataWarning, FormulaError, GifepanelError
from gifepanel.panel import design_from_formula
from gifepanel.panel.times import order_times

N, T = 6, 10


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"firm": np.repeat(range(1, N + 1), T), "year": np.tile(range(2001, 2001 + T), N)})
    frame["p"] = np.round(np.exp(rng.normal(8, 1.5, N * T)), 2)
    frame["x"] = rng.normal(size=N * T)
    frame["y"] = frame["x"] + np.log(frame["p"]) + rng.normal(size=N * T)
    return frame


def repaired(data: Any, fit: Any) -> tuple[Any, GifepanelError]:
    """What the fix of the error makes of the data; the model then fits."""
    with pytest.raises(GifepanelError) as caught:
        fit(data)
    names = {"data": data.copy() if isinstance(data, pd.DataFrame) else data, "pd": pd, "np": np}
    exec(str(caught.value.fix), names)
    assert np.isfinite(np.asarray(fit(names["data"]).fit().params)).all()
    return names["data"], caught.value


def english(value: float) -> str:
    return f"{value:,.2f}"


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


WRITTEN = {
    "thousands": english,
    "decimal commas": lambda v: f"{v:.2f}".replace(".", ","),
    "German": german,
    "Swiss": lambda v: f"{v:,.2f}".replace(",", "'"),
    "French": lambda v: f"{v:,.2f}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace(".", ","),
    "dollars": lambda v: f"${v:,.2f}",
    "euros": lambda v: german(v) + " €",
    "blanks": lambda v: f"  {v:.2f} ",
    "digits": lambda v: f"{v:.2f}",
}
FITS = {
    "control": lambda d: PartialledOLS.from_formula("y ~ x + p | firm", d),
    "log": lambda d: PartialledOLS.from_formula("y ~ x + log(p) | firm", d),
    "outcome": lambda d: PartialledOLS.from_formula("p ~ x | firm", d),
    "log of the outcome": lambda d: PartialledOLS.from_formula("log(p) ~ x", d),
    "lag": lambda d: PartialledOLS.from_formula("y ~ L(p)", d, entity="firm", time="year"),
    "slopes": lambda d: PartialledOLS.from_formula("y ~ x | firm[p]", d),
    "weights": lambda d: PartialledOLS.from_formula("y ~ x", d, weights="p"),
    "factors": lambda d: InteractiveFE.from_formula("y ~ x + np.log(p)", d, entity="firm", time="year", n_factors=1),
}


@pytest.mark.parametrize("written", WRITTEN)
def test_numbers_as_text(data, written):
    for use, fit in FITS.items():
        kind = {"log": "category", "lag": "string[pyarrow]", "slopes": "string"}.get(use, object)
        text = data.assign(p=data["p"].map(WRITTEN[written]).astype(kind))
        got, error = repaired(text, fit)
        assert np.allclose(got["p"].to_numpy(dtype=float), data["p"], rtol=1e-12)
        assert "coerce" not in str(error.fix)


@pytest.mark.parametrize("use", ["control", "log", "outcome", "factors"])
def test_cells_that_are_no_numbers_are_named(data, use):
    cells = data["p"].map(english).astype(object)
    cells[[3, 17]], cells[20], cells[30], cells[31] = "n/a", "", None, "  . "
    if use == "factors":
        cells[[20, 30, 31]] = cells[0]
        cells[[13, 23, 33, 43, 53, 7, 27, 37, 47, 57]] = "n/a"
    got, error = repaired(data.assign(p=cells), FITS[use])
    assert "'n/a'" in error.found and "(1, 2004)" in error.found.replace("first 3", "(1, 2004)")
    numbers = got["p"].to_numpy(dtype=float, na_value=np.nan)
    good = np.array([cell is not None and cell.strip() not in ("n/a", "", ".") for cell in cells])
    assert np.array_equal(np.isfinite(numbers), good)
    truth = data["p"].where(good) if use != "factors" else None
    assert truth is None or np.allclose(numbers, truth, equal_nan=True)


def test_per_cent_and_brackets(data):
    share = (data["p"] / 1000).round(3)
    got, error = repaired(data.assign(p=(100 * share).map("{:.1f}%".format)), FITS["control"])
    assert np.allclose(got["p"], share, rtol=1e-12) and "/ 100" in str(error.fix)
    signed = data["p"] * np.where(data["x"] > 0, 1, -1)
    text = signed.map(lambda v: f"({-v:,.2f})" if v < 0 else f"{v:,.2f}")
    got, _ = repaired(data.assign(p=text), FITS["control"])
    assert np.allclose(got["p"], signed, rtol=1e-12)


def test_categories_stay_categories(data):
    codes = data.assign(region=np.tile(["1", "2", "3"], 20), dose=np.tile(["0.5", "1.0", "2.0", "4.0"], 15))
    res = PartialledOLS.from_formula("y ~ x + region + dose", codes).fit()
    assert "region[T.2]" in res.params.index and "dose[T.1.0]" in res.params.index
    with pytest.raises(FormulaError, match=r"log\(region\)|can't be evaluated"):
        PartialledOLS.from_formula("y ~ log(region)", data.assign(region=np.tile(["a", "b", "c"], 20)))
    kept = PartialledOLS.from_formula("y ~ x + {region == '2'}", codes).fit()
    assert kept.nobs == N * T


def test_foreign_frames_and_frames_of_arrays(data):
    text = pl.from_pandas(data.assign(p=data["p"].map(english)))
    got, _ = repaired(text, FITS["log"])
    assert np.allclose(got["p"], data["p"])
    exog = data.assign(p=data["p"].map(english))[["x", "p"]]
    with pytest.raises(DataError, match="numbers as text") as caught:
        PartialledOLS(data["y"], exog)
    names = {"exog": exog.copy(), "pd": pd}
    exec(caught.value.fix, names)
    assert PartialledOLS(data["y"], names["exog"]).fit().nobs == N * T
    with pytest.raises(DataError, match="numbers as text") as caught:
        PartialledOLS(data["y"].map(english), exog[["x"]])
    names = {"endog": data["y"].map(english), "pd": pd}
    exec(caught.value.fix, names)
    assert np.allclose(names["endog"], data["y"].round(2))


DATES = {
    "day first": "%d.%m.%Y",
    "slashes": "%d/%m/%Y",
    "American": "%m/%d/%Y",
    "names": "%d %b %Y",
    "Stata": "%d%b%Y",
    "months": "%b %Y",
    "months and years": "%m/%Y",
}


@pytest.mark.parametrize("written", DATES)
def test_text_dates(data, written):
    dates = pd.date_range("1990-12-01", periods=T, freq="MS") + pd.Timedelta("12D" if "%d" in DATES[written] else "0D")
    text = data.assign(when=np.tile(dates.strftime(DATES[written]), N)).sample(frac=1.0, random_state=1)
    lag = lambda d: PartialledOLS.from_formula("y ~ L(x)", d, entity="firm", time="when")  # noqa: E731
    got, _ = repaired(text, lag)
    assert (got["when"].sort_index() == np.tile(dates, N)).all()
    assert lag(got).fit().nobs == N * (T - 1)


def test_december_stays_december():
    labels = ["01.12.1990", "01.01.1991", "01.02.1991"]
    with pytest.raises(DataError) as caught:
        order_times(pd.Index(labels, dtype=object), "when")
    names = {"data": pd.DataFrame({"when": labels}), "pd": pd}
    exec(caught.value.fix, names)
    assert names["data"]["when"].dt.month.tolist() == [12, 1, 2]


@pytest.mark.parametrize(
    "labels",
    [["Feb", "Jan", "Mar"], ["pre", "post"], ["Q3 2019", "Q4 2019", "Q1 2020"], [2001, "2002"], ["early", 2003, 2004],
     [pd.Period("2001", "Y"), pd.Period("2001-02", "M")], ["it's", 'a "b" {c}']],
)  # fmt: skip
def test_labels_get_an_order_and_stay(labels):
    data = pd.DataFrame({"when": pd.Series(labels, dtype=object)})
    with pytest.raises(DataError) as caught:
        order_times(pd.Index(data["when"]), "when")
    names = {"data": data.copy(), "pd": pd}
    exec(caught.value.fix, names)
    column = names["data"]["when"]
    assert column.notna().all() and column.nunique() == len(labels)
    assert "to_datetime" not in str(caught.value.fix)
    if labels[0] == "Feb":
        assert column.cat.categories.tolist() == ["Jan", "Feb", "Mar"]


# --- several problems -------------------------------------------------------------------------------------------


def spoiled(data: pd.DataFrame) -> pd.DataFrame:
    bad = data.astype({"firm": object, "year": float})
    bad.loc[3, "firm"], bad.loc[5, "firm"], bad.loc[7, "year"] = None, "  ", np.nan
    bad.loc[20, "x"] = np.inf
    bad["p"] = bad["p"].map(english).astype(object)
    bad.loc[33, "p"] = "n/a"
    return pd.concat([bad, bad.iloc[[40, 41]]], ignore_index=True)


def test_all_problems_at_once(data):
    bad = spoiled(data)
    fit = lambda d: InteractiveFE.from_formula(  # noqa: E731
        "y ~ x + log(p)", d, entity="firm", time="year", n_factors=1
    )
    got, error = repaired(bad, fit)
    text = str(error)
    assert len(error.problems) == 5
    for words in (
        "the data have 5 problems:", "2 rows have no 'firm'", "1 rows have no 'year'", "2 (entity, time) pairs",
        "(5, 2001), (5, 2002)", "in 1 rows: 'n/a', first (4, 2004)", "infinite values in 'x': 1 of 62",
    ):  # fmt: skip
        assert words in text
    assert "2001.0" not in text
    for number, problem in enumerate(error.problems, start=1):
        lines = text.splitlines()
        start = lines.index(f"{number:>2}. {problem.found}")
        assert lines[start + 1 : start + 3] == [f"    {problem.needed}", f"    {problem.fix}"]
    assert str(error.fix).count("\n") == 4
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == text and len(again.problems) == 5
    truth = data.set_index(["firm", "year"])["p"]
    kept = got.set_index(["firm", "year"])["p"].astype(float)
    assert np.allclose(kept.dropna(), truth.reindex(kept.dropna().index)) and len(kept) == 57
    design = fit(got).design
    assert design.nobs == 55 and design.dropped_by == {"x": 1, "p": 1}


def test_all_problems_of_an_index_and_of_polars(data):
    bad = spoiled(data)
    lag = lambda d: PartialledOLS.from_formula("y ~ L(x) + log(p)", d)  # noqa: E731
    _, error = repaired(bad.set_index(["firm", "year"]), lag)
    assert len(error.problems) == 5
    other = pl.from_pandas(bad.astype({"firm": "string"}))
    flat = lambda d: PartialledOLS.from_formula("y ~ L(x) + log(p)", d, entity="firm", time="year")  # noqa: E731
    _, error = repaired(other, flat)
    assert str(error.fix).count("to_pandas") == 1


def test_one_problem_is_told_as_ever(data):
    bad = data.copy()
    bad.loc[20, "x"] = np.inf
    _, error = repaired(bad, lambda d: PartialledOLS.from_formula("y ~ x", d))
    assert error.problems == () and "\n" not in str(error)


# --- columns of other kinds -------------------------------------------------------------------------------------


def test_small_floats_and_large_integers(data):
    expected = InteractiveFE.from_formula("y ~ x", data, entity="firm", time="year", n_factors=1).fit().params
    half = data.assign(firm=data["firm"].astype("float16"))
    wide = pl.from_pandas(data).with_columns(pl.col("firm", "year").cast(pl.Int128))
    for frame in (half, wide):
        found = InteractiveFE.from_formula("y ~ x", frame, entity="firm", time="year", n_factors=1).fit()
        assert np.allclose(found.params, expected)


def test_cells_with_several_values(data):
    ids = {"entity": "firm", "time": "year"}
    lag = lambda d: PartialledOLS.from_formula("y ~ L(x)", d, **ids)  # noqa: E731
    for frame, words in (
        (data.assign(firm=[[v] for v in data["firm"]]), "cells of 'firm' hold lists"),
        (data.assign(x=[[v] for v in data["x"]]), "cells of 'x' hold lists"),
        (data.assign(x=[{v} for v in data["x"]]), "cells of 'x' hold sets"),
        (pl.from_pandas(data).with_columns(pl.concat_list("firm").alias("firm")), "cells of 'firm' hold lists"),
        (pl.from_pandas(data).with_columns(pl.struct("firm").alias("firm")), "cells of 'firm' hold records"),
        (pl.from_pandas(data).with_columns(pl.struct("x").alias("x")), "cells of 'x' hold records"),
    ):
        got, error = repaired(frame, lag)
        assert words in error.found
        assert got["firm"].nunique() == N and len(got) == N * T
    absorbed = lambda d: PartialledOLS.from_formula("y ~ x | firm", d)  # noqa: E731
    for of_polars in (pl.concat_list("firm"), pl.struct("firm")):
        got, _ = repaired(pl.from_pandas(data).with_columns(of_polars.alias("firm")), absorbed)
        assert got["firm"].nunique() == N and len(got) == N * T
    with pytest.raises(DataError, match="cells of 'y' hold lists"):
        PartialledOLS.from_formula("y ~ x", data.assign(y=[[v] for v in data["y"]]))


def test_names_of_columns(data):
    levels = data.copy()
    levels.columns = pd.MultiIndex.from_tuples([(name, "") for name in data.columns])
    fit = lambda d: PartialledOLS.from_formula("y ~ x | firm", d)  # noqa: E731
    _, error = repaired(levels, fit)
    assert "columns of the frame have 2 levels" in error.found
    with pytest.raises(DataError, match="'3' is used as a name"):
        PartialledOLS(data["y"], data.rename(columns={"x": 3})[[3, "p"]])
    with pytest.raises(DataError, match="neither a column"):
        PartialledOLS.from_formula("y ~ x", data.set_axis(range(5), axis=1), entity="firm", time="year")


def test_dummies_of_ids_beside_factors(data):
    for formula, expected in (
        ("y ~ x + C(year) | firm", '"y ~ x | firm + year"'),
        ("y ~ x + C(firm)", '"y ~ x | firm"'),
    ):
        for model in (
            lambda f: InteractiveFE.from_formula(f, data, entity="firm", time="year", n_factors=1),
            lambda f: GroupedIFE.from_formula(f, data, entity="firm", time="year", n_factors=1, n_groups=2),
        ):
            with pytest.raises(FormulaError, match="dummies of") as caught:
                model(formula)
            assert caught.value.fix == expected
            model(expected.strip('"'))


# --- entity and time swapped ------------------------------------------------------------------------------------


def fitted(data: Any, **ids: str) -> Any:
    return design_from_formula("y ~ x", data, **ids)


def test_swapped_ids(data):
    for years in (data["year"], data["year"] * 100 + 1, data["year"].astype(str)):
        swapped = data.assign(year=years).set_index(["year", "firm"])
        got, error = repaired(swapped, lambda d: InteractiveFE.from_formula("y ~ x", d, n_factors=1))
        assert error.fix == "data = data.swaplevel()" and got.index.names == ["firm", "year"]
        with pytest.warns(DataWarning, match="looks like time.*swaplevel"):
            fitted(swapped.rename_axis([None, None]))
    with pytest.warns(DataWarning, match='entity=\'year\' looks like time.*entity="firm", time="year"'):
        fitted(data, entity="year", time="firm")
    named = data.assign(firm=data["firm"].map(dict(enumerate(["oak", "elm", "fir", "ash", "yew", "box"], 1))))
    with pytest.raises(DataError, match="'firm' text without an order") as caught:
        fitted(named, entity="year", time="firm")
    assert caught.value.fix == 'entity="firm", time="year"'
    dated = data.assign(year=pd.to_datetime(data["year"].astype(str)))
    with pytest.raises(DataError, match="entity='year' holds dates") as caught:
        fitted(dated, entity="year", time="firm")
    assert "to_datetime" not in str(caught.value)


def test_more_periods_than_entities_at_uneven_distances():
    rng = np.random.default_rng(0)
    firms = np.sort(rng.choice(9000, 40, replace=False)) + 10_000
    long = pd.DataFrame({"t": np.repeat(range(5), 40), "i": np.tile(firms, 5), "x": rng.normal(size=200)})
    long["y"] = rng.normal(size=200)
    with pytest.warns(DataWarning, match="40 times in 'i', at uneven distances, and 5 entities"):
        fitted(long.rename(columns={"t": "a"}), entity="a", time="i")


def test_panels_that_are_as_they_should_be(data):
    """Long panels, few entities, ids that are years beside real times: nothing is asked."""
    for entity, time in (
        (data["firm"], data["year"]),
        (data["firm"], data["year"] - 2000),
        (data["firm"] + 1990, data["year"]),
        (data["firm"] + 1990, pd.to_datetime(data["year"].astype(str))),
        (data["firm"].astype(str), data["year"] * 7 - 13000),
    ):
        fitted(data.assign(firm=entity, year=time), entity="firm", time="year")
        fitted(data.assign(firm=entity, year=time).set_index(["firm", "year"]))


def test_all_problems_of_frames(data):
    """Infinite values and pairs that occur twice in an outcome and a frame: the lines run on both, a gap stays."""
    bad = pd.concat([data, data.iloc[[40, 41]]]).drop(index=[14]).astype({"year": float})
    bad.loc[5, "x"] = np.inf
    bad = bad.set_index(["firm", "year"])
    with pytest.raises(DataError) as caught:
        InteractiveFE(bad["y"], bad[["x"]], n_factors=1)
    text = str(caught.value)
    assert len(caught.value.problems) == 2 and "2001.0" not in text
    for words in ("2 (entity, time) pairs", "infinite values in 'x'"):
        assert words in text
    names = {"endog": bad["y"], "exog": bad[["x"]].copy(), "np": np, "pd": pd}
    exec(caught.value.fix, names)
    assert (names["exog"].index == names["endog"].index).all() and len(names["exog"]) == N * T - 1
    assert InteractiveFE(names["endog"], names["exog"], n_factors=1).design.nobs == N * T - 2
    with pytest.raises(DataError) as caught:
        InteractiveFE(data.set_index(["firm", "year"])["y"].replace(data["y"][3], np.inf),
                      data.set_index(["firm", "year"])[["x"]], n_factors=1)  # fmt: skip
    assert "endog = endog.replace" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("formula", "fix"),
    [
        ("y ~ log(p)", "data = data.query('p > 0')"),
        ("log(`my p`) ~ x", "data = data.query('`my p` > 0')"),
        ("y ~ L(log(p)) + x", "data = data.query('p > 0')"),
        ("y ~ log(L(p)) + x", "data = data.query('p > 0')"),
        ("y ~ I(x / (p * `my p`))", "data = data.query('p * `my p` != 0')"),
        ("y ~ I(p**-1)", "data = data.query('p != 0')"),
        ("y ~ log(log(p + 1.5))", "data = data[~np.isin(np.arange(len(data)), [3, 20])]"),
        ("y ~ np.exp(1000 * (p == 0) + x)", "data = data[~np.isin(np.arange(len(data)), [3, 20])]"),
    ],
)
def test_terms_that_are_not_finite(data, formula, fix):
    zeros = data.assign(p=data["p"].where(~data.index.isin([3, 20]), 0.0)).assign(**{"my p": lambda frame: frame["p"]})
    if "log(log" in formula:
        zeros["p"] = zeros["p"].where(zeros["p"] > 0, -0.6)
    for frame in (zeros, pl.from_pandas(zeros), zeros.set_index(["firm", "year"])):
        own = {} if isinstance(frame, pd.DataFrame) and frame.index.nlevels == 2 else {"entity": "firm", "time": "year"}
        left, error = repaired(frame, lambda d, own=own: PartialledOLS.from_formula(formula, d, **own))
        assert fix in str(error.fix)
        assert len(left) == N * T - 2
