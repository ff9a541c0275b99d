"""Absorbed effects of rows at an engine: margins come home, are solved in memory, and go back as small tables.

With two effects, rows that are the only ones of their pair, and no weights, a bit for each (entity, time) is enough:
how many entities have which pattern of periods. Otherwise the weights of all pairs of levels come home. The effect with
most levels never leaves the engine but as one side of these pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from gifepanel.lazy_rows.cells import find_system, index_of, positions
from gifepanel.lazy_rows.engine import Home
from gifepanel.lazy_rows.sample import LazyEffect, LazySample, level_sums, name_of, sums_by
from gifepanel.projections.base import Certificate, DegreesAbsorbed
from gifepanel.projections.margins import MarginSystem, schur_of_patterns, sums_of_patterns

__all__ = [
    "SmallEffect",
    "SolvedEffects",
    "are_patterns",
    "base_effects",
    "level_series",
    "residual_frame",
    "solve_effects",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
_BITS = 52  # of a float64 that are summed without rounding
_PERIODS = 2_080
_DENSE = 0.1  # share of the periods that entities have
_SPANNED = 1e-12  # share of a column that is rounding
_APART = 1e-4  # share of a column that is within levels of the base effect


@dataclass(frozen=True, eq=False)
class SmallEffect:
    """Levels of an effect at home, and what is taken off each column there.

    Attributes
    ----------
    effect : LazyEffect
    levels : pyarrow Table
        Its keys, (L,) each, sorted.
    values : ndarray, shape (L, m)
    """

    effect: LazyEffect
    levels: Any
    values: Array


@dataclass(frozen=True, eq=False)
class SolvedEffects:
    """Effects as what is taken off columns.

    Attributes
    ----------
    base : LazyEffect or None
        Whose means are taken out at the engine; None where there are no effects.
    small : tuple of SmallEffect
    system : MarginSystem or None
    certificate : Certificate
    degrees : DegreesAbsorbed
    """

    base: LazyEffect | None
    small: tuple[SmallEffect, ...]
    system: MarginSystem | None
    certificate: Certificate
    degrees: DegreesAbsorbed


def residual_frame(sample: LazySample, solved: SolvedEffects, extra: Sequence[str] = ()) -> Any:
    """Rows with residuals ``__v0``, ... of the columns on the effects, weights ``__w``, and `extra` columns."""
    import narwhals.stable.v2 as nw

    m = len(sample.columns)
    own = [*([solved.base] if solved.base else []), *(one.effect for one in solved.small)]
    keys = dict.fromkeys(key for effect in own for key in effect.keys)
    others = [name for name in dict.fromkeys(extra) if name not in keys]
    taken: dict[str, Any] = {f"__v{j}": nw.col(name) - float(sample.shift[j]) for j, name in enumerate(sample.columns)}
    weight = ["__w"] if sample.weighted else []
    frame = sample.frame.select(*keys, *others, *weight, **taken)
    for g, one in enumerate(solved.small):
        values = {f"__c{g}_{j}": one.values[:, j] for j in range(m)}
        columns = {name: one.levels.column(name) for name in one.effect.keys}
        frame = frame.join(sample.rows.small(columns | values), on=list(one.effect.keys), how="inner")
    if solved.small:
        left = {
            f"__v{j}": _less(nw.col(f"__v{j}"), [nw.col(f"__c{g}_{j}") for g in range(len(solved.small))])
            for j in range(m)
        }
        frame = frame.select(*keys, *others, *weight, **left)
    if solved.base is None:
        return frame
    means = sums_by(sample, frame, solved.base.keys, {f"__m{j}": nw.col(f"__v{j}") for j in range(m)})
    share = {f"__m{j}": nw.col(f"__m{j}") / nw.col("__m") for j in range(m)}
    means = means.select(*solved.base.keys, **share)
    frame = frame.join(means, on=list(solved.base.keys), how="inner")
    left = {f"__v{j}": nw.col(f"__v{j}") - nw.col(f"__m{j}") for j in range(m)}
    return frame.select(*keys, *others, *weight, **left)


def base_effects(sample: LazySample, solved: SolvedEffects, weights: Array) -> tuple[Home, Array]:
    """Levels of the base effect, and the means there of a combination of the columns less the small effects."""
    import narwhals.stable.v2 as nw

    assert solved.base is not None
    frame = residual_frame(sample, replace(solved, base=None), solved.base.keys)
    value = _less(nw.lit(0.0), [nw.col(f"__v{j}") * -float(weights[j]) for j in np.flatnonzero(weights)])
    sums = sums_by(sample, frame, solved.base.keys, {"__s": value})
    home = sample.rows.bring(sums, f"effects of {solved.base.name}")
    home = Home(home.table.sort_by([(name, "ascending") for name in solved.base.keys]))
    return home, home.numbers("__s") / home.numbers("__m")


def level_series(effect: LazyEffect, home: Home, values: Array) -> pd.Series:
    """Values by level, as effects in memory are labelled."""
    index = index_of(home, effect.keys)
    if isinstance(index, pd.MultiIndex):
        index = index.set_names([name_of(key) for key in effect.keys])
    else:
        index = index.rename(None)
    return pd.Series(values, index=index, name=effect.name)


def _less(value: Any, others: Sequence[Any]) -> Any:
    for other in others:
        value = value - other
    return value


@dataclass(frozen=True, eq=False)
class _Margins:
    """The system, and what means of base levels are of the columns.

    Attributes
    ----------
    system : MarginSystem
    between : ndarray, shape (M, m)
        B'W times the means by base level.
    squares : ndarray, shape (m,)
        Of these means, over all rows.
    """

    system: MarginSystem
    between: Array
    squares: Array


def solve_effects(sample: LazySample, squares: Array, lengths: Array, tol: float) -> SolvedEffects:
    """Solve for the effects of all columns at once.

    Parameters
    ----------
    squares, lengths : ndarray, shape (m,)
        Of the columns about their means; and lengths as they are.
    """
    effects = sample.effects
    if not effects:
        return SolvedEffects(None, (), None, Certificate("none", 0, 0.0, True), DegreesAbsorbed(0, True, ()))
    base = max(range(len(effects)), key=lambda g: effects[g].n_levels)
    others = [g for g in range(len(effects)) if g != base]
    alone = SolvedEffects(effects[base], (), None, Certificate("demeaning", 0, 0.0, True), DegreesAbsorbed(0, True, ()))
    if not others:
        levels = effects[base].n_levels
        none = MarginSystem(0, (), np.zeros(1, dtype=np.int64), np.empty(0), levels, sparse.csr_matrix((0, 0)))
        return SolvedEffects(effects[base], (), none, alone.certificate, DegreesAbsorbed(levels, True, (levels,)))
    homes = [_levels(sample, effects[g]) for g in others]
    found = _by_patterns(sample, base, others, homes, tol) or _by_cells(sample, base, others, homes, tol)
    system, within = found.system, squares - found.squares
    names = [f"__s{j}" for j in range(len(sample.columns))]
    right = np.vstack([home.matrix(names) for home in homes]) - found.between
    if (within < _APART * squares).any():  # base levels are far apart: residuals first
        right, within = _right_sides(sample, alone, others, homes)
    right = np.where(np.sqrt(np.maximum(within, 0.0)) > _SPANNED * lengths, right, 0.0)
    values, certificate = system.solve(right, np.maximum(np.sqrt(np.maximum(within, 0.0)), 1e-13 * lengths))
    small = tuple(
        SmallEffect(effects[g], home.table.select(list(effects[g].keys)), values[first:last])
        for g, home, (first, last) in zip(others, homes, pairwise(system.offsets), strict=True)
    )
    return SolvedEffects(effects[base], small, system, certificate, system.degrees)


def _columns(sample: LazySample) -> dict[str, Any]:
    """The columns less what is taken off them, to be summed."""
    import narwhals.stable.v2 as nw

    return {f"__s{j}": nw.col(name) - float(sample.shift[j]) for j, name in enumerate(sample.columns)}


def _levels(sample: LazySample, effect: LazyEffect) -> Home:
    """Levels of an effect, their weights and sums: those that came home when they were counted, or asked for now."""
    known = sample.margins.pop(effect.keys, None)
    return level_sums(sample, effect) if known is None else known


def _right_sides(
    sample: LazySample, first: SolvedEffects, others: Sequence[int], homes: Sequence[Home]
) -> tuple[Array, Array]:
    """B'W M_A v of all columns, (M, m), and the squares of M_A v, (m,), residuals first."""
    import narwhals.stable.v2 as nw

    m, blocks, squares = len(sample.columns), [], np.zeros(len(sample.columns))
    for position, (g, home) in enumerate(zip(others, homes, strict=True)):
        effect = sample.effects[g]
        frame = residual_frame(sample, first, effect.keys)
        asked = {f"__s{j}": nw.col(f"__v{j}") for j in range(m)}
        if position == 0:
            asked |= {f"__q{j}": nw.col(f"__v{j}") * nw.col(f"__v{j}") for j in range(m)}
        grouped = sums_by(sample, frame, effect.keys, asked)
        found = sample.rows.bring(grouped, f"sums by {effect.name}", reads=2)
        at = positions(home, found, effect.keys)
        block = np.zeros((len(home), m))
        block[at] = found.matrix([f"__s{j}" for j in range(m)])
        blocks.append(block)
        if position == 0:
            squares = found.matrix([f"__q{j}" for j in range(m)]).sum(axis=0)
    return np.vstack(blocks), squares


