"""Files as other programs write them: separators, encodings, marks of missing values, codes that look like such."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel.command import files
from gifepanel.command.files import read_file
from gifepanel.exceptions import DataError, DataWarning, MissingPackageError


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    names = ["Zürich & Söhne", "É.ON", "c", "d"]
    return pd.DataFrame({"firm name": np.repeat(names, 3), "year": [1, 2, 3] * 4, "y": rng.normal(size=12).round(6)})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
@pytest.mark.parametrize(("name", "sep", "decimal"), [
    ("a.csv", ",", "."), ("a.csv", ";", ","), ("a.csv", ";", "."), ("a.tsv", "\t", "."), ("a.txt", "|", "."),
    ("a.csv.gz", ";", ","), ("a.txt", "\t", ","), ("A.CSV", ",", "."),
])  # fmt: skip
def test_separators_and_encodings_are_found_out(
    frame: pd.DataFrame, tmp_path: Path, name: str, sep: str, decimal: str, encoding: str
) -> None:
    frame.to_csv(tmp_path / name, index=False, sep=sep, decimal=decimal, encoding=encoding)
    file = read_file(tmp_path / name)
    pd.testing.assert_frame_equal(file.data, frame, check_dtype=False)
    assert file.data["y"].dtype == float
    words = {";": "semicolons", "|": "bars"}.get(sep, "tabs" if (sep, name) == ("\t", "a.txt") else "")
    assert words in file.told and ("cp1252" in file.told) == (encoding in ("cp1252", "latin-1"))


def test_lines_at_the_end_and_columns_of_a_spreadsheet(frame: pd.DataFrame, tmp_path: Path) -> None:
    text = frame.to_csv(index=False).replace("\n", ",,\n")
    (tmp_path / "a.csv").write_text(text + ",,,,\n,,,,\n\n\n", "utf-8")
    pd.testing.assert_frame_equal(read_file(tmp_path / "a.csv").data, frame, check_dtype=False)


def test_blanks_around_names(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame["code"] = np.repeat(["NA", "b", "c", "d"], 3)
    (tmp_path / "a.csv").write_text(frame.rename(columns={"y": " y ", "code": "code "}).to_csv(index=False), "utf-8")
    with pytest.warns(DataWarning, match="'NA' in 3 rows"):
        pd.testing.assert_frame_equal(read_file(tmp_path / "a.csv").data, frame, check_dtype=False)
    (tmp_path / "b.csv").write_text("a,a ,b\n1,2,x\n3,4,\n", "utf-8")
    assert list(read_file(tmp_path / "b.csv").data) == ["a", "a ", "b"]


def test_namibia_is_not_missing(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame["code"] = np.repeat(["NA", "nan", "DE", None], 3)
    frame["x"] = [*frame["y"][:10].astype(str), "NA", ""]
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.warns(DataWarning, match="'NA', 'nan' in 6 rows: read as a code"):
        data = read_file(tmp_path / "a.csv").data
    assert data["code"].tolist()[:7] == ["NA"] * 3 + ["nan"] * 3 + ["DE"] and data["code"].isna().sum() == 3
    assert data["x"].dtype == float and data["x"].isna().sum() == 2  # among numbers it is missing


@pytest.mark.parametrize("mark", [".", "..", ":", "-", "#NV", "n/a"])
def test_marks_of_missing_values(frame: pd.DataFrame, tmp_path: Path, mark: str) -> None:
    column = frame["y"].astype(object)
    column[3] = mark
    frame.assign(y=column).to_csv(tmp_path / "a.csv", index=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = read_file(tmp_path / "a.csv").data
    assert data["y"].dtype == float and np.flatnonzero(data["y"].isna()).tolist() == [3]
    assert mark == "n/a" or f"{mark!r} in 1 rows: read as missing" in str(caught[0].message)


@pytest.mark.parametrize("values", [["1,234.5", "2"], ["1.5", "2,5"], ["12a", "7"]])
def test_what_may_be_another_number_stays_text(tmp_path: Path, values: list[str]) -> None:
    pd.DataFrame({"a": ["u", "v"], "y": values}).to_csv(tmp_path / "a.csv", index=False, sep=";")
    data = read_file(tmp_path / "a.csv").data
    assert data["y"].tolist() == values or values[0] == "1,234.5"


def test_stored_indexes(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.set_index("firm name").to_parquet(tmp_path / "one.parquet")
    pd.testing.assert_frame_equal(read_file(tmp_path / "one.parquet").data, frame)
    indexed = frame.set_index(["firm name", "year"])
    indexed.to_parquet(tmp_path / "two.parquet")
    pd.testing.assert_frame_equal(read_file(tmp_path / "two.parquet").data, indexed)
    frame.rename(columns={"firm name": "firm"}).to_stata(tmp_path / "a.dta", write_index=False, version=118)
    assert read_file(tmp_path / "a.dta").data.shape == frame.shape


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_standard_input(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    content = frame.to_csv(index=False, sep=";").encode("cp1252") if kind == "csv" else frame.to_parquet()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    file = read_file(Path("-"))
    pd.testing.assert_frame_equal(file.data, frame, check_dtype=False)
    assert file.told == ("separated by semicolons, cp1252" if kind == "csv" else "")


@pytest.mark.parametrize(("suffix", "package"), [(".xlsx", "openpyxl"), (".xls", "xlrd"), (".sav", "pyreadstat")])
def test_a_package_that_is_missing_is_named(
    tmp_path: Path, suffix: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{suffix}"
    path.touch()
    reader = files.OTHERS[suffix][0]

    def missing(*_: Any, **__: Any) -> None:
        raise ImportError(f"Missing optional dependency {package!r}.")

    monkeypatch.setattr(pd, reader, missing)
    with pytest.raises(MissingPackageError) as caught:
        read_file(path)
    assert caught.value.fix == f"pip install {package}"


def test_a_spreadsheet(frame: pd.DataFrame, tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    frame["code"] = "NA"
    frame.assign(y=frame["y"].astype(object).where(frame.index != 2, ".")).to_excel(tmp_path / "a.xlsx", index=False)
    with pytest.warns(DataWarning, match="read as missing"):
        data = read_file(tmp_path / "a.xlsx").data
    assert data["code"].eq("NA").all() and data["y"].dtype == float and data["y"].isna().sum() == 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"a,b\n", "a line of names alone"),
        ("a.csv", b"a;b\n1;2\n1;2;3\n1;2;3;4\n", "separated by semicolons"),
        ("a.parquet", b"hello", "broken, or of another kind"),
        ("a.dta", b"hello", "broken, or of another kind"),
        ("a.docx", b"hello", ".csv, .tsv"),
        ("a", b"hello", ".csv, .tsv"),
    ],
)
def test_files_that_can_not_be_read(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_file(tmp_path / name)
    with pytest.raises(DataError, match="no file"):
        read_file(tmp_path / "nowhere.csv")
