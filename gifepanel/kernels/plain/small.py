"""Dense linear algebra on p-by-p matrices, many at once: :mod:`gifepanel.kernels.small`."""

from __future__ import annotations

import math

import numpy as np

from gifepanel.kernels.plain.ordered import Array, BoolArray

__all__ = ["EPS", "cholesky", "cholesky_solve", "eigh_batch", "solve_batch", "solve_one", "solve_semidefinite"]

_JACOBI_SWEEPS = 30
EPS = 2.220446049250313e-16
_COLLINEAR = 1e-10
_NEARLY, _RANK = 1e-8, 1e-12


def cholesky(a: Array, tol: float = 4.0 * EPS) -> BoolArray:
    """Lower factors of matrices (p, p, N), in place; which are positive definite (N,)."""
    p = len(a)
    definite = np.ones(a.shape[2], dtype=bool)
    for j in range(p):
        diagonal = a[j, j].copy()
        d = diagonal.copy()
        for m in range(j):
            d -= a[j, m] * a[j, m]
        definite &= (d > tol * np.abs(diagonal)) & (d > 0.0)
        d = np.sqrt(np.where(definite, d, 1.0))
        a[j, j] = d
        for i in range(j + 1, p):
            for m in range(j):
                a[i, j] -= a[i, m] * a[j, m]
            a[i, j] /= d
    return definite


def cholesky_solve(factor: Array, b: Array) -> None:
    """Solve ``L L' x = b`` for factors (p, p, N) of :func:`cholesky`; `b` (p, N) is overwritten."""
    p = len(b)
    for i in range(p):
        for m in range(i):
            b[i] -= factor[i, m] * b[m]
        b[i] /= factor[i, i]
    for i in range(p - 1, -1, -1):
        for m in range(i + 1, p):
            b[i] -= factor[m, i] * b[m]
        b[i] /= factor[i, i]


def _factor(a: list[list[float]], tol: float) -> bool:
    """The lower factor of one matrix in place; False where it is not positive definite."""
    q = len(a)
    for j in range(q):
        diagonal = d = a[j][j]
        for m in range(j):
            d -= a[j][m] * a[j][m]
        if not d > tol * abs(diagonal) or not d > 0.0:
            return False
        a[j][j] = d = math.sqrt(d)
        for i in range(j + 1, q):
            s = a[i][j]
            for m in range(j):
                s -= a[i][m] * a[j][m]
            a[i][j] = s / d
    return True


def _substitute(a: list[list[float]], b: list[float]) -> list[float]:
    """Solve ``L L' x = b`` for one factor, in place."""
    q = len(b)
    for i in range(q):
        s = b[i]
        for m in range(i):
            s -= a[i][m] * b[m]
        b[i] = s / a[i][i]
    for i in range(q - 1, -1, -1):
        s = b[i]
        for m in range(i + 1, q):
            s -= a[m][i] * b[m]
        b[i] = s / a[i][i]
    return b


def solve_one(gram: Array, rhs: Array, tol: float) -> list[float] | None:
    """The solution of one system (q, q), None where it is not positive definite."""
    a = gram.tolist()
    return _substitute(a, rhs.tolist()) if _factor(a, tol) else None


def solve_semidefinite(a: Array, b: Array) -> list[float]:
    """The least-norm solution of one positive semidefinite system, of which the lower triangle is read."""
    p, factor = len(b), a.tolist()
    if _factor(factor, _NEARLY):
        left = 1.0
        for j in range(p):
            left *= factor[j][j] * factor[j][j] / float(a[j, j])
        if left > _NEARLY:
            return _substitute(factor, b.tolist())
    values, vectors = (found[0] for found in eigh_batch(np.where(np.tri(p, dtype=bool), a, a.T)[None]))
    x = [0.0] * p
    for v in range(p):
        if values[v] > _RANK * values.max():
            s = 0.0
            for j in range(p):
                s += float(vectors[j, v] * b[j])
            for j in range(p):
                x[j] += float(vectors[j, v] * s / values[v])
    return x


def solve_batch(matrices: Array, rhs: Array, fallback: Array) -> tuple[Array, BoolArray]:
    """Symmetric systems (n, p, p) for right-hand sides (n, p); singular ones take their row of `fallback`."""
    factor, b = matrices.transpose(1, 2, 0).copy(), rhs.T.copy()
    with np.errstate(all="ignore"):
        definite = cholesky(factor, _COLLINEAR)
        cholesky_solve(factor, b)
    return np.ascontiguousarray(np.where(definite, b, fallback.T).T), ~definite


def eigh_batch(matrices: Array) -> tuple[Array, Array]:
    """Eigenvalues (n, p) and eigenvectors (n, p, p) of symmetric matrices (n, p, p), by Jacobi's rotations."""
    a = matrices.transpose(1, 2, 0).copy()
    p, n = len(a), a.shape[2]
    vectors = np.zeros((p, p, n))
    vectors[np.arange(p), np.arange(p)] = 1.0
    going = np.arange(n)
    for _ in range(_JACOBI_SWEEPS):
        rotated = np.zeros(len(going), dtype=bool)
        for i in range(p - 1):
            for j in range(i + 1, p):
                rotated |= _rotate(a, vectors, going, i, j)
        going = going[rotated]
        if not len(going):
            break
    values = a[np.arange(p), np.arange(p)]
    return np.ascontiguousarray(values.T), np.ascontiguousarray(vectors.transpose(2, 0, 1))


def _rotate(a: Array, vectors: Array, going: np.ndarray, i: int, j: int) -> BoolArray:
    """Rotate (i, j) to zero in the matrices `going`; which needed it."""
    off, first, second = a[i, j, going], a[i, i, going], a[j, j, going]
    small = np.abs(off) <= EPS * np.sqrt(np.abs(first)) * np.sqrt(np.abs(second))
    a[i, j, going[small]] = 0.0
    a[j, i, going[small]] = 0.0
    on = going[~small]
    if not len(on):
        return ~small
    with np.errstate(over="ignore"):
        theta = 0.5 * (second[~small] - first[~small]) / off[~small]
        t = 1.0 / (np.abs(theta) + np.sqrt(1.0 + theta * theta))
    t = np.where(theta < 0.0, -t, t)
    c = 1.0 / np.sqrt(1.0 + t * t)
    s = t * c
    for columns in (a, vectors):
        u, v = columns[:, i, on], columns[:, j, on]
        columns[:, i, on] = c * u - s * v
        columns[:, j, on] = s * u + c * v
    u, v = a[i][:, on], a[j][:, on]
    a[i][:, on] = c * u - s * v
    a[j][:, on] = s * u + c * v
    return ~small
