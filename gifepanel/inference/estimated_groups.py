"""Covariances of slopes by group, inflated by the information that is missing about who belongs where.

Least squares given estimated groups takes them as known: intervals are too short where entities are misplaced. With
the groups as missing data of a mixture, the information about the slopes is that of known groups less what not seeing
them loses (Louis 1982, J. R. Statist. Soc. B 44, eq. 3.2'),

    H = B - Cov,    Cov = sum_i [ sum_k tau_ik S_ik S_ik' - s_i s_i' ],    s_i = sum_k tau_ik S_ik,

with tau_ik the posterior probabilities of the groups, S_ik the scores of slopes and of group shares if entity i were in
group k, and B the information of known groups. With f the eigenvalues of B^-1/2 Cov B^-1/2, the shares of information
that are missing, a covariance given the groups becomes

    V = C V_known C',    C = B^-1/2 (I - f)^-1/2 B^1/2.

The likelihood is that of normal errors, tempered by the design effect phi: the mean ratio of the variances that are
asked for (robust, clustered) to those of independent errors. Shares are bounded by .8: where groups are not separated
H need not be positive definite.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gifepanel.inference.design_effect import design_effect_of_covariances
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.inference.missing_information import MissingInformation

__all__ = ["BOUND", "missing_at", "missing_information", "posterior", "unit_losses"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BOUND = 0.8
_SMALLEST_SHARE = 1e-3


def unit_losses(estimate: FactorEstimate, theta: FloatArray | None = None) -> FloatArray:
    """Sum of squares of every entity under the slopes of every group (N, K), at the fitted factors; of slopes (q,)."""
    a, c, s = estimate.unit_moments
    alpha = (estimate.theta if theta is None else theta)[estimate.slots]
    return np.asarray(s[:, None] - 2.0 * c @ alpha.T + np.einsum("kp,npq,kq->nk", alpha, a, alpha))


def posterior(losses: FloatArray, shares: FloatArray, variance: float) -> FloatArray:
    """Probabilities of the groups (N, K) from sums of squares (N, K), group shares (K,) and the error variance."""
    log = np.log(shares) - losses / (2.0 * variance)
    log -= log.max(axis=1, keepdims=True)
    out = np.exp(log)
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def missing_information(estimate: FactorEstimate, known: FloatArray, independent: FloatArray) -> MissingInformation:
    """The missing information at a fit, by one step of expectation at its slopes.

    Parameters
    ----------
    estimate : FactorEstimate
        With K groups.
    known : ndarray, shape (q, q)
        Covariance given the groups, of any kind.
    independent : ndarray, shape (q, q)
        That of independent errors with one variance.
    """
    n, n_groups = estimate.shape[0], len(estimate.slots)
    phi = design_effect_of_covariances(known, independent)
    variance = estimate.ssr / estimate.df.residual * phi
    shares = np.maximum(np.bincount(estimate.groups, minlength=n_groups) / n, _SMALLEST_SHARE)
    shares /= shares.sum()
    tau = posterior(unit_losses(estimate), shares, variance)
    return missing_at(estimate, estimate.theta, tau, shares, variance, phi)


def missing_at(
    estimate: FactorEstimate,
    theta: FloatArray,
    tau: FloatArray,
    shares: FloatArray,
    variance: float,
    phi: float = 1.0,
    groups: IntArray | None = None,
) -> MissingInformation:
    """The missing information at given slopes (q,), probabilities (N, K), group shares (K,) and error variance.

    The entities' own groups (N,) are those of the fit unless given.
    """
    slots, q = estimate.slots, estimate.theta.size
    n, n_groups = tau.shape
    a, c, _ = estimate.unit_moments
    alpha = theta[slots]
    own = (c[:, None] - np.einsum("npq,kq->nkp", a, alpha)) / variance
    scores = np.zeros((n, n_groups, q + n_groups - 1))
    for k in range(n_groups):
        scores[:, k, slots[k]] = own[:, k]
        scores[:, k, q:] = -shares[:-1]
        if k < n_groups - 1:
            scores[:, k, q + k] += 1.0
    mean = np.einsum("nk,nkm->nm", tau, scores)
    lost = np.einsum("nk,nkm,nko->mo", tau, scores, scores) - mean.T @ mean
    of_shares = n * (np.diag(shares[:-1]) - np.outer(shares[:-1], shares[:-1]))
    complete = np.zeros_like(lost)
    complete[:q, :q] = _information(estimate, tau) / variance
    complete[q:, q:] = of_shares
    # in units where every combination has length one: slopes may have any
    length = np.sqrt(np.maximum(np.diag(complete), 0.0))
    unit = 1.0 / np.where(length > 0, length, 1.0)
    values, vectors = np.linalg.eigh(complete * np.outer(unit, unit))
    root = vectors * np.sqrt(np.maximum(values, 1e-12 * values[-1]))
    half = root @ vectors.T
    inverse = np.linalg.inv(half)
    f, turn = np.linalg.eigh(inverse @ (lost * np.outer(unit, unit)) @ inverse)
    c_matrix = inverse @ (turn / np.sqrt(1.0 - np.clip(f, 0.0, BOUND))) @ turn.T @ half
    c_matrix = unit[:, None] * c_matrix / unit
    across = c_matrix[:q, q:]
    added = across @ np.linalg.solve(of_shares, across.T)
    own = estimate.groups if groups is None else groups
    return MissingInformation(f, phi, tau, own, c_matrix[:q, :q], added)


def _information(estimate: FactorEstimate, tau: FloatArray) -> FloatArray:
    """W_tau (q, q): the information of known groups about slopes, times the variance, group weights `tau`."""
    slots, q = estimate.slots, estimate.theta.size
    a = estimate.unit_moments[0]
    out = np.zeros((q, q))
    for k, slot in enumerate(slots):
        np.add.at(out, (slot[:, None], slot), np.einsum("n,npq->pq", tau[:, k], a))
    return np.asarray(out - estimate.moments_of_periods(tau))
