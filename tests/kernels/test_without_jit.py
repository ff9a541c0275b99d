"""The kernels of the solvers give the same numbers as plain Python, under NUMBA_DISABLE_JIT=1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gifepanel.kernels import cell_newton, columns, joint, kmeans, lags, passes, product, regroup_cells, small
from gifepanel.kernels import cells as on_cells
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
    least = problem.v[5].copy()
    small.solve_semidefinite(np.outer(least, least), least)
    return {
        "cholesky_in_place": np.tril(factor),
        "cholesky_solve_in_place": b,
        "jacobi_eigh": np.vstack([eigenvalues, vectors]),
        "eigh_batch": np.concatenate([values[:, None], basis], axis=1),
        "solve_semidefinite": least,
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
        "unit_loss": np.array([passes.unit_loss(a, c, s, i, xy[0]) for i in range(5)]),
        "unit_ssr": passes.unit_ssr(a, c, s, rng.standard_normal((3, 2))),
    }


def _kmeans() -> dict[str, np.ndarray]:
    points = np.random.default_rng(3).standard_normal((30, 2))
    centers, labels = np.empty((3, 2)), np.empty(30, dtype=np.int64)
    kmeans.plus_plus(points, np.array([0.1, 0.5, 0.9]), centers)
    seeds = centers.copy()
    inertia = kmeans.lloyd(points, centers, labels, 20)
    problem = units(10, 3, seed=4)
    of_units, alpha = np.arange(10) % 2, np.empty((2, 3))
    ssr = kmeans.lloyd_of_slopes(problem.hmat, problem.v, np.ones(10), of_units, alpha, 3)
    slopes = np.empty((2, 3))
    kmeans.group_slopes(problem.hmat, problem.v, np.arange(10) % 2, np.empty((2, 3, 3)), slopes)
    return {
        "group_slopes": slopes,
        "lloyd_of_slopes": np.concatenate([alpha.ravel(), of_units, [ssr]]),
        "plus_plus": seeds,
        "lloyd": np.concatenate([centers.ravel(), labels, [inertia]]),
    }


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
    beta, at = problem.free.copy(), np.full(12, -1)
    total = product.solve_units(problem.v, problem.hmat, 1.0, alpha, problem.free, beta, at, True)
    grad, hess, left, right = np.empty(6), np.empty((6, 6)), np.empty((2, 6)), np.empty((6, 2))
    worst = product.profile_derivatives(problem.v, problem.hmat, 1.0, alpha, beta, at, grad, hess, left, right)
    assert worst < 1e-6
    b, between = problem.free[0].copy(), np.linalg.norm(alpha[:, None] - alpha[None], axis=2)
    space = (np.empty((3, 2)), np.empty(3), np.empty(2), np.empty((2, 2)), np.empty(2))
    value, smooth = product.smooth_minimum(problem.v[0], problem.hmat[0], 1.0, alpha, between, b, *space, 1e-12)
    return {
        "solve_units": np.append(np.column_stack([beta, at]), total),
        "total_penalty": np.array([product.total_penalty(problem.free, alpha)]),
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


def _observed() -> tuple[on_cells.CellData, list[np.ndarray]]:
    """Six entities, ten periods, holes, weights; groups, slots, slopes, factors, period coefficients."""
    rng = np.random.default_rng(8)
    seen = rng.random((6, 10)) > 0.2
    ptr, time = np.append(0, np.cumsum(seen.sum(axis=1))), np.ascontiguousarray(np.nonzero(seen)[1])
    n = time.size
    root = rng.uniform(0.5, 1.5, n)
    data = on_cells.CellData(
        ptr, time, rng.standard_normal(n), rng.standard_normal((2, n)), root[None].copy(), root[None].copy(), root
    )
    groups, slots = np.array([0, 1, 0, 1, 1, 0]), np.array([[0, 2], [1, 2]])
    return data, [groups, slots, rng.standard_normal(3), rng.standard_normal((1, 10)), rng.standard_normal((1, 10))]


def _evaluation(data: on_cells.CellData) -> on_cells.CellState:
    n = data.time.size
    return on_cells.CellState(
        np.empty(n), np.empty((2, n)), np.zeros((6, 2, 2)), np.zeros((6, 2)), np.zeros((2, 10)), np.zeros(3)
    )


def _cells() -> dict[str, np.ndarray]:
    data, (groups, slots, theta, factors, effects) = _observed()
    state = _evaluation(data)
    ssr = on_cells.evaluate_cells(data, groups, slots, theta, factors, effects, 1e-8, state)
    rng = np.random.default_rng(9)
    out, turn, work, blocks = np.empty((2, 10)), np.empty(3), np.empty((2, 10)), np.empty((10, 2, 2))
    step = rng.standard_normal((2, 10)), rng.standard_normal(3)
    on_cells.hessian_product(data, groups, slots, state, *step, True, out, turn, work, np.empty(2), np.empty(2))
    on_cells.normal_blocks(data, state, blocks)
    a, c, s, gram, sums = np.empty((6, 2, 2)), np.empty((6, 2)), np.empty(6), np.empty((3, 3)), np.zeros((2, 2, 10))
    on_cells.unit_sums(data, state, theta[slots[groups]], a, c, s)
    on_cells.slope_moments(data, state, groups, slots, gram)
    on_cells.period_sums(data, state, sums)
    z = rng.standard_normal((2, data.time.size))
    on_cells.off_units(data.ptr, state.q, z)
    b, room = rng.standard_normal(2), np.empty((1, 10))
    lower, outcome = b.copy(), np.empty((1, data.time.size))
    on_cells.outcome_less_periods(data, data.y[None], effects, 0, 8, room, outcome, 2)
    basis, part = np.empty((2, 8)), np.zeros((2, 2, 10))
    on_cells.basis_columns(data, data.root[None], factors, 0, 8, basis)
    on_cells.add_to_periods(data, data.root[None], state.coef[0, 1:], 0, 8, part)
    q, tri, upper = rng.standard_normal((2, 9)), np.zeros((1, 2, 2)), b.copy()
    on_cells.orthonormalise(q, tri, 0, 2, 6, 1e-8)
    near = np.vstack([q[0], q[0] + 1e-3 * q[1]])
    on_cells.orthonormalise(near, tri.copy(), 0, 2, 6, 1e-8)
    on_cells.solve_upper(tri[0], upper)
    on_cells.solve_lower(tri[0], lower)
    scores, less, cube = np.empty((2, 2, 10)), z.copy(), np.zeros((6, 10, 2))
    on_cells.period_scores(data, state.coef, z, scores)
    on_cells.less_periods(data, state.coef, scores, less)
    on_cells.cube_of_cells(data.ptr, data.time, z, cube)
    back = np.empty_like(z)
    on_cells.cells_of_cube(data.ptr, data.time, data.root, cube, back)
    return {
        "evaluate_cells": np.concatenate([[ssr], state.e, state.coef.ravel(), state.g_period.ravel(), state.g_theta]),
        "hessian_product": np.append(out.ravel(), turn),
        "normal_blocks": blocks,
        "unit_sums": np.column_stack([a.reshape(6, -1), c, s]),
        "slope_moments": gram,
        "period_sums": sums,
        "off_units": z,
        "outcome_less_periods": outcome[:, 2:10],
        "basis_columns": basis,
        "add_to_periods": part,
        "orthonormalise": np.vstack([q, near]),
        "solve_upper": upper,
        "solve_lower": lower,
        "period_scores": scores,
        "less_periods": less,
        "cube_of_cells": cube,
        "cells_of_cube": back,
    }


def _columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(10)
    a, b, f, g = (
        rng.standard_normal((3, 9)),
        rng.standard_normal((3, 9)),
        rng.standard_normal(3),
        rng.standard_normal(3),
    )
    root, out = rng.uniform(0.5, 1.5, (1, 9)), {}
    for name, arguments in {
        "add": (0, 1, 0.5, b, 1, 2, 7),
        "add_and_dot": (0, 1, 0.5, b, 1, 2, b, 0, 0, 7),
        "add_pair": (0, 1, 0.5, b, 1, -0.5, 2, 2, 7),
        "add_rows": (0, 1, -1.0, f, b, 2, 7),
        "copy": (0, 1, b, 1, 2, 7),
        "scale": (0, 1, 0.5, 7),
        "scale_add": (0, 1, 0.5, -0.5, b, 1, 2, 7),
    }.items():
        changed = a.copy()
        returned = getattr(columns, name)(changed, *arguments)
        out[name] = np.append(changed.ravel(), 0.0 if returned is None else returned)
    parts = np.empty(3)
    columns.products(a, 1, b, 0, 2, 7, parts)
    out |= {
        "products": parts,
        "dot": np.array([columns.dot(a, 0, 1, b, 1, 2, 7)]),
        "dot_pair": np.array(columns.dot_pair(a, 0, 2, 1, b, 1, 2, 7)),
        "sum_squares": np.array([columns.sum_squares(a, 0, 1, 7)]),
    }
    whole, some = np.arange(2, 9), np.array([0, 1, 3, 4, 6, 7, 8])  # periods without and with a hole
    names = ("gather_times", "scatter", "scatter_rows", "scatter_products", "scatter_sums")
    spread = {name: [] for name in names}
    for time in (whole, some):
        rows, more, most = np.zeros((3, 9)), np.zeros((3, 9)), np.zeros((3, 9))
        square, read = np.zeros((3, 3, 9)), np.empty((1, 7))
        columns.gather_times(b, 1, time, root, 0, read, 0, 0, 7)
        columns.scatter(rows, 1, time, 0, 2.0, a, 0, 1, b, 1, 2, 7)
        columns.scatter_rows(more, time, root, 0, f, a, 0, 1, 7)
        columns.scatter_products(square, time, root, 0, f, 7)
        columns.scatter_sums(most, time, root, 0, f, a, 0, 1, g, b, 1, 2, 7)
        for name, values in zip(names, (read, rows, more, square, most), strict=True):
            spread[name].append(values.ravel())
    return out | {name: np.concatenate(values) for name, values in spread.items()}


def _newton() -> dict[str, np.ndarray]:
    data, (groups, slots, theta, factors, effects) = _observed()
    series, free, gauge = np.full((1, 10), np.sqrt(0.1)), np.array([False, False]), np.empty((2, 10))
    start = factors.copy(), effects.copy()
    cell_newton.fix_gauge(series, free, *start, gauge)
    rounds = [value.copy() for value in (theta, *start)]
    state, known = _evaluation(data), (data, groups, slots, series, free)
    fell = cell_newton.alternate_rounds(*known, *rounds, state, 3, 1e-8, False)
    blocks, inverses, inverse = np.empty((10, 2, 2)), np.empty((10, 2, 2)), np.empty((3, 3))
    on_cells.normal_blocks(data, state, blocks)
    cell_newton.invert_blocks(blocks, inverses)
    gram = np.cov(data.x[:, :3].T)
    cell_newton.invert_scaled(gram, inverse)
    stepped, sums = [value.copy() for value in start], np.ascontiguousarray(blocks.transpose(1, 2, 0))
    cell_newton.step_to_periods(sums, blocks.copy(), inverses.copy(), state.g_period, *stepped)
    cg = cell_newton.truncated_cg(data, groups, slots, state, inverses, inverse, gauge, free, False, 0.5, 5, 0.1)
    end = [value.copy() for value in (theta, *start)]
    done = cell_newton.newton(
        *known, *end, state, _evaluation(data), 1e-10, 1e-20, 60, 50, 0.1, True, -1.0, np.empty(0), 1e-4, 1e-8
    )
    again = [value.copy() for value in (groups, theta, *start)]
    tail = regroup_cells.alternate_on_cells(data, slots, series, free, *again, True, 8, 1e-9, np.inf, groups[:0], 1e-8)
    return {
        "fix_gauge": np.vstack([gauge, *start]),
        "alternate_rounds": np.concatenate([[fell], *(value.ravel() for value in rounds)]),
        "invert_blocks": inverses,
        "invert_scaled": gram @ inverse @ gram,
        "step_to_periods": np.vstack(stepped),
        "truncated_cg": np.concatenate([cg[0].ravel(), cg[1], [cg[2], cg[5]]]),
        "newton": np.append(done[1], done[4]),
        "alternate_on_cells": np.concatenate([*(value.ravel() for value in again), tail]),
    }


def outputs() -> dict[str, np.ndarray]:
    """Something from every public kernel."""
    return _small() | _passes() | _kmeans() | _joint() | _product() | _lags() | _columns() | _cells() | _newton()


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
    modules = (columns, joint, kmeans, lags, passes, product, small, on_cells, cell_newton, regroup_cells)
    tuples = {"CellData", "CellState"}
    assert {name for module in modules for name in module.__all__} - tuples == set(outputs())


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
    options = ("-q", "-p", "no:cacheprovider", "-n", "0", "-k", "not scikit_learn and not global_minimum")
    interpreted("-m", "pytest", *options, *(f"tests/kernels/{n}.py" for n in names))
