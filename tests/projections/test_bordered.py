"""The reduced system as a matrix, from rows: against the dense formula."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gifepanel.projections import bordered, reduced, row_blocks, system
from gifepanel.projections.absorb import Absorption
from gifepanel.projections.system import Effect, EffectSystem

LEVELS = (60, 25, 4)


def effects(nested: bool = False) -> list[Effect]:
    rng = np.random.default_rng(3)
    base = np.concatenate([np.arange(60), rng.integers(0, 60, 240)])
    others = [np.concatenate([np.arange(levels), rng.integers(0, levels, 300 - levels)]) for levels in LEVELS[1:]]
    codes = [base, *others, base % 12] if nested else [base, *others]
    return [Effect(f"e{g}", own.astype(np.int32), int(own.max()) + 1) for g, own in enumerate(codes)]


def dense(own: EffectSystem) -> np.ndarray:
    b = np.zeros((own.n, own.size))
    for codes in own.codes:
        b[np.arange(own.n), codes] = 1.0
    w = np.ones(own.n) if not own.weights.size else own.weights
    a = np.repeat(np.eye(len(own.starts) - 1), np.diff(own.starts), axis=0)
    left = b - a @ np.linalg.pinv(a.T * w @ a) @ (a.T * w @ b)
    return b.T * w @ left


@pytest.mark.parametrize("weights", ["none", "zeros"])
@pytest.mark.parametrize("border", [4, 3, 30])
def test_from_rows_is_the_dense_formula(monkeypatch: pytest.MonkeyPatch, border: int, weights: str) -> None:
    """With a border, without one, and with nothing but one; whatever the threads."""
    w = None if weights == "none" else np.where(np.arange(300) % 7 == 0, 0.0, np.arange(300) % 5 + 0.5)
    monkeypatch.setattr(bordered, "_BORDER", border)
    monkeypatch.setattr(bordered, "_MANY", 0)
    monkeypatch.setattr(row_blocks, "_SERIAL", 10)
    own = EffectSystem.build(effects(), w)
    expected = dense(own)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(row_blocks, "n_threads", lambda threads=threads: threads)
        monkeypatch.setattr(bordered, "n_threads", lambda threads=threads: threads)
        s = bordered.from_rows(own.codes, own.offsets, own.weights, own.starts, own._bounds)
        found.append(s @ np.eye(own.size))
        assert_allclose(s.diagonal(), np.diag(expected), atol=1e-12)
    assert_allclose(found[0], expected, atol=1e-12)
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])
    few = bordered.of_few_levels(own.codes, own.weights, own.starts, own._bounds, own.size)
    assert_allclose(few, expected, atol=1e-12)
    taken_apart = bordered.BorderedMatrix.of(own.schur(), own.offsets)
    assert_allclose(taken_apart @ np.eye(own.size), expected, atol=1e-12)


def test_nested_effects_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the system, not of the answer nor of the degrees of freedom."""
    columns = np.random.default_rng(0).normal(size=(300, 2))
    plain = Absorption(effects()).residualize(columns)[0]
    for dense_up_to in (1_000, 30, 5):
        monkeypatch.setattr("gifepanel.projections.absorb.DENSE", dense_up_to)
        monkeypatch.setattr(reduced, "DENSE", dense_up_to)
        absorption = Absorption(effects(nested=True))
        left, certificate = absorption.residualize(columns)
        assert certificate.converged
        assert_allclose(left, plain, atol=1e-9)
    assert absorption.system.nested == (False, False, True)
    _, own = absorption.system.without_nested()
    assert own is not None
    assert len(own) == 29
    assert absorption.degrees.total >= Absorption(effects()).degrees.total


def test_large_systems_go_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_LARGE", 0)
    monkeypatch.setattr(system, "_SMALL", 0)
    own = EffectSystem.build(effects())
    assert own._by_rows
    assert_allclose(own.schur_dense(), dense(own), atol=1e-12)
    assert_allclose(own.bordered() @ np.eye(own.size), dense(own), atol=1e-12)
