"""The command line without a fit: arguments, files, messages, exit codes."""

from __future__ import annotations

import argparse
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel
from gifepanel import cli
from gifepanel.exceptions import DataError, DataWarning


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"firm": ["a", "a", "b", "b"], "year": [1, 2, 1, 2], "y": [1.0, 2.0, 3.0, 4.0]})


@pytest.fixture
def file(tmp_path: Path, frame: pd.DataFrame) -> Path:
    path = tmp_path / "panel.csv"
    frame.to_csv(path, index=False)
    return path


class StubModel:
    """Stands for GroupedIFE: remembers what it was called with."""

    calls: dict[str, Any]

    @classmethod
    def from_formula(cls, formula: str, data: pd.DataFrame, **options: Any) -> StubModel:
        cls.calls = {"formula": formula, "data": data, **options}
        return cls()

    def fit(self, **options: Any) -> SimpleNamespace:
        self.calls["fit"] = options
        names = ["x1[1]", "x1[2]"]
        column = pd.Series([1.0, 2.0], index=names)
        summary = SimpleNamespace(as_html=lambda: "<table>")
        return SimpleNamespace(
            summary=lambda: summary,
            to_latex=lambda: "\\begin{table}",
            params=column,
            bse=column / 10,
            tvalues=column * 0 + 10.0,
            pvalues=column * 0,
            conf_int=lambda: pd.DataFrame({0: column - 1, 1: column + 1}),
            groups=pd.Series([1, 1, 2], index=pd.Index(["a", "b", "c"], name="firm")),
        )


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> type[StubModel]:
    monkeypatch.setitem(vars(gifepanel), "GroupedIFE", StubModel)
    return StubModel


