"""Slopes by group by the likelihood of a mixture: every entity counts in every group, with its probability.

Least squares over groups draws their centres apart, since it cuts the entities off at the border between them, and its
curvature ignores those that would change sides. The mixture does neither. At the fitted factors the E-step is
:func:`gifepanel.inference.estimated_groups.posterior`, the M-step least squares weighted by the probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gifepanel.inference.design_effect import design_effect_of_covariances
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.inference.estimated_groups import missing_at, posterior, unit_losses
from gifepanel.inference.missing_information import MissingInformation
from gifepanel.short_repr import ShortRepr

__all__ = ["SoftGroups", "missing_at_soft_groups", "soft_groups"]

FloatArray = npt.NDArray[np.float64]
_SMALLEST_SHARE = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class SoftGroups(ShortRepr):
    """A mixture fitted by the EM algorithm from a grouping.

    Attributes
    ----------
    theta : ndarray, shape (q,)
    posterior : ndarray, shape (N, K)
    shares : ndarray, shape (K,)
    variance : float
        Of the errors.
    n_iter : int
    converged : bool
    """

    theta: FloatArray
    posterior: FloatArray
    shares: FloatArray
    variance: float
    n_iter: int
    converged: bool


def soft_groups(
    estimate: FactorEstimate, *, design_effect: float = 1.0, tol: float = 1e-8, max_iter: int = 500
) -> SoftGroups:
    """Fit the mixture from least squares over groups, at its factors.

    Parameters
    ----------
    estimate : FactorEstimate
    design_effect : float
        What the likelihood is tempered by: errors that are correlated say less about groups than they seem to.
    tol : float
        On the slopes, relative to the largest.
    max_iter : int
    """
    a, c, _ = estimate.unit_moments
    slots, n_groups = estimate.slots, len(estimate.slots)
    shares = np.maximum(np.bincount(estimate.groups, minlength=n_groups) / len(c), _SMALLEST_SHARE)
    shares /= shares.sum()
    theta, variance, converged, steps = estimate.theta, estimate.ssr / estimate.df.residual, False, 0
    tau = posterior(unit_losses(estimate), shares, variance * design_effect)
    while steps < max_iter and not converged:
        steps += 1
        shares = np.maximum(tau.mean(axis=0), _SMALLEST_SHARE)
        shares /= shares.sum()
        new = _weighted(a, c, slots, tau, theta.size)
        converged = bool(np.abs(new - theta).max() <= tol * np.abs(theta).max())
        theta = new
        losses = unit_losses(estimate, theta)
        variance = float((tau * losses).sum()) / estimate.df.residual
        tau = posterior(losses, shares, variance * design_effect)
    return SoftGroups(theta, tau, shares, variance, steps, converged)


def missing_at_soft_groups(
    estimate: FactorEstimate, soft: SoftGroups, known: FloatArray, independent: FloatArray
) -> MissingInformation:
    """The missing information at the slopes of a mixture, by one step of expectation there.

    Parameters
    ----------
    estimate : FactorEstimate
        The fit that the mixture started from.
    soft : SoftGroups
    known : ndarray, shape (q, q)
        Covariance given the groups, of any kind, whose design effect tempers the likelihood.
    independent : ndarray, shape (q, q)
        That of independent errors with one variance.
    """
    phi = design_effect_of_covariances(known, independent)
    variance = soft.variance * phi
    tau = posterior(unit_losses(estimate, soft.theta), soft.shares, variance)
    own = soft.posterior.argmax(axis=1).astype(np.int64)
    return missing_at(estimate, soft.theta, tau, soft.shares, variance, phi, own)


def _weighted(a: FloatArray, c: FloatArray, slots: npt.NDArray[np.int64], tau: FloatArray, q: int) -> FloatArray:
    """Least squares in which every entity counts in every group with its probability."""
    left, right = np.zeros((q, q)), np.zeros(q)
    for k, slot in enumerate(slots):
        np.add.at(left, (slot[:, None], slot), np.einsum("n,npq->pq", tau[:, k], a))
        np.add.at(right, slot, tau[:, k] @ c)
    return np.asarray(np.linalg.lstsq(left, right, rcond=1e-12)[0])
