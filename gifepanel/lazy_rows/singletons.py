"""Rows alone in a level of an effect are dropped, again and again (Correia 2015).

Dropping one may leave another alone. Where ids are whole numbers the levels of every row come home once, and the chain
is followed there, however long; text is counted at the engine, a round at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError
from gifepanel.lazy_rows.effects import are_patterns
from gifepanel.lazy_rows.engine import Home, LazyRows
from gifepanel.lazy_rows.sample import LazyEffect, LazySample, level_sums, name_of

__all__ = ["choose_lazy_rows"]

_ROWS = 50_000_000  # of which the levels come home
_VALUES = 120_000_000  # of levels with their sums that come home


def choose_lazy_rows(sample: LazySample, singletons: bool) -> LazySample:
    """Count levels of effects, and drop rows alone in one, again and again.

    Levels that the solution needs come home with their sums when they are counted, if they are not too many: they are
    ``margins`` of the sample where no row was dropped.

    Raises
    ------
    DataError
        No row is left.
    """
    frame, effects = sample.frame, sample.effects
    first, rows = sample.stock.n_complete - sample.stock.n_zero_weights, 0
    margins: dict[tuple[str, ...], Home] = {}
    while effects:
        counted = _counted(sample, margins) if frame is sample.frame else _counted(replace(sample, frame=frame), None)
        before, effects, rows = effects, tuple(effect for effect, _, _ in counted), counted[0][2]
        if not rows:
            raise _nothing_left(first, before)
        if not singletons or not any(alone for _, alone, _ in counted):
            break
        margins = {}
        if rows <= _ROWS and _are_whole(frame, effects):
            return _follow_at_home(sample, frame, effects)
        for effect, alone, _ in counted:
            if alone:
                frame = _without_singletons(sample.rows, frame, effect)
    dropped = first - rows if effects else 0
    return replace(sample, frame=frame, effects=effects, n_singletons=dropped, margins=margins)


def _nothing_left(n_rows: int, effects: Sequence[LazyEffect]) -> DataError:
    listed = ", ".join(f"{effect.name} {effect.n_levels}" for effect in effects)
    return DataError(
        f"No row is left of {n_rows}: {n_rows} are alone in a level of an effect (levels: {listed}).",
        "Effects need levels with two rows or more.",
        f"Absorb something coarser than {max(effects, key=lambda one: one.n_levels).name}.",
    )


def _counted(sample: LazySample, margins: dict[tuple[str, ...], Home] | None) -> list[tuple[LazyEffect, int, int]]:
    """The effects with their numbers of levels, how many of them have one row, and how many rows there are.

    Those that seem to have fewest levels are counted first. What comes home on the way is put into `margins`.
    """
    bounds = [_bound(sample, effect) for effect in sample.effects]
    effects, found = list(sample.effects), dict[int, tuple[LazyEffect, int, int]]()
    for g in sorted(range(len(effects)), key=bounds.__getitem__):
        if margins is None or not _come(sample, effects, g, list(found), bounds[g]):
            found[g] = _count_levels(sample, effects[g])
        else:
            margins[effects[g].keys] = home = level_sums(sample, effects[g])
            counts = home.numbers("__n" if sample.weighted else "__m")
            alone, rows = int(np.count_nonzero(counts == 1)), int(counts.sum())
            found[g] = (replace(effects[g], n_levels=len(home)), alone, rows)
        effects[g] = found[g][0]
    return [found[g] for g in range(len(effects))]


def _bound(sample: LazySample, effect: LazyEffect) -> float:
    """Levels that an effect has at most."""
    spans = [sample.stock.spans.get(name_of(key), np.inf) for key in effect.keys]
    return min(float(np.prod(spans)), float(sample.stock.n_complete))


def _come(sample: LazySample, effects: Sequence[LazyEffect], g: int, counted: Sequence[int], bound: float) -> bool:
    """Whether levels of an effect come home with their sums: they will be asked for, and have room."""
    if len(effects) == 1 or bound * (len(sample.columns) + 2) > _VALUES:
        return False
    last = len(effects) == 2 and len(counted) == 1
    return not (last and are_patterns(sample, replace(effects[g], n_levels=int(bound)), effects[counted[0]]))


def _count_levels(sample: LazySample, effect: LazyEffect) -> tuple[LazyEffect, int, int]:
    """The effect with its number of levels, how many of them have one row, and how many rows there are."""
    import narwhals.stable.v2 as nw

    grouped = sample.frame.select(*effect.keys).group_by(*effect.keys).agg(__n=nw.len())
    single = nw.when(nw.col("__n") == 1).then(nw.lit(1.0)).otherwise(nw.lit(0.0)).sum()
    asked = grouped.select(levels=nw.len(), alone=single, rows=nw.col("__n").sum())
    home = sample.rows.bring(asked, f"the number of levels of {effect.name}")
    return replace(effect, n_levels=home.count("levels")), home.count("alone"), home.count("rows")


def _without_singletons(rows: LazyRows, frame: Any, effect: LazyEffect) -> Any:
    """The frame without levels that have one row."""
    import narwhals.stable.v2 as nw

    grouped = frame.select(*effect.keys).group_by(*effect.keys).agg(__n=nw.len()).filter(nw.col("__n") == 1)
    home = rows.bring(grouped.select(*effect.keys), f"levels of {effect.name} with one row")
    return _without(rows, frame, effect, home.table)


def _without(rows: LazyRows, frame: Any, effect: LazyEffect, levels: Any) -> Any:
    """The frame without some levels, a table of their keys."""
    small = rows.small({name: levels.column(name) for name in effect.keys})
    return frame.join(small, on=list(effect.keys), how="anti")


# ---- chains at home ----


def _are_whole(frame: Any, effects: Sequence[LazyEffect]) -> bool:
    keys = list(dict.fromkeys(key for effect in effects for key in effect.keys))
    return all(kind.is_integer() for kind in frame.select(*keys).collect_schema().values())


def _follow_at_home(sample: LazySample, frame: Any, effects: Sequence[LazyEffect]) -> LazySample:
    """The sample without all rows of the chain: levels that had one row at some time are gone with all their rows."""
    import pyarrow as pa

    keys = list(dict.fromkeys(key for effect in effects for key in effect.keys))
    home = sample.rows.bring(frame.select(*keys), "levels of every row")
    codes = [_codes(home, effect.keys) for effect in effects]
    left, gone = _chain(codes)
    if not left.size:
        raise _nothing_left(len(home), effects)
    for effect, own, lost in zip(effects, codes, gone, strict=True):
        if lost.any():
            at = np.flatnonzero(lost[own])
            _, where = np.unique(own[at], return_index=True)
            frame = _without(sample.rows, frame, effect, home.table.take(pa.array(at[where])))
    found = tuple(
        replace(effect, n_levels=int(np.count_nonzero(np.bincount(own[left]))))
        for effect, own in zip(effects, codes, strict=True)
    )
    return replace(sample, frame=frame, effects=found, n_singletons=len(home) - left.size)


def _codes(home: Home, keys: Sequence[str]) -> Any:
    """Levels of every row as numbers."""
    if len(keys) == 1:
        return pd.factorize(home.table.column(keys[0]).to_numpy(zero_copy_only=False))[0]
    frame = pd.DataFrame({name: home.labels(name) for name in keys})
    return frame.groupby(list(keys), sort=False).ngroup().to_numpy()


def _chain(codes: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Rows that are left, and which levels of each effect had one row at some time."""
    left = np.arange(codes[0].size)
    gone = [np.zeros(int(own.max()) + 1, dtype=bool) for own in codes]
    found = True
    while found and left.size:
        found = False
        for own, lost in zip(codes, gone, strict=True):
            here = own[left]
            alone = np.bincount(here, minlength=lost.size) == 1
            if alone.any():
                lost |= alone
                left, found = left[~alone[here]], True
    return left, gone
