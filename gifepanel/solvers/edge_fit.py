"""Factors beside slopes of every entity, entities weighted by their precision, where errors remember.

What the test of the number of factors looks at: residuals of a panel whose series have been quasi-differenced, so that
errors with memory are nearly white, with as many factors as are under test taken out. A complete panel is one whose
cells are all observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.solvers.arrays import Array, PanelArrays, principal_components
from gifepanel.solvers.cells import Cells

__all__ = ["EdgePanel", "Weighted", "appended", "bases", "edge_panel", "weighted_factors"]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_DEPENDENT = 1e-8
_ROUNDS = 60
_TURNED, _REWEIGHTED = 1e-4, 0.02
_DRAWN, _LARGEST_LEVERAGE = 4.0, 0.95


@dataclass(frozen=True)
class EdgePanel:
    """A panel and what is known of it; zero in cells that are not observed.

    Attributes
    ----------
    y : ndarray, shape (N, T)
    unit : ndarray, shape (N, T, k)
        Columns with a coefficient of each entity: regressors, known series.
    period : ndarray, shape (N, T, m)
        Columns with a coefficient of each period.
    observed : ndarray of bool, shape (N, T)
    """

    y: Array
    unit: Array
    period: Array
    observed: BoolArray

    def take(self, units: IntArray) -> EdgePanel:
        """Some of the entities, in that order."""
        return EdgePanel(self.y[units], self.unit[units], self.period[units], self.observed[units])

    def differenced(self, rho: float) -> EdgePanel:
        """Every series less `rho` times its value a period before, where both are observed: T - 1 periods."""
        seen = self.observed[:, 1:] & self.observed[:, :-1]
        now, before = self.period[:, 1:] * seen[..., None], self.period[:, :-1] * seen[..., None]
        same = bool(np.array_equal(now, before))
        period = now if same else np.concatenate([now, before], axis=2)
        return EdgePanel(
            quasi_difference(self.y, rho, seen), quasi_difference(self.unit, rho, seen[..., None]), period, seen
        )


def quasi_difference(series: Array, rho: float, seen: BoolArray) -> Array:
    """Along the second axis, zero where not seen."""
    return np.asarray((series[:, 1:] - rho * series[:, :-1]) * seen)


def edge_panel(data: PanelArrays | Cells) -> EdgePanel:
    """The data of the solvers as cubes. Weights of cells are left out: variances of entities are estimated."""
    if isinstance(data, Cells):
        own = data.data
        columns = np.concatenate([own.x, own.known]) / own.root
        unit, period = (np.moveaxis(data.to_cube(block), 0, -1) for block in (columns, own.period / own.root))
        seen = data.to_cube(np.ones(data.size)) > 0
        return EdgePanel(data.to_cube(own.y / own.root), unit, period, seen)
    n, t, _ = data.shape
    ones = np.ones((n, t, 1))
    unit = np.concatenate([np.swapaxes(data.xt, 1, 2), ones[..., : int(data.entity_effects)]], axis=2)
    return EdgePanel(data.y, unit, ones[..., : int(data.time_effects)], np.ones((n, t), dtype=bool))


def bases(columns: Array) -> Array:
    """Orthonormal bases of the columns of every entity (N, T, k); columns that others span are zero."""
    return appended(np.empty((*columns.shape[:2], 0)), columns)


def appended(basis: Array, columns: Array) -> Array:
    """Orthonormal bases (N, T, k) with further columns (N, T, j) made orthonormal to them and to each other."""
    k = basis.shape[2]
    out = np.concatenate([basis, columns], axis=2)
    length = np.sqrt(np.square(columns).sum(axis=1))
    for j in range(columns.shape[2]):
        column = out[:, :, k + j]
        for _ in range(2):
            before = out[:, :, : k + j]
            column = column - np.matmul(before, np.matmul(column[:, None, :], before)[:, 0, :, None])[..., 0]
        left = np.sqrt(np.square(column).sum(axis=1))
        kept = left > _DEPENDENT * length[:, j]
        out[:, :, k + j] = column * (kept / np.where(kept, left, 1.0))[:, None]
    return out


@dataclass(frozen=True)
class Weighted:
    """Factors by weighted least squares, slopes of every entity beside them.

    Attributes
    ----------
    factors : ndarray, shape (T, R)
        Orthonormal.
    resid : ndarray, shape (N, T)
        Over the standard deviation of the entity.
    units, periods : ndarray, shapes (N, T, k), (T, N, r)
        Orthonormal bases of what was taken out of every entity, and of every period.
    """

    factors: Array
    resid: Array
    units: Array
    periods: Array


def weighted_factors(panel: EdgePanel, resid: Array, n_factors: int) -> Weighted:
    """Principal components of residuals over the standard deviations of their entities, slopes re-estimated in turn.

    Parameters
    ----------
    panel : EdgePanel
    resid : ndarray, shape (N, T)
        At the slopes to begin with, factors in them.
    n_factors : int
        R.

    Notes
    -----
    Slopes of entities do not depend on the entity's weight; factors do. Without weights the factors of a few noisy
    entities come before those of all. Variances allow for leverage: an entity that a factor follows leaves small
    residuals, and a large weight would make the factor follow it still more closely.
    """
    basis = bases(panel.unit)
    counts = panel.observed.sum(axis=1)
    left = np.maximum(counts - (np.abs(basis).max(axis=1) > 0).sum(axis=1) - n_factors, 1.0)
    # to begin with, noisy entities and those with large loadings count no more than others
    scale = np.sqrt(_drawn(np.square(resid).sum(axis=1) / left, left))
    shared = filled = np.zeros_like(resid)
    last: Array | None = None
    for _ in range(_ROUNDS):
        across = _period_bases(panel, scale)
        z = np.where(panel.observed, resid / scale[:, None], filled)
        additive = _along(across, z - shared)
        comp = principal_components(z - additive, n_factors)
        t = z.shape[1]
        factors, loadings = comp.factors / np.sqrt(t), comp.loadings * np.sqrt(t)
        shared = loadings @ factors.T
        e = (z - shared - additive) * panel.observed
        own = scale**2 * np.square(e).sum(axis=1) / left
        new = np.sqrt(_drawn(own / (1.0 - _leverage(loadings)), left))
        if last is not None and _settled(last, factors, scale, new):
            break
        last, shared = factors, shared * (scale / new)[:, None]
        filled = shared + additive * (scale / new)[:, None]
        y = panel.y - additive * scale[:, None] * panel.observed
        resid = _at_factors(panel, basis, y, factors) + panel.y - y
        scale = new
    return Weighted(
        factors,
        e,
        appended(basis, np.repeat(factors[None], len(e), axis=0) * panel.observed[..., None]),
        _with_loadings(panel, across, loadings),
    )


def _drawn(variance: Array, left: Array) -> Array:
    """Variances of entities (N,) drawn to their median with the weight of some periods."""
    middle = np.median(variance)
    out = (left * variance + _DRAWN * middle) / (left + _DRAWN)
    return np.asarray(np.where(out > 0, out, 1.0))


def _settled(last: Array, factors: Array, scale: Array, new: Array) -> bool:
    r = factors.shape[1]
    turned = r - float(np.square(last.T @ factors).sum())
    return bool(turned <= _TURNED * r and np.abs(new / scale - 1.0).max() < _REWEIGHTED)


def _leverage(loadings: Array) -> Array:
    """Of the entities (N,) in loadings that are orthogonal."""
    length = np.square(loadings).sum(axis=0)
    share = np.square(loadings) / np.where(length > 0, length, 1.0)
    return np.asarray(np.minimum(share.sum(axis=1), _LARGEST_LEVERAGE))


def _at_factors(panel: EdgePanel, basis: Array, y: Array, factors: Array) -> Array:
    """Residuals of the known columns (N, T), factors in them, slopes and loadings by least squares at given factors."""
    n, t = y.shape
    k, r = basis.shape[2], factors.shape[1]
    in_basis = np.matmul(y[:, None, :], basis)[:, 0]
    crossed = np.matmul(np.swapaxes(basis, 1, 2).reshape(n * k, t), factors).reshape(n, k, r)
    if r:
        products = (factors[:, :, None] * factors[:, None, :]).reshape(t, r * r)
        gram = (panel.observed @ products).reshape(n, r, r) - np.matmul(np.swapaxes(crossed, 1, 2), crossed)
        right = y @ factors - np.matmul(in_basis[:, None, :], crossed)[:, 0]
        ridge = 1e-10 * np.eye(r)
        loadings = np.linalg.solve(gram + ridge, right[..., None])
        in_basis = in_basis - np.matmul(crossed, loadings)[..., 0]
    return np.asarray(y - np.matmul(basis, in_basis[..., None])[..., 0])


def _period_bases(panel: EdgePanel, scale: Array) -> Array:
    """Orthonormal bases (T, N, m) of the period columns over the scales of the entities."""
    return bases(np.swapaxes(panel.period / scale[:, None, None], 0, 1))


def _along(across: Array, z: Array) -> Array:
    """The part of z (N, T) along the bases of its periods (T, N, m)."""
    if not across.shape[2]:
        return np.zeros_like(z)
    part = np.matmul(across, np.matmul(z.T[:, None, :], across)[:, 0, :, None])[..., 0]
    return np.asarray(part.T)


def _with_loadings(panel: EdgePanel, across: Array, loadings: Array) -> Array:
    """Bases of the periods with loadings of the entities observed."""
    seen = panel.observed.T[..., None]
    return appended(across, np.repeat(loadings[None], len(across), axis=0) * seen)
