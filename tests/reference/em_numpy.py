"""Expectation-maximisation for two-way and interactive effects of a panel with holes, in plain NumPy.

What R's fect does with ``method="ife"`` (Gobillon & Magnac 2016): holes are filled with the fitted values, effects and
factors of the filled panel are taken anew, and so on. Slow, but every step lowers the sum of squares.
"""

from __future__ import annotations

import numpy as np

__all__ = ["fill_by_em"]


def two_way(panel: np.ndarray) -> np.ndarray:
    """Row and column means, the grand mean once."""
    return panel.mean(axis=1, keepdims=True) + panel.mean(axis=0, keepdims=True) - panel.mean()


def fill_by_em(y: np.ndarray, observed: np.ndarray, n_factors: int, n_iter: int) -> np.ndarray:
    """Fitted values (N, T) after so many rounds, from two-way effects of the observed cells."""
    fitted = np.zeros(y.shape)
    for _ in range(2000):
        new = two_way(np.where(observed, y, fitted))
        if np.abs(new - fitted).max() < 1e-12:
            break
        fitted = new
    for _ in range(n_iter):
        filled = np.where(observed, y, fitted)
        effects = two_way(filled)
        u, s, v = np.linalg.svd(filled - effects, full_matrices=False)
        fitted = effects + (u[:, :n_factors] * s[:n_factors]) @ v[:n_factors]
    return fitted
