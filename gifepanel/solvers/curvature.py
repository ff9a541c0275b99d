"""Second derivatives of least squares in unit slopes, the factors concentrated out.

Let fitted values change by D = (x_it's_i), with residuals e, and factors f_r and loadings l_r of unit length with
singular values v_r. Then least squares given the best factors changes in second order by

    ||M_L D M_F||^2 - 2 sum_r (D f_r)' e (D'l_r) / v_r.

It is the quadratic form in changes of slopes, loadings and factors, the last two eliminated to first order in e over
v_r. Entities meet in sums over blocks of them; residuals are made anew in every pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gifepanel.blocks import Node, block_sums, each_block
from gifepanel.kernels.passes import gradient_pass, residual_pass
from gifepanel.shares import rows_of, sums_of
from gifepanel.solvers.arrays import Array, Components, PanelArrays

__all__ = ["Curvature"]


class _Point(NamedTuple):
    """Orthonormal factors (T, R), the time effect (T,), and one over the singular values (R,), zero where these are."""

    factors: Array
    effect: Array
    over: Array


class _Met(NamedTuple):
    """What entities meet in: the mean of D (T,), D'L (T, R), L'D F (R, R) and F'D'e (R, T)."""

    mean: Array
    by_period: Array
    both: Array
    of_resid: Array


@dataclass(frozen=True)
class Curvature:
    """At one set of unit slopes.

    Attributes
    ----------
    data : PanelArrays
        In memory, in blocks or in shares.
    beta : ndarray, shape (N, p)
    point : tuple of ndarray
        Orthonormal factors (T, R), the time effect (T,), one over the singular values (R,).
    """

    data: PanelArrays
    beta: Array
    point: _Point

    @classmethod
    def at(cls, data: PanelArrays, beta: Array, components: Components) -> Curvature:
        """At unit slopes (N, p) and their components."""
        factors = components.factors / np.sqrt(data.shape[1])
        none = _Point(factors, components.time_effect, np.zeros(factors.shape[1]))
        values = np.sqrt(sums_of(_squared_scores, (data.own, beta), none))
        lost = values <= np.finfo(float).eps * values.max(initial=0.0)
        return cls(data, beta, none._replace(over=np.where(lost, 0.0, 1.0 / np.where(lost, 1.0, values))))

    def times(self, slopes: Array) -> Array:
        """Half the derivative of the quadratic form at a change of unit slopes (N, p): an (N, p) array."""
        n, t, _ = self.data.shape
        r, rows = len(self.point.over), (self.data.own, self.beta, slopes)
        total = sums_of(_met, rows, self.point)
        first, second, third = t, t + t * r, t + t * r + r * r
        mean = total[:first] / n if self.data.time_effects else np.zeros(t)
        by_period, both = total[first:second].reshape(t, r), total[second:third].reshape(r, r)
        met = _Met(mean, by_period, both, total[third:].reshape(r, t))
        found: Array = rows_of(_times, rows, self.point, met)
        return found


def _residuals(panel: PanelArrays, block: slice, beta: Array, point: _Point) -> tuple[Array, Array]:
    """What slopes, factors and time effect leave of some entities (m, T), and what factors had of it (m, R)."""
    left = np.empty_like(panel.y[block])
    residual_pass(panel.y[block], panel.xt[block], np.ascontiguousarray(beta[block]), left)
    if panel.time_effects:
        left -= point.effect
    scores = left @ point.factors
    left -= scores @ point.factors.T
    return left, scores


def _changes(panel: PanelArrays, block: slice, slopes: Array) -> Array:
    """-D of some entities (m, T)."""
    out = np.empty_like(panel.y[block])
    residual_pass(np.zeros_like(out), panel.xt[block], np.ascontiguousarray(slopes[block]), out)
    return out


def _squared_scores(first: int, panel: PanelArrays, beta: Array, point: _Point) -> list[Node]:
    n, t = panel.y.shape

    def part(block: slice) -> Array:
        return np.asarray(np.square(_residuals(panel, block, beta, point)[1]).sum(axis=0))

    return block_sums(part, n, t, first)


def _met(first: int, panel: PanelArrays, beta: Array, slopes: Array, point: _Point) -> list[Node]:
    """See :class:`_Met`, one behind the other, of -D and with the sum for the mean."""
    n, t = panel.y.shape

    def part(block: slice) -> Array:
        resid, scores = _residuals(panel, block, beta, point)
        change, loadings = _changes(panel, block, slopes), scores * point.over
        by_unit = change @ point.factors
        several = (change.sum(axis=0), change.T @ loadings, loadings.T @ by_unit, by_unit.T @ resid)
        return np.concatenate([one.ravel() for one in several])

    return block_sums(part, n, t, first)


def _times(_: int, panel: PanelArrays, beta: Array, slopes: Array, point: _Point, met: _Met) -> Array:
    n, t = panel.y.shape
    out = np.empty_like(slopes)

    def fill(block: slice) -> None:
        resid, scores = _residuals(panel, block, beta, point)
        change, loadings = _changes(panel, block, slopes), scores * point.over
        change -= met.mean
        follow = change @ point.factors - loadings @ met.both + (resid @ met.by_period) * point.over
        change -= follow @ point.factors.T
        change -= loadings @ (met.by_period.T + point.over[:, None] * met.of_resid)
        out[block] = -gradient_pass(panel.xt[block], change)

    each_block(fill, n, t)
    return out
