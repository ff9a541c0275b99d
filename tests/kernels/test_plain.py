"""The twins in NumPy give the numbers of compiled code, sums to the last bit: no fit depends on what is in a cache."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gifepanel.kernels import _jit, joint, kmeans, lags, passes, product, regroup, small
from tests.kernels.problems import units

SHAPES = [(2, 1, 2), (1, 2, 9), (7, 1, 5), (12, 2, 8), (40, 3, 11), (25, 4, 16)]  # N, p, T


def both(kernel: Any, *arguments: Any) -> tuple[list[Any], list[Any]]:
    """What compiled code and its twin return and leave in their arguments."""
    file = kernel.__module__.rpartition(".")[2]
    twin: Callable[..., Any] = getattr(import_module(f"gifepanel.kernels.plain.{file}"), kernel.__name__)
    found = []
    for run in (kernel._compiled(), twin):
        own = [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]
        returned = run(*own)
        found.append([*own, *(returned if isinstance(returned, tuple) else [returned])])
    return found[0], found[1]


def same(kernel: Any, *arguments: Any, room: int = 0) -> list[Any]:
    """`room` arguments at the end are work space."""
    compiled, plain = both(kernel, *arguments)
    for place, (a, b) in enumerate(zip(compiled, plain, strict=True)):
        if not len(arguments) - room <= place < len(arguments):
            np.testing.assert_array_equal(a, b, err_msg=f"{kernel.__name__}, {place}", strict=isinstance(a, np.ndarray))
    return compiled


def near(kernel: Any, *arguments: Any) -> None:
    """The same to rounding: compiled sums run on vectors there."""
    for a, b in zip(*both(kernel, *arguments), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=kernel.__name__)


@pytest.mark.parametrize(("n", "p", "t"), SHAPES)
def test_passes(n: int, p: int, t: int) -> None:
    rng = np.random.default_rng(n)
    y, xt, r = rng.standard_normal((n, t)), rng.standard_normal((n, p, t)), min(2, t - 1)
    f = np.linalg.qr(rng.standard_normal((t, r)))[0] * np.sqrt(t)
    xt[0, 0] = f[:, 0]  # nothing is left of it
    *_, xx, xy, yy = same(passes.cross_moments, y, xt)
    room = np.empty_like(xx), np.empty_like(xy), np.empty_like(yy)
    *_, a, c, s, _ = same(passes.deflate, xx, xy, yy, xt @ f, y @ f, t, *room)
    beta = rng.standard_normal((n, p))
    beta[: n // 2, 0] = 0.0
    same(passes.residual_pass, y, xt, beta, np.empty_like(y))
    same(passes.gradient_pass, xt, y)
    same(passes.unit_ssr, a, c, s, rng.standard_normal((3, p)))


@pytest.mark.parametrize(("n", "p", "t"), SHAPES)
def test_small_matrices(n: int, p: int, t: int) -> None:
    problem = units(n, p, seed=t, singular=n // 3)
    same(small.solve_batch, problem.hmat, problem.v, problem.free)
    same(small.eigh_batch, problem.hmat)


@pytest.mark.parametrize(("n", "p", "t"), SHAPES)
def test_kmeans(n: int, p: int, t: int) -> None:
    rng = np.random.default_rng(t)
    points, k = rng.standard_normal((n, p)), min(n, 4)
    points[: n // 3] = points[0]  # empty groups
    centers = same(kmeans.plus_plus, points, rng.random(k), np.empty((k, p)))[2]
    problem, labels = units(n, p, seed=t, singular=n // 3), np.arange(n) % k
    for most in (0, 30):
        moments = problem.hmat, problem.v, 9.0 + rng.random(n)
        same(kmeans.lloyd_of_slopes, *moments, labels, np.empty((k, p)), most)
    for start in (centers, np.repeat(points[:1], k, axis=0)):
        same(kmeans.lloyd, points, start, np.empty(n, dtype=np.int64), 100)


@pytest.mark.parametrize(("n", "p", "t"), SHAPES)
def test_joint(n: int, p: int, t: int) -> None:
    rng = np.random.default_rng(t)
    problem = units(n, p, seed=t, singular=n // 5)
    values, vectors = small.eigh_batch(problem.hmat)
    values[values <= 1e-13 * values.max(axis=1, keepdims=True)] = 0.0
    for scale in (0.0, 0.5, 5.0, 100.0):
        c, a = scale * rng.random(n), rng.standard_normal(p)
        c[::4] = 0.0
        spectrum = problem.v, problem.hmat, values, vectors
        same(joint.joint_profile, *spectrum, c, a, np.empty(p), np.empty((p, p)))
        same(joint.joint_slopes, *spectrum, problem.free, c, a, np.empty((n, p)), np.empty(n, dtype=bool))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("n", "p", "t"), SHAPES)
def test_product(n: int, p: int, t: int, groups: int) -> None:
    rng = np.random.default_rng(t + groups)
    problem = units(n, p, seed=t, singular=n // 5)
    for kappa in (0.0, 0.3, 3.0, 50.0):
        alpha = rng.standard_normal((groups, p))
        beta = problem.free + 0.1 * rng.standard_normal((n, p))
        at = rng.integers(-1, groups, n)
        beta[at >= 0] = alpha[at[at >= 0]]
        beta[:1], at[:1] = alpha[0], -1  # a start at a kink
        same(product.total_penalty, beta, alpha)
        known = problem.v, problem.hmat, kappa, alpha
        for explore in (True, False):
            out = same(product.solve_units, *known, problem.free, beta, at, explore)
        size = groups * p
        arguments = (*known, out[5], out[6], np.empty(size), np.empty((size, size)))
        same(product.profile_derivatives, *arguments, np.empty((p, size)), np.empty((size, p)), room=2)


@pytest.mark.parametrize("time_effects", [False, True])
@pytest.mark.parametrize(("n", "p", "t"), SHAPES[2:])
def test_regroup(n: int, p: int, t: int, time_effects: bool) -> None:
    rng = np.random.default_rng(t)
    y, xt = rng.standard_normal((n, t)), rng.standard_normal((n, p, t))
    moments, k = passes.cross_moments(y, xt), min(n, 3)
    separate = np.arange(k * p).reshape(k, p)
    common = separate.copy()
    common[:, 0] = 0
    for slots in (separate, np.unique(common, return_inverse=True)[1].reshape(k, p)):
        for r in (0, 1, 2):
            f = np.linalg.qr(rng.standard_normal((t, min(r, t - 1))))[0]
            state = rng.integers(0, k, n), np.zeros(slots.max() + 1), f, np.zeros(t)
            for reassign, rounds, cutoff in ((True, 6, np.inf), (True, 5, 0.5 * (y**2).sum()), (False, 5, np.inf)):
                near(regroup.alternate, y, xt, *moments, slots, *state, time_effects, reassign, rounds, 1e-8, cutoff)


@pytest.mark.parametrize("lag", [1, 3])
def test_lags(lag: int) -> None:
    rng = np.random.default_rng(lag)
    seen = rng.random((9, 12)) > 0.25
    ptr, t = np.append(0, np.cumsum(seen.sum(axis=1))), np.nonzero(seen)[1] - 2
    basis = rng.standard_normal((2, len(t)))
    same(lags.attenuation, ptr, t, rng.random(len(t)), basis, rng.integers(0, 3, 9), 3, lag)


# ---- which of the two is called

FITS = """
import sys
import numpy as np
import gifepanel as gife
from gifepanel.datasets import simulate

