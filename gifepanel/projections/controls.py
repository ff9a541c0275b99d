"""Observed controls: projection by pivoted QR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import qr, solve_triangular

from gifepanel.projections.base import Certificate, DegreesAbsorbed, column_norms
from gifepanel.projections.triangle import constant_column

__all__ = ["Controls"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_CONSTANT = 1e-14  # variation below this share of a column's length is rounding
_PLAIN = 1e-12  # rtol for columns that are data


@dataclass(frozen=True, eq=False)
class Controls:
    """Columns to be partialled out, with their rank found by pivoted QR.

    Attributes
    ----------
    q : ndarray, shape (n, r)
        Orthonormal basis of the span (of the square roots of the weights times the controls).
    r : ndarray, shape (r, r)
        Triangular factor of the kept controls.
    kept, aliased : tuple of int
        Columns that are in the basis, and those that others span.
    root : ndarray, shape (n,), or None
        Square roots of the weights.
    share : ndarray, shape (r,)
        What was taken off the kept controls before, in units of a constant one; zero where there is none.
    constant : int
        Position of the constant among the kept controls; -1 without one.
    """

    q: Array
    r: Array
    kept: tuple[int, ...]
    aliased: tuple[int, ...]
    root: Array | None
    share: Array
    constant: int

    @classmethod
    def from_columns(cls, columns: Array, weights: Array | None = None, *, rtol: float = 1e-10) -> Controls:
        """Factorise controls (n, k).

        Parameters
        ----------
        columns : ndarray, shape (n, k)
        weights : ndarray, shape (n,), optional
        rtol : float
            A column counts as spanned by others where less than this share of its length is left.
        """
        root = None if weights is None else np.sqrt(weights)
        position = constant_column(columns)
        share = np.zeros(columns.shape[1])
        if position >= 0:  # what is far from zero loses digits
            share = np.average(columns, axis=0, weights=weights) / columns[0, position]
            share[position] = 0.0
            raw = column_norms(columns if root is None else columns * root[:, None])
            columns = columns - share * columns[0, position]
        scaled = columns if root is None else columns * root[:, None]
        norms = column_norms(scaled)
        if position >= 0:
            norms = np.where(norms > _CONSTANT * raw, norms, 0.0)
            rtol = min(rtol, _PLAIN)
        scaled = np.where(norms > 0, scaled, 0.0) / np.where(norms > 0, norms, 1.0)
        basis, triangle, pivots = qr(scaled, mode="economic", pivoting=True, check_finite=False)
        rank = int((np.abs(np.diag(triangle)) > rtol).sum()) if triangle.size else 0
        kept = pivots[:rank]
        return cls(
            np.ascontiguousarray(basis[:, :rank]),
            triangle[:rank, :rank] * norms[kept],
            tuple(int(j) for j in kept),
            tuple(sorted(int(j) for j in pivots[rank:])),
            root,
            share[kept],
            int(np.flatnonzero(kept == position)[0]) if position >= 0 else -1,
        )

    @property
    def degrees(self) -> DegreesAbsorbed:
        """The rank."""
        rank = len(self.kept)
        return DegreesAbsorbed(rank, True, (rank,))

    def residualize(self, columns: Array) -> tuple[Array, Certificate]:
        """Residuals of columns (n, m), projected twice: orthogonal to rounding."""
        out = columns.copy() if self.root is None else columns * self.root[:, None]
        for _ in range(2):
            out -= self.q @ (self.q.T @ out)
        left = np.abs(self.q.T @ out).max(axis=0, initial=0.0)
        scaled = columns if self.root is None else columns * self.root[:, None]
        size = np.maximum(column_norms(scaled), np.finfo(float).tiny)
        if self.root is not None:
            out /= np.where(self.root > 0, self.root, 1.0)[:, None]
        return out, Certificate("pivoted QR", 0, float((left / size).max(initial=0.0)), True)

    def coefficients(self, columns: Array) -> Array:
        """Least-squares coefficients (k, m) of columns (n, m) on the controls, zero for aliased ones."""
        scaled = columns if self.root is None else columns * self.root[:, None]
        out = np.zeros((len(self.kept) + len(self.aliased), columns.shape[1]))
        found = solve_triangular(self.r, self.q.T @ scaled)
        if self.constant >= 0:
            found[self.constant] -= self.share @ found
        out[list(self.kept)] = found
        return out

    def loadings(self, rows: Array) -> Array:
        """What rows (m, r) of the kept controls are in the basis: (r, m)."""
        if self.constant >= 0:
            rows = rows - np.outer(rows[:, self.constant], self.share)
        return np.asarray(solve_triangular(self.r, rows.T, trans=1))

    def leverage(self) -> Array:
        """Diagonal of the projection (n,)."""
        return np.einsum("nr,nr->n", self.q, self.q)
