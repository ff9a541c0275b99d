"""Panels that are not complete: how many cells they have, whose are fewest, and periods that nobody has."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataWarning
from gifepanel.panel.text import caller_level, show

__all__ = ["Completeness", "completeness", "labels_without", "warn_of_gaps"]

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
    def counts(self) -> IntArray: ...
    @property
    def nobs(self) -> int: ...


@dataclass(frozen=True)
class Completeness:
    """How many of the cells, entities times periods, have a row.

    Attributes
    ----------
    n_observed, n_cells : int
    shortest, longest : tuple of a label and int
        The first of the entities with the fewest rows, and of those with the most, and how many they have.
    """

    n_observed: int
    n_cells: int
    shortest: tuple[Any, int]
    longest: tuple[Any, int]


def completeness(index: Rows) -> Completeness:
    """How complete a panel is."""
    counts = index.counts
    ends = [
        (index.entities[k : k + 1].tolist()[0], int(counts[k])) for k in (int(counts.argmin()), int(counts.argmax()))
    ]
    return Completeness(index.nobs, len(index.entities) * len(index.times), ends[0], ends[1])


def labels_without(before: pd.Index, after: pd.Index) -> tuple[Any, ...]:
    """Labels of entities or periods that a smaller sample has lost, in their order."""
    return tuple(before[~before.isin(after)].tolist())


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
