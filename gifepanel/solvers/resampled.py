"""A bootstrap of entities: the fit and its groups are found again from the full-sample solution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.solvers.arrays import Array
from gifepanel.solvers.cell_descent import CellFit
from gifepanel.solvers.cells import cells_of
from gifepanel.solvers.refit import Solution, refit

__all__ = ["OutsideData", "PanelData", "resampled_averages"]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class PanelData:
    """A panel of which some cells are observed: arrays as of :func:`~gifepanel.solvers.cells.cells_of`."""

    y: Array
    x: Array
    observed: BoolArray
    known: Array
    period: Array
    weights: Array


@dataclass(frozen=True, eq=False)
class OutsideData:
    """Cells that are not in the fit, and averages over them.

    Attributes
    ----------
    entity, time : ndarray of int64, shape (m,)
    y : ndarray, shape (m,)
    x, known, period : ndarray, shapes (m, p), (m, d) and (m, l)
    averages : ndarray, shape (k, m)
        Weights of the cells.
    """

    entity: IntArray
    time: IntArray
    y: Array
    x: Array
    known: Array
    period: Array
    averages: Array


def resampled_averages(seed: Any, panel: PanelData, outside: OutsideData, solution: Solution) -> tuple[Array, bool]:
    """Average effects (k,) in a sample of entities drawn with replacement, and whether its fit converged.

    As many entities with outside cells are drawn as there are, and as many of the others; an entity that is drawn twice
    has twice the weight, which is the same as two copies of it.

    Parameters
    ----------
    seed : SeedSequence
    panel : PanelData
    outside : OutsideData
    solution : Solution
        From where the descent starts, groups among it.
    """
    copies = _drawn(np.random.default_rng(seed), len(panel.y), outside.entity)
    some = np.flatnonzero(copies)
    cells = cells_of(
        panel.y[some],
        panel.x[some],
        panel.observed[some],
        known=panel.known[some],
        period=panel.period[some],
        weights=panel.weights[some] * copies[some, None],
    )
    found = refit(cells, solution, solution.slopes.groups[some])
    fit, groups = found.fit, found.groups
    position = np.full(len(panel.y), -1, dtype=np.int64)
    position[some] = np.arange(len(some))
    there = position[outside.entity] >= 0
    enough = (panel.observed[some].sum(axis=0) > len(fit.factors) + len(fit.effects))[outside.time]
    effects = np.full(len(outside.y), np.nan)
    at = np.flatnonzero(there & enough)
    effects[at] = outside.y[at] - _levels(fit, solution.slopes.slots[groups], outside, at, position[outside.entity[at]])
    w = outside.averages * np.where(np.isnan(effects), 0.0, copies[outside.entity])
    total = w.sum(axis=1)
    values = np.where(np.isnan(effects), 0.0, effects)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, w @ values / total, np.nan)), fit.converged


def _drawn(rng: np.random.Generator, n: int, outside: IntArray) -> Array:
    """How often each entity is drawn (n,)."""
    treated = np.isin(np.arange(n), outside)
    out = np.zeros(n)
    for members in (np.flatnonzero(treated), np.flatnonzero(~treated)):
        if members.size:
            out += np.bincount(rng.choice(members, members.size), minlength=n)
    return out


def _levels(fit: CellFit, slots: IntArray, outside: OutsideData, at: IntArray, entity: IntArray) -> Array:
    """Fitted values of outside cells; `slots` are those of the drawn entities."""
    time, d = outside.time[at], outside.known.shape[1]
    coef = fit.state.coef[entity]
    out = (outside.known[at] * coef[:, :d]).sum(axis=1)
    out += (fit.factors[:, time].T * coef[:, d:]).sum(axis=1)
    out += (outside.period[at] * fit.effects[:, time].T).sum(axis=1)
    return np.asarray(out + (outside.x[at] * fit.theta[slots[entity]]).sum(axis=1))
