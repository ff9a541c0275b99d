"""Sums over pairs of periods against dense matrices over the calendar, with gaps, weights and groups."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.kernels.lags import attenuation, lagged_sums, projected_lagged_sums, window_sums

N, T, GROUPS = 9, 12, np.array([0, 1, 1, 0, 2, 0, 1, 1, 0])


def cells(seed: int, rank: int, share: float = 0.75) -> dict[str, np.ndarray]:
    """Random cells with holes: pointers, periods, roots of weights, orthonormal bases, two columns."""
    rng = np.random.default_rng(seed)
    mask = rng.random((N, T)) < share
    mask[:, [0, 5]] = True
    mask[3, 1:] = False  # one period alone
    entity, t = map(np.ascontiguousarray, np.nonzero(mask))
    s = rng.uniform(0.5, 2.0, t.size)
    basis = np.zeros((t.size, rank))
    for i in range(N):
        rows = np.flatnonzero(entity == i)
        columns = rng.normal(size=(rows.size, rank)) if rank else np.zeros((rows.size, 0))
        kept = min(rank, rows.size)
        basis[rows, :kept] = np.linalg.qr(s[rows, None] * columns)[0][:, :kept]
    ptr = np.concatenate([[0], np.cumsum(np.bincount(entity, minlength=N))])
    columns = {"basis": np.ascontiguousarray(basis.T), "h": rng.normal(size=(2, t.size))}
    return {"ptr": ptr, "t": t, "s": s, "e": rng.normal(size=t.size), **columns}


def calendar(at: dict[str, np.ndarray], i: int, values: np.ndarray) -> np.ndarray:
    """Values of entity i over the calendar, zero where nothing was observed: (T,) or (T, k)."""
    rows = slice(at["ptr"][i], at["ptr"][i + 1])
    out = np.zeros((T, *values.shape[1:]))
    out[at["t"][rows]] = values[rows]
    return out


@pytest.mark.parametrize(("seed", "rank", "lags"), [(1, 2, 3), (2, 0, 2), (3, 1, T - 1), (4, 3, 5), (5, 2, 1)])
def test_pairs_of_periods(seed: int, rank: int, lags: int) -> None:
    at = cells(seed, rank)
    ptr, t, s, basis, e, h = (at[name] for name in ("ptr", "t", "s", "basis", "e", "h"))
    c, pi, pairs = attenuation(ptr, t, s, basis, GROUPS, 3, lags)
    omega = np.random.default_rng(seed).normal(size=(3, lags))
    found = lagged_sums(ptr, t, e, omega, GROUPS), projected_lagged_sums(ptr, t, e, basis, lags)
    windows = window_sums(ptr, t, e, h, lags)
    expected_c, expected_pi, expected_pairs = np.zeros_like(c), np.zeros_like(pi), np.zeros_like(pairs)
    for i, g in enumerate(GROUPS):
        weights, residuals = np.diag(calendar(at, i, s)), calendar(at, i, e)
        p = calendar(at, i, basis.T) @ calendar(at, i, basis.T).T
        seen = calendar(at, i, np.ones(t.size))
        annihilator = np.diag(seen) - p
        later, rows = np.zeros(T), slice(ptr[i], ptr[i + 1])
        projected, near = np.zeros(T), np.zeros((T, T))
        for lag in range(1, lags + 1):
            expected_pi[g, lag - 1] += np.trace(weights @ p @ weights, offset=lag)
            expected_pairs[g, lag - 1] += np.trace(np.outer(np.diag(weights), np.diag(weights)), offset=lag)
            for j in range(1, lags + 1):
                moved = annihilator @ weights @ np.eye(T, k=j) @ weights  # E[e z'] if gamma_j = 1 alone
                expected_c[g, lag - 1, j - 1] += np.trace(moved, offset=lag)
            later += omega[g, lag - 1] * np.eye(T, k=-lag) @ residuals
            projected += np.diag(np.diag(p, k=-lag), k=-lag) @ residuals
        near = np.abs(np.subtract.outer(np.arange(T), np.arange(T))) <= lags
        around = residuals[:, None] * (near @ (residuals[:, None] * calendar(at, i, h.T)))
        np.testing.assert_allclose(found[0][rows], later[t[rows]], atol=1e-13)
        np.testing.assert_allclose(found[1][rows], projected[t[rows]], atol=1e-13)
        np.testing.assert_allclose(windows.T[rows], around[t[rows]], atol=1e-13)
    np.testing.assert_allclose(c, expected_c, atol=1e-12)
    np.testing.assert_allclose(pi, expected_pi, atol=1e-12)
    np.testing.assert_allclose(pairs, expected_pairs, atol=1e-12)
