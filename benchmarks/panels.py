"""Panels of any size for timing: groups of slopes, factors, regressors that load on them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["formula_and_frame", "slopes", "timing_panel"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def slopes(k: int, p: int) -> Array:
    """Centres (K, p) .6 apart in every regressor, rising in the odd and falling in the even ones, about 1."""
    steps = 0.6 * (np.arange(k) - (k - 1) / 2)
    signs = np.where(np.arange(p) % 2 == 0, 1.0, -1.0)
    return np.asarray(1.0 + steps[:, None] * signs)


def timing_panel(n: int, t: int, p: int = 2, k: int = 3, r: int = 2, seed: int = 0) -> tuple[Array, Array]:
    """y (N, T) and x (N, T, p): the equations of design S with any number of regressors, groups and factors."""
    rng = np.random.default_rng(np.random.SeedSequence(11, spawn_key=(n, t, p, k, r, seed)))
    loadings = rng.normal(0.5, 1.0, (n, r))
    factors = rng.standard_normal((t, r))
    common = loadings @ factors.T
    shift = 0.5 * common + 0.25 * loadings.sum(axis=1)[:, None] + 0.25 * factors.sum(axis=1)
    x = rng.standard_normal((n, t, p))
    x += shift[:, :, None]
    beta = slopes(k, p)[np.arange(n) % k]
    y = np.einsum("itj,ij->it", x, beta) + common + rng.standard_normal((n, t))
    return y, x


def formula_and_frame(y: Array, x: Array) -> tuple[str, Any]:
    """The panel as a data frame indexed by entity and time, and its formula."""
    import pandas as pd

    n, t, p = x.shape
    index = pd.MultiIndex.from_product([np.arange(n), np.arange(t)], names=["entity", "time"])
    columns = {"y": y.ravel(), **{f"x{j + 1}": x[:, :, j].ravel() for j in range(p)}}
    return "y ~ 0 + " + " + ".join(list(columns)[1:]), pd.DataFrame(columns, index=index)
