"""Folders whose names hold a column, ``year=2001/part.parquet``: what is said where that column is asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import PurePath
from typing import Any

from gifepanel.exceptions import GifepanelError

__all__ = ["partitions_told"]

_FOLDER = re.compile(r"([^=]+)=.*")
_UNKNOWN = re.compile(r"not in the data|neither a column")


@contextmanager
def partitions_told(data: Any, files_of: Callable[[Any], list[str]], *, frame: bool = False) -> Iterator[None]:
    """Errors of a column that is not in the data say so where it is in the names of folders.

    Parameters
    ----------
    data : path, or sequence of paths
    files_of : callable
        The files that they name.
    frame : bool
        The rows are needed in memory.
    """
    try:
        yield
    except GifepanelError as error:
        files = files_of(data) if _UNKNOWN.search(error.found) else []
        folders = _folders(files)
        name = next((name for name in folders if repr(name) in error.found), None)
        if name is not None:
            error.found = f"{error.found.removesuffix('.')}: {name!r} is in names of folders, such as {folders[name]}"
            error.needed = "columns that are in names of folders are read where that is asked for"
            error.fix = _reading(data, files, frame)
            error.args = (error.found, error.needed, error.fix)
        raise


def _folders(files: Sequence[str]) -> dict[str, str]:
    """The first folder of each column, such as ``year=2001``."""
    found: dict[str, str] = {}
    for file in files:
        for part in PurePath(file).parts[:-1]:
            match = _FOLDER.fullmatch(part)
            if match:
                found.setdefault(match[1], part)
    return found


def _reading(data: Any, files: Sequence[str], frame: bool) -> str:
    """The line that reads the files with the columns of their folders."""
    parquet = ".parquet" in files[0].lower() or files[0].lower().endswith(".pq")
    one = os.fspath(data) if isinstance(data, (str, os.PathLike)) else None
    if parquet and find_spec("duckdb") is None:
        given = one if one is not None and os.path.isdir(one) else list(files)
        return f"import pandas as pd; data = pd.read_parquet({given!r})"
    given = list(files) if one is None else os.path.join(one, "**", "*.parquet") if os.path.isdir(one) else one
    reader = "read_parquet" if parquet else "read_csv"
    return f"import duckdb; data = duckdb.{reader}({given!r}, hive_partitioning=True)" + ".df()" * frame
