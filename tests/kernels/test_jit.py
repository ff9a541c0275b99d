"""The compile wrapper: the same numbers with, without and in spite of numba's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gifepanel.kernels import _jit
from gifepanel.kernels._jit import jit
from gifepanel.kernels.columns import dot

KERNEL = """
from _jit import jit
from callee import factor

@jit
def scaled_sum(values):
    out = 0.0
    for value in values:
        out += factor() * value
    return out
"""

CALLEE = """
from _jit import jit

@jit
def factor():
    return {factor}
"""

PROGRAM = """
import numpy as np
import caller
values = np.array([1.0, 2.0, 4.0])
result = caller.scaled_sum(values)
hits = getattr(caller.scaled_sum, "stats", None)
print(float(result), sum(hits.cache_hits.values()) if hits else -1)
"""


def write_kernels(directory: Path, factor: float = 2.0) -> None:
    directory.mkdir(exist_ok=True)
    shutil.copy(Path(_jit.__file__), directory / "_jit.py")
    (directory / "caller.py").write_text(KERNEL)
    (directory / "callee.py").write_text(CALLEE.format(factor=factor))


def run(directory: Path, **environment: str) -> tuple[float, int]:
    """Result and cache hits of the kernel in a new process."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM],
        capture_output=True,
        text=True,
        env={**inherited, "PYTHONPATH": str(directory), **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result, hits = done.stdout.split()
    return float(result), int(hits)


def test_second_process_reads_the_cache(tmp_path: Path) -> None:
    directory = tmp_path / "kernels"
    write_kernels(directory)
    assert run(directory) == (14.0, 0)
    assert list((directory / "__pycache__").glob("caller.scaled_sum*.nbi"))
    assert run(directory) == (14.0, 1)


def test_change_of_a_called_file_renews_the_cache(tmp_path: Path) -> None:
    directory = tmp_path / "kernels"
    write_kernels(directory, factor=2.0)
    assert run(directory) == (14.0, 0)
    (directory / "callee.py").write_text(CALLEE.format(factor=3.0))
    assert run(directory) == (21.0, 0)


def test_no_writable_cache_compiles_without_one(tmp_path: Path) -> None:
    directory = tmp_path / "kernels"
    write_kernels(directory)
    blocked = tmp_path / "file"
    blocked.write_text("")
    # a file where numba wants its directory: unwritable for root as well
    (directory / "__pycache__").write_text("")
    places = {name: str(blocked) for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    assert run(directory, **places) == (14.0, 0)
    assert run(directory, **places) == (14.0, 0)


def test_disabled_jit_gives_the_python_function(tmp_path: Path) -> None:
    directory = tmp_path / "kernels"
    write_kernels(directory)
    assert run(directory, NUMBA_DISABLE_JIT="1") == (14.0, -1)


def test_forms_of_the_decorator_agree() -> None:
    def square(x):  # type: ignore[no-untyped-def]
        return x * x

    for compiled in (jit(square), jit()(square), jit("f8(f8)")(square), jit(inline="never")(square)):
        assert compiled(3.0) == 9.0


def test_division_follows_numpy() -> None:
    @jit
    def divide(a, b):  # type: ignore[no-untyped-def]
        return a / b

    # NumPy scalars: Python's own 0/0 raises, which is not what the compiled kernel does
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.isnan(divide(np.float64(0.0), np.float64(0.0)))
        assert divide(np.float64(1.0), np.float64(0.0)) == np.inf


@pytest.mark.parametrize("flags", [True, {"fast"}, {"reassoc", "nnan"}])
def test_fastmath_is_refused_but_for_the_order_of_sums(flags: bool | set[str]) -> None:
    with pytest.raises(TypeError, match="fastmath"):
        jit(fastmath=flags)


def test_sums_on_vectors_keep_nan() -> None:
    a = np.ones((1, 70))
    a[0, 33] = np.nan
    assert np.isnan(dot(a, 0, 0, a, 0, 0, 70)) and dot(a, 0, 0, a, 0, 0, 33) == 33.0
