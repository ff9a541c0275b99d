"""treated=: what it may be, which rows leave the fit, and what is said of treatments that can't be used."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.exceptions import DataError, FormulaError, GifepanelError, SpecificationError, SpecificationWarning
from gifepanel.formula.api import ife

N, T = 12, 10


@pytest.fixture
def panel() -> pd.DataFrame:
    """Units 0 to 3 are treated from 2006 on, unit 4 from 2004 to 2006."""
    rng = np.random.default_rng(0)
    unit, year = np.repeat(np.arange(N), T), np.tile(np.arange(2000, 2000 + T), N)
    d = ((unit < 4) & (year >= 2006)) | ((unit == 4) & (year >= 2004) & (year <= 2006))
    start = np.where(unit < 4, 2006.0, np.where(unit == 4, 2004.0, np.nan))
    x = rng.normal(size=N * T)
    frame = {"unit": unit, "year": year, "y": x + rng.normal(size=N * T), "x": x, "d": d.astype(int), "start": start}
    return pd.DataFrame(frame)


def model(panel: pd.DataFrame, treated: Any = "d", formula: str = "y ~ x | unit + year", **options: Any) -> Any:
    given = {"entity": "unit", "time": "year", "n_factors": 0, "treated": treated} | options
    return InteractiveFE.from_formula(formula, panel, **given)


def test_one_treatment_in_many_spellings(panel: pd.DataFrame) -> None:
    expected = model(panel)
    assert expected.design.nobs == N * T - 19
    spellings = [
        panel["d"],
        panel["d"].astype(bool).to_numpy(),
        panel["d"].astype(float),
        "d == 1",
        "(unit < 4) & (year >= first) | (unit == 4) & (year >= start) & (year <= 2006)",
        "(year >= start) & ((unit < 4) | (year <= first))",
    ]
    for treated in spellings:
        np.testing.assert_array_equal(
            model(panel, treated, context={"first": 2006})._treatment.treated, expected._treatment.treated
        )
    with_bool = panel.assign(d=panel["d"].astype("boolean"))
    for frame, options in ((with_bool, {}), (panel.set_index(["unit", "year"]), {"entity": None, "time": None})):
        assert model(frame, **options).design.nobs == expected.design.nobs
    assert ife("y ~ x", panel, entity="unit", time="year", n_factors=0, treated="d").design.nobs == N * T - 19


def test_event_time_counts_from_the_first_treated_period(panel: pd.DataFrame) -> None:
    treatment = model(panel.sample(frac=1, random_state=0))._treatment
    found = pd.Series(treatment.event_time, index=treatment.design.index.frame_index())
    assert found.loc[0].sort_index().tolist() == [-6, -5, -4, -3, -2, -1, 0, 1, 2, 3]
    assert found.loc[4].sort_index().tolist()[:7] == [-4, -3, -2, -1, 0, 1, 2]
    assert found.loc[4].sort_index()[2007:].isna().all()
    assert found.loc[5].isna().all()
    assert treatment.switches_off == 1


def test_treatment_that_begins_again_counts_from_each_beginning(panel: pd.DataFrame) -> None:
    again = panel.assign(d=((panel.unit == 0) & panel.year.isin([2003, 2004, 2008])).astype(int))
    treatment = model(again)._treatment
    found = pd.Series(treatment.event_time, index=treatment.design.index.frame_index()).loc[0]
    assert found[:9].tolist() == [-3, -2, -1, 0, 1, -3, -2, -1, 0]
    assert np.isnan(found[2009])
    assert treatment.cohort[0] == 3


def test_gaps_in_time_count_as_periods(panel: pd.DataFrame) -> None:
    short = panel[panel.year != 2007]
    treatment = model(short)._treatment
    found = pd.Series(treatment.event_time, index=treatment.design.index.frame_index()).loc[0]
    assert found[2008] == 2


def test_event_time_counts_from_the_first_treated_period_whether_its_outcome_is_known_or_not(
    panel: pd.DataFrame,
) -> None:
    gone = panel.copy()
    gone.loc[gone.year == 2006, "y"] = np.nan
    gone["d"] = gone["d"].where(gone.y.notna() | (gone.unit < 4))
    found = model(gone, formula="y ~ x | unit")
    treatment = found._treatment
    events = pd.Series(treatment.event_time, index=treatment.design.index.frame_index())
    assert events.loc[0].to_dict() == dict(
        zip([*range(2000, 2006), 2007, 2008, 2009], [*range(-6, 0), 1, 2, 3], strict=True)
    )
    cf = found.fit().counterfactual()
    assert cf.cells.loc[0, "cohort"].unique().tolist() == [2006]
    assert cf.by_cohort.index.tolist() == [2004, 2006]


def test_rows_of_anticipation_leave_the_fit_too(panel: pd.DataFrame) -> None:
    assert model(panel, anticipation=2).design.nobs == N * T - 19 - 10
    with pytest.raises(SpecificationError):
        model(panel, anticipation=-1)


def test_other_rows_are_what_they_were(panel: pd.DataFrame) -> None:
    """The fit is that of the untreated rows; lags look at all rows."""
    treated = model(panel, formula="y ~ x + L(x) | unit").fit()
    by_hand = panel.sort_values(["unit", "year"]).assign(lag=lambda d: d.groupby("unit")["x"].shift())
    plain = model(by_hand[by_hand.d == 0], None, "y ~ x + lag | unit").fit()
    np.testing.assert_allclose(treated.params, plain.params, rtol=1e-8)
    assert treated.nobs == plain.nobs


# ---- bad input: found before any work, with a line that repairs it


BAD = {
    "misspelt column": ({"treated": "dd"}, "'dd'", SpecificationError),
    "missing values": ({"missing_d": True}, "is missing in 1 row", DataError),
    "a dose": ({"treated": "dose"}, "other values than 0 and 1: 2, 3", DataError),
    "the period of adoption": ({"treated": "first"}, "other values than 0 and 1", DataError),
    "text": ({"treated": "word"}, "'no', 'yes'", DataError),
    "nobody": ({"treated": "none"}, "No row is treated", DataError),
    "everybody always": ({"treated": "all"}, "All 120 rows are treated", DataError),
    "a lag of the outcome": ({"formula": "y ~ L(y) + x | unit"}, r"L\(y\) is a regressor", SpecificationError),
    "too short a vector": ({"treated": np.zeros(3)}, r"shape \(3,\)", DataError),
    "a formula": ({"treated": "y ~ d"}, "no formula", FormulaError),
    "all anticipate": (
        {"treated": "late", "anticipation": 9, "formula": "y ~ x | unit"},
        "others anticipate",
        DataError,
    ),
    "a period without untreated entities": ({"treated": "last"}, "too few untreated entities", DataError),
    "entities treated throughout": ({"treated": "always"}, "with at most 1 untreated period", DataError),
    "more factors than periods": ({"treated": "early", "n_factors": 2}, "with at most 3 untreated", DataError),
}


def with_columns(panel: pd.DataFrame) -> pd.DataFrame:
    return panel.assign(
        dose=panel["d"] * (2 + (panel["unit"] == 0)),
        first=panel["start"].fillna(0),
        word=np.where(panel["d"] == 1, "yes", "no"),
        none=0,
        all=1,
        late=(panel["year"] == 2009).astype(int),
        last=(panel["year"] >= 2008).astype(int),
        always=(panel["unit"] < 2).astype(int),
        early=((panel["unit"] < 2) & (panel["year"] >= 2002)).astype(int),
    )


@pytest.mark.parametrize("name", BAD)
def test_bad_treatments(panel: pd.DataFrame, name: str) -> None:
    options, words, kind = BAD[name]
    options = dict(options)
    frame = with_columns(panel)
    if options.pop("missing_d", False):
        frame["d"] = frame["d"].where(frame.index != 7)
    with pytest.raises(kind, match=words) as error, warnings.catch_warnings():
        warnings.simplefilter("error")
        model(frame, **options)
    assert isinstance(error.value, GifepanelError)
    assert error.value.fix or name == "misspelt column"


@pytest.mark.parametrize(
    "name",
    [
        "missing values",
        "a dose",
        "the period of adoption",
        "text",
        "nobody",
        "all anticipate",
        "more factors than periods",
    ],
)
def test_lines_that_repair_run(panel: pd.DataFrame, name: str) -> None:
    options, _, kind = BAD[name]
    options = dict(options)
    data = with_columns(panel)
    if options.pop("missing_d", False):
        data["d"] = data["d"].where(data.index != 7)
    with pytest.raises(kind) as error:
        model(data, **options)
    line = re.sub(r"\s+#.*", "", error.value.fix or "")
    given: dict[str, Any] = {}
    if line.startswith("data["):
        exec(line, {"data": data})
    else:
        exec(f"given = dict({line})", {}, given)
    repaired = model(data, **(options | given.get("given", {})))
    assert repaired.design.nobs < N * T or repaired._treatment is None


def test_some_lost_cells_are_a_warning_with_the_largest_number_of_factors(panel: pd.DataFrame) -> None:
    both = panel.assign(
        d=((panel.unit < 2) & (panel.year >= 2003) | (panel.unit == 2) & (panel.year >= 2007)).astype(int)
    )
    with pytest.warns(SpecificationWarning) as told:
        found = model(both, formula="y ~ x | unit", n_factors=2)
    assert "14 of 17 treated cells are in no average: 14 of 0, 1, with at most 3 untreated periods." in str(
        told[0].message
    )
    assert told[0].message.fix == "n_factors=1"
    cf = found.fit(n_starts=2).counterfactual()
    assert cf.cells.index.get_level_values(0).unique().tolist() == [2]
    assert cf.left_out == {"entities without enough untreated periods": 14}
    assert "14 (entities without enough untreated periods)" in " ".join(cf.summary().as_text().split())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(both, formula="y ~ x | unit", n_factors=1)


def test_treated_from_the_first_row_on(panel: pd.DataFrame) -> None:
    """Their cells have counterfactuals where treatment ends, but no event time and no part in averages."""
    off = panel.assign(d=np.where(panel.unit == 6, panel.year < 2003, panel.d))
    with pytest.warns(
        SpecificationWarning, match="3 of 22 treated cells are in no average: 3 of 6, without an untreated past"
    ):
        found = model(off)
    cf = found.fit().counterfactual()
    assert cf.left_out == {"no untreated past": 3}
    own = cf.cells.loc[6]
    assert own["event_time"].isna().all()
    assert own["effect"].notna().all()
    assert int(cf.att_table["n_cells"].iloc[0]) == 19


def test_treatment_of_everybody_without_time_effects(panel: pd.DataFrame) -> None:
    """With entity effects alone a period needs nobody: what would have been is the entity's own mean."""
    late = panel.assign(d=(panel["year"] >= 2008).astype(int))
    cf = model(late, formula="y ~ x | unit").fit().counterfactual()
    assert len(cf.cells) == 24
    assert cf.cells["effect"].notna().all()


