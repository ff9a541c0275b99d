"""The printed report: widths, contents and well-formed text in every format."""

from __future__ import annotations

import csv
import io
import re
import warnings
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.datasets import load_cigar, simulate
from gifepanel.exceptions import SpecificationError
from gifepanel.tables.blocks import Table
from gifepanel.tables.coefficients import number
from gifepanel.tables.render import render


def width(text: str) -> int:
    return max(map(len, text.splitlines()))


def rows_of(text: str) -> list[list[str]]:
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


@pytest.fixture(scope="module")
def awkward() -> Any:
    """Long names, six groups, many regressors, numbers of very different size."""
    panel = simulate("S", 40, 30, random_state=5).data
    rng = np.random.default_rng(0)
    names = {f"a_rather_long_name_for_a_regressor_number_{k}_&_100%": rng.normal(size=1200) * 1e-7 for k in range(6)}
    data = pd.DataFrame({"x1": panel["x1"] * 1e-9, "x2": panel["x2"] * 1e12, **names}, index=panel.index)
    endog = (panel["y"] * 1e7).rename("the_outcome_whose_name_is_long_as_well_and_does_not_end_soon")
    data.index = data.index.set_names(["an_entity_level_with_a_long_name_too", "and_a_time_level_of_the_same_kind"])
    endog.index = data.index
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # groups of one
        return GroupedIFE(endog, data, n_groups=6, n_factors=3).fit(cov_type="cluster")


def test_width(res: Any, awkward: Any) -> None:
    for fit in (res, awkward):
        assert width(fit.summary().as_text()) <= 80
        assert str(fit.summary()) == fit.summary().as_text() == repr(fit.summary())


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "width"), [(40, 60), (60, 60), (70, 70), (80, 78), (100, 78), (120, 78)])
def test_a_terminal_is_as_wide_as_it_is(
    res: Any, awkward: Any, columns: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stored = [fit.summary().as_text(78) for fit in (res, awkward)]
    assert [str(fit.summary()) for fit in (res, awkward)] == stored  # no terminal: a file is the same everywhere
    monkeypatch.setattr("sys.stdout", Terminal())
    for fit, text in zip((res, awkward), stored, strict=True):
        for shown in (str(fit.summary()), repr(fit.summary(slim=True)), str(fit.summary(full=True, layout="stacked"))):
            assert max(map(len, shown.splitlines())) == width
        assert str(fit.summary()) == fit.summary().as_text(width)
        assert (str(fit.summary()) == text) == (width == 78)
        for value in fit.params:  # nothing is lost in a narrow one
            assert number(value) in fit.summary().as_text(60)


def test_names_are_not_cut() -> None:
    panel = simulate("S", 20, 15, random_state=1).data.rename_axis(["firm_identifier_of_orbis", "year"])
    text = InteractiveFE.from_formula("y ~ 0 + x1", panel, n_factors=1).fit().summary()
    for columns in (60, 78):
        assert "..." not in text.as_text(columns) and "(firm_identifier_of_orbis):" in text.as_text(columns)


def test_numbers_are_decimals() -> None:
    assert [number(v) for v in (0.001423, 0.0001423, -0.00002, 0.0)] == ["0.0014", "0.00014", "-0.000020", "0.0000"]
    assert number(-0.0002, error=0.1) == "-0.0002" and number(-0.00002, error=0.1) == "-0.0000"
    assert number(1.5e-9) == "1.500e-09" and number(2.5e7) == "2.500e+07"
    rows = (("a", "1.5000", "x"), ("b", "0.00014", "x"), ("c", "12", "x"))
    text = render("", [Table(("", "coef", "std err"), (("", rows),))], "text").splitlines()
    assert text[3].index(".") == text[4].index(".")


def test_what_warns_is_in_every_report(grouped: Any, single: Any) -> None:
    few = single.get_robustcov_results("cluster", groups=np.asarray(single.model.data.row_labels.codes[0]) % 4)
    for fit, words in ((grouped, "not separated enough"), (grouped, "take for granted"), (few, "are few for p-values")):
        short, usual, full = (
            " ".join(str(fit.summary(**size)).split()) for size in ({"slim": True}, {}, {"full": True})
        )
        assert words in short and words in usual and words in full
        assert len(short) < len(usual) < len(full)
    assert str(grouped.summary()).count("\n") < 54
    for part in ("Skewness", "Penalised stage", "The factors explain"):
        assert part not in str(grouped.summary()) and part in str(grouped.summary(full=True))
    with pytest.raises(SpecificationError, match="slim and full"):
        grouped.summary(slim=True, full=True)


def test_unit_level_output_stays_out() -> None:
    for n in (20, 400):
        data = simulate("S", n, 15, random_state=1).data
        res = GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=2, n_factors=2).fit()
        text = res.summary().as_text()
        assert width(text) <= 80 and text.count("\n") < 60


