"""The number of factors by a sequential test at the edge of the spectrum of noise.

Noise has a largest eigenvalue too, and a larger one where errors remember. Whether the next principal component is one
of noise is asked of the noise itself: panels of it are simulated, with the memory that residuals show, and treated as
the residuals were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.solvers.arrays import Array
from gifepanel.solvers.edge_fit import EdgePanel, Weighted, quasi_difference, weighted_factors

__all__ = ["EdgeTest", "edge_test", "largest_share"]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
_LEVEL = 2.1  # standard deviations: the 97.5 % point of the Tracy-Widom law is so far above its mean
_DRAWS = 50
_PASSES, _SAME_MEMORY = 3, 0.05
_GRID = np.concatenate([np.linspace(-0.9, 0.9, 37), [0.92, 0.94, 0.96, 0.98]])
_UNITS_OF_MAP = 400
_BLOCK = 1 << 22


@dataclass(frozen=True)
class EdgeTest:
    """The test at increasing numbers of factors, up to the first that it does not reject.

    Attributes
    ----------
    share : ndarray, shape (m,)
        Share of the next principal component in what so many factors leave; NaN beyond the last number tested.
    edge : ndarray, shape (m,)
        What noise of the same memory hardly exceeds.
    memory : ndarray, shape (m,)
        Autocorrelation of the errors.
    n_factors : int
        The first number at which the share is not above the edge; the largest candidate where all are.
    accepted : bool
        Whether there is such a number.
    """

    share: Array
    edge: Array
    memory: Array
    n_factors: int
    accepted: bool


def edge_test(panel: EdgePanel, candidates: Sequence[int], residuals: Sequence[Array]) -> EdgeTest:
    """Test R factors against more, for increasing R, until there is nothing left but noise.

    Parameters
    ----------
    panel : EdgePanel
    candidates : sequence of int
        Increasing.
    residuals : sequence of ndarray, shape (N, T)
        Outcomes less what slopes of every entity, fitted with so many factors, and known series explain.

    Notes
    -----
    For every R: series are quasi-differenced by the autocorrelation of the errors, R factors and slopes of all entities
    fitted to them, entities weighted by their precision. The share of the first eigenvalue of the residuals, each
    entity's divided by its root mean square, is compared with that of simulated errors: first-order autoregressions
    with the memory of their entity, quasi-differenced and projected off regressors, factors and loadings in the same
    way. The edge is 2.1 standard deviations above their mean. It is a parametric relative of the tests of Onatski
    (2009) and Kapetanios (2010).

    Autocorrelations are those for which projected errors have the autocorrelation of the residuals; those of entities
    are drawn to the pooled one by as much as their spread is sampling error. The simulation has a seed of its own for
    each R and takes entities in an order that the data give.

    References
    ----------
    Kapetanios, G. (2010). A testing procedure for determining the number of factors in approximate factor models with
    large datasets. *Journal of Business & Economic Statistics* 28, 397-409.
    Onatski, A. (2009). Testing hypotheses about the number of factors in large factor models. *Econometrica* 77,
    1447-1479.
    """
    found = np.full((3, len(candidates)), np.nan)
    order = np.argsort(np.abs(panel.y).sum(axis=1), kind="stable")
    panel = panel.take(order)
    memory: float | None = None
    for j, (r, resid) in enumerate(zip(candidates, residuals, strict=True)):
        found[:, j] = _tested(panel, r, resid[order], memory)
        memory = float(found[2, j])
        if not found[0, j] > found[1, j]:
            return EdgeTest(found[0], found[1], found[2], int(r), True)
    return EdgeTest(found[0], found[1], found[2], int(candidates[-1]), False)


def _tested(panel: EdgePanel, n_factors: int, resid: Array, memory: float | None) -> tuple[float, float, float]:
    """Share, edge and memory at one number of factors, from the memory that fewer factors leave."""
    used, rho = 0.0, memory or 0.0
    for number in range(_PASSES):
        if number or memory is not None:
            used = rho if _worth(panel, rho, n_factors) else 0.0
        data, start = panel, resid
        if used:
            data = panel.differenced(used)
            start = quasi_difference(resid, used, data.observed)
        keep = np.flatnonzero(data.observed.sum(axis=1) > data.unit.shape[2] + n_factors + 1)
        if len(keep) < n_factors + 3:
            return np.nan, np.nan, rho
        data = data.take(keep)
        fit = weighted_factors(data, start[keep], n_factors)
        rho, by_unit = _memory(data, fit, used)
        if abs(rho - used) < _SAME_MEMORY or not _worth(panel, rho, n_factors):
            break
    noise = _noise_shares(data, fit, by_unit, used, n_factors)
    return largest_share(fit.resid[None], data.observed)[0], noise.mean() + _LEVEL * noise.std(ddof=1), rho


def _worth(panel: EdgePanel, rho: float, n_factors: int) -> bool:
    """Whether quasi-differences are worth their cells: memory leaves (1 - r^2)/(1 + r^2) of what cells say."""
    pairs = panel.observed[:, 1:] & panel.observed[:, :-1]
    room = np.median(pairs.sum(axis=1)) - panel.unit.shape[2] - n_factors
    return bool(room > 2 and pairs.sum() / panel.observed.sum() > (1.0 - rho**2) / (1.0 + rho**2))


def largest_share(resid: Array, observed: BoolArray) -> Array:
    """Share of the largest eigenvalue (B,) of residuals (B, N, T), series of entities brought to one mean square."""
    square = np.square(resid).sum(axis=2)
    factor = np.sqrt(observed.sum(axis=1) / np.where(square > 0, square, np.inf))
    z = resid * factor[..., None]
    n, t = observed.shape
    turned = np.swapaxes(z, 1, 2)
    gram = np.matmul(turned, z) if t <= n else np.matmul(z, turned)
    values = np.linalg.eigvalsh(gram)
    total = values.sum(axis=1)
    return np.asarray(values[:, -1] / np.where(total > 0, total, 1.0))


# ---- memory


def _memory(panel: EdgePanel, fit: Weighted, used: float) -> tuple[float, Array]:
    """The autocorrelation of the errors before quasi-differences: pooled, and of each entity (N,)."""
    e = fit.resid
    square = np.square(e).sum(axis=1)
    size = np.where(square > 0, square, 1.0) / np.maximum(panel.observed.sum(axis=1), 1)
    over = (e[:, 1:] * e[:, :-1]).sum(axis=1) / size
    under = square / size
    if not under.sum() > 0:
        return 0.0, np.zeros(len(e))
    of_noise = _map(panel, fit, used)
    pooled = over.sum() / under.sum()
    rho = float(np.interp(pooled, of_noise, _GRID))
    own = np.interp(over / np.where(under > 0, under, 1.0), of_noise, _GRID)
    steps = np.interp([pooled - 0.02, pooled + 0.02], of_noise, _GRID)
    pairs = (panel.observed[:, 1:] & panel.observed[:, :-1]).sum(axis=1).mean()
    sampling = (1.0 - pooled**2) / pairs * (np.diff(steps)[0] / 0.04) ** 2
    spread = float(own.var())
    weight = max(0.0, 1.0 - sampling / spread) if spread > 0 else 0.0
    return rho, np.clip(rho + weight * (own - rho), -0.95, 0.98)


def _map(panel: EdgePanel, fit: Weighted, used: float) -> Array:
    """What autocorrelation residuals show, for each of the grid of autocorrelations of errors.

    sum_i tr(M_i V M_i S)/sum_i tr(M_i V), with V the covariance of the quasi-differenced errors, M_i = D_i - Q_i Q_i'
    the projection of an entity's observed periods and S the symmetric shift by one period.
    """
    n, t = panel.observed.shape
    some = np.unique(np.linspace(0, n - 1, min(n, _UNITS_OF_MAP)).astype(np.int64))
    q, seen = fit.units[some], panel.observed[some]
    shift = (np.abs(np.subtract.outer(np.arange(t), np.arange(t))) == 1) / 2.0
    moved = np.zeros_like(q)
    moved[:, 1:] += q[:, :-1] / 2.0
    moved[:, :-1] += q[:, 1:] / 2.0
    moved *= seen[..., None]
    both = seen.T.astype(float) @ seen
    crossed = _summed(moved, q)
    inner = np.matmul(np.swapaxes(q, 1, 2), moved)
    over = shift * both - crossed - crossed.T + _summed(np.matmul(q, inner), q)
    under = np.diag(seen.sum(axis=0).astype(float)) - _summed(q, q)
    lag = np.abs(np.subtract.outer(np.arange(t), np.arange(t))).ravel()
    sums = np.stack([np.bincount(lag, matrix.ravel(), minlength=t) for matrix in (over, under)], axis=1)
    powers = _GRID[:, None] ** np.abs(np.arange(-1, t + 1)) / (1.0 - _GRID[:, None] ** 2)
    covariance = (1.0 + used**2) * powers[:, 1:-1] - used * (powers[:, :-2] + powers[:, 2:])
    ratio = covariance @ sums
    return np.maximum.accumulate(ratio[:, 0] / ratio[:, 1])


def _summed(a: Array, b: Array) -> Array:
    """sum_i a_i b_i' (T, T) of (N, T, k)."""
    t = a.shape[1]
    return np.asarray(np.swapaxes(a, 0, 1).reshape(t, -1) @ np.swapaxes(b, 0, 1).reshape(t, -1).T)


