"""Random unit problems for the convex and the product steps; rows of absorbed effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Units:
    """Unit quadratics 1/2 b'H b - v'b with v = H free."""

    v: np.ndarray
    hmat: np.ndarray
    free: np.ndarray


def units(n: int, p: int, seed: int, *, singular: int = 0, spread: float = 1.0) -> Units:
    """Curvatures of random regressors over 12 periods; in the first `singular` units the last regressor is zero."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p, 12)) * rng.uniform(0.5, 2.0, (n, 1, 1))
    x[:singular, -1] = 0.0
    hmat = np.einsum("npt,nqt->npq", x, x) * 2.0 / 12
    free = spread * rng.standard_normal((n, p))
    return Units(np.einsum("npq,nq->np", hmat, free), hmat, free)


def repeated_levels(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two terms on 13 base levels, one of a single row: starts, codes, dummies (70, 8), and these less base means."""
    rng = np.random.default_rng(seed)
    base = np.sort(rng.integers(0, 12, 70))
    base[-1] = 12  # alone
    codes = np.stack([rng.integers(0, 5, 70), 5 + rng.integers(0, 3, 70)]).astype(np.int32)
    dummies = np.eye(8)[codes[0]] + np.eye(8)[codes[1]]
    means = [dummies[base == a].mean(axis=0) if (base == a).any() else np.zeros(8) for a in range(13)]
    return np.searchsorted(base, np.arange(14)), codes, dummies, dummies - np.array(means)[base]
