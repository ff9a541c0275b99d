"""Least squares with interactive fixed effects in plain NumPy: slow, simple, independent of the package.

Alternating least squares in the projected form: given b, factors and loadings are the leading singular
vectors of y - x b; given those, b moves by the regression of M_L (y - x b) M_F on M_L x M_F, halved until
the sum of squares falls. Several starts, the best kept, polished until the gradient of the concentrated
sum of squares is 1e-12 of the scale of the problem or no longer falls.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import gifepanel


@dataclass(frozen=True)
class IFEFit:
    """Estimate with factors scaled to F'F/T = I; y and x as they were fitted (effects taken out)."""

    beta: np.ndarray
    factors: np.ndarray
    loadings: np.ndarray
    resid: np.ndarray
    ssr: float
    gradient: float
    y: np.ndarray
    x: np.ndarray


def cigar_panel(*names: str) -> list[np.ndarray]:
    """Columns of the packaged Cigar panel as 46 x 30 arrays (states x years 1963-92)."""
    path = Path(gifepanel.__path__[0]) / "datasets" / "data" / "cigar.csv"
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    lookup = {name.lower(): name for name in rows[0]}
    table = np.array([[float(r[lookup[n.lower()]]) for n in ("State", "Year", *names)] for r in rows])
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    return [table[:, 2 + j].reshape(46, 30) for j in range(len(names))]


def cigar_growth() -> tuple[np.ndarray, np.ndarray]:
    """Growth rates: D log Sales on D log(Price/CPI) and D log(NDI/CPI), 46 x 29."""
    sales, price, ndi, cpi = cigar_panel("Sales", "Price", "NDI", "CPI")
    growth = [np.diff(np.log(v), axis=1) for v in (sales, price / cpi, ndi / cpi)]
    return growth[0], np.stack(growth[1:], axis=2)


def demean(v: np.ndarray, entity: bool, time: bool) -> np.ndarray:
    """Take additive effects out of (N, T) or (N, T, q)."""
    if entity:
        v = v - v.mean(axis=1, keepdims=True)
    if time:
        v = v - v.mean(axis=0, keepdims=True)
    return v


def dense_annihilator(columns: np.ndarray) -> np.ndarray:
    """I - C (C'C)^+ C' in full."""
    return np.eye(columns.shape[0]) - columns @ np.linalg.pinv(columns)


def _principal(r: np.ndarray, n_factors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    u, s, vt = np.linalg.svd(r, full_matrices=False)
    t = r.shape[1]
    f = vt[:n_factors].T * np.sqrt(t)
    lam = u[:, :n_factors] * s[:n_factors] / np.sqrt(t)
    return f, lam, r - lam @ f.T


def _step(x: np.ndarray, f: np.ndarray, lam: np.ndarray, e: np.ndarray) -> tuple[np.ndarray, float]:
    mf, ml = dense_annihilator(f), dense_annihilator(lam)
    z = np.einsum("ij,jtq,ts->isq", ml, x, mf, optimize=True).reshape(-1, x.shape[2])
    score = z.T @ e.ravel()
    return np.linalg.solve(z.T @ z, score), float(np.abs(score).max())


def fit_ife(
    y: np.ndarray,
    x: np.ndarray,
    n_factors: int,
    *,
    entity: bool = False,
    time: bool = False,
    n_starts: int = 8,
    seed: int = 0,
) -> IFEFit:
    """Fit y = x b + lambda'f (+ additive effects) + e by least squares."""
    y, x = demean(y, entity, time), demean(x, entity, time)
    q = x.shape[2]
    pooled = np.linalg.lstsq(x.reshape(-1, q), y.ravel(), rcond=None)[0]
    rng = np.random.default_rng(seed)
    starts = [pooled, np.zeros(q)]
    while len(starts) < n_starts:
        starts.append(pooled + rng.normal(size=q) * (np.abs(pooled) + 0.1))
    best: IFEFit | None = None
    for start in starts[: max(1, n_starts)]:
        fit = _descend(y, x, n_factors, start)
        if best is None or fit.ssr < best.ssr:
            best = fit
    assert best is not None
    return best


def _descend(y: np.ndarray, x: np.ndarray, n_factors: int, beta: np.ndarray, max_iter: int = 2000) -> IFEFit:
    f, lam, e = _principal(y - x @ beta, n_factors)
    ssr, gradient = float(np.vdot(e, e)), np.inf
    for _ in range(max_iter):
        step, gradient = _step(x, f, lam, e)
        if gradient <= 1e-13 * np.sqrt(np.vdot(y, y) * np.vdot(x, x)):
            break
        size, moved = 1.0, False
        while size > 1e-4:
            trial = _principal(y - x @ (beta + size * step), n_factors)
            trial_ssr = float(np.vdot(trial[2], trial[2]))
            if trial_ssr <= ssr * (1 + 1e-15):
                beta, (f, lam, e), moved = beta + size * step, trial, True
                ssr = trial_ssr
                break
            size /= 2
        if not moved or np.abs(size * step).max() < 1e-15 * (1 + np.abs(beta).max()):
            break
    return IFEFit(beta, f, lam, e, ssr, gradient, y, x)
