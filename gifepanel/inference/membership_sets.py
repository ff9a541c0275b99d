"""Confidence sets for group membership: the groups that an entity can't be told from, entity by entity or jointly.

If entity i is in group g, then for every other group h the statistic

    D_i(g, h) = v'u / (sigma |v|),    u = M_i (y_i - X_i a_g),    v = M_i X_i (a_h - a_g),

has mean zero and variance one: fitting the entity by h instead of g gains nothing but noise. It is the moment condition
of Dzemski and Okui (2024, Quantitative Economics 15, 245-277, eq. 4), E[v'u] <= 0 for all h if and only if g is true,
with factors and effects projected out. A group is in the set unless one of its K - 1 statistics is above the normal
quantile at level alpha / (K - 1), for joint sets of all N entities at alpha / (N (K - 1)); the entity's own group
always is. The variance allows for what is not known about a_g, and for serial correlation of the errors
(:mod:`~gifepanel.inference.error_autocovariances`).

Slopes and variance had better be those of the mixture (:mod:`~gifepanel.inference.soft_groups`): least squares over
groups pulls centres apart and makes the variance too small. 200 draws of design S with 100 entities and 15 periods:
joint sets cover .925 with its slopes and variance, .95 with the mixture's, with 1.90 and 1.93 groups in a set.
Variances are those of single entities as far as they differ by more than chance
(:mod:`~gifepanel.inference.entity_variances`): where they differ eightfold, 200 draws at 25 periods, joint sets cover
.835 with one variance and .94 with these.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from gifepanel.inference.entity_variances import EntityVariances, moderated_variances
from gifepanel.inference.error_autocovariances import error_autocovariances
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.inference.estimated_groups import unit_losses
from gifepanel.inference.soft_groups import SoftGroups

__all__ = ["membership_sets", "membership_statistics", "variances_of_entities"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_FLOOR = 0.1


def membership_statistics(
    estimate: FactorEstimate, cov: FloatArray, *, variance: FloatArray | float | None = None, serial: bool = True
) -> FloatArray:
    """The largest statistic of every group over its competitors.

    Parameters
    ----------
    estimate : FactorEstimate
    cov : ndarray, shape (q, q)
        Of the slopes.
    variance : float or ndarray of shape (N,), optional
        Of the errors; that of the residuals by default, which least squares over groups makes a little too small.
    serial : bool
        Whether errors may be correlated over ceil(T^(1/4)) periods.

    Returns
    -------
    ndarray, shape (N, K)
    """
    a, c, _ = estimate.unit_moments
    alpha = estimate.theta[estimate.slots]
    residual = estimate.ssr / estimate.df.residual
    plain = np.broadcast_to(np.asarray(residual if variance is None else variance), len(a))
    noise = plain[:, None, None] * (_noise(estimate) / residual if serial else a)
    n, n_groups = len(a), len(alpha)
    out = np.full((n, n_groups), -np.inf)
    for g in range(n_groups):
        slot = estimate.slots[g]
        score = c - a @ alpha[g]
        for h in range(n_groups):
            if h == g:
                continue
            d = alpha[h] - alpha[g]
            w = a @ d
            least = _FLOOR * plain * (w @ d)
            spread = np.maximum(np.einsum("p,npq,q->n", d, noise, d), least)
            spread = spread + np.einsum("np,pq,nq->n", w, cov[np.ix_(slot, slot)], w)
            size = np.sqrt(np.where(spread > 0, spread, np.inf))
            out[:, g] = np.maximum(out[:, g], score @ d / size)
    return out


def _noise(estimate: FactorEstimate) -> FloatArray:
    """Variance of X_i'M_i e_i (N, p, p), autocovariances of the errors pooled over the entities."""
    t = estimate.shape[1]
    x = estimate.x_off_units
    gamma = error_autocovariances(estimate, min(ceil(t**0.25 - 1e-9), t - 1))
    out = gamma[0] * estimate.unit_moments[0]
    for lag in range(1, gamma.size):
        cross = np.einsum("ntp,ntq->npq", x[:, lag:], x[:, :-lag])
        out = out + gamma[lag] * (cross + cross.transpose(0, 2, 1))
    return np.asarray(out)


def membership_sets(
    estimate: FactorEstimate,
    cov: FloatArray,
    level: float = 0.95,
    *,
    joint: bool = True,
    variances: EntityVariances | None = None,
    serial: bool = True,
) -> BoolArray:
    """Groups in the confidence set of every entity (N, K); its own is always among them.

    Parameters
    ----------
    estimate : FactorEstimate
    cov : ndarray, shape (q, q)
        Of the slopes.
    level : float
    joint : bool
        Whether all N sets hold the true groups with this probability, or each of them.
    variances : EntityVariances, optional
        Of the errors of each entity, whose degrees of freedom are those of the quantile; by default one for all.
    serial : bool
        As in :func:`membership_statistics`.
    """
    n, n_groups = estimate.shape[0], len(estimate.slots)
    tests = (n_groups - 1) * (n if joint else 1)
    share = (1.0 - level) / max(tests, 1)
    critical: FloatArray | float = float(ndtri(1.0 - share))
    if variances is not None:
        critical = np.where(np.isinf(variances.df), critical, -stdtrit(variances.df, share))[:, None]
    variance = None if variances is None else variances.variance
    out = membership_statistics(estimate, cov, variance=variance, serial=serial) <= critical
    out[np.arange(n), estimate.groups] = True
    return np.asarray(out)


def variances_of_entities(estimate: FactorEstimate, mixture: SoftGroups) -> EntityVariances:
    """Variances of the errors by entity at the slopes of a mixture, drawn towards its own as far as by chance.

    Parameters
    ----------
    estimate : FactorEstimate
        The fit that the mixture started from.
    mixture : SoftGroups
    """
    losses = (mixture.posterior * unit_losses(estimate, mixture.theta)).sum(axis=1)
    cells = np.full(len(losses), float(estimate.shape[1]))
    if estimate.observed is not None:
        cells = estimate.observed.sum(axis=1).astype(np.float64)
    return moderated_variances(losses, cells * (estimate.df.residual / estimate.nobs), mixture.variance)
