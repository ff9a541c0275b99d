"""What a descent on the least-squares objective asks of a panel in blocks, from its moments by group."""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.solvers.arrays import Array, Components, components_of_gram
from gifepanel.solvers.blocked import BlockedPanel
from gifepanel.solvers.group_moments import MomentResiduals

__all__ = ["evaluated", "gram_of_moments"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_ROUNDING = 1e-15


def gram_of_moments(
    data: BlockedPanel, groups: IntArray, slots: IntArray, factors: Array, alpha: Array | None
) -> Array:
    """W (q, q) as :func:`gifepanel.solvers.interactive.projected_gram` has it.

    Off the loadings at the slopes `alpha` (K, p), if these are given.
    """
    n, t, _ = data.shape
    q = int(slots.max()) + 1
    moments = data.group_moments(groups, len(slots))
    own, sums = moments.regressors(factors)
    gram = np.zeros((q, q))
    for k, slot in enumerate(slots):
        np.add.at(gram, (slot[:, None], slot[None, :]), own[k])
    rows = [sums[:, :, None, :] / np.sqrt(n)] if data.time_effects else []
    if alpha is not None and factors.shape[1]:
        left = moments.residuals(alpha)
        lengths = np.sqrt(np.maximum(np.einsum("tr,ts,sr->r", factors, left.gram, factors), 0.0)) / t
        keep = lengths > 1e-12 * max(lengths.max(initial=0.0), np.finfo(float).tiny)
        scores = np.einsum("tr,kjts->kjrs", factors[:, keep] / (t * lengths[keep]), left.with_regressors)
        rows.append(scores)
    if rows:
        mixed = np.zeros((q, sum(one.shape[2] for one in rows), t))
        for k, slot in enumerate(slots):
            np.add.at(mixed, slot, np.concatenate([one[k] for one in rows], axis=1))
        mixed -= (mixed @ factors) @ factors.T / t
        flat = mixed.reshape(q, -1)
        gram -= flat @ flat.T
    return gram


def evaluated(
    data: BlockedPanel, groups: IntArray, slots: IntArray, n_factors: int, theta: Array
) -> tuple[Components, MomentResiduals, Array, float]:
    """Components, residuals, gradient and rounding of the objective at slopes (q,).

    Without a pass over the panel, but where factors leave next to nothing.
    """
    n, t, _ = data.shape
    alpha = np.asarray(theta[slots])
    moments = data.group_moments(groups, len(slots))
    left = moments.residuals(alpha)
    comp = components_of_gram(left.gram, left.mean, n, n_factors)
    if comp is None:
        comp = data.components(alpha[groups], n_factors)
    products = left.with_regressors
    traces = np.einsum("kjtt->kj", products)
    if n_factors:
        traces = traces - np.einsum("tr,kjts,sr->kj", comp.factors, products, comp.factors, optimize=True) / t
    gradient = np.zeros(theta.size)
    for k, slot in enumerate(slots):
        np.add.at(gradient, slot, -2.0 * traces[k])
    rounding = _ROUNDING * float(np.trace(left.gram))
    return comp, MomentResiduals(moments, alpha, comp.factors), gradient, rounding
