"""Columns as an orthonormal basis times a triangle, and what is inverted through it.

With x = q R, q'q = I, the inverse of x'x is K K', K = R^-1: its error grows with the condition of x, that of an inverse
of x'x with the square. Columns are first scaled to length one, and less their means where one of them is constant:
neither units nor distances from zero matter then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from gifepanel.projections.base import column_norms
from gifepanel.projections.qr_or_cholesky import triangle_over_lengths

__all__ = [
    "EMPTY",
    "ROUNDING",
    "Reduced",
    "Triangle",
    "constant_column",
    "factorised",
    "orthogonal_triangle",
    "reduced",
    "spanned_by",
]

Array = np.ndarray[Any, np.dtype[np.float64]]

ROUNDING = 1e-14  # of a column that is stored and projected, relative to its length: some 50 units in the last place
_NAMED = 1e-7


@dataclass(frozen=True, eq=False)
class Triangle:
    """Columns x (n, k) as q R.

    Attributes
    ----------
    factor : ndarray, shape (k, k)
        R: x'x = R'R. Triangular, but for the row of a constant column.
    root : ndarray, shape (k, k)
        Its inverse K: (x'x)^-1 = K K'.
    centre : ndarray, shape (k,)
        Means that are taken off the columns first; zero where none of them is constant, and for that one.
    centred : ndarray, shape (k, k)
        What the columns less their means are multiplied by to be orthonormal.
    left : ndarray, shape (k,)
        Share of the variation of each column that those before it don't span.
    constant : int
        Position of the constant column; -1 without one.
    value : float
        Its value.
    """

    factor: Array
    root: Array
    centre: Array
    centred: Array
    left: Array
    constant: int = -1
    value: float = 1.0

    @property
    def inverse(self) -> Array:
        """(x'x)^-1."""
        return np.asarray(self.root @ self.root.T)

    @property
    def gram(self) -> Array:
        """x'x."""
        return np.asarray(self.factor.T @ self.factor)

    @property
    def lengths(self) -> Array:
        """Of the columns of x."""
        return np.asarray(np.sqrt(np.einsum("ij,ij->j", self.factor, self.factor)))

    def basis(self, x: Array, root_weights: Array | None = None) -> Array:
        """q (n, k), of columns that are not yet multiplied by the roots of their weights."""
        out = (x - self.centre if self.centre.any() else x) @ self.centred
        return np.asarray(out if root_weights is None else out * root_weights[:, None])

    def coordinates(self, rows: Array) -> Array:
        """Rows (m, k) of columns, or of restrictions on their coefficients, in the coordinates of q: rows K."""
        if self.constant < 0:
            return np.asarray(rows @ self.root)
        return np.asarray((rows - np.outer(rows[:, self.constant] / self.value, self.centre)) @ self.centred)

    def nearly_spanned(self, share: float) -> dict[int, list[int]]:
        """Columns of which those before them leave less than `share` of their variation, and which these are."""
        if not self.left.size or self.left.min() >= share:
            return {}
        columns = np.asarray(np.linalg.inv(self.centred), dtype=np.float64)
        return spanned_by(columns / column_norms(columns), share)


EMPTY = Triangle(np.empty((0, 0)), np.empty((0, 0)), np.empty(0), np.empty((0, 0)), np.empty(0))


def constant_column(x: Array) -> int:
    """Position of the first column (n, k) that is constant and not zero; -1 where there is none."""
    if not len(x):
        return -1
    for j in np.flatnonzero((x[0] == x[-1]) & (x[0] != 0)):
        if (x[:, j] == x[0, j]).all():
            return int(j)
    return -1


def orthogonal_triangle(
    x: Array, root_weights: Array | None = None, *, noise: Array | None = None
) -> tuple[Triangle, dict[int, list[int]]]:
    """Triangle of the columns (n, p) that others do not span; the others, each with those that span it.

    Parameters
    ----------
    x : ndarray, shape (n, p)
    root_weights : ndarray, shape (n,), optional
        Square roots of the weights of rows, by which columns are multiplied.
    noise : ndarray, shape (p,), optional
        Rounding errors in the columns, in their units and over all rows; by default 1e-14 of their lengths.

    Returns
    -------
    triangle : Triangle
        Of the k columns that are kept.
    spanned : dict
        Position of every column that is spanned: of those that span it, but for rounding.
    """
    return factorised(x, None, root_weights, noise)[:2]


def factorised(
    x: Array, y: Array | None, root: Array | None, noise: Array | None
) -> tuple[Triangle, dict[int, list[int]], Array, float]:
    """Triangle, spanned columns, q'y and the mean that was taken off y."""
    columns, centre, constant, target, middle = _centred(x, root, y)
    lengths = column_norms(columns)
    if noise is None:
        noise = ROUNDING * (lengths if constant < 0 else _raw_lengths(x, root))
    order = _constant_first(x.shape[1], constant)
    safe = np.where(lengths > 0, lengths, 1.0)
    r = triangle_over_lengths(columns, safe, order, target)
    value = 1.0 if constant < 0 else float(x[0, constant])
    triangle, spanned, right = _of_triangle(
        r, order, lengths, noise, centre=centre, constant=constant, value=value, with_target=target is not None
    )
    if constant >= 0:
        spanned = {j: _with_constant(j, others, x, constant) for j, others in spanned.items()}
    return triangle, spanned, right, middle


def _of_triangle(
    r: Array,
    order: list[int],
    lengths: Array,
    noise: Array,
    *,
    centre: Array,
    constant: int,
    value: float,
    with_target: bool = False,
) -> tuple[Triangle, dict[int, list[int]], Array]:
    """Triangle, spanned columns and q'y from the triangle `r` of columns over their lengths, in some order."""
    safe = np.where(lengths > 0, lengths, 1.0)
    p = len(order)
    found = spanned_by(r[:, :p], noise[order] / safe[order])
    kept = [j for j in range(p) if j not in found]
    if found:
        r = np.asarray(np.linalg.qr(r[:, [*kept, *range(p, r.shape[1])]], mode="r"))
    k = len(kept)
    sign = np.where(np.diag(r)[:k] < 0, -1.0, 1.0)
    upper = r[:k, :k] * sign[:, None]
    inner = solve_triangular(upper, np.eye(k), check_finite=False) if k else upper
    own = [order[j] for j in kept]
    triangle = _in_units(upper, inner, own, lengths, centre, constant, value)
    right = r[:k, -1] * sign if with_target else np.empty(0)
    spanned = {order[j]: [order[i] for i in others] for j, others in found.items()}
    return triangle, spanned, right


@dataclass(frozen=True, eq=False)
class Reduced:
    """What columns that come in blocks of rows are reduced to.

    Attributes
    ----------
    factor : ndarray, shape (p, p)
        Triangle of the columns, less their means where one is constant.
    centre : ndarray, shape (p,)
        These means, zero for that one.
    constant : int
        Its position, -1 without one.
    value : float
        Its value.
    """

    factor: Array
    centre: Array
    constant: int
    value: float

    def triangle(self, noise: Array) -> tuple[Triangle, dict[int, list[int]]]:
        """As :func:`orthogonal_triangle`, but that those which span a column are named without the constant."""
        lengths = column_norms(self.factor)
        order = _constant_first(len(lengths), self.constant)
        scaled = np.linalg.qr(self.factor[:, order] / np.where(lengths > 0, lengths, 1.0)[order], mode="r")
        at = {"centre": self.centre, "constant": self.constant, "value": self.value}
        return _of_triangle(scaled, order, lengths, noise, **at)[:2]  # type: ignore[arg-type]


def reduced(first: Array, over_blocks: Callable[[Callable[[Array], Any]], list[Any]]) -> Reduced:
    """Reduce columns that come in blocks of rows.

    Parameters
    ----------
    first : ndarray, shape (m, p)
        The first block.
    over_blocks : callable
        Applies a function to every block, in their order.
    """
    row, constant, centre = first[0], -1, np.zeros(first.shape[1])
    if (_constants(first) & (row != 0)).any():
        found = over_blocks(lambda block: (block[0], _constants(block), len(block), block.sum(axis=0)))
        constants = np.all([same & (own == row) for own, same, _, _ in found], axis=0) & (row != 0)
        if constants.any():
            constant = int(constants.argmax())
            centre = np.sum([one[3] for one in found], axis=0) / sum(one[2] for one in found)
            centre[constant] = 0.0
    parts = over_blocks(lambda block: np.linalg.qr(block - centre if centre.any() else block, mode="r"))
    return Reduced(np.asarray(np.linalg.qr(np.concatenate(parts), mode="r")), centre, constant, float(row[constant]))


def _constants(block: Array) -> Any:
    """Which columns do not vary; of most the last row says so."""
    same = block[0] == block[-1]
    for j in np.flatnonzero(same):
        same[j] = (block[:, j] == block[0, j]).all()
    return same


def _with_constant(j: int, others: list[int], x: Array, constant: int) -> list[int]:
    """The columns that span x_j, with the constant, which was taken off as a mean, where it takes part."""
    columns = x[:, [constant, *others]]
    length = column_norms(columns)
    weights = np.linalg.lstsq(columns / length, x[:, j], rcond=None)[0]
    return [constant, *others] if abs(weights[0]) > _NAMED * np.linalg.norm(x[:, j]) else others


def _centred(x: Array, root: Array | None, y: Array | None) -> tuple[Array, Array, int, Array | None, float]:
    """Columns times the roots of weights, less their means where there is a constant: these, means, its position."""
    constant = constant_column(x)
    centre, middle = np.zeros(x.shape[1]), 0.0
    if constant >= 0:
        weights = None if root is None else root**2
        centre = np.average(x, axis=0, weights=weights)
        centre[constant] = 0.0
        middle = 0.0 if y is None else float(np.average(y, weights=weights))
        x, y = x - centre, None if y is None else y - middle
    if root is not None:
        x, y = x * root[:, None], None if y is None else y * root
    return x, centre, constant, y, middle


def _raw_lengths(x: Array, root: Array | None) -> Array:
    return np.asarray(column_norms(x if root is None else x * root[:, None]))


def _constant_first(p: int, constant: int) -> list[int]:
    return list(range(p)) if constant < 0 else [constant, *(j for j in range(p) if j != constant)]


def _in_units(
    upper: Array, inner: Array, order: list[int], lengths: Array, centre: Array, constant: int, given: float
) -> Triangle:
    """From scaled columns in another order to the columns as they were."""
    at = np.argsort(order)  # kept columns by position
    kept = np.asarray(order, dtype=np.int64)[at]
    size = lengths[kept]
    centred = inner[at] / size[:, None]
    factor = upper[:, at] * size
    root, row, value = centred, -1, 1.0
    middle = centre[kept]
    if constant >= 0:
        row, value = int(np.flatnonzero(kept == constant)[0]), given
        share = middle / value
        factor = factor + np.outer(factor[:, row], share)
        root = centred.copy()
        root[row] -= share @ centred
    return Triangle(factor, root, middle, centred, np.abs(np.diag(upper))[at], row, value)


def spanned_by(columns: Array, noise: Array | float) -> dict[int, list[int]]:
    """Positions of columns (of length one) that those before them span, and by which.

    Parameters
    ----------
    columns : ndarray, shape (n, p)
        More columns than rows are possible.
    noise : float or ndarray, shape (p,)
        Rounding errors in the columns. One is spanned if no more is left of it than its own, and those of the others
        times their coefficients.
    """
    p = columns.shape[1]
    noise = np.broadcast_to(np.asarray(noise, dtype=np.float64), (p,))
    triangle: Array = np.linalg.qr(columns, mode="r")  # type: ignore[assignment]
    rows = len(triangle)
    clear = max(1e-6, float(noise.max(initial=0.0)) * 1e6)
    if rows >= p and (np.abs(np.diag(triangle)) > clear).all():
        return {}
    # after a column that is spanned, QR goes on in an arbitrary direction: orthogonalise on the others alone
    out: dict[int, list[int]] = {}
    basis = np.empty((rows, 0))
    for j in range(p):
        left = triangle[:, j]
        for _ in range(2):
            left = left - basis @ (basis.T @ left)
        length = np.linalg.norm(left)
        before = [k for k in range(j) if k not in out]
        weights = np.linalg.lstsq(triangle[:, before], triangle[:, j], rcond=None)[0] if before else np.empty(0)
        floor = noise[j] + np.abs(weights) @ noise[before]
        if basis.shape[1] < rows and length > floor:
            basis = np.column_stack([basis, left / length])
            continue
        out[j] = [k for k, weight in zip(before, weights, strict=True) if abs(weight) > max(_NAMED, noise[j])]
    return out
