"""Preconditioned conjugate gradients on several right-hand sides at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from gifepanel.projections.row_blocks import cuts, every_chunk, over_rows

__all__ = ["PcgState", "pcg"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Operator = Callable[[Array], Array]
_LARGE = 100_000  # numbers from which steps are compiled


@dataclass
class PcgState:
    """Where an iteration stands; handing it back continues, with another operator or preconditioner if wanted.

    Attributes
    ----------
    x : ndarray, shape (M, m)
    r : ndarray, shape (M, m)
        Right-hand side less S x.
    iterations : int
    residual : ndarray, shape (m,)
        Of every column, in the norm of :func:`pcg`, relative to its scale.
    rate : float
        Mean factor by which the slowest column's residual fell per iteration in the last call.
    """

    x: Array
    r: Array
    iterations: int
    residual: Array
    rate: float = 1.0


def pcg(
    apply: Operator,
    precondition: Operator,
    norm: Callable[[Array], Array],
    state: PcgState,
    *,
    tol: float,
    max_iter: int,
) -> PcgState:
    """Conjugate gradients on ``S x = b`` column by column, S positive semidefinite and b in its range.

    Parameters
    ----------
    apply, precondition : callable
        S and the preconditioner on (M, m).
    norm : callable
        Relative size (m,) of residuals (M, m).
    state : PcgState
        The start; not changed.
    tol : float
        Stop when every column's residual is below.
    max_iter : int
    """
    x, r = state.x.copy(), np.ascontiguousarray(state.r.copy())
    first = state.residual.max(initial=0.0)
    residual = state.residual
    z = precondition(r)
    p = np.ascontiguousarray(z.copy())
    rz = _products(r, z)
    done = 0
    while done < max_iter and residual.max(initial=0.0) > tol:
        q = apply(p)
        curvature = _products(p, q)
        step = np.divide(rz, curvature, out=np.zeros_like(rz), where=curvature > 0)
        _advance(x, r, p, q, step)
        done += 1
        residual = norm(r)
        z = precondition(r)
        new = _products(r, z)
        _turn(p, z, np.divide(new, rz, out=np.zeros_like(rz), where=rz > 0))
        rz = new
    rate = 1.0
    if done and first > 0:
        rate = float((max(residual.max(initial=0.0), np.finfo(float).tiny) / first) ** (1.0 / done))
    return PcgState(x, r, state.iterations + done, residual, rate)


def _products(a: Array, b: Array) -> Array:
    """a'b, column by column: (m,)."""
    if a.size < _LARGE:
        return np.einsum("im,im->m", a, b)
    kernel = import_module("gifepanel.kernels.krylov").products
    bounds = cuts(*a.shape)
    parts = [np.zeros(a.shape[1]) for _ in bounds[1:]]
    every_chunk(lambda first, last, out: kernel(a, b, first, last, out), bounds, parts)
    return np.asarray(np.sum(parts, axis=0))


def _advance(x: Array, r: Array, p: Array, q: Array, step: Array) -> None:
    """x += step p, r -= step q, in place."""
    if x.size < _LARGE:
        x += step * p
        r -= step * q
        return
    kernel = import_module("gifepanel.kernels.krylov").advance
    over_rows(lambda first, last: kernel(x, r, p, q, step, first, last), *x.shape)


def _turn(p: Array, z: Array, factor: Array) -> None:
    """p <- factor p + z, in place."""
    if p.size < _LARGE:
        p *= factor
        p += z
        return
    kernel = import_module("gifepanel.kernels.krylov").turn
    over_rows(lambda first, last: kernel(p, z, factor, first, last), *p.shape)
