"""Plain least squares on the observed cells of a panel, by alternation: slow, and nothing of the package in it."""

from __future__ import annotations

import numpy as np


def demeaned_on_cells(y, entity, time, rounds=3000):
    """Residuals of additive effects, NaN in holes: means out by turns until nothing moves."""
    e = np.array(y, dtype=float)
    seen = ~np.isnan(e)
    e, w = np.where(seen, e, 0.0), seen.astype(float)
    for _ in range(rounds):
        before = e
        if entity:
            e = (e - (e.sum(axis=1) / w.sum(axis=1))[:, None]) * w
        if time:
            e = (e - e.sum(axis=0) / np.maximum(w.sum(axis=0), 1)) * w
        if np.abs(e - before).max() < 1e-13 * np.abs(e).max():
            break
    return np.where(seen, e, np.nan)


def als_on_cells(y, r, rounds=300, tol=1e-10):
    """Factors (T, r), loadings (N, r) and residuals, NaN in holes: each given the other, to a standstill."""
    seen = ~np.isnan(y)
    filled, w = np.where(seen, y, 0.0), seen.astype(float)
    n, t = y.shape
    if r == 0:
        return np.empty((t, 0)), np.empty((n, 0)), np.where(seen, y, np.nan)
    f = np.linalg.svd(filled, full_matrices=False)[2][:r].T * np.sqrt(t)
    last = np.inf
    for _ in range(rounds):
        lam = _each(filled, w, f)
        f = np.linalg.qr(_each(filled.T, w.T, lam))[0] * np.sqrt(t)
        lam = _each(filled, w, f)
        e = (filled - lam @ f.T) * w
        ssr = (e * e).sum()
        if last - ssr < tol * ssr:
            break
        last = ssr
    return f, lam, np.where(seen, e, np.nan)


def heterogeneous_on_cells(y, x, r, rounds=2000, tol=1e-11):
    """Slopes of every entity (N, p) beside common factors, with loadings and residuals, NaN in holes."""
    seen = ~np.isnan(y)
    filled, w, cube = np.where(seen, y, 0.0), seen.astype(float), np.where(seen[:, :, None], x, 0.0)
    p, t = x.shape[2], y.shape[1]
    f = np.linalg.svd(filled, full_matrices=False)[2][:r].T * np.sqrt(t)
    last = np.inf
    for _ in range(rounds):
        both = np.concatenate([cube, f[None] * w[:, :, None]], axis=2)
        own = np.linalg.solve(both.transpose(0, 2, 1) @ both, both.transpose(0, 2, 1) @ filled[:, :, None])[:, :, 0]
        b, lam = own[:, :p], own[:, p:]
        rest = filled - np.einsum("itp,ip->it", cube, b)
        e = (rest - lam @ f.T) * w
        ssr = (e * e).sum()
        if last - ssr < tol * ssr:
            break
        last, f = ssr, np.linalg.qr(_each(rest.T, w.T, lam))[0] * np.sqrt(t)
    return b, f, lam, np.where(seen, e, np.nan)


def _each(y, w, b):
    """Coefficients of every row of y on the columns of b over its observed cells."""
    r = b.shape[1]
    gram = (w @ (b[:, :, None] * b[:, None, :]).reshape(len(b), r * r)).reshape(-1, r, r)
    return np.linalg.solve(gram, ((y * w) @ b)[:, :, None])[:, :, 0]
