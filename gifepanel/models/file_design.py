"""Parquet files sorted by entity, read a few entities at a time: a model with factors holds their numbers alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.blocks import is_much
from gifepanel.exceptions import DataError, MissingPackageError
from gifepanel.lazy_rows.failures import reason
from gifepanel.lazy_rows.sources import files_of, free_memory, kind_of_files, read_path
from gifepanel.panel.complete import CompleteDesign, CompleteIndex, index_of_labels
from gifepanel.panel.design import design_from_formula
from gifepanel.panel.matrices import PanelDesign

__all__ = ["design_of_files"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_ROWS = 1 << 18  # read at a time
_OF_ROWS = frozenset(["log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "I"])
_SHARE = 0.25  # of the free memory that a file may have to be read as a whole
_PIECES = "Only Parquet files sorted by entity and time, every entity with all periods, are read in pieces"


class _NotInPieces(Exception):
    """Why files have to be read as a whole."""


def design_of_files(formula: str, data: Any, context: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """A design of files, or their rows as a frame where these are few or what is asked for needs all of them at once.

    Parameters
    ----------
    formula : str
    data : path, or sequence of paths
    context : mapping
        Names that the formula may use.
    given : mapping
        Options of the model: ``entity``, ``time``, ``common``, and those that need all rows.

    Raises
    ------
    DataError
        No such file, or one that can't be read; rows for which there is no memory, with what stands against pieces.
    """
    files = files_of(data)
    try:
        return _Reading(formula, _parquet(files), context, given).design()
    except _NotInPieces as problem:
        size, free = sum(os.path.getsize(file) for file in files), free_memory()
        if free is not None and size > _SHARE * free:
            raise DataError(
                f"The files have {size / 1e9:.1f} GB, {free / 1e9:.1f} GB of memory are free, and {problem}.",
                f"{_PIECES}.",
                'data.sort_values(["firm", "year"]).to_parquet("panel.parquet")',
            ) from None
    return read_path(data)


def _parquet(files: Sequence[str]) -> list[Any]:
    if kind_of_files(files) != "parquet":
        raise _NotInPieces("they are not Parquet")
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingPackageError(
            "Parquet files need pyarrow", "It is not installed", 'pip install "gifepanel[duckdb]"'
        ) from error
    out = []
    for file in files:
        try:
            out.append(pq.ParquetFile(file))
        except Exception as error:
            raise _unreadable(file, error) from error
    return out


def _unreadable(file: Any, error: Exception) -> DataError:
    return DataError(
        f"{file} could not be read: {reason(error)}",
        "Every file must be complete.",
        "Write the file named here again, or leave it out.",
    )


@dataclass
class _Reading:
    """One pass over the files."""

    formula: str
    files: list[Any]
    context: Mapping[str, Any]
    given: Mapping[str, Any]
    first: PanelDesign | None = None
    labels: list[pd.Index] = field(default_factory=list)
    ids: list[Any] = field(default_factory=list)

    def design(self) -> CompleteDesign:
        """The design of all rows."""
        n = sum(file.metadata.num_rows for file in self.files)
        columns = self._columns()
        if not is_much(n * len(columns)):
            raise _NotInPieces("they are small")
        y = x = np.empty(0)
        done = 0
        for frame in self._chunks(columns):
            part = self._part(frame)
            if self.first is None:
                self.first = part
                y, x = np.empty(n), np.empty((n, part.exog.shape[1]))
            rows = slice(done, done + part.nobs)
            y[rows], x[rows] = part.endog, part.exog
            done += part.nobs
        assert self.first is not None
        return self._assembled(y, x)

    def _columns(self) -> list[str]:
        """Columns that are needed: ids and numbers that the formula names."""
        asked = [name for name in ("weights", "treated") if self.given.get(name) is not None]
        if asked:
            raise _NotInPieces(f"{asked[0]}= needs all rows at once")
        called = set(re.findall(r"([A-Za-z_][\w.]*)\s*\(", self.formula)) - _OF_ROWS
        if called or "{" in self.formula or "Q(" in self.formula:
            raise _NotInPieces(f"{'()'.join([*sorted(called), ''])[:40] or 'the formula'} may need all rows at once")
        schema = self.files[0].schema_arrow
        self.ids = [self.given.get(name) for name in ("entity", "time")]
        if self.ids == [None, None]:
            stored = (schema.pandas_metadata or {}).get("index_columns", [])
            self.ids = [name for name in stored if isinstance(name, str)]
        if len(self.ids) != 2 or not all(isinstance(name, str) and name in schema.names for name in self.ids):
            raise _NotInPieces("entity= and time= do not name two of their columns")
        named = set(re.findall(r"`([^`]+)`", self.formula)) | set(re.findall(r"[^\W\d]\w*", self.formula))
        used = [name for name in schema.names if name in named and name not in self.ids]
        for name in used:
            if not re.match(r"(u?int|float|double|halffloat)", str(schema.field(name).type)):
                raise _NotInPieces(f"{name!r} holds {schema.field(name).type}, no plain numbers")
        return [*self.ids, *used]

    def _chunks(self, columns: list[str]) -> Iterator[pd.DataFrame]:
        """Frames of whole entities."""
        entity, rest = self.ids[0], None
        for file in self.files:
            batches = file.iter_batches(batch_size=_ROWS, columns=columns)
            while True:
                try:
                    batch = next(batches, None)
                except Exception as error:
                    raise _unreadable("a file", error) from error
                if batch is None:
                    break
                frame = batch.to_pandas(ignore_metadata=True)
                frame = frame if rest is None else pd.concat([rest, frame], ignore_index=True)
                own = frame[entity].to_numpy()
                last = len(own) - int((own[::-1] != own[-1]).argmax()) if (own != own[-1]).any() else 0
                rest = frame.iloc[last:]
                if last:
                    yield frame.iloc[:last].reset_index(drop=True)
        if rest is not None and len(rest):
            yield rest.reset_index(drop=True)

    def _part(self, frame: pd.DataFrame) -> PanelDesign:
        """The design of some entities, like that of those before."""
        entity, time = self.ids
        options: dict[str, Any] = {"entity": entity, "time": time, "common": self.given.get("common") or ()}
        part = design_from_formula(self.formula, frame, context=self.context, missing="drop", **options)
        index, first = part.index, self.first
        if part.nobs < len(frame) or not index.in_order:
            raise _NotInPieces("a value is missing, an entity lacks a period, or rows are not in order")
        if self.labels and not self.labels[-1][-1] < index.entities[0]:
            raise _NotInPieces("they are not sorted by entity")
        if first is not None and not (first.exog_names == part.exog_names and first.index.times.equals(index.times)):
            raise _NotInPieces("not all entities have the same periods")
        if part.lags_of_endog or part.absorbed_slopes or part.controls is not None:
            raise _NotInPieces("the formula needs all rows at once")
        self.labels.append(index.entities)
        return part

    def _assembled(self, y: Array, x: Array) -> CompleteDesign:
        first = self.first
        assert first is not None
        times = first.index.times
        labels = (self.labels[0].append(self.labels[1:]), times)
        small = index_of_labels(labels, *self.ids, source="columns")
        if small is None:
            raise _NotInPieces("labels are not in order")
        return CompleteDesign(
            endog=y,
            exog=x,
            endog_name=first.endog_name,
            exog_names=first.exog_names,
            panel=CompleteIndex.like(small),
            absorbed=first.absorbed,
            absorbed_effects=first.absorbed_effects,
            common=first.common,
            formula=first.formula,
            spec=first.spec,
            terms=first.terms,
            references=first.references,
            axes=labels,
        )
