"""Blocks of rows on threads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gifepanel import parallel
from gifepanel.projections import row_blocks
from gifepanel.threads import n_threads


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(row_blocks, "_SERIAL", 10)
    monkeypatch.setattr(row_blocks, "n_threads", lambda: request.param)
    return int(request.param)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("kind", ["int64", "int8", "uint64"])
@pytest.mark.parametrize("gaps", [False, True])
def test_integers_are_coded_as_unique_codes_them(kind: str, gaps: bool) -> None:
    values = np.random.default_rng(0).integers(0, 40, 500) * (2 if gaps else 1)
    values = (values - (60 if kind != "uint64" else 0)).astype(kind)
    low, high = row_blocks.low_and_high(values)
    codes, steps = row_blocks.close_integers(values, low, high - low + 1)
    labels, expected = np.unique(values, return_inverse=True)
    assert_array_equal(codes, expected)
    assert_array_equal(steps + low, labels.astype(np.int64))
    assert row_blocks.alone(codes, len(labels)) == bool((np.bincount(codes) == 1).any())
    assert row_blocks.alone(np.append(codes, np.int32(len(labels))), len(labels) + 1)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("p", [1, 6])
@pytest.mark.parametrize("weighted", [False, True])
def test_columns_one_block_and_back(p: int, weighted: bool) -> None:
    rng = np.random.default_rng(p)
    y, x, order = rng.normal(size=300), rng.normal(size=(300, p)), rng.permutation(300)
    weights = rng.uniform(size=300) if weighted else None
    both, w = np.column_stack([y, x]), np.ones(300) if weights is None else weights
    lengths, means = row_blocks.lengths_and_means(y, x, weights)
    assert_allclose(lengths, np.sqrt(w @ both**2), rtol=1e-13)
    assert_allclose(means, both.mean(axis=0), rtol=1e-12, atol=1e-15)
    for own in (None, order):
        at = np.arange(300) if own is None else own
        work, norms = row_blocks.in_one_block(y, x, own, means, None if weights is None else weights[at])
        assert_array_equal(work, (both - means)[at])
        assert_allclose(norms, np.sqrt(w @ (both - means) ** 2), rtol=1e-12)
        left, right = row_blocks.in_two_blocks(work, own)
        assert_array_equal(np.column_stack([left, right]), both - means)
    assert_array_equal(row_blocks.taken([y, 1.0, x[:, 0] > 0], 300), np.column_stack([y, np.ones(300), x[:, 0] > 0]))
    assert row_blocks.all_finite(x)
    x[-1, -1] = np.nan
    assert not row_blocks.all_finite(x)


def test_tasks_of_which_there_are_many_get_one_thread() -> None:
    assert parallel.run_tasks(n_threads, [()])[0] == 1
    assert not parallel.in_a_task()


def test_count_is_that_of_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 7)
    monkeypatch.setattr("numba.np.ufunc.parallel._is_initialized", False)
    assert n_threads() == 7
