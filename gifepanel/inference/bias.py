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

All of them cost one pass over z.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.space import FactorSpace, FloatArray, factor_space

__all__ = ["BiasResult", "bias_terms", "default_bandwidth"]


@dataclass(frozen=True)
class BiasResult:
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
    predetermined: bool = False,
    heteroskedastic: bool = True,
    m1: int | None = None,
    m2: int | None = None,
    root: FloatArray | None = None,
) -> BiasResult:
    """Bias corrections B1, B2, B3 of Moon & Weidner (2017, Theorem 4.4).

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
    predetermined : bool
        Whether any regressor reacts to past errors (a lagged outcome does); turns on B1.
    heteroskedastic : bool
        Turns on B2 and B3.
    m1 : int, optional
        Number of lags in B1, at least 1; default :func:`default_bandwidth`.
    m2 : int, optional
        Number of lags in B3; 0 takes heteroskedasticity over time but no serial correlation into account.
        Default :func:`default_bandwidth`.
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
    lags1, lags2 = _bandwidth("m1", m1, t), _bandwidth("m2", m2, t)
    space = factor_space(
        n, t, factors=factors, loadings=loadings, known_factors=known_factors, known_loadings=known_loadings
    )
    weights = np.zeros((3, n, t))
    if predetermined:
        weights[0] = _weight_predetermined(e, space.time, lags1)
    if heteroskedastic and factors is not None and np.asarray(factors).size:
        g, h = _left_inverse(factors, t), _left_inverse(loadings, n)
        weights[1] = _weight_unit_variances(e, g, h, space)
        weights[2] = _weight_time_covariances(e, g, h, space, lags2)
    traces = weights.reshape(3, -1) @ cube.reshape(-1, q)
    if root is None:
        added = np.linalg.solve(np.asarray(bread, dtype=np.float64), traces.T).T / (n * t)
    else:
        added = traces @ root @ root.T
    return BiasResult(b1=added[0], b2=added[1], b3=added[2], m1=lags1, m2=lags2)


def _bandwidth(name: str, value: int | None, n_periods: int) -> int:
    if value is None:
        return min(default_bandwidth(n_periods), n_periods - 1)
    if not 0 <= value < n_periods:
        raise SpecificationError(
            f"{name} = {value} with {n_periods} periods.",
            f"A bandwidth is an integer from 0 to {n_periods - 1}.",
            f"Leave {name} out for ceil(T^(1/4)) = {default_bandwidth(n_periods)}.",
        )
    return int(value)


def _left_inverse(columns: npt.ArrayLike | None, n_rows: int) -> FloatArray:
    """C (C'C)^-1, shape (n_rows, R); C' times it is the identity."""
    if columns is None:
        raise DataError("Factors came without loadings.", "Both are needed.", "Pass loadings of shape (N, R).")
    c = np.asarray(columns, dtype=np.float64).reshape(n_rows, -1)
    return np.asarray(np.linalg.solve(c.T @ c, c.T).T)


def _weight_predetermined(e: FloatArray, time_basis: FloatArray, lags: int) -> FloatArray:
    weight = np.zeros_like(e)
    for lag in range(1, lags + 1):
        projector = np.einsum("tr,tr->t", time_basis[:-lag], time_basis[lag:])
        weight[:, lag:] += projector * e[:, :-lag]
    return weight


def _weight_unit_variances(e: FloatArray, g: FloatArray, h: FloatArray, space: FactorSpace) -> FloatArray:
    scaled = np.einsum("it,it->i", e, e)[:, None] * h
    scaled -= space.unit @ (space.unit.T @ scaled)
    return np.asarray(scaled @ g.T)


def _weight_time_covariances(e: FloatArray, g: FloatArray, h: FloatArray, space: FactorSpace, lags: int) -> FloatArray:
    banded = np.einsum("it,it->t", e, e)[:, None] * g
    for lag in range(1, lags + 1):
        autocovariance = np.einsum("it,it->t", e[:, :-lag], e[:, lag:])[:, None]
        banded[:-lag] += autocovariance * g[lag:]
        banded[lag:] += autocovariance * g[:-lag]
    banded -= space.time @ (space.time.T @ banded)
    return np.asarray(h @ banded.T)
