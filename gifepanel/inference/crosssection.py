"""Tests of cross-section independence of panel residuals: CD, CD*, CDw, CDw+.

The CD statistic of Pesaran (2004; 2015, Econometric Reviews 34, 1089-1117) adds up all pairwise
correlations. On residuals after period-specific parameters (estimated factors, time effects) the sum is
pulled towards -sqrt(T/2) although nothing is wrong (Juodis & Reese 2022). CD* removes that bias, CDw
weighs it away. Where cells are missing two entities meet in the periods in which both are observed.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.residuals import Residuals, check_residuals
from gifepanel.inference.space import FloatArray, orthonormal_basis
from gifepanel.inference.testresult import TestResult

__all__ = ["can_be_correlated", "cd_bias_factor", "pesaran_cd", "pesaran_xie_cd", "weighted_cd"]

_NULL = "no cross-section dependence is left in the errors"
_COMMON = 3  # periods that two entities must share: with two a correlation is 1 or -1
_BLOCK = 512


def _standardised(r: Residuals) -> FloatArray:
    """Rows centred and of length one, so that inner products are correlations; zero in holes.

    Rows of fewer than three cells, which say nothing, are zero.
    """
    centred = r.centred
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    constant = length[:, 0] <= 1e-12 * max(float(length.max()), 1e-300)
    short = r.by_entity < _COMMON
    wrong = np.flatnonzero(constant & ~short)
    if wrong.size:
        raise DataError(
            f"The residuals of {wrong.size} entities don't vary over time (first: row {int(wrong[0])}).",
            "Correlations need variation.",
            "Leave these entities out.",
        )
    if short.any():
        return np.asarray(np.where(short[:, None], 0.0, centred / np.where(constant[:, None], 1.0, length)))
    return np.asarray(centred / length)


def _cd_statistic(e: Residuals) -> float:
    """Of a panel without holes."""
    n, t = e.e.shape
    total = _standardised(e).sum(axis=0)
    return float(sqrt(2 * t / (n * (n - 1))) * (total @ total - n) / 2)


def _correlations(r: Residuals) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Correlations of a block of entities with all that follow, over their common periods, and how many those are.

    Zero and zero for pairs with fewer than three common periods, or without variation in them.
    """
    n = len(r.e)
    c, w = r.centred, r.mask
    for start in range(0, n, _BLOCK):
        own, rest = slice(start, start + _BLOCK), slice(start, None)
        common = w[own] @ w[rest].T
        shared = np.maximum(common, 1.0)
        sums = c[own] @ w[rest].T, w[own] @ c[rest].T
        squares = c[own] ** 2 @ w[rest].T, w[own] @ (c[rest] ** 2).T
        spread = [q - s * s / shared for q, s in zip(squares, sums, strict=True)]
        use = np.triu(common >= _COMMON, 1)
        for left, q in zip(spread, squares, strict=True):
            use &= left > 1e-12 * q
        lengths = np.sqrt(np.where(use, spread[0] * spread[1], 1.0))
        products = c[own] @ c[rest].T - sums[0] * sums[1] / shared
        yield np.where(use, products / lengths, 0.0), np.where(use, common, 0.0)


def can_be_correlated(r: Residuals) -> bool:
    """Whether some two entities share three periods, and none has constant residuals in three or more."""
    length = np.linalg.norm(r.centred, axis=1)
    constant = length <= 1e-12 * max(float(length.max()), 1e-300)
    if (constant & (r.by_entity >= _COMMON)).any():
        return False
    return r.observed is None or any(bool(common.any()) for _, common in _correlations(r))


def _require_common(pairs: int) -> None:
    if not pairs:
        raise DataError(
            f"No two entities share {_COMMON} periods in which both vary.",
            "Correlations are over common periods.",
            "Leave cross-section tests out.",
        )


def _two_sided(z: float) -> float:
    return float(2 * ndtr(-abs(z)))


