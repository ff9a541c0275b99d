"""Additive against interactive effects: the Hausman test of Bai (2009, section 9).

Where effects are additive, least squares with additive effects and least squares with factors are both consistent, the
first efficient; where effects are interactive only the second is. Their difference has the covariance

    sigma^2 (D^-1 - C^-1),    D = Z'M_F,Lambda Z,  C = Z'M_additive Z

under independent errors with one variance. Here it is that of the difference of the two estimates' influences,

    psi_it = (D^-1 z^F_it - C^-1 z^A_it) e_it,

z^F and z^A the regressors off factors and off additive effects. The sum of squares of its first part is D^-1 - C^-1
where the estimated factors span the additive effects, as they do in the limit; it is never indefinite, and, summed by
entity, allows for errors that are correlated over time. Errors are the residuals under additive effects: those of the
fit with factors are orthogonal to the very part of the regressors that psi is made of.

There must be as many factors as additive effects. A further one has no counterpart under the null: it follows the
errors, D^-1 - C^-1 is of smaller order then, and the difference is larger than it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Hausman", "HausmanKind", "hausman"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
HausmanKind = Literal["nonrobust", "HC1", "cluster"]


@dataclass(frozen=True, eq=False)
class Hausman:
    """The test.

    Attributes
    ----------
    statistic : float
        Chi-squared; NaN where the difference has no variance.
    rank : int
        Slopes compared.
    additive : ndarray, shape (q,)
        Slopes with additive effects.
    se : ndarray, shape (q,)
        Of the differences, interactive less additive.
    """

    statistic: float
    rank: int
    additive: FloatArray
    se: FloatArray


def hausman(
    theta: FloatArray,
    z_factors: FloatArray,
    z_additive: FloatArray,
    y_additive: FloatArray,
    df_resid: float,
    kind: HausmanKind,
) -> Hausman:
    """Compare slopes under factors with those under additive effects.

    Parameters
    ----------
    theta : ndarray, shape (q,)
        Least squares with factors.
    z_factors, z_additive : ndarray, shape (N, T, q)
        Regressors off factors, loadings and effects, and off additive effects; zero where nothing is observed.
    y_additive : ndarray, shape (N, T)
        The outcome off additive effects.
    df_resid : float
        Degrees of freedom of the residuals under additive effects.
    kind : {"nonrobust", "HC1", "cluster"}
        Errors: independent with one variance; with any variances; dependent within entities.
    """
    n, t, q = z_factors.shape
    flat = z_additive.reshape(n * t, q)
    additive = np.asarray(np.linalg.lstsq(flat, y_additive.ravel(), rcond=None)[0], dtype=np.float64)
    resid = y_additive - z_additive @ additive
    inner = [np.linalg.inv(z.reshape(n * t, q).T @ z.reshape(n * t, q)) for z in (z_factors, z_additive)]
    psi = z_factors @ inner[0] - z_additive @ inner[1]
    if kind == "nonrobust":
        cov = float(np.vdot(resid, resid)) / df_resid * np.einsum("ntq,ntr->qr", psi, psi)
    else:
        scores = psi * resid[:, :, None]
        sums = scores.sum(axis=1) if kind == "cluster" else scores.reshape(n * t, q)
        n_cells = np.count_nonzero(resid)
        factor = n_cells / df_resid * (n / (n - 1) if kind == "cluster" else 1.0)
        cov = factor * sums.T @ sums
    se = np.sqrt(np.diag(cov))
    gap = theta - additive
    values, vectors = np.linalg.eigh(cov / np.outer(se, se))
    if not values[0] > 1e-10 * values[-1]:
        return Hausman(float("nan"), q, additive, se)
    turned = vectors.T @ (gap / se)
    return Hausman(float((turned**2 / values).sum()), q, additive, se)
