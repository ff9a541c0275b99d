"""The kernels of the solvers give the same numbers as plain Python, under NUMBA_DISABLE_JIT=1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gifepanel.kernels import joint, kmeans, lags, passes, product, small
from tests.kernels.problems import units
from tests.kernels.test_lags import GROUPS, cells

ROOT = Path(__file__).parents[2]


def _small() -> dict[str, np.ndarray]:
    problem = units(6, 3, seed=1, singular=2)
    factor, b = problem.hmat[4].copy(), problem.v[4].copy()
    assert small.cholesky_in_place(factor)
    small.cholesky_solve_in_place(factor, b)
    work, eigenvalues, vectors = problem.hmat[5].copy(), np.empty(3), np.empty((3, 3))
    small.jacobi_eigh(work, eigenvalues, vectors)
    values, basis = small.eigh_batch(problem.hmat)
    solutions, singular = small.solve_batch(problem.hmat, problem.v, problem.free)
    return {
        "cholesky_in_place": np.tril(factor),
        "cholesky_solve_in_place": b,
        "jacobi_eigh": np.vstack([eigenvalues, vectors]),
        "eigh_batch": np.concatenate([values[:, None], basis], axis=1),
        "solve_batch": np.column_stack([solutions, singular]),
    }


def _passes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    y, xt, f = rng.standard_normal((5, 8)), rng.standard_normal((5, 2, 8)), np.linalg.qr(rng.random((8, 8)))[0][:, :2]
    f *= np.sqrt(8)
    xx, xy, yy = passes.cross_moments(y, xt)
    a, c, s, out = np.empty_like(xx), np.empty_like(xy), np.empty_like(yy), np.empty_like(y)
    passes.deflate(xx, xy, yy, xt @ f, y @ f, 8, a, c, s)
    passes.residual_pass(y, xt, xy, out)
    return {
        "cross_moments": np.column_stack([xx.reshape(5, 4), xy, yy]),
        "deflate": np.column_stack([a.reshape(5, 4), c, s]),
        "residual_pass": out,
        "gradient_pass": passes.gradient_pass(xt, y),
        "group_sums": passes.group_sums(y, np.array([1, 0, 1, 1, 0]), 2),
        "unit_ssr": passes.unit_ssr(a, c, s, rng.standard_normal((3, 2))),
    }


def _kmeans() -> dict[str, np.ndarray]:
    points = np.random.default_rng(3).standard_normal((30, 2))
    centers, labels = np.empty((3, 2)), np.empty(30, dtype=np.int64)
    kmeans.plus_plus(points, np.array([0.1, 0.5, 0.9]), centers)
    seeds = centers.copy()
    inertia = kmeans.lloyd(points, centers, labels, 20)
    return {"plus_plus": seeds, "lloyd": np.concatenate([centers.ravel(), labels, [inertia]])}


def _joint() -> dict[str, np.ndarray]:
    problem = units(10, 3, seed=4)
    values, vectors = small.eigh_batch(problem.hmat)
    c, a = np.random.default_rng(5).uniform(0.0, 6.0, 10), np.array([0.1, -0.2, 0.3])
    c[0] = 0.0
    grad, hess = np.empty(3), np.empty((3, 3))
    value, fused = joint.joint_profile(problem.v, problem.hmat, values, vectors, c, a, grad, hess)
    beta, at = np.empty((10, 3)), np.empty(10, dtype=np.bool_)
    joint.joint_slopes(problem.v, problem.hmat, values, vectors, problem.free, c, a, beta, at)
    return {
        "joint_profile": np.concatenate([[value, fused], grad, hess.ravel()]),
        "joint_slopes": np.column_stack([beta, at]),
        "secular_root": np.array([joint.secular_root(a, np.array([1.0, 2.0, 5.0]), 0.05)]),
    }


def _product() -> dict[str, np.ndarray]:
    problem = units(12, 2, seed=6)
    alpha = np.random.default_rng(7).standard_normal((3, 2))
    beta, at, weights = problem.free.copy(), np.full(12, -1), np.empty((12, 3))
    total = product.solve_units(problem.v, problem.hmat, 1.0, alpha, problem.free, beta, at, True)
    product.product_weights(problem.free, alpha, weights)
    grad, hess, left, right = np.empty(6), np.empty((6, 6)), np.empty((2, 6)), np.empty((6, 2))
    worst = product.profile_derivatives(problem.v, problem.hmat, 1.0, alpha, beta, at, grad, hess, left, right)
    assert worst < 1e-6
    b, between = problem.free[0].copy(), np.linalg.norm(alpha[:, None] - alpha[None], axis=2)
    space = (np.empty((3, 2)), np.empty(3), np.empty(2), np.empty((2, 2)), np.empty(2))
    value, smooth = product.smooth_minimum(problem.v[0], problem.hmat[0], 1.0, alpha, between, b, *space, 1e-12)
    return {
        "solve_units": np.append(np.column_stack([beta, at]), total),
        "product_weights": weights,
        "profile_derivatives": np.vstack([grad, hess]),
        "smooth_minimum": np.concatenate([[value, smooth], b]),
    }


def _lags() -> dict[str, np.ndarray]:
    at = cells(8, 2)
    ptr, t, s, basis, e = (at[name] for name in ("ptr", "t", "s", "basis", "e"))
    c, pi, pairs = lags.attenuation(ptr, t, s, basis, GROUPS, 3, 4)
    return {
        "attenuation": np.concatenate([c.ravel(), pi.ravel(), pairs.ravel()]),
        "lagged_sums": lags.lagged_sums(ptr, t, e, pi, GROUPS),
        "projected_lagged_sums": lags.projected_lagged_sums(ptr, t, e, basis, 3),
        "window_sums": lags.window_sums(ptr, t, e, at["h"], 2),
    }


def outputs() -> dict[str, np.ndarray]:
    """Something from every public kernel."""
    return _small() | _passes() | _kmeans() | _joint() | _product() | _lags()


def interpreted(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_public_kernel_is_covered():
    assert {name for module in (joint, kmeans, lags, passes, product, small) for name in module.__all__} == set(
        outputs()
    )


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="interpreted already")
def test_same_numbers_interpreted(tmp_path):
    target = tmp_path / "outputs.npz"
    program = (
        "import sys, numpy as np\n"
        "from tests.kernels.test_without_jit import outputs\n"
        "from gifepanel.kernels.small import eigh_batch\n"
        "assert not hasattr(eigh_batch, 'py_func'), 'still compiled'\n"
        "np.savez(sys.argv[1], **outputs())\n"
    )
    interpreted("-c", program, str(target))
    compiled = outputs()
    with np.load(target) as plain:
        assert set(plain.files) == set(compiled)
        for name, values in compiled.items():
            np.testing.assert_allclose(plain[name], values, rtol=1e-9, atol=1e-10, err_msg=name)


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="interpreted already")
def test_kernel_tests_hold_interpreted():
    names = ("test_small", "test_passes", "test_kmeans", "test_joint", "test_product", "test_lags")
    interpreted("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *(f"tests/kernels/{n}.py" for n in names))