def test_numbers_are_those_of_the_results(res: Any) -> None:
    text = res.summary(alpha=0.1, full=True).as_text()
    rows = rows_of(text)
    lower, upper = np.asarray(res.conf_int(0.1)).T
    for j, name in enumerate(res.params.index):
        values = [res.params.iloc[j], res.bse.iloc[j], res.tvalues.iloc[j], res.pvalues.iloc[j], lower[j], upper[j]]
        expected = [f"{v:.{3 if k in (2, 3) else 4}f}" for k, v in enumerate(values)]
        assert [name.partition("[")[0], *expected] in rows
    assert "[0.05" in text and "0.95]" in text
    letter = "t" if res.use_t else "z"
    assert f"P>|{letter}|" in text
    pairs = dict(re.findall(r"([A-Z][\w .\-()]+): +(\S+)$", text, re.MULTILINE))
    assert pairs["Observations"] == str(int(res.nobs)) and pairs["Df residuals"] == str(int(res.df_resid))
    assert float(pairs["R-squared"]) == pytest.approx(res.rsquared, abs=5e-5)
    assert float(pairs["R-squared within"]) == pytest.approx(res.rsquared_within, abs=5e-5)
    assert float(pairs["Log-likelihood"]) == pytest.approx(res.llf, abs=5e-3)
    for test, row in res.diagnostics().iterrows():
        line = next(line for line in text.splitlines() if line.startswith(str(test)))
        if test != "Mean":
            assert [str(test), f"{row.statistic:.3f}", f"{row.pvalue:.3f}"] == re.split(r" {2,}", line)[:3]


def test_sections(grouped: Any, mixed: Any) -> None:
    text = grouped.summary(layout="stacked").as_text()
    for k, size in grouped.group_sizes.items():
        assert f"Group {k}: {size} of 46 entities ({100 * size / 46:.0f}%)" in text
    assert "All groups" not in text
    assert "All groups\n  log(real_income)" in mixed.summary().as_text()
    assert text.count("  log(real_price)  ") == 3


