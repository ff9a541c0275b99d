"""Least squares with factors, groups given, from T by T matrices alone.

With A_k the cross moments of z_i = (y_i, x_i1, ..., x_ip) over the entities of group k, sums of z_ia z_ib', what any
slopes leave has

    sum_i r_i r_i' = sum_k sum_ab w_ka w_kb A_k[a, b],    w_k = (1, -theta_k),

and so have their products with the regressors. The objective, its gradient and the metric of the descent need nothing
else: one pass over the panel serves all iterations and all starts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gifepanel.blocks import Node, block_sums, blocks_of, room
from gifepanel.shares import from_first, sums_of

__all__ = ["GroupMoments", "MomentResiduals", "ResidualMoments"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_FEW = 0.25  # share of the entities that may have moved for moments to be brought up to date


@dataclass(frozen=True, eq=False)
class GroupMoments:
    """Cross moments by group.

    Attributes
    ----------
    groups : ndarray of int64, shape (N,)
    centre : ndarray, shape (p + 1, T)
        What was taken off outcome and regressors first: about their means where these go with time effects.
    counts : ndarray, shape (K,)
        Entities of each group.
    sums : ndarray, shape (K, p + 1, T)
        Of outcome and regressors over the entities.
    products : ndarray, shape (K, p + 1, T, p + 1, T)
        A_k.
    demeaned : bool
        Whether period means are taken out of residuals.
    """

    groups: IntArray
    centre: Array
    counts: Array
    sums: Array
    products: Array
    demeaned: bool

    @classmethod
    def of(cls, panel: Any, groups: IntArray, n_groups: int, *, demeaned: bool) -> GroupMoments:
        """The moments of a panel with ``y`` (N, T) and ``xt`` (N, p, T), or of its shares."""
        centre = from_first(_centre, (panel,), demeaned)
        found = _moments(panel, centre, groups, n_groups, None)
        return cls(np.array(groups, dtype=np.int64), centre, *found, demeaned)

    def moved(self, panel: Any, groups: IntArray) -> GroupMoments:
        """The moments of other groups, of the same panel."""
        n_groups = len(self.counts)
        changed = np.flatnonzero(groups != self.groups)
        if not changed.size:
            return self
        if changed.size > _FEW * len(groups):
            return self.of(panel, groups, n_groups, demeaned=self.demeaned)
        came = _moments(panel, self.centre, groups, n_groups, changed)
        went = _moments(panel, self.centre, self.groups, n_groups, changed)
        own = (self.counts, self.sums, self.products)
        counts, sums, products = (a + (b - c) for a, b, c in zip(own, came, went, strict=True))
        return replace(self, groups=np.array(groups, dtype=np.int64), counts=counts, sums=sums, products=products)

    def _parts(self, alpha: Array) -> tuple[Array, Array, Array, Array]:
        """Weights (K, p + 1), sums of what they leave of z, what its centre adds (K, T), and the mean (T,)."""
        weights = np.hstack([np.ones((len(alpha), 1)), -alpha])
        sums = np.einsum("ka,kat->kt", weights, self.sums)
        shift = weights @ self.centre
        mean = np.zeros(shift.shape[1])
        if self.demeaned:
            mean = (sums.sum(axis=0) + self.counts @ shift) / self.counts.sum()
        return weights, sums, shift - mean, mean

    def residuals(self, alpha: Array) -> ResidualMoments:
        """Moments of what the slopes of the groups (K, p) leave."""
        weights, sums, shift, mean = self._parts(alpha)
        with_all = np.einsum("ka,katbs->kbts", weights, self.products)
        gram = np.einsum("kb,kbts->ts", weights, with_all)
        outer = sums.T @ shift
        gram += outer + outer.T + (shift.T * self.counts) @ shift
        with_x = with_all[:, 1:]
        if self.demeaned:
            own, centre = self.sums[:, 1:], self.centre[1:]
            with_x = with_x + sums[:, None, :, None] * centre[None, :, None, :]
            with_x += shift[:, None, :, None] * (own + self.counts[:, None, None] * centre)[:, :, None, :]
        return ResidualMoments(gram, mean, with_x)

    def between(self, alpha: Array, other: Array) -> Array:
        """Sum of r_i q_i' (T, T), r and q what two sets of slopes leave."""
        one, sums, shift, _ = self._parts(alpha)
        two, sums2, shift2, _ = self._parts(other)
        both = np.einsum("ka,katbs->kbts", one, self.products)
        out = np.einsum("kb,kbts->ts", two, both)
        return np.asarray(out + sums.T @ shift2 + shift.T @ sums2 + (shift.T * self.counts) @ shift2)

    def regressors(self, factors: Array) -> tuple[Array, Array]:
        """Sums of X_i'M_F X_i by group (K, p, p), and of regressors (K, p, T)."""
        t = factors.shape[0]
        own, centre, counts = self.sums[:, 1:], self.centre[1:], self.counts
        total = own + counts[:, None, None] * centre
        products = self.products[:, 1:, :, 1:]
        trace = np.einsum("katbt->kab", products)
        seen = np.einsum("katbs,sr->katbr", products, factors)
        taken = np.einsum("katbr,tr->kab", seen, factors)
        if self.demeaned:
            cross = np.einsum("kat,bt->kab", own, centre)
            trace = trace + cross + cross.swapaxes(1, 2) + counts[:, None, None] * (centre @ centre.T)
            mine, base = own @ factors, centre @ factors
            cross = np.einsum("kar,br->kab", mine, base)
            taken = taken + cross + cross.swapaxes(1, 2) + counts[:, None, None] * (base @ base.T)
        return trace - taken / t, total


