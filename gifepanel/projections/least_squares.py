"""Regression by the triangle of its columns, and its refinement in extended precision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gifepanel.projections.row_blocks import over_rows
from gifepanel.projections.triangle import Triangle, factorised

__all__ = ["LeastSquares", "least_squares", "refined"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_SMALL, _EXTENDED = 20_000, 1_000_000  # elements of x up to which to refine: always, and where columns nearly agree
_NEAR = 1e-3


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """A regression by the triangle.

    Attributes
    ----------
    triangle : Triangle
        Of the k columns that are kept.
    spanned : dict
        Position of every column that is spanned: of those that span it, but for rounding.
    params : ndarray, shape (k,)
    resid : ndarray, shape (n,)
    """

    triangle: Triangle
    spanned: dict[int, list[int]]
    params: Array
    resid: Array


def refined(fit: LeastSquares, x: Array, y: Array, root_weights: Array | None = None) -> LeastSquares:
    """The same with two steps of iterative refinement, residuals and their products with x in extended precision.

    For columns that are data, not residuals: these know no more than double precision. Where the machine has no
    extended precision, there are many data, or some and no two columns nearly agree, the fit as it is.

    References
    ----------
    Björck, Å. (1967). Iterative refinement of linear least squares solutions I. *BIT* 7, 257-278.
    """
    if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps or fit.spanned:
        return fit
    if x.size > (_EXTENDED if fit.triangle.left.min(initial=1.0) < _NEAR else _SMALL):
        return fit
    triangle, params = fit.triangle, fit.params.astype(np.longdouble)
    columns, outcome = x.astype(np.longdouble), y.astype(np.longdouble)
    weighted = columns - triangle.centre
    if root_weights is not None:
        weighted *= root_weights[:, None].astype(np.longdouble) ** 2
    for _ in range(2):
        gap = weighted.T @ (outcome - columns @ params)
        params += triangle.root @ (triangle.centred.T @ gap.astype(np.float64))
    resid = np.asarray(outcome - columns @ params, dtype=np.float64)
    return replace(fit, params=params.astype(np.float64), resid=resid)


def least_squares(x: Array, y: Array, root_weights: Array | None = None, *, noise: Array | None = None) -> LeastSquares:
    """Regression of y (n,) on columns (n, p); residuals are not weighted.

    Weights and noise are those of :func:`~gifepanel.projections.triangle.orthogonal_triangle`.
    """
    triangle, spanned, right, middle = factorised(x, y, root_weights, noise)
    params = triangle.root @ right
    kept = [j for j in range(x.shape[1]) if j not in spanned]
    used = x if not spanned else x[:, kept]
    constant = triangle.constant
    if constant < 0:
        return LeastSquares(triangle, spanned, params, _left_of(y, used, params))
    slopes = triangle.centred @ right  # the constant's own: what is left of the mean, rounding
    resid = (y - middle) - (used - triangle.centre) @ slopes
    params[constant] += middle / used[0, constant]
    return LeastSquares(triangle, spanned, params, resid)


def _left_of(y: Array, x: Array, params: Array) -> Array:
    """y (n,) less x params, in blocks of rows."""
    out = np.empty(len(y))

    def subtract(first: int, last: int) -> None:
        if len(params) == 1:
            np.multiply(x[first:last, 0], params[0], out=out[first:last])
        else:
            np.matmul(x[first:last], params, out=out[first:last])
        np.subtract(y[first:last], out[first:last], out=out[first:last])

    over_rows(subtract, *x.shape)
    return out
