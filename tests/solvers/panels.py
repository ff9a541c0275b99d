"""Simulated panels and dense definitions the solver tests compare with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.grouped import GroupedFit, GroupedOptions, fit_grouped

SLOPES = np.array([(0.4, 1.6), (1.0, 1.0), (1.6, 0.4), (2.2, -0.4), (-0.6, 2.6), (0.2, -0.8)])


@dataclass(frozen=True)
class Panel:
    """y (N, T), x (N, T, p) and the truth."""

    y: np.ndarray
    x: np.ndarray
    groups: np.ndarray
    alpha: np.ndarray


def grouped_panel(
    n: int = 40,
    t: int = 20,
    k: int = 3,
    r: int = 2,
    p: int = 2,
    seed: int = 0,
    noise: float = 1.0,
    entity: float = 0.0,
    time: float = 0.0,
) -> Panel:
    """Slopes by group, regressors that load on the factors, additive effects of the sizes given."""
    rng = np.random.default_rng(seed)
    groups = np.sort(np.arange(n) % k)
    alpha = np.hstack([SLOPES, SLOPES[::-1]])[:k, :p]
    loadings, factors = rng.normal(0.5, 1.0, (n, r)), rng.standard_normal((t, r))
    common = loadings @ factors.T
    a = entity * rng.standard_normal((n, 1))
    d = time * rng.standard_normal(t)
    x = rng.standard_normal((n, t, p)) + 0.5 * common[:, :, None] + 0.5 * (a + d)[:, :, None]
    y = np.einsum("ntp,np->nt", x, alpha[groups]) + common + a + d + noise * rng.standard_normal((n, t))
    return Panel(y, x, groups, alpha)


def matched(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of units in the right group under the best labelling."""
    from scipy.optimize import linear_sum_assignment

    k = int(max(found.max(), truth.max())) + 1
    table = np.zeros((k, k))
    np.add.at(table, (found, truth), 1)
    rows, cols = linear_sum_assignment(-table)
    return float(table[rows, cols].sum() / len(found))


def annihilator(columns: np.ndarray) -> np.ndarray:
    """I - C C^+ in full."""
    return np.eye(columns.shape[0]) - columns @ np.linalg.pinv(columns)


def raw_criterion(y, x, n_factors, kappa, beta, alpha, *, entity=False, time=False) -> float:
    """Q(beta, alpha) of Su & Ju (2018, eq. 2.7): eigenvalues of the residual second moment, product of norms."""
    n, t = y.shape
    resid = y - np.einsum("ntp,np->nt", x, beta)
    if entity:
        resid = resid - resid.mean(axis=1, keepdims=True)
    if time:
        resid = resid - resid.mean(axis=0)
    moment = sum(np.outer(row, row) for row in resid) / n
    first = np.sort(np.linalg.eigvalsh(moment))[: t - n_factors].sum() / t
    distances = np.linalg.norm(beta[:, None, :] - alpha[None], axis=2)
    return float(first + kappa / n * distances.prod(axis=1).sum())


def slopes_of(fit: GroupedFit) -> np.ndarray:
    """(K, p) in the units of the data."""
    done = fit.classification
    return done.fit.theta[done.slopes.slots] / fit.scale


def fitted(panel, k, r, options: GroupedOptions | None = None, **effects) -> GroupedFit:
    return fit_grouped(prepare(panel.y, panel.x, standardize=True, **effects), k, r, options)
