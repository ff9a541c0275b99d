"""Absorbed effects as codes: one coding, which coefficients and the rows of a prediction are both looked up in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.panel.absorbed import AbsorbedEffect
from gifepanel.panel.codes import Codes, sort_codes
from gifepanel.panel.frames import PanelFrame
from gifepanel.panel.index import PanelIndex

__all__ = ["EffectCodes", "code_effect", "effect_labels"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]


class EffectCodes(NamedTuple):
    """One absorbed effect on the rows of a sample.

    Attributes
    ----------
    codes : (n,) int32
        Position of each row's level.
    levels : pandas.Index
        Sorted levels, each with a row; combinations as tuples in a MultiIndex.
    """

    codes: Int32Array
    levels: pd.Index

    def take(self, rows: BoolArray) -> EffectCodes:
        """The effect on some of the rows (n,), levels that lost all theirs left out."""
        left = self.codes[rows]
        used = self.occupied(rows)
        return EffectCodes((np.cumsum(used, dtype=np.int32) - 1)[left], self.levels[used])

    def occupied(self, rows: BoolArray) -> BoolArray:
        """Whether each level has one of some rows (n,)."""
        return np.bincount(self.codes[rows], minlength=len(self.levels)) > 0

    def positions(self, frame: PanelFrame, effect: AbsorbedEffect, rows: BoolArray) -> IntArray:
        """Positions among the levels of the levels of some rows (n_rows,) of a frame; −1 where unseen or missing."""
        found = np.asarray(self.levels.get_indexer(effect_labels(frame, effect)[rows]), dtype=np.int64)
        for name in effect.factors:
            found[frame.codes(name).codes[rows] < 0] = -1
        return found


def effect_labels(frame: PanelFrame, effect: AbsorbedEffect) -> pd.Index:
    """Labels of an absorbed effect row by row (any where missing); combinations as tuples in a MultiIndex."""
    parts = []
    for name in effect.factors:
        coded = frame.codes(name)
        labels = coded.labels if len(coded.labels) else pd.Index([None])
        parts.append(labels.take(np.where(coded.codes < 0, 0, coded.codes)))
    return parts[0] if len(parts) == 1 else pd.MultiIndex.from_arrays(parts, names=effect.factors)


def code_effect(frame: PanelFrame, effect: AbsorbedEffect, keep: BoolArray, sample: PanelIndex | None) -> EffectCodes:
    """Codes (n,) int32 of an absorbed effect on the kept rows, and its sorted levels; ``sample`` gives its ids'."""
    if sample is not None and effect.factors == (frame.entity_name,):
        return EffectCodes(sample.entity_codes.astype(np.int32), sample.entities)
    if sample is not None and effect.factors == (frame.time_name,):
        return EffectCodes(sample.time_codes.astype(np.int32), sample.times)
    parts = []
    for name in effect.factors:
        coded = frame.codes(name)
        parts.append(sort_codes(coded if keep.all() else Codes(coded.codes[keep], coded.labels, coded.ordered)))
    if len(parts) == 1:
        return EffectCodes(parts[0][0].astype(np.int32, copy=False), parts[0][1])
    key = np.zeros(parts[0][0].size, dtype=np.int64)
    for codes, labels in parts:
        key = key * len(labels) + codes
    found, codes = np.unique(key, return_inverse=True)
    level_positions: list[IntArray] = []
    for _, labels in reversed(parts):
        level_positions.insert(0, found % len(labels))
        found = found // len(labels)
    levels = pd.MultiIndex(
        levels=[labels for _, labels in parts],
        codes=level_positions,
        names=effect.factors,
        verify_integrity=False,
    )
    return EffectCodes(codes.astype(np.int32), levels)
