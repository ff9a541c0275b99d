"""Tests of serial correlation on panel residuals: Durbin-Watson, Born-Breitung Q(p), Wooldridge AR(1).

Residuals of a model with entity effects or estimated factors are M u_i with M the annihilator of [iota,
F]: their autocovariances are not zero even if those of u_i are. Durbin-Watson tables and Breusch-Godfrey
tests for stacked data ignore that and reject nearly always in short panels. The tests here subtract the
expectation under the null,

    E[e_i'L_k e_i] / E[e_i'e_i] = tr(M L_k) / tr(M)      (L_k shifts by k periods),

which needs no normality and no equal variances across entities, and studentise over entities.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, fdtrc, ndtr

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.crosssection import check_residuals
from gifepanel.inference.space import FloatArray, orthonormal_basis
from gifepanel.inference.testresult import TestResult

__all__ = ["born_breitung", "has_entity_effects", "has_time_effects", "panel_durbin_watson", "wooldridge_ar1"]


def has_entity_effects(e: FloatArray) -> bool:
    """Whether residuals sum to zero in every entity, as after entity effects or unit intercepts."""
    return bool(np.all(np.abs(e.mean(axis=1)) <= 1e-7 * max(float(e.std()), 1e-300)))


def has_time_effects(e: FloatArray) -> bool:
    """Whether residuals sum to zero in every period, as after time effects."""
    return bool(np.all(np.abs(e.mean(axis=0)) <= 1e-7 * max(float(e.std()), 1e-300)))


def _time_basis(e: FloatArray, factors: npt.ArrayLike | None, entity_effects: bool | None) -> FloatArray:
    effects = has_entity_effects(e) if entity_effects is None else entity_effects
    t = e.shape[1]
    return orthonormal_basis(np.ones(t) if effects else None, factors, n_rows=t)


def panel_durbin_watson(
    resid: npt.ArrayLike, factors: npt.ArrayLike | None = None, *, entity_effects: bool | None = None
) -> TestResult:
    """Panel Durbin-Watson statistic of Bhargava, Franzini & Narendranathan (1982).

    ``d = sum_i sum_t (e_it - e_i,t-1)^2 / sum_i sum_t e_it^2``, differences within entities only (Review
    of Economic Studies 49, 533-549).

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals.
    factors : array_like, shape (T, R), optional
        Estimated factors.
    entity_effects : bool, optional
        Whether the residuals come after entity effects; found from their means if None.

    Returns
    -------
    TestResult
        The p-value is two-sided, from d less its expectation under the null, tr(M D'D)/tr(M), studentised
        over entities (N large); the bounds of the 1982 tables assume normal errors with one variance and
        no factors.
    """
    e = check_residuals(resid)
    n, t = e.shape
    basis = _time_basis(e, factors, entity_effects)
    differenced = np.diff(basis, axis=0)
    expected = (2 * (t - 1) - float(np.vdot(differenced, differenced))) / (t - basis.shape[1])
    squares, steps = np.einsum("it,it->i", e, e), np.sum(np.diff(e, axis=1) ** 2, axis=1)
    deviation = steps - expected * squares
    spread = float(deviation @ deviation - deviation.sum() ** 2 / n)
    z = float(deviation.sum()) / sqrt(spread)
    return TestResult(
        "Panel Durbin-Watson",
        float(steps.sum() / squares.sum()),
        float(2 * ndtr(-abs(z))),
        None,
        "N(0,1) after centring and scaling",
        "the errors are not serially correlated",
        f"Expected under H0: {expected:.3f}; z = {z:.3f}.",
    )


def born_breitung(
    resid: npt.ArrayLike,
    lags: int = 1,
    factors: npt.ArrayLike | None = None,
    *,
    entity_effects: bool | None = None,
) -> TestResult:
    """Bias-corrected Q(p) test of Born & Breitung (2016), with or without factors.

    Econometric Reviews 35, 1290-1316. With ``g_ik = sum_t e_it e_i,t-k - c_k sum_t e_it^2``, ``c_k = tr(M
    L_k)/tr(M)``, the statistic is ``S'(sum_i g_i g_i' - S S'/N)^-1 S``, S = sum_i g_i. With entity effects
    alone c_k = -(T-k)/(T(T-1)) and this is their Q(p); factors enter through M, the annihilator of [iota, F].

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals.
    lags : int
        Serial correlation up to this order, p.
    factors : array_like, shape (T, R), optional
        Estimated factors.
    entity_effects : bool, optional
        Whether the residuals come after entity effects; found from their means if None.

    Returns
    -------
    TestResult
        Against chi-squared with p degrees of freedom.
    """
    e = check_residuals(resid)
    n, t = e.shape
    if not 1 <= lags < min(t - 1, n):
        raise SpecificationError(
            f"lags is {lags} with {n} entities and {t} periods.",
            f"It must be between 1 and {min(t - 1, n) - 1}.",
            "Use lags=1.",
        )
    basis = _time_basis(e, factors, entity_effects)
    squares = np.einsum("it,it->i", e, e)
    g = np.empty((n, lags))
    for k in range(1, lags + 1):
        expected = -float(np.vdot(basis[k:], basis[:-k])) / (t - basis.shape[1])
        g[:, k - 1] = np.einsum("it,it->i", e[:, k:], e[:, :-k]) - expected * squares
    total = g.sum(axis=0)
    statistic = float(total @ np.linalg.solve(g.T @ g - np.outer(total, total) / n, total))
    return TestResult(
        f"Born-Breitung Q({lags})",
        statistic,
        float(chdtrc(lags, statistic)),
        float(lags),
        f"chi2({lags})",
        f"the errors are not serially correlated up to order {lags}",
    )


def wooldridge_ar1(resid: npt.ArrayLike) -> TestResult:
    """AR(1) test of Wooldridge (2010, sec. 10.6.3) in the form of Drukker (2003, Stata Journal 3, 168-177).

    Differences of residuals are regressed on their lag; without serial correlation in levels the slope is
    -1/2. F test with standard errors clustered by entity and the small-sample factor N/(N-1).

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals of a model with or without entity effects, no estimated factors (their correlation over
        time after projection is not -1/2: use :func:`born_breitung` there).

    Returns
    -------
    TestResult
        Against F(1, N - 1).
    """
    e = check_residuals(resid, min_periods=4)
    n = e.shape[0]
    change = np.diff(e, axis=1)
    now, before = change[:, 1:], change[:, :-1]
    slope = float(np.vdot(now, before) / np.vdot(before, before))
    scores = np.einsum("it,it->i", before, now - slope * before)
    variance = float(scores @ scores / np.vdot(before, before) ** 2) * n / (n - 1)
    statistic = (slope + 0.5) ** 2 / variance
    return TestResult(
        "Wooldridge AR(1)",
        statistic,
        float(fdtrc(1, n - 1, statistic)),
        (1.0, float(n - 1)),
        f"F(1, {n - 1})",
        "the errors are not serially correlated at the first order",
        f"Slope of the differenced residuals {slope:.3f}, under H0 -0.5. Not valid after estimated factors.",
    )
