"""Files of SAS: tables and transport files, with texts, dates and zeros as SAS has them."""

from __future__ import annotations

import io
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, MissingPackageError

__all__ = ["read_sas"]

_MEMBER = b"HEADER RECORD*******MEMBER  HEADER RECORD"
_ZERO = 2.0**-260  # what pandas makes of a zero of IBM's floating point
_EPOCH = np.datetime64("1960-01-01")
_DATETIMES = re.compile(r"DATETIME|DTDATE|DATEAMPM|MDYAMPM|DTMONYY|DTYEAR|DTWKDATX|[BE]8601D[NTXZ]")
_DATES = re.compile(
    r"DATE|DAY|DDMMYY|MMDDYY|YYMMDD|YYMM|MMYY|MONYY|YYMON|MONNAME|MONTH|YEAR|YYQ|QTR|JUL|WEEK|WORDDAT|DOWNAME|[BE]8601DA"
)


def read_sas(path: Path) -> pd.DataFrame:
    """A table (``.sas7bdat``) or a transport file (``.xpt``), compressed or not, with text as text.

    Raises
    ------
    DataError
        For transport files with several tables, of which pandas would read the second as rows of the first.
    MissingPackageError
        For transport files of version 8 without pyreadstat.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".xpt" in suffixes[-2:]:
        return _transport(path)
    try:
        return pd.read_sas(path, format="sas7bdat", encoding="infer")
    except (LookupError, UnicodeDecodeError):  # an encoding that pandas does not know, or that the file does not keep
        return _decoded(pd.read_sas(path, format="sas7bdat", encoding=None))


def _transport(path: Path) -> pd.DataFrame:
    from pandas.io.common import get_handle

    with get_handle(path, "rb", is_text=False, compression="infer") as opened:
        content = opened.handle.read()
    if content[:80].startswith(b"HEADER RECORD*******LIBV8"):
        return _version_8(path, content)
    tables = [at for at in (found.start() for found in re.finditer(re.escape(_MEMBER), content)) if not at % 80]
    if len(tables) > 1:
        raise DataError(f"{path} holds {len(tables)} tables.", "One is needed: save each as a file of its own.", None)
    reader: Any = pd.read_sas(io.BytesIO(content), format="xport", encoding=None, iterator=True)
    with reader:
        reader.nobs = _rows(content[reader.record_start :], reader.record_length)
        formats = {field["name"].decode(): field["nform"].decode() for field in reader.fields}
        data = _decoded(reader.read())
    for name in data.select_dtypes("number").columns:
        data[name] = _dates(data[name].where(data[name].abs() != _ZERO, 0.0), formats.get(name, ""))
    return data


def _rows(content: bytes, length: int) -> int:
    """Rows before the blanks that fill the last card; pandas takes blanks at the end of a text for such."""
    rows = len(content) // length
    while rows and not content[(rows - 1) * length : rows * length].strip(b" "):
        rows -= 1
    return rows


def _version_8(path: Path, content: bytes) -> pd.DataFrame:
    try:
        pyreadstat: Any = import_module("pyreadstat")
    except ImportError as error:
        raise MissingPackageError(
            f"{path} is a transport file of version 8, which is read with pyreadstat.",
            "It is not installed.",
            "pip install pyreadstat",
        ) from error
    data: pd.DataFrame = pyreadstat.read_xport(io.BytesIO(content), dates_as_pandas_datetime=True)[0]
    return data


def _dates(values: pd.Series[float], form: str) -> pd.Series[Any]:
    """Days or seconds since 1960 as dates, where the format of the column says so."""
    if not _DATETIMES.match(form) and not _DATES.match(form):
        return values
    seconds = values if _DATETIMES.match(form) else values * 86400
    whole = seconds.round().fillna(0).to_numpy().astype("timedelta64[s]")
    dates = pd.Series(_EPOCH.astype("datetime64[s]") + whole, index=values.index)
    return dates.where(values.notna())


def _decoded(data: pd.DataFrame) -> pd.DataFrame:
    """Columns of bytes as text: UTF-8 where all of a column is, otherwise what Windows wrote."""
    for name in data.columns:
        there = [value for value in data[name] if isinstance(value, bytes)] if data[name].dtype == object else []
        if there:
            encoding = _encoding(there)
            data[name] = [v.decode(encoding, "replace") if isinstance(v, bytes) else v for v in data[name]]
    return data


def _encoding(values: list[bytes]) -> str:
    try:
        b"\n".join(values).decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
