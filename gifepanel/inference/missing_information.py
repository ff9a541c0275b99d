"""What is not known about slopes by group since it is not known who belongs where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MissingInformation"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
CLEAR = 0.95


@dataclass(frozen=True, eq=False)
class MissingInformation:
    """What is not known about slopes since it is not known who belongs where (Louis 1982).

    ``res.missing_information`` of a model with groups; :func:`gifepanel.inference.estimated_groups.missing_information`
    computes it. Above a `share` of .5 standard errors rest on much that was not seen; above .8 the groups are not
    separated enough for slopes by group to mean much.

    Attributes
    ----------
    shares : ndarray, shape (q + K - 1,)
        Shares of the information about combinations of slopes and group shares that are missing, increasing, as they
        come out: more than one where entities do not form so many groups.
    design_effect : float
        phi.
    posterior : ndarray, shape (N, K)
        Probabilities of the groups given the data, slopes and factors.
    groups : ndarray of int, shape (N,)
        The entities' own groups, from 0.
    factor : ndarray, shape (q, q)
        C, as far as it concerns slopes.
    from_shares : ndarray, shape (q, q)
        What the uncertainty of the group shares adds.

    References
    ----------
    Louis, T. A. (1982). Finding the observed information matrix when using the EM algorithm. *Journal of the Royal
    Statistical Society B* 44, 226-233.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
    >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
    >>> model.fit().missing_information
    <MissingInformation: share 0.45, design effect 1.00, 4 of 40 entities unclear>
    """

    shares: FloatArray
    design_effect: float
    posterior: FloatArray
    groups: IntArray
    factor: FloatArray
    from_shares: FloatArray

    @property
    def share(self) -> float:
        """The largest share of missing information, at most one."""
        return float(min(max(self.shares[-1], 0.0), 1.0))

    @property
    def clear(self) -> BoolArray:
        """Entities (N,) whose own group has a probability of .95 or more."""
        return np.asarray(self.posterior[np.arange(len(self.groups)), self.groups] >= CLEAR)

    @property
    def n_unclear(self) -> int:
        """The other entities."""
        return int((~self.clear).sum())

    def __repr__(self) -> str:
        return (
            f"<MissingInformation: share {self.share:.2f}, design effect {self.design_effect:.2f}, {self.n_unclear} of "
            f"{len(self.posterior)} entities unclear>"
        )

    def inflated(self, cov: FloatArray) -> FloatArray:
        """The covariance of slopes (q, q) from that given the groups."""
        out = self.factor @ cov @ self.factor.T + self.from_shares
        return np.asarray((out + out.T) / 2)
