"""Effects and controls together against all of them as columns."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gifepanel.projections.composite import EffectsAndControls, spanned_columns
from tests.projections.effects import design


def basis_of(columns: np.ndarray, root: np.ndarray) -> np.ndarray:
    scaled = columns * root[:, None]
    length = np.linalg.norm(scaled, axis=0)
    u, s, _ = np.linalg.svd(scaled[:, length > 0] / length[length > 0], full_matrices=False)
    return u[:, s > 1e-8 * s[0]]


@pytest.mark.parametrize("weights", ["none", "positive"])
@pytest.mark.parametrize("kind", ["one", "three", "slope", "slopes alone", "nothing"])
@pytest.mark.parametrize("first", ["columns", "basis"])
def test_against_all_columns(kind: str, weights: str, first: str) -> None:
    data = design("three" if kind == "nothing" else kind, weights)
    effects = () if kind == "nothing" else data.effects
    rng = np.random.default_rng(2)
    z = rng.normal(size=(240, 2))
    spanned = data.dummies[:, 1] * 1e5
    controls = np.column_stack([np.ones(240), z, spanned, z @ [1.0, -3.0], 1e9 + z[:, 0] ** 2])
    every = np.hstack([*([data.dummies] if effects else []), controls - np.array([0, 0, 0, 0, 0, 1e9])])
    q = basis_of(every, data.root)
    projection = EffectsAndControls(effects, controls, data.weights)
    if first == "basis":
        assert projection.basis is not None
    got, certificate = projection.residualize(data.columns)
    scaled = data.columns * data.root[:, None]
    assert certificate.converged
    assert_allclose(got * data.root[:, None], scaled - q @ (q.T @ scaled), atol=2e-7)
    assert projection.degrees.total == q.shape[1] == sum(projection.degrees.by_block)
    assert_allclose(projection.leverage(), np.sum(q**2, axis=1), atol=1e-7)
    again = pickle.loads(pickle.dumps(projection))
    assert_allclose(again.residualize(data.columns)[0], got, atol=1e-12)


def test_nothing_at_all() -> None:
    data = design("one")
    projection = EffectsAndControls(())
    got, certificate = projection.residualize(data.columns)
    assert_allclose(got, data.columns)
    assert certificate.method == "none"
    assert projection.degrees.total == 0
    assert projection.leverage() == 0.0


def test_what_counts_as_spanned() -> None:
    """Little variation on a large constant is variation; the error of an iteration is none."""
    rng = np.random.default_rng(0)
    n = 300
    level = np.repeat(np.arange(30), 10)
    noise = rng.normal(size=n)
    columns = np.column_stack([1e10 + noise, level * 1e6, np.full(n, 7.0), np.zeros(n), level * 1e4 + 1e-2 * noise])

    def project(values: np.ndarray) -> np.ndarray:
        means = np.stack([np.bincount(level, weights=v) / 10 for v in values.T], axis=1)
        return values - means[level]

    rough = project(columns) + np.outer(level - level.mean(), [0, 1e-4, 0, 0, 1e-6])  # an iteration stopped early
    residuals, spanned = spanned_columns(columns, rough, project)
    assert spanned.tolist() == [False, True, True, True, False]
    assert_allclose(residuals[:, 4], project(columns)[:, 4], atol=1e-9)
