"""Residual diagnostics: moments, and the standard set of tests after a fit."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, ndtr, stdtr

from gifepanel.exceptions import DataError
from gifepanel.inference.crosssection import (
    can_be_correlated,
    cd_bias_factor,
    pesaran_cd,
    pesaran_xie_cd,
    weighted_cd,
)
from gifepanel.inference.residuals import Residuals, check_residuals, has_time_effects
from gifepanel.inference.serial import born_breitung, can_be_paired, panel_durbin_watson, wooldridge_ar1
from gifepanel.inference.space import FloatArray
from gifepanel.inference.testresult import TestResult

__all__ = [
    "TestResult",
    "born_breitung",
    "jarque_bera",
    "panel_durbin_watson",
    "pesaran_cd",
    "pesaran_xie_cd",
    "residual_diagnostics",
    "residual_moments",
    "weighted_cd",
    "weighted_diagnostics",
    "wooldridge_ar1",
]

_CD_STAR_FLOOR = 0.1  # below it CD* over-rejects: 66 % at 0.01, 7-11 % at 0.07, 5-6 % from 0.1 on (100 x 50)


def residual_moments(resid: npt.ArrayLike | Residuals) -> tuple[TestResult, TestResult, TestResult, TestResult]:
    """Mean, skewness, kurtosis and the Jarque-Bera test of the pooled residuals.

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals, NaN in cells that are not observed.

    Returns
    -------
    tuple of TestResult
        Mean (t test that it is 0), skewness (N(0, 6/n)), kurtosis (N(3, 24/n)), Jarque & Bera (1987,
        International Statistical Review 55, 163-172), n the number of observed cells. Moments are about the mean and
        divided by n.

    Notes
    -----
    Estimated factors and effects mix the errors of a unit and of a period, which draws skewness and
    kurtosis of residuals towards the normal values when N or T is small.
    """
    e = check_residuals(resid).cells
    n = e.size
    mean = float(e.mean())
    centred = e - mean
    variance = float(centred @ centred) / n
    if variance <= 0:
        raise DataError("All residuals are equal.", "Moments need variation.", "Check the fit.")
    skewness = float(np.mean(centred**3)) / variance**1.5
    kurtosis = float(np.mean(centred**4)) / variance**2
    return (
        _mean_test(mean, variance, n),
        TestResult(
            "Skewness",
            skewness,
            float(2 * ndtr(-abs(skewness) / sqrt(6 / n))),
            None,
            f"N(0, 6/{n})",
            "the errors are symmetric (skewness 0)",
        ),
        TestResult(
            "Kurtosis",
            kurtosis,
            float(2 * ndtr(-abs(kurtosis - 3) / sqrt(24 / n))),
            None,
            f"N(3, 24/{n})",
            "the errors have the tails of the normal distribution (kurtosis 3)",
        ),
        _jarque_bera(skewness, kurtosis, n),
    )


def jarque_bera(resid: npt.ArrayLike | Residuals) -> TestResult:
    """Jarque-Bera test of normality, ``n/6 (S^2 + (K-3)^2/4)``; see :func:`residual_moments`."""
    return residual_moments(resid)[3]


def _mean_test(mean: float, variance: float, n: int) -> TestResult:
    null, distribution = "the errors have mean zero", f"t({n - 1})"
    if abs(mean) <= 1e-8 * sqrt(variance):
        note = "Zero by construction: effects or an intercept take the mean out."
        return TestResult("Mean", mean, float("nan"), float(n - 1), distribution, null, note)
    t = mean / sqrt(variance / (n - 1))
    return TestResult("Mean", mean, float(2 * stdtr(n - 1, -abs(t))), float(n - 1), distribution, null, f"t = {t:.3f}.")


def _jarque_bera(skewness: float, kurtosis: float, n: int) -> TestResult:
    statistic = n / 6 * (skewness**2 + (kurtosis - 3) ** 2 / 4)
    return TestResult(
        "Jarque-Bera",
        statistic,
        float(chdtrc(2, statistic)),
        2.0,
        "chi2(2)",
        "the errors are normally distributed",
    )


def residual_diagnostics(
    resid: npt.ArrayLike | Residuals,
    factors: npt.ArrayLike | None = None,
    loadings: npt.ArrayLike | None = None,
    *,
    random_state: int | np.random.Generator | None = 0,
) -> tuple[TestResult, ...]:
    """The standard set of tests: moments, Jarque-Bera, Durbin-Watson, serial and cross-section dependence.

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals after everything, NaN in cells that are not observed. Additive effects are recognised by
        residuals that sum to zero in each entity or period.
    factors : array_like, shape (T, R), optional
        Estimated factors.
    loadings : array_like, shape (N, R), optional
        Estimated loadings.
    random_state : int, Generator or None
        Seed of the weights of CDw, where CDw is used.

    Returns
    -------
    tuple of TestResult
        The cross-section test is the one that is valid: CD (Pesaran 2015) without period-specific
        parameters; after factors or time effects CD* (Pesaran & Xie 2021), unless its factor 1 - theta is
        below 0.1, where it over-rejects and CDw (Juodis & Reese 2022) takes its place. What holes leave no
        room for is left out: tests of serial correlation where nobody has two periods in a row, of cross-section
        dependence where no two entities share three periods.
    """
    r = check_residuals(resid)
    if (factors is None) != (loadings is None):
        raise DataError("Only one of factors and loadings was given.", "Both are needed.", "Pass factors and loadings.")
    n = r.e.shape[0]
    columns = [] if loadings is None else [np.asarray(loadings, dtype=np.float64).reshape(n, -1)]
    if has_time_effects(r):
        columns.append(np.ones((n, 1)))
    spanned = np.hstack(columns) if columns else np.empty((n, 0))
    return _standard_set(r, factors, spanned, None, random_state)


def weighted_diagnostics(
    wresid: npt.ArrayLike,
    root: FloatArray,
    factors: npt.ArrayLike,
    loadings: FloatArray,
    *,
    entity_effects: bool,
    time_effects: bool,
) -> tuple[TestResult, ...]:
    """The same after a fit with weights, on residuals times the roots of the weights: these have one variance.

    Parameters
    ----------
    wresid : array_like, shape (N, T)
        NaN in cells that are not observed.
    root : ndarray, shape (N, T)
        Zero there. Loadings are multiplied by their mean in each entity: exact for weights that differ between
        entities alone.
    factors : array_like, shape (T, R)
    loadings : ndarray, shape (N, R)
    entity_effects, time_effects : bool
    """
    r = check_residuals(wresid)
    size = root.sum(axis=1, keepdims=True) / r.by_entity[:, None]
    spanned = np.hstack([loadings * size, size]) if time_effects else loadings * size
    return _standard_set(r, factors, spanned, entity_effects, 0)


def _standard_set(
    r: Residuals,
    factors: npt.ArrayLike | None,
    spanned: FloatArray,
    entity_effects: bool | None,
    random_state: int | np.random.Generator | None,
) -> tuple[TestResult, ...]:
    tests = [*residual_moments(r)]
    if can_be_paired(r):
        options = {"entity_effects": entity_effects}
        tests += [panel_durbin_watson(r, factors, **options), born_breitung(r, 1, factors, **options)]
    if r.observed is None or can_be_correlated(r):
        tests.append(_cross_section(r, spanned, random_state))
    return tuple(tests)


def _cross_section(r: Residuals, spanned: FloatArray, random_state: int | np.random.Generator | None) -> TestResult:
    if spanned.shape[1] == 0:
        return pesaran_cd(r)
    if cd_bias_factor(r, spanned) < _CD_STAR_FLOOR:
        return weighted_cd(r, random_state=random_state)
    return pesaran_xie_cd(r, spanned)
