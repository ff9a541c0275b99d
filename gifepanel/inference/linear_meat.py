"""The meat of each kind of covariance after partialling out, in the orthonormal basis of the regressors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gifepanel.inference.cluster_adjusted import bell_mccaffrey, cluster_jackknife
from gifepanel.inference.clusters import ClusterWay, cluster_terms
from gifepanel.inference.kernel_sums import TimeRows, kernel_weights, lagged_products
from gifepanel.inference.linear_kinds import CLUSTERED, TIMED
from gifepanel.inference.linear_sample import LinearSample, leverage_scale, nuisance_in_root_weights
from gifepanel.inference.small_sample import Correction, SampleCounts, SmallSample, small_sample_factor
from gifepanel.inference.space import FloatArray

__all__ = ["gross_meat", "linear_meat"]


def gross_meat(kind: str, sample: LinearSample, rows: TimeRows | None) -> FloatArray:
    """A meat without signs: where the covariance is far below it, its terms have cancelled."""
    out = 1e-6 * np.eye(sample.shape[1]) * sample.ssr / len(sample.u)
    if kind in (*CLUSTERED, *TIMED):
        out = out + sample.scores.T @ sample.scores
    return out if rows is None else out + lagged_products(sample.scores, rows, np.ones(1))


def linear_meat(
    kind: str,
    sample: LinearSample,
    counts: SampleCounts,
    ways: tuple[ClusterWay, ...],
    rows: TimeRows | None,
    leverage: npt.ArrayLike | None,
    nuisance: npt.ArrayLike | None,
    weights: npt.ArrayLike | None,
    kernel: str,
    ssc: SmallSample,
    use_correction: Correction | None,
) -> tuple[FloatArray, tuple[float, ...], dict[str, Any]]:
    """Meat in the basis q, factors, and what else came out.

    "df" of CR2, "fitted" rows of HC2 and HC3, "terms" of several ways, all added.
    """

    def factor(own: int | None = None) -> float:
        return small_sample_factor(kind, counts, ssc=ssc, use_correction=use_correction, own=own)

    if kind == "nonrobust":
        return np.eye(sample.shape[1]) * sample.ssr / counts.nobs, (factor(),), {}
    if kind in ("HC0", "HC1", "HC2", "HC3"):
        scores, fitted = sample.scores, 0
        if leverage is not None:
            scale, fitted = leverage_scale(np.asarray(leverage, dtype=np.float64), kind, counts)
            scores *= scale[:, None]
        return scores.T @ scores, (factor(),), {"fitted": fitted}
    if rows is not None:
        weight = kernel_weights(kernel, rows.maxlags)
        return lagged_products(sample.scores, rows, weight), (factor(),), {}
    if kind in ("CR0", "cluster"):
        return _clustered(sample.scores, ways, factor if kind == "cluster" else lambda own=None: 1.0)
    columns = nuisance_in_root_weights(nuisance, weights, counts.nobs)
    if kind == "CR2":
        adjusted = bell_mccaffrey(sample.q, sample.u, ways[0], nuisance=columns, root=sample.triangle.root)
        return adjusted.meat, (factor(),), {"df": adjusted.df, "contrasts": adjusted.contrasts}
    change = cluster_jackknife(sample.q, sample.u, ways[0], nuisance=columns)
    if kind == "cluster-jk":
        change = change - change.mean(axis=0)
    return change.T @ change, (factor(),), {}


def _clustered(
    scores: FloatArray, ways: tuple[ClusterWay, ...], factor: Any
) -> tuple[FloatArray, tuple[float, ...], dict[str, Any]]:
    factors = []
    meat, added = np.zeros((scores.shape[1],) * 2), np.zeros((scores.shape[1],) * 2)
    for sign, way in cluster_terms(ways):
        sums = way.sums(scores)
        factors.append(factor(way.n_groups))
        term = sums.T @ sums
        meat += sign * factors[-1] * term
        added += term
    if len(set(factors)) == 1:
        return meat / factors[0], (factors[0],), {"terms": added}
    return meat, tuple(factors), {"terms": added}
