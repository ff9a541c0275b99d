"""Dates packed into numbers: every form against the dates they were made of, and numbers that are none."""

from __future__ import annotations

import decimal
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS, diagnostics
from gifepanel.cli import main
from gifepanel.exceptions import DataError, DataWarning
from gifepanel.panel import design_from_formula
from gifepanel.panel.times import order_times

MONTHS = pd.period_range("2019-07", periods=24, freq="M")
QUARTERS = pd.period_range("2000Q2", periods=24, freq="Q")
HALVES = pd.date_range("2001-01-01", periods=8, freq="6MS")
WEEKS = pd.date_range("2019-11-04", periods=40, freq="W-MON")
DAYS = pd.date_range("2019-12-20", periods=40, freq="D")
PACKED = {
    "integers": (MONTHS, [100 * m.year + m.month for m in MONTHS]),
    "quarters": (QUARTERS, [10 * q.year + q.quarter for q in QUARTERS]),
    "half-years": (HALVES, [10 * d.year + 1 + (d.month > 6) for d in HALVES]),
    "year.quarter": (QUARTERS, [q.year + q.quarter / 10 for q in QUARTERS]),
    "year.month": (MONTHS, [m.year + m.month / 100 for m in MONTHS]),
    "month ends": (
        MONTHS.to_timestamp(how="end").normalize(),
        [int(m.end_time.strftime("%Y%m%d")) for m in MONTHS],
    ),
    "days": (DAYS, [int(d.strftime("%Y%m%d")) for d in DAYS]),
    "days first": (DAYS, [int(d.strftime("%d%m%Y")) for d in DAYS]),
    "months first": (MONTHS, [10_000 * m.month + m.year for m in MONTHS]),
    "two digits": (DAYS, [int(d.strftime("%y%m%d")) for d in DAYS]),
    "two digits and month": (pd.period_range("1990-07", periods=24, freq="M"), None),
    "weeks": (WEEKS, [int(d.strftime("%G%V")) for d in WEEKS]),
    "days of the year": (DAYS, [int(d.strftime("%Y%j")) for d in DAYS]),
    "years apart": (pd.period_range("2019-12", periods=3, freq="12M"), [201912, 202012, 202112]),
}
PACKED["two digits and month"] = (
    PACKED["two digits and month"][0],
    [100 * (m.year - 1900) + m.month for m in PACKED["two digits and month"][0]],
)
MAKES = {
    "int": lambda v: pd.Series(v),
    "float": lambda v: pd.Series(v, dtype=float),
    "text": lambda v: pd.Series([str(one) for one in v]),
    "object": lambda v: pd.Series(v, dtype=object),
    "decimal": lambda v: pd.Series([decimal.Decimal(str(one)) for one in v], dtype=object),
    "category": lambda v: pd.Series(v, dtype="category"),
    "nullable": lambda v: pd.Series(v).convert_dtypes(),
    "pyarrow": lambda v: pd.Series(v).astype("int64[pyarrow]" if isinstance(v[0], int) else "float64[pyarrow]"),
}


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("form", PACKED)
def test_the_line_gives_the_dates_back(form, make):
    dates, numbers = PACKED[form]
    numbers = [float(one) if isinstance(one, float) else int(one) for one in numbers]
    if form == "year.month" and make in ("text", "decimal"):
        numbers = [round(one, 2) for one in numbers]
    n = len(numbers)
    data = pd.DataFrame({"i": np.repeat([1, 2], n), "t": pd.concat([MAKES[make](numbers)] * 2, ignore_index=True)})
    data["y"] = np.arange(2.0 * n)
    data["x"] = np.sin(data["y"])
    with pytest.raises(DataError, match="look like") as caught:
        design_from_formula("y ~ L(x)", data, entity="i", time="t")
    names = {"data": data.copy(), "pd": pd}
    exec(caught.value.fix, names)
    repaired = names["data"]
    assert repaired["t"].notna().all() and repaired["t"].nunique() == n
    expected = order_times(pd.Index(dates)).periods
    design = design_from_formula("y ~ L(x)", repaired, entity="i", time="t")
    assert np.array_equal(order_times(pd.Index(repaired["t"][:n])).periods, expected)
    assert design.nobs == 2 * (n - 1)
    if form != "two digits and month":
        by_name = design_from_formula("y ~ L(x)", data, entity="i", time="date(t)")
        assert by_name.nobs == design.nobs
        assert (by_name.exog == design.exog).all()


