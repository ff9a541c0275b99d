"""Covariances that may be indefinite: which variances and joint tests they give, and the eigenvalue adjustment.

Sums over several ways of clustering with intersections taken off (Cameron, Gelbach & Miller 2011), and sums over lags
with the uniform kernel, need not be positive semidefinite. A variance r'Vr that comes out negative gives no standard
error, nor does one that is zero to rounding, as where scores cancel in every cluster. What counts as zero is measured
against G, the sum of the same terms without signs: |r'Vr| <= r'Gr, whatever the units of the regressors and whatever
the combination r.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gifepanel.exceptions import SpecificationWarning, caller_level
from gifepanel.inference.space import FloatArray

__all__ = ["PSD", "Treated", "eigen_adjusted", "has_variance", "is_definite", "standard_errors", "treat_indefinite"]

PSD = ("none", "eigen", "eigen-scaled")

_ZERO = 1e-12  # of G: what is left of terms that cancel
_NEGATIVE = -1e-12


@dataclass(frozen=True, eq=False)
class Treated:
    """A covariance after the check.

    Attributes
    ----------
    cov : ndarray, shape (k, k)
    without : tuple of int
        Coefficients whose variance is negative or zero: they have no standard error.
    adjusted : bool
        Negative eigenvalues were set to zero.
    smallest : float
        Smallest eigenvalue before that, in units where all regressors have length one, relative to the largest.
    """

    cov: FloatArray
    without: tuple[int, ...]
    adjusted: bool
    smallest: float


def has_variance(
    matrix: FloatArray, cov: FloatArray, gross: FloatArray | None
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether the combinations R b have positive variances.

    Parameters
    ----------
    matrix : ndarray, shape (q, k)
        R.
    cov : ndarray, shape (k, k)
    gross : ndarray, shape (k, k), optional
        G; without it the sign alone decides.

    Returns
    -------
    ndarray of bool, shape (q,)
        True for a row of zeros, whose combination is no estimate.
    """
    variances = np.einsum("qk,kl,ql->q", matrix, cov, matrix)
    if gross is None:
        return np.asarray(variances >= 0)
    floor = _ZERO * np.einsum("qk,kl,ql->q", matrix, gross, matrix)
    return np.asarray((variances > floor) | ~matrix.any(axis=1))


def is_definite(matrix: FloatArray, cov: FloatArray, gross: FloatArray | None) -> bool:
    """Whether R V R' has no negative eigenvalue: a quadratic form in its inverse is a joint test then.

    Measured against R G R', so that neither units nor the way the restrictions are written matter.
    """
    if gross is None:
        return True
    outer = matrix @ gross @ matrix.T
    length = np.sqrt(np.maximum(np.diag(outer), 0.0))
    length = np.where(length > 0, length, 1.0)
    values, vectors = np.linalg.eigh(outer / np.outer(length, length))
    used = values > 1e-10 * values[-1]
    half = vectors[:, used] / np.sqrt(values[used])
    inner = half.T @ (matrix @ cov @ matrix.T / np.outer(length, length)) @ half
    return bool(np.linalg.eigvalsh(inner)[0] >= -1e-9) if used.any() else True


def standard_errors(cov: FloatArray, without: Sequence[int]) -> FloatArray:
    """Roots of the variances, shape (k,); NaN for the coefficients `without`."""
    variances = np.diag(cov).copy()
    variances[list(without)] = np.nan
    return np.sqrt(np.where(variances < 0, np.nan, variances))


def eigen_adjusted(cov: FloatArray, unit: FloatArray | None = None) -> FloatArray:
    """The covariance with negative eigenvalues set to zero (Cameron, Gelbach & Miller 2011, section 2.3).

    Parameters
    ----------
    cov : ndarray, shape (k, k)
    unit : ndarray, shape (k,), optional
        Eigenvalues are those in these units of the coefficients; in those of the data without.
    """
    outer = 1.0 if unit is None else np.outer(unit, unit)
    values, vectors = np.linalg.eigh(cov * outer)
    fixed = (vectors * np.maximum(values, 0.0)) @ vectors.T / outer
    return np.asarray((fixed + fixed.T) / 2)


def treat_indefinite(
    cov: FloatArray,
    gross: FloatArray,
    length: FloatArray,
    psd: str,
    description: str,
    names: Sequence[str] | None = None,
    n_ways: int = 0,
    kernel: str | None = None,
) -> Treated:
    """Find the coefficients without a standard error, adjust eigenvalues if asked to, and warn once of either.

    Parameters
    ----------
    cov : ndarray, shape (k, k)
    gross : ndarray, shape (k, k)
        The same terms, all added.
    length : ndarray, shape (k,)
        Lengths of the regressors.
    psd : {"none", "eigen", "eigen-scaled"}
        Leave negative eigenvalues; set them to zero in the units of the data; or in units where all regressors have
        length one.
    description : str
    names : sequence of str, optional
        Of the coefficients.
    n_ways : int
        Of clustering.
    kernel : str, optional
        Of sums over lags.

    Warns
    -----
    SpecificationWarning
        If a variance is negative or zero, or an eigenvalue negative.
    """
    values = np.linalg.eigvalsh(cov * np.outer(length, length))
    top = float(np.abs(values).max())
    smallest = float(values[0]) / top if top > 0 else 0.0
    adjust = psd != "none" and smallest < _NEGATIVE
    out = eigen_adjusted(cov, length if psd == "eigen-scaled" else None) if adjust else cov
    identity = np.eye(len(cov))
    without = tuple(np.flatnonzero(~has_variance(identity, out, gross)).tolist()) if gross.any() else ()
    if without or smallest < _NEGATIVE:
        found, needed = _words(without, has_variance(identity, -out, gross), smallest, adjust, description, names)
        remedy = _remedy(n_ways, kernel, psd == "none" and smallest < _NEGATIVE and len(cov) > 1)
        warnings.warn(SpecificationWarning(found, needed, remedy), stacklevel=caller_level())
    return Treated(out, without, adjust, smallest)


def _words(
    without: tuple[int, ...],
    negative: np.ndarray[tuple[int], np.dtype[np.bool_]],
    smallest: float,
    adjusted: bool,
    description: str,
    names: Sequence[str] | None,
) -> tuple[str, str]:
    """What was found, and what became of it."""
    if not without:
        found = (
            f"The covariance, {description}, is not positive semidefinite (smallest eigenvalue {smallest:.1e} of the "
            "largest)."
        )
        return found, "Negative eigenvalues were set to zero." if adjusted else (
            "Single standard errors stand, joint tests may not."
        )
    listed = ", ".join(names[j] if names is not None else f"coefficient {j + 1}" for j in without)
    sign = "negative variance" if negative[list(without)].any() else "variance of zero"
    after = " once negative eigenvalues were set to zero" if adjusted else ""
    semidefinite = ", and is not positive semidefinite" if smallest < _NEGATIVE and not adjusted else ""
    return (
        f"The covariance, {description}, has a {sign} for {listed}{after}{semidefinite}.",
        f"There {'is no standard error' if len(without) == 1 else 'are no standard errors'} then, but NaN.",
    )


def _remedy(n_ways: int, kernel: str | None, adjustable: bool) -> str:
    """What to do instead."""
    if n_ways > 1:
        return "Cluster in one way only" + (", or psd='eigen'." if adjustable else ".")
    if kernel == "uniform":
        return "Use kernel='bartlett', or fewer maxlags" + (", or psd='eigen'." if adjustable else ".")
    return "Cluster by another variable." if n_ways else "Use cov_type='nonrobust'."
