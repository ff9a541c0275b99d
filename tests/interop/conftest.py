"""Fits that several tests look at; they are not to be changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS
from gifepanel.datasets import load_cigar


def demand() -> pd.DataFrame:
    """The cigarette panel with the logs that the models use."""
    data = load_cigar()
    logs = {"ls": data["sales"], "lp": data["real_price"], "li": data["real_income"]}
    return data.assign(**{name: np.log(values) for name, values in logs.items()})


@pytest.fixture(scope="session")
def grouped() -> Any:
    """Three groups, two factors, state effects."""
    return GroupedIFE.from_formula("ls ~ lp + li | state", demand(), n_groups=3, n_factors=2).fit()


@pytest.fixture(scope="session")
def single() -> Any:
    """One slope vector, two factors, both effects."""
    return InteractiveFE.from_formula("ls ~ lp + li | state + year", demand(), n_factors=2).fit()


@pytest.fixture(scope="session")
def mixed() -> Any:
    """A common slope, a lagged outcome corrected for bias, two groups."""
    options: dict[str, Any] = {"n_groups": 2, "n_factors": 1, "common": ["li"]}
    return GroupedIFE.from_formula("ls ~ L(ls) + lp + li | state", demand(), **options).fit(cov_type="HC1")


@pytest.fixture(scope="session")
def partialled() -> Any:
    """Both effects, no factors, errors clustered by state."""
    model = PartialledOLS.from_formula("ls ~ lp + li | state + year", demand())
    return model.fit(cov_type="cluster", cov_kwds={"groups": "state"})


@pytest.fixture(params=["grouped", "single", "mixed", "partialled"])
def res(request: pytest.FixtureRequest) -> Any:
    """Each of them."""
    return request.getfixturevalue(request.param)
