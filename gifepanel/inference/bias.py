"""Incidental-parameter bias of least squares with estimated factors (Moon & Weidner 2017).

With z the N x T regressors, e the residuals, F and Lambda the estimated factors and loadings,
G = F (F'F)^-1 and H = Lambda (Lambda'Lambda)^-1, the three terms of Moon & Weidner (2017, Econometric
Theory 33, 158-195, Theorem 4.3 and Definition 1) are traces that are linear in z, so each is an inner
product of z with one N x T weight matrix:

    B1: tr(P [e'z]_{1..m1})                    weight  w_{i,t+l} += P_{t,t+l} e_it,  l = 1..m1
    B2: tr(diag(ee') M_Lambda z F (F'F)^-1 (Lambda'Lambda)^-1 Lambda')
                                               weight  M_Lambda diag(ee') H G'
    B3: tr([e'e]_{|t-s|<=m2} M_F z' Lambda (Lambda'Lambda)^-1 (F'F)^-1 F')
                                               weight  H G' [e'e]_{|t-s|<=m2} M_F

All of them cost one pass over z. The first has another form, which gives back what projected residuals hide:
:mod:`gifepanel.inference.predetermined_bias`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.predetermined_bias import (
    balanced_lag_weights,
    deconvolved_bandwidth,
    deconvolved_weight,
    pairs_of_periods,
)
from gifepanel.inference.space import FactorSpace, FloatArray, factor_space
from gifepanel.short_repr import ShortRepr

__all__ = ["BiasResult", "bandwidth", "bias_terms", "default_bandwidth"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class BiasResult(ShortRepr):
    """Bias corrections, each as it is ADDED to the estimate.

    Attributes
    ----------
    b1 : ndarray, shape (q,)
        Predetermined regressors, O(1/T) (Nickell-type); zero where not asked for.
    b2 : ndarray, shape (q,)
        Heteroskedasticity across entities, O(1/N).
    b3 : ndarray, shape (q,)
        Heteroskedasticity and serial correlation over time, O(1/T).
    m1, m2 : int
        Bandwidths used in b1 and b3.
    """

    b1: FloatArray
    b2: FloatArray
    b3: FloatArray
    m1: int
    m2: int

    @property
    def total(self) -> FloatArray:
        """b1 + b2 + b3, shape (q,)."""
        return self.b1 + self.b2 + self.b3

    def corrected(self, beta: npt.ArrayLike) -> FloatArray:
        """Return the bias-corrected estimate ``beta + b1 + b2 + b3``, shape (q,)."""
        return np.asarray(beta, dtype=np.float64) + self.total


def default_bandwidth(n_periods: int) -> int:
    """Bandwidth ceil(T^(1/4)): 2 at T = 16, 3 at T = 30, 4 at T = 100.

    A rule of thumb; Moon & Weidner (2017, Assumption 6) ask for M -> infinity with M^5 / T -> 0.
    """
    return max(1, ceil(n_periods**0.25 - 1e-9))


def bias_terms(
    z: npt.ArrayLike,
    resid: npt.ArrayLike,
    factors: npt.ArrayLike | None,
    loadings: npt.ArrayLike | None,
    bread: npt.ArrayLike,
    *,
    known_factors: npt.ArrayLike | None = None,
    known_loadings: npt.ArrayLike | None = None,
    predetermined: bool | Sequence[int] = False,
    heteroskedastic: bool = True,
    deconvolved: bool = False,
    m1: int | None = None,
    m2: int | None = None,
    periods: npt.ArrayLike | None = None,
    root: FloatArray | None = None,
) -> BiasResult:
    """Bias corrections B1, B2, B3 of Moon & Weidner (2017, Theorem 4.4), B1 in one of two forms.

    Parameters
    ----------
    z : array_like, shape (N, T, q)
        Regressors as they entered the fit: additive effects already projected out, estimated factors not.
    resid : array_like, shape (N, T)
        Residuals after slopes, effects and factors.
    factors : array_like, shape (T, R), or None
        Estimated factors, any rotation or scale that goes with ``loadings``.
    loadings : array_like, shape (N, R), or None
        Estimated loadings.
    bread : array_like, shape (q, q)
        W = z~'z~ / (NT) with z~ = M_Lambda z M_F, as in
        :class:`~gifepanel.inference.covariance.CovarianceResult`.
    known_factors, known_loadings : array_like, shape (T, r) or (N, r), optional
        ``iota_T`` under entity effects, ``iota_N`` under time effects. They enter the projections, above
        all P in B1: with P_F in place of P_[F, iota] the Nickell bias of the entity effects would stay.
    predetermined : bool or sequence of int
        Whether any regressor reacts to past errors (a lagged outcome does); turns on B1. Positions among the q say
        which ones do: the traces of the others are zero.
    heteroskedastic : bool
        Turns on B2 and B3.
    deconvolved : bool
        B1 with what the projection of residuals takes from covariances given back
        (:mod:`gifepanel.inference.predetermined_bias`), in place of the published one.
    m1 : int, optional
        Number of lags in B1, at least 1; default :func:`default_bandwidth`, and
        :func:`~gifepanel.inference.predetermined_bias.deconvolved_bandwidth` for the deconvolved one, which uses
        fewer where the periods do not identify that many.
    m2 : int, optional
        Number of lags in B3; 0 takes heteroskedasticity over time but no serial correlation into account.
        Default :func:`default_bandwidth`.
    periods : array_like of int, shape (T,), optional
        Ascending numbers of the periods, of which lags are differences; by default 0..T-1, no gap between them.
    root : ndarray, shape (q, q), optional
        K with (z~'z~)^-1 = K K', in place of `bread`, which loses digits where regressors are nearly collinear.

    Returns
    -------
    BiasResult
        Terms -(-W^-1 B_j / sqrt(NT)) = W^-1 B_j / sqrt(NT): add them to the estimate.

    Raises
    ------
    DataError
        If the shapes disagree.
    SpecificationError
        If a bandwidth is negative or not below T.
    """
    cube = np.asarray(z, dtype=np.float64)
    e = np.asarray(resid, dtype=np.float64)
    if cube.ndim != 3 or e.shape != cube.shape[:2]:
        raise DataError(
            f"Regressors have shape {cube.shape} and residuals {e.shape}.",
            "They must be (N, T, q) and (N, T).",
            "Pass entities along axis 0, periods along axis 1 and regressors along axis 2.",
        )
    n, t, q = cube.shape
    lags1 = bandwidth("m1", m1, t, deconvolved=deconvolved)
    lags2 = bandwidth("m2", m2, t)
    space = factor_space(
        n, t, factors=factors, loadings=loadings, known_factors=known_factors, known_loadings=known_loadings
    )
    when = np.arange(t) if periods is None else np.asarray(periods, dtype=np.int64)
    weights = np.zeros((3, n, t))
    affected = _affected(predetermined, q)
    if affected.any():
        if deconvolved:
            omega = balanced_lag_weights(space.time, lags1, when)
            lags1, weights[0] = omega.size, deconvolved_weight(e, omega, when)
        else:
            weights[0] = _weight_predetermined(e, space.time, lags1, when)
    if heteroskedastic and factors is not None and np.asarray(factors).size:
        g, h = _left_inverse(factors, t), _left_inverse(loadings, n)
        weights[1] = _weight_unit_variances(e, g, h, space)
        weights[2] = _weight_time_covariances(e, g, h, space, lags2, when)
    traces = weights.reshape(3, -1) @ cube.reshape(-1, q)
    traces[0, ~affected] = 0.0
    if root is None:
        added = np.linalg.solve(np.asarray(bread, dtype=np.float64), traces.T).T / (n * t)
    else:
        added = traces @ root @ root.T
    return BiasResult(b1=added[0], b2=added[1], b3=added[2], m1=lags1, m2=lags2)


def _affected(predetermined: bool | Sequence[int], n_slopes: int) -> BoolArray:
    """Which of the q regressors have a first term."""
    out = np.zeros(n_slopes, dtype=np.bool_)
    out[slice(None) if predetermined is True else [] if predetermined is False else list(predetermined)] = True
    return out


def bandwidth(name: str, value: int | None, n_periods: int, *, deconvolved: bool = False) -> int:
    """A number of lags from 0 to T - 1, or by default that of the published terms or of the deconvolved B1.

    Raises
    ------
    SpecificationError
        If it is negative or not below T.
    """
    usual = deconvolved_bandwidth(n_periods) if deconvolved else default_bandwidth(n_periods)
    if value is None:
        return min(usual, n_periods - 1)
    if not 0 <= value < n_periods:
        raise SpecificationError(
            f"{name} = {value} with {n_periods} periods.",
            f"A bandwidth is an integer from 0 to {n_periods - 1}.",
            f"Leave {name} out for ceil({'2 ' if deconvolved else ''}T^(1/4)) = {usual}.",
        )
    return int(value)


def _left_inverse(columns: npt.ArrayLike | None, n_rows: int) -> FloatArray:
    """C (C'C)^-1, shape (n_rows, R); C' times it is the identity."""
    if columns is None:
        raise DataError("Factors came without loadings.", "Both are needed.", "Pass loadings of shape (N, R).")
    c = np.asarray(columns, dtype=np.float64).reshape(n_rows, -1)
    return np.asarray(np.linalg.solve(c.T @ c, c.T).T)


def _weight_predetermined(e: FloatArray, time_basis: FloatArray, lags: int, periods: IntArray) -> FloatArray:
    weight = np.zeros_like(e)
    for lag in range(1, lags + 1):
        before, after = pairs_of_periods(periods, lag)
        projector = np.einsum("tr,tr->t", time_basis[before], time_basis[after])
        weight[:, after] += projector * e[:, before]
    return weight


def _weight_unit_variances(e: FloatArray, g: FloatArray, h: FloatArray, space: FactorSpace) -> FloatArray:
    scaled = np.einsum("it,it->i", e, e)[:, None] * h
    scaled -= space.unit @ (space.unit.T @ scaled)
    return np.asarray(scaled @ g.T)


def _weight_time_covariances(
    e: FloatArray, g: FloatArray, h: FloatArray, space: FactorSpace, lags: int, periods: IntArray
) -> FloatArray:
    banded = np.einsum("it,it->t", e, e)[:, None] * g
    for lag in range(1, lags + 1):
        before, after = pairs_of_periods(periods, lag)
        autocovariance = np.einsum("it,it->t", e[:, before], e[:, after])[:, None]
        banded[before] += autocovariance * g[after]
        banded[after] += autocovariance * g[before]
    banded -= space.time @ (space.time.T @ banded)
    return np.asarray(h @ banded.T)
