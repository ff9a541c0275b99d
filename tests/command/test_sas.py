"""Files of SAS: tables that SAS wrote, and transport files written here by the letter of SAS's note TS-140."""

from __future__ import annotations

import gzip
import math
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel.cli import main
from gifepanel.command.files import read_file
from gifepanel.exceptions import DataError, MissingPackageError

DATA = Path(__file__).parent / "data"


def number(value: float) -> bytes:
    """IBM's floating point: base 16, excess 64, no hidden bit; a point for a missing value."""
    if math.isnan(value):
        return b".".ljust(8, b"\0")
    mantissa, exponent = math.frexp(abs(value))
    power = math.ceil(exponent / 4) if value else -64
    whole = int(math.ldexp(mantissa, 56 + exponent - 4 * power)) if value else 0
    return bytes([(value < 0) << 7 | power + 64]) + whole.to_bytes(7, "big")


def transport(columns: dict[str, list[Any]], formats: dict[str, str] | None = None, encoding: str = "cp1252") -> bytes:
    """A transport file of version 5 with one table."""
    names, at = b"", 0
    for place, (name, values) in enumerate(columns.items(), 1):
        text = isinstance(values[0], str)
        form = (formats or {}).get(name, "").encode()
        names += struct.pack(
            ">hhhh8s40s8shhh2s8shhl52s", 1 + text, 0, 16 if text else 8, place, name.encode().ljust(8), b" " * 40,
            form.ljust(8), 0, 0, 0, b"  ", b" " * 8, 0, 0, at, b"\0" * 52)  # fmt: skip
        at += 16 if text else 8
    rows = b"".join(
        value.encode(encoding).ljust(16) if isinstance(value, str) else number(value)
        for row in zip(*columns.values(), strict=True)
        for value in row
    )
    time = b"01JAN20:00:00:00"
    cards = [
        b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!000000000000000000000000000000  ",
        b"SAS     SAS     SASLIB  9.4     X64     ".ljust(64) + time,
        time,
        b"HEADER RECORD*******MEMBER  HEADER RECORD!!!!!!!000000000000000001600000000140  ",
        b"HEADER RECORD*******DSCRPTR HEADER RECORD!!!!!!!000000000000000000000000000000  ",
        b"SAS     PANEL   SASDATA 9.4     X64     ".ljust(64) + time,
        time,
        b"HEADER RECORD*******NAMESTR HEADER RECORD!!!!!!!000000%04d00000000000000000000  " % len(columns),
        names,
        b"HEADER RECORD*******OBS     HEADER RECORD!!!!!!!000000000000000000000000000000  ",
        rows,
    ]
    return b"".join(card.ljust(-(-len(card) // 80) * 80) for card in cards)


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    firms = ["Zürich", "É.ON", "Müller & Söhne", "d"]
    frame = pd.DataFrame({"firm": np.repeat(firms, 10), "day": np.tile(21000.0 + np.arange(10), 4)})
    frame["dummy"] = (np.arange(40) % 3 == 0).astype(float)
    frame["x"] = rng.normal(size=40)
    frame["y"] = frame["x"] + frame["dummy"] + rng.normal(size=40)
    frame.loc[[4, 17], "x"] = np.nan
    return frame


def test_a_table_that_sas_wrote() -> None:
    data = read_file(DATA / "hadley.sas7bdat.gz").data
    assert list(data) == ["id", "workshop", "gender", "q1", "q2", "q3", "q4"] and len(data) == 8
    assert data["gender"].fillna("-").tolist() == list("fff-mmmm")
    assert data["q3"].isna().tolist() == [False, False, False, True] + [False] * 4 and data["q4"][0] == 1
    dates = read_file(DATA / "datetime.sas7bdat").data
    assert dates["VAR1"][0] == pd.Timestamp("2015-02-02 14:42:12")
    assert (dates["VAR2"] == dates["VAR4"]).all() and dates["VAR3"][3] == pd.Timestamp("1948-09-16")
    assert dates["VAR5"][0] == 14 * 3600 + 42 * 60 + 12  # a time of day is seconds


def test_whose_folder_has_the_other_ending(tmp_path: Path) -> None:
    folder = tmp_path / "old.xpt"
    folder.mkdir()
    (folder / "A.SAS7BDAT").write_bytes(gzip.decompress((DATA / "hadley.sas7bdat.gz").read_bytes()))
    assert read_file(folder / "A.SAS7BDAT").data.shape == (8, 7)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize("unknown", [False, True])
def test_text_is_read_as_the_file_says_or_as_it_looks(
    monkeypatch: pytest.MonkeyPatch, encoding: str, unknown: bool
) -> None:
    words = ["Zürich", "É.ON", None]
    raw = pd.DataFrame({"a": [word and word.encode(encoding) for word in words], "x": [1.0, 2.0, 3.0]}, dtype=object)

    def reader(_path: Path, format: str, encoding: str | None) -> pd.DataFrame:
        if encoding == "infer" and unknown:
            raise LookupError("unknown encoding: unknown (code=99)")
        return raw if encoding is None else raw.assign(a=words)

    monkeypatch.setattr(pd, "read_sas", reader)
    assert read_file(DATA / "datetime.sas7bdat").data["a"].fillna("-").tolist() == ["Zürich", "É.ON", "-"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize("name", ["a.xpt", "A.XPT", "a.xpt.gz"])
def test_transport_files(panel: pd.DataFrame, tmp_path: Path, name: str, encoding: str) -> None:
    columns = {column: panel[column].tolist() for column in panel} | {"at": (panel["day"] * 86400 + 61).tolist()}
    content = transport(columns, {"day": "DATE", "at": "DATETIME"}, encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    data = read_file(tmp_path / name).data
    assert data["firm"].tolist() == panel["firm"].tolist()
    assert data["dummy"].tolist() == panel["dummy"].tolist() and (data["dummy"] == 0).sum() == 26  # not 5.4e-79
    np.testing.assert_allclose(data["x"], panel["x"], rtol=1e-15)
    assert data["day"][0] == pd.Timestamp("2017-06-30") and data["at"][1] == pd.Timestamp("2017-07-01 00:01:01")
    assert read_file(tmp_path / name).data["day"].notna().all()


def test_missing_dates(tmp_path: Path) -> None:
    content = transport({"day": [0.0, float("nan"), -1.0], "b": ["x", "y", "z"]}, {"day": "YYMMDD"})
    (tmp_path / "a.xpt").write_bytes(content)
    data = read_file(tmp_path / "a.xpt").data
    assert data["day"].dt.strftime("%F").fillna("-").tolist() == ["1960-01-01", "-", "1959-12-31"]


def test_the_command_line(panel: pd.DataFrame, tmp_path: Path) -> None:
    """A fit with a date for the time, and numbers for entities, as it is of a text."""
    numbered = panel.assign(firm=np.repeat([1001.0, 1002.0, 1003.0, 1004.0], 10))
    numbered.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "a.xpt").write_bytes(transport({name: numbered[name].tolist() for name in numbered}, {"day": "DATE"}))
    rows = []
    for name in ("a.csv", "a.xpt"):
        out = tmp_path / f"{name}.out.csv"
        options = ["--entity", "firm", "--time", "day", "--cluster", "firm", "--quiet", "--output", str(out)]
        assert main(["fit", "y ~ x + dummy | firm", str(tmp_path / name), *options]) == 0
        rows.append(pd.read_csv(out, index_col=0))
    pd.testing.assert_frame_equal(rows[0], rows[1], rtol=1e-12)


@pytest.mark.parametrize("name", ["a.sas7bdat", "a.xpt"])
@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", bytes(4096)])
def test_files_that_are_none(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="broken, or of another kind"):
        read_file(tmp_path / name)


def test_several_tables_and_later_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = transport({"a": [1.0, 2.0]})
    (tmp_path / "two.xpt").write_bytes(one + one[240:])
    with pytest.raises(DataError, match="holds 2 tables"):
        read_file(tmp_path / "two.xpt")
    (tmp_path / "new.xpt").write_bytes(b"HEADER RECORD*******LIBV8   HEADER RECORD!!!!!!!".ljust(80))
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    with pytest.raises(MissingPackageError) as caught:
        read_file(tmp_path / "new.xpt")
    assert caught.value.fix == "pip install pyreadstat"
    read = SimpleNamespace(read_xport=lambda source, **_: (pd.DataFrame({"a": [len(source.read())]}), None))
    monkeypatch.setitem(sys.modules, "pyreadstat", read)
    assert read_file(tmp_path / "new.xpt").data["a"].tolist() == [80]
