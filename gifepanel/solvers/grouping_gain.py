"""What groups gain in fit, and what they would gain by chance: a parametric bootstrap of least squares.

The statistic compares two groupings of slopes under the same number of factors,

    (SSR_0 - SSR_1) / (SSR_1 / df_1),

the second with more groups, or with fewer slopes in common. Its distribution under the first is not chi-squared, since
groups are chosen to gain as much as they can; it is simulated: outcomes are drawn from the first model, and both are
fitted to them as to the data, by the same short search. A shorter search gains less, on the data and on the draws
alike, so that the test holds whatever its length.

Errors are whole series of residuals of the first model that change hands: an entity gets the series of another one,
with a random sign, in units of its own standard deviation. Serial correlation and variances of entities survive; that
regressors and errors of an entity have nothing to do with each other is what the first model says. (Signs of an
entity's own residuals would not do: where slopes differ, residuals hold x_i'(b_i - b), and with any sign they form the
same groups again.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gifepanel.kernels.passes import unit_ssr
from gifepanel.solvers.arrays import Array
from gifepanel.solvers.classify import fill_empty
from gifepanel.solvers.heterogeneous import unit_minimisers
from gifepanel.solvers.interactive import SlopeMap
from gifepanel.solvers.regrouped import Regrouped
from gifepanel.solvers.search import Grouping, Start, search_groupings

__all__ = ["Contrast", "Errors", "Gain", "GainDraws", "Grouped", "bootstrapped_gain", "gain", "redrawn_errors"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Errors = Literal["series", "cells"]
_STARTS, _LEAPS = 6, 12
_ROUNDS, _TOL = 2_000, 1e-10
_EXACT = 1e-24


@dataclass(frozen=True)
class Grouped:
    """A grouping of slopes: so many groups, and the regressors (positions) whose slope is common."""

    n_groups: int
    common: tuple[int, ...]

    def slots(self, p: int) -> IntArray:
        """(K, p), as in :class:`~gifepanel.solvers.interactive.SlopeMap`."""
        return SlopeMap.grouped(np.zeros(1, dtype=np.int64), self.n_groups, p, self.common).slots

    def size(self, p: int) -> int:
        """Number of slopes."""
        return len(self.common) + self.n_groups * (p - len(self.common))


@dataclass(frozen=True, eq=False)
class Contrast:
    """Two groupings of slopes.

    Attributes
    ----------
    null, alternative : ndarray of int64, shapes (K_0, p) and (K_1, p)
        As in :class:`~gifepanel.solvers.interactive.SlopeMap`.
    common_null, common_alternative : tuple of int
        Regressors whose slope is the same in all groups.
    df : float
        Residual degrees of freedom of the alternative.
    """

    null: IntArray
    alternative: IntArray
    common_null: tuple[int, ...]
    common_alternative: tuple[int, ...]
    df: float


@dataclass(frozen=True, eq=False)
class Gain:
    """Both fits to one panel.

    Attributes
    ----------
    statistic : float
    null, alternative : Grouping
    smallest : int
        Entities in the smallest group of the alternative.
    """

    statistic: float
    null: Grouping
    alternative: Grouping
    smallest: int


@dataclass(frozen=True, eq=False)
class GainDraws:
    """A statistic with its bootstrap.

    Attributes
    ----------
    statistic : float
    ssr_null, ssr_alternative : float
        In units of the data.
    smallest : int
        Entities in the smallest group of the alternative.
    draws : ndarray, shape (B,)
    smallest_drawn : ndarray of int64, shape (B,)
    """

    statistic: float
    ssr_null: float
    ssr_alternative: float
    smallest: int
    draws: Array
    smallest_drawn: IntArray


def gain(
    data: Regrouped, contrast: Contrast, start: Start, rng: np.random.Generator, known: Start | None = None
) -> Gain:
    """Fit both to a panel, the null from `start`, the alternative from the null.

    Parameters
    ----------
    data : Regrouped
    contrast : Contrast
    start : Start
        Groups and factors of the null model.
    rng : Generator
    known : Start, optional
        Those of the alternative, where it was fitted already: the search begins there too.
    """
    null = _null(data, contrast, start, rng)
    starts = [*_starts(data, contrast, null, rng), *([] if known is None else [known])]
    common = contrast.common_alternative
    found = search_groupings(data, contrast.alternative, starts, rng, common=common, leaps=_LEAPS)[0]
    smallest = int(np.bincount(found.groups, minlength=len(contrast.alternative)).min())
    # the null is nested: what a descent left is no loss
    less = max(null.ssr - found.ssr, 0.0)
    exact = float("inf") if less > 0.0 else 0.0
    value = exact if found.ssr <= _EXACT * null.ssr else contrast.df * less / found.ssr
    return Gain(float(value), null, found, smallest)


def _null(data: Regrouped, contrast: Contrast, start: Start, rng: np.random.Generator) -> Grouping:
    slots = contrast.null
    if len(slots) > 1:
        return search_groupings(data, slots, [start], rng, common=contrast.common_null, leaps=_LEAPS)[0]
    groups, factors, effect = start.groups.copy(), start.factors.copy(), start.effect.copy()
    theta = np.zeros(int(slots.max()) + 1)
    ssr = data.alternate(slots, groups, theta, factors, effect, False, _ROUNDS, _TOL, np.inf)
    return Grouping(groups, theta, factors, effect, float(ssr), 1)


def _starts(data: Regrouped, contrast: Contrast, null: Grouping, rng: np.random.Generator) -> Iterator[Start]:
    """Groups to begin with: those of the null, and others with slopes of entities that the null fits badly."""
    q = data.quadratics(null.factors, null.effect)
    own, _ = unit_minimisers(q)
    best = q.s - np.einsum("np,np->n", q.c, own)
    before = null.theta[contrast.null]
    n_groups, p = contrast.alternative.shape
    free = np.setdiff1d(np.arange(p), contrast.common_alternative)
    losses = np.full((len(own), n_groups), np.inf)
    losses[:, : len(before)] = unit_ssr(q.a, q.c, q.s, before)
    yield Start(fill_empty(null.groups, losses), null.factors, null.effect)
    for number in range(_STARTS):
        known = before[rng.permutation(len(before))[: len(before) if number % 2 else 1]]
        alpha = [*known[:n_groups]]
        while len(alpha) < n_groups:
            gap = np.cumsum(np.maximum(unit_ssr(q.a, q.c, q.s, np.array(alpha)).min(axis=1) - best, 0.0))
            unit = min(int(np.searchsorted(gap, rng.random() * gap[-1], side="right")), len(gap) - 1)
            centre = known[0].copy()
            centre[free] = own[unit, free]
            alpha.append(centre)
        losses = unit_ssr(q.a, q.c, q.s, np.array(alpha))
        yield Start(fill_empty(losses.argmin(axis=1).astype(np.int64), losses), null.factors, null.effect)


def redrawn_errors(resid: Array, starts: IntArray, errors: Errors, rng: np.random.Generator) -> Array:
    """Errors (n,) of a draw.

    Parameters
    ----------
    resid : ndarray, shape (n,)
        Residuals, entity by entity.
    starts : ndarray of int64, shape (N + 1,)
        Where those of each entity begin, and the end of the last.
    errors : {"series", "cells"}
        "series": series change hands, with a random sign, in units of standard deviations; one that is too short begins
        again. "cells": residuals stay where they are, each with a sign of its own.
    rng : Generator
    """
    if errors == "cells":
        return np.asarray(resid * rng.choice([-1.0, 1.0], size=resid.size))
    counts = np.diff(starts)
    n = len(counts)
    size = np.sqrt(np.add.reduceat(resid**2, starts[:-1]) / counts)
    giver, sign = rng.permutation(n), rng.choice([-1.0, 1.0], size=n)
    within = np.arange(resid.size) - np.repeat(starts[:-1], counts)
    taken = np.repeat(starts[giver], counts) + within % np.repeat(counts[giver], counts)
    factor = sign * size / np.where(size[giver] > 0, size[giver], 1.0)
    return np.asarray(resid[taken] * np.repeat(factor, counts))


def bootstrapped_gain(
    seed: Any, data: Regrouped, contrast: Contrast, start: Start, resid: Array, errors: Errors
) -> tuple[float, int]:
    """The statistic on outcomes drawn from the null model, and the size of the smallest group.

    Parameters
    ----------
    seed : SeedSequence
    data : Regrouped
    contrast : Contrast
    start : Start
        Groups and factors that the outcomes are drawn from.
    resid : ndarray, shape (n,)
        Residuals there.
    errors : {"series", "cells"}
    """
    rng = np.random.default_rng(seed)
    drawn = data.with_errors(resid, redrawn_errors(resid, data.starts, errors, rng))
    found = gain(drawn, contrast, start, rng)
    return found.statistic, found.smallest
