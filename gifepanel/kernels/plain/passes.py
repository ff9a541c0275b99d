"""Passes over the data: :mod:`gifepanel.kernels.passes`."""

from __future__ import annotations

import numpy as np

from gifepanel.kernels.plain.ordered import Array, entities_last, ordered_sum

__all__ = ["cross_moments", "deflate", "gradient_pass", "residual_pass", "unit_ssr"]

_NOTHING_LEFT = 1e-13


def cross_moments(y: Array, xt: Array) -> tuple[Array, Array, Array]:
    """X_i'X_i, X_i'y_i and y_i'y_i."""
    n, p, _ = xt.shape
    yt, x = entities_last(y), entities_last(xt)
    xx, xy = np.empty((n, p, p)), np.empty((n, p))
    for j in range(p):
        xy[:, j] = ordered_sum(x[:, j] * yt)
        for k in range(j + 1):
            xx[:, j, k] = xx[:, k, j] = ordered_sum(x[:, j] * x[:, k])
    return xx, xy, ordered_sum(yt * yt)


def residual_pass(y: Array, xt: Array, beta: Array, out: Array) -> None:
    """out[i] = y_i - X_i beta_i."""
    out[:] = y
    for j in range(xt.shape[1]):
        on = beta[:, j] != 0.0
        if on.all():
            out -= beta[:, j, None] * xt[:, j]
        elif on.any():
            out[on] -= beta[on, j, None] * xt[on, j]


def gradient_pass(xt: Array, resid: Array) -> Array:
    """X_i'e_i."""
    x, e = entities_last(xt), entities_last(resid)
    return np.ascontiguousarray(np.stack([ordered_sum(x[:, j] * e) for j in range(xt.shape[1])], axis=1))


def unit_ssr(a: Array, c: Array, s: Array, alpha: Array) -> Array:
    """Sums of squares (N, K) of every entity under every slope vector."""
    return np.ascontiguousarray(losses(a.transpose(1, 2, 0), c.T, s, alpha.T[:, :, None]).T)


def losses(a: Array, c: Array, s: Array, theta: Array) -> Array:
    """Sums of squares under slopes `theta` (p, K, N or 1): (K, N), from moments with the entities last."""
    v = s
    for j in range(len(c)):
        w = -2.0 * c[j]
        for m in range(len(c)):
            w = w + a[j, m] * theta[m]
        v = v + w * theta[j]
    return v


def deflate(xx: Array, xy: Array, yy: Array, xf: Array, yf: Array, t: int, a: Array, c: Array, s: Array) -> None:
    """Factors out of the moments, into `a`, `c` and `s`."""
    _, p, r = xf.shape
    low = np.where(np.tri(p, dtype=bool), xx, xx.transpose(0, 2, 1))
    s[:], c[:], a[:] = yy, xy, low
    for q in range(r):
        s -= yf[:, q] * yf[:, q] / t
        c -= xf[:, :, q] * yf[:, q, None] / t
        a -= xf[:, :, None, q] * xf[:, None, :, q] / t
    gone = a[:, np.arange(p), np.arange(p)] <= _NOTHING_LEFT * xx[:, np.arange(p), np.arange(p)]
    c[gone] = 0.0
    a[gone] = 0.0
    a.transpose(0, 2, 1)[gone] = 0.0
