"""Files as data frames: suffixes, separators, encodings, and what other programs write for missing values."""

from __future__ import annotations

import codecs
import csv
import io
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gifepanel.command.sas import read_sas
from gifepanel.command.suffixes import COMPRESSED, OTHERS, SUFFIXES, TEXT
from gifepanel.exceptions import (
    DataError,
    DataWarning,
    GifepanelError,
    MissingPackageError,
    tell_of_repeated_names,
)

__all__ = ["ReadFile", "read_file"]

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SAMPLE, _LARGE = 1 << 16, 1 << 26  # bytes of a text that are looked at for its separator, and its encoding
_MARKS = {"", ".", "..", ":", "-", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "<NA>", "#NV"}
_CODES = ("NA", "None", "nan", "null", "NULL")  # missing for pandas, and perhaps the code of a country or a firm


@dataclass(frozen=True)
class ReadFile:
    """What a file holds.

    Attributes
    ----------
    data : DataFrame
    told : str
        How a text was read where that is not the usual way: "separated by semicolons, cp1252".
    """

    data: pd.DataFrame
    told: str = ""


def read_file(path: Path) -> ReadFile:
    """The file as a data frame; ``-`` is the standard input.

    Raises
    ------
    DataError
        For files that are not there, of another kind, empty or broken.
    MissingPackageError
        Where pandas needs a package for them.
    """
    if str(path) == "-":
        return _standard_input()
    kind = _kind(path)
    if not path.is_file():
        raise DataError(f"There is {'a folder' if path.is_dir() else 'no file'} {path}.", "A file is needed.", None)
    if kind in TEXT:
        return _text_file(path, kind)
    function, package = OTHERS[kind]
    return ReadFile(_plain(_call(function, path, package, str(path))))


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    if not suffixes or suffixes[-1] not in SUFFIXES:
        raise DataError(f"{path} is none of {', '.join(SUFFIXES)}.", "Save it as one of these.", None)
    return suffixes[-1]