def test_notes(grouped: Any, single: Any, mixed: Any) -> None:
    def notes(res: Any) -> str:
        return " ".join(res.summary(full=True).as_text().split("Notes:")[1].split())

    assert "corrected" not in notes(grouped) and "without being asked for" in notes(mixed)
    assert "bias_correction=False leaves it in" in notes(mixed)
    assert "46 rows were left out for missing values or lags: L(log(sales)) in 46." in notes(mixed)
    assert "The factor explains" in notes(mixed) and "The factors explain" in notes(single)
    assert "Standard errors allow for estimated groups: up to 100% of the information" in notes(grouped)
    assert 'take fewer groups, groups="soft", or one slope for all' in notes(grouped)
    known = notes(grouped.get_robustcov_results("nonrobust", groups_known=True))
    assert "take the groups as known" in known and "groups" not in notes(single)
    assert '.test_groups(); whether one slope does: .test_common("log(real_price)")' in notes(grouped)
    example = re.search(r'\.f_test\("(.+?)"\)', notes(grouped))
    assert example is not None
    assert grouped.f_test(example[1]).df_num == 1
    numbers = [int(n) for n in re.findall(r"^\[(\d+)\]", grouped.summary().as_text(), re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_without_factors_nothing_is_said_about_them() -> None:
    data = load_cigar()
    plain = InteractiveFE.from_formula("log(sales) ~ log(real_price) | state", data, n_factors=0).fit()
    text = plain.summary().as_text()
    assert re.search(r"Method: +least squares  ", text) and "what effects leave" in " ".join(text.split())
    bare = InteractiveFE.from_formula("log(sales) ~ log(real_price)", data, n_factors=0).fit().summary().as_text()
    assert re.search(r"\] R-squared counts slopes\.$", bare, re.MULTILINE)
    lasso = GroupedIFE.from_formula("log(sales) ~ log(real_price) | state", data, n_groups=2, n_factors=0)
    assert "C-Lasso" in lasso.fit(classify="nearest").summary().as_text()


def test_options_that_change_numbers_are_named() -> None:
    data = load_cigar()
    model = GroupedIFE.from_formula("log(sales) ~ log(real_price) | state", data, n_groups=2, n_factors=1)
    text = model.fit(kappa=0.1, classify="nearest", metric="relative", ssc=False, bias_correction=True).summary()
    flat = " ".join(str(text).split())
    for part in ("0.1 (given)", "nearest centre (relative)", "ssc=False", "B1, B2, B3 (Moon-Weidner)"):
        assert part in flat
    assert "HAC, uniform, 3 lags" in str(model.fit(cov_type="HAC").summary())
    clustered = model.fit(cov_type="cluster", cov_kwds={"groups": "state"})
    assert "clustered by state (46)" in str(clustered.summary())


@pytest.mark.parametrize("alpha", [0, 1, -0.5, 5])
def test_alpha(single: Any, alpha: float) -> None:
    with pytest.raises(SpecificationError, match="alpha"):
        single.summary(alpha=alpha)


class Balance(HTMLParser):
    """Notes tags that don't close, and collects the cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_html(res: Any, awkward: Any) -> None:
    for fit in (res, awkward):
        parser = Balance()
        parser.feed(fit.summary().as_html())
        parser.close()
        assert parser.open == []
        stacked = Balance()
        stacked.feed(fit.summary(layout="stacked").as_html())
        cells = [row for row in stacked.rows if len(row) == 7]
        assert len(cells) == len(fit.params) + 1
        assert fit.to_html() == fit.summary().as_html() == fit._repr_html_()
    assert "&amp;_100%" in awkward.summary().as_html()


def test_latex(res: Any, awkward: Any) -> None:
    for fit in (res, awkward):
        text = fit.summary().as_latex(label="tab:fit")
        bare = re.sub(r"\\[\\&%$#_{}]", "", text)
        assert bare.count("{") == bare.count("}") and "%" not in bare and "_" not in bare and "#" not in bare
        environments = re.findall(r"\\(begin|end)\{(\w+)\}", text)
        stack: list[str] = []
        for kind, name in environments:
            if kind == "begin":
                stack.append(name)
            else:
                assert stack.pop() == name
        assert stack == [] and r"\label{tab:fit}" in text
        for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
            lines = [line for line in body.splitlines() if line.endswith(r"\\")]
            wide = [sum(int(n) - 1 for n in re.findall(r"multicolumn\{(\d+)", line)) for line in lines]
            counts = {re.sub(r"\\&", "", line).count("&") + 1 + n for line, n in zip(lines, wide, strict=True)}
            assert counts == {len(columns)}
        assert fit.to_latex(full=True) == fit.summary(full=True).as_latex()


def test_markdown(res: Any, awkward: Any) -> None:
    for fit in (res, awkward):
        blocks = [block for block in fit.summary().as_markdown().split("\n\n") if block.startswith("|")]
        for block in blocks:
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(counts) == 1
        assert len(blocks) >= 3 and fit.to_markdown() == fit.summary().as_markdown()


def test_csv(res: Any, awkward: Any) -> None:
    for fit in (res, awkward):
        rows = list(csv.reader(io.StringIO(fit.summary().as_csv())))
        found = {row[-7].strip(): row for row in rows if len(row) >= 7}
        for name, coef in fit.params.items():
            assert len(found[name]) == 7 and found[name][1] == number(coef)
        assert ["Observations", str(int(fit.nobs))] in rows
        assert sum(row[0] == "note" for row in rows) >= 2


def test_extra_text(single: Any) -> None:
    summary = single.summary()
    summary.add_extra_txt(["Data: Baltagi (2001).", "Own computation."])
    assert "Baltagi (2001)" in summary.as_text() and width(summary.as_text()) <= 80
    assert "Baltagi" not in single.summary().as_text()


def test_tables_for_code_that_goes_through_them(grouped: Any) -> None:
    tables = grouped.summary().tables
    assert len(tables) == 4
    frame = pd.DataFrame(tables[1].data[1:], columns=tables[1].data[0]).set_index("")
    assert list(frame.columns) == ["coef", "std err", "t", "P>|t|", "[0.025", "0.975]"]
    assert [name.strip() for name in frame.index] == list(grouped.params.index)
    np.testing.assert_allclose(frame["coef"].astype(float), grouped.params, atol=5.1e-5)


@pytest.mark.parametrize("which", ["grouped", "single"])
def test_errors_that_assume_no_serial_correlation_are_named_once(which: str, request: pytest.FixtureRequest) -> None:
    res = request.getfixturevalue(which)
    pvalues = res.diagnostics()["pvalue"]
    assert pvalues["Panel Durbin-Watson"] < 0.01  # what the note goes by
    for kind in ("nonrobust", "HC0", "HC1"):
        text = " ".join(res.get_robustcov_results(kind).summary().as_text().split())
        assert text.count('cov_type="cluster"') == 1, kind
        assert "without serial correlation at 1%" in text
    for kind in ("cluster", "HAC", "hac-groupsum"):
        assert 'cov_type="cluster"' not in res.get_robustcov_results(kind).summary().as_text()


def test_errors_without_serial_correlation_need_no_word() -> None:
    panel = simulate("S", 40, 25, random_state=1)
    y = panel.x.sum(axis=2) + panel.truth.loadings @ panel.truth.factors.T + panel.truth.errors
    res = InteractiveFE(y, panel.x, n_factors=2).fit()
    assert (res.diagnostics()["pvalue"][["Panel Durbin-Watson", "Born-Breitung Q(1)"]] > 0.01).all()
    assert "serial correlation at" not in res.summary().as_text()
