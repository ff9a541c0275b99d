"""Dense linear algebra on p-by-p matrices, p small: what LAPACK is too slow to call for."""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = [
    "cholesky_in_place",
    "cholesky_solve_in_place",
    "eigh_batch",
    "jacobi_eigh",
    "solve_batch",
    "solve_semidefinite",
]

_JACOBI_SWEEPS = 30
_EPS = 2.220446049250313e-16
_COLLINEAR = 1e-10
_NEARLY, _RANK = 1e-8, 1e-12


@jit
def jacobi_eigh(a, values, vectors):
    """Eigendecomposition of a symmetric matrix by cyclic Jacobi rotations.

    Parameters
    ----------
    a : ndarray, shape (p, p)
        Overwritten.
    values : ndarray, shape (p,)
        Receives the eigenvalues, in no particular order.
    vectors : ndarray, shape (p, p)
        Receives the eigenvectors as columns.
    """
    p = a.shape[0]
    for i in range(p):
        for j in range(p):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(_JACOBI_SWEEPS):
        rotated = False
        for i in range(p - 1):
            for j in range(i + 1, p):
                off = a[i, j]
                if abs(off) <= _EPS * np.sqrt(abs(a[i, i])) * np.sqrt(abs(a[j, j])):
                    a[i, j] = 0.0
                    a[j, i] = 0.0
                    continue
                rotated = True
                theta = 0.5 * (a[j, j] - a[i, i]) / off
                t = 1.0 / (abs(theta) + np.sqrt(1.0 + theta * theta))
                if theta < 0.0:
                    t = -t
                c = 1.0 / np.sqrt(1.0 + t * t)
                s = t * c
                for m in range(p):
                    u, v = a[m, i], a[m, j]
                    a[m, i] = c * u - s * v
                    a[m, j] = s * u + c * v
                for m in range(p):
                    u, v = a[i, m], a[j, m]
                    a[i, m] = c * u - s * v
                    a[j, m] = s * u + c * v
                    u, v = vectors[m, i], vectors[m, j]
                    vectors[m, i] = c * u - s * v
                    vectors[m, j] = s * u + c * v
        if not rotated:
            break
    for i in range(p):
        values[i] = a[i, i]


@jit(plain=True)
def eigh_batch(matrices):
    """Eigenvalues (n, p) and eigenvectors (n, p, p) of n symmetric matrices (n, p, p)."""
    n, p = matrices.shape[0], matrices.shape[1]
    values = np.empty((n, p))
    vectors = np.empty((n, p, p))
    work = np.empty((p, p))
    for i in range(n):
        for j in range(p):
            for m in range(p):
                work[j, m] = matrices[i, j, m]
        jacobi_eigh(work, values[i], vectors[i])
    return values, vectors


@jit
def cholesky_in_place(a, tol=4.0 * _EPS):
    """Lower Cholesky factor in the lower triangle of `a` (p, p); False where `a` is not positive definite.

    `tol` bounds the pivots from below, each relative to its diagonal element: 1 - R^2 of a column on those before it.
    """
    p = a.shape[0]
    for j in range(p):
        diagonal = a[j, j]
        d = diagonal
        for m in range(j):
            d -= a[j, m] * a[j, m]
        if not d > tol * abs(diagonal) or not d > 0.0:
            return False
        d = np.sqrt(d)
        a[j, j] = d
        for i in range(j + 1, p):
            s = a[i, j]
            for m in range(j):
                s -= a[i, m] * a[j, m]
            a[i, j] = s / d
    return True


@jit
def cholesky_solve_in_place(factor, b):
    """Solve ``L L' x = b`` for a factor of :func:`cholesky_in_place`; `b` (p,) is overwritten by x."""
    p = b.shape[0]
    for i in range(p):
        s = b[i]
        for m in range(i):
            s -= factor[i, m] * b[m]
        b[i] = s / factor[i, i]
    for i in range(p - 1, -1, -1):
        s = b[i]
        for m in range(i + 1, p):
            s -= factor[m, i] * b[m]
        b[i] = s / factor[i, i]


@jit
def solve_semidefinite(a, b):
    """Solve ``a x = b`` for a positive semidefinite `a` (p, p); the least-norm solution where it is singular.

    `b` (p,) is overwritten by x, of `a` only the lower triangle is read, and nothing changed.
    """
    p = b.shape[0]
    work = np.empty((p, p))
    for j in range(p):
        for m in range(j + 1):
            work[j, m] = a[j, m]
    if cholesky_in_place(work, _NEARLY):
        left = 1.0
        for j in range(p):
            left *= work[j, j] * work[j, j] / a[j, j]
        if left > _NEARLY:
            cholesky_solve_in_place(work, b)
            return
    for j in range(p):
        for m in range(j + 1):
            work[j, m] = a[j, m]
            work[m, j] = a[j, m]
    values, vectors, x = np.empty(p), np.empty((p, p)), np.zeros(p)
    jacobi_eigh(work, values, vectors)
    for v in range(p):
        if values[v] > _RANK * values.max():
            s = 0.0
            for j in range(p):
                s += vectors[j, v] * b[j]
            for j in range(p):
                x[j] += vectors[j, v] * s / values[v]
    b[:] = x


@jit(plain=True)
def solve_batch(matrices, rhs, fallback):
    """Solve n symmetric systems (n, p, p) for right-hand sides (n, p).

    A system that is singular (a pivot below 1e-10 of its diagonal: collinear but for rounding) takes the row of
    `fallback` (n, p) instead.

    Returns
    -------
    solutions : ndarray, shape (n, p)
    singular : ndarray of bool, shape (n,)
    """
    n, p = rhs.shape
    out = np.empty((n, p))
    singular = np.zeros(n, dtype=np.bool_)
    work = np.empty((p, p))
    for i in range(n):
        for j in range(p):
            out[i, j] = rhs[i, j]
            for m in range(p):
                work[j, m] = matrices[i, j, m]
        if cholesky_in_place(work, _COLLINEAR):
            cholesky_solve_in_place(work, out[i])
        else:
            singular[i] = True
            for j in range(p):
                out[i, j] = fallback[i, j]
    return out, singular
