"""Passes over the levels of effects against their NumPy twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gifepanel.kernels import effect_levels
from gifepanel.projections import plain_passes
from tests.kernels.problems import repeated_levels


@pytest.fixture(params=[effect_levels, plain_passes], ids=["compiled", "plain"])
def kernels(request: pytest.FixtureRequest) -> Any:
    """The compiled passes, and those in NumPy."""
    return request.param


def test_recursive_singletons(kernels: Any) -> None:
    """A chain: dropping one row makes the next one single; against repeated counting."""
    a = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3])
    b = np.array([0, 1, 1, 2, 2, 3, 4, 4, 5])
    keep = np.ones(9, dtype=bool)
    dropped = kernels.drop_singletons(np.stack([a, b]).astype(np.int32), np.array([4, 6]), keep)
    assert keep.tolist() == [False] * 6 + [True, True, False]
    assert dropped == 7


@pytest.mark.parametrize("seed", range(6))
def test_singletons_against_repeated_counting(kernels: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 40, (3, 90)).astype(np.int32)
    keep = rng.random(90) < 0.9
    frame, alive = pd.DataFrame(codes.T), keep.copy()
    while True:
        counts = [frame[g][alive].map(frame[g][alive].value_counts()) for g in range(3)]
        alone = np.any([count == 1 for count in counts], axis=0)
        if not alone.any():
            break
        alive[np.flatnonzero(alive)[alone]] = False
    before = keep.sum()
    dropped = kernels.drop_singletons(codes, np.array([40, 40, 40]), keep)
    assert_array_equal(keep, alive)
    assert dropped == before - alive.sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_merged_levels_against_scipy(kernels: Any, seed: int, weighted: bool) -> None:
    """Levels of one effect less connected components of its graph with the other."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rng = np.random.default_rng(seed)
    left, right = np.sort(rng.integers(0, 50, 60 + 20 * seed)), rng.integers(0, 40, 60 + 20 * seed)
    starts = np.searchsorted(left, np.arange(51))
    weights = rng.integers(0, 2, left.size).astype(float) if weighted else np.empty(0)
    used = weights > 0 if weighted else np.ones(left.size, dtype=bool)
    graph = coo_matrix((np.ones(used.sum()), (left[used], 50 + right[used])), shape=(90, 90))
    _, labels = connected_components(graph, directed=False)
    seen = np.unique(right[used])
    expected = len(seen) - len(np.unique(labels[50 + seen]))
    assert kernels.merged_levels(right, starts, weights, 40) == expected


def test_counting_order(kernels: Any) -> None:
    codes = np.array([2, 0, 2, 1, 0])
    order, starts = np.empty(5, dtype=np.int64), np.empty(4, dtype=np.int64)
    kernels.counting_order(codes, 3, order, starts)
    assert_array_equal(order, np.argsort(codes, kind="stable"))
    assert_array_equal(starts, [0, 2, 3, 5])


def test_sampled_degree(kernels: Any) -> None:
    """Levels met by a sampled one, itself among them."""
    base = np.array([0, 0, 1, 1, 1, 2])
    codes = np.array([[0, 1, 1, 2, 3, 3]], dtype=np.int32)
    starts = np.searchsorted(base, np.arange(4))
    assert kernels.sampled_degree(codes, starts, 3, 4, np.array([0])) == 2
    assert kernels.sampled_degree(codes, starts, 3, 4, np.array([1])) == 4
    assert kernels.sampled_degree(codes, starts, 3, 4, np.array([0, 1, 3])) == pytest.approx((2 + 4 + 3) / 3)
    assert kernels.sampled_degree(codes, starts, 2, 4, np.array([0, 1, 3])) == pytest.approx((2 + 4 + 3) / 3)
    assert kernels.sampled_degree(codes, starts, 1, 4, np.array([0, 1, 3])) == pytest.approx((2 + 2 + 0) / 3)


def test_lengths_and_what_the_base_takes_of_them(kernels: Any) -> None:
    """The diagonals of B'B and of S, on levels that repeat within a base level; against dense matrices."""
    starts, codes, dummies, left = repeated_levels(1)
    lengths = np.zeros((8, 2))
    kernels.reduced_lengths(codes, np.empty((0, 0)), np.empty(0), starts, 0, 13, lengths)
    assert_allclose(lengths[:, 0], np.diag(dummies.T @ dummies), atol=1e-12)
    assert_allclose(lengths[:, 0] - lengths[:, 1], np.diag(left.T @ left), atol=1e-12)
