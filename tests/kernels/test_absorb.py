"""Kernels of the absorption against their NumPy twins, and without compilation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gifepanel.kernels import absorb
from gifepanel.projections import plain_passes


@pytest.fixture(params=[absorb, plain_passes], ids=["compiled", "plain"])
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


@pytest.mark.parametrize("weighted", [False, True])
def test_sweep_over_rows(kernels: Any, weighted: bool) -> None:
    """Terms and means taken out, sums and squares of what is left, in one pass and in two."""
    rng = np.random.default_rng(0)
    starts = np.array([0, 3, 4, 9])
    level, codes = np.repeat(np.arange(3), np.diff(starts)), rng.integers(0, 4, (1, 9)).astype(np.int32)
    weights = rng.uniform(0.5, 2, 9) if weighted else np.empty(0)
    w = weights if weighted else np.ones(9)
    data, unknown = rng.normal(size=(9, 2)) + 1e6, rng.normal(size=(4, 2))
    less = data - unknown[codes[0]]
    expected = less - (np.stack([np.bincount(level, w * c) for c in less.T], 1) / np.bincount(level, w)[:, None])[level]
    sums = np.zeros((5, 2))
    for first, last in ((0, 1), (1, 3)):
        kernels.sweep_rows(data, weights, codes, np.empty((0, 0)), starts, first, last, unknown, True, sums)
    assert_allclose(data, expected, atol=1e-9)
    assert_allclose(sums[:4], np.stack([np.bincount(codes[0], w * c, minlength=4) for c in expected.T], 1), atol=1e-9)
    assert_allclose(sums[4], (w[:, None] * expected**2).sum(0), rtol=1e-9)


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


def test_without_compilation() -> None:
    """Every kernel as plain Python gives what the compiled one does."""
    code = (
        "import json\nimport numpy as np\n"
        "from gifepanel.projections.absorb import Absorption\n"
        "from gifepanel.kernels.absorb import drop_singletons\n"
        "from gifepanel.projections import system\n"
        "from gifepanel.projections.system import Effect\n"
        "system._SMALL = 0\n"
        "rng = np.random.default_rng(0)\n"
        "a, b, z = rng.integers(0, 6, 60), rng.integers(0, 4, 60), rng.normal(size=60)\n"
        "effects = (Effect('a', a, 6), Effect('b', b, 4), Effect('b[z]', b, 4, z))\n"
        "absorption = Absorption(effects, rng.uniform(1, 2, 60))\n"
        "y = rng.normal(size=(60, 2))\n"
        "out = absorption.residualize(y)[0]\n"
        "keep = np.ones(60, dtype=bool)\n"
        "n = drop_singletons(np.stack([a, b]).astype(np.int32), np.array([6, 4]), keep)\n"
        "print(json.dumps([*out.sum(0), float((out**2).sum()), float(absorption.leverage().sum()), n]))\n"
    )
    outputs = []
    for disabled in ("0", "1"):
        env = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        outputs.append(json.loads(done.stdout))
    assert_allclose(outputs[0], outputs[1], atol=1e-12)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 8])
def test_products_with_the_reduced_matrix(kernels: Any, m: int) -> None:
    """S = B'M_A B, its diagonal and that of B'B, on levels that repeat within a base level; against dense matrices."""
    rng = np.random.default_rng(m)
    base = np.sort(rng.integers(0, 12, 70))
    base[-1] = 12  # alone
    starts = np.searchsorted(base, np.arange(14))
    codes = np.stack([rng.integers(0, 5, 70), 5 + rng.integers(0, 3, 70)]).astype(np.int32)
    dummies = np.eye(8)[codes[0]] + np.eye(8)[codes[1]]
    left = (
        dummies
        - np.array([dummies[base == a].mean(axis=0) if (base == a).any() else np.zeros(8) for a in range(13)])[base]
    )
    unknown, nothing = rng.normal(size=(8, m)), np.empty(0)
    out = np.zeros((8, m))
    for first, last in ((0, 6), (6, 13)):
        kernels.schur_rows(codes, np.empty((0, 0)), nothing, starts, first, last, unknown, out)
    assert_allclose(out, left.T @ left @ unknown, atol=1e-12)
    lengths = np.zeros((8, 2))
    kernels.reduced_lengths(codes, np.empty((0, 0)), nothing, starts, 0, 13, lengths)
    assert_allclose(lengths[:, 0], np.diag(dummies.T @ dummies), atol=1e-12)
    assert_allclose(lengths[:, 0] - lengths[:, 1], np.diag(left.T @ left), atol=1e-12)
