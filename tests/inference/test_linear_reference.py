"""Coefficients and standard errors of every case of fwl.json, by dense dummies and by the absorption engine."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.inference.cluster_adjusted import nuisance_columns
from gifepanel.inference.clusters import cluster_ways, nested_dimensions
from gifepanel.inference.linear_covariance import linear_covariance
from gifepanel.inference.linear_sample import full_leverage
from gifepanel.projections.absorb import Absorption
from gifepanel.projections.controls import Controls
from tests.reference.fwl_cases import CASES, Fit, basis, case, dense_fit, ols

KINDS = {"iid": "nonrobust", "CRV1": "cluster", "CRV3": "cluster-crv3"}
EVERY = [
    (name, source, kind)
    for name, spec in CASES.items()
    for source, results in spec["results"].items()
    for kind in results
]


def absorbed_fit(name: str) -> tuple[Fit, int]:
    """Through the projections of the package: fit and absorbed degrees of freedom."""
    data = case(name)
    columns, df = np.column_stack([data.y, data.x]), 0
    if data.effects:
        absorption = Absorption(data.effects)
        columns, certificate = absorption.residualize(columns)
        assert certificate.converged
        df = absorption.degrees.total
    else:
        controls = Controls.from_columns(data.controls)
        columns, _ = controls.residualize(columns)
        df = controls.degrees.total
    return ols(columns[:, 0], columns[:, 1:]), df


def options(name: str, label: str, df: int) -> dict:
    """Arguments of linear_covariance for a label such as "CRV1:nr+year (own G/(G-1) per term)"."""
    data = case(name)
    head, _, tail = label.partition(":")
    kind = KINDS.get(head, head)
    out: dict = {"kind": kind, "ssc": "stata" if "own" in label else "fixest"}
    if tail:
        names = tail.partition(" ")[0].split("+")
        out["clusters"] = [data.codes(n) for n in names]
        ways = cluster_ways(out["clusters"], len(data.y))
        out["df_nested"] = nested_dimensions(data.effects, ways, df)
        if kind == "cluster-crv3":
            out["nuisance"] = nuisance_columns(ways, effects=data.effects, controls=None)
    return out


@pytest.mark.parametrize(("name", "source", "label"), EVERY, ids=lambda v: str(v).replace(" ", "_"))
@pytest.mark.parametrize("route", ["dense", "absorbed"])
def test_every_case(name, source, label, route):
    want = CASES[name]["results"][source][label]
    facts = CASES[name]["facts"]
    if route == "dense":
        fit, df = dense_fit(name), basis(name).shape[1]
    else:
        fit, df = absorbed_fit(name)
    assert df == facts["rank_nuisance"]
    assert len(fit.resid) == facts["n"]
    np.testing.assert_allclose(fit.params, want["coef"], rtol=1e-8)
    arguments = options(name, label, df)
    if label in ("HC2", "HC3"):
        arguments["leverage"] = full_leverage(fit.x, np.sum(basis(name) ** 2, axis=1))
    result = linear_covariance(fit.x, fit.resid, df_absorbed=df, **arguments)
    np.testing.assert_allclose(result.bse, want["se"], rtol=1e-8)
    assert result.exact
    assert result.df_resid == facts["df_resid"]
    counted = facts.get(f"K for {label}")
    if counted is not None:
        assert result.df_params == counted


@pytest.mark.parametrize("name", CASES)
def test_residual_sum_of_squares(name):
    np.testing.assert_allclose(dense_fit(name).resid @ dense_fit(name).resid, CASES[name]["facts"]["rss"], rtol=1e-10)
