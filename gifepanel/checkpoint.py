"""What a long run has finished, kept in a folder from which a second call goes on."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickle
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError

__all__ = ["Checkpoint", "fingerprint"]

_ABOUT, _PART = "run.json", ".part"


class Checkpoint:
    """A folder of finished draws: a description of the run, and files of arrays.

    A file appears once it is complete, so that what is there can be read whenever the run was stopped.

    Parameters
    ----------
    folder : str or path
        Made where it is not there; one that holds other things is refused.
    about : mapping of str to str
        What the draws depend on, by name. They belong to one run if all of it agrees.

    Raises
    ------
    SpecificationError
        If the folder can't be used, or has the draws of another run.
    """

    def __init__(self, folder: Any, about: Mapping[str, str]) -> None:
        self.folder = _path(folder)
        own = self.folder / _ABOUT
        if not own.exists():
            self._begin(own, about)
            return
        try:
            known = json.loads(own.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._refused(f"has a file {_ABOUT} that can't be read ({error})") from error
        other = [name for name, value in about.items() if not isinstance(known, dict) or known.get(name) != value]
        if other:
            raise self._refused(f"holds another run: {', '.join(other)} {'differs' if len(other) == 1 else 'differ'}")

    def _begin(self, own: Path, about: Mapping[str, str]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(path.suffix != _PART for path in self.folder.iterdir()):
                raise self._refused("is not empty, and what it holds is no checkpoint")
            _write(own, json.dumps(dict(about), indent=1).encode())
        except OSError as error:
            raise self._refused(f"can't be used ({error})") from error

    def _refused(self, why: str) -> SpecificationError:
        name = self.folder.name or "checkpoint"
        return SpecificationError(
            f"checkpoint {str(self.folder)!r} {why}.",
            "It is a folder for one run alone: new, or with what this very run has finished.",
            f'checkpoint="{(self.folder.parent / (name + "-2")).as_posix()}"',
        )

    def rows(self, n: int) -> dict[int, tuple[Any, ...]]:
        """Draws below `n` that are there, each with its row of every array; files that can't be read count as none."""
        found: dict[int, tuple[Any, ...]] = {}
        for path in sorted(self.folder.glob("draws-*.npz")):
            with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                    numbers = stored["numbers"]
                    columns = [stored[f"column_{k}"] for k in range(len(stored.files) - 1)]
                rows = {int(j): tuple(column[row] for column in columns) for row, j in enumerate(numbers)}
                found |= {j: row for j, row in rows.items() if j < n}
        return found

    def save(self, numbers: Sequence[int], columns: Sequence[Any]) -> None:
        """Put draws down: their numbers, and arrays with a row for each."""
        named = {f"column_{k}": column for k, column in enumerate(columns)}
        path = self.folder / f"draws-{numbers[0]:07d}-{len(numbers):03d}.npz"
        content = io.BytesIO()
        np.savez(content, numbers=np.asarray(numbers, dtype=np.int64), **named)
        _write(path, content.getvalue())

    def values(self, keys: Sequence[str]) -> dict[str, Any]:
        """What is there under these names; files that can't be read count as none."""
        found: dict[str, Any] = {}
        for key in keys:
            with contextlib.suppress(Exception):  # whatever a damaged pickle raises
                found[key] = pickle.loads((self.folder / f"{key}.pickle").read_bytes())
        return found

    def keep(self, key: str, value: Any) -> None:
        """Put a value down under a name."""
        _write(self.folder / f"{key}.pickle", pickle.dumps(value, protocol=5))


def _path(folder: Any) -> Path:
    if isinstance(folder, (str, os.PathLike)) and str(folder) and not isinstance(folder, bytes):
        path = Path(folder).expanduser()
        if not path.is_file():
            return path
        raise SpecificationError(
            f"checkpoint is {str(folder)!r}, which is a file.",
            "It must be a folder, new or with what this very run has finished.",
            f'checkpoint="{path.with_suffix("").as_posix() if path.suffix else path.as_posix() + "-draws"}"',
        )
    raise SpecificationError(f"checkpoint is {folder!r}.", "It must be the name of a folder.", 'checkpoint="draws"')


def _write(path: Path, content: bytes) -> None:
    """All of a file or nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=_PART)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def fingerprint(*parts: Any) -> str:
    """A hash of arrays, numbers, text and dataclasses or tuples of them: of what is in them, to the last bit."""
    out = hashlib.sha256()
    _add(out, parts)
    return out.hexdigest()[:32]


def _add(out: Any, part: Any) -> None:
    if isinstance(part, np.ndarray):
        out.update(f"{part.dtype.str}{part.shape}".encode())
        out.update(np.ascontiguousarray(part).tobytes())
    elif is_dataclass(part) and not isinstance(part, type):
        _add(out, tuple(getattr(part, one.name) for one in fields(part)))
    elif isinstance(part, (tuple, list)):
        out.update(f"({len(part)}".encode())
        for one in part:
            _add(out, one)
    else:
        out.update(repr(part).encode())
