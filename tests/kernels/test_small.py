"""Small dense linear algebra against LAPACK."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.kernels.small import (
    cholesky_in_place,
    cholesky_solve_in_place,
    eigh_batch,
    solve_batch,
    solve_semidefinite,
)

SIZES = range(1, 7)


def rotation(rng: np.random.Generator, p: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((p, p)))[0]


def spectra(rng: np.random.Generator, p: int) -> list[np.ndarray]:
    """Positive, mixed, repeated, singular, zero, of one rank, spread over many powers of ten."""
    one = np.zeros(p)
    one[0] = 3.0
    return [
        rng.uniform(0.5, 2.0, p),
        rng.standard_normal(p),
        np.full(p, 2.0),
        np.repeat([1.0, 4.0], [p // 2, p - p // 2]),
        np.where(np.arange(p) < p // 2, 0.0, 1.0),
        np.zeros(p),
        one,
        10.0 ** np.linspace(-9, 6, p),
        np.linspace(1.0, 2.0, p) * 1e-200,
        np.linspace(1.0, 2.0, p) * 1e200,
    ]


@pytest.mark.parametrize("p", SIZES)
def test_eigenvalues_and_vectors(p):
    rng = np.random.default_rng(p)
    matrices = []
    for values in spectra(rng, p):
        basis = rotation(rng, p)
        full = (basis * values) @ basis.T
        matrices.append(0.5 * (full + full.T))
    stack = np.array(matrices)
    before = stack.copy()
    values, vectors = eigh_batch(stack)
    np.testing.assert_array_equal(stack, before)
    for a, w, v in zip(stack, values, vectors, strict=True):
        expected = np.linalg.eigvalsh(a)
        scale = np.abs(expected).max() + np.finfo(float).tiny
        np.testing.assert_allclose(np.sort(w), expected, rtol=0, atol=1e-14 * p * scale)
        np.testing.assert_allclose(v.T @ v, np.eye(p), atol=1e-14 * p)
        np.testing.assert_allclose((v * w) @ v.T / scale, a / scale, rtol=0, atol=1e-14 * p)


@pytest.mark.parametrize("p", SIZES)
def test_small_eigenvalues_of_badly_scaled_matrices_keep_their_digits(p):
    """A graded matrix D A D: Jacobi finds every eigenvalue to full relative accuracy (Demmel & Veselic 1992)."""
    rng = np.random.default_rng(10 + p)
    mixed = rng.standard_normal((p, 3 * p))
    well = mixed @ mixed.T / (3 * p)
    scale = 10.0 ** np.linspace(0, -12, p)
    values, _ = eigh_batch((well * scale * scale[:, None])[None])
    # the inverse is graded the other way round, so that its largest eigenvalue is our smallest
    inverse = np.linalg.inv(well) / scale / scale[:, None]
    assert values.min() == pytest.approx(1.0 / np.linalg.eigvalsh(inverse).max(), rel=1e-10)


@pytest.mark.parametrize("p", SIZES)
def test_cholesky_solves(p):
    rng = np.random.default_rng(20 + p)
    for scale in (np.ones(p), 10.0 ** np.linspace(-8, 8, p)):
        root = rng.standard_normal((p, p + 3)) * scale[:, None]
        a = root @ root.T
        x = rng.standard_normal(p) / scale
        factor, b = a.copy(), a @ x
        assert cholesky_in_place(factor)
        np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(a), rtol=1e-10)
        cholesky_solve_in_place(factor, b)
        np.testing.assert_allclose(b * scale, x * scale, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("p", SIZES)
def test_cholesky_refuses_what_is_not_positive_definite(p):
    rng = np.random.default_rng(30 + p)
    basis = rotation(rng, p)
    indefinite = (basis * np.where(np.arange(p) == 0, -0.5, 1.0)) @ basis.T
    assert not cholesky_in_place(indefinite)
    assert not cholesky_in_place(np.zeros((p, p)))
    assert not cholesky_in_place(np.full((p, p), np.nan))
    if p > 1:
        assert not cholesky_in_place(np.ones((p, p)))


def test_batch_marks_singular_systems_and_leaves_the_others_alone():
    rng = np.random.default_rng(0)
    n, p = 6, 3
    roots = rng.standard_normal((n, p, 8))
    a = roots @ roots.transpose(0, 2, 1)
    x = rng.standard_normal((n, p))
    rhs = np.einsum("npq,nq->np", a, x)
    a[1] = 0.0
    a[3, 2] = a[3, :, 2] = 0.0
    collinear = rng.standard_normal((2, 30))
    collinear = np.vstack([collinear, collinear.sum(axis=0)])
    a[4] = collinear @ collinear.T
    fallback = rng.standard_normal((n, p))
    before = a.copy(), rhs.copy()
    got, singular = solve_batch(a, rhs, fallback)
    assert singular.tolist() == [False, True, False, True, True, False]
    np.testing.assert_array_equal(got[singular], fallback[singular])
    np.testing.assert_allclose(got[~singular], x[~singular], rtol=1e-10)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(rhs, before[1])


def test_collinearity_up_to_rounding_counts_as_singular():
    """The third column is the sum of the others in any units: no solution of rounding noise."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        x = rng.standard_normal((3, 25))
        x[2] = x[:2].sum(axis=0)
        x *= 10.0 ** rng.uniform(-4, 4, (3, 1))
        _, singular = solve_batch((x @ x.T)[None], (x @ rng.standard_normal(25))[None], np.zeros((1, 3)))
        assert singular[0]


@pytest.mark.parametrize("rank", [0, 1, 3, 4])
def test_semidefinite_systems_have_solutions_of_least_norm(rank):
    """Against LAPACK; only the lower triangle is read, and the matrix is left alone."""
    rng = np.random.default_rng(rank)
    x = rng.standard_normal((rank, 4)) if rank else np.zeros((1, 4))
    a, b = x.T @ x, x.T @ rng.standard_normal(len(x))
    lower, got = np.where(np.tri(4) > 0, a, np.nan), b.copy()
    solve_semidefinite(lower, got)
    np.testing.assert_allclose(got, np.linalg.lstsq(a, b, rcond=1e-12)[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(lower, np.where(np.tri(4) > 0, a, np.nan))
