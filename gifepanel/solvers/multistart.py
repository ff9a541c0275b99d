"""Varied starts for least squares with factors, whose objective has local minima on real panels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gifepanel.shares import collected
from gifepanel.solvers.arrays import Array, PanelArrays
from gifepanel.solvers.heterogeneous import heterogeneous_slopes
from gifepanel.solvers.interactive import SlopeMap, fit_interactive

__all__ = ["interactive_starts"]


def interactive_starts(
    data: PanelArrays,
    slopes: SlopeMap,
    n_factors: int,
    n_starts: int,
    rng: np.random.Generator,
    first: Array | None = None,
    unit_slopes: Array | None = None,
) -> Iterator[tuple[str, Array]]:
    """Named starts theta (q,): zero, pooled, heterogeneous, random.

    Parameters
    ----------
    data : PanelArrays
    slopes : SlopeMap
    n_factors : int
    n_starts : int
        How many, besides `first`; one is enough without factors, where there is one minimum.
    rng : Generator
    first : ndarray, shape (q,), optional
        A start of one's own.
    unit_slopes : ndarray, shape (N, p), optional
        Slopes of the units under the factors, where they are known already.

    Notes
    -----
    "pooled" is least squares without factors, "heterogeneous" averages unit slopes under the factors by group, and a
    random start is pooled plus a draw that changes the fitted values by about the size of the pooled residuals, times
    1/2, 1, 2 or 4.
    """
    if first is not None:
        yield "given", first
    if n_factors == 0:
        yield "pooled", np.zeros(slopes.size)
        return
    pooled = fit_interactive(data, slopes, 0, np.zeros(slopes.size))
    named = [("pooled", pooled.theta), ("zero", np.zeros(slopes.size))]
    if n_starts > 2:
        beta = collected(heterogeneous_slopes(data, n_factors).beta) if unit_slopes is None else unit_slopes
        named.append(("heterogeneous", _group_means(slopes, beta)))
    yield from named[:n_starts]
    spread = _spread(data, slopes, pooled.ssr)
    for number in range(n_starts - len(named)):
        draw = rng.standard_normal(slopes.size)
        yield f"random {number + 1}", pooled.theta + 2.0 ** (number % 4 - 1) * (spread @ draw)


def _group_means(slopes: SlopeMap, beta: Array) -> Array:
    """Medians of unit slopes over the units of each parameter: a mean that ill-determined units can't carry away."""
    theta = np.zeros(slopes.size)
    for position in range(slopes.size):
        groups, columns = np.nonzero(slopes.slots == position)
        wanted = np.zeros(len(slopes.slots), dtype=bool)
        wanted[groups] = True
        theta[position] = np.median(beta[wanted[slopes.groups], columns[0]])
    return theta


def _spread(data: PanelArrays, slopes: SlopeMap, ssr: float) -> Array:
    """S with S S' = (ssr / q) (Z'Z)^-1."""
    q = slopes.size
    gram = np.zeros((q, q))
    for k, slot in enumerate(slopes.slots):
        np.add.at(gram, (slot[:, None], slot[None, :]), data.xx[slopes.groups == k].sum(axis=0))
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-12 * values[-1]
    return np.asarray(vectors[:, keep] / np.sqrt(values[keep]) @ vectors[:, keep].T * np.sqrt(ssr / q))