# ---- noise


def _noise_shares(panel: EdgePanel, fit: Weighted, memory: Array, used: float, n_factors: int) -> Array:
    """Shares of the largest eigenvalue of simulated errors, treated as the residuals were."""
    n, t = panel.observed.shape
    block = max(1, min(_DRAWS, _BLOCK // (n * t)))
    rng = np.random.default_rng([n_factors, 20_100])
    out = []
    for first in range(0, _DRAWS, block):
        e = _errors(rng, memory, used, n, t, min(block, _DRAWS - first))
        e *= panel.observed[..., None]
        e -= np.matmul(fit.units, np.matmul(np.swapaxes(fit.units, 1, 2), e))
        e = np.swapaxes(e, 0, 1)
        if fit.periods.shape[2]:
            e = e - np.matmul(fit.periods, np.matmul(np.swapaxes(fit.periods, 1, 2), e))
        out.append(largest_share(np.ascontiguousarray(e.transpose(2, 1, 0)), panel.observed))
    return np.concatenate(out)


def _errors(rng: np.random.Generator, memory: Array, used: float, n: int, t: int, draws: int) -> Array:
    """Stationary autoregressions of the entities (N, T, draws), quasi-differenced."""
    full = t + (used != 0.0)
    e = rng.standard_normal((n, full, draws))
    rho = memory[:, None]
    e[:, 0] /= np.sqrt(1.0 - rho**2)
    for s in range(1, full):
        e[:, s] += rho * e[:, s - 1]
    return e[:, 1:] - used * e[:, :-1] if used else e
