"""The triangular factor of columns: by QR of blocks of rows, or in less time by Cholesky of cross-products."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import lapack, solve_triangular

__all__ = ["triangle_over_lengths"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_ROWS = 1 << 17  # of a block, whose triangle is found by itself
_BLOCK = 1 << 11  # rows whose cross-products are taken at once
_MANY = 1 << 18  # elements from which cross-products are factorised before rows are
_NEARLY, _WELL = 1e-4, 1e2  # share left of a column from which that is done, and condition up to which once


def triangle_over_lengths(columns: Array, lengths: Array, order: list[int], target: Array | None) -> Array:
    """Triangle of the columns over their lengths, and of the target behind them."""
    if len(order) == 1:
        first = float(bool(columns[:1, 0].any()) or columns[:, 0].any())
        return np.array([[first]] if target is None else [[first, float(columns[:, 0] @ target) / lengths[0]]])
    width = len(order) + (target is not None)
    if columns.size >= _MANY and len(columns) >= 4 * width:
        found = _triangle_of_products(columns, lengths, order, target)
        if found is not None:
            return found
    return _triangle_of_rows(columns, lengths, order, target)


def _triangle_of_rows(columns: Array, lengths: Array, order: list[int], target: Array | None) -> Array:
    """By Householder's reflections of blocks of rows."""
    width = len(order) + (target is not None)
    found = []
    for first in range(0, max(1, len(columns)), max(_ROWS, 4 * width)):
        rows = slice(first, first + max(_ROWS, 4 * width))
        scaled = np.empty((len(columns[rows]), width))
        for position, j in enumerate(order):
            np.divide(columns[rows, j], lengths[j], out=scaled[:, position])
        if target is not None:
            scaled[:, -1] = target[rows]
        found.append(np.asarray(np.linalg.qr(scaled, mode="r")))
    # the triangle of triangles, which is that of the rows together
    return found[0] if len(found) == 1 else np.asarray(np.linalg.qr(np.concatenate(found), mode="r"))


def _triangle_of_products(columns: Array, lengths: Array, order: list[int], target: Array | None) -> Array | None:
    """By Cholesky's factor of cross-products, in a fraction of the time; None near singularity.

    Its error grows with the square of the condition. Where that is more than small, the columns are made orthonormal
    by the first factor and their cross-products factorised again, which is as exact as reflections.

    References
    ----------
    Yamamoto, Y., Y. Nakatsukasa, Y. Yanagisawa and T. Fukaya (2015). Roundoff error analysis of the CholeskyQR2
    algorithm. *Electronic Transactions on Numerical Analysis* 44, 306-326.
    """
    scale = 1.0 / lengths[order]
    own = 1.0
    if target is not None:
        own = float(np.linalg.norm(target)) or 1.0
        scale = np.append(scale, 1.0 / own)
    gram = _products(columns, order, target)
    upper = _cholesky(gram * scale * scale[:, None])
    if upper is None or np.diag(upper).min() < _NEARLY:
        return None
    if np.linalg.cond(upper) > _WELL:
        basis = solve_triangular(upper, np.eye(len(upper)), check_finite=False) * scale[:, None]
        second = _cholesky(_products(columns, order, target, basis))
        if second is None:
            return None
        upper = second @ upper
    if target is not None:
        upper[:, -1] *= own
    return upper


def _products(columns: Array, order: list[int], target: Array | None, basis: Array | None = None) -> Array:
    """Cross-products of the columns and the target, or of combinations of them."""
    width = len(order) + (target is not None)
    own = slice(None) if order == list(range(columns.shape[1])) else order
    out, beside = np.zeros((width, width)), np.empty((min(_BLOCK, len(columns)), width))
    for first in range(0, len(columns), _BLOCK):
        rows = slice(first, first + _BLOCK)
        block = beside[: len(columns[rows])]
        block[:, : len(order)] = columns[rows, own]
        if target is not None:
            block[:, -1] = target[rows]
        if basis is not None:
            block = block @ basis
        out += block.T @ block
    return out


def _cholesky(gram: Array) -> Array | None:
    """R with R'R the matrix; None where it is not positive definite."""
    if not np.isfinite(gram).all():
        return None
    upper, failed = lapack.dpotrf(gram, clean=1)
    return None if failed else np.asarray(upper)
