"""Clusters: codes, intersections, sums and cross-products within them, and the effects they contain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.space import FloatArray
from gifepanel.projections.absorb import Absorption
from gifepanel.projections.system import Effect

__all__ = ["ClusterWay", "cluster_terms", "cluster_ways", "nested_dimensions", "nested_effects"]

IntArray = npt.NDArray[np.int64]

_BLOCK = 1 << 19  # elements of a temporary: 4 MB of float64
_LOOP = 12  # from this many columns on, one matrix product per cluster beats sums of outer products


@dataclass(frozen=True, eq=False)
class ClusterWay:
    """One way of clustering n rows.

    Attributes
    ----------
    codes : ndarray of int64, shape (n,)
        0..n_groups-1, every code occurring.
    n_groups : int
        G.
    """

    codes: IntArray
    n_groups: int

    @cached_property
    def order(self) -> IntArray:
        """Rows sorted by cluster, stable."""
        return np.argsort(self.codes, kind="stable")

    @cached_property
    def starts(self) -> IntArray:
        """First sorted row of each cluster and the end, shape (G + 1,)."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.codes, minlength=self.n_groups))]).astype(np.int64)

    def sums(self, columns: FloatArray) -> FloatArray:
        """Sums of columns (n,) or (n, m) within clusters: (G,) or (G, m)."""
        if columns.ndim == 1:
            return np.asarray(np.bincount(self.codes, weights=columns, minlength=self.n_groups), dtype=np.float64)
        out = np.empty((self.n_groups, columns.shape[1]))
        for j in range(columns.shape[1]):
            out[:, j] = np.bincount(self.codes, weights=columns[:, j], minlength=self.n_groups)
        return out

    def products(self, columns: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
        """Z_g'Z_g of columns (n, q), a block of clusters at a time: (slice of clusters, (b, q, q))."""
        starts, q = self.starts, columns.shape[1]
        step = max(1, _BLOCK // (q * q))
        rows_at_once = max(1, _BLOCK // (q * q))
        first = 0
        while first < self.n_groups:
            last = min(first + step, self.n_groups)
            if q <= _LOOP:  # the rows' outer products are formed: bound them too
                fits = int(np.searchsorted(starts, starts[first] + rows_at_once, side="right")) - 1
                last = min(last, max(first + 1, fits))
            yield slice(first, last), self._block(columns, first, last)
            first = last

    def _block(self, columns: FloatArray, first: int, last: int) -> FloatArray:
        starts = self.starts
        rows = columns[self.order[starts[first] : starts[last]]]
        offsets = starts[first : last + 1] - starts[first]
        if columns.shape[1] <= _LOOP and last - first > 1:
            outer = rows[:, :, None] * rows[:, None, :]
            return np.add.reduceat(outer, offsets[:-1], axis=0)
        return np.stack([rows[a:b].T @ rows[a:b] for a, b in pairwise(offsets)])


def cluster_ways(clusters: Sequence[npt.ArrayLike], n_rows: int) -> tuple[ClusterWay, ...]:
    """Check cluster codes and number the clusters 0..G-1.

    Parameters
    ----------
    clusters : sequence of array_like of int, each shape (n,)
        One array of codes per way; a negative code stands for a missing value.
    n_rows : int
        n.

    Returns
    -------
    tuple of ClusterWay

    Raises
    ------
    DataError
        If a shape is wrong, codes aren't integers, or some are missing.
    SpecificationError
        If there is no way at all, or a way has one cluster only.
    """
    if len(clusters) == 0:
        raise SpecificationError("The list of cluster variables is empty.", "One is needed.", "Pass clusters=[codes].")
    return tuple(_one_way(np.asarray(given), way, n_rows) for way, given in enumerate(clusters, start=1))


def _one_way(codes: npt.NDArray[Any], way: int, n_rows: int) -> ClusterWay:
    if codes.shape != (n_rows,) or codes.dtype.kind not in "iu":
        raise DataError(
            f"Cluster codes number {way} have shape {codes.shape} and type {codes.dtype}.",
            f"Integers of shape ({n_rows},) are needed.",
            "Pass clusters as a list with one array of codes per way.",
        )
    missing = int((codes < 0).sum())
    if missing:
        raise DataError(
            f"Cluster variable number {way} is missing in {missing} rows.",
            "Every row needs a cluster.",
            "Drop these rows, or give them a cluster.",
        )
    codes = codes.astype(np.int64)
    top = int(codes.max(initial=-1)) + 1
    seen = np.bincount(codes, minlength=top) > 0 if top <= 4 * n_rows + 1024 else None
    if seen is None:
        codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
        n_groups = int(codes.max()) + 1
    else:
        n_groups = int(seen.sum())
        if n_groups < top:
            codes = (np.cumsum(seen) - 1)[codes]
    if n_groups < 2:
        raise SpecificationError(
            f"Cluster variable number {way} has {n_groups} value.",
            "A clustered covariance needs at least two clusters.",
            "Cluster by another variable.",
        )
    return ClusterWay(codes, n_groups)


def cluster_terms(ways: Sequence[ClusterWay]) -> list[tuple[int, ClusterWay]]:
    """Terms of a multi-way covariance: odd intersections added, even ones taken off (Cameron, Gelbach & Miller 2011).

    Parameters
    ----------
    ways : sequence of ClusterWay

    Returns
    -------
    list of (sign, ClusterWay)
        2^W - 1 terms for W ways.
    """
    terms = []
    for size in range(1, len(ways) + 1):
        for subset in combinations(ways, size):
            joint = subset[0]
            for other in subset[1:]:
                pairs = joint.codes * other.n_groups + other.codes
                codes = np.unique(pairs, return_inverse=True)[1].astype(np.int64)
                joint = ClusterWay(codes, int(codes.max()) + 1)
            terms.append(((-1) ** (size + 1), joint))
    return terms


def nested_effects(effects: Sequence[Effect], ways: Sequence[ClusterWay]) -> npt.NDArray[np.bool_]:
    """Which effects lie within clusters: every level occurs in one cluster only.

    Parameters
    ----------
    effects : sequence of Effect
        E absorbed effects; slopes of levels nested in clusters are nested as well.
    ways : sequence of ClusterWay
        W ways.

    Returns
    -------
    ndarray of bool, shape (E, W)
    """
    out = np.zeros((len(effects), len(ways)), dtype=bool)
    for e, effect in enumerate(effects):
        codes = np.asarray(effect.codes)
        for w, way in enumerate(ways):
            if way.n_groups <= effect.n_levels:
                home = np.empty(effect.n_levels, dtype=np.int64)
                home[codes] = way.codes
                out[e, w] = bool((home[codes] == way.codes).all())
    return out


def nested_dimensions(
    effects: Sequence[Effect], ways: Sequence[ClusterWay], total: int, *, weights: FloatArray | None = None
) -> int:
    """Dimensions that effects nested in any way of clustering take beyond a constant.

    rank(all effects) - rank(constant and the effects that are not nested): the difference K - K' of fixest and reghdfe.

    Parameters
    ----------
    effects : sequence of Effect
    ways : sequence of ClusterWay
    total : int
        Rank of all effects together.
    weights : ndarray, shape (n,), optional

    Returns
    -------
    int
        0 where no effect is nested.
    """
    inside = np.asarray(nested_effects(effects, ways).any(axis=1))
    if not inside.any():
        return 0
    outside = [effect for effect, nested in zip(effects, inside.tolist(), strict=True) if not nested]
    if all(effect.values is not None for effect in outside):  # slopes alone, or nothing: they need the constant
        constant = Effect("constant", np.zeros(len(ways[0].codes), dtype=np.int64), 1)
        outside = [constant, *outside]
    return max(0, total - Absorption(outside, weights).degrees.total)
