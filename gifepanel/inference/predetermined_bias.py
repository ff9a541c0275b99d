"""The bias of predetermined regressors, with what residuals hide of it restored.

Regressors that react to past errors are correlated with the projection of later errors on factors and entity effects.
With P_i = Q_i Q_i' the projection of entity i on its factors, estimated and known, and gamma_l = E[e_t z_{t+l}],

    B1 = sum_i sum_t sum_{l>=1} (P_i)_{t,t+l} gamma_l .

Moon & Weidner (2017, Econometric Theory 33, 158-195, Definition 1) put products of residuals and regressors in place of
gamma_l, up to a bandwidth. Residuals are themselves projected, which takes a share of order 1/T times sum_l gamma_l
from each product: a third of the bias of Nickell (1981) stays with rho = .6 and T = 30. Here the products are pooled
over entities and periods and the share is given back. Expectations of pooled products are linear in gamma_1..gamma_m,

    E[S_l] = sum_j C_lj gamma_j,   C_lj = sum_i sum_t [ 1{j = l} - sum_{u: t+l-u = j} (P_i)_{tu} ],
    gamma = C^-1 S,                B1 = sum_l gamma_l pi_l,   pi_l = sum_i sum_t (P_i)_{t,t+l},

so that B1 = sum_l omega_l S_l with omega = C'^-1 pi: as in the published term a weight for each pair of periods, but
one for each lag.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt

__all__ = ["balanced_lag_weights", "deconvolved_bandwidth", "deconvolved_weight", "lag_weights", "pairs_of_periods"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_SINGULAR = 0.1


def deconvolved_bandwidth(n_periods: int) -> int:
    """Number of lags ceil(2 T^(1/4)): 4 at T = 16, 5 at T = 30, 7 at T = 100; below T."""
    return max(1, min(ceil(2 * n_periods**0.25 - 1e-9), n_periods - 1))


def lag_weights(c: FloatArray, pi: FloatArray, pairs: FloatArray) -> FloatArray:
    """omega = C'^-1 pi: the weight of products of residuals with regressors l periods later, l = 1..m.

    With few periods beside many factors the products say little of gamma: lags are left out, the last one first, until
    the smallest singular value of C, rows and columns over the roots of the numbers of pairs, is at least .1.

    Parameters
    ----------
    c : ndarray, shape (m, m)
    pi, pairs : ndarray, shape (m,)
        All three from :func:`~gifepanel.kernels.lags.attenuation`.

    Returns
    -------
    ndarray, shape (m',)
        m' <= m, and below the first lag that no pair of periods has; 0 where not even the first can be had.
    """
    root = np.sqrt(pairs)
    for used in range(_leading(pairs > 0), 0, -1):
        scaled = c[:used, :used] / root[:used] / root[:used, None]
        if np.linalg.svd(scaled, compute_uv=False)[-1] >= _SINGULAR:
            return np.asarray(np.linalg.solve(c[:used, :used].T, pi[:used]))
    return np.zeros(0)


def _leading(flags: BoolArray) -> int:
    """How many of the flags are True before the first that is not."""
    return int(flags.size if flags.all() else np.argmin(flags))


def balanced_lag_weights(time_basis: FloatArray, lags: int, periods: IntArray) -> FloatArray:
    """:func:`lag_weights` where all entities have the same periods and projection: one entity stands for all.

    Parameters
    ----------
    time_basis : ndarray, shape (T, r)
        Orthonormal columns spanning factors, known and estimated.
    lags : int
        m.
    periods : ndarray of int64, shape (T,)
        Ascending; lags are their differences.
    """
    t = time_basis.shape[0]
    one, basis = np.zeros(1, dtype=np.int64), np.ascontiguousarray(time_basis.T)
    from gifepanel.kernels.lags import attenuation  # numba comes with it

    c, pi, pairs = attenuation(np.array([0, t]), periods, np.ones(t), basis, one, 1, lags)
    return lag_weights(c[0], pi[0], pairs[0])


def deconvolved_weight(e: FloatArray, omega: FloatArray, periods: IntArray) -> FloatArray:
    """Weights (N, T) whose inner product with a regressor is its B1, for residuals (N, T).

    Regressors count as deviations from their mean over the periods of the entity, so weights of an entity sum to 0.
    """
    weight = np.zeros_like(e)
    for lag, share in enumerate(omega, 1):
        before, after = pairs_of_periods(periods, lag)
        weight[:, after] += share * e[:, before]
    return np.asarray(weight - weight.mean(axis=1, keepdims=True))


def pairs_of_periods(periods: IntArray, lag: int) -> tuple[slice | IntArray, slice | IntArray]:
    """Places of all pairs of periods that are `lag` apart: of the earlier ones and of the later ones."""
    t = periods.size
    if periods[-1] - periods[0] == t - 1:
        return slice(None, t - lag), slice(lag, None)
    after = np.minimum(np.searchsorted(periods, periods + lag), t - 1)
    there = np.flatnonzero(periods[after] == periods + lag)
    return there, after[there]
