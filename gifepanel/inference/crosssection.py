"""Tests of cross-section independence of panel residuals: CD, CD*, CDw, CDw+.

The CD statistic of Pesaran (2004; 2015, Econometric Reviews 34, 1089-1117) adds up all pairwise
correlations. On residuals after period-specific parameters (estimated factors, time effects) the sum is
pulled towards -sqrt(T/2) although nothing is wrong (Juodis & Reese 2022). CD* removes that bias, CDw
weighs it away.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.space import FloatArray, orthonormal_basis
from gifepanel.inference.testresult import TestResult

__all__ = ["cd_bias_factor", "check_residuals", "pesaran_cd", "pesaran_xie_cd", "weighted_cd"]

_NULL = "no cross-section dependence is left in the errors"


def check_residuals(resid: npt.ArrayLike, *, min_units: int = 2, min_periods: int = 3) -> FloatArray:
    """Return residuals as a float array (N, T), or say what is wrong with them."""
    e = np.asarray(resid, dtype=np.float64)
    if e.ndim != 2 or e.shape[0] < min_units or e.shape[1] < min_periods:
        raise DataError(
            f"Residuals have shape {e.shape}.",
            f"They must be (N, T) with N >= {min_units} and T >= {min_periods}.",
            "Pass entities along axis 0 and periods along axis 1.",
        )
    if not np.isfinite(e).all():
        raise DataError(
            f"{int((~np.isfinite(e)).sum())} residuals are missing or infinite.",
            "These tests need a balanced panel.",
            "Drop the entities or periods with gaps.",
        )
    return e


def _standardised(e: FloatArray) -> FloatArray:
    """Rows centred and of length one, so that inner products are correlations."""
    centred = e - e.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    constant = np.flatnonzero(length[:, 0] <= 1e-12 * max(float(length.max()), 1e-300))
    if constant.size:
        raise DataError(
            f"The residuals of {constant.size} entities don't vary over time (first: row {int(constant[0])}).",
            "Correlations need variation.",
            "Leave these entities out.",
        )
    return np.asarray(centred / length)


def _cd_statistic(e: FloatArray) -> float:
    n, t = e.shape
    total = _standardised(e).sum(axis=0)
    return float(sqrt(2 * t / (n * (n - 1))) * (total @ total - n) / 2)


def _two_sided(z: float) -> float:
    return float(2 * ndtr(-abs(z)))


def pesaran_cd(resid: npt.ArrayLike) -> TestResult:
    """CD test of Pesaran (2004; 2015).

    ``CD = sqrt(2T / (N (N-1))) sum_{i<j} rho_ij`` with rho_ij the correlation of the residuals of i and j.

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals of a model without estimated factors and without time effects.

    Returns
    -------
    TestResult
        Two-sided against N(0, 1). Not valid after estimated factors or time effects: use
        :func:`pesaran_xie_cd` or :func:`weighted_cd` there.
    """
    e = check_residuals(resid)
    cd = _cd_statistic(e)
    note = "Not valid after estimated factors or time effects."
    return TestResult("Pesaran CD", cd, _two_sided(cd), None, "N(0,1)", _NULL, note)


def cd_bias_factor(resid: npt.ArrayLike, loadings: npt.ArrayLike) -> float:
    """``1 - theta`` of Pesaran & Xie (2021): the share of CD's scale that factors leave over.

    With sigma_i the residual standard deviations and M the annihilator of the loadings (iota included
    under time effects), ``1 - theta = mean_i a_i^2, a_i = sigma_i (M sigma^-1)_i``. It is 1 where the
    loadings say nothing about 1/sigma_i and 0 where they span it, as time effects do if all variances are
    equal: CD* can't be used then.
    """
    e = check_residuals(resid)
    sigma = np.sqrt(np.mean(e * e, axis=1))
    basis = orthonormal_basis(loadings, n_rows=e.shape[0])
    inverse = 1 / sigma
    a = sigma * (inverse - basis @ (basis.T @ inverse))
    return float(np.mean(a * a))


def pesaran_xie_cd(resid: npt.ArrayLike, loadings: npt.ArrayLike) -> TestResult:
    """CD* test of Pesaran & Xie (2021, Cambridge Working Papers in Economics 2158, eqs. 6, 19 and 21).

    ``CD* = (CD + sqrt(T/2) theta) / (1 - theta)``, theta from :func:`cd_bias_factor`.

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals after estimated factors.
    loadings : array_like, shape (N, R)
        Loadings of all period-specific parameters, any rotation; with time effects, a column of ones among
        them.

    Returns
    -------
    TestResult
        Two-sided against N(0, 1).

    Notes
    -----
    The statistic divides by 1 - theta. Where that is small (under 0.1, say) its size is off, and the note
    says so.
    """
    e = check_residuals(resid)
    n, t = e.shape
    lam = np.asarray(loadings, dtype=np.float64).reshape(n, -1)
    left = cd_bias_factor(e, lam)
    if left < 1e-8:
        raise SpecificationError(
            "The loadings span the inverse residual scales, so CD* is 0/0.",
            "It needs loadings that differ from that direction.",
            "Use weighted_cd(resid) instead.",
        )
    star = (_cd_statistic(e) + sqrt(t / 2) * (1 - left)) / left
    note = f"1 - theta = {left:.3f}" + (": small, prefer CDw." if left < 0.1 else ".")
    return TestResult("Pesaran-Xie CD*", star, _two_sided(star), None, "N(0,1)", _NULL, note)


def weighted_cd(
    resid: npt.ArrayLike,
    *,
    n_draws: int = 30,
    power_enhanced: bool = False,
    random_state: int | np.random.Generator | None = 0,
) -> TestResult:
    """CDw and CDw+ tests of Juodis & Reese (2022, J. Business & Economic Statistics 40, 1191-1203).

    With Rademacher weights w_i, independent of everything,
    ``CDw = (sum w_i^2 e_it^2 / NT)^-1 sqrt(2 / (T N (N-1))) sum_t sum_{i<j} w_i e_it w_j e_jt``; over G
    draws of the weights the statistics are summed and divided by sqrt(G) (eq. 33). ``CDw+`` adds the
    screening term ``sum_{i<j} |rho_ij| 1{|rho_ij| > 2 sqrt(log(N) / T)}`` of Fan, Liao & Yao (2015) for
    power.

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals, after factors or not.
    n_draws : int
        Draws of the weights, G.
    power_enhanced : bool
        CDw+ in place of CDw.
    random_state : int, Generator or None
        Seed of the weights; the default makes the value reproducible.

    Returns
    -------
    TestResult
        Two-sided against N(0, 1).
    """
    e = check_residuals(resid)
    n, t = e.shape
    if n_draws < 1:
        raise SpecificationError(f"n_draws is {n_draws}.", "At least one draw is needed.", "Use n_draws=30.")
    _standardised(e)
    rng = np.random.default_rng(random_state)
    weights = rng.integers(0, 2, size=(n_draws, n)) * 2.0 - 1.0
    own = float(np.vdot(e, e))
    sums = weights @ e
    pairs = (np.einsum("gt,gt->g", sums, sums) - own) / 2
    cdw = float(pairs.sum() / sqrt(n_draws) * sqrt(2 / (t * n * (n - 1))) * n * t / own)
    name, note = "Juodis-Reese CDw", f"{n_draws} draws of random weights."
    if power_enhanced:
        screened = _screening_term(_standardised(e))
        cdw += screened
        name, note = "Juodis-Reese CDw+", note + f" Screening term {screened:.3f}."
    return TestResult(name, cdw, _two_sided(cdw), None, "N(0,1)", _NULL, note)


def _screening_term(rows: FloatArray, block: int = 512) -> float:
    n, t = rows.shape
    threshold, total = 2 * sqrt(log(n) / t), 0.0
    for start in range(0, n, block):
        rho = np.abs(rows[start : start + block] @ rows[start:].T)
        above = np.triu(rho, 1)
        total += float(above[above > threshold].sum())
    return total
