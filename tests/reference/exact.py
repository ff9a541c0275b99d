"""Least squares and its covariances in rational arithmetic: what floating point is held against."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

__all__ = ["ExactFit", "exact_fit"]

Rational = list[list[Fraction]]


def _rational(values: np.ndarray) -> Rational:
    return [[Fraction(float(v)) for v in row] for row in np.atleast_2d(values)]


def _times(a: Rational, b: Rational) -> Rational:
    columns = list(zip(*b, strict=True))
    return [[sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0)) for column in columns] for row in a]


def _transposed(a: Rational) -> Rational:
    return [list(row) for row in zip(*a, strict=True)]


def _inverse(a: Rational) -> Rational:
    n = len(a)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(a)]
    for j in range(n):
        pivot = next(i for i in range(j, n) if rows[i][j])
        rows[j], rows[pivot] = rows[pivot], rows[j]
        rows[j] = [value / rows[j][j] for value in rows[j]]
        for i in range(n):
            if i != j and rows[i][j]:
                rows[i] = [a - rows[i][j] * b for a, b in zip(rows[i], rows[j], strict=True)]
    return [row[n:] for row in rows]


class ExactFit:
    """Coefficients, residuals and sandwiches of y on x, weights w, all exact until they are returned as floats."""

    def __init__(self, x: np.ndarray, y: np.ndarray, w: np.ndarray | None = None) -> None:
        self.x, self.n = _rational(x), len(y)
        self.w = [Fraction(1)] * self.n if w is None else [Fraction(float(v)) for v in w]
        weighted = [[w * v for v in row] for w, row in zip(self.w, self.x, strict=True)]
        self.inverse = _inverse(_times(_transposed(weighted), self.x))
        self.solve = _times(self.inverse, _transposed(weighted))  # (k, n)
        outcome = [[Fraction(float(v))] for v in y]
        self.b = _times(self.solve, outcome)
        fitted = _times(self.x, self.b)
        self.u = [a[0] - b[0] for a, b in zip(outcome, fitted, strict=True)]

    @property
    def params(self) -> np.ndarray:
        return np.array([float(row[0]) for row in self.b])

    def nonrobust(self) -> np.ndarray:
        ssr = sum(w * u * u for w, u in zip(self.w, self.u, strict=True))
        return np.sqrt([float(ssr / (self.n - len(self.b)) * self.inverse[j][j]) for j in range(len(self.b))])

    def robust(self, power: int = 0) -> np.ndarray:
        """HC0, and with residuals over the power-th root of (1 - h)^2: HC2 for 1, HC3 for 2."""
        out = [Fraction(0)] * len(self.b)
        for i, u in enumerate(self.u):
            h = sum((a * row[i] for a, row in zip(self.x[i], self.solve, strict=True)), Fraction(0))
            for j, row in enumerate(self.solve):
                out[j] += (row[i] * u) ** 2 / (1 - h) ** power
        return np.sqrt([float(v) for v in out])

    def lagged(self, kernel: Sequence[Fraction], blocks: Sequence[Sequence[int]]) -> np.ndarray:
        """Sum over pairs of rows of a block, weights by their distance; a kernel of ones is a cluster."""
        out = [Fraction(0)] * len(self.b)
        for block in blocks:
            for j, row in enumerate(self.solve):
                scores = [row[i] * self.u[i] for i in block]
                for a, left in enumerate(scores):
                    for b, right in enumerate(scores):
                        if abs(a - b) < len(kernel):
                            out[j] += kernel[abs(a - b)] * left * right
        return np.sqrt([float(v) for v in out])

    def jackknife(self, blocks: Sequence[Sequence[int]], y: np.ndarray) -> np.ndarray:
        """Squared changes of the coefficients without each block."""
        out = [Fraction(0)] * len(self.b)
        for block in blocks:
            kept = [i for i in range(self.n) if i not in set(block)]
            weighted = [[self.w[i] * v for v in self.x[i]] for i in kept]
            left = _times(_transposed(weighted), [self.x[i] for i in kept])
            right = _times(_transposed(weighted), [[Fraction(float(y[i]))] for i in kept])
            for j, row in enumerate(_times(_inverse(left), right)):
                out[j] += (row[0] - self.b[j][0]) ** 2
        return np.sqrt([float(v) for v in out])


def exact_fit(columns: Sequence[np.ndarray], y: np.ndarray, w: np.ndarray | None = None) -> ExactFit:
    """Of columns, the constant among them where it is wanted."""
    return ExactFit(np.column_stack(columns), y, w)
