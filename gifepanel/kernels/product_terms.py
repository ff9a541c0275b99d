"""A quadratic form and the product penalty at one point: value, gradient, Hessian.

f(b) = 1/2 b'H b - v'b + kappa * prod_k ||b - alpha_k||
"""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = ["differences", "directions", "gradient_at", "penalty_hessian", "quadratic", "value_at", "weight"]


@jit
def quadratic(v, hmat, b, start):
    """start + 1/2 b'H b - v'b."""
    p = v.shape[0]
    value = start
    for j in range(p):
        e = -v[j]
        for m in range(p):
            e += 0.5 * hmat[j, m] * b[m]
        value += e * b[j]
    return value


@jit
def differences(alpha, b, unit, dist):
    """b - alpha_k and their lengths."""
    groups, p = alpha.shape
    for k in range(groups):
        s = 0.0
        for j in range(p):
            d = b[j] - alpha[k, j]
            unit[k, j] = d
            s += d * d
        dist[k] = np.sqrt(s)


@jit
def value_at(v, hmat, kappa, alpha, b, unit, dist):
    """f(b), and what :func:`differences` leaves. At a centre it is :func:`quadratic` alone."""
    differences(alpha, b, unit, dist)
    penalty = kappa
    for k in range(dist.shape[0]):
        penalty *= dist[k]
    return quadratic(v, hmat, b, penalty)


@jit
def directions(unit, dist):
    """Differences from the centres to unit vectors; returns the nearest centre."""
    groups, p = unit.shape
    nearest = 0
    for k in range(groups):
        if dist[k] < dist[nearest]:
            nearest = k
        if dist[k] > 0.0:
            for j in range(p):
                unit[k, j] /= dist[k]
    return nearest


@jit
def weight(dist, skip, skip2):
    w = 1.0
    for m in range(dist.shape[0]):
        if m != skip and m != skip2:
            w *= dist[m]
    return w


@jit
def penalty_hessian(unit, dist, kappa, cross, hess):
    """Add the penalty's Hessian at a point off the centres; without `cross` the positive semidefinite part only.

    Of the matrix only the lower triangle, from which Cholesky's factor is made.
    """
    groups, p = unit.shape
    for k in range(groups):
        w = kappa * weight(dist, k, k) / dist[k]
        for j in range(p):
            hess[j, j] += w
            for m in range(j + 1):
                hess[j, m] -= w * unit[k, j] * unit[k, m]
        if cross:
            for q in range(groups):
                if q != k:
                    w2 = kappa * weight(dist, k, q)
                    for j in range(p):
                        for m in range(j + 1):
                            hess[j, m] += w2 * unit[k, j] * unit[q, m]


@jit
def gradient_at(v, hmat, kappa, b, unit, dist, grad):
    """Gradient of f at a point off the centres; returns its norm."""
    groups, p = unit.shape
    norm = 0.0
    for j in range(p):
        e = -v[j]
        for m in range(p):
            e += hmat[j, m] * b[m]
        grad[j] = e
    for k in range(groups):
        w = kappa * weight(dist, k, k)
        for j in range(p):
            grad[j] += w * unit[k, j]
    for j in range(p):
        norm += grad[j] * grad[j]
    return np.sqrt(norm)
