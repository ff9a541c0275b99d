"""A large balanced panel whose entities are on Dask workers: passes go over them there, only sums come back.

What is done where: every worker holds its entities in canonical order, with their moments, unit slopes and curvatures,
and makes residuals, sums of squares and steps of units of its own. This process keeps centres, factors and labels of
groups; it searches on samples, runs K-means on unit slopes that come home once, and puts the parts together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from gifepanel.blocks import is_much
from gifepanel.shares import Shares, collected, rows_of, shares_of
from gifepanel.solvers.arrays import Array, PanelArrays
from gifepanel.solvers.blocked import BlockedPanel

__all__ = ["SharedPanel", "here", "on_workers"]

_ARRAYS = ("y", "xt", "xx", "xy", "yy")
IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class SharedPanel(BlockedPanel):
    """As :class:`BlockedPanel`, without `y` and `xt`, which are None.

    Attributes
    ----------
    panels : Rows
        A :class:`BlockedPanel` on each worker.
    n_times : int
        T.
    """

    panels: Any = None
    n_times: int = 0

    @property
    def own(self) -> Any:
        """The panels of the workers."""
        return self.panels

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, p)."""
        n, p = self.xy.shape
        return n, self.n_times, p

    @property
    def n_cells(self) -> int:
        """NT."""
        return len(self.yy) * self.n_times

    @property
    def periods(self) -> float:
        """T."""
        return self.n_times

    def take(self, units: IntArray) -> PanelArrays:
        """Some of the entities, here."""
        inside = np.zeros(len(self.yy), dtype=bool)
        inside[units] = True
        assert inside.sum() == len(units) and (np.diff(units) > 0).all()
        y, xt = collected(rows_of(_taken, (self.own, inside)))
        moments = (self.xx[units], self.xy[units], self.yy[units])
        return PanelArrays(y, xt, *moments, self.scale, self.entity_effects, self.time_effects)

    def rescaled(self, factor: Array) -> SharedPanel:
        """The same panel with regressor j divided by ``factor[j]``, in place."""
        xx, xy = self.xx / (factor[:, None] * factor), self.xy / factor
        panels = rows_of(_rescaled, (self.own,), factor)
        return replace(self, panels=panels, xx=xx, xy=xy, scale=self.scale * factor)

    def subset_of_columns(self, free: IntArray, common: Any, gamma: Array) -> SharedPanel:
        """The panel in the regressors `free`, the others taken out of the outcome at slopes `gamma`."""
        panels = rows_of(_subset, (self.own,), free, common, gamma)
        xx, xy, yy = collected(rows_of(_moments, (panels,)))
        return replace(self, panels=panels, xx=xx, xy=xy, yy=yy, scale=self.scale[free])


def _taken(_: int, panel: BlockedPanel, inside: Any) -> tuple[Array, Array]:
    return panel.y[inside], panel.xt[inside]


def _rescaled(_: int, panel: BlockedPanel, factor: Array) -> BlockedPanel:
    return panel.rescaled(factor)


def _subset(_: int, panel: BlockedPanel, free: IntArray, common: Any, gamma: Array) -> PanelArrays:
    return panel.subset_of_columns(free, common, gamma)


def _moments(_: int, panel: BlockedPanel) -> tuple[Array, Array, Array]:
    return panel.xx, panel.xy, panel.yy


def _arrays(_: int, panel: BlockedPanel) -> tuple[Array, Array]:
    return panel.y, panel.xt


def _settled(_: int, panel: BlockedPanel) -> BlockedPanel:
    """With arrays that may be overwritten: those that came by the network need not be."""
    arrays = {name: getattr(panel, name) for name in _ARRAYS}
    return replace(panel, **{name: one if one.flags.writeable else one.copy() for name, one in arrays.items()})


def on_workers(data: PanelArrays, n_factors: int) -> PanelArrays:
    """A large panel in shares on the workers of the Dask cluster that ``joblib.parallel_config`` names, if it does.

    Without factors there are no sums over entities to speak of, and the panel stays; so does one of few cells.
    """
    if type(data) is not BlockedPanel or not n_factors or not is_much(data.y.size + data.xt.size):
        return data
    shares = shares_of(data.shape[0])
    return data if shares is None else _sent(data, shares)


def _sent(data: BlockedPanel, shares: Shares) -> SharedPanel:
    parts = []
    for start, end in pairwise(shares.cuts):
        own = slice(start, end)
        arrays = {name: getattr(data, name)[own] for name in _ARRAYS}
        parts.append(replace(data, **arrays))
    panels = rows_of(_settled, (shares.split(parts),))
    moments = (data.xx, data.xy, data.yy)
    nothing: Any = None
    return SharedPanel(
        nothing, nothing, *moments, data.scale, data.entity_effects, data.time_effects, panels, data.shape[1]
    )


def here(data: PanelArrays) -> PanelArrays:
    """A panel with its arrays in this process."""
    if not isinstance(data, SharedPanel):
        return data
    y, xt = collected(rows_of(_arrays, (data.own,)))
    return BlockedPanel(y, xt, data.xx, data.xy, data.yy, data.scale, data.entity_effects, data.time_effects)
