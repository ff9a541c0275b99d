"""Sums over pairs of periods of one entity, on the observed cells of a panel.

Cells are held entity by entity and by time within one: entity i owns the rows ``ptr[i]`` to ``ptr[i + 1] - 1``, and
``t`` has their periods as whole numbers, ascending; columns are held as (columns, n). Lags are differences of these
numbers, so a pair counts where both periods were observed, whatever lies between.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = ["attenuation", "lagged_sums", "projected_lagged_sums", "window_sums"]


@jit(plain=True)
def attenuation(ptr, t, s, basis, groups, n_groups, lags):
    """What is left of covariances with later regressors in products with projected residuals.

    With errors e, weights s^2, P_i = Q_i Q_i' and E[e_t z_{t+l}] = gamma_l for l >= 1, zero before, residuals
    (I - P_i) S e times s z sum over the pairs (t, t + l) of a group to ``c[l] @ gamma`` in expectation, and what the
    projection takes from the score to ``pi @ gamma``.

    Parameters
    ----------
    ptr : ndarray of int64, shape (N + 1,)
    t : ndarray of int64, shape (n,)
    s : ndarray, shape (n,)
        Square roots of the weights.
    basis : ndarray, shape (r, n)
        Q_i, orthonormal columns over the cells of each entity; columns of zeros count for nothing.
    groups : ndarray of int64, shape (N,)
        0..K-1.
    n_groups, lags : int
        K and m.

    Returns
    -------
    c : ndarray, shape (K, m, m)
        sum_{i,t} s_{t+l} [1{j = l} s_t - sum_{u: t+l-u = j} (P_i)_{tu} s_u] for l (rows) and j (columns) in 1..m.
    pi : ndarray, shape (K, m)
        sum_{i,t} s_t s_{t+l} (P_i)_{t,t+l}.
    pairs : ndarray, shape (K, m)
        sum_{i,t} s_t s_{t+l}: without weights the number of pairs of observed periods.
    """
    c = np.zeros((n_groups, lags, lags))
    pi = np.zeros((n_groups, lags))
    pairs = np.zeros((n_groups, lags))
    r = basis.shape[0]
    for i in range(ptr.shape[0] - 1):
        start, stop = ptr[i], ptr[i + 1]
        g = groups[i]
        first = start
        for k in range(start, stop):
            for after in range(k + 1, stop):
                lag = t[after] - t[k]
                if lag > lags:
                    break
                c[g, lag - 1, lag - 1] += s[k] * s[after]
                pairs[g, lag - 1] += s[k] * s[after]
            while t[k] - t[first] >= lags:
                first += 1
            for u in range(first, stop):
                if t[u] - t[k] > lags:
                    break
                p = 0.0
                for j in range(r):
                    p += basis[j, k] * basis[j, u]
                if u > k:
                    pi[g, t[u] - t[k] - 1] += s[k] * s[u] * p
                p *= s[u]
                for after in range(max(k, u) + 1, stop):
                    lag, back = t[after] - t[k], t[after] - t[u]
                    if lag > lags or back > lags:
                        break
                    c[g, lag - 1, back - 1] -= s[after] * p
    return c, pi, pairs


@jit
def lagged_sums(ptr, t, e, omega, groups):
    """sum_{l=1..m} omega_l e_{t-l} over the observed periods before each, (n,); `omega` is (K, m), by group."""
    out = np.zeros(t.shape[0])
    lags = omega.shape[1]
    for i in range(ptr.shape[0] - 1):
        start, stop = ptr[i], ptr[i + 1]
        g = groups[i]
        for k in range(start, stop):
            for after in range(k + 1, stop):
                lag = t[after] - t[k]
                if lag > lags:
                    break
                out[after] += omega[g, lag - 1] * e[k]
    return out


@jit
def projected_lagged_sums(ptr, t, e, basis, lags):
    """sum_{l=1..m} (P_i)_{t-l,t} e_{t-l} over the observed periods before each, (n,); `basis` is (r, n)."""
    out = np.zeros(t.shape[0])
    r = basis.shape[0]
    for i in range(ptr.shape[0] - 1):
        start, stop = ptr[i], ptr[i + 1]
        for k in range(start, stop):
            for after in range(k + 1, stop):
                if t[after] - t[k] > lags:
                    break
                p = 0.0
                for j in range(r):
                    p += basis[j, k] * basis[j, after]
                out[after] += p * e[k]
    return out


@jit
def window_sums(ptr, t, e, h, lags):
    """e_t sum_{|t-u| <= m} e_u h_u over the observed periods of the same entity, (R, n); `h` is (R, n)."""
    out = np.zeros(h.shape)
    r = h.shape[0]
    for i in range(ptr.shape[0] - 1):
        start, stop = ptr[i], ptr[i + 1]
        for k in range(start, stop):
            for u in range(k, stop):
                if t[u] - t[k] > lags:
                    break
                both = e[k] * e[u]
                for j in range(r):
                    out[j, k] += both * h[j, u]
                    if u > k:
                        out[j, u] += both * h[j, k]
    return out
