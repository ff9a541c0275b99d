"""The command line with real fits."""

from __future__ import annotations

import re
import textwrap
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel
from gifepanel import cli
from gifepanel.datasets import load_cigar, simulate


@pytest.fixture(scope="module")
def panel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "panel.csv"
    simulate("S", 40, 30, random_state=2).data.to_csv(path)
    return path


def test_the_demo_is_an_analysis_that_says_what_remains(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    code, report = re.split(r"\n(?= +Interactive Fixed)", out, maxsplit=1)
    names: dict[str, Any] = {}
    exec(textwrap.dedent(code.partition("\n\n")[2]), names)
    printed = capsys.readouterr().out
    assert len(printed) > 1000 and report.startswith(printed.rstrip())  # the code that it shows prints its report
    results = names["results"]
    pvalues = results.diagnostics()["pvalue"].dropna()
    assert results.selection is not None and results.cov_type == "cluster"
    for name in ("Panel Durbin-Watson", "Born-Breitung Q(1)", "Juodis-Reese CDw"):
        assert pvalues[name] > 0.1 and f"{name}" in out
    text = " ".join(out.split())
    price = results.long_run().table.loc["log(real_price)"]
    assert f"sales fall by {-price['effect']:.2f}% (standard error {price['se']:.2f})" in text
    assert "the data take 2 factors" in text and "What remains." in text


def test_fit_from_a_file_is_the_fit_in_python(panel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = panel_file.with_name("table.csv")
    command = ["fit", "y ~ 0 + x1 + x2", str(panel_file), "--entity", "entity", "--time", "time"]
    assert cli.main([*command, "--groups", "3", "--factors", "2", "--seed", "1", "--output", str(table)]) == 0
    assert re.search(r"^Group 3 +16 +40%  ", capsys.readouterr().out, re.MULTILINE)
    data = pd.read_csv(panel_file).set_index(["entity", "time"])
    model = gifepanel.GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=3, n_factors=2)
    results = model.fit(random_state=1)
    written = pd.read_csv(table, index_col="term")
    assert list(written.index) == list(results.params.index)
    np.testing.assert_allclose(written["coef"], results.params, rtol=1e-12)
    np.testing.assert_allclose(written["std_err"], results.bse, rtol=1e-12)


def command(path: Path, formula: str = "y ~ 0 + x1 + x2", *more: str) -> list[str]:
    ids = ["--entity", "entity", "--time", "time"]
    return ["fit", formula, str(path), *ids, "--groups", "3", "--factors", "2", *more]


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet", ".feather", ".dta"])
def test_other_files_give_the_same_report(panel_file: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(command(panel_file)) == 0
    expected = capsys.readouterr().out
    other = panel_file.with_name(f"panel{suffix}")
    data = pd.read_csv(panel_file)
    writers = {".parquet": "to_parquet", ".feather": "to_feather", ".dta": "to_stata", ".csv.gz": "to_csv"}
    options = {".dta": {"write_index": False}, ".csv.gz": {"index": False}}
    getattr(data, writers[suffix])(other, **options.get(suffix, {}))
    assert cli.main(command(other)) == 0
    assert capsys.readouterr().out == expected


def test_quiet_tables(panel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix in (".tex", ".html", ".csv"):
        table = panel_file.with_name(f"quiet{suffix}")
        assert cli.main(command(panel_file, "y ~ 0 + x1 + x2", "--quiet", "--output", str(table))) == 0
        text = table.read_text("utf-8")
        if suffix == ".tex":
            assert text.startswith(r"\begin{table}") and text.count(r"\begin{tabular*}") == 1
        elif suffix == ".html":
            parser = HTMLParser()
            parser.feed(text)
            parser.close()
            assert text.count("<table") == text.count("</table>") == 4
        else:
            assert list(pd.read_csv(table)["term"]) == [f"{x}[{k}]" for k in (1, 2, 3) for x in ("x1", "x2")]
    assert capsys.readouterr() == ("", "")


def test_covariance_type(panel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(command(panel_file, "y ~ 0 + x1 + x2 | entity", "--cov-type", "cluster")) == 0
    out = capsys.readouterr().out
    assert "clustered by entity (40)" in out and max(map(len, out.splitlines())) <= 80


def test_warnings_are_one_line(panel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = pd.read_csv(panel_file)
    path = panel_file.with_name("warned.csv")
    data.assign(size=data["entity"]).to_csv(path, index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(command(path, "y ~ x1 + x2 + size | entity")) == 0
    err = capsys.readouterr().err
    assert err.startswith("warning: size was dropped: it is absorbed") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("formula", "more", "culprit"),
    [
        ("y ~ x1**2", [], "x1**2"),
        ("y ~ 0 + x1 | size", [], "size"),
        ("y ~ 0 + x1 + x2", ["--factors", "30"], "--factors is 30"),
        ("y ~ 0 + x1 + x2", ["--groups", "41"], "--groups is 41"),
        ("y ~ 0 + x1 + x2", ["--seed", "-1"], "--seed is -1"),
        ("y ~ 0 + x1 + x2", ["--cov-type", "hc7"], "Add --cov-type "),
    ],
)
def test_one_message_and_exit_code_two(
    panel_file: Path, formula: str, more: list[str], culprit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command(panel_file, formula, *more)) == 2
    out, err = capsys.readouterr()
    assert out == "" and culprit in err and err.startswith("gifepanel: ") and err.count("\n") == 1


def test_misspelt_column(panel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["fit", "y ~ 0 + x1 + xx2", str(panel_file), "--entity", "entity", "--time", "time"]
    assert cli.main([*command, "--groups", "3", "--factors", "2"]) == 2
    err = capsys.readouterr().err
    assert "xx2" in err and "x2" in err.replace("xx2", "") and "Traceback" not in err


def test_unknown_covariance_type(panel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["fit", "y ~ 0 + x1 + x2", str(panel_file), "--entity", "entity", "--time", "time"]
    assert cli.main([*command, "--groups", "3", "--factors", "2", "--cov-type", "HC17"]) == 2
    assert "HC17" in capsys.readouterr().err


def test_formula_functions_are_the_models() -> None:
    import gifepanel.formula.api as gfa

    panel = simulate("S", 40, 30, random_state=2)
    grouped = gfa.gife(panel.formula, panel.data, n_groups=3, n_factors=2)
    single = gfa.ife(panel.formula, panel.data, n_factors=2)
    assert isinstance(grouped, gifepanel.GroupedIFE) and isinstance(single, gifepanel.InteractiveFE)
    same = gifepanel.GroupedIFE.from_formula(panel.formula, panel.data, n_groups=3, n_factors=2)
    pd.testing.assert_series_equal(grouped.fit().params, same.fit().params)


def test_without_groups_and_factors_it_is_partialled_ols(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The options of the command line are those of the model."""
    data = load_cigar().reset_index()
    path = tmp_path / "cigar.csv"
    data.to_csv(path, index=False)
    formula, table = "log(sales) ~ log(real_price) | state", tmp_path / "table.csv"
    own = ["--partial", "cpi + bs(ndi, 4)", "--weights", "pop", "--cluster", "state,year", "--output", str(table)]
    assert cli.main(["fit", formula, str(path), *own]) == 0
    model = gifepanel.PartialledOLS.from_formula(formula, data, partial="cpi + bs(ndi, 4)", weights="pop")
    res = model.fit(cov_type="cluster", cov_kwds={"groups": ["state", "year"]})
    printed = pd.read_csv(table)[["coef", "std_err"]].iloc[0]
    np.testing.assert_allclose(printed, [res.params.iloc[0], res.bse.iloc[0]], rtol=1e-10)
    assert "Partialled-Out Least Squares Results" in capsys.readouterr().out
    assert cli.main(["fit", "log(sales) ~ log(price) | state", str(path), "--cluster", "state"]) == 0
    assert "clustered by state (46)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--groups", "2"], "--factors is missing"),
        (["--factors", "1"], "--groups is missing"),
        (["--seed", "1"], "--seed is for models with groups and factors"),
        (["--groups", "2", "--factors", "1", "--partial", "cpi"], "--partial is for PartialledOLS"),
    ],
)
def test_options_of_the_other_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    path = tmp_path / "cigar.csv"
    load_cigar().reset_index().to_csv(path, index=False)
    assert cli.main(["fit", "sales ~ price | state", str(path), *options]) == 2
    assert words in capsys.readouterr().err
