"""Checked arrays of a partialled-out regression, and what is done to every covariance of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError
from gifepanel.inference.small_sample import SampleCounts
from gifepanel.inference.space import FloatArray
from gifepanel.projections.row_blocks import all_finite
from gifepanel.projections.triangle import Triangle, orthogonal_triangle

__all__ = [
    "LinearSample",
    "checked_arrays",
    "full_leverage",
    "in_coefficients",
    "leverage_scale",
    "linear_sample",
    "nuisance_in_root_weights",
]

_FULL = 1e-10  # 1 - h below this: the row is fitted exactly, its residual is rounding


@dataclass(frozen=True, eq=False)
class LinearSample:
    """Checked arrays of one call.

    Attributes
    ----------
    x : ndarray, shape (n, k)
        Regressors.
    root : ndarray, shape (n,), or None
        sqrt(w).
    u : ndarray, shape (n,)
        Residuals times sqrt(w).
    triangle : Triangle
        Of the regressors times sqrt(w).
    """

    x: FloatArray
    root: FloatArray | None
    u: FloatArray
    triangle: Triangle

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the regressors."""
        return self.x.shape[0], self.x.shape[1]

    @cached_property
    def q(self) -> FloatArray:
        """Orthonormal basis (n, k) of the regressors times sqrt(w).

        Scores and meat are those of its columns, and what is inverted is the triangle.
        """
        return self.triangle.basis(self.x, self.root)

    @cached_property
    def ssr(self) -> float:
        """Sum of squared residuals, weighted."""
        return float(self.u @ self.u)

    @property
    def scores(self) -> FloatArray:
        """u_i q_i, shape (n, k)."""
        return self.q * self.u[:, None]


def in_coefficients(triangle: Triangle, meat: FloatArray) -> FloatArray:
    """A^-1 meat A^-1 of a meat (k, k) in the basis q."""
    out = triangle.root @ meat @ triangle.root.T
    return np.asarray((out + out.T) / 2)


def full_leverage(
    x_tilde: npt.ArrayLike,
    absorbed: npt.ArrayLike | float = 0.0,
    *,
    weights: npt.ArrayLike | None = None,
    triangle: Triangle | None = None,
) -> FloatArray:
    """Leverages of the full regression: the nuisance part's plus w_i x~_i'A^-1 x~_i of the regressors.

    Parameters
    ----------
    x_tilde : array_like, shape (n, k)
    absorbed : array_like, shape (n,), or 0
        Diagonal of the projection on effects and controls (on sqrt(w) times them, with weights).
    weights : array_like, shape (n,), optional
    triangle : Triangle, optional
        Of x~ times sqrt(w), where it is known.

    Returns
    -------
    ndarray, shape (n,)
        They sum to K, the rank of the full regression.
    """
    x, _ = checked_arrays(x_tilde, None, weights)
    root = _root(weights)
    right = (_triangle(x, root) if triangle is None else triangle).basis(x, root)
    return np.asarray(absorbed, dtype=np.float64) + np.einsum("nk,nk->n", right, right)


def _root(weights: npt.ArrayLike | None) -> FloatArray | None:
    return None if weights is None else np.sqrt(np.asarray(weights, dtype=np.float64))


def checked_arrays(
    x_tilde: npt.ArrayLike, resid: npt.ArrayLike | None, weights: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray | None]:
    """Regressors as they are, and residuals times sqrt(w)."""
    x = np.asarray(x_tilde, dtype=np.float64)
    u = None if resid is None else np.asarray(resid, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] == 0 or (u is not None and u.shape != x.shape[:1]):
        raise DataError(
            f"Regressors have shape {x.shape} and residuals {None if u is None else u.shape}.",
            "They must be (n, k) with k > 0, and (n,).",
            "Pass observations along axis 0.",
        )
    if not all_finite(x) or not (u is None or all_finite(u)):
        raise DataError(
            "Regressors or residuals are missing or infinite.", "Finite numbers are needed.", "Drop or fill these rows."
        )
    if weights is None:
        return x, u
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != x.shape[:1] or not np.isfinite(w).all() or (w < 0).any():
        raise DataError(
            f"Weights have shape {w.shape}, or are negative, missing or infinite.",
            f"Numbers from 0 up of shape {x.shape[:1]} are needed.",
            "Drop rows without a weight.",
        )
    return x, None if u is None else u * np.sqrt(w)


def linear_sample(
    x_tilde: npt.ArrayLike, resid: npt.ArrayLike, weights: npt.ArrayLike | None, triangle: Triangle | None = None
) -> LinearSample:
    """Arrays checked, and regressors as an orthonormal basis times a triangle; `triangle` where it is known."""
    x, u = checked_arrays(x_tilde, resid, weights)
    assert u is not None
    triangle = _triangle(x, _root(weights)) if triangle is None else triangle
    return LinearSample(x, _root(weights), u, triangle)


def _triangle(x: FloatArray, root: FloatArray | None) -> Triangle:
    triangle, spanned = orthogonal_triangle(x, root)
    if spanned:
        first = next(iter(spanned))
        others = ", ".join(str(j + 1) for j in spanned[first])
        raise DataError(
            f"Regressor {first + 1} is collinear with "
            + (f"regressor {others} once the nuisance part is taken out." if others else "the nuisance part."),
            "Every regressor needs variation of its own.",
            "Drop a regressor.",
        )
    return triangle


def nuisance_in_root_weights(
    nuisance: npt.ArrayLike | None, weights: npt.ArrayLike | None, n: int
) -> FloatArray | None:
    if nuisance is None:
        return None
    columns = np.asarray(nuisance, dtype=np.float64)
    if columns.ndim != 2 or columns.shape[0] != n or not np.isfinite(columns).all():
        raise DataError(
            f"Nuisance columns have shape {columns.shape}, or are not finite.",
            f"Finite numbers of shape ({n}, r) are needed.",
            "Use nuisance_columns(...).",
        )
    return columns if weights is None else columns * np.sqrt(np.asarray(weights, dtype=np.float64))[:, None]


def leverage_scale(leverage: FloatArray, kind: str, counts: SampleCounts) -> tuple[FloatArray, int]:
    """(1 - h)^(-1/2) or (1 - h)^-1, zero where the row is fitted exactly, and how many such rows."""
    if leverage.shape != (counts.nobs,) or not np.isfinite(leverage).all():
        raise DataError(
            f"Leverages have shape {leverage.shape}, or are not finite.",
            f"Finite numbers of shape ({counts.nobs},) are needed.",
            "Use full_leverage(x_tilde, absorbed).",
        )
    total = float(leverage.sum())
    if abs(total - counts.df_params) > 1e-6 * counts.df_params or leverage.max() > 1 + 1e-8 or leverage.min() < -1e-8:
        raise DataError(
            f"Leverages sum to {total:.6g} and lie between {leverage.min():.3g} and {leverage.max():.3g}; "
            f"{counts.df_params} parameters were counted.",
            "They must lie in [0, 1] and sum to the rank of the full regression, absorbed effects included.",
            "Use full_leverage(x_tilde, absorbed), and the exact df_absorbed.",
        )
    rest = 1 - leverage
    fitted = rest < _FULL
    scale = np.where(fitted, 0.0, np.maximum(rest, _FULL) ** (-0.5 if kind == "HC2" else -1.0))
    return scale, int(fitted.sum())
