"""What an engine's error is in words of ours: which data, what happened, what is needed, the line that mends it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gifepanel.exceptions import DataError

__all__ = ["Asked", "Room", "failure", "is_interrupt", "is_of_an_engine", "reason", "room_of"]

_ENGINES = ("duckdb", "_duckdb", "polars", "narwhals", "dask", "distributed", "pyspark", "py4j", "pyarrow")
_SPACE = ("no space", "disk quota", "temp_directory", "temporary director", "out of memory", "failed to offload")
_DIED = ("killedworker", "workers died", "lost dependencies", "executorlost", "executor lost", "exited unexpectedly")
_CLOSED = ("connection", "closed", "cancelled", "scheduler", "sparkcontext", "stopped", "refused")
_HINTS = ("Possible solutions", "See also", "For more information")


@dataclass(frozen=True)
class Room:
    """What DuckDB may use, as a connection has it.

    Attributes
    ----------
    folder : str
        To which it spills; empty where it does not.
    on_disk, in_memory : str
        Limits, with their units.
    """

    folder: str
    on_disk: str
    in_memory: str


@dataclass(frozen=True, eq=False)
class Asked:
    """Where a query was asked.

    Attributes
    ----------
    engine, source : str
    again : str
        The line that reads the same data on another connection of DuckDB, after ``duckdb.connect(...)``; empty where
        that is not known.
    faulty_file : callable, optional
        Which file can't be read, and why; None where all can.
    room : callable, optional
        Limits of the connection, and those of a new one.
    """

    engine: str
    source: str
    again: str = ""
    faulty_file: Callable[[], tuple[str, str] | None] | None = None
    room: Callable[[], tuple[Room, Room]] | None = None


def is_of_an_engine(error: BaseException) -> bool:
    """Whether an error is of an engine or of what stands between: not of ours, which must not hide behind it."""
    return isinstance(error, (OSError, MemoryError)) or any(
        kind.__module__.partition(".")[0] in _ENGINES for kind in type(error).__mro__
    )


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is what DuckDB makes of Ctrl-C where it runs in the main thread."""
    return type(error) is RuntimeError and "interrupted" in str(error).lower()


