"""Panels that are not complete: which entities lack periods, and code that keeps a complete block."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError, DataWarning
from gifepanel.panel.text import caller_level, first_of, show

__all__ = ["unbalanced_error", "warn_of_gaps"]

IntArray = npt.NDArray[np.int64]


class Rows(Protocol):
    """What is asked of a ``PanelIndex``."""

    @property
    def entities(self) -> pd.Index: ...
    @property
    def times(self) -> pd.Index: ...
    @property
    def periods(self) -> IntArray: ...
    @property
    def time_codes(self) -> IntArray: ...
    @property
    def entity_name(self) -> str: ...
    @property
    def time_name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def has_duplicates(self) -> bool: ...
    @property
    def counts(self) -> IntArray: ...
    @property
    def n_entities(self) -> int: ...
    @property
    def n_times(self) -> int: ...
    def missing_times(self, entity: int) -> pd.Index: ...


def warn_of_gaps(index: Rows, what: str) -> None:
    """Warn where periods that no entity has are passed over: the rows beside them count as neighbours."""
    steps = np.diff(index.periods)
    if not steps.size or steps.max() == steps.min():
        return
    where = int(np.argmax(steps))
    warnings.warn(
        DataWarning(
            f"{what} take {show(index.times[where])} and {show(index.times[where + 1])} for neighbours: "
            f"{int(steps[where]) - 1} periods between them are in no row",
            "with factors, times are counted by their place",
            'a sample without the gap, or a covariance that needs no distances, cov_type="HC1" or "cluster"',
        ),
        stacklevel=caller_level(),
    )


def unbalanced_error(
    index: Rows, *, note: str = "", incomplete: Sequence[str] = (), before: Rows | None = None
) -> DataError:
    """Error that names the entities with missing periods and gives code that keeps a balanced block.

    Parameters
    ----------
    index : Rows
        Of the rows in the model.
    note : str
        How rows were lost.
    incomplete : sequence of str
        Columns whose missing values have to go first.
    before : Rows, optional
        Of the complete rows before lags took some: what the code has to balance.
    """
    if index.has_duplicates:
        return DataError(
            "(entity, time) pairs occur more than once",
            "a cube needs each pair once",
            "data.drop_duplicates()",
        )
    counts, n_times = index.counts, index.n_times
    short = np.flatnonzero(counts < n_times)
    listed = "; ".join(f"{show(index.entities[i])} lacks {first_of(index.missing_times(int(i)), 4)}" for i in short[:4])
    more = f"; and {short.size - 4} more entities" if short.size > 4 else ""
    found = f"the panel is unbalanced: {short.size} of {index.n_entities} entities lack periods ({listed}{more})"
    return DataError(
        found + (f". {note}" if note else ""),
        "a balanced panel is needed here, each entity with each period once",
        ("" if index.source == "cubes" else _dropping_code(incomplete))
        + _balancing_code(before or index, lags=before is not None),
    )


def _dropping_code(columns: Sequence[str]) -> str:
    return f"data = data.dropna(subset={list(columns)}); " if columns else ""


def _balancing_code(index: Rows, *, lags: bool) -> str:
    """Keep complete entities, or the periods all entities have, whichever leaves more rows."""
    complete = index.counts == index.n_times
    per_time = np.bincount(index.time_codes, minlength=index.n_times)
    shared = per_time == index.n_entities
    positions = index.periods[shared]
    if lags and positions.size and positions[-1] - positions[0] >= positions.size:
        shared[:] = False  # periods with holes between them would lose still more rows to lags
    by_entity, by_time = int(complete.sum()) * index.n_times, int(shared.sum()) * index.n_entities
    if by_entity == by_time == 0:
        return "no entity has every period and no period has every entity: drop short entities first, then periods"
    entity, time = index.entity_name, index.time_name
    if index.source == "cubes":
        axis, rows = (1, "y[keep], x[keep]") if by_entity >= by_time else (0, "y[:, keep], x[:, keep]")
        return f"keep = ~(np.isnan(y) | np.isnan(x).any(axis=2)).any(axis={axis}); y, x = {rows}"
    if by_entity >= by_time:
        key = f'level="{entity}"' if "index" in index.source else f'"{entity}"'
        what = f"keeps the {int(complete.sum())} complete entities"
        return f"data = data.groupby({key}).filter(lambda rows: len(rows) == {index.n_times})  # {what}"
    times = index.times[shared]
    series = f'data.index.get_level_values("{time}")' if "index" in index.source else f'data["{time}"]'
    per_entity = f"{series}.map({series}.value_counts()) == {index.n_entities}"
    what = f"keeps the {len(times)} periods that all entities have"
    return f"data = data[{per_entity}]  # {what}"
