"""Preconditioned conjugate gradients on several right-hand sides at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["PcgState", "pcg"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Operator = Callable[[Array], Array]


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
    x, r = state.x.copy(), state.r.copy()
    first = state.residual.max(initial=0.0)
    residual = state.residual
    z = precondition(r)
    p = z.copy()
    rz = np.einsum("im,im->m", r, z)
    done = 0
    while done < max_iter and residual.max(initial=0.0) > tol:
        q = apply(p)
        curvature = np.einsum("im,im->m", p, q)
        step = np.divide(rz, curvature, out=np.zeros_like(rz), where=curvature > 0)
        x += step * p
        r -= step * q
        done += 1
        residual = norm(r)
        z = precondition(r)
        new = np.einsum("im,im->m", r, z)
        p *= np.divide(new, rz, out=np.zeros_like(rz), where=rz > 0)
        p += z
        rz = new
    rate = 1.0
    if done and first > 0:
        rate = float((max(residual.max(initial=0.0), np.finfo(float).tiny) / first) ** (1.0 / done))
    return PcgState(x, r, state.iterations + done, residual, rate)
