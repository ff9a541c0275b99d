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

# R package PanelIFE 0.0 (ls_factor with M1 = M2 = 2, no degrees-of-freedom factor); growth rates of Cigar.
# Its bcorr terms are estimates of the bias, to be subtracted; ours are what is added, hence the sign.
PANELIFE_BETA = {2: (-0.4378155033, 0.1777987881), 5: (-0.3140093369, 0.1593977364)}
PANELIFE_VAR = {
    (2, "nonrobust"): (4.340731748e-4, 9.718494623e-4),
    (2, "HC0"): (6.285573147e-4, 9.568193661e-4),
    (2, "HAC"): (7.609392138e-4, 1.2544719074e-3),
    (5, "HC0"): (5.533600198e-4, 8.504450934e-4),
}
PANELIFE_BCORR = {
    2: (
        (-0.0016234611455, 0.0006831938447),
        (0.002228577227, -0.001817543967),
        (0.005477355219, -0.001848071214),
    ),
    5: (
        (0.0003102164542, 0.0007489837569),
        (-0.0003498265344, 0.0006524472018),
        (-0.002565058559, -0.006656675498),
    ),
}


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


# Sales on Price, R = 2: an independent solution, held against published numbers of
# InteractiveFixedEffectModels.jl (issue 13 and README of 2019), Stata regife and a MATLAB implementation
# of Bai (2009) run in Octave.
SALES_ON_PRICE = {
    (True, False): {
        "none": 0.013059609797005534,
        "effects": 0.013287848549014991,
        "parameters": 0.014117077386204173,
        "df": {"effects": 1333, "parameters": 1181, "rank": 1187},
        "HC0": 0.025819399597534314,
        "unit": 0.03877846284701055,
        "time": 0.037831235847057956,
        "bias": (0.01931959181080798, 1.0031742014573885e-05),
        "beta_bc": -0.44471901059513647,
    },
    (True, True): {
        "none": 0.03821125602775335,
        "effects": 0.03932408704886644,
        "parameters": 0.04184014633896479,
        "df": {"effects": 1303, "parameters": 1151, "rank": 1160},
        "HC0": 0.04708176517956182,
        "unit": 0.08454670958338503,
        "time": 0.08067845263641547,
        "bias": (0.004635603457587074, 9.29278037687923e-05),
        "beta_bc": -0.5288859457894728,
    },
}


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
