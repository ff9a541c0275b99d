"""Sums over pairs of periods: :mod:`gifepanel.kernels.lags`."""

from __future__ import annotations

import numpy as np

from gifepanel.kernels.plain.ordered import Array, BoolArray, IntArray, ordered_bins

__all__ = ["attenuation"]


def _places(ptr: IntArray, t: IntArray, lags: int) -> dict[int, IntArray]:
    """For steps -lags..lags, the cell of the same entity so many periods later (n,), -1 where there is none."""
    entity = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    width = int(t.max() - t.min()) + 1 + 2 * lags if len(t) else 1
    keys = entity * width + (t - t.min() if len(t) else t)
    out = {}
    for step in range(-lags, lags + 1):
        at = np.minimum(np.searchsorted(keys, keys + step), max(len(keys) - 1, 0))
        out[step] = np.where(keys[at] == keys + step, at, -1) if len(keys) else at
    return out


def attenuation(
    ptr: IntArray, t: IntArray, s: Array, basis: Array, groups: IntArray, n_groups: int, lags: int
) -> tuple[Array, Array, Array]:
    """What is left of covariances with later regressors in products with projected residuals."""
    c = np.zeros((n_groups, lags, lags))
    pi, pairs = np.zeros((n_groups, lags)), np.zeros((n_groups, lags))
    group = np.repeat(groups, np.diff(ptr))
    places = _places(ptr, t, lags)
    inner: dict[int, Array] = {}
    for step, u in places.items():
        p = np.zeros(len(t))
        for j in range(len(basis)):
            p += basis[j] * basis[j, u]
        inner[step] = p

    def total(values: Array, there: BoolArray) -> Array:
        """Sums by group of columns (n, m), in the order of cells and then of columns."""
        rows = np.repeat(group[there], values.shape[1])
        return ordered_bins(rows, values[there], n_groups)

    for lag in range(1, lags + 1):
        after = places[lag]
        there = after >= 0
        both = s * s[after]
        pairs[:, lag - 1] = total(both[:, None], there)
        pi[:, lag - 1] = total((both * inner[lag])[:, None], there)
        for back in range(1, lags + 1):
            u = places[lag - back]
            taken = np.where(there & (u >= 0), -(s[after] * (inner[lag - back] * s[u])), 0.0)
            values = np.stack([both, taken], axis=1) if lag == back else taken[:, None]
            c[:, lag - 1, back - 1] = total(values, there)
    return c, pi, pairs
