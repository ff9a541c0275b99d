"""Entity × time codes, order, gaps and holes of a panel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError
from gifepanel.panel.codes import Codes, code_labels, relabel, sort_codes
from gifepanel.panel.packed import PackedDates
from gifepanel.panel.repairs import prepared, with_column, without_rows
from gifepanel.panel.text import show
from gifepanel.panel.times import TimeGrid, order_times
from gifepanel.short_repr import ShortRepr

__all__ = ["PanelIndex", "blank_rows", "id_problems"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
_NO_BLANKS = '{}.replace(r"^\\s*$", None, regex=True)'


@dataclass(frozen=True, eq=False, repr=False)
class PanelIndex(ShortRepr):
    """Who and when each row is.

    Attributes
    ----------
    entity_codes, time_codes : (n,) int64
        Positions in ``entities`` and ``times``, rows in the caller's order.
    entities : (N,) pandas.Index
        Sorted labels, each of which occurs.
    times : (T,) pandas.Index
        Labels in chronological order, each of which occurs.
    periods : (T,) int64
        Position of each time on its regular grid, the first 0: the years 1990, 1992 give 0, 2 (see
        ``panel.times``).
    entity_name, time_name : str
    order : (n,) int64
        Rows sorted by entity, then time.
    time_unit : str
        What one period is: "1", "month", "rank", ...
    source : {"index", "unnamed index", "columns", "foreign", "arrays", "cubes"}
        Where the ids came from ("foreign": columns of a frame that is not pandas'); messages are worded after it.
    packed : PackedDates or None
        What the times stand for, where they are numbers that look like dates (201907).
    has_duplicates : bool
        Some (entity, time) pair occurs twice (only allowed on new data for prediction).
    """

    entity_codes: IntArray
    time_codes: IntArray
    entities: pd.Index
    times: pd.Index
    periods: IntArray
    entity_name: str
    time_name: str
    order: IntArray
    time_unit: str = "1"
    source: str = "index"
    has_duplicates: bool = False
    packed: PackedDates | None = None

    def without_rows(self) -> PanelIndex:
        """Entities and times alone."""
        none = np.empty(0, dtype=np.int64)
        return replace(self, entity_codes=none, time_codes=none, order=none)

    # --- construction ---------------------------------------------------------------------------------------

    @classmethod
    def from_codes(
        cls,
        entity: Codes,
        time: Codes,
        *,
        entity_name: str = "entity",
        time_name: str = "time",
        source: str = "index",
        allow_duplicates: bool = False,
    ) -> PanelIndex:
        """Build the index from coded ids.

        Parameters
        ----------
        entity, time : Codes
            Both of length n; no code may be −1.
        entity_name, time_name : str
        source : {"index", "columns", "arrays", "cubes"}
        allow_duplicates : bool
            Accept an (entity, time) pair that occurs more than once.

        Raises
        ------
        DataError
            Missing ids, times without an order, or duplicate (entity, time) pairs.
        """
        for coded, name in ((entity, entity_name), (time, time_name)):
            for problem in _blank_ids(coded, name, source):
                raise problem
        entity, time = (replace(own, codes=own.codes.astype(np.int64, copy=False)) for own in (entity, time))
        entity_codes, entities = sort_codes(entity)
        used = np.bincount(time.codes, minlength=len(time.labels)) > 0
        grid = _grid(time, used, time_name, source)
        periods = grid.periods[used[grid.order]]
        time_codes, times, _ = relabel(time, grid.order, used)
        order, duplicates = _row_order(entity_codes, time_codes, len(times))
        index = cls(
            entity_codes,
            time_codes,
            entities,
            times,
            periods - periods[:1].sum(),
            entity_name,
            time_name,
            order,
            grid.unit,
            source,
            duplicates,
            None if time.plain else grid.packed,
        )
        if duplicates and not allow_duplicates:
            raise _duplicate_error(index)
        return index

    @classmethod
    def from_labels(
        cls,
        entity: Any,
        time: Any,
        *,
        entity_name: str = "entity",
        time_name: str = "time",
        source: str = "arrays",
        allow_duplicates: bool = False,
    ) -> PanelIndex:
        """Build the index from two columns of labels of equal length (arrays, Series, Index, categoricals)."""
        return cls.from_codes(
            code_labels(entity),
            code_labels(time),
            entity_name=entity_name,
            time_name=time_name,
            source=source,
            allow_duplicates=allow_duplicates,
        )

    def subset(self, keep: BoolArray) -> PanelIndex:
        """The index of the rows in ``keep`` (n,): codes compressed, the same grid of times."""
        if keep.all():
            return self
        entity = Codes(self.entity_codes[keep], self.entities, ordered=True)
        time = Codes(self.time_codes[keep], self.times, ordered=True)
        entity_codes, entities = sort_codes(entity)
        used = np.bincount(time.codes, minlength=len(self.times)) > 0
        time_codes, times, kept = relabel(time, np.arange(used.size), used)
        periods = self.periods[kept]
        order, duplicates = _row_order(entity_codes, time_codes, len(times))
        return PanelIndex(
            entity_codes,
            time_codes,
            entities,
            times,
            periods - periods[:1].sum(),
            self.entity_name,
            self.time_name,
            order,
            self.time_unit,
            self.source,
            duplicates,
            self.packed,
        )

    # --- shape ----------------------------------------------------------------------------------------------

    @property
    def n_entities(self) -> int:
        """Number of entities, N."""
        return len(self.entities)

    @property
    def n_times(self) -> int:
        """Number of distinct times, T."""
        return len(self.times)

    @property
    def nobs(self) -> int:
        """Number of rows, n."""
        return int(self.entity_codes.size)

    @cached_property
    def is_balanced(self) -> bool:
        """Whether each entity has each time exactly once."""
        return self.nobs == self.n_entities * self.n_times and not self.has_duplicates

    @property
    def has_gaps(self) -> bool:
        """Whether the observed times leave out positions of their grid (for all entities alike)."""
        return bool(self.n_times and self.periods[-1] + 1 != self.n_times)

    @cached_property
    def counts(self) -> IntArray:
        """Number of rows of each entity, (N,)."""
        return np.bincount(self.entity_codes, minlength=self.n_entities).astype(np.int64)

    def require_distances(self, what: str) -> None:
        """Raise a DataError if the times are numbers that stand for dates: their distances would be wrong.

        Parameters
        ----------
        what : str
            What needs to know how far times are apart.
        """
        if self.packed is None:
            return
        first, last = (show(self.times[k]).strip("'") for k in (0, -1))
        time = self.time_name
        plain = f'time="number({time})"' if self.source not in ("arrays", "cubes") else "time - time.min()"
        raise DataError(
            f"the times {first} ... {last} of {time!r} look like {self.packed.form} in one number",
            f"{what} go by the distance of times, which is another for numbers than for dates: dates are needed "
            f"(or {plain}, if they are plain numbers)",
            with_column(time, self.packed.code, self.source, before=f"when = {self.packed.whole}"),
        )

    def frame_index(self) -> pd.MultiIndex:
        """The (entity, time) pairs of the rows as a MultiIndex."""
        return pd.MultiIndex(
            levels=[self.entities, self.times],
            codes=[self.entity_codes, self.time_codes],
            names=[self.entity_name, self.time_name],
            verify_integrity=False,
        )

    # --- cubes ----------------------------------------------------------------------------------------------

    @property
    def cells(self) -> IntArray:
        """Position of each row among the N times T cells, entity by entity, (n,)."""
        return self.entity_codes * self.n_times + self.time_codes

    @cached_property
    def observed(self) -> BoolArray | None:
        """Which cells have a row, (N, T); None where all have."""
        if self.is_balanced:
            return None
        return self.mask

    @cached_property
    def mask(self) -> BoolArray:
        """Which cells have a row, (N, T)."""
        out = np.zeros((self.n_entities, self.n_times), dtype=bool)
        out[self.entity_codes, self.time_codes] = True
        return out

    @cached_property
    def in_order(self) -> bool:
        """Whether every cell has a row, and rows come entity by entity, over time."""
        return self.is_balanced and bool((self.order == np.arange(self.nobs)).all())

    def to_cube(self, values: npt.ArrayLike, *, copy: bool = True) -> FloatArray:
        """Lay rows out as a cube, zeros in the cells without a row.

        Parameters
        ----------
        values : (n,) or (n, p)
            Rows in the caller's order.
        copy : bool
            False lets the cube share memory with rows that are in order.

        Returns
        -------
        (N, T) or (N, T, p) float64, C-ordered

        Raises
        ------
        DataError
            An (entity, time) pair occurs twice.
        """
        self._require_pairs()
        array = np.asarray(values, dtype=np.float64)
        shape = (self.n_entities, self.n_times, *array.shape[1:])
        if not copy and self.in_order:
            return np.ascontiguousarray(array).reshape(shape)
        if self.is_balanced:
            return np.ascontiguousarray(array[self.order].reshape(shape))
        out = np.zeros((self.n_entities * self.n_times, *array.shape[1:]))
        out[self.cells] = array
        return out.reshape(shape)

    def from_cube(self, cube: npt.ArrayLike, *, copy: bool = True) -> FloatArray:
        """Bring the observed cells of a cube (N, T) or (N, T, p) back to rows (n,) or (n, p) in the caller's order.

        With ``copy=False`` rows that are in order share memory with the cube.
        """
        self._require_pairs()
        array = np.asarray(cube, dtype=np.float64)
        if not copy and self.in_order:
            return np.ascontiguousarray(array).reshape(self.nobs, *array.shape[2:])
        if self.is_balanced:
            out = np.empty((self.nobs, *array.shape[2:]))
            out[self.order] = array.reshape(out.shape)
            return out
        return np.ascontiguousarray(array[self.entity_codes, self.time_codes])

    def missing_times(self, entity: int) -> pd.Index:
        """Times that the entity with this code does not have."""
        have = np.zeros(self.n_times, dtype=bool)
        have[self.time_codes[self.entity_codes == entity]] = True
        return self.times[~have]

    def _require_pairs(self) -> None:
        """A cell holds one row."""
        if self.has_duplicates:
            raise _duplicate_error(self)


def _grid(time: Codes, used: BoolArray, name: str, source: str) -> TimeGrid:
    """Order and distances of the times that occur."""
    if time.ordered:
        return TimeGrid(np.arange(used.size), np.arange(used.size), "category")
    grid = order_times(time.labels if used.all() else time.labels[used], name, source)
    return grid if used.all() else replace(grid, order=np.flatnonzero(used)[grid.order])


def _row_order(entity_codes: IntArray, time_codes: IntArray, n_times: int) -> tuple[IntArray, bool]:
    """Rows by (entity, time), and whether a pair occurs twice."""
    key = entity_codes * max(n_times, 1) + time_codes
    steps = np.diff(key)
    if (steps > 0).all():
        return np.arange(key.size, dtype=np.int64), False
    order = np.argsort(key, kind="stable").astype(np.int64, copy=False)
    return order, bool((np.diff(key[order]) == 0).any())


def id_problems(
    entity: Codes, time: Codes, entity_name: str, time_name: str, source: str, *, distances: bool = False
) -> tuple[list[DataError], PanelIndex | None]:
    """Everything that is wrong with the ids, and the index if nothing is.

    Parameters
    ----------
    entity, time : Codes
    entity_name, time_name, source : str
    distances : bool
        Whether distances in time count, so that numbers must not stand for dates.
    """
    problems = [*_blank_ids(entity, entity_name, source), *_blank_ids(time, time_name, source)]
    keep = ~(blank_rows(entity) | blank_rows(time))
    if not keep.any():
        return problems, None
    if not keep.all():
        entity, time = (replace(one, codes=one.codes[keep], complete=False) for one in (entity, time))
    names = {"entity_name": entity_name, "time_name": time_name, "source": source}
    try:
        index = PanelIndex.from_codes(entity, time, **names, allow_duplicates=True)
        if index.has_duplicates:
            problems.append(_duplicate_error(index))
        if distances:
            index.require_distances("lags and differences")
    except DataError as problem:
        problems.append(problem)
    return problems, None if problems else index


def blank_rows(coded: Codes) -> BoolArray:
    """Rows without an id: missing, or text without a letter."""
    missing = coded.codes < 0
    blank = np.array([isinstance(label, str) and not label.strip() for label in coded.labels], dtype=bool)
    if coded.labels.dtype.kind in "biufmM" or not blank.any():
        return np.asarray(missing, dtype=bool)
    return np.asarray(missing | np.append(blank, False)[coded.codes], dtype=bool)


def _blank_ids(coded: Codes, name: str, source: str) -> list[DataError]:
    rows = np.flatnonzero(blank_rows(coded))
    if not rows.size:
        return []
    fix = without_rows([name], source)
    if (coded.codes[rows] >= 0).any():
        fix = f"{with_column(name, _NO_BLANKS, source)}; {fix.removeprefix(prepared(source))}"
    return [
        DataError(
            f"{rows.size} rows have no {name!r} (first at positions {', '.join(str(row) for row in rows[:3])})",
            "each row needs an entity and a time",
            fix,
        )
    ]


def _duplicate_error(index: PanelIndex) -> DataError:
    key = (index.entity_codes * index.n_times + index.time_codes)[index.order]
    repeated = np.unique(key[1:][np.diff(key) == 0])
    pairs = ", ".join(show((index.entities[k // index.n_times], index.times[k % index.n_times])) for k in repeated[:3])
    fix = f'{prepared(index.source)}data = data.drop_duplicates(["{index.entity_name}", "{index.time_name}"])'
    if "index" in index.source:
        fix = "data = data[~data.index.duplicated()]"
    return DataError(
        f"{repeated.size} (entity, time) pairs occur more than once, first {pairs}",
        f"each pair of {index.entity_name!r} and {index.time_name!r} may occur once: aggregate the rows, name another "
        "entity= or time=, or keep the first of each",
        fix,
    )
