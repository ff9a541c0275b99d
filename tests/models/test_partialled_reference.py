"""Every regression of fwl.json, from a formula: coefficients, standard errors, degrees of freedom."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from numpy.testing import assert_allclose

from gifepanel import PartialledOLS
from tests.reference.fwl_cases import CASES, load

KINDS = {"iid": "nonrobust", "CRV1": "cluster", "CRV3": "CR3"}
EVERY = [
    (name, source, label)
    for name, spec in CASES.items()
    for source, results in spec["results"].items()
    for label in results
]


def regression(name: str, **options: Any) -> PartialledOLS:
    """Rows with NaN in a cluster variable are left out: the reference does so for the whole case."""
    spec = CASES[name]
    frame = load(name)
    ways = {way for kind in spec["vcov"] if ":" in kind for way in kind.split(":")[1].split("+")}
    frame = frame.dropna(subset=sorted(ways - set(spec["fe"])))
    formula = f"{spec['y']} ~ {' + '.join(spec['x'])}" + (f" | {' + '.join(spec['fe'])}" if spec["fe"] else "")
    partial = " + ".join([*(["0"] if spec.get("noconst") else []), *spec["w"]])
    formula = formula.replace("~", "~ 0 +") if spec.get("noconst") else formula
    used = [spec["y"], *spec["x"], *spec["w"], *spec["fe"], *sorted(ways - set(spec["fe"]))]
    return PartialledOLS.from_formula(formula, frame[list(dict.fromkeys(used))], partial=partial, **options)


@cache
def model(name: str) -> PartialledOLS:
    return regression(name)


def covariance(label: str) -> dict[str, Any]:
    """Options of ``fit`` for a label such as "CRV1:nr+year (own G/(G-1) per term)"."""
    head, _, tail = label.partition(":")
    out: dict[str, Any] = {"cov_type": KINDS.get(head, head), "ssc": "stata" if "own" in label else "fixest"}
    if tail:
        out["cov_kwds"] = {"groups": tail.partition(" ")[0].split("+")}
    return out


@pytest.mark.parametrize(("name", "source", "label"), EVERY, ids=lambda v: str(v).replace(" ", "_"))
def test_every_case(name: str, source: str, label: str) -> None:
    want, facts = CASES[name]["results"][source][label], CASES[name]["facts"]
    res = model(name).fit(**covariance(label))
    assert_allclose(res.params, want["coef"], rtol=1e-8)
    assert_allclose(res.bse, want["se"], rtol=1e-8)
    assert res.nobs == facts["n"]
    assert res.df_resid == facts["df_resid"]
    assert res.degrees.total == facts["rank_nuisance"]
    assert res.degrees.exact
    assert_allclose(res.ssr, facts["rss"], rtol=1e-10)
    assert_allclose(res.rsquared_within, facts["r2_within"], rtol=1e-8)
    if not CASES[name].get("noconst"):  # the reference centres the outcome there, statsmodels and this package don't
        assert_allclose(res.rsquared, facts["r2"], rtol=1e-8)
