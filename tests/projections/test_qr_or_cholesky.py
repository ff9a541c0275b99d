"""The triangle of many rows, found block by block or from cross-products."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gifepanel.models.base import _spans_ones
from gifepanel.projections import qr_or_cholesky
from gifepanel.projections.least_squares import least_squares
from gifepanel.projections.triangle import orthogonal_triangle


@pytest.mark.parametrize("constant", [False, True])
def test_blocks_of_rows_have_the_triangle_of_all(monkeypatch, constant):
    x = np.random.default_rng(0).normal(size=(101, 4)) @ np.diag([1.0, 1e6, 1e-6, 3.0])
    x[:, 3] = 1.0 if constant else x[:, 3]
    whole, _ = orthogonal_triangle(x)
    monkeypatch.setattr(qr_or_cholesky, "_ROWS", 20)
    blocks, spanned = orthogonal_triangle(x)
    assert spanned == {}
    np.testing.assert_allclose(blocks.factor, whole.factor, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(blocks.gram, x.T @ x, rtol=1e-9, atol=1e-9 * np.abs(x.T @ x).max())
    _, spanned = orthogonal_triangle(np.column_stack([x[:, :2], x[:, 0] + 1e-6 * x[:, 1]]))
    assert spanned == {2: [0, 1]}


def test_ones_in_the_span_of_regressors(monkeypatch):
    monkeypatch.setattr(qr_or_cholesky, "_ROWS", 20)
    d = np.eye(3)[np.random.default_rng(0).integers(0, 3, 101)]
    assert _spans_ones(d) and _spans_ones(d * [1.0, 1e5, -1e-5]) and _spans_ones(np.ones((5, 1)))
    assert not _spans_ones(d[:, :2]) and not _spans_ones(d[:, :1]) and not _spans_ones(np.empty((5, 0)))


@pytest.mark.parametrize("near", [1.0, 1e-3, 1e-6, 0.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_triangle_of_products_is_that_of_rows(monkeypatch: pytest.MonkeyPatch, near: float, weighted: bool) -> None:
    """Same ranks, same coefficients: once where columns are apart, twice where they are near, not at all beyond."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5)) * [1.0, 1e6, 1e-6, 1.0, 1.0]
    x[:, 4] = x[:, 0] + near * x[:, 4]
    y, root = x @ [1.0, 1e-6, 1e6, 1.0, 1.0] + rng.normal(size=400), rng.uniform(0.5, 2, 400) if weighted else None
    expected = least_squares(x, y, root)
    monkeypatch.setattr(qr_or_cholesky, "_MANY", 0)
    monkeypatch.setattr(qr_or_cholesky, "_BLOCK", 128)
    by_rows = []
    kept = qr_or_cholesky._triangle_of_rows
    monkeypatch.setattr(qr_or_cholesky, "_triangle_of_rows", lambda *given: by_rows.append(1) or kept(*given))
    found = least_squares(x, y, root)
    assert bool(by_rows) == (near < 1e-4)
    assert found.spanned == expected.spanned
    assert_allclose(found.params, expected.params, rtol=1e-10 / max(near, 1e-3))
    assert_allclose(found.triangle.inverse, expected.triangle.inverse, rtol=1e-10)
