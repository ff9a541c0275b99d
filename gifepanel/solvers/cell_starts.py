"""Starts of least squares with factors on observed cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gifepanel.kernels.cells import evaluate_cells
from gifepanel.solvers.arrays import Array, principal_components
from gifepanel.solvers.cell_descent import SPANNED, CellFit, descend_cells, room, slope_blocks
from gifepanel.solvers.cells import Cells
from gifepanel.solvers.interactive import SlopeMap

__all__ = ["CellStart", "cell_starts", "completed_factors", "pooled_cells"]

_FILLED, _FILLED_RANDOM = 3, 5
_FEW = 0.01


@dataclass(frozen=True)
class CellStart:
    """Where a descent begins.

    Attributes
    ----------
    name : str
    theta : ndarray, shape (q,)
    factors : ndarray, shape (R, T)
    effects : ndarray, shape (m, T)
    rounds : int
        Of alternating least squares before the descent.
    """

    name: str
    theta: Array
    factors: Array
    effects: Array
    rounds: int


def pooled_cells(cells: Cells, slopes: SlopeMap) -> CellFit:
    """Least squares without factors: a linear problem, solved by conjugate gradients."""
    none, effects = np.empty((0, cells.shape[1])), np.zeros((cells.data.period.shape[0], cells.shape[1]))
    zero = np.zeros(slopes.size)
    return descend_cells(cells, slopes, zero, none, effects, tol=1e-10, max_products=1000, first_tol=1e-8, max_iter=20)


def residuals_at(cells: Cells, slopes: SlopeMap, theta: Array, effects: Array) -> Array:
    """y less slopes, known columns and period columns at given coefficients (n,)."""
    state = room(cells, 0, slopes.size)
    none = np.empty((0, cells.shape[1]))
    evaluate_cells(cells.data, slopes.groups, slopes.slots, theta, none, effects, SPANNED, state)
    return state.e


def completed_factors(cells: Cells, resid: Array, n_factors: int, rounds: int) -> Array:
    """Factors (R, T) of residuals (n,), holes filled by what factors and loadings say, zero at first.

    A few rounds of the EM algorithm of Stock and Watson (1998) as a start, with one step of subspace iteration each.
    """
    if n_factors == 0:
        return np.empty((0, cells.shape[1]))
    full, t = cells.to_cube(resid / cells.data.root), cells.shape[1]
    unit, time = cells.holes
    found = principal_components(full, n_factors)
    factors, loadings = found.factors, found.loadings
    if unit.size < _FEW * full.size:
        rounds = min(rounds, 2)
    for _ in range(rounds - 1 if unit.size else 0):
        full[unit, time] = np.einsum("kr,kr->k", loadings[unit], factors[time])
        factors = np.linalg.qr(full.T @ (full @ factors))[0] * np.sqrt(t)
        loadings = full @ factors / t
    return np.ascontiguousarray(factors.T)


def cell_starts(
    cells: Cells, slopes: SlopeMap, n_factors: int, n_starts: int, rng: np.random.Generator, pooled: CellFit
) -> Iterator[CellStart]:
    """Named starts: pooled, zero, then random slopes and random factors by turns.

    Parameters
    ----------
    cells : Cells
    slopes : SlopeMap
    n_factors : int
        With none there is one start.
    n_starts : int
    rng : Generator
    pooled : CellFit
        Least squares without factors.
    """
    if n_factors == 0:
        yield CellStart("pooled", pooled.theta, np.empty((0, cells.shape[1])), pooled.effects, 0)
        return
    factors = completed_factors(cells, pooled.state.e, n_factors, _FILLED)
    yield CellStart("pooled", pooled.theta, factors, pooled.effects, 3)
    if n_starts > 1:
        zero = np.zeros(slopes.size)
        resid = residuals_at(cells, slopes, zero, pooled.effects)
        yield CellStart("zero", zero, completed_factors(cells, resid, n_factors, _FILLED_RANDOM), pooled.effects, 3)
    spread = _spread(cells, slopes, pooled)
    for number in range(n_starts - 2):
        half, kind = divmod(number, 2)
        if kind == 0:
            theta = pooled.theta + 2.0 ** (half % 4 - 1) * (spread @ rng.standard_normal(slopes.size))
            resid = residuals_at(cells, slopes, theta, pooled.effects)
            factors = completed_factors(cells, resid, n_factors, _FILLED_RANDOM)
            yield CellStart(f"random {number + 1}", theta, factors, pooled.effects, 0)
        else:
            factors = rng.standard_normal((n_factors, cells.shape[1]))
            yield CellStart(f"random factors {number + 1}", pooled.theta, factors, pooled.effects, 0)


def _spread(cells: Cells, slopes: SlopeMap, pooled: CellFit) -> Array:
    """S with S S' = (ssr / q) (Z'MZ)^-1, known columns taken out."""
    gram = slope_blocks(cells, slopes, pooled.state)
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-12 * values.max(initial=0.0)
    size = np.sqrt(pooled.ssr / max(slopes.size, 1))
    return np.asarray((vectors[:, keep] / np.sqrt(values[keep])) @ vectors[:, keep].T * size)
