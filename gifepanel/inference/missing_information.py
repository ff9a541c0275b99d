"""What is not known about slopes by group since it is not known who belongs where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MissingInformation"]

FloatArray = npt.NDArray[np.float64]
CLEAR = 0.95


@dataclass(frozen=True, eq=False)
class MissingInformation:
    """What is not known about slopes since it is not known who belongs where.

    Attributes
    ----------
    shares : ndarray, shape (q + K - 1,)
        Shares of the information about combinations of slopes and group shares that are missing, increasing, as they
        come out: more than one where entities do not form so many groups.
    design_effect : float
        phi.
    posterior : ndarray, shape (N, K)
        Probabilities of the groups given the data, slopes and factors.
    factor : ndarray, shape (q, q)
        C, as far as it concerns slopes.
    from_shares : ndarray, shape (q, q)
        What the uncertainty of the group shares adds.
    """

    shares: FloatArray
    design_effect: float
    posterior: FloatArray
    factor: FloatArray
    from_shares: FloatArray

    @property
    def share(self) -> float:
        """The largest share of missing information, at most one."""
        return float(min(max(self.shares[-1], 0.0), 1.0))

    @property
    def n_unclear(self) -> int:
        """Entities whose most probable group has a probability below .95."""
        return int((self.posterior.max(axis=1) < CLEAR).sum())

    def inflated(self, cov: FloatArray) -> FloatArray:
        """The covariance of slopes (q, q) from that given the groups."""
        out = self.factor @ cov @ self.factor.T + self.from_shares
        return np.asarray((out + out.T) / 2)
