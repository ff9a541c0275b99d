"""By how much dependent errors make slopes less certain than independent errors would: design effects.

Of two covariances that are there, the one asked for and that of independent errors; or, before any is asked for, of a
fit, clustered by entity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gifepanel.inference.estimate import FactorEstimate

__all__ = ["clustered_design_effect", "design_effect_of_covariances"]

FloatArray = npt.NDArray[np.float64]
_NOTHING = 1e-12


def design_effect_of_covariances(known: FloatArray, independent: FloatArray) -> float:
    """Mean ratio of variances, of those asked for to those of independent errors (both q by q), at least one."""
    given, plain = np.diag(known), np.diag(independent)
    use = np.isfinite(given) & (given > 0)
    return max(1.0, float(np.mean(given[use] / plain[use]))) if use.any() else 1.0


def clustered_design_effect(estimate: FactorEstimate) -> float:
    """Mean over the slopes of the variance clustered by entity over that of independent errors; at least one.

    Parameters
    ----------
    estimate : FactorEstimate

    Returns
    -------
    float
        phi. Slopes without variation of their own are left out of the mean.
    """
    n, q = estimate.shape[0], estimate.theta.size
    z, e = estimate.z_projected, estimate.wresid
    length = np.sqrt(np.square(z).sum(axis=(0, 1)))
    keep = length > _NOTHING * length.max(initial=0.0)
    if not q or n < 2 or not keep.any():
        return 1.0
    z = z[..., keep] / length[keep]
    columns = z.reshape(-1, z.shape[2])
    bread = np.linalg.pinv(columns.T @ columns, rcond=_NOTHING, hermitian=True)
    scores = np.einsum("ntq,nt->nq", z, e)
    clustered = np.diag(bread @ (scores.T @ scores) @ bread) * n / (n - 1.0)
    independent = np.diag(bread) * float(np.vdot(e, e)) / estimate.nobs
    use = independent > 0.0
    return max(1.0, float(np.mean(clustered[use] / independent[use]))) if use.any() else 1.0
