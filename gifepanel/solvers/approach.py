"""Towards a minimum of least squares with factors, groups given, by slopes and factors in turn.

A round costs a few passes and no eigenvalues: of many starts most come near a minimum that is known already, and need
no descent of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.kernels.regroup import alternate
from gifepanel.solvers.arrays import Array, PanelArrays, principal_components, residuals
from gifepanel.solvers.blocked import BlockedPanel

__all__ = ["approached", "rounded"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_ROUNDS, _TOL = 60, 1e-6


def approached(data: PanelArrays, groups: IntArray, slots: IntArray, n_factors: int, theta: Array) -> Array:
    """Slopes (q,) that fit better than `theta`, to seven digits; itself where panels are in blocks or have no factors.

    Parameters
    ----------
    data : PanelArrays
    groups, slots : ndarray of int64, shapes (N,) and (K, p)
        As in :class:`~gifepanel.solvers.interactive.SlopeMap`.
    n_factors : int
        R.
    theta : ndarray, shape (q,)
    """
    if isinstance(data, BlockedPanel) or not n_factors or not theta.size:
        return theta
    at = principal_components(residuals(data, theta[slots][groups]), n_factors, time_effects=data.time_effects)
    out, own = np.array(theta, dtype=np.float64), np.array(groups, dtype=np.int64)
    state = (own, out, at.factors / np.sqrt(data.shape[1]), at.time_effect)
    moments = (data.y, data.xt, data.xx, data.xy, data.yy)
    alternate(*moments, slots, *state, data.time_effects, False, _ROUNDS, _TOL, np.inf)
    return rounded(out)


def rounded(theta: Array) -> Array:
    """Seven digits of slopes: a start that is the same in whatever order sums were taken on the way to it."""
    fraction, exponent = np.frexp(theta)
    return np.asarray(np.ldexp(np.round(fraction * 2.0**24) * 2.0**-24, exponent))
