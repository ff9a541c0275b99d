"""Slopes of every entity at the factors of a grouped fit, and drawn to those of its group.

With A_i = X_i'M_i X_i and c_i = X_i'M_i r_i at the fitted factors (M_i takes out what an entity has of its own:
factors, effects and further known columns; r_i is the outcome less effects of periods), the entity's slopes are b_i =
A_i^-1 c_i, and least squares over groups is their mean by precision,

    a_k = (sum_{i in k} A_i)^-1 sum_{i in k} A_i b_i,

exactly so at the minimum, in complete panels and in those with holes; with soft groups the terms are weighted by the
probabilities. Slopes in common are held at their estimates: A_i and b_i are those of the others then.

Drawn to their groups, b_i ~ N(beta_i, s_i^2 A_i^-1) with beta_i ~ N(a_g(i), Omega), Omega by the EM algorithm (Laird &
Ware 1982, Biometrics 38, 963-974), s_i^2 the moderated variances of :mod:`~gifepanel.inference.entity_variances`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gifepanel.inference.entity_variances import moderated_variances
from gifepanel.inference.estimate import FactorEstimate, mean_slopes
from gifepanel.short_repr import ShortRepr

__all__ = ["UnitSlopes", "unit_slopes"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_RANK = 1e-11
_STEPS, _TOL = 300, 1e-5


@dataclass(frozen=True, eq=False, repr=False)
class UnitSlopes(ShortRepr):
    """Least squares entity by entity, factors known.

    Attributes
    ----------
    params : ndarray, shape (N, p)
        NaN where an entity's own data do not determine a slope.
    bse : ndarray, shape (N, p)
        Standard errors, the error variance that of the entity; NaN where it has no degrees of freedom. NaN for slopes
        in common.
    shrunken : ndarray, shape (N, p)
        Drawn to the slopes of the group, as far as the spread in groups is error.
    spread : ndarray, shape (p, p)
        Omega: covariance of slopes around those of their groups; zero for slopes in common.
    """

    params: FloatArray
    bse: FloatArray
    shrunken: FloatArray
    spread: FloatArray


def unit_slopes(
    estimate: FactorEstimate,
    *,
    common: Sequence[int] = (),
    theta: FloatArray | None = None,
    posterior: FloatArray | None = None,
) -> UnitSlopes:
    """Slopes of every entity at the factors of an estimate.

    Parameters
    ----------
    estimate : FactorEstimate
        Least squares.
    common : sequence of int
        Regressors whose slope is one for all.
    theta : ndarray, shape (q,), optional
        Slopes of the groups; those of the estimate by default.
    posterior : ndarray, shape (N, K), optional
        Probabilities of the groups, where `theta` is that of a mixture.
    """
    a, c, _ = estimate.unit_moments
    alpha = (estimate.theta if theta is None else theta)[estimate.slots]
    centre = mean_slopes(alpha, estimate.groups, posterior)
    shared = np.asarray(sorted(common), dtype=np.int64)
    free = np.setdiff1d(np.arange(c.shape[1]), shared)
    inner = a[:, free[:, None], free]
    right = c[:, free] - np.einsum("nfs,ns->nf", a[:, free[:, None], shared], centre[:, shared])
    own, inverse, known = _solved(inner, right, _raw_squares(estimate)[:, free])
    slopes, errors, shrunken = centre.copy(), np.full(centre.shape, np.nan), centre.copy()
    slopes[:, free] = own
    ssr, df = _left(estimate, slopes), _own_df(estimate) - known.sum(axis=1)
    own_variance = np.where(df > 0, ssr / np.maximum(df, 1), np.nan)
    diagonal = np.einsum("nff->nf", inverse)
    slopes[:, free] = np.where(known, own, np.nan)
    errors[:, free] = np.where(known, np.sqrt(own_variance[:, None] * diagonal), np.nan)
    variance = moderated_variances(ssr, df.astype(np.float64), estimate.ssr / estimate.df.residual).variance
    spread = np.zeros(a.shape[1:])
    if free.size:
        score = right - np.einsum("nfg,ng->nf", inner, centre[:, free])
        step, spread[free[:, None], free] = _drawn(inner / variance[:, None, None], score / variance[:, None])
        shrunken[:, free] += step
    return UnitSlopes(slopes, errors, shrunken, spread)


def _raw_squares(estimate: FactorEstimate) -> FloatArray:
    """Sums of squares of the regressors by entity (N, p), before anything is taken out: the size of rounding."""
    root = 1.0 if estimate.root is None else estimate.root[:, :, None]
    return np.asarray(np.square(estimate.x * root).sum(axis=1))


def _solved(a: FloatArray, c: FloatArray, raw: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Slopes (N, f) of the smallest length, generalised inverses (N, f, f), and which slopes are determined (N, f)."""
    length = np.sqrt(raw)
    unit = 1.0 / np.where(length > 0, length, 1.0)
    values, vectors = np.linalg.eigh(a * unit[:, :, None] * unit[:, None, :])
    kept = values > _RANK
    reciprocal = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    inverse = np.einsum("nfk,nk,ngk->nfg", vectors, reciprocal, vectors) * unit[:, :, None] * unit[:, None, :]
    spanned = np.einsum("nfk,nk->nf", vectors**2, kept.astype(np.float64))
    return np.einsum("nfg,ng->nf", inverse, c), inverse, (spanned > 1.0 - 1e-6) & (length > 0)


def _left(estimate: FactorEstimate, slopes: FloatArray) -> FloatArray:
    """Sum of squares of every entity (N,) with slopes of its own."""
    further = estimate.other_effects
    fitted = np.einsum("ntp,np->nt", estimate.x, slopes) + (0.0 if further is None else further)
    return np.asarray(np.square(estimate.off_units(estimate.y - estimate.time_effect - fitted)).sum(axis=1))


def _own_df(estimate: FactorEstimate) -> npt.NDArray[np.int64]:
    """Observed periods of every entity less what it has of its own besides slopes (N,)."""
    n, t = estimate.shape
    cells = np.full(n, t) if estimate.observed is None else estimate.observed.sum(axis=1)
    return np.asarray(cells - estimate.unit_ranks, dtype=np.int64)


def _drawn(precision: FloatArray, score: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Expected slopes less those of the group (N, f), and their covariance Omega (f, f), from A_i / s_i^2 and scores.

    m_i = Omega (I + P_i Omega)^-1 g_i needs no inverse of Omega, which is singular where members share their slopes.
    """
    f = score.shape[1]
    scale = 1.0 / np.sqrt(np.maximum(np.einsum("nff->f", precision) / len(score), 1e-300))
    p, g = precision * np.outer(scale, scale), score * scale
    omega, identity = np.eye(f), np.eye(f)
    for _ in range(_STEPS):
        cov = omega @ np.linalg.inv(identity + p @ omega)
        step = np.einsum("nfg,ng->nf", cov, g)
        new = (step.T @ step + cov.sum(axis=0)) / len(g)
        new = (new + new.T) / 2
        change, omega = np.abs(new - omega).max(), new
        if change <= _TOL * np.abs(omega).max():
            break
    step = np.einsum("nfg,ng->nf", omega @ np.linalg.inv(identity + p @ omega), g)
    return step * scale, omega * np.outer(scale, scale)
