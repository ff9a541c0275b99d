"""Random unit problems for the convex and the product steps."""

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