def test_numbers_of_factors_left_open(panel: pd.DataFrame) -> None:
    res = model(panel, formula="y ~ 0 + x", n_factors=range(0, 3)).fit()
    assert res.selection is not None
    assert res.counterfactual().att_se > 0
    assert "treated" in InteractiveFE.from_formula.__kwdefaults__
    assert "treated" in GroupedIFE.from_formula.__kwdefaults__


def test_words_of_others(panel: pd.DataFrame) -> None:
    """fect's and did's options come back as a line of ours that runs."""
    for words in ({"D": "d"}, {"treatment": "d"}, {"gname": "start"}):
        with pytest.raises(SpecificationError) as error:
            model(panel, None, **words)
        found = eval(error.value.fix or "", {"InteractiveFE": InteractiveFE, "data": panel})
        assert found._treatment.treated.sum() in (19, 22)
    y, x = np.zeros((5, 5)), np.zeros((5, 5, 1))
    with pytest.raises(SpecificationError, match=r"belongs to InteractiveFE\.from_formula"):
        InteractiveFE(y, x, n_factors=0, treated=y)


def test_arrays_with_missing_outcomes_have_the_counterfactuals_of_formulas(panel: pd.DataFrame) -> None:
    cf = model(panel, formula="y ~ 0 + x | unit + year").fit().counterfactual()
    y, x, d = (panel[name].to_numpy().reshape(N, T) for name in ("y", "x", "d"))
    res = InteractiveFE(np.where(d == 1, np.nan, y), x[:, :, None], n_factors=0, absorb=["entity", "time"]).fit()
    filled = res.impute(x[:, :, None])["imputed"].to_numpy().reshape(N, T)
    np.testing.assert_allclose(filled[d == 1], cf.cells["counterfactual"], rtol=1e-9)
