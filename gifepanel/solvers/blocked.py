"""A large balanced panel, worked on in blocks of entities.

Entities meet in sums of T by T matrices and of moments by group alone. Residuals are therefore made block by block and
thrown away; the one copy of the data that there is, entities and regressors in canonical order, is changed in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gifepanel.blocks import Node, block_sums, blocks_of, each_block, is_large, room
from gifepanel.kernels.passes import cross_moments, deflate, residual_pass
from gifepanel.kernels.permute import permute_rows
from gifepanel.shares import from_first, from_shares, rows_of, sums_of
from gifepanel.solvers.arrays import (
    Array,
    Components,
    PanelArrays,
    UnitQuadratics,
    components_of_gram,
    components_of_triangle,
    demean,
    prepare,
)
from gifepanel.solvers.group_moments import GroupMoments

__all__ = ["BlockedPanel", "prepare_panel"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class BlockedPanel(PanelArrays):
    """As :class:`PanelArrays`; components have no loadings, and :meth:`rescaled` overwrites the regressors."""

    def __sizeof__(self) -> int:
        return 64 + sum(one.nbytes for one in (self.y, self.xt, self.xx, self.xy, self.yy))

    def room(self) -> Array:
        """Nothing: residuals are not kept."""
        return np.empty((0, 0))

    def components(
        self, beta: Array, n_factors: int, *, last: Components | None = None, room: Array | None = None
    ) -> Components:
        """Factors and time effect at unit slopes (N, p); no loadings."""
        n, t, _ = self.shape
        about = from_first(_first_mean, (self.own, beta)) if self.time_effects else np.zeros(t)
        total = sums_of(_residual_sums, (self.own, beta), about, n_factors)
        gram, mean = total[:t], total[t] / n
        if n_factors:
            gram -= n * np.outer(mean, mean)
        else:
            gram[0, 0] -= n * (mean @ mean)
        found = components_of_gram(gram, about + mean, n, n_factors)
        return self._exact_components(beta, about + mean, n_factors) if found is None else found

    def residuals(self, beta: Array, block: slice) -> Array:
        """What unit slopes (N, p) leave of some entities, until this thread asks for those of others."""
        y = self.y[block]
        resid = room("residuals", *y.shape)
        residual_pass(y, self.xt[block], np.ascontiguousarray(beta[block]), resid)
        return resid

    def _exact_components(self, beta: Array, mean: Array, n_factors: int) -> Components:
        """Where factors leave next to nothing: from a triangle of the residuals, not from their squares."""
        n = self.shape[0]
        parts = [one for share in from_shares(_residual_triangles, (self.own, beta), mean) for one in share]
        return components_of_triangle(np.asarray(np.linalg.qr(np.concatenate(parts), mode="r")), mean, n, n_factors)

    def quadratics(self, components: Components) -> UnitQuadratics:
        """Every unit's sum of squares under factors and time effect."""
        found: UnitQuadratics = rows_of(_quadratics, (self.own,), components.factors, components.time_effect)
        return found

    def rescaled(self, factor: Array) -> BlockedPanel:
        """The same panel with regressor j divided by ``factor[j]``, in place."""

        def divide(block: slice) -> None:
            self.xt[block] /= factor[None, :, None]

        each_block(divide, *self.shape[:2])
        return replace(
            self,
            xx=self.xx / (factor[:, None] * factor),
            xy=self.xy / factor,
            scale=self.scale * factor,
        )

    def group_moments(self, groups: IntArray, n_groups: int) -> GroupMoments:
        """Moments by group, those of the last groups brought up to date where few entities have moved."""
        known = self.__dict__.get("_moments")
        if known is None or len(known.counts) != n_groups:
            found = GroupMoments.of(self.own, groups, n_groups, demeaned=self.time_effects)
        else:
            found = known.moved(self.own, groups)
        self.__dict__["_moments"] = found
        return found


def _first_mean(_: int, panel: BlockedPanel, beta: Array) -> Array:
    """About the means of residuals over entities."""
    n, t, _p = panel.shape
    return np.asarray(panel.residuals(beta, blocks_of(n, t)[0]).mean(axis=0))


def _residual_sums(first: int, panel: BlockedPanel, beta: Array, about: Array, n_factors: int) -> list[Node]:
    """Cross products of residuals (T, T), or in one place their sum of squares; below, with time effects, their sum."""
    n, t, _ = panel.shape

    def sums(block: slice) -> Array:
        resid = panel.residuals(beta, block)
        out = np.zeros((t + 1, t))
        if panel.time_effects:
            resid -= about
            resid.sum(axis=0, out=out[t])
        if n_factors:
            np.matmul(resid.T, resid, out=out[:t])
        else:
            out[0, 0] = np.vdot(resid, resid)
        return out

    return block_sums(sums, n, t, first)


def _residual_triangles(_: int, panel: BlockedPanel, beta: Array, mean: Array) -> list[Array]:
    n, t, _p = panel.shape
    return each_block(lambda block: np.asarray(np.linalg.qr(panel.residuals(beta, block) - mean, mode="r")), n, t)