def test_versions_lists_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["versions"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["gifepanel"] == gifepanel.__version__
    assert lines["numpy"] == np.__version__ and lines["pandas"] == pd.__version__
    assert lines["python"] == ".".join(map(str, sys.version_info[:3]))
    assert int(lines["CPUs"]) >= 1 and lines["BLAS"]


@pytest.mark.parametrize(
    "program", [["-m", "gifepanel"], ["-c", "import gifepanel.cli as c; raise SystemExit(c.main())"]]
)
def test_program_runs_as_a_module(program: list[str]) -> None:
    done = subprocess.run([sys.executable, *program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"gifepanel {gifepanel.__version__}"


@pytest.mark.parametrize(
    ("text", "count"), [("3", 3), ("0", 0), ("auto", "auto"), ("1-4", range(1, 5)), ("2-2", range(2, 3))]
)
def test_counts(text: str, count: Any) -> None:
    assert cli._count(text) == count


@pytest.mark.parametrize("text", ["", "three", "4-1", "-1", "1-", "1-2-3", "1.5", "3-"])
def test_counts_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="neither a number"):
        cli._count(text)


def test_the_other_way_round(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = failure(capsys, "fit", str(file), "y ~ x | firm")
    assert error == f'gifepanel: The formula comes first: gifepanel fit "y ~ x | firm" {file}\n'
    for formula in ("", "y - x"):
        error = failure(capsys, "fit", formula, str(file))
        assert error.endswith("has 0 '~'. outcome ~ regressors is needed. \"y ~ x1 + x2 | firm\"\n")
    with pytest.raises(SystemExit):
        cli.main(["fit", "y ~ x", str(file), "--seed", "1.5"])
    assert "'1.5' is no whole number" in capsys.readouterr().err


def test_fit_passes_its_arguments_on(model: type[StubModel], file: Path, frame: pd.DataFrame) -> None:
    arguments = ["fit", "y ~ x", str(file), "--entity", "firm", "--time", "year"]
    assert cli.main([*arguments, "--groups", "1-3", "--factors", "auto"]) == 0
    pd.testing.assert_frame_equal(model.calls.pop("data"), frame)
    assert model.calls == {
        "formula": "y ~ x",
        "entity": "firm",
        "time": "year",
        "n_groups": range(1, 4),
        "n_factors": "auto",
        "context": None,
        "fit": {},
    }
    assert cli.main([*arguments, "--groups", "2", "--factors", "0", "--cov-type", "HC1", "--seed", "7"]) == 0
    assert model.calls["fit"] == {"cov_type": "HC1", "random_state": 7}
    assert (model.calls["n_groups"], model.calls["n_factors"]) == (2, 0)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".feather", ".dta"])
def test_formats_of_files(model: type[StubModel], tmp_path: Path, frame: pd.DataFrame, suffix: str) -> None:
    path = tmp_path / f"panel{suffix}"
    write = {".parquet": frame.to_parquet, ".feather": frame.to_feather}
    if suffix == ".dta":
        frame.to_stata(path, write_index=False)
    elif suffix in write:
        write[suffix](path)
    else:
        frame.to_csv(path, index=False)
    arguments = ["--entity", "firm", "--time", "year", "--groups", "2", "--factors", "1"]
    assert cli.main(["fit", "y ~ x", str(path), *arguments]) == 0
    pd.testing.assert_frame_equal(model.calls["data"], frame, check_dtype=False)


def test_parquet_brings_its_index(model: type[StubModel], tmp_path: Path, frame: pd.DataFrame) -> None:
    indexed = frame.set_index(["firm", "year"])
    indexed.to_parquet(tmp_path / "panel.parquet")
    assert cli.main(["fit", "y ~ x", str(tmp_path / "panel.parquet"), "--groups", "2", "--factors", "1"]) == 0
    pd.testing.assert_frame_equal(model.calls["data"], indexed)


def test_table_as_csv(model: type[StubModel], file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = file.with_name("table.csv")
    arguments = ["fit", "y ~ x", str(file), "--entity", "firm", "--time", "year", "--groups", "2"]
    assert cli.main([*arguments, "--factors", "1", "--output", str(table), "--quiet"]) == 0
    written = pd.read_csv(table, index_col="term")
    assert list(written.columns) == ["coef", "std_err", "statistic", "pvalue", "lower", "upper"]
    assert written.loc["x1[2]"].tolist() == [2.0, 0.2, 10.0, 0.0, 1.0, 3.0]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("suffix", "text"), [(".tex", "\\begin{table}"), (".html", "<table>")])
def test_table_as_markup(model: type[StubModel], file: Path, suffix: str, text: str) -> None:
    table = file.with_name(f"table{suffix}")
    arguments = ["fit", "y ~ x", str(file), "--entity", "firm", "--time", "year", "--groups", "2"]
    assert cli.main([*arguments, "--factors", "1", "--output", str(table)]) == 0
    assert table.read_text() == text


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one message of a run that must fail with exit code 2."""
    assert cli.main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("gifepanel: ") and err.count("\n") == 1
    return err


COUNTS = ("--groups", "2", "--factors", "1")


def test_messages_of_bad_files(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no file nowhere.csv" in failure(capsys, "fit", "y ~ x", "nowhere.csv", *COUNTS)
    assert ".parquet" in failure(capsys, "fit", "y ~ x", "panel.docx", *COUNTS)
    message = failure(capsys, "fit", "y ~ x", str(file), "--entity", "firm", *COUNTS)
    assert "give --time" in message and "firm, year, y" in message
    message = failure(capsys, "fit", "y ~ x", str(file), *COUNTS, "--quiet")
    assert "--output" in message
    message = failure(capsys, "fit", "y ~ x", str(file), *COUNTS, "--output", "table.docx")
    assert ".csv, .tex, .html" in message


def test_where_nothing_can_be_written(model: type[StubModel], file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model.calls = {}
    folder = file.with_name("folder.csv")
    folder.mkdir()
    for output, words in (
        (file.parent / "nowhere" / "t.tex", "there is no folder"),
        (file, "is the file with the data"),
        (folder, "can't be written"),
    ):
        assert words in failure(capsys, "fit", "y ~ x", str(file), *COUNTS, "--output", str(output))
    assert model.calls == {} and file.stat().st_size > 0


def test_clusters_and_a_covariance_without(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("HC1", "nonrobust", "HAC"):
        message = failure(capsys, "fit", "y ~ x", str(file), "--cov-type", kind, "--cluster", "firm")
        assert f"--cov-type {kind} knows no clusters" in message and "Leave out" in message


def test_names_with_blanks_and_commas(
    model: type[StubModel], file: Path, frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"firm": "firm, name", "year": "the year", "y": "the y"}
    frame.rename(columns=names).to_csv(file, index=False, sep=";")
    arguments = ["fit", "the y ~ x", str(file), "--entity", "firm, name", "--time", "the year", *COUNTS]
    assert cli.main([*arguments, "--cluster", "firm, name"]) == 0
    assert model.calls["formula"] == "`the y` ~ x" and model.calls["entity"] == "firm, name"
    assert model.calls["fit"]["cov_kwds"] == {"groups": "firm, name"}
    assert cli.main([*arguments, "--cluster", "the year,the y"]) == 0
    assert model.calls["fit"]["cov_kwds"] == {"groups": ["the year", "the y"]}


def test_an_error_says_how_the_file_was_read(
    monkeypatch: pytest.MonkeyPatch, model: type[StubModel], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(file.read_bytes().replace(b",", b";"))

    def fit(self: StubModel, **options: Any) -> None:
        raise DataError("Column x has a NaN.", "Every value must be finite.", "n_groups=2")

    monkeypatch.setattr(StubModel, "fit", fit)
    message = failure(capsys, "fit", "y ~ x", str(file), "--entity", "firm", "--time", "year", *COUNTS)
    assert message.endswith("Add --groups 2. (The file was read as text separated by semicolons.)\n")
    assert "separated by semicolons" in failure(capsys, "fit", "y ~ x", str(file), "--entity", "firm", *COUNTS)


def test_an_index_that_is_named(model: type[StubModel], tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.set_index(["firm", "year"]).to_parquet(tmp_path / "panel.parquet")
    ids = ["--entity", "firm", "--time", "year"]
    assert cli.main(["fit", "y ~ x", str(tmp_path / "panel.parquet"), *ids, *COUNTS]) == 0
    pd.testing.assert_frame_equal(model.calls["data"], frame)


def test_no_work_before_the_output_is_known_to_be_writable_as_asked(
    model: type[StubModel], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.calls = {}
    failure(capsys, "fit", "y ~ x", str(file), *COUNTS, "--output", "table.docx")
    assert model.calls == {}


def test_errors_of_the_package_and_others(
    monkeypatch: pytest.MonkeyPatch, model: type[StubModel], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail_with(error: Exception) -> None:
        def fit(self: StubModel, **options: Any) -> None:
            raise error

        monkeypatch.setattr(StubModel, "fit", fit)

    arguments = ("fit", "y ~ x", str(file), "--entity", "firm", "--time", "year", *COUNTS)
    fail_with(DataError("Column x has a NaN.", "Every value must be finite.", "data.dropna()"))
    assert (
        failure(capsys, *arguments)
        == "gifepanel: Column x has a NaN. Every value must be finite. In Python: data.dropna()\n"
    )
    fail_with(KeyError("x"))
    assert failure(capsys, *arguments) == "gifepanel: KeyError: 'x' (--traceback shows where)\n"
    assert cli.main([*arguments, "--traceback"]) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fitt"],
        ["fit"],
        ["fit", "y ~ x", "a.csv", "--groups", "some", "--factors", "1"],
        ["demo", "--groups", "2"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: gifepanel" in capsys.readouterr().err


def test_warnings_are_one_line_and_the_hook_is_put_back(
    monkeypatch: pytest.MonkeyPatch, model: type[StubModel], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def from_formula(formula: str, data: pd.DataFrame, **options: Any) -> StubModel:
        warnings.warn(DataWarning("Column x2 was dropped."), stacklevel=2)
        return StubModel()

    monkeypatch.setattr(StubModel, "from_formula", from_formula)
    monkeypatch.setattr(StubModel, "calls", {}, raising=False)
    before = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["fit", "y ~ x", str(file), "--entity", "firm", "--time", "year", *COUNTS]) == 0
        assert capsys.readouterr().err == "warning: Column x2 was dropped.\n"
    assert warnings.showwarning is before


def test_a_closed_pipe_is_no_error() -> None:
    program = "import sys; from gifepanel import cli; sys.exit(cli.main(['versions']))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_an_interruption_is_one_line_and_130(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_read", interrupted)
    assert cli.main(["fit", "y ~ 1", str(file)]) == 130
    assert capsys.readouterr().err == "gifepanel: interrupted\n"


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        (["--robust"], "--cov-type HC1"),
        (["--vcov", "~firm"], "--cluster firm"),
        (["--vce=cluster firm"], "--cluster firm"),
        (["--absorb", "firm"], '"y ~ x | firm"'),
        (["--index", "firm,year"], "--entity firm --time year"),
        (["--cov-type", "clustered", "--entity", "firm"], "--cov-type cluster"),
        (["--cov-type", "NW", "--entity", "firm", "--time", "year"], "--cov-type hac-panel"),
        (["--cov-type", "twoway", "--entity", "firm", "--time", "year"], "--cov-type cluster --cluster firm,year"),
        (["--cluster", "firm+year"], "--cluster firm,year"),
    ],
)
def test_options_in_words_of_others(
    file: Path, given: list[str], ours: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = cli.main(["fit", "y ~ x", str(file), *given])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert ours in capsys.readouterr().err
