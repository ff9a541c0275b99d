"""Banded factors of chains and rings, against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from gifepanel.projections import banded, reduced
from gifepanel.projections.banded import Band


def laplacian(edges: list[tuple[int, int]], size: int, seed: int = 0, lift: float = 1e-3):
    """Of a graph with random weights, nodes in random order."""
    rng = np.random.default_rng(seed)
    place, weights = rng.permutation(size), rng.uniform(0.5, 2.0, len(edges))
    a, b = (place[[edge[k] for edge in edges]] for k in (0, 1))
    across = sparse.coo_matrix((np.r_[weights, weights], (np.r_[a, b], np.r_[b, a])), (size, size))
    degrees = np.asarray(across.sum(axis=1)).ravel()
    return (sparse.diags((1 + lift) * degrees) - across).tocsc()


def path(first: int, last: int) -> list[tuple[int, int]]:
    return [(k, k + 1) for k in range(first, last - 1)]


GRAPHS = {
    "path": path(0, 40),
    "ring": [*path(0, 40), (39, 0)],
    "two rings and a path": [*path(0, 15), (14, 0), *path(15, 30), (29, 15), *path(30, 40)],
    "ladder": [*path(0, 20), *path(20, 40), *((k, 20 + k) for k in range(20))],
}


@pytest.mark.parametrize("many", [0, 1_000], ids=["compiled", "by LAPACK"])
@pytest.mark.parametrize("name", GRAPHS)
def test_factors_of_chains_are_those_of_dense_matrices(name, many, monkeypatch):
    monkeypatch.setattr(banded, "_MANY", many)
    matrix, right = laplacian(GRAPHS[name], 40), np.random.default_rng(1).standard_normal((40, 3))
    band = Band.of(matrix)
    assert band.width <= 4
    solve = band.factor(matrix)
    assert solve is not None
    assert_allclose(solve(right), np.linalg.solve(matrix.toarray(), right), rtol=1e-9, atol=1e-9)
    assert_allclose(right, np.random.default_rng(1).standard_normal((40, 3)), rtol=0, atol=0)


def test_a_star_has_no_band():
    assert Band.of(laplacian([(0, k) for k in range(1, 60)], 60)).width > 20


def test_what_is_not_positive_definite_has_no_factor():
    matrix = laplacian(GRAPHS["ring"], 40, lift=-1e-3)
    assert Band.of(matrix).factor(matrix) is None


def test_a_star_is_factorised_all_the_same():
    matrix = laplacian([(0, k) for k in range(1, 60)], 60, lift=0.0)
    right = np.random.default_rng(1).standard_normal((60, 2))
    right -= right.mean(axis=0)
    found = reduced._factor(reduced._lifted(matrix, matrix.diagonal()))(right)
    assert_allclose(matrix @ found, right, atol=1e-8)
