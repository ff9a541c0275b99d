"""The rows of a model: which are kept, and why the others went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError
from gifepanel.panel.absorbed import AbsorbedEffect
from gifepanel.panel.effect_codes import EffectCodes, code_effect
from gifepanel.panel.frames import PanelFrame
from gifepanel.panel.index import PanelIndex

__all__ = ["Sample", "choose_rows", "complete_rows"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of a frame that a model is fitted to.

    Attributes
    ----------
    complete : (n_rows,) bool
        Rows in which nothing is missing: categories are coded on them.
    kept : (n,) bool
        Those of the complete rows that are used: no singletons, no weights of zero.
    missing : dict of str to int
        Rows in which each variable is missing.
    lagged : dict of str to int
        Rows that each lag has no value for.
    n_singletons, n_zero_weights : int
    index : PanelIndex or None
        Who and when the complete rows are.
    codes : dict of str to EffectCodes
        Levels of absorbed effects on the complete rows.
    empty : (pandas.Index, pandas.Index)
        Entities without a row that is kept, and periods in which a variable is missing in every row.
    """

    complete: BoolArray
    kept: BoolArray
    missing: dict[str, int]
    lagged: dict[str, int]
    n_singletons: int
    n_zero_weights: int
    index: PanelIndex | None
    codes: dict[str, EffectCodes]
    empty: tuple[pd.Index, pd.Index] = (pd.Index([]), pd.Index([]))

    @property
    def dropped_by(self) -> dict[str, int]:
        """Rows that each variable and each lag cost."""
        return self.missing | self.lagged

    @property
    def n_dropped(self) -> int:
        """Rows that are not complete."""
        return int(self.complete.size - self.complete.sum())


def complete_rows(missing: Mapping[str, BoolArray], incomplete: Mapping[str, BoolArray], n_rows: int) -> BoolArray:
    """Rows (n_rows,) in which neither a variable nor a factor is missing."""
    out = np.ones(n_rows, dtype=bool)
    for rows in (*missing.values(), *incomplete.values()):
        out &= ~rows
    return out


def choose_rows(
    frame: PanelFrame,
    effects: Sequence[AbsorbedEffect],
    missing: Mapping[str, BoolArray],
    *,
    incomplete: Mapping[str, BoolArray] | None = None,
    lagged: Sequence[str] = (),
    index: PanelIndex | None = None,
    weights: Mapping[str, pd.Series] | None = None,
    singletons: bool = False,
) -> Sample:
    """Decide which rows a model is fitted to.

    Parameters
    ----------
    frame : PanelFrame
    effects : sequence of AbsorbedEffect
    missing, incomplete : mapping of str to (n_rows,) bool
        Rows in which a variable, or a factor of the formula, has no value.
    lagged : sequence of str
        Factors that look at other periods.
    index : PanelIndex or None
        Of all rows.
    weights : mapping of str to (n_rows,) Series, optional
        Rows with weight zero go.
    singletons : bool
        Rows alone in a level of an effect go, again and again (Correia 2015).

    Raises
    ------
    DataError
        If no row is left.
    """
    incomplete = incomplete or {}
    complete = complete_rows(missing, incomplete, frame.n_rows)
    counts = {name: int(rows.sum()) for name, rows in missing.items()}
    by_lags = {text: int(incomplete[text].sum()) for text in lagged}
    if not complete.any():
        raise _empty(frame.n_rows, counts, by_lags, index.time_unit if index else "1")
    own = None if index is None else index.subset(complete)
    codes = {effect.name: code_effect(frame, effect, complete, own) for effect in effects}
    kept = np.ones(int(complete.sum()), dtype=bool)
    for values in (weights or {}).values():
        kept &= values.to_numpy()[complete] > 0
    n_zero = int((~kept).sum())
    plain = [codes[effect.name] for effect in effects if effect.intercept]
    n_singletons = _drop_singletons(plain, kept) if singletons else 0
    if not kept.any():
        raise _no_row_left(kept.size, codes, n_singletons, n_zero)
    sample = Sample(complete, kept, counts, by_lags, n_singletons, n_zero, own, codes)
    if index is None or (complete.all() and kept.all()):
        return sample
    return replace(sample, empty=_empty_labels(index, complete, kept, complete_rows(missing, {}, frame.n_rows)))


def _empty_labels(
    index: PanelIndex, complete: BoolArray, kept: BoolArray, known: BoolArray
) -> tuple[pd.Index, pd.Index]:
    """Entities without a row that is kept, and periods without a row in which all variables are `known`."""
    rows = complete.copy()
    rows[complete] = kept
    entities = np.bincount(index.entity_codes[rows], minlength=index.n_entities) == 0
    times = np.bincount(index.time_codes[known], minlength=index.n_times) == 0
    return index.entities[entities], index.times[times]


def _drop_singletons(codes: Sequence[EffectCodes], kept: BoolArray) -> int:
    """Unmark rows alone in a level, again and again; how many."""
    from gifepanel.projections.row_blocks import alone

    whole = kept.all()
    if not any(alone(own if whole else own[kept], len(levels)) for own, levels in codes):
        return 0
    from gifepanel.projections.system import level_passes  # SciPy comes with it

    stacked = np.stack([own.astype(np.int32) for own, _ in codes])
    widths = np.array([len(levels) for _, levels in codes])
    return int(level_passes(kept.size).drop_singletons(stacked, widths, kept))


def _empty(n_rows: int, missing: Mapping[str, int], lagged: Mapping[str, int], unit: str) -> DataError:
    """Error for a sample without rows, with what took them."""
    parts = [f"{name!r} is missing in {count}" for name, count in missing.items()]
    parts += [f"{term} in {count}" for term, count in lagged.items()]
    most = max(missing, key=lambda name: missing[name], default=None)
    fix = (
        f"leave out {most!r}, which takes the most rows" if most else "leave out the variable that takes the most rows"
    )
    if lagged:
        fix = (
            f"use fewer lags; one period is one {unit} here: number times that are further apart, "
            'data[time].rank(method="dense")'
            if unit not in ("1", "rank")
            else ("use fewer lags; times that are 5 apart need L(x, 5)")
        )
    return DataError(f"no row is left of {n_rows}: {'; '.join(parts)}", "complete rows are needed", fix)


def _no_row_left(n_rows: int, codes: Mapping[str, EffectCodes], n_singletons: int, n_zero_weights: int) -> DataError:
    """Error for a sample that singletons and weights of zero leave nothing of; the effects then fit every row."""
    counts = {name: len(levels) for name, (_, levels) in codes.items()}
    single = n_singletons > 0
    found = [f"{n_singletons} are alone in a level of an effect"] if single else []
    found += [f"{n_zero_weights} have weight zero"] if n_zero_weights else []
    finest = max(counts, key=lambda name: counts[name], default="")
    return DataError(
        f"No row is left of {n_rows}: {', '.join(found)}"
        + (f" (levels: {', '.join(f'{name} {count}' for name, count in counts.items())})." if single else "."),
        "Effects need levels with two rows or more." if single else "Some rows need a positive weight.",
        f"Absorb something coarser than {finest}." if single else "weights=None",
    )
