"""Autocovariances of the errors, with what residuals hide of them restored.

Residuals e_i = M_i u_i are off the factors and effects of their entity, so that products of them l periods apart are
not those of the errors: with entity effects those of white noise have expectations of -1/T. Sums over entities and
periods are linear in the autocovariances gamma_0..gamma_m, those beyond m taken to be zero,

    E[S_l] = sum_j A_lj gamma_j,   S_l = sum_i sum_t e_it e_i,t+l,   A_lj = sum_i sum_t (M_i T_j M_i)_{t,t+l},

T_j with ones j places beside the diagonal, so that gamma = A^-1 S, as products of residuals and regressors are treated
in :mod:`~gifepanel.inference.predetermined_bias`. What loadings and slopes take is given back in proportion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from gifepanel.inference.estimate import FactorEstimate

__all__ = ["error_autocovariances"]

FloatArray = npt.NDArray[np.float64]


def error_autocovariances(estimate: FactorEstimate, lags: int) -> FloatArray:
    """Autocovariances of the errors at lags 0..m, pooled over entities; of white noise unbiased beyond lag 0 too.

    Parameters
    ----------
    estimate : FactorEstimate
        Balanced or of observed cells; with weights those of the errors times the roots of the weights.
    lags : int
        m, below T.

    Returns
    -------
    ndarray, shape (m + 1,)
    """
    e, t = estimate.wresid, estimate.shape[1]
    products = np.array([(e[:, : t - lag] * e[:, lag:]).sum() for lag in range(lags + 1)])
    shares = _attenuation(estimate, lags)
    return np.asarray(np.linalg.lstsq(shares, products, rcond=1e-10)[0] * (shares[0, 0] / estimate.df.residual))


def _attenuation(estimate: FactorEstimate, lags: int) -> FloatArray:
    """A (m + 1, m + 1), from the columns of all M_i: only the last m + 1 of them are held."""
    out = np.zeros((lags + 1, lags + 1))
    recent: deque[FloatArray] = deque(maxlen=lags + 1)
    for column in _annihilator_columns(estimate):
        recent.appendleft(column)
        t = column.shape[1]
        for j, earlier in enumerate(recent):
            for lag in range(lags + 1):
                sums = np.vdot(column[:, : t - lag], earlier[:, lag:])
                out[lag, j] += sums if j == 0 else sums + np.vdot(earlier[:, : t - lag], column[:, lag:])
    return out if estimate.observed is not None else out * estimate.shape[0]


def _annihilator_columns(estimate: FactorEstimate) -> Iterator[FloatArray]:
    """Column t of M_i for all i (N, T), for each t; one row for all entities where all have the same."""
    n, t = estimate.shape
    if estimate.observed is None:
        basis = estimate.space.time
        for s in range(t):
            yield ((np.arange(t) == s) - basis @ basis[s])[None, :]
        return
    assert estimate.root is not None  # as in every panel with holes
    root = np.where(estimate.root > 0, estimate.root, np.inf)
    for s in range(t):
        cube = np.zeros((n, t))
        cube[:, s] = estimate.observed[:, s] / root[:, s]
        yield estimate.off_units(cube)