@dataclass(frozen=True, eq=False)
class ResidualMoments:
    """Of residuals r at some slopes, less their mean where there are time effects.

    Attributes
    ----------
    gram : ndarray, shape (T, T)
        Sum of r_i r_i'.
    mean : ndarray, shape (T,)
        That was taken off.
    with_regressors : ndarray, shape (K, p, T, T)
        Sums of r_i x_ij' by group.
    """

    gram: Array
    mean: Array
    with_regressors: Array


@dataclass(frozen=True, eq=False)
class MomentResiduals:
    """Residuals after factors that nobody has written down, for their distance to others.

    Attributes
    ----------
    moments : GroupMoments
    alpha : ndarray, shape (K, p)
    factors : ndarray, shape (T, R)
    """

    moments: GroupMoments
    alpha: Array
    factors: Array

    def distance(self, other: MomentResiduals) -> float:
        """The sum of squared differences."""
        if other.moments is not self.moments:
            return float("inf")
        between = self.moments.between
        squares = [
            _trace(between(one.alpha, two.alpha), one.factors, two.factors)
            for one, two in ((self, self), (other, other), (self, other))
        ]
        return max(0.0, squares[0] + squares[1] - 2.0 * squares[2])


def _trace(gram: Array, left: Array, right: Array) -> float:
    """tr(M_left gram M_right), which is that of M_right M_left gram."""
    t = len(gram)
    first = gram - left @ (left.T @ gram) / t
    return float(np.trace(first) - np.einsum("tr,ts,sr->", right, first, right) / t)


def _centre(_: int, panel: Any, demeaned: bool) -> Array:
    """About the means over entities, of outcome and regressors; zeros where these do not go."""
    y, xt = panel.y, panel.xt
    out = np.zeros((xt.shape[1] + 1, y.shape[1]))
    if demeaned:
        first = blocks_of(*y.shape)[0]
        out[0], out[1:] = y[first].mean(axis=0), xt[first].mean(axis=0)
    return out


def _moments(
    panel: Any, centre: Array, groups: IntArray, n_groups: int, units: IntArray | None
) -> tuple[Array, Array, Array]:
    """Counts, sums and products by group, of all units or of some."""
    width, t = centre.shape
    size = width * t
    labels = np.array(groups, dtype=np.min_scalar_type(-n_groups))
    if units is not None:
        labels[:], labels[units] = -1, groups[units]
    total = sums_of(_moment_sums, (panel, labels), centre, n_groups, units is None)
    sums = total[:, 1 : 1 + size].reshape(n_groups, width, t)
    return total[:, 0].copy(), sums.copy(), total[:, 1 + size :].reshape(n_groups, width, t, width, t).copy()


def _moment_sums(
    first: int, panel: Any, labels: IntArray, centre: Array, n_groups: int, all_of_them: bool
) -> list[Node]:
    """Of units by their labels, of which -1 counts nowhere."""
    y, xt = panel.y, panel.xt
    width, t = centre.shape
    size = width * t

    def part(block: slice) -> Array:
        out = np.zeros((n_groups, 1 + size + size * size))
        own: Any = block if all_of_them else block.start + np.flatnonzero(labels[block] >= 0)
        of_block = labels[own]
        if not len(of_block):
            return out
        z = room("z", len(of_block), width, t)
        np.subtract(y[own], centre[0], out=z[:, 0])
        np.subtract(xt[own], centre[1:], out=z[:, 1:])
        for k in range(n_groups):
            units = np.flatnonzero(of_block == k)
            members = np.take(z, units, axis=0, out=room("members", len(units), width, t), mode="clip").reshape(
                -1, size
            )
            out[k, 0] = len(members)
            out[k, 1 : 1 + size] = members.sum(axis=0)
            out[k, 1 + size :] = (members.T @ members).ravel()
        return out

    return block_sums(part, len(y), max(1, size // 8), first)
