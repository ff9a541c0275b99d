"""The triangle of many rows, found block by block."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.models.base import _spans_ones
from gifepanel.projections import triangle


@pytest.mark.parametrize("constant", [False, True])
def test_blocks_of_rows_have_the_triangle_of_all(monkeypatch, constant):
    x = np.random.default_rng(0).normal(size=(101, 4)) @ np.diag([1.0, 1e6, 1e-6, 3.0])
    x[:, 3] = 1.0 if constant else x[:, 3]
    whole, _ = triangle.orthogonal_triangle(x)
    monkeypatch.setattr(triangle, "_ROWS", 20)
    blocks, spanned = triangle.orthogonal_triangle(x)
    assert spanned == {}
    np.testing.assert_allclose(blocks.factor, whole.factor, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(blocks.gram, x.T @ x, rtol=1e-9, atol=1e-9 * np.abs(x.T @ x).max())
    _, spanned = triangle.orthogonal_triangle(np.column_stack([x[:, :2], x[:, 0] + 1e-6 * x[:, 1]]))
    assert spanned == {2: [0, 1]}


def test_ones_in_the_span_of_regressors(monkeypatch):
    monkeypatch.setattr(triangle, "_ROWS", 20)
    d = np.eye(3)[np.random.default_rng(0).integers(0, 3, 101)]
    assert _spans_ones(d) and _spans_ones(d * [1.0, 1e5, -1e-5]) and _spans_ones(np.ones((5, 1)))
    assert not _spans_ones(d[:, :2]) and not _spans_ones(d[:, :1]) and not _spans_ones(np.empty((5, 0)))
