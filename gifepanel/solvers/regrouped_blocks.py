"""A search over groupings of a large balanced panel: the same alternation in passes over blocks of entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.blocks import each_block, sum_over_blocks
from gifepanel.kernels.passes import residual_pass
from gifepanel.kernels.regroup import assign, orthonormalise, own_losses, slopes_given_groups
from gifepanel.solvers.arrays import Array, PanelArrays
from gifepanel.solvers.blocked import BlockedPanel
from gifepanel.solvers.regrouped import RegroupedPanel

__all__ = ["RegroupedBlocks", "regrouped"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_REASSIGNMENTS = 4


def regrouped(data: PanelArrays) -> RegroupedPanel:
    """What a search over groupings asks of a panel."""
    return RegroupedBlocks(data) if isinstance(data, BlockedPanel) else RegroupedPanel(data)


@dataclass(frozen=True)
class RegroupedBlocks(RegroupedPanel):
    """A panel in blocks."""

    data: BlockedPanel

    def alternate(
        self,
        slots: IntArray,
        groups: IntArray,
        theta: Array,
        factors: Array,
        effect: Array,
        reassign: bool,
        rounds: int,
        tol: float,
        cutoff: float,
        known: IntArray | None = None,
    ) -> float:
        """As :func:`gifepanel.kernels.regroup.alternate`.

        Of so many entities some nearly always move: it ends as soon as the sum of squares stands, or is too far away.
        """
        n, q = len(groups), theta.size
        gram, rhs = np.empty((q, q)), np.empty(q)
        loss, counts = np.empty(n), np.empty(len(slots), dtype=np.int64)
        previous, done = np.inf, 0
        while True:
            quadratics = self.quadratics(factors, effect)
            a, c, s = quadratics.a, quadratics.c, quadratics.s
            slopes_given_groups(a, c, slots, groups, theta, gram, rhs)
            moved = 0
            for _ in range(_REASSIGNMENTS if reassign else 0):
                now = assign(a, c, s, slots, theta, groups, loss, counts)
                if now == 0:
                    break
                moved += now
                slopes_given_groups(a, c, slots, groups, theta, gram, rhs)
            ssr = float(own_losses(a, c, s, slots, theta, groups))
            done += 1
            fall = previous - ssr
            stands = fall <= tol * ssr or (done > 3 and ssr - 20.0 * fall > cutoff)
            if done >= rounds or (factors.shape[1] == 0 and not self.data.time_effects and moved == 0) or stands:
                return ssr
            previous = ssr
            self._step(theta[slots][groups], factors, effect)

    def _step(self, beta: Array, factors: Array, effect: Array) -> None:
        """One step of subspace iteration, and the time effect, in place."""
        data = self.data
        n, t, _ = data.shape
        r = factors.shape[1]

        def products(block: slice) -> Array:
            resid = self._left(beta, effect, block)
            out = np.empty((r + 1, t))
            np.matmul((resid @ factors).T, resid, out=out[:r])
            resid.sum(axis=0, out=out[r])
            return out

        total = sum_over_blocks(products, n, t)
        rows = total[:r]
        if data.time_effects:
            mean = total[r] / n
            rows -= n * np.outer(mean @ factors, mean)
            effect += mean
        orthonormalise(rows)
        factors[:] = rows.T

    def _left(self, beta: Array, effect: Array, block: slice) -> Array:
        data = self.data
        resid = np.empty_like(data.y[block])
        residual_pass(data.y[block], data.xt[block], np.ascontiguousarray(beta[block]), resid)
        if data.time_effects:
            resid -= effect
        return resid

    def loadings(self, beta: Array, factors: Array, effect: Array) -> Array:
        """Loadings at unit slopes."""
        n, t, _ = self.data.shape
        return np.concatenate(each_block(lambda block: self._left(beta, effect, block) @ factors, n, t))