PLAIN = {
    "years": range(1990, 2021),
    "years with gaps": [1910, 1921, 2010, 2020],
    "counter": range(1, 200),
    "from zero": range(60),
    "five digits": range(20001, 20055),
    "six digits": range(200001, 200101),
    "eight digits": range(20200090, 20200140),
    "clock": range(1_500_000_000, 1_500_000_040),
    "days since 1970": range(18263, 18363),
    "months of one year": range(201901, 201913),
    "quarters of one year": range(20191, 20195),
    "decimals": [1990.25, 1990.5, 1990.75, 1991.0, 1991.5],
    "tenths": [1990.1, 1990.3, 1990.9, 1991.0],
    "hundreds": range(9901, 9990),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_numbers_are_left_alone(kind):
    values = list(PLAIN[kind])
    assert order_times(pd.Index(values)).packed is None
    assert order_times(pd.Index([str(value) for value in values], dtype=object)).packed is None


def test_an_order_is_all_that_some_models_need(panel):
    for time in ("ym", "text", "q"):
        plain = PartialledOLS.from_formula(f"y ~ x | firm + {time}", panel, entity="firm", time=time)
        dates = PartialledOLS.from_formula("y ~ x | firm + m", panel, entity="firm", time="m")
        assert plain.fit().params["x"] == pytest.approx(dates.fit().params["x"], rel=1e-12)
        factors = InteractiveFE.from_formula("y ~ x | firm", panel, entity="firm", time=time, n_factors=1).fit()
        assert "Durbin" not in str(factors.summary())
        assert np.isfinite(factors.bse).all()


@pytest.fixture(scope="module")
def panel():
    g = np.random.default_rng(5)
    data = pd.DataFrame({"firm": np.repeat(range(12), 24), "m": np.tile(MONTHS, 12), "x": g.normal(size=288)})
    data["y"] = data["x"] + g.normal(size=288)
    data["ym"] = data["m"].map(lambda m: 100 * m.year + m.month)
    data["text"] = data["ym"].astype(str)
    data["q"] = np.tile([10 * y + k for y in range(2000, 2006) for k in (1, 2, 3, 4)], 12)
    return data


IDS = {"entity": "firm"}
LAGS = {"maxlags": 3}
USES = {
    "lag": lambda d, t: PartialledOLS.from_formula("y ~ L(y) | firm", d, **IDS, time=t).fit().params,
    "lead": lambda d, t: PartialledOLS.from_formula("y ~ F(x) | firm", d, **IDS, time=t).fit().params,
    "difference": lambda d, t: PartialledOLS.from_formula("D(y) ~ D(x)", d, **IDS, time=t).fit().params,
    "lag with factors": lambda d, t: InteractiveFE.from_formula("y ~ L(x)", d, **IDS, time=t, n_factors=1).fit().params,
    "Driscoll-Kraay": lambda d, t: (
        PartialledOLS.from_formula("y ~ x | firm", d, **IDS, time=t).fit(cov_type="driscoll-kraay", cov_kwds=LAGS).bse
    ),
    "time by name": lambda d, t: (
        PartialledOLS.from_formula("y ~ x | firm", d).fit(cov_type="driscoll-kraay", cov_kwds={**LAGS, "time": t}).bse
    ),
    "hac-panel": lambda d, t: (
        PartialledOLS.from_formula("y ~ x | firm", d, **IDS, time=t).fit(cov_type="hac-panel", cov_kwds=LAGS).bse
    ),
    "hac-panel by name": lambda d, t: (
        PartialledOLS.from_formula("y ~ x | firm", d)
        .fit(cov_type="hac-panel", cov_kwds={**LAGS, "groups": "firm", "time": t})
        .bse
    ),
    "another covariance": lambda d, t: (
        PartialledOLS.from_formula("y ~ x | firm", d, **IDS, time=t)
        .fit()
        .get_robustcov_results("hac-panel", **LAGS)
        .bse
    ),
    "HAC with factors": lambda d, t: (
        InteractiveFE.from_formula("y ~ x | firm", d, **IDS, time=t, n_factors=1).fit(cov_type="HAC", cov_kwds=LAGS).bse
    ),
    "Driscoll-Kraay with groups": lambda d, t: (
        GroupedIFE.from_formula("y ~ 0 + x", d, **IDS, time=t, n_factors=1, n_groups=2)
        .fit(cov_type="driscoll-kraay", cov_kwds=LAGS)
        .bse
    ),
    "bias": lambda d, t: (
        InteractiveFE.from_formula("y ~ x", d, **IDS, time=t, n_factors=1).fit(bias_correction="analytic", m2=2).params
    ),
    "tests": lambda d, t: (
        InteractiveFE.from_formula("y ~ x", d, **IDS, time=t, n_factors=1).fit().diagnostics()["statistic"]
    ),
}


@pytest.mark.parametrize("use", USES)
def test_whatever_needs_distances_refuses(panel, use):
    expected = np.asarray(USES[use](panel, "m"))
    for time in ("ym", "text"):
        with pytest.raises(DataError, match=rf"of '{time}' look like year and month.*number\({time}\)") as caught:
            USES[use](panel, time)
        names = {"data": panel.copy(), "pd": pd}
        exec(caught.value.fix, names)
        assert np.allclose(np.asarray(USES[use](names["data"], time)), expected, rtol=1e-8)
        assert np.allclose(np.asarray(USES[use](panel, f"date({time})")), expected, rtol=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of gaps
        assert np.isfinite(np.asarray(USES[use](panel, "number(ym)"))).all()


def test_numbers_that_are_said_to_be_plain(panel):
    shifted = panel.assign(ym=panel["ym"] - panel["ym"].min())
    said = PartialledOLS.from_formula("y ~ L(y) | firm", panel, entity="firm", time="number(ym)").fit()
    assert said.nobs == PartialledOLS.from_formula("y ~ L(y) | firm", shifted, entity="firm", time="ym").fit().nobs
    assert np.allclose(said.predict(panel).dropna(), said.fittedvalues)
    assert "ym" not in design_from_formula("y ~ x", panel, entity="firm", time="number(ym)").exog_names
    x = panel[["firm", "ym", "x"]]
    assert PartialledOLS(panel["y"], x, absorb="firm", entity="firm", time="number(ym)").exog_names == ["x"]


def test_frames_of_any_kind(panel):
    flat = panel.drop(columns="m")
    expected = PartialledOLS.from_formula("y ~ L(y) | firm", panel, entity="firm", time="m").fit().params.iloc[0]
    for data, ids in (
        (flat.set_index(["firm", "ym"]), {}),
        (flat.set_index(["firm", "ym"]).rename_axis([None, None]), {}),
        (pl.from_pandas(flat), {"entity": "firm", "time": "ym"}),
    ):
        formula = "y ~ L(y) | entity" if ids == {} and data.index.names[0] is None else "y ~ L(y) | firm"
        with pytest.raises(DataError, match="look like year and month") as caught:
            PartialledOLS.from_formula(formula, data, **ids)
        names = {"data": data, "pd": pd}
        exec(caught.value.fix, names)
        again = PartialledOLS.from_formula(formula, names["data"], **ids).fit()
        assert again.params.iloc[0] == pytest.approx(expected, rel=1e-12)
    model = PartialledOLS.from_formula("y ~ x | firm", flat)
    with pytest.raises(DataError, match=r"time - time\.min") as caught:
        model.fit(cov_type="driscoll-kraay", cov_kwds={"time": flat["ym"].to_numpy(), "maxlags": 3})
    names = {"time": flat["ym"].to_numpy(), "pd": pd}
    exec(caught.value.fix, names)
    by_array = model.fit(cov_type="driscoll-kraay", cov_kwds={"time": names["time"], "maxlags": 3})
    assert np.allclose(by_array.bse, USES["Driscoll-Kraay"](panel, "m"))


def test_residuals_with_packed_times(panel):
    resid = panel.set_index(["firm", "ym"])["y"]
    dated = diagnostics.born_breitung(panel.set_index(["firm", "m"])["y"], lags=2)
    for test in (diagnostics.panel_durbin_watson, diagnostics.wooldridge_ar1, diagnostics.residual_diagnostics):
        with pytest.raises(DataError, match="look like year and month"):
            test(resid)
    with pytest.raises(DataError) as caught:
        diagnostics.born_breitung(resid)
    names = {"resid": resid.copy(), "pd": pd}
    exec(caught.value.fix, names)
    assert diagnostics.born_breitung(names["resid"], lags=2).statistic == pytest.approx(dated.statistic)
    assert np.isfinite(diagnostics.pesaran_cd(resid).statistic)


def test_the_command_line(panel, tmp_path, capsys):
    panel.drop(columns="m").to_csv(tmp_path / "data.csv", index=False)
    call = ["fit", "y ~ L(y) | firm", str(tmp_path / "data.csv"), "--entity", "firm", "--time"]
    assert main([*call, "ym"]) == 2
    assert 'time="number(ym)"' in capsys.readouterr().err
    assert main([*call, "number(ym)"]) == 0
    assert main([*call, "date(ym)"]) == 0


def test_quarters_after_a_dash():
    labels = [f"{y}-{q}" for y in (2000, 2001) for q in (1, 2, 3, 4)]
    assert order_times(pd.Index(labels)).packed.form == "year and quarter"
    twelve = [f"{y}-{m}" for y in (2000, 2001) for m in range(1, 13)]
    assert order_times(pd.Index(twelve)).packed is None
    dotted = order_times(pd.Index([f"{y}.{m}" for y in (2000, 2001) for m in range(1, 13)]))
    assert dotted.periods.tolist() == list(range(24)) and dotted.unit == "month"


KINDS = [
    *(f"timestamp[{unit}][pyarrow]" for unit in ("s", "ms", "us", "ns")),
    "timestamp[us, tz=Europe/Berlin][pyarrow]",
    "date32[pyarrow]",
    "date64[pyarrow]",
    "datetime64[s]",
    "datetime64[us]",
    "polars date",
    "polars datetime",
    "polars zone",
    "Greenwich",
]


@pytest.mark.parametrize("kind", KINDS)
def test_times_of_pyarrow_and_polars(panel, kind):
    data = panel[["firm", "x", "y"]].assign(when=panel["m"].dt.to_timestamp())
    expected = [USES[use](data, "when") for use in ("lag", "Driscoll-Kraay", "hac-panel", "HAC with factors")]
    if kind.startswith("polars"):
        other = pl.from_pandas(data)
        made = pl.col("when").cast(pl.Date if kind == "polars date" else pl.Datetime("us"))
        other = other.with_columns(made.dt.replace_time_zone("Europe/Berlin") if kind == "polars zone" else made)
    elif kind == "Greenwich":
        other = data.assign(when=data["when"].dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC"))
    else:
        other = data.assign(when=data["when"].astype(kind))
    found = [USES[use](other, "when") for use in ("lag", "Driscoll-Kraay", "hac-panel", "HAC with factors")]
    for own, theirs in zip(found, expected, strict=True):
        assert np.allclose(own, theirs, rtol=1e-12)


def test_durations_and_times_of_day():
    duration = pd.Series(pd.to_timedelta([0, 1, 3], unit="D")).astype("duration[us][pyarrow]")
    assert order_times(pd.Index(duration)).periods.tolist() == [0, 1, 3]
    clock = pd.Series(pd.to_datetime(["2020-01-01 08:00", "2020-01-01 09:00", "2020-01-01 11:00"])).dt.time
    for times in (pd.Index(clock), pd.Index(clock.astype("time64[us][pyarrow]"))):
        assert (order_times(times).periods.tolist(), order_times(times).unit) == ([0, 1, 3], "hour")


@pytest.mark.parametrize(
    ("freq", "unit"),
    [("MS", "month"), ("ME", "month"), ("BME", "month"), ("BMS", "month"), ("QS", "quarter"), ("BQE", "quarter"),
     ("YS", "year"), ("YE", "year"), ("W", "week"), ("B", "business day"), ("D", "day")],
)  # fmt: skip
def test_dates_at_starts_and_ends(freq, unit):
    dates = pd.date_range("1999-01-01", periods=80, freq=freq)
    for moved in (dates, dates + pd.Timedelta("12h"), dates.tz_localize("America/New_York").tz_convert("UTC")):
        grid = order_times(moved)
        assert grid.periods.tolist() == list(range(80))
        assert grid.unit == unit