def _quadratics(_: int, panel: BlockedPanel, factors: Array, effect: Array) -> UnitQuadratics:
    n, t, p = panel.shape
    if factors.shape[1] == 0 and not panel.time_effects:
        return UnitQuadratics(panel.xx, panel.xy, panel.yy)
    a, c, s = np.empty_like(panel.xx), np.empty_like(panel.xy), np.empty_like(panel.yy)

    def fill(block: slice) -> None:
        y, x = panel.y[block], panel.xt[block].reshape(-1, t)
        xy, yy, y_factors = panel.xy[block], panel.yy[block], y @ factors
        if panel.time_effects:
            yy = yy - 2.0 * (y @ effect) + effect @ effect
            xy = xy - (x @ effect).reshape(-1, p)
            y_factors = y_factors - effect @ factors
        x_factors = (x @ factors).reshape(len(y), p, -1)
        deflate(panel.xx[block], xy, yy, x_factors, y_factors, t, a[block], c[block], s[block])

    each_block(fill, n, t)
    return UnitQuadratics(a, c, s)


def prepare_panel(
    y: Array, x: Array, *, entity_effects: bool = False, time_effects: bool = False, standardize: bool = False
) -> PanelArrays:
    """As :func:`gifepanel.solvers.arrays.prepare`, in blocks where the panel is large."""
    n, t, p = x.shape
    if not is_large(n, t, p) or n < t:
        return prepare(y, x, entity_effects=entity_effects, time_effects=time_effects, standardize=standardize)
    own, xt, by_unit = np.empty((n, t)), np.empty((n, p, t)), np.empty((n, p))

    def lay_out(block: slice) -> None:
        own[block] = y[block]
        xt[block] = np.swapaxes(x[block], 1, 2)
        if entity_effects:
            demean(own[block])
            demean(xt[block])
        np.square(xt[block]).sum(axis=2, out=by_unit[block])

    each_block(lay_out, n, t)
    scale = np.ones(p)
    if standardize:
        rms = np.sqrt([math.fsum(column) / (n * t) for column in by_unit.T])
        scale = np.where(rms > 0, rms, 1.0)

        def divide(block: slice) -> None:
            xt[block] /= scale[None, :, None]

        each_block(divide, n, t)
    return BlockedPanel(own, xt, *moments_of_units(own, xt), scale, entity_effects, time_effects)


def moments_of_units(y: Array, xt: Array) -> tuple[Array, Array, Array]:
    """X_i'X_i, X_i'y_i and y_i'y_i."""
    found = each_block(lambda block: cross_moments(y[block], xt[block]), *y.shape)
    xx, xy, yy = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return xx, xy, yy


def largest(data: PanelArrays) -> tuple[float, Array]:
    """Largest absolute values of the outcome, and of every regressor (p,)."""
    n, t, p = data.shape

    def ends(block: slice) -> Array:
        y, x = data.y[block], data.xt[block]
        low, high = x.min(axis=(0, 2)), x.max(axis=(0, 2))
        return np.append(np.maximum(-low, high), max(-y.min(), y.max()))

    found = np.max(each_block(ends, n, t), axis=0)
    return float(found[p]), found[:p]


def reordered(
    data: PanelArrays, units: IntArray, columns: IntArray, factor: Array, y_factor: float
) -> tuple[Array, Array]:
    """Outcome and regressors in another order and times `factor` (p,), in place: the data are not to be used again."""
    n, t, _ = data.shape
    y, xt = data.y, data.xt
    permute_rows(y, units)
    permute_rows(xt.reshape(n, -1), units)

    def change(block: slice) -> None:
        y[block] *= y_factor
        xt[block] = xt[block][:, columns] * factor[:, None]

    each_block(change, n, t)
    return y, xt


def copied(data: BlockedPanel) -> BlockedPanel:
    """The panel with arrays of its own, which may be overwritten."""
    return replace(data, y=data.y.copy(), xt=data.xt.copy())


def first_sign(values: Array, units: IntArray) -> float:
    """The sign of the first value (N, T) that is not zero, units in this order; 1 where all are."""
    for block in blocks_of(*values.shape):
        flat = values[units[block]].ravel()
        found = np.flatnonzero(flat)
        if found.size:
            return -1.0 if flat[found[0]] < 0.0 else 1.0
    return 1.0


def order_of_rows(y: Array, further: Callable[[IntArray], Array]) -> IntArray:
    """Units by the absolute values of y (N, T) over time; where all of them tie, by further columns of such units.

    Parameters
    ----------
    y : ndarray, shape (N, T)
    further : callable
        Columns (m, c) of some units (m,).
    """
    n, t = y.shape
    order = np.argsort(np.abs(y[:, 0]), kind="stable").astype(np.int64)
    width = 1
    while True:
        # units that tie in all columns so far are brought into order among themselves, by more of them
        same = np.ones(n - 1, dtype=bool)
        for j in range(width):
            same &= np.abs(y[order[1:], j]) == np.abs(y[order[:-1], j])
        if not same.any():
            return order
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        run = np.cumsum(~np.append(False, same))[tied]
        rows = order[tied]
        if width == t:
            keys = further(rows)
            order[tied] = rows[np.lexsort([*keys.T[::-1], run])]
            return order
        width = min(t, 4 * width)
        order[tied] = rows[np.lexsort([*np.abs(y[rows, :width]).T[::-1], run])]
