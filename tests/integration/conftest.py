"""Both formula engines of statsmodels, and the fits under each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import statsmodels.formula

from tests.integration.panels import FACTORS, LINEAR, MODELS, Pair, fit, pair

OPTIONS = getattr(statsmodels.formula, "options", None)


@pytest.fixture(scope="session", autouse=True, params=["patsy", "formulaic"])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """statsmodels set to one of its engines; those before 0.15 have patsy alone."""
    if OPTIONS is None:
        if request.param != "patsy":
            pytest.skip("this statsmodels has one formula engine")
        yield request.param
        return
    before = OPTIONS.formula_engine
    OPTIONS.formula_engine = request.param
    yield request.param
    OPTIONS.formula_engine = before


@pytest.fixture(scope="session")
def pairs(engine: str) -> dict[str, Pair]:
    """Every kind of fit beside the full regression."""
    return {name: pair(name) for name in MODELS}


@pytest.fixture(scope="session")
def learner(engine: str) -> Any:
    """A fit with a learner, and one without x2."""
    return fit("learner"), fit("learner", "x1")


@pytest.fixture(params=MODELS)
def both(request: pytest.FixtureRequest, pairs: dict[str, Pair]) -> Pair:
    """Each kind of fit in turn."""
    return pairs[request.param]


@pytest.fixture(params=LINEAR)
def linear(request: pytest.FixtureRequest, pairs: dict[str, Pair]) -> Pair:
    """Those without factors."""
    return pairs[request.param]


@pytest.fixture(params=FACTORS)
def factors(request: pytest.FixtureRequest, pairs: dict[str, Pair]) -> Pair:
    """Those with factors."""
    return pairs[request.param]
