"""What levels of effects have in common, at home: the weights of all pairs that occur.

An engine sums the weights of pairs where rows are many more than pairs. Where most rows have a pair of their own the
sums would be as long as the data: the levels of every row come home instead, once for all pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from gifepanel.lazy_rows.engine import Home
from gifepanel.lazy_rows.sample import LazyEffect, LazySample, sums_by

__all__ = ["Cells", "find_cells", "index_of", "positions"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_FEW = 200_000  # rows whose pairs are as soon summed
_SHARE = 61  # of the levels of the base effect that are looked at, one
_ALONE = 0.5  # pairs for each row from which rows come home
_BLOCK = 1 << 22  # rows that are added up at once
_SPAN = 8  # of integers, for each level, up to which a table of them is kept


@dataclass(frozen=True, eq=False)
class Cells:
    """Weights of pairs of levels.

    Attributes
    ----------
    base : sparse matrix (L, M)
        Of levels of the base effect and levels of the others, side by side.
    gram : sparse matrix (M, M)
        Of the others among each other.
    """

    base: Any
    gram: Any


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
        if high - low < _SPAN * levels.size + 1_000 and high < 2**63:
            table = np.full(high - low + 1, -1, dtype=np.int32)
            table[levels.astype(np.int64) - low] = np.arange(levels.size, dtype=np.int32)
            narrow = np.int32 if -(2**30) < low <= high < 2**30 else np.int64
            return table[values.astype(narrow) - narrow(low)]
    return index_of(home, keys).get_indexer(index_of(found, keys)).astype(np.int32)


def find_cells(sample: LazySample, base: int, others: Sequence[int], margins: Home, homes: Sequence[Home]) -> Cells:
    """The weights of pairs, from sums at the engine or from the levels of every row.

    Parameters
    ----------
    base : int
        Position of the base effect.
    others : sequence of int
    margins, homes : Home
        Levels of these effects with their weights, sorted.
    """
    offsets = np.cumsum([0, *(len(home) for home in homes)]).astype(np.int64)
    lengths = np.concatenate([home.numbers("__m") for home in homes])
    if _rows_come(sample, base, others):
        return _from_rows(sample, base, others, margins, homes, offsets, lengths)
    return _from_pairs(sample, base, others, margins, homes, offsets, lengths)


# ---- sums at the engine ----


def _from_pairs(
    sample: LazySample,
    base: int,
    others: Sequence[int],
    margins: Home,
    homes: Sequence[Home],
    offsets: Any,
    lengths: Array,
) -> Cells:
    effects = sample.effects
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
    return Cells(cells.tocsr(), gram)


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
    sample: LazySample,
    base: int,
    others: Sequence[int],
    margins: Home,
    homes: Sequence[Home],
    offsets: Any,
    lengths: Array,
) -> Cells:
    effects = sample.effects
    keys = list(dict.fromkeys(key for g in (base, *others) for key in effects[g].keys))
    frame = sample.frame.select(*keys, *(["__w"] if sample.weighted else []))
    home = sample.rows.bring(frame, "levels of every row")
    weights = home.numbers("__w") if sample.weighted else None
    codes = [positions(own, home, effects[g].keys) for own, g in zip(homes, others, strict=True)]
    level = positions(margins, home, effects[base].keys)
    del home
    gram = sparse.diags(lengths).tocsr()
    for j in range(len(others)):
        for k in range(j):
            cross = _crossed(codes[j], codes[k], weights, (len(homes[j]), len(homes[k]))).tocoo()
            gram = _with_cross(gram, cross.data, cross.row + offsets[j], cross.col + offsets[k])
    return Cells(_side_by_side(level, codes, weights, offsets, len(margins)), gram)


def _crossed(a: Any, b: Any, weights: Array | None, shape: tuple[int, int]) -> Any:
    """Weights of pairs of codes, as a sparse matrix."""
    if (size := shape[0] * shape[1]) <= max(a.size // 4, _FEW):
        sums = np.zeros(size)
        for first in range(0, a.size, _BLOCK):
            part = slice(first, first + _BLOCK)
            pair = a[part].astype(np.int64) * shape[1] + b[part]
            sums += np.bincount(pair, None if weights is None else weights[part], minlength=size)
        return sparse.csr_matrix(sums.reshape(shape))
    ones = np.ones(a.size) if weights is None else weights
    return sparse.coo_matrix((ones, (a, b)), shape).tocsr()


def _side_by_side(level: Any, codes: Sequence[Any], weights: Array | None, offsets: Any, n_levels: int) -> Any:
    """Levels of the base effect beside those of the others (L, M): built in place where rows are in order of them."""
    n, several = level.size, len(codes)
    if (level[1:] >= level[:-1]).all():
        order: Any = slice(None)
    else:
        order = np.argsort(level, kind="stable")
    ends = np.cumsum(np.bincount(level, minlength=n_levels)) * several
    starts = np.concatenate([[0], ends]).astype(np.int32 if n * several < 2**31 else np.int64)
    indices = np.empty((n, several), dtype=starts.dtype)
    for j, own in enumerate(codes):
        indices[:, j] = own[order]
        indices[:, j] += starts.dtype.type(offsets[j])
    data = np.ones(n * several) if weights is None else np.repeat(weights[order], several)
    out = sparse.csr_matrix((data, indices.ravel(), starts), (n_levels, int(offsets[-1])))
    out.sum_duplicates()
    return out
