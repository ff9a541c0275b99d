"""The regressions of fwl.json with their rows elsewhere, as far as their covariances are sums."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from numpy.testing import assert_allclose

from gifepanel import PartialledOLS
from tests.models.test_partialled_reference import EVERY, covariance, regression
from tests.reference.fwl_cases import CASES

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")
SUMS = ("nonrobust", "HC0", "HC1", "cluster")


@cache
def model(name: str) -> PartialledOLS:
    return regression(name, engine="lazy")


OFTEN = ("seed_fwl_1", "cigar_2fe", "auto_turn_singletons", "ring_lowmobility")


@pytest.mark.parametrize("name", [one if one in OFTEN else pytest.param(one, marks=pytest.mark.slow) for one in CASES])
def test_every_case(name: str) -> None:
    """Coefficients, standard errors, degrees of freedom, sums of squares."""
    facts: dict[str, Any] = CASES[name]["facts"]
    cases = [(s, label) for case, s, label in EVERY if case == name and covariance(label)["cov_type"] in SUMS]
    assert cases
    for source, label in cases:
        want = CASES[name]["results"][source][label]
        res = model(name).fit(**covariance(label))
        assert_allclose(res.params, want["coef"], rtol=1e-8)
        assert_allclose(res.bse, want["se"], rtol=1e-8)
    assert (res.nobs, res.df_resid, res.degrees.total) == (facts["n"], facts["df_resid"], facts["rank_nuisance"])
    assert res.degrees.exact
    assert_allclose(res.ssr, facts["rss"], rtol=1e-10)
    assert_allclose(res.rsquared_within, facts["r2_within"], rtol=1e-8)
