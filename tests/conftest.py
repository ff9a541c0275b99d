"""What all tests share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pandas as pd

DEMAND = "log(sales) ~ log(real_price) + log(real_income)"

os.environ.setdefault("MPLBACKEND", "Agg")

# Two processes that write one cache at the same time can pair an index with the other's machine code: each
# process of a parallel run has its own, which the next run finds again. It starts from what `make` compiled before.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if _WORKER:
    _ROOT = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parents[1] / ".pytest_cache" / "numba")
    _OWN, _FIRST = _ROOT / _WORKER, _ROOT / "first"
    if _FIRST.is_dir() and not _OWN.exists():
        shutil.copytree(_FIRST, _OWN)
    os.environ["NUMBA_CACHE_DIR"] = str(_OWN)

# Each stays with one process, which takes it first: no process is left with a long file when the others are done.
_LONGEST = (
    "test_docs_build.py",
    "test_docs_examples.py",
    "test_report.py",
    "test_notebooks.py",
    "test_scripts.py",
    "test_without_jit.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    rank = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture
def cigar() -> pd.DataFrame:
    """The cigarette panel, a copy of its own for each test."""
    from gifepanel.datasets import load_cigar

    return load_cigar()


# ---- fits that several tests look at; they are not to be changed


@pytest.fixture(scope="session")
def grouped() -> Any:
    """Three groups, two factors, state effects."""
    from gifepanel import GroupedIFE
    from gifepanel.datasets import load_cigar

    return GroupedIFE.from_formula(f"{DEMAND} | state", load_cigar(), n_groups=3, n_factors=2).fit()


@pytest.fixture(scope="session")
def single() -> Any:
    """One slope vector, two factors, both effects."""
    from gifepanel import InteractiveFE
    from gifepanel.datasets import load_cigar

    return InteractiveFE.from_formula(f"{DEMAND} | state + year", load_cigar(), n_factors=2).fit(cov_type="cluster")


@pytest.fixture(scope="session")
def mixed() -> Any:
    """A common slope, a lagged outcome corrected for bias, two groups."""
    from gifepanel import GroupedIFE
    from gifepanel.datasets import load_cigar

    formula = "log(sales) ~ L(log(sales)) + log(real_price) + log(real_income) | state"
    model = GroupedIFE.from_formula(formula, load_cigar(), n_groups=2, n_factors=1, common=["log(real_income)"])
    return model.fit(cov_type="HC1")


@pytest.fixture(params=["grouped", "single", "mixed"])
def res(request: pytest.FixtureRequest) -> Any:
    """Each of them."""
    return request.getfixturevalue(request.param)
