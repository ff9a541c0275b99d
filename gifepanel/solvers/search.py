"""Search over groupings: least squares under factors has many local minima in the groups.

From groupings given, descents of :func:`gifepanel.kernels.regroup.alternate`, or on observed cells of
:func:`gifepanel.kernels.regroup_cells.alternate_on_cells`. Then, from one of the best so far, a
group's slopes are replaced by those of an entity that its own group fits badly (random swaps; Fränti 2018, *Journal of
Big Data* 5:13), now and then at random factors, or a share of the entities goes to groups drawn at random (iterated
local search; Lourenço, Martin and Stützle 2003); and single entities are moved, those with the least to lose first, and
the factors follow (the exchanges of Hartigan and Wong 1979 with factors). Of a few entities, all groupings are tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from math import comb, factorial
from typing import Any

import numpy as np

from gifepanel.kernels.passes import unit_ssr
from gifepanel.solvers.arrays import Array, UnitQuadratics
from gifepanel.solvers.classify import best_groups, fill_empty, losses_of_units
from gifepanel.solvers.heterogeneous import unit_minimisers
from gifepanel.solvers.regrouped import Regrouped

__all__ = ["Grouping", "Start", "assigned", "descended", "search_groupings"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_TOL, _ROUNDS = 1e-7, 60
_EXACT_TOL, _EXACT_ROUNDS = 1e-10, 400
_HELD = 5
# a move that costs more than this share of the entity's sum of squares is not tried
_DEAR = 0.5
# shares of the entities that shakes move, and of how many of the best groupings one is drawn to start from
_SHAKEN, _POOL = (0.05, 0.15, 0.3), 6
_SAME, _NEAR, _NEAREST = 1e-9, 1e-5, 3
# swaps and shakes between improvements: one where a pass over the panel takes so many operations, four at half of them,
# since small panels have more minima and cost less; and bounds
_WORK, _FEWEST, _MOST = 2.3e5, 6, 120
_ROUNDS_AT_MOST = 6
# so many groupings are all tried
_ALL = 301
# entities among which all groups are usually found
_FIRST = 256


@dataclass(frozen=True)
class Start:
    """Groups (N,) with orthonormal factors (T, R) and what periods have to begin with."""

    groups: IntArray
    factors: Array
    effect: Array


@dataclass(frozen=True)
class Grouping:
    """Where descents ended.

    Attributes
    ----------
    groups : ndarray of int64, shape (N,)
    theta : ndarray, shape (q,)
    factors : ndarray, shape (T, R)
        Orthonormal.
    effect : ndarray
        Time effect (T,), or coefficients of period columns (m, T).
    ssr : float
    reached : int
        By so many descents.
    """

    groups: IntArray
    theta: Array
    factors: Array
    effect: Array
    ssr: float
    reached: int


@dataclass(frozen=True)
class _Fitted:
    """Units under the slopes of a grouping and some factors: quadratics, own slopes (N, p), cumulated gaps (N,)."""

    grouping: Grouping
    factors: Array
    quadratics: UnitQuadratics
    own: Array
    gap: Array


@dataclass
class _Search:
    data: Regrouped
    slots: IntArray
    free: IntArray
    rng: np.random.Generator
    found: dict[bytes, Grouping] = field(default_factory=dict)
    fits: dict[bytes, _Fitted] = field(default_factory=dict)
    best: Grouping | None = None

    def descend(self, start: Grouping, *, held: bool = False, exact: bool = False) -> Grouping:
        """Alternate from `start`, with `held` at its groups first; what it leads to is put down."""
        data, best = self.data, self.best
        groups, theta = start.groups.astype(np.int64), start.theta.copy()
        factors, effect = start.factors.copy(), start.effect.copy()
        state = (self.slots, groups, theta, factors, effect)
        cutoff = np.inf if best is None or exact else best.ssr
        if held:
            data.alternate(*state, False, _HELD, _TOL, np.inf)
        rounds, tol = (_EXACT_ROUNDS, _EXACT_TOL) if exact else (_ROUNDS, _TOL)
        ssr = data.alternate(*state, True, rounds, tol, cutoff, None if best is None or exact else best.groups)
        key = _key(groups, len(self.slots))
        known = self.found.get(key)
        reached = known.reached + (not exact) if known else 1
        if known is None or ssr < known.ssr:
            known = Grouping(groups, theta, factors, effect, float(ssr), reached)
        self.found[key] = known = replace(known, reached=reached)
        if best is None or ssr < best.ssr * (1.0 - _SAME):
            self.best = known
        return known

    def fitted(self, key: bytes, factors: Array | None = None) -> _Fitted:
        """The units under the slopes of a grouping found, at its factors or others."""
        grouping = self.found[key]
        known = self.fits.get(key)
        if factors is None and known is not None and known.grouping.ssr == grouping.ssr:
            return known
        here = grouping.factors if factors is None else factors
        q = self.data.quadratics(here, grouping.effect)
        own, _ = unit_minimisers(q)
        losses = unit_ssr(q.a, q.c, q.s, grouping.theta[self.slots])
        gap = losses.min(axis=1) - (q.s - np.einsum("np,np->n", q.c, own))
        fit = _Fitted(grouping, here, q, own, np.cumsum(np.maximum(gap, 0.0)))
        if factors is None:
            self.fits[key] = fit
        return fit

    def swap(self, at: _Fitted) -> None:
        """One group's slopes from an entity that is drawn by how badly its group fits it, then a descent."""
        draw = self.rng.random(2)
        unit = min(int(np.searchsorted(at.gap, draw[0] * at.gap[-1], side="right")), len(at.gap) - 1)
        alpha = at.grouping.theta[self.slots]
        group = int(draw[1] * len(alpha))
        alpha[group, self.free] = at.own[unit, self.free]
        q = at.quadratics
        losses = unit_ssr(q.a, q.c, q.s, alpha)
        groups = fill_empty(losses.argmin(axis=1), losses)
        self.descend(replace(at.grouping, groups=groups, factors=at.factors))

    def shake(self, start: Grouping, share: float) -> None:
        """A share of the entities to groups drawn at random, then a descent."""
        n, k = len(start.groups), len(self.slots)
        number = min(max(2, round(share * n)), n)
        groups = start.groups.copy()
        groups[self.rng.permutation(n)[:number]] = self.rng.integers(k, size=number)
        self.descend(replace(start, groups=groups), held=True)

    def leaps(self, number: int) -> None:
        """Swaps and shakes in turn, each from one of the best groupings so far; a swap in four at random factors."""
        shape = self._best.factors.shape
        for turn in range(number):
            near = nsmallest(_POOL, self.found, key=lambda key: self.found[key].ssr)
            key = near[int(self.rng.integers(len(near)))]
            if turn % 2:
                self.shake(self.found[key], _SHAKEN[turn // 2 % len(_SHAKEN)])
            else:
                self.swap(self.fitted(key, self.random_factors(shape) if shape[1] and turn % 8 == 6 else None))

    def random_factors(self, shape: tuple[int, ...]) -> Array:
        return np.asarray(np.linalg.qr(self.rng.standard_normal(shape))[0])

    def every(self, other: Array) -> None:
        """All groupings, at `other` and at the factors of the best grouping."""
        for groups in partitions(self.data.shape[0], len(self.slots)):
            for factors in (other, self._best.factors):
                self.descend(Grouping(groups, self._best.theta, factors, self._best.effect, np.inf, 0), held=True)

    def moves(self, number: int) -> None:
        """Move single entities, the `number` most promising ones, until no move lowers the sum of squares."""
        while True:
            best = self._best
            for unit, group in self._promising(best)[:number]:
                groups = best.groups.copy()
                groups[unit] = group
                self.descend(Grouping(groups, best.theta, best.factors, best.effect, np.inf, 0), held=True)
                if self._best is not best:
                    break
            else:
                return

    def _promising(self, best: Grouping) -> list[tuple[int, int]]:
        """Moves by what they cost at fixed slopes and factors, less what these give when they follow the entity."""
        q = self.data.quadratics(best.factors, best.effect)
        losses = unit_ssr(q.a, q.c, q.s, best.theta[self.slots])
        units = np.arange(len(losses))
        own = losses[units, best.groups]
        loadings = self.data.loadings(best.theta[self.slots][best.groups], best.factors, best.effect)
        leverage = np.square(np.linalg.qr(loadings)[0]).sum(axis=1)
        cost = losses - own[:, None] - leverage[:, None] * (losses + own[:, None])
        cost[units, best.groups] = np.inf
        single = np.bincount(best.groups, minlength=losses.shape[1])[best.groups] == 1
        cost[single] = np.inf
        order = np.argsort(cost, axis=None, kind="stable")[: (cost < _DEAR * own[:, None]).sum()]
        return [divmod(int(position), losses.shape[1]) for position in order]

    def settle(self) -> None:
        """Descend to the end from the groupings that are nearly as good as the best."""
        near = sorted(self.found.values(), key=lambda grouping: grouping.ssr)[:_NEAREST]
        for grouping in near:
            if grouping.ssr <= near[0].ssr * (1.0 + _NEAR):
                self.descend(grouping, exact=True)

    @property
    def _best(self) -> Grouping:
        assert self.best is not None
        return self.best


def descended(data: Regrouped, slots: IntArray, start: Start, theta: Array) -> float:
    """The sum of squares to which groups, slopes and factors by turns lead from a start."""
    given = (start.groups.copy(), theta.copy(), start.factors.copy(), start.effect.copy())
    return data.alternate(slots, *given, True, _ROUNDS, _TOL, np.inf)


def assigned(data: Regrouped, slots: IntArray, grouping: Grouping) -> IntArray:
    """Every entity in the group that fits it best, at the slopes and factors of a grouping of some of them."""
    q = data.quadratics(grouping.factors, grouping.effect)
    return best_groups(losses_of_units(q, grouping.theta[slots]), len(slots))


def _key(groups: IntArray, k: int) -> bytes:
    """The partition, whatever the labels."""
    labels = list(dict.fromkeys(groups[:_FIRST].tolist()))
    if len(labels) < k:
        labels = list(dict.fromkeys(groups.tolist()))
    rank = np.zeros(k, dtype=np.int16)
    rank[labels] = np.arange(len(labels))
    return rank[groups].tobytes()


def partitions(n: int, k: int) -> Iterator[IntArray]:
    """All partitions of n units into k groups, the first unit in the first group, and so on."""

    def extended(groups: list[int], used: int) -> Iterator[IntArray]:
        if len(groups) == n:
            yield np.array(groups, dtype=np.int64)
            return
        fewest = used if n - len(groups) == k - used else 0
        for label in range(fewest, min(used + 1, k)):
            yield from extended([*groups, label], max(used, label + 1))

    yield from extended([], 0)


def n_partitions(n: int, k: int) -> int:
    """Stirling's number of the second kind."""
    return sum((-1) ** (k - j) * comb(k, j) * j**n for j in range(k + 1)) // factorial(k)


def search_groupings(
    data: Regrouped,
    slots: IntArray,
    starts: Iterable[Start],
    rng: np.random.Generator,
    *,
    common: Iterable[int] = (),
    patience: int = 1,
    leaps: int | None = None,
) -> tuple[Grouping, ...]:
    """Groupings met, best first.

    Parameters
    ----------
    data : Regrouped
    slots : ndarray of int64, shape (K, p)
        As in :class:`~gifepanel.solvers.interactive.SlopeMap`.
    starts : iterable of Start
        All groupings, where they are tried, start at the factors of the last one and of the best.
    rng : Generator
    common : iterable of int
        Regressors whose slope is the same in all groups.
    patience : int
        Multiplies the number of swaps and shakes without improvement after which the search ends.
    leaps : int, optional
        That number itself; by default it follows the size of the panel.
    """
    n, t, p = data.shape
    free = np.setdiff1d(np.arange(p), np.asarray(list(common), dtype=np.int64))
    search = _Search(data, slots, free, rng)
    other = np.empty((t, 0))
    for start in starts:
        other = start.factors
        search.descend(Grouping(start.groups, np.zeros(int(slots.max()) + 1), other, start.effect, np.inf, 0))
    r = other.shape[1]
    work = data.n_cells * (p * max(r, 2) + 4 * max(r, 2) + p)
    number = patience * int(np.clip((_WORK / work) ** 2, _FEWEST, _MOST)) if leaps is None else leaps
    if n <= _ALL and n_partitions(n, len(slots)) <= _ALL:
        search.every(other)
    for _ in range(_ROUNDS_AT_MOST):
        before = search._best.ssr
        search.leaps(number)
        search.moves(max(number // 3, _FEWEST // 2))
        if not search._best.ssr < before * (1.0 - _SAME):
            break
    search.settle()
    return tuple(sorted(search.found.values(), key=lambda grouping: grouping.ssr))
