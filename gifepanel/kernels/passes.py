"""Passes over the data: everything whose cost grows with N times T.

The regressors are held as ``xt`` (N, p, T), so that the inner loops run along contiguous time.
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = ["cross_moments", "deflate", "gradient_pass", "group_sums", "residual_pass", "unit_loss", "unit_ssr"]

_NOTHING_LEFT = 1e-13


@jit(plain=True)
def cross_moments(y, xt):
    """Unit moments that do not depend on the factors.

    Parameters
    ----------
    y : ndarray, shape (N, T)
    xt : ndarray, shape (N, p, T)

    Returns
    -------
    xx : ndarray, shape (N, p, p)
        X_i'X_i.
    xy : ndarray, shape (N, p)
        X_i'y_i.
    yy : ndarray, shape (N,)
        y_i'y_i.
    """
    n, p, t = xt.shape
    xx = np.empty((n, p, p))
    xy = np.empty((n, p))
    yy = np.empty(n)
    for i in range(n):
        s = 0.0
        for m in range(t):
            s += y[i, m] * y[i, m]
        yy[i] = s
        for j in range(p):
            s = 0.0
            for m in range(t):
                s += xt[i, j, m] * y[i, m]
            xy[i, j] = s
            for k in range(j + 1):
                s = 0.0
                for m in range(t):
                    s += xt[i, j, m] * xt[i, k, m]
                xx[i, j, k] = s
                xx[i, k, j] = s
    return xx, xy, yy


@jit(plain=True)
def residual_pass(y, xt, beta, out):
    """out[i] = y_i - X_i beta_i, with `beta` (N, p) and `out` (N, T)."""
    n, p, t = xt.shape
    for i in range(n):
        for m in range(t):
            out[i, m] = y[i, m]
        for j in range(p):
            b = beta[i, j]
            if b != 0.0:
                for m in range(t):
                    out[i, m] -= b * xt[i, j, m]


@jit(plain=True)
def gradient_pass(xt, resid):
    """X_i'e_i for residuals (N, T): an (N, p) array."""
    n, p, t = xt.shape
    out = np.empty((n, p))
    for i in range(n):
        for j in range(p):
            s = 0.0
            for m in range(t):
                s += xt[i, j, m] * resid[i, m]
            out[i, j] = s
    return out


@jit
def group_sums(values, labels, n_groups):
    """Sums of the rows of `values` (N, m) by label (N,) in 0..n_groups-1: an (n_groups, m) array."""
    n, m = values.shape
    out = np.zeros((n_groups, m))
    for i in range(n):
        k = labels[i]
        for j in range(m):
            out[k, j] += values[i, j]
    return out


@jit
def unit_loss(a, c, s, i, b):
    """Sum of squares of unit `i` under the slopes b (p,), see :func:`unit_ssr`."""
    v = s[i]
    for j in range(b.shape[0]):
        w = -2.0 * c[i, j]
        for m in range(b.shape[0]):
            w += a[i, j, m] * b[m]
        v += w * b[j]
    return v


@jit(plain=True)
def unit_ssr(a, c, s, alpha):
    """Sums of squares of every unit under every slope vector.

    Parameters
    ----------
    a : ndarray, shape (N, p, p)
        X_i'M_F X_i.
    c : ndarray, shape (N, p)
        X_i'M_F y_i.
    s : ndarray, shape (N,)
        y_i'M_F y_i.
    alpha : ndarray, shape (K, p)

    Returns
    -------
    ndarray, shape (N, K)
        The squared norm of M_F (y_i - X_i alpha_k).
    """
    n, k_groups = s.shape[0], alpha.shape[0]
    out = np.empty((n, k_groups))
    for i in range(n):
        for k in range(k_groups):
            out[i, k] = unit_loss(a, c, s, i, alpha[k])
    return out


@jit(plain=True)
def deflate(xx, xy, yy, xf, yf, t, a, c, s):
    """Take factors out of the unit moments: a = X'M_F X, c = X'M_F y, s = y'M_F y, with F'F/T = I.

    Parameters
    ----------
    xx, xy, yy : ndarray, shapes (N, p, p), (N, p) and (N,)
    xf, yf : ndarray, shapes (N, p, R) and (N, R)
        X_i'F and y_i'F.
    t : int
    a, c, s : ndarray
        Overwritten, of the shapes of `xx`, `xy`, `yy`.

    Notes
    -----
    A regressor of which nothing but rounding is left, 1e-13 of its sum of squares, gets zeros.
    """
    n, p, r = xf.shape
    for i in range(n):
        e = yy[i]
        for q in range(r):
            e -= yf[i, q] * yf[i, q] / t
        s[i] = e
        for j in range(p):
            e = xy[i, j]
            for q in range(r):
                e -= xf[i, j, q] * yf[i, q] / t
            c[i, j] = e
            for m in range(j + 1):
                e = xx[i, j, m]
                for q in range(r):
                    e -= xf[i, j, q] * xf[i, m, q] / t
                a[i, j, m] = e
                a[i, m, j] = e
        for j in range(p):
            if a[i, j, j] <= _NOTHING_LEFT * xx[i, j, j]:
                c[i, j] = 0.0
                for m in range(p):
                    a[i, j, m] = 0.0
                    a[i, m, j] = 0.0
