"""The penalty of Su & Ju (2018): a product of distances to the group centres, and its weight."""

from __future__ import annotations

import numpy as np

from gifepanel.blocks import UNITS, Node, block_sums
from gifepanel.kernels.product import total_penalty
from gifepanel.shares import sums_of
from gifepanel.solvers.arrays import Array

__all__ = ["mean_pairwise_distance", "product_penalty", "scale_free_kappa"]


def product_penalty(beta: Array, alpha: Array) -> float:
    """sum_i prod_k ||beta_i - alpha_k||."""
    return float(sums_of(_penalties, (beta,), alpha))


def _penalties(first: int, beta: Array, alpha: Array) -> list[Node]:
    return block_sums(lambda rows: float(total_penalty(beta[rows], alpha)), len(beta), UNITS, first)


def mean_pairwise_distance(alpha: Array) -> float:
    """Mean distance between different centres; 1 for a single one."""
    n_groups = alpha.shape[0]
    if n_groups == 1:
        return 1.0
    rows, cols = np.triu_indices(n_groups, 1)
    return float(np.linalg.norm(alpha[rows] - alpha[cols], axis=1).mean())


def scale_free_kappa(c: float, sigma: float, n_times: float, alpha: Array) -> float:
    """kappa = c sigma T^(-1/3) / d^(K-1), with d the mean distance between the starting centres.

    A unit fuses with its centre where ``||H_i d_i|| <= kappa w_i``; noise alone makes the left side of order sigma
    T^(-1/2) for regressors of unit variance, and w_i is of order d^(K-1), so `c` compares the two and does not change
    with the units of y or the number of groups. The rate T^(-1/3) is the one of Su, Shi & Phillips (2016, Section 4).
    """
    distance = mean_pairwise_distance(alpha)
    if distance <= 0.0:
        return 0.0
    return float(c * sigma * n_times ** (-1.0 / 3.0) / distance ** (alpha.shape[0] - 1))
