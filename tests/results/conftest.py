"""Fits that several tests look at; they are not to be changed."""

from __future__ import annotations

from typing import Any

import pytest

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.datasets import load_cigar

DEMAND = "log(sales) ~ log(real_price) + log(real_income)"


@pytest.fixture(scope="session")
def grouped() -> Any:
    """Three groups, two factors, state effects."""
    return GroupedIFE.from_formula(f"{DEMAND} | state", load_cigar(), n_groups=3, n_factors=2).fit()


@pytest.fixture(scope="session")
def single() -> Any:
    """One slope vector, two factors, both effects."""
    return InteractiveFE.from_formula(f"{DEMAND} | state + year", load_cigar(), n_factors=2).fit(cov_type="cluster")


@pytest.fixture(scope="session")
def mixed() -> Any:
    """A common slope, a lagged outcome corrected for bias, two groups."""
    formula = "log(sales) ~ L(log(sales)) + log(real_price) + log(real_income) | state"
    model = GroupedIFE.from_formula(formula, load_cigar(), n_groups=2, n_factors=1, common=["log(real_income)"])
    return model.fit(cov_type="HC1")


@pytest.fixture(params=["grouped", "single", "mixed"])
def res(request: pytest.FixtureRequest) -> Any:
    """Each of them."""
    return request.getfixturevalue(request.param)
