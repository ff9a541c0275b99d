"""Cubes without holes, in the order of their cubes: what has a value for each row is made on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.blocks import each_block
from gifepanel.exceptions import DataError
from gifepanel.panel.effect_codes import EffectCodes
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.matrices import PanelDesign

__all__ = ["CompleteDesign", "CompleteIndex", "complete_design", "index_of_labels"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def _set(instance: Any, base: type, given: dict[str, Any], later: tuple[str, ...]) -> None:
    """Fields of a frozen dataclass, but those that come later."""
    for own in fields(base):
        if own.name in given:
            instance.__dict__[own.name] = given[own.name]
        elif own.name not in later and own.default is MISSING and own.default_factory is not MISSING:
            instance.__dict__[own.name] = own.default_factory()


class CompleteIndex(PanelIndex):
    """N times T rows, entity by entity over time; with other codes it is a :class:`PanelIndex`."""

    _LATER = ("entity_codes", "time_codes", "order")

    def __new__(cls, **given: Any) -> Any:
        return PanelIndex(**given) if "entity_codes" in given else object.__new__(cls)

    def __init__(self, **given: Any) -> None:
        _set(self, PanelIndex, given, self._LATER)

    @classmethod
    def like(cls, small: PanelIndex) -> CompleteIndex:
        """With the entities and times of another index."""
        given = {own.name: getattr(small, own.name) for own in fields(PanelIndex) if own.name not in cls._LATER}
        return cls(**given)

    @cached_property
    def entity_codes(self) -> IntArray:
        """Positions in ``entities``."""
        return np.repeat(np.arange(self.n_entities, dtype=np.int64), self.n_times)

    @cached_property
    def time_codes(self) -> IntArray:
        """Positions in ``times``."""
        return np.tile(np.arange(self.n_times, dtype=np.int64), self.n_entities)

    @cached_property
    def order(self) -> IntArray:
        """Rows sorted by entity, then time: as they are."""
        return np.arange(self.nobs, dtype=np.int64)

    @property
    def nobs(self) -> int:
        """Number of rows."""
        return self.n_entities * self.n_times

    @property
    def is_balanced(self) -> bool:
        """Yes."""
        return True

    @property
    def in_order(self) -> bool:
        """Yes."""
        return True

    @cached_property
    def counts(self) -> IntArray:
        """T rows of each entity."""
        return np.full(self.n_entities, self.n_times, dtype=np.int64)

    def without_rows(self) -> PanelIndex:
        """Entities and times alone."""
        none = np.empty(0, dtype=np.int64)
        given = {own.name: getattr(self, own.name) for own in fields(PanelIndex) if own.name not in self._LATER}
        return PanelIndex(**given, entity_codes=none, time_codes=none, order=none)


class CompleteDesign(PanelDesign):
    """Of such a panel; with rows of its own it is a :class:`PanelDesign`."""

    _LATER = ("row_index", "esample", "absorbed_codes")

    def __new__(cls, **given: Any) -> Any:
        return PanelDesign(**given) if "row_index" in given else object.__new__(cls)

    def __init__(self, **given: Any) -> None:
        _set(self, PanelDesign, given, self._LATER)

    @cached_property
    def row_index(self) -> pd.MultiIndex:
        """(entity, time) of every row."""
        index = self.index
        return pd.MultiIndex.from_product(self.axes or (), names=[index.entity_name, index.time_name])

    @cached_property
    def esample(self) -> BoolArray:
        """All rows."""
        return np.ones(self.n_rows, dtype=bool)

    @cached_property
    def absorbed_codes(self) -> dict[str, EffectCodes]:
        """Codes and levels of each absorbed effect, entities or times."""
        index = self.index
        codes = {index.entity_name: (index.entity_codes, index.entities)}
        codes[index.time_name] = (index.time_codes, index.times)
        return {name: EffectCodes(codes[name][0].astype(np.int32), codes[name][1]) for name in self.absorbed}

    @property
    def n_rows(self) -> int:
        """Number of rows of the data."""
        return int(self.endog.size)

    def absorbing(self, names: Sequence[str], effects: Any) -> CompleteDesign:
        """The same with absorbed effects."""
        given = {own.name: getattr(self, own.name) for own in fields(PanelDesign) if own.name not in self._LATER}
        return CompleteDesign(**{**given, "absorbed": tuple(names), "absorbed_effects": effects})


def complete_design(
    y: FloatArray,
    x: FloatArray,
    labels: tuple[pd.Index, pd.Index],
    *,
    endog_name: str,
    exog_names: tuple[str, ...],
    common: tuple[int, ...],
) -> CompleteDesign | None:
    """The design of cubes (N, T) and (N, T, p), or None where a value is missing or labels are not in order."""
    n, t, p = x.shape
    small = index_of_labels(labels, "entity", "time", source="cubes")
    if small is None:
        return None
    finite = each_block(lambda rows: bool(np.isfinite(y[rows]).all() and np.isfinite(x[rows]).all()), n, t * (p + 1))
    if not all(finite):
        return None
    return CompleteDesign(
        endog=y.reshape(-1),
        exog=x.reshape(-1, p),
        endog_name=endog_name,
        exog_names=exog_names,
        panel=CompleteIndex.like(small),
        common=common,
        axes=labels,
    )


def index_of_labels(
    labels: tuple[pd.Index, pd.Index], entity_name: str, time_name: str, *, source: str
) -> PanelIndex | None:
    """An index of a few rows in which each label occurs, if labels are in order."""
    entities, times = labels
    n, t = len(entities), len(times)
    first = np.concatenate([np.arange(n), np.zeros(t - 1, dtype=np.int64)])
    second = np.concatenate([np.zeros(n, dtype=np.int64), np.arange(1, t)])
    try:
        small = PanelIndex.from_labels(
            entities.take(first), times.take(second), entity_name=entity_name, time_name=time_name, source=source
        )
    except DataError:
        return None  # which is told of all rows elsewhere
    in_order = (small.entity_codes == first).all() and (small.time_codes == second).all()
    return small if in_order else None