data = simulate("D", 30, 20, random_state=1).data
numbers = []
for model in (
    gife.GroupedIFE.from_formula("y ~ x1 + x2 | entity", data, n_groups=3, n_factors=2),
    gife.GroupedIFE.from_formula("y ~ x1 + x2 | entity + time", data, n_groups=2, n_factors=1, common=["x2"]),
    gife.InteractiveFE.from_formula("y ~ L(y) + x1 | entity + time", data, n_factors=range(3)),
):
    res = model.fit()
    numbers += [*res.params, *res.bse, res.criterion if hasattr(res, "criterion") else res.ssr]
"""


def test_a_small_first_fit_compiles_nothing_and_is_the_same(tmp_path: Path) -> None:
    program = FITS + "print('numba' in sys.modules, np.array(numbers).tobytes().hex())"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = {}
    exec(FITS, found)
    assert done.stdout.split() == ["False", np.array(found["numbers"]).tobytes().hex()]
    assert not list(tmp_path.iterdir())


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """Which of the two a fresh kernel calls."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_jit, "_SMALL", 1000)
    monkeypatch.setattr(_jit._Kernel, "spent", 0.0)
    monkeypatch.setattr(_jit, "_compile", lambda *_: lambda *_: "compiled")
    kernel: Any = _jit.jit(plain=True)(passes.gradient_pass.__wrapped__)
    vars(kernel)["_twin"] = lambda *_: "plain"
    return kernel  # type: ignore[no-any-return]


def test_small_calls_are_plain_until_they_took_their_time(called: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert called(np.ones(999)) == called(np.ones(999)) == "plain"
    monkeypatch.setattr(_jit._Kernel, "spent", _jit._PATIENCE + 0.1)
    assert called(np.ones(999)) == "compiled"
    monkeypatch.setattr(_jit._Kernel, "spent", 0.0)
    assert called(np.ones(999)) == "compiled", "there is code now"


def test_a_large_call_is_compiled(called: Any) -> None:
    assert called(np.ones(600), np.ones(600)) == called(np.ones(2)) == "compiled"


def test_disabled_jit_is_not_plain(called: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert called(np.ones(2)) == "compiled"


def test_code_in_the_cache_is_called(called: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_jit, "_has_code", lambda _: True)
    assert called(np.ones(2)) == "plain", "numba is not asked where it left no file"
    again: Any = _jit.jit(plain=True)(passes.gradient_pass.__wrapped__)
    monkeypatch.setattr(_jit, "_has_file", lambda _: True)
    assert again(np.ones(2)) == "compiled"


def test_files_of_the_cache_are_where_numba_leaves_them() -> None:
    passes.gradient_pass._compiled()
    passes.gradient_pass(np.ones((2, 1, 3)), np.ones((2, 3)))
    assert _jit._has_file(passes.gradient_pass.__wrapped__)