# ---- two effects, pairs unique: a bit for each row ----


def are_patterns(sample: LazySample, entity: LazyEffect, period: LazyEffect) -> bool:
    """Whether patterns of periods may tell everything of two effects whose levels are counted, or their bounds are.

    Where entities have few of many periods hardly two of them have the same, and pairs are shorter.
    """
    periods = period.n_levels
    if sample.weighted or periods > _PERIODS or set(period.keys) & set(entity.keys):
        return False
    return periods <= _BITS or sample.stock.n_complete > _DENSE * entity.n_levels * periods


def _by_patterns(
    sample: LazySample, base: int, others: Sequence[int], homes: Sequence[Home], tol: float
) -> _Margins | None:
    """The system from patterns of periods; None where they do not tell everything."""
    if len(others) != 1 or not are_patterns(sample, sample.effects[base], sample.effects[others[0]]):
        return None
    import narwhals.stable.v2 as nw

    effect, entity, periods = sample.effects[others[0]], sample.effects[base], len(homes[0])
    words = -(-periods // _BITS)
    bits = {}
    for word in range(words):
        own = np.zeros(periods)
        inside = np.arange(word * _BITS, min((word + 1) * _BITS, periods))
        own[inside] = 2.0 ** (inside - word * _BITS)
        bits[f"__b{word}"] = own
    keys = {name: homes[0].table.column(name) for name in effect.keys}
    joined = sample.frame.select(*entity.keys, *effect.keys, *sample.columns).join(
        sample.rows.small(keys | bits), on=list(effect.keys), how="inner"
    )
    names, m = list(bits), len(sample.columns)
    patterns = sums_by(sample, joined, entity.keys, {name: nw.col(name) for name in names} | _columns(sample))
    mean = [nw.col(f"__s{j}") / nw.col("__m") for j in range(m)]
    made = {f"__a{j}": mean[j] for j in range(m)} | {f"__q{j}": mean[j] * nw.col(f"__s{j}") for j in range(m)}
    grouped = patterns.select(*names, __n=nw.col("__m"), **made).group_by(*names, "__n")
    grouped = grouped.agg(__count=nw.len(), **{name: nw.col(name).sum() for name in made})
    home = sample.rows.bring(grouped, f"patterns of {effect.name}")
    home = Home(home.table.sort_by([(name, "ascending") for name in (*names, "__n")]))
    unpacked = _unpacked(home, names, periods)
    if unpacked is None:
        return None
    lengths, counts = homes[0].numbers("__m"), home.numbers("__count")
    known = schur_of_patterns(unpacked, counts, lengths)
    gram = sparse.diags(lengths).tocsr()
    offsets = np.array([0, periods], dtype=np.int64)
    system = MarginSystem(base, tuple(others), offsets, lengths, int(counts.sum()), gram, None, known, tol)
    between = sums_of_patterns(unpacked, home.matrix([f"__a{j}" for j in range(m)]))
    return _Margins(system, between, home.matrix([f"__q{j}" for j in range(m)]).sum(axis=0))


def _unpacked(home: Home, names: Sequence[str], periods: int) -> Any:
    """Bits (P, T) of the patterns; None where one has fewer than rows, since a pair occurs twice."""
    out = np.zeros((len(home), periods), dtype=np.uint8)
    for word, name in enumerate(names):
        values = home.numbers(name)
        if (values >= 2.0**_BITS).any():
            return None
        whole = values.astype(np.uint64)
        for bit in range(min(_BITS, periods - word * _BITS)):
            out[:, word * _BITS + bit] = (whole >> np.uint64(bit)) & np.uint64(1)
    return out if (out.sum(axis=1, dtype=np.int64) == home.numbers("__n")).all() else None


# ---- any effects: cells ----


def _by_cells(sample: LazySample, base: int, others: Sequence[int], homes: Sequence[Home], tol: float) -> _Margins:
    """The system from the weights of pairs of levels."""
    margins = _levels(sample, sample.effects[base])
    system = find_system(sample, base, others, margins, homes, tol)
    sums = margins.matrix([f"__s{j}" for j in range(len(sample.columns))])
    means = sums / margins.numbers("__m")[:, None]
    return _Margins(system, system.spread(means), np.einsum("lm,lm->m", sums, means))