def reason(error: BaseException) -> str:
    """The words of an engine's error: its first lines, without its hints on the query."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((j for j, line in enumerate(lines) if line.startswith(_HINTS)), len(lines))
    text = " ".join(lines[: max(1, min(2, told))]) or type(error).__name__
    return text if len(text) <= 400 else text[:400] + "..."


def failure(asked: Asked, doing: str, error: BaseException) -> DataError:
    """What to raise.

    Parameters
    ----------
    asked : Asked
    doing : str
        "bring levels of firm from", ...
    error : BaseException
        Of the engine.
    """
    why = reason(error)
    words = f"{type(error).__name__} {why}".lower()
    start = f"{asked.engine} could not {doing} {asked.source}: "
    if any(word in words for word in _SPACE) or (asked.room is not None and "create directory" in words):
        return DataError(start + why, *_without_room(asked, words))
    if "transaction" in words or ("interrupt" in words and _is_aborted(asked)):
        ended = "A transaction in which something failed must end before the next query."
        return DataError(start + why, ended, "connection.rollback()")
    if "interrupt" in words and asked.engine == "DuckDB":
        return DataError(start + why, "Someone interrupted the query; nothing was changed.", "Call fit() again")
    if any(word in words for word in _DIED):
        return DataError(start + why, *_without_worker(asked, words))
    found = _faulty(asked)
    if found is not None and found[0] not in why:
        why = f"{found[0]}: {found[1]}"
    if found is None and any(word in words for word in _CLOSED):
        return DataError(
            start + why,
            "The connection to the engine must stay open until fit() is done.",
            "Open it again, and make the frame and the model anew.",
        )
    return DataError(
        start + why,
        "Every file must be complete, and all must have the same columns.",
        "Write the file named here again, or leave it out.",
    )


def _faulty(asked: Asked) -> tuple[str, str] | None:
    try:
        return None if asked.faulty_file is None else asked.faulty_file()
    except Exception:
        return None


def _is_aborted(asked: Asked) -> bool:
    """Whether the connection answers nothing: DuckDB 2 calls queries in a failed transaction interrupted."""
    try:
        if asked.room is not None:
            asked.room()
    except Exception:
        return True
    return False


def _without_worker(asked: Asked, words: str) -> tuple[str, str]:
    """What is needed, and the line, where processes died."""
    if "lost dependencies" in words:
        return (
            "What was only in the memory of a worker that died can't be made again; what is read from files can.",
            'dask.dataframe.read_parquet("panel.parquet")',
        )
    return (
        "Workers are killed most often since a part of the data does not fit into their memory.",
        "data = data.repartition(npartitions=10 * data.npartitions)"
        if asked.engine == "Dask"
        else "data = data.repartition(1000)",
    )


def _without_room(asked: Asked, words: str) -> tuple[str, str]:
    """What is needed, and the line, where memory and disk are full."""
    if asked.room is None:
        return (
            "What is sorted and joined must fit into memory or the engine's temporary folder.",
            'data="panel.parquet"',
        )
    try:
        room, default = asked.room()
    except Exception:
        return "What does not fit into memory goes to the temporary folder; both were not enough.", _anew(asked)
    start = f"It may take {room.in_memory} of memory and puts the rest into "
    if not room.folder:
        return start + "no temporary folder: it needs one.", _set(asked, "temp_directory", "/large/disk")
    start += f"its temporary folder {os.path.abspath(room.folder)}"
    if "create directory" in words:
        return start + ", which can't be made.", _set(asked, "temp_directory", "/large/disk")
    if any(word in words for word in ("offload", "temp_directory", "no space", "quota")):
        if _bytes(room.on_disk) < _free(os.path.abspath(room.folder)):
            return f"{start}, {room.on_disk} of it, which is a setting.", _set(asked, "max_temp_directory_size", None)
        return start + ", whose disk is full: a larger one is needed.", _anew(asked)
    if _bytes(room.in_memory) < 0.9 * _bytes(default.in_memory):
        return start + ", but for what it works on, which needs more.", _set(asked, "memory_limit", None)
    return start + ", but for what each thread works on, which needs more.", _set(asked, "threads", 1)


def _set(asked: Asked, name: str, value: str | int | None) -> str:
    """The line that sets something at the connection, or takes it back."""
    if asked.again:
        config = "" if value is None else f"config={{{name!r}: {value!r}}}"
        return f"data = duckdb.connect({config}){asked.again}"
    said = f"RESET {name}" if value is None else f"SET {name} = {value!r}"
    return f'connection.execute("{said}")'


def _anew(asked: Asked) -> str:
    """A connection with another folder: one that was used can't be changed."""
    new = 'duckdb.connect(config={"temp_directory": "/large/disk"})'
    return f"data = {new}{asked.again}" if asked.again else f"connection = {new}"


def _free(folder: str) -> float:
    """Bytes free on the disk of a folder that may not be there."""
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    try:
        return float(shutil.disk_usage(folder).free)
    except OSError:
        return 0.0


def _bytes(limit: str) -> float:
    """``"28.6 MiB"`` as a number; infinite where it is none."""
    number, _, unit = limit.partition(" ")
    try:
        return float(number) * 1024.0 ** {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}[unit[:1].lower()]
    except (ValueError, KeyError):
        return float("inf")


def room_of(query: Any) -> Room:
    """What the connection of a function from SQL to a relation may use."""
    names = ("temp_directory", "max_temp_directory_size", "memory_limit")
    row = query("SELECT " + ", ".join(f"current_setting('{name}')" for name in names)).fetchall()[0]
    return Room(*(str(value or "") for value in row))
