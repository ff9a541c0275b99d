"""The reduced system against its definition with dense dummies."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gifepanel.projections import row_blocks
from gifepanel.projections import system as module
from gifepanel.projections.pcg import PcgState, pcg
from gifepanel.projections.system import EffectSystem
from tests.projections.effects import KINDS, design

pytestmark = pytest.mark.usefixtures("both_passes")


def dense(kind: str, weights: str) -> tuple[EffectSystem, np.ndarray, np.ndarray, np.ndarray]:
    """The system; W, M_A and B in the order of its rows."""
    data = design(kind, weights)
    system = EffectSystem.build(data.effects, data.weights)
    order = np.arange(240) if system.order is None else system.order
    w = np.diag((np.ones(240) if data.weights is None else data.weights)[order])
    blocks = [
        np.eye(e.n_levels)[e.codes[order]] * (1.0 if e.values is None else e.values[order][:, None])
        for e in data.effects
    ]
    b = np.hstack([np.empty((240, 0)), *(blocks[g] for g in system.others)])
    m = np.eye(240)
    if system.base >= 0:
        a = blocks[system.base]
        m -= a @ np.linalg.pinv(a.T @ w @ a) @ a.T @ w
    return system, w, m, b


@pytest.mark.parametrize("weights", ["none", "positive", "zeros"])
@pytest.mark.parametrize("kind", KINDS)
def test_definitions(monkeypatch: pytest.MonkeyPatch, kind: str, weights: str) -> None:
    system, w, m, b = dense(kind, weights)
    s = b.T @ w @ m @ b
    size = np.abs(b.T @ w @ b).max(initial=1.0)
    rng = np.random.default_rng(0)
    unknown, columns = rng.normal(size=(system.size, 2)), rng.normal(size=(240, 2))
    assert_allclose(system.lengths, np.diag(b.T @ w @ b), rtol=1e-12)
    assert_allclose(system.diagonal, np.diag(s), atol=1e-12 * size)
    assert_allclose(system.apply(unknown), s @ unknown, atol=1e-11 * size)
    assert_allclose(system.sums(columns), b.T @ w @ columns, atol=1e-12 * size)
    if system.size:
        assert_allclose(system.schur().toarray(), s, atol=1e-12 * size)
        assert_allclose(system.schur_dense(), s, atol=1e-12 * size)
        monkeypatch.setattr(module, "_BLOCK", 100)
        assert_allclose(system.schur_dense(), s, atol=1e-12 * size)
    less = columns.copy()
    system.subtract(less, unknown)
    assert_allclose(less, columns - b @ unknown, rtol=1e-12, atol=1e-12)
    weightless = np.diag(w) == 0  # the projection leaves rows of levels without weight open
    for taken in (None, unknown):
        swept, expected = columns.copy(), m @ (columns if taken is None else less)
        sums, squares = system.sweep(swept, taken)
        assert_allclose(swept[~weightless], expected[~weightless], atol=1e-11 * size)
        assert_allclose(sums, b.T @ w @ swept, atol=1e-12 * size)
        assert_allclose(squares, np.diag(swept.T @ w @ swept), rtol=1e-12)


@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("kind", KINDS)
def test_passes_in_chunks(monkeypatch: pytest.MonkeyPatch, kind: str, weights: str) -> None:
    """S applied, its diagonal and the sweep are the same when the rows are cut."""
    monkeypatch.setattr(row_blocks, "_SERIAL", 0)
    system, w, m, b = dense(kind, weights)
    s = b.T @ w @ m @ b
    size = np.abs(b.T @ w @ b).max(initial=1.0)
    for width in (2, 3):
        unknown = np.random.default_rng(0).normal(size=(system.size, width))
        assert_allclose(system.apply(unknown), s @ unknown, atol=1e-11 * size)
        columns = np.random.default_rng(1).normal(size=(240, width))
        once = system.sweep(columns)[0]
        assert_allclose(once, b.T @ w @ columns, atol=1e-12 * size)
    assert_allclose(system.diagonal, np.diag(s), atol=1e-12 * size)


@pytest.mark.parametrize("kind", ["two", "slopes alone"])
def test_sort_and_back(kind: str) -> None:
    data = design(kind)
    system = EffectSystem.build(data.effects)
    before = data.columns.copy()
    work = system.sort(data.columns)
    assert_array_equal(system.unsort(work.copy()), data.columns)
    work += 1
    assert_array_equal(data.columns, before)


def test_conjugate_gradients_continue_where_they_stopped() -> None:
    """Singular S, right-hand side in its range; a restart from a state reaches the same answer."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(20, 12))
    s = root @ root.T
    right = s @ rng.normal(size=(20, 3))
    scale = np.linalg.norm(right, axis=0)

    def norm(r: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(r, axis=0) / scale)

    start = PcgState(np.zeros_like(right), right, 0, norm(right))
    arguments = (s.__matmul__, lambda r: r / np.diag(s)[:, None], norm)
    some = pcg(*arguments, start, tol=1e-12, max_iter=5)
    done = pcg(*arguments, some, tol=1e-12, max_iter=200)
    assert some.iterations == 5
    assert 0 < some.rate < 1
    assert_allclose(s @ done.x, right, atol=1e-10 * scale.max())
    assert_array_equal(start.x, 0)
    zero = pcg(*arguments, PcgState(np.zeros((20, 1)), np.zeros((20, 1)), 0, np.zeros(1)), tol=0.0, max_iter=9)
    assert_array_equal(zero.x, 0)
