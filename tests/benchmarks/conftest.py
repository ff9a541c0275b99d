"""The benchmarks are scripts: their folder is where their modules are found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the benchmarks run: threads of BLAS cost time here, and change last digits."""
    import common

    with common.one_thread():
        yield
