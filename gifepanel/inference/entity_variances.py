"""Variances of the errors of single entities, drawn towards a common one as far as they differ by chance alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, polygamma

__all__ = ["EntityVariances", "moderated_variances"]

FloatArray = npt.NDArray[np.float64]
_FEWEST = 3  # entities whose variances can be compared
_LARGEST = 1e6


@dataclass(frozen=True, eq=False)
class EntityVariances:
    """Moderated variances.

    Attributes
    ----------
    variance : ndarray, shape (N,)
    df : ndarray, shape (N,)
        Degrees of freedom of each, those of the common one included; inf where variances are all equal.
    """

    variance: FloatArray
    df: FloatArray


def moderated_variances(ssr: FloatArray, df: FloatArray, common: float) -> EntityVariances:
    """Empirical Bayes, (d0 s0^2 + ssr_i) / (d0 + df_i), with d0 and s0 from the spread of the logarithms.

    Smyth (2004, Statistical Applications in Genetics and Molecular Biology 3, article 3, section 6.2): with entities'
    variances from a scaled inverse chi-squared distribution, ln(ssr_i / df_i) has the variance psi'(df_i / 2) +
    psi'(d0 / 2). Where it is no larger than chance has it, d0 is infinite and all have the common variance.

    Parameters
    ----------
    ssr, df : ndarray, shape (N,)
        Sums of squares and degrees of freedom; entities without any have the common variance.
    common : float
        The variance where all are equal.
    """
    known = (df >= 1) & (ssr > 0)
    everyone = EntityVariances(np.full(ssr.shape, common), np.full(ssr.shape, np.inf))
    if known.sum() < _FEWEST:
        return everyone
    half = df[known] / 2
    logs = np.log(ssr[known] / df[known]) - digamma(half) + np.log(half)
    spread = float(logs.var(ddof=1) - polygamma(1, half).mean())
    if not spread > 2.0 / _LARGEST:
        return everyone
    prior = 2 * _inverse_trigamma(spread)
    level = float(np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2)))
    own = np.where(known, df, 0.0)
    return EntityVariances((prior * level + np.where(known, ssr, 0.0)) / (prior + own), prior + own)


def _inverse_trigamma(value: float) -> float:
    """y with psi'(y) = value, by Newton's method on its reciprocal (Smyth 2004, appendix): monotone from y > 0.5."""
    y = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = float(polygamma(1, y))
        step = trigamma * (1.0 - trigamma / value) / float(polygamma(2, y))
        y += step
        if abs(step) < 1e-10 * y:
            break
    return y