def _call(function: str, source: Any, package: str | None, name: str) -> pd.DataFrame:
    options = {"keep_default_na": False, "na_values": [""]} if function == "read_excel" else {}
    reader = read_sas if function == "read_sas" else getattr(pd, function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dates that Excel stored in other ways, labels of Stata
        try:
            data: pd.DataFrame = reader(source, **options)
        except GifepanelError:
            raise
        except ImportError as error:
            raise MissingPackageError(
                f"{name} is read with {package}.", "It is not installed.", f"pip install {package}"
            ) from error
        except (OSError, MemoryError):
            raise
        except Exception as error:  # whatever the reader of a format raises for a broken file
            what = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
            raise DataError(f"{name} can't be read ({what}).", "It is broken, or of another kind.", None) from error
    if not options:
        return data
    _tell_of_repeated_cells(data, source, name)
    return _with_numbers(data, commas=False)


def _tell_of_repeated_cells(data: pd.DataFrame, source: Any, name: str) -> None:
    """As for the names of a text; they are read once more where one looks as if pandas had made it, such as x.1."""
    names = set(data.columns)
    if any(isinstance(own, str) and own.rpartition(".")[0] in names for own in names):
        if isinstance(source, io.BytesIO):
            source.seek(0)
        header = pd.read_excel(source, header=None, nrows=1).iloc[0]
        tell_of_repeated_names([str(own) for own in header], list(data.columns), name)


def _plain(data: pd.DataFrame) -> pd.DataFrame:
    """The frame with columns for a stored index of one level, without rows and columns that are empty to the end."""
    if data.index.nlevels == 1 and data.index.name is not None:
        data = data.reset_index()
    empty = [name for name in data.columns if str(name).startswith("Unnamed:") and data[name].isna().all()]
    data = data.drop(columns=empty)
    filled = data.notna().any(axis=1).to_numpy().nonzero()[0]
    return data if not len(filled) else data.iloc[: filled[-1] + 1]


# ---- text


def _stripped(data: pd.DataFrame) -> pd.DataFrame:
    """The frame with names of columns without blanks around them, where that leaves them different."""
    names = [str(name).strip() for name in data.columns]
    return data.set_axis(names, axis="columns") if len(set(names)) == len(names) else data


def _standard_input() -> ReadFile:
    stream = getattr(sys.stdin, "buffer", None)
    content = stream.read() if stream is not None else sys.stdin.read().encode()
    name = "The standard input"
    if content.startswith(b"PAR1"):
        return ReadFile(_plain(_call("read_parquet", io.BytesIO(content), "pyarrow", name)))
    if content.startswith(b"PK"):
        return ReadFile(_plain(_call("read_excel", io.BytesIO(content), "openpyxl", name)))
    return _read_text(content, lambda: io.BytesIO(content), "", name)


def _text_file(path: Path, kind: str) -> ReadFile:
    from pandas.io.common import get_handle

    with get_handle(path, "rb", is_text=False, compression="infer") as opened:
        sample = opened.handle.read(_LARGE)
    whole = len(sample) < _LARGE
    return _read_text(sample, (lambda: io.BytesIO(sample)) if whole else (lambda: path), kind, str(path))


def _read_text(sample: bytes, source: Callable[[], Any], kind: str, name: str) -> ReadFile:
    if not sample.strip():
        raise DataError(f"{name} is empty.", "A line of names and lines of values are needed.", None)
    encoding = _encoding(sample)
    usual = "\t" if kind in (".tsv", ".tab") else ","
    separator = _separator(sample[:_SAMPLE].decode(encoding, errors="replace"), usual)
    parts = [f"separated by {_SEPARATORS[separator]}"] if separator != usual else []
    told = ", ".join([*parts, *([encoding] if encoding != "utf-8-sig" else [])])
    table = _Text(source, separator, encoding, name, told)
    read = table.frame()
    line = sample[:_SAMPLE].decode(encoding, errors="replace").lstrip("\r\n").partition("\n")[0]
    tell_of_repeated_names(next(csv.reader([line], delimiter=separator), []), list(read.columns), name)
    data = _plain(_stripped(read))
    spelled = dict(zip(_stripped(read).columns, read.columns, strict=True))
    if not len(data):
        raise DataError(f"{name} has a line of names alone.", "Lines of values are needed.", None)
    return ReadFile(_with_codes(_with_numbers(data, commas=separator != ","), table, spelled), told)


@dataclass(frozen=True)
class _Text:
    """A text and how it is read."""

    source: Callable[[], Any]
    separator: str
    encoding: str
    name: str
    told: str

    def frame(self, **more: Any) -> pd.DataFrame:
        options = {"sep": self.separator, "encoding": self.encoding, "low_memory": False, **more}
        try:
            data: pd.DataFrame = pd.read_csv(self.source(), skipinitialspace=True, **options)
            return data
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
            raise DataError(f"{self.name} can't be read as text {self.told or 'separated by commas'} "
                            f"({str(error).strip().splitlines()[0]}).",
                            "Every line needs as many values as the first has names.", None) from error  # fmt: skip


def _encoding(content: bytes) -> str:
    """UTF-8 where the bytes are; otherwise what Windows wrote."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)  # the last letter of a long text may be cut
    except UnicodeDecodeError:
        return "cp1252" if not set(content) & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "latin-1"
    return "utf-8-sig"


def _separator(sample: str, usual: str) -> str:
    """The sign that splits the line of names into as many parts as the next ones."""
    lines = [line for line in sample.splitlines() if line.strip()][:20]
    counts = {sign: [len(next(csv.reader([line], delimiter=sign))) for line in lines] for sign in _SEPARATORS}
    good = [sign for sign, own in counts.items() if own[0] > 1 and len(set(own[:-1] or own)) == 1]
    split = [sign for sign, own in counts.items() if own[0] > 1]
    return max(good or split or [usual], key=lambda sign: (counts[sign][0], sign == usual))


def _texts(data: pd.DataFrame) -> list[Any]:
    return [name for name in data.columns if not pd.api.types.is_numeric_dtype(data[name]) and len(data[name].dropna())]


def _with_numbers(data: pd.DataFrame, *, commas: bool) -> pd.DataFrame:
    """Numbers beside marks of missing values, and with decimal commas where those can be, as numbers."""
    for name in _texts(data):
        values = data[name].astype(str).str.strip()
        there = ~(data[name].isna() | values.isin(_MARKS))
        if not there.any():
            continue
        number = pd.to_numeric(values[there], errors="coerce")
        if number.isna().any() and commas:
            number = _decimal_commas(values[there])
        if number.isna().any():
            continue
        marks = sorted(set(values[~there & data[name].notna()]))
        if marks:
            _warn(f"{name} has {', '.join(map(repr, marks))} in {int((~there).sum())} rows: read as missing values.")
        data = data.assign(**{str(name): number.reindex(data.index)})
    return data


def _decimal_commas(values: pd.Series[str]) -> pd.Series[float]:
    """1.234,5 is 1234.5; nothing where points may be decimal ones."""
    if values.str.contains(",").all():
        values = values.str.replace(".", "", regex=False)
    elif values.str.contains(".", regex=False).any():
        return pd.Series(float("nan"), index=values.index)
    return pd.to_numeric(values.str.replace(",", ".", regex=False), errors="coerce")


def _with_codes(data: pd.DataFrame, table: _Text, spelled: dict[str, str]) -> pd.DataFrame:
    """Columns of text with the codes that pandas takes for missing values: NA is Namibia."""
    suspects = [name for name in _texts(data) if data[name].isna().any()]
    if not suspects:
        return data
    exact = table.frame(usecols=[spelled[name] for name in suspects], dtype=str, keep_default_na=False)
    for name in suspects:
        own = exact[spelled[name]].iloc[: len(data)].reset_index(drop=True)
        codes = own.isin(_CODES) & data[name].isna().to_numpy()
        if codes.any():
            found = ", ".join(repr(code) for code in own[codes].unique())
            _warn(f"{name} has {found} in {int(codes.sum())} rows: read as a code, not as a missing value.")
            data = data.assign(**{str(name): data[name].mask(codes.to_numpy(), own.to_numpy())})
    return data


def _warn(text: str) -> None:
    warnings.warn(DataWarning(text), stacklevel=2)
