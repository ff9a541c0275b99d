"""What files are taken for: separators, headers, rows; the same in memory and at an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.exceptions import DataError, GifepanelError
from gifepanel.lazy_rows import sources
from gifepanel.lazy_rows.sources import fixes_read_first, separator_of
from tests.lazy_rows.panels import assert_same, fit, panel

pytest.importorskip("duckdb")
FORMULA = "y ~ x1 + x2 | firm + year"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("semicolons.csv", {"sep": ";", "quoting": 1}),
        ("tabs.tsv.gz", {"sep": "\t"}),
        ("with_row_labels.csv", {"index": True}),
    ],
)
def test_separated_values(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    """A first column without a name is what pandas writes row labels as."""
    path = tmp_path / name
    panel().to_csv(path, **{"index": False, **options})
    assert_same(fit(path, FORMULA, engine="lazy")[0], fit(path, FORMULA, engine="memory")[0])


def test_a_separator_in_a_name_is_none(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text('"a;b;c",y\n1,2\n')
    assert separator_of(str(path)) == ","
    path.write_text("y\n1\n")
    assert separator_of(str(path)) == ","
    path.write_bytes(b"\xff;\xfe\n")
    assert separator_of(str(path)) == ","


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("separator", [",", ";"])
def test_lines_that_read_files_read_these(tmp_path: Path, separator: str, parts: int) -> None:
    files = [tmp_path / f"part{k}.csv" for k in range(parts)]
    for k, path in enumerate(files):
        panel().iloc[k::parts].to_csv(path, sep=separator, index=False)
    with pytest.raises(DataError) as caught, fixes_read_first(files):
        raise DataError("something", "was found", "data = data[data.x1 > 0]")
    names: dict[str, Any] = {}
    exec(str(caught.value.fix), names)
    assert len(names["data"]) == (panel()["x1"] > 0).sum()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The panel in one folder a year."""
    home = tmp_path_factory.mktemp("panel of years")
    for year, rows in panel().groupby("year"):
        (home / f"year={year}").mkdir()
        rows.drop(columns="year").to_parquet(home / f"year={year}" / "part.parquet", index=False)
    return home


@pytest.mark.parametrize("engine", ["memory", "lazy"])
@pytest.mark.parametrize(
    ("formula", "options", "groups"),
    [
        ("y ~ x1 + x2 | firm + year", {}, None),
        ("y ~ x1 + year | firm", {}, None),
        ("y ~ x1 + x2 | region^year", {}, None),
        ("y ~ x1 | firm", {"weights": "year"}, None),
        ("y ~ x1 | firm", {"entity": "firm", "time": "year"}, None),
        ("y ~ x1 | firm", {}, "year"),
    ],
)
def test_columns_in_names_of_folders(
    folders: Path, engine: str, formula: str, options: dict[str, Any], groups: str | None
) -> None:
    """They are named where they are asked for, and the line that reads them runs."""
    cov = {} if groups is None else {"cov_type": "cluster", "cov_kwds": {"groups": groups}}

    def params(data: Any) -> Any:
        return gife.PartialledOLS.from_formula(formula, data, engine=engine, **options).fit(**cov).params

    expected = params(panel())
    for data in (folders, str(folders / "*" / "*.parquet"), sorted(folders.glob("*/*.parquet"))):
        with pytest.raises(GifepanelError, match="'year' is in names of folders, such as year=2000") as caught:
            params(data)
        names: dict[str, Any] = {}
        exec(str(caught.value.fix), names)
        np.testing.assert_allclose(params(names["data"]), expected, rtol=1e-8)