def pesaran_cd(resid: npt.ArrayLike | Residuals) -> TestResult:
    """CD test of Pesaran (2004; 2015).

    ``CD = sqrt(2T / (N (N-1))) sum_{i<j} rho_ij`` with rho_ij the correlation of the residuals of i and j. In a
    panel with holes ``CD = P^-1/2 sum_{i<j} sqrt(T_ij) rho_ij``, rho_ij over the T_ij common periods of i and j, means
    taken over those too (Pesaran 2004, CESifo Working Paper 1229, sec. 9; 2021, Empirical Economics 60, 13-50); P
    counts the pairs with three common periods or more, the others are left out.

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals, NaN in cells that are not observed, of a model without estimated factors and without time effects.

    Returns
    -------
    TestResult
        Two-sided against N(0, 1). Not valid after estimated factors or time effects: use
        :func:`pesaran_xie_cd` or :func:`weighted_cd` there.

    Raises
    ------
    DataError
        If an entity's residuals don't vary, or no two entities share three periods.
    """
    r = check_residuals(resid)
    note = "Not valid after estimated factors or time effects."
    if r.observed is None:
        cd = _cd_statistic(r)
    else:
        _standardised(r)
        total, pairs, n = 0.0, 0, len(r.e)
        for rho, common in _correlations(r):
            total += float(np.sum(np.sqrt(common) * rho))
            pairs += int(np.count_nonzero(common))
        _require_common(pairs)
        cd = total / sqrt(pairs)
        left = n * (n - 1) // 2 - pairs
        if left:
            note += f" {left} of {n * (n - 1) // 2} pairs share fewer than {_COMMON} periods and are left out."
    return TestResult("Pesaran CD", cd, _two_sided(cd), None, "N(0,1)", _NULL, note)


# ---- CD* ----


def _left_by_loadings(r: Residuals, loadings: npt.ArrayLike) -> FloatArray:
    """1 - theta_t of every period (T,), by those observed in it; without holes of all periods, (1,)."""
    lam = np.asarray(loadings, dtype=np.float64).reshape(len(r.e), -1)
    sigma = np.sqrt(np.sum(r.e * r.e, axis=1) / r.by_entity)
    inverse = 1 / np.where(sigma > 0, sigma, np.inf)
    periods = [np.ones(len(sigma), dtype=bool)] if r.observed is None else list(r.observed.T)
    out = np.zeros(len(periods))
    for t, seen in enumerate(periods):
        if seen.any():
            a = sigma[seen] * _annihilated(lam[seen], inverse[seen])
            out[t] = np.mean(a * a)
    return out


def _annihilated(loadings: FloatArray, column: FloatArray) -> FloatArray:
    basis = orthonormal_basis(loadings, n_rows=len(column))
    return np.asarray(column - basis @ (basis.T @ column))


def cd_bias_factor(resid: npt.ArrayLike | Residuals, loadings: npt.ArrayLike) -> float:
    """``1 - theta`` of Pesaran & Xie (2021): the share of CD's scale that factors leave over.

    With sigma_i the residual standard deviations and M the annihilator of the loadings (iota included
    under time effects), ``1 - theta = mean_i a_i^2, a_i = sigma_i (M sigma^-1)_i``. It is 1 where the
    loadings say nothing about 1/sigma_i and 0 where they span it, as time effects do if all variances are
    equal: CD* can't be used then. In a panel with holes M is that of the entities observed in a period, and the
    periods' (1 - theta_t)^2 are averaged with weights N_t^2.
    """
    r = check_residuals(resid)
    _standardised(r)
    return _over_periods(r, _left_by_loadings(r, loadings))


def _over_periods(r: Residuals, left: FloatArray) -> float:
    if r.observed is None:
        return float(left[0])
    weights = r.by_time**2
    return sqrt(float(weights @ left**2 / weights.sum()))


