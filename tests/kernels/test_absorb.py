"""Passes that absorb effects against their NumPy twins, and without compilation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gifepanel.kernels import absorb
from gifepanel.projections import plain_passes, system
from tests.kernels.problems import repeated_levels


@pytest.fixture(params=[absorb, plain_passes], ids=["compiled", "plain"])
def kernels(request: pytest.FixtureRequest) -> Any:
    """The compiled passes, and those in NumPy."""
    return request.param


@pytest.mark.parametrize("weighted", [False, True])
def test_sweep_over_rows(kernels: Any, weighted: bool) -> None:
    """Terms and means taken out, sums and squares of what is left, in one pass and in two."""
    rng = np.random.default_rng(0)
    starts = np.array([0, 3, 4, 9])
    level, codes = np.repeat(np.arange(3), np.diff(starts)), rng.integers(0, 4, (1, 9)).astype(np.int32)
    weights = rng.uniform(0.5, 2, 9) if weighted else np.empty(0)
    w = weights if weighted else np.ones(9)
    data, unknown = rng.normal(size=(9, 2)) + 1e6, rng.normal(size=(4, 2))
    less = data - unknown[codes[0]]
    expected = less - (np.stack([np.bincount(level, w * c) for c in less.T], 1) / np.bincount(level, w)[:, None])[level]
    sums = np.zeros((5, 2))
    for first, last in ((0, 1), (1, 3)):
        kernels.sweep_rows(data, weights, codes, np.empty((0, 0)), starts, first, last, unknown, True, sums)
    assert_allclose(data, expected, atol=1e-9)
    assert_allclose(sums[:4], np.stack([np.bincount(codes[0], w * c, minlength=4) for c in expected.T], 1), atol=1e-9)
    assert_allclose(sums[4], (w[:, None] * expected**2).sum(0), rtol=1e-9)


def test_without_compilation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every kernel as plain Python gives what the compiled one does."""
    monkeypatch.setattr(system, "_SMALL", 0)
    code = (
        "import json\nimport numpy as np\n"
        "from gifepanel.projections.absorb import Absorption\n"
        "from gifepanel.kernels.effect_levels import drop_singletons\n"
        "from gifepanel.projections import system\n"
        "from gifepanel.projections.system import Effect\n"
        "system._SMALL = 0\n"
        "rng = np.random.default_rng(0)\n"
        "a, b, z = rng.integers(0, 6, 60), rng.integers(0, 4, 60), rng.normal(size=60)\n"
        "effects = (Effect('a', a, 6), Effect('b', b, 4), Effect('b[z]', b, 4, z))\n"
        "absorption = Absorption(effects, rng.uniform(1, 2, 60))\n"
        "y = rng.normal(size=(60, 2))\n"
        "out = absorption.residualize(y)[0]\n"
        "keep = np.ones(60, dtype=bool)\n"
        "n = drop_singletons(np.stack([a, b]).astype(np.int32), np.array([6, 4]), keep)\n"
        "print(json.dumps([*out.sum(0), float((out**2).sum()), float(absorption.leverage().sum()), n]))\n"
    )
    exec(code, {})
    compiled = json.loads(capsys.readouterr().out)
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert_allclose(compiled, json.loads(done.stdout), atol=1e-12)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 8])
def test_products_with_the_reduced_matrix(kernels: Any, m: int) -> None:
    """S = B'M_A B, on levels that repeat within a base level; against dense matrices."""
    starts, codes, _, left = repeated_levels(m)
    unknown, nothing = np.random.default_rng(m).normal(size=(8, m)), np.empty(0)
    out = np.zeros((8, m))
    for first, last in ((0, 6), (6, 13)):
        kernels.schur_rows(codes, np.empty((0, 0)), nothing, starts, first, last, unknown, out)
    assert_allclose(out, left.T @ left @ unknown, atol=1e-12)