def test_folders_for_a_model_with_factors(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes frames; without DuckDB pandas reads them."""
    for there in (True, False):
        monkeypatch.setattr("gifepanel.lazy_rows.partitions.find_spec", lambda name, there=there: there or None)
        with pytest.raises(GifepanelError, match="names of folders") as caught:
            gife.InteractiveFE.from_formula("y ~ x1", folders, entity="firm", time="year", n_factors=1)
        names: dict[str, Any] = {}
        exec(str(caught.value.fix), names)
        assert isinstance(names["data"], pd.DataFrame)
        assert names["data"]["year"].astype(int).sum() == panel()["year"].sum()


def test_folders_are_named_only_for_what_they_hold(folders: Path) -> None:
    assert gife.PartialledOLS.from_formula("y ~ x1 | firm", folders).fit().nobs > 0
    with pytest.raises(GifepanelError) as caught:
        gife.PartialledOLS.from_formula("y ~ x1 + yaer | firm", folders)
    assert "folders" not in str(caught.value)


@pytest.mark.parametrize("engine", ["memory", "lazy"])
@pytest.mark.parametrize("name", ["nothing.csv", "names.csv", "names.parquet"])
def test_files_without_rows(tmp_path: Path, name: str, engine: str) -> None:
    """Types of columns without a value say nothing of the data."""
    path = tmp_path / name
    if name.endswith("parquet"):
        panel().iloc[:0].to_parquet(path)
    else:
        path.write_text("" if name == "nothing.csv" else "y,x1,x2,firm,year\n")
    with pytest.raises(DataError, match=r"no rows|No columns to parse"):
        gife.PartialledOLS.from_formula(FORMULA, path, engine=engine)


@pytest.mark.parametrize("engine", ["memory", "lazy"])
@pytest.mark.parametrize("data", [None, [], 3.0])
def test_what_is_no_data(data: Any, engine: str) -> None:
    with pytest.raises(DataError, match="data is a"):
        gife.PartialledOLS.from_formula(FORMULA, data, engine=engine)


@pytest.mark.parametrize(
    ("formula", "options", "words"),
    [
        ("y ~ x1 | several", {}, "'several' hold"),
        ("y ~ several | firm", {}, "'several' hold"),
        ("y ~ x1 + nothing | firm", {}, "'nothing' has no value in any row"),
        ("y ~ x1 | nothing", {}, "'nothing' has no value in any row"),
        ("y ~ x1 | firm", {"weights": "nothing"}, "'nothing' has no value in any row|not numbers"),
        ("y ~ x1 | firm", {"weights": "digits"}, "the weights 'digits' are not numbers"),
        ("y ~ x1 | firm", {"weights": "several"}, "'several' hold|not numbers"),
    ],
)
def test_columns_of_the_wrong_kind(tmp_path: Path, formula: str, options: dict[str, Any], words: str) -> None:
    """Lists, columns without a type, text that looks like numbers: the error of memory, on both engines of files."""
    pa, pq, pl = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet"), pytest.importorskip("polars")
    table = pa.Table.from_pandas(panel(), preserve_index=False)
    table = table.append_column("several", pa.array([[1, 2]] * len(table))).append_column(
        "nothing", pa.nulls(len(table))
    )
    pq.write_table(table.append_column("digits", pa.array(["1.5"] * len(table))), tmp_path / "kinds.parquet")
    for data, engine in (
        (tmp_path / "kinds.parquet", "memory"),
        (tmp_path / "kinds.parquet", "lazy"),
        (pl.scan_parquet(tmp_path / "kinds.parquet"), "lazy"),
    ):
        with pytest.raises(DataError, match=words):
            fit(data, formula, engine=engine, **options)


@pytest.mark.parametrize("late", ["1.5", "1e-1", "A1"])
def test_types_of_csv_files_are_those_of_all_rows(tmp_path: Path, late: str) -> None:
    """Whole numbers in the first rows do not round what comes later."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 9, 30_000)
    frame = pd.DataFrame(
        {"y": rng.normal(size=30_000) + numbers, "x": rng.normal(size=30_000), "g": numbers.astype(str)}
    )
    frame["firm"], frame["year"] = np.arange(30_000) // 10, np.arange(30_000) % 10
    frame.loc[29_000:, "g"] = late
    frame.to_csv(tmp_path / "late.csv", index=False)
    formula = "y ~ x | g" if late == "A1" else "y ~ x + g"
    assert_same(*(fit(tmp_path / "late.csv", formula, engine=one)[0] for one in ("lazy", "memory")))


@pytest.mark.parametrize(
    ("late", "kind", "asks"), [("7", "BIGINT", []), ("1.5", "DOUBLE", [-1]), ("A1", "VARCHAR", [-1])]
)
def test_types_are_looked_for_among_all_rows_where_some_do_not_fit(
    tmp_path: Path, late: str, kind: str, asks: list[int]
) -> None:
    """And once: every query would look among the rows again by which it is told to find types."""
    con, asked = pytest.importorskip("duckdb").connect(), []

    class Spied:
        def read_csv(self, files: list[str], **options: Any) -> Any:
            asked.extend(value for name, value in options.items() if name == "sample_size")
            return con.read_csv(files, **options)

    (tmp_path / "late.csv").write_text("g,x\n" + "1,2\n" * 25_000 + f"{late},2\n")
    found = sources._csv_relation(Spied(), [str(tmp_path / "late.csv")])
    assert [str(one) for one in found.types] == [kind, "BIGINT"]
    assert asked == asks
    assert str(found.fetchall()[-1][0]) == late


def test_what_is_missing_in_csv_files(tmp_path: Path) -> None:
    """The words that pandas knows."""
    frame = panel().astype({"x1": object, "industry": object})
    frame.loc[frame.index[:60:12], "x1"] = ["NA", "nan", "NULL", "#N/A", ""]
    frame.loc[frame.index[3], "industry"] = "None"
    frame.to_csv(tmp_path / "missing.csv", index=False)
    formula = "y ~ x1 + industry | firm + year"
    assert_same(*(fit(tmp_path / "missing.csv", formula, engine=one)[0] for one in ("lazy", "memory")))
