"""Controls by pivoted QR against least squares."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gifepanel.projections.controls import Controls


def problem(weights: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(60, 3))
    z = np.column_stack([np.ones(60), z, z[:, 0] - 2 * z[:, 1], np.zeros(60), 1e9 * rng.normal(size=60)])
    w = {"none": None, "positive": rng.uniform(0.1, 2, 60), "zeros": np.where(np.arange(60) < 9, 0.0, 1.5)}[weights]
    return z, rng.normal(size=(60, 2)) + z[:, 1:3], w


@pytest.mark.parametrize("weights", ["none", "positive", "zeros"])
def test_against_least_squares(weights: str) -> None:
    z, y, w = problem(weights)
    root = np.ones(60) if w is None else np.sqrt(w)
    controls = Controls.from_columns(z, w)
    length = np.where(np.linalg.norm(z, axis=0) > 0, np.linalg.norm(z, axis=0), 1.0)
    expected = (
        y * root[:, None]
        - (z / length * root[:, None]) @ np.linalg.lstsq(z / length * root[:, None], y * root[:, None], rcond=1e-10)[0]
    )
    got, certificate = controls.residualize(y)
    assert_allclose(got * root[:, None], expected, atol=1e-12)
    assert certificate.converged
    assert certificate.residual < 1e-14
    assert controls.degrees.total == 5 == len(controls.kept)
    assert controls.degrees.exact
    assert 5 in controls.aliased
    assert len(set(controls.aliased) & {1, 2, 4}) == 1
    fitted = z @ controls.coefficients(y)
    assert_allclose((y - fitted) * root[:, None], expected, atol=1e-9)
    assert_allclose(controls.coefficients(y)[list(controls.aliased)], 0)
    q = np.linalg.svd(z / length * root[:, None], full_matrices=False)
    assert_allclose(controls.leverage(), np.sum(q[0][:, q[1] > 1e-9] ** 2, axis=1), atol=1e-12)


@pytest.mark.parametrize("factor", [1e-6, 1e9])
def test_scale_does_not_matter(factor: float) -> None:
    z, y, _ = problem("none")
    plain = Controls.from_columns(z).residualize(y)[0]
    assert_allclose(Controls.from_columns(z * factor).residualize(y * factor)[0] / factor, plain, atol=1e-12)


def test_no_columns() -> None:
    y = np.arange(6.0).reshape(3, 2)
    controls = Controls.from_columns(np.empty((3, 0)))
    assert_allclose(controls.residualize(y)[0], y)
    assert controls.degrees.total == 0


def test_pickle() -> None:
    z, y, w = problem("positive")
    controls = Controls.from_columns(z, w)
    assert_allclose(pickle.loads(pickle.dumps(controls)).residualize(y)[0], controls.residualize(y)[0])