def pesaran_xie_cd(resid: npt.ArrayLike | Residuals, loadings: npt.ArrayLike) -> TestResult:
    """CD* test of Pesaran & Xie (2021, Cambridge Working Papers in Economics 2158, eqs. 6, 19 and 21).

    ``CD* = (CD + sqrt(T/2) theta) / (1 - theta)``, theta from :func:`cd_bias_factor`.

    In a panel with holes the sum over pairs is taken cell by cell, ``W = sum_t sum_{i<j} e_it e_jt / (s_i s_j)``
    over the N_t entities of a period, s_i^2 the variance of e_i over its T_i periods, and mean and variance of it are
    theirs period by period: loadings are partialled out of those N_t alone, so that
    ``CD* = (W / sqrt(sum_t N_t(N_t-1)/2) + sum_t N_t theta_t / sqrt(2 sum_t N_t^2)) / sqrt(sum_t N_t^2 (1-theta_t)^2 /
    sum_t N_t^2)``, the statistic above where every N_t is N.

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals after estimated factors, NaN in cells that are not observed.
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
    r = check_residuals(resid)
    n, t = r.e.shape
    lam = np.asarray(loadings, dtype=np.float64).reshape(n, -1)
    _standardised(r)
    by_time = _left_by_loadings(r, lam)
    left = _over_periods(r, by_time)
    if left < 1e-8:
        raise SpecificationError(
            "The loadings span the inverse residual scales, so CD* is 0/0.",
            "It needs loadings that differ from that direction.",
            "Use weighted_cd(resid) instead.",
        )
    if r.observed is None:
        star = (_cd_statistic(r) + sqrt(t / 2) * (1 - left)) / left
    else:
        counts = r.by_time
        shift = float(counts @ (1 - by_time)) / sqrt(2 * float(counts @ counts))
        star = (_by_cell(r) + shift) / left
    note = f"1 - theta = {left:.3f}" + (": small, prefer CDw." if left < 0.1 else ".")
    return TestResult("Pesaran-Xie CD*", star, _two_sided(star), None, "N(0,1)", _NULL, note)


def _by_cell(r: Residuals) -> float:
    """The sum over pairs and periods of residuals of variance one, over its standard deviation."""
    rows = _standardised(r) * np.sqrt(r.by_entity)[:, None]
    pairs = (float(np.sum(rows.sum(axis=0) ** 2)) - float(np.vdot(rows, rows))) / 2
    return pairs / sqrt(float(np.sum(r.by_time * (r.by_time - 1))) / 2)


# ---- CDw ----


def weighted_cd(
    resid: npt.ArrayLike | Residuals,
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

    In a panel with holes the sum over pairs, of those observed in a period, is divided by
    ``sqrt(sum_t (1 - 1/N_t) (sum_i s_i^2)^2 / 2)``, the inner sum over the N_t entities of a period and s_i^2 the mean
    square of the residuals of i: the same where nothing is missing, and right where noisy entities are observed more
    often than others. rho_ij is that of the T_ij common periods, which stand in the threshold.

    Parameters
    ----------
    resid : array_like, shape (N, T)
        Residuals, after factors or not, NaN in cells that are not observed.
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
    r = check_residuals(resid)
    e = r.e
    n, t = e.shape
    if n_draws < 1:
        raise SpecificationError(f"n_draws is {n_draws}.", "At least one draw is needed.", "Use n_draws=30.")
    _standardised(r)
    rng = np.random.default_rng(random_state)
    weights = rng.integers(0, 2, size=(n_draws, n)) * 2.0 - 1.0
    own = float(np.vdot(e, e))
    sums = weights @ e
    pairs = (np.einsum("gt,gt->g", sums, sums) - own) / 2
    if r.observed is None:
        cdw = float(pairs.sum() / sqrt(n_draws) * sqrt(2 / (t * n * (n - 1))) * n * t / own)
    else:
        cdw = float(pairs.sum() / sqrt(n_draws)) / _spread_of_pairs(r)
    name, note = "Juodis-Reese CDw", f"{n_draws} draws of random weights."
    if power_enhanced:
        screened = _screening_term(_standardised(r)) if r.observed is None else _screened_by_pair(r)
        cdw += screened
        name, note = "Juodis-Reese CDw+", note + f" Screening term {screened:.3f}."
    return TestResult(name, cdw, _two_sided(cdw), None, "N(0,1)", _NULL, note)


def _spread_of_pairs(r: Residuals) -> float:
    variances = np.sum(r.e * r.e, axis=1) / r.by_entity
    of_period = variances @ r.mask
    return sqrt(float(np.sum((1 - 1 / np.maximum(r.by_time, 1)) * of_period**2)) / 2)


def _screening_term(rows: FloatArray, block: int = 512) -> float:
    n, t = rows.shape
    threshold, total = 2 * sqrt(log(n) / t), 0.0
    for start in range(0, n, block):
        rho = np.abs(rows[start : start + block] @ rows[start:].T)
        above = np.triu(rho, 1)
        total += float(above[above > threshold].sum())
    return total


def _screened_by_pair(r: Residuals) -> float:
    n, total = len(r.e), 0.0
    for rho, common in _correlations(r):
        size = np.abs(rho)
        total += float(size[size > 2 * np.sqrt(log(n) / np.maximum(common, 1.0))].sum())
    return total
