"""Both formula engines of statsmodels, and the fits under each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import statsmodels.formula

from tests.integration.panels import FACTORS, LINEAR, MODELS, Pair, fit, pair

OPTIONS = getattr(statsmodels.formula, "options", None)


@contextmanager
def using(name: str) -> Iterator[None]:
    """statsmodels set to one of its engines, and back."""
    if OPTIONS is None:
        yield
        return
    before = OPTIONS.formula_engine
    OPTIONS.formula_engine = name
    try:
        yield
    finally:
        OPTIONS.formula_engine = before


@pytest.fixture(scope="session", autouse=True, params=["patsy", "formulaic"])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine that a test runs under; statsmodels before 0.15 has patsy alone."""
    if OPTIONS is None and request.param != "patsy":
        pytest.skip("this statsmodels has one formula engine")
    return str(request.param)


@pytest.fixture(autouse=True)
def set_to_engine(engine: str) -> Iterator[None]:
    """For the length of a test: others in the same process know nothing of it."""
    with using(engine):
        yield


@pytest.fixture(scope="session")
def pairs(engine: str) -> dict[str, Pair]:
    """Every kind of fit beside the full regression."""
    with using(engine):
        return {name: pair(name) for name in MODELS}


@pytest.fixture(scope="session")
def learner(engine: str) -> Any:
    """A fit with a learner, and one without x2."""
    with using(engine):
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
