"""What levels of effects have in common, at home: the weights of all pairs that occur.

An engine sums the weights of pairs where rows are many more than pairs. Where most rows have a pair of their own the
sums would be as long as the data: the levels of every row come home instead, once for all pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from gifepanel.lazy_rows.engine import Home
from gifepanel.lazy_rows.sample import LazyEffect, LazySample, sums_by
from gifepanel.projections.margins import MarginSystem, RowSystem
from gifepanel.projections.system import Effect, EffectSystem

__all__ = ["find_system", "index_of", "positions"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_FEW = 200_000  # rows whose pairs are as soon summed
_SHARE = 61  # of the levels of the base effect that are looked at, one
_ALONE = 0.5  # pairs for each row from which rows come home
_SPAN = 8  # of integers, for each level, up to which a table of them is kept


def index_of(home: Home, keys: Sequence[str]) -> pd.Index:
    """Levels as pandas has them."""
    if len(keys) == 1:
        return pd.Index(home.labels(keys[0]))
    return pd.MultiIndex.from_arrays([pd.Index(home.labels(name)) for name in keys])


def positions(home: Home, found: Home, keys: Sequence[str]) -> Any:
    """Position among the levels of `home` of the keys of another table, int32 (n,)."""
    if len(keys) == 1 and len(home) and home.is_whole(keys[0]) and found.is_whole(keys[0]):
        levels, values = (one.table.column(keys[0]).to_numpy(zero_copy_only=False) for one in (home, found))
        low, high = int(levels.min()), int(levels.max())
        if high - low + 1 == levels.size and high < 2**63 and (levels[1:] > levels[:-1]).all():
            whole = values if values.dtype.itemsize >= 4 else values.astype(np.int32)
            return (whole - whole.dtype.type(low)).astype(np.int32, copy=False)
        if high - low < _SPAN * levels.size + 1_000 and high < 2**63:
            table = np.full(high - low + 1, -1, dtype=np.int32)
            table[levels.astype(np.int64) - low] = np.arange(levels.size, dtype=np.int32)
            narrow = np.int32 if -(2**30) < low <= high < 2**30 else np.int64
            return table[values.astype(narrow) - narrow(low)]
    return index_of(home, keys).get_indexer(index_of(found, keys)).astype(np.int32)


def find_system(
    sample: LazySample, base: int, others: Sequence[int], margins: Home, homes: Sequence[Home], tol: float
) -> MarginSystem:
    """The system of the effects, from weights of pairs that the engine sums or from the levels of every row.

    Parameters
    ----------
    base : int
        Position of the base effect.
    others : sequence of int
    margins, homes : Home
        Levels of these effects with their weights, sorted.
    tol : float
    """
    if _rows_come(sample, base, others):
        return _from_rows(sample, base, others, margins, homes, tol)
    return _from_pairs(sample, base, others, margins, homes, tol)


# ---- sums at the engine ----


def _from_pairs(
    sample: LazySample, base: int, others: Sequence[int], margins: Home, homes: Sequence[Home], tol: float
) -> MarginSystem:
    effects = sample.effects
    offsets = np.cumsum([0, *(len(home) for home in homes)]).astype(np.int64)
    lengths = np.concatenate([home.numbers("__m") for home in homes])
    rows, columns, weights = [], [], []
    for j, g in enumerate(others):
        home = _pairs(sample, effects[base], effects[g])
        rows.append(positions(margins, home, effects[base].keys))
        columns.append(positions(homes[j], home, effects[g].keys) + np.int32(offsets[j]))
        weights.append(home.numbers("__m"))
    shape = (len(margins), int(offsets[-1]))
    cells = sparse.coo_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape)
    gram = sparse.diags(lengths).tocsr()
    for j, g in enumerate(others):
        for k in range(j):
            home = _pairs(sample, effects[g], effects[others[k]])
            a = positions(homes[j], home, effects[g].keys) + offsets[j]
            b = positions(homes[k], home, effects[others[k]].keys) + offsets[k]
            gram = _with_cross(gram, home.numbers("__m"), a, b)
    return MarginSystem(base, tuple(others), offsets, lengths, len(margins), gram, cells.tocsr(), None, tol)


def _pairs(sample: LazySample, one: LazyEffect, other: LazyEffect) -> Home:
    """Pairs of levels that occur, and their weights."""
    keys = list(dict.fromkeys((*one.keys, *other.keys)))
    return sample.rows.bring(sums_by(sample, sample.frame, keys, {}), f"pairs of {one.name} and {other.name}")


def _with_cross(gram: Any, weights: Array, a: Any, b: Any) -> Any:
    cross = sparse.coo_matrix((weights, (a, b)), gram.shape).tocsr()
    return gram + cross + cross.T


# ---- levels of every row ----


def _rows_come(sample: LazySample, base: int, others: Sequence[int]) -> bool:
    """Whether most rows have a pair of their own, seen on a share of the levels of the base effect.

    For ids that are whole numbers: text would be larger at home than the sums.
    """
    import narwhals.stable.v2 as nw

    keys = list(dict.fromkeys(key for g in (base, *others) for key in sample.effects[g].keys))
    schema = sample.frame.select(*keys).collect_schema()
    if sample.stock.n_complete < _FEW or not all(schema[key].is_integer() for key in keys):
        return False
    first, widest = sample.effects[base].keys[0], max(others, key=lambda g: sample.effects[g].n_levels)
    some = sample.frame.select(*keys).filter(nw.col(first) % _SHARE == 0)
    pair = list(dict.fromkeys((*sample.effects[base].keys, *sample.effects[widest].keys)))
    grouped = some.group_by(*pair).agg(__n=nw.len())
    home = sample.rows.bring(grouped.select(pairs=nw.len(), rows=nw.col("__n").sum()), "how many pairs there are")
    return home.count("pairs") > _ALONE * home.count("rows")


def _from_rows(
    sample: LazySample, base: int, others: Sequence[int], margins: Home, homes: Sequence[Home], tol: float
) -> MarginSystem:
    effects = sample.effects
    keys = list(dict.fromkeys(key for g in (base, *others) for key in effects[g].keys))
    frame = sample.frame.select(*keys, *(["__w"] if sample.weighted else []))
    home = sample.rows.bring(frame, "levels of every row")
    weights = home.numbers("__w") if sample.weighted else None
    levels = dict(zip((base, *others), (margins, *homes), strict=True))
    coded = [
        Effect(effects[g].name, positions(levels[g], home, effects[g].keys), len(levels[g])) for g in sorted(levels)
    ]
    del home
    return RowSystem.of(EffectSystem.build(coded, weights), tol)
