"""The command line with real fits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gifepanel
from gifepanel import cli
from gifepanel.datasets import load_cigar, simulate

DEMO = "log(sales) ~ log(real_price) + log(real_income) | state"


@pytest.fixture(scope="module")
def panel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "panel.csv"
    simulate("S", 40, 30, random_state=2).data.to_csv(path)
    return path


def test_demo_prints_the_report_and_every_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    one_line = " ".join(out.split())
    for state in load_cigar().index.levels[0]:
        assert state in one_line
    sizes = [int(size) for size in re.findall(r"^Group \d \((\d+)\)", out, re.MULTILINE)]
    assert len(sizes) == 3 and sum(sizes) == 46
    for group in (1, 2, 3):
        assert f"log(real_price)[{group}]" in out


def test_demo_is_the_fit_of_its_formula(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["demo"])
    out = capsys.readouterr().out
    results = gifepanel.GroupedIFE.from_formula(DEMO, load_cigar(), n_groups=3, n_factors=2).fit()
    for label, size in results.groups.value_counts().items():
        assert f"Group {label} ({size}): " in out


def test_fit_from_a_file_is_the_fit_in_python(panel_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = panel_file.with_name("table.csv")
    command = ["fit", "y ~ 0 + x1 + x2", str(panel_file), "--entity", "entity", "--time", "time"]
    assert cli.main([*command, "--groups", "3", "--factors", "2", "--seed", "1", "--output", str(table)]) == 0
    assert "x1[1]" in capsys.readouterr().out
    data = pd.read_csv(panel_file).set_index(["entity", "time"])
    model = gifepanel.GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=3, n_factors=2)
    results = model.fit(random_state=1)
    written = pd.read_csv(table, index_col="term")
    assert list(written.index) == list(results.params.index)
    np.testing.assert_allclose(written["coef"], results.params, rtol=1e-12)
    np.testing.assert_allclose(written["std_err"], results.bse, rtol=1e-12)


@pytest.mark.parametrize("suffix", [".tex", ".html"])
def test_tables(panel_file: Path, suffix: str) -> None:
    table = panel_file.with_name(f"table{suffix}")
    command = ["fit", "y ~ 0 + x1 + x2", str(panel_file), "--entity", "entity", "--time", "time", "--quiet"]
    assert cli.main([*command, "--groups", "3", "--factors", "2", "--output", str(table)]) == 0
    assert "x1[1]" in table.read_text()


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
