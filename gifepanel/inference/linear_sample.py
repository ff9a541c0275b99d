"""Checked arrays of a partialled-out regression, and what is done to every covariance of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning, caller_level
from gifepanel.inference.small_sample import SampleCounts
from gifepanel.inference.space import FloatArray

__all__ = [
    "LinearSample",
    "clip_negative",
    "full_leverage",
    "leverage_scale",
    "linear_sample",
    "nuisance_in_root_weights",
    "scaled_arrays",
]

_FULL = 1e-10  # 1 - h below this: the row is fitted exactly, its residual is rounding


@dataclass(frozen=True, eq=False)
class LinearSample:
    """Checked arrays of one call, in sqrt(w) units: x (n, k), u (n,)."""

    x: FloatArray
    u: FloatArray
    bread: FloatArray
    length: FloatArray
    correlation: FloatArray

    @property
    def scores(self) -> FloatArray:
        """s_i, shape (n, k)."""
        return self.x * self.u[:, None]

    def sandwich(self, meat: FloatArray) -> FloatArray:
        """A^-1 meat A^-1, solved in units where all regressors have length one."""
        outer = np.outer(self.length, self.length)
        half = np.linalg.solve(self.correlation, meat / outer)
        out = np.linalg.solve(self.correlation, half.T) / outer
        return np.asarray((out + out.T) / 2)


def full_leverage(
    x_tilde: npt.ArrayLike, absorbed: npt.ArrayLike | float = 0.0, *, weights: npt.ArrayLike | None = None
) -> FloatArray:
    """Leverages of the full regression: the nuisance part's plus w_i x~_i'A^-1 x~_i of the regressors.

    Parameters
    ----------
    x_tilde : array_like, shape (n, k)
    absorbed : array_like, shape (n,), or 0
        Diagonal of the projection on effects and controls (on sqrt(w) times them, with weights).
    weights : array_like, shape (n,), optional

    Returns
    -------
    ndarray, shape (n,)
        They sum to K, the rank of the full regression.
    """
    x, _ = scaled_arrays(x_tilde, None, weights)
    right = np.linalg.qr(x)[0]
    return np.asarray(absorbed, dtype=np.float64) + np.einsum("nk,nk->n", right, right)


def scaled_arrays(
    x_tilde: npt.ArrayLike, resid: npt.ArrayLike | None, weights: npt.ArrayLike | None
) -> tuple[FloatArray, FloatArray | None]:
    """Arrays checked and multiplied by sqrt(w)."""
    x = np.asarray(x_tilde, dtype=np.float64)
    u = None if resid is None else np.asarray(resid, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] == 0 or (u is not None and u.shape != x.shape[:1]):
        raise DataError(
            f"Regressors have shape {x.shape} and residuals {None if u is None else u.shape}.",
            "They must be (n, k) with k > 0, and (n,).",
            "Pass observations along axis 0.",
        )
    if not np.isfinite(x).all() or not (u is None or np.isfinite(u).all()):
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
    root = np.sqrt(w)
    return x * root[:, None], None if u is None else u * root


def linear_sample(x_tilde: npt.ArrayLike, resid: npt.ArrayLike, weights: npt.ArrayLike | None) -> LinearSample:
    x, u = scaled_arrays(x_tilde, resid, weights)
    assert u is not None
    bread = x.T @ x
    length = np.sqrt(np.diag(bread))
    safe = np.where(length > 0, length, 1.0)
    correlation = bread / np.outer(safe, safe)
    if (length == 0).any() or np.linalg.eigvalsh(correlation)[0] < 1e-13:
        raise DataError(
            "The regressors are collinear once the nuisance part is taken out.",
            "Every regressor needs variation of its own.",
            "Drop a regressor.",
        )
    return LinearSample(x, u, bread, length, correlation)


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


def clip_negative(cov: FloatArray, length: FloatArray, psd: str, description: str) -> tuple[FloatArray, bool, float]:
    """The covariance with negative eigenvalues set to zero, whether there were any, and the smallest."""
    unit = np.ones_like(length) if psd == "clip-raw" else length
    outer = np.outer(unit, unit)
    values, vectors = np.linalg.eigh(cov * outer)
    top = float(np.abs(values).max())
    smallest = float(values[0]) / top if top > 0 else 0.0
    if smallest >= -1e-12:
        return cov, False, smallest
    if psd == "keep" and (np.diag(cov) < 0).any():
        raise SpecificationError(
            f"The covariance, {description}, has a negative variance (coefficient {int(np.argmin(np.diag(cov))) + 1}).",
            "It can't give standard errors as it is.",
            "Cluster in one way only, use kernel='bartlett', or psd='clip'.",
        )
    warnings.warn(
        SpecificationWarning(
            f"The covariance, {description}, is not positive semidefinite (smallest eigenvalue {smallest:.1e} of the"
            " largest).",
            "Joint tests may not stand." if psd == "keep" else "Negative eigenvalues were set to zero.",
            "Cluster in one way only, or use kernel='bartlett'.",
        ),
        stacklevel=caller_level(),
    )
    if psd == "keep":
        return cov, False, smallest
    fixed = (vectors * np.maximum(values, 0.0)) @ vectors.T / outer
    return np.asarray((fixed + fixed.T) / 2), True, smallest
