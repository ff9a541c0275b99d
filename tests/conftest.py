"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import pandas as pd

os.environ.setdefault("MPLBACKEND", "Agg")

# Two processes that write one cache at the same time can pair an index with the other's machine code: each
# process of a parallel run has its own, which the next run finds again.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if _WORKER:
    _ROOT = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parents[1] / ".pytest_cache" / "numba")
    os.environ["NUMBA_CACHE_DIR"] = str(_ROOT / _WORKER)


@pytest.fixture
def cigar() -> pd.DataFrame:
    """The cigarette panel, a copy of its own for each test."""
    from gifepanel.datasets import load_cigar

    return load_cigar()
