"""Models side by side: the numbers, the layout and what is refused."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import gifepanel as gife
from gifepanel.exceptions import SpecificationError
from gifepanel.tables import compare

DEMAND = "log(sales) ~ log(real_price) + log(real_income)"


@cache
def plain() -> Any:
    frame = gife.datasets.load_cigar().reset_index().assign(log_sales=lambda d: np.log(d["sales"]))
    return smf.ols("log_sales ~ np.log(real_price) + np.log(real_income)", frame).fit(cov_type="HC1")


@cache
def two_way() -> Any:
    model = gife.PartialledOLS.from_formula(f"{DEMAND} | state + year", gife.datasets.load_cigar())
    return model.fit(cov_type="cluster", cov_kwds={"groups": "state"})


@pytest.fixture
def table(single: Any, mixed: Any) -> Any:
    short = {"np.log(real_price)": "log(real_price)", "np.log(real_income)": "log(real_income)"}
    return gife.compare(plain(), two_way(), single, mixed, rename=short)


def cell(text: str) -> tuple[float, str]:
    found = re.fullmatch(r"([-\d.e+]+)(\**)", text)
    assert found is not None, text
    return float(found[1]), found[2]


# ---- what it says


def test_numbers_and_stars_are_those_of_the_results(table: Any, single: Any, mixed: Any) -> None:
    assert list(table.table.columns) == [("(1)", ""), ("(2)", ""), ("(3)", ""), ("(4)", "1"), ("(4)", "2")]
    wanted = {
        ("(1)", ""): (plain(), "np.log(real_price)"),
        ("(2)", ""): (two_way(), "log(real_price)"),
        ("(3)", ""): (single, "log(real_price)"),
        ("(4)", "1"): (mixed, "log(real_price)[1]"),
        ("(4)", "2"): (mixed, "log(real_price)[2]"),
    }
    for column, (res, name) in wanted.items():
        coef, stars = cell(table.table.loc[("log(real_price)", "coef"), column])
        assert coef == pytest.approx(res.params[name], abs=5.1e-4)
        p = res.pvalues[name]
        assert len(stars) == sum(p < level for level in (0.1, 0.05, 0.01))
        assert float(table.table.loc[("log(real_price)", "std err"), column].strip("()")) == pytest.approx(
            res.bse[name], abs=5.1e-4
        )


def test_estimates_hold_every_number(table: Any, mixed: Any) -> None:
    frame = table.estimates
    own = frame[frame["model"] == "(4)"].set_index(["term", "group"])
    assert len(own) == len(mixed.params)
    for name in mixed.params.index:
        term, _, group = name.rpartition("[")
        key = (term, int(group[:-1])) if group[:-1].isdigit() else (name, pd.NA)
        row = own.loc[key]
        limits = mixed.conf_int().loc[name]
        np.testing.assert_array_equal(
            row[["coef", "std err", "statistic", "p-value", "lower", "upper"]].astype(float),
            [mixed.params[name], mixed.bse[name], mixed.tvalues[name], mixed.pvalues[name], *limits],
        )


def test_facts(table: Any, single: Any, mixed: Any) -> None:
    facts = table.table.droplevel("value")
    assert facts.loc["state effects"].tolist() == ["No", "Yes", "Yes", "Yes", "Yes"]
    assert facts.loc["year effects"].tolist() == ["No", "Yes", "Yes", "No", "No"]
    assert facts.loc["Factors"].tolist() == ["-", "-", "2", "1", "1"]
    assert facts.loc["Groups"].tolist() == ["-", "-", "-", "2", "2"]
    assert facts.loc["Entities in group"].tolist()[3:] == [str(size) for size in mixed.group_sizes]
    assert facts.loc["Standard errors"].tolist() == ["HC1", "by state", "by state", "HC1", "HC1"]
    assert facts.loc["Observations"].tolist() == ["1,380", "1,380", "1,380", "1,334", "1,334"]
    assert facts.loc["R-squared", ("(1)", "")] == f"{plain().rsquared:.3f}"
    assert facts.loc["R-squared within", ("(3)", "")] == f"{single.rsquared_within:.3f}"
    text = str(table)
    assert "Standard errors in parentheses. * p<0.1, ** p<0.05, *** p<0.01." in text
    assert "common to them" in text and "Outcome" in text


def test_common_slopes_span_the_groups(mixed: Any) -> None:
    table = gife.compare(mixed)
    assert len(set(table.table.loc[("log(real_income)", "coef")])) == 1
    assert len(set(table.table.loc[("log(real_price)", "coef")])) == 2
    assert r"\multicolumn{2}{c}{" + f"{mixed.params['log(real_income)']:.3f}" in table.as_latex()
    assert 'colspan="2"' in table.as_html()


@pytest.mark.parametrize(
    ("precision", "shown", "words"),
    [
        ("t", lambda r, n: f"({r.tvalues[n]:.3f})", "z statistics in parentheses"),
        ("p", lambda r, n: f"({r.pvalues[n]:.3f})", "p-values in parentheses"),
        ("ci", lambda r, n: "[{:.3f}, {:.3f}]".format(*r.conf_int(0.1).loc[n]), "90% confidence intervals in brackets"),
    ],
)
def test_precision(precision: str, shown: Any, words: str) -> None:
    table = gife.compare(two_way(), precision=precision, alpha=0.1, stars=False)
    assert table.table.iloc[1, 0] == shown(two_way(), "log(real_price)")
    assert words in str(table) and "*" not in str(table)


def test_rows_can_be_chosen_ordered_and_renamed() -> None:
    table = gife.compare(plain(), order="np.log(real_income)", drop="Intercept", precision="none")
    assert [row for row, kind in table.table.index if kind == "coef"] == ["np.log(real_income)", "np.log(real_price)"]
    table = gife.compare(plain(), keep="Price", rename={"np.log(real_price)": "Price"}, stats=["aic", "Observations"])
    assert [row for row, kind in table.table.index if kind == "coef"] == ["Price"]
    assert table.table.index[-2:].get_level_values("row").tolist() == ["AIC", "Observations"]
    assert table.table.iloc[-2, 0] == f"{plain().aic:,.1f}"


def test_own_rows_notes_title_and_names() -> None:
    table = gife.compare(
        {"Pooled": plain(), "Two-way": two_way()}, rows={"Taxes": [False, True]}, notes="Source: own.", title="Demand"
    )
    assert table.table.loc[("Taxes", "")].tolist() == ["No", "Yes"]
    assert list(table.table.columns) == ["Pooled", "Two-way"]
    assert str(table).splitlines()[0].strip() == "Demand" and str(table).endswith("Source: own.")
    assert gife.compare([plain(), two_way()]).table.shape[1] == 2


def test_digits_keep_two_significant_ones() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(50, 2)), columns=["small", "large"])
    y = frame["small"] * 0.00321 + frame["large"] * 1e9
    res = sm.OLS(y.rename("y"), frame).fit()
    text = gife.compare(sm.OLS((0.00321 * frame["small"]).rename("y"), frame[["small"]]).fit(), stars=False)
    assert text.table.iloc[0, 0] == "0.0032"
    assert "e+09" in gife.compare(res).table.loc[("large", "coef")].iloc[0]


def test_other_models_of_statsmodels() -> None:
    data = sm.datasets.spector.load_pandas()
    logit = sm.Logit(data.endog, sm.add_constant(data.exog)).fit(disp=0)
    table = gife.compare(logit, stars={0.05: "+"})
    assert table.table.loc[("Pseudo R-squared", "")].iloc[0] == f"{logit.prsquared:.3f}"
    assert table.table.index[0][0] == "GPA" and "const" in table.table.index.get_level_values("row")
    assert cell(table.table.iloc[0, 0].replace("+", ""))[0] == pytest.approx(logit.params["GPA"], abs=5.1e-4)
    assert table.table.iloc[0, 0].endswith("+") and "+ p<0.05" in str(table)


def test_linearmodels() -> None:
    linearmodels = pytest.importorskip("linearmodels")
    data = gife.datasets.load_cigar()
    frame = np.log(data[["sales", "real_price"]])
    theirs = linearmodels.PanelOLS(frame["sales"], frame[["real_price"]], entity_effects=True, time_effects=True).fit()
    ours = gife.PartialledOLS(frame["sales"], frame[["real_price"]], absorb=["state", "year"]).fit()
    table = gife.compare(theirs, ours, rename={"Entity": "state", "Time": "year"})
    first, second = table.table["(1)"], table.table["(2)"]
    assert first["real_price"].tolist() == second["real_price"].tolist()
    assert first[("state effects", "")] == first[("year effects", "")] == "Yes"
    assert first[("Observations", "")] == second[("Observations", "")]


def test_what_a_fit_went_through_is_said() -> None:
    with pytest.warns(gife.exceptions.ConvergenceWarning):
        res = gife.GroupedIFE.from_formula(
            f"{DEMAND} | state", gife.datasets.load_cigar(), n_groups=2, n_factors=range(2)
        ).fit(max_iter=2, max_sweeps=1)
    notes = " ".join(str(gife.compare(res, names=["Groups"])).split())
    assert "The number of factors in Groups was chosen from the data." in notes
    assert "Groups did not converge." in notes


def test_after_remove_data() -> None:
    res = gife.PartialledOLS.from_formula(f"{DEMAND} | state", gife.datasets.load_cigar()).fit()
    before = str(gife.compare(res))
    res.remove_data()
    after = str(gife.compare(res))
    assert before.splitlines()[:8] == after.splitlines()[:8]


# ---- how it is set


def test_wide_tables_are_set_in_panels(table: Any, grouped: Any) -> None:
    for one in (table, gife.compare(*[grouped] * 3), gife.compare(grouped, precision="ci", digits=8)):
        text = str(one)
        assert max(map(len, text.splitlines())) <= 80
    text = str(gife.compare(*[grouped] * 3, precision="ci", digits=5))
    assert text.count("R-squared within") > 1
    for k in (1, 2, 3):
        assert f"({k})" in text
    assert text.count("Group 1") == 3


def test_text_is_as_wide_as_the_table(mixed: Any) -> None:
    lines = str(gife.compare(two_way(), names=["Two-way"])).splitlines()
    rules = {len(line) for line in lines if set(line) <= {"=", "-"}}
    assert rules == {max(len(line) for line in lines[:-1] if set(line) - {"="})} and max(rules) < 45
    assert max(len(line) for line in lines) <= 66  # notes may be wider than a narrow table
    wide = gife.compare(*[mixed] * 3).as_text(150).splitlines()
    assert 80 < max(len(line) for line in wide) <= 150 and sum("GroupedIFE" in line for line in wide) == 1


def test_four_groups_stay_under_one_heading() -> None:
    model = gife.GroupedIFE.from_formula(f"{DEMAND} | state", gife.datasets.load_cigar(), n_groups=4, n_factors=1)
    four = model.fit()
    for width in (60, 78):
        text = gife.compare(two_way(), four, names=["Within", "Groups"]).as_text(width)
        heads = [line.split() for line in text.splitlines() if "Group 1" in line]
        assert heads == [["Group", "1", "Group", "2", "Group", "3", "Group", "4"]]
    split = gife.compare(two_way(), four, precision="ci").as_text(78)  # too wide: in panels of its own
    assert "GroupedIFE" not in next(line for line in split.splitlines() if "PartialledOLS" in line)


def test_digits_are_those_that_standard_errors_cover() -> None:
    def shown(coef: float, se: float) -> tuple[str, str]:
        one = compare.Estimate("x", None, coef, se, coef / se, 0.5, 0.0, 0.0)
        style = compare._Style("se", 0.05, (), 3)
        return compare._coefficient(one, style).strip(), compare._under(one, style).strip("() ")

    assert shown(-0.0013, 0.045) == ("-0.001", "0.045")
    assert shown(-0.0013, 0.0004) == ("-0.0013", "0.00040")
    assert shown(-0.337, 0.0436) == ("-0.337", "0.044")
    assert shown(12345.678, 0.5) == ("12345.678", "0.500")
    assert shown(3e-9, 1e-9) == ("3.00e-09", "1.00e-09")
    assert shown(0.0, 0.2) == ("0.000", "0.200")


def test_a_long_name_is_wrapped() -> None:
    text = str(gife.compare(plain(), two_way(), names=["All observations pooled into one regression", "Two-way"]))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "All" in text and "regression" in text and "pooled" in text
    assert "Two-way" in next(line for line in lines if "regression" in line)


def test_every_format(table: Any) -> None:
    assert table._repr_html_() == table.as_html() and str(table) == repr(table) == table.as_text()
    assert r"\cmidrule(lr){5-6}" in table.as_latex("tab:x") and r"\label{tab:x}" in table.as_latex("tab:x")
    cells = table.table.to_numpy().astype(str)  # a common slope is there once for each of the two groups
    assert table.as_latex().count("$^{***}$") == int(np.char.endswith(cells, "***").sum()) - 1
    rows = [line for line in table.as_markdown().splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert table.as_csv().splitlines()[0] == ",(1),(2),(3),(4),(4)"


def test_names_are_escaped() -> None:
    rng = np.random.default_rng(1)
    names = ["a_b & 100% <i>", "x|y", "*bold*", "[odd]", r"back\slash ^ ~ $m$"]
    frame = pd.DataFrame(rng.normal(size=(40, 5)), columns=names)
    res = sm.OLS(pd.Series(rng.normal(size=40), name="y_<1>"), frame).fit()
    table = gife.compare(res, names=["A & B_1"])
    page = table.as_html()
    assert "<i>" not in page and "a_b &amp; 100% &lt;i&gt;" in page and "A &amp; B_1" in page
    tex = table.as_latex()
    for wanted in (
        r"a\_b \& 100\% \textless{}i\textgreater{}",
        r"x\textbar{}y",
        "{*}bold{*}",
        r"{[}odd]",
        r"A \& B\_1",
    ):
        assert wanted in tex
    md = table.as_markdown()
    for wanted in (r"\<i>", r"x\|y", r"\*bold\*", r"\$m\$", r"back\\slash"):
        assert wanted in md


# ---- what is refused


def test_bad_input(single: Any) -> None:
    def message(*args: Any, **options: Any) -> SpecificationError:
        with pytest.raises(SpecificationError) as caught:
            gife.compare(*args, **options)
        return caught.value

    model = gife.PartialledOLS.from_formula(f"{DEMAND} | state", gife.datasets.load_cigar())
    assert "no models" in message().found
    assert message(single, model).fix == "model.fit()" and "PartialledOLS that was not fitted" in str(
        message(single, model)
    )
    assert "not fitted" in str(message(sm.OLS([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])))
    assert "Argument 1 of compare is a str" in str(message("x"))
    assert "statsmodels and linearmodels" in str(message(3.0))
    assert "'a'" in message(single, single, names=["a", "a"]).found
    assert "1 names for 2 models" in str(message(single, single, names=["a"]))
    assert "precision" in str(message(single, precision="stderr"))
    assert "'real_prise'" in str(message(plain(), keep=["real_prise"]))
    assert message(single, drop="log(real_prise)").fix == "drop=['log(real_price)']"
    assert message(single, stats=["R-square"]).fix == "stats=['R-squared']"
    assert "alpha" in str(message(single, alpha=5)) and "stars" in str(message(single, stars={5: "*"}))
    assert "digits" in str(message(single, digits=-1)) and "digits" in str(message(single, digits=True))
    assert "2 values for 1 models" in str(message(single, rows={"a": [1, 2]}))
    assert "No regressor is left" in str(message(single, drop="*"))
    both = {"log(real_price)": "x", "log(real_income)": "x"}
    assert "Two regressors of (1) are called 'x'" in str(message(single, rename=both))
    assert "twice" in str(message({"a": single}, names=["b"]))


def test_a_line_that_fixes_it_does(single: Any) -> None:
    with pytest.raises(SpecificationError) as caught:
        gife.compare(single, keep="log(real_prise)")
    again = eval(f"gife.compare(single, {caught.value.fix})", {"gife": gife, "single": single})
    assert [row for row, kind in again.table.index if kind == "coef"] == ["log(real_price)"]
