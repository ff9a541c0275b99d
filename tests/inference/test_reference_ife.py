"""Covariances, bias terms and degrees of freedom against other software on the Cigar panel."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.inference import (
    bias_terms,
    degrees_of_freedom,
    factor_covariance,
    factor_space,
    project,
    residual_df,
)
from tests.reference.ife_numpy import IFEFit, cigar_growth, cigar_panel, fit_ife
from tests.reference.published import PANELIFE_BCORR, PANELIFE_BETA, PANELIFE_VAR, SALES_ON_PRICE


@pytest.fixture(scope="module")
def growth() -> dict[int, IFEFit]:
    y, x = cigar_growth()
    return {r: fit_ife(y, x, r) for r in (2, 5)}


@pytest.fixture(scope="module")
def levels() -> dict[tuple[bool, bool], IFEFit]:
    sales, price = cigar_panel("Sales", "Price")
    return {
        effects: fit_ife(sales, price[:, :, None], 2, entity=effects[0], time=effects[1])
        for effects in ((True, False), (True, True))
    }


@pytest.mark.parametrize("n_factors", [2, 5])
def test_reference_solver_is_at_the_published_estimate(growth, n_factors):
    np.testing.assert_allclose(growth[n_factors].beta, PANELIFE_BETA[n_factors], atol=6e-11)


@pytest.mark.parametrize(("n_factors", "kind"), list(PANELIFE_VAR))
def test_moon_weidner_variances(growth, n_factors, kind):
    fit = growth[n_factors]
    space = factor_space(*fit.y.shape, factors=fit.factors, loadings=fit.loadings)
    res = factor_covariance(
        project(fit.x, space),
        fit.resid,
        df_resid=1,
        kind=kind,
        maxlags=2 if kind == "HAC" else None,
        ssc=False,
    )
    np.testing.assert_allclose(np.diag(res.cov), PANELIFE_VAR[n_factors, kind], rtol=1e-8)
    if (n_factors, kind) == (2, "HC0"):
        assert res.cov[0, 1] == pytest.approx(-1.01447365e-5, rel=1e-8)


@pytest.mark.parametrize("n_factors", [2, 5])
def test_moon_weidner_bias_terms(growth, n_factors):
    fit = growth[n_factors]
    space = factor_space(*fit.y.shape, factors=fit.factors, loadings=fit.loadings)
    bread = factor_covariance(project(fit.x, space), fit.resid, df_resid=1).bread
    res = bias_terms(fit.x, fit.resid, fit.factors, fit.loadings, bread, predetermined=True, m1=2, m2=2)
    np.testing.assert_allclose((-res.b1, -res.b2, -res.b3), PANELIFE_BCORR[n_factors], rtol=2e-8, atol=1e-11)


@pytest.mark.parametrize("effects", list(SALES_ON_PRICE))
def test_standard_errors_by_convention(levels, effects):
    fit, ref = levels[effects], SALES_ON_PRICE[effects]
    space = factor_space(
        46, 30, factors=fit.factors, loadings=fit.loadings, entity_effects=effects[0], time_effects=effects[1]
    )
    z = project(fit.x, space)
    by_effects = {"entity_effects": effects[0], "time_effects": effects[1]}
    assert factor_covariance(z, fit.resid, df_resid=1, ssc=False).bse[0] == pytest.approx(ref["none"], rel=1e-7)
    for convention in ("effects", "parameters"):
        df = residual_df(46, 30, 1, 2, convention=convention, **by_effects)
        assert df == ref["df"][convention]
        assert factor_covariance(z, fit.resid, df_resid=df).bse[0] == pytest.approx(ref[convention], rel=1e-7)
    counts = degrees_of_freedom(46, 30, 1, 2, **by_effects)
    assert counts.residual == ref["df"]["rank"] == space.residual_rank - 1
    hc0 = factor_covariance(z, fit.resid, df_resid=counts.residual, kind="HC0")
    assert hc0.bse[0] == pytest.approx(ref["HC0"], rel=1e-7)
    years = np.broadcast_to(np.arange(30), (46, 30))
    for name, groups in (("unit", None), ("time", [years])):
        res = factor_covariance(z, fit.resid, df_resid=counts.residual, kind="cluster", groups=groups, ssc=False)
        assert res.bse[0] == pytest.approx(ref[name], rel=1e-7)


@pytest.mark.parametrize("effects", list(SALES_ON_PRICE))
def test_heteroskedasticity_bias_under_additive_effects(levels, effects):
    fit, ref = levels[effects], SALES_ON_PRICE[effects]
    known_factors = np.ones(30) if effects[0] else None
    known_loadings = np.ones(46) if effects[1] else None
    space = factor_space(
        46,
        30,
        factors=fit.factors,
        loadings=fit.loadings,
        known_factors=known_factors,
        known_loadings=known_loadings,
    )
    bread = factor_covariance(project(fit.x, space), fit.resid, df_resid=1).bread
    res = bias_terms(
        fit.x,
        fit.resid,
        fit.factors,
        fit.loadings,
        bread,
        known_factors=known_factors,
        known_loadings=known_loadings,
        m2=0,
    )
    np.testing.assert_allclose((-res.b2[0], -res.b3[0]), ref["bias"], rtol=1e-6)
    assert res.corrected(fit.beta)[0] == pytest.approx(ref["beta_bc"], rel=1e-8)
    assert res.b1[0] == 0
