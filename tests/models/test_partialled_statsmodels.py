"""Partialled-out least squares against statsmodels with all dummies in the regression."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gifepanel import PartialledOLS
from gifepanel.exceptions import SpecificationWarning
from tests.models.partialled_data import MODELS, dummy_fit, panel

pytestmark = pytest.mark.filterwarnings("ignore:.* nothing to effects and other controls")  # the aliased control

# splines put their knots where the rows are, those with weight zero among them: another regression
CASES = [
    (name, weights)
    for name, (_, partial, _) in MODELS.items()
    for weights in (None, "w", "w0")
    if not (weights == "w0" and "bs(" in partial)
]


@cache
def pair(name: str, weights: str | None) -> tuple[Any, Any, list[str], list[int]]:
    """Our results, statsmodels', names of the coefficients and their positions there."""
    formula, partial, _ = MODELS[name]
    data = panel()
    ours = PartialledOLS.from_formula(formula, data, partial=partial, weights=weights, singletons="keep").fit()
    theirs = dummy_fit(name, weights, data)
    names = list(ours.params.index)
    return ours, theirs, names, [list(theirs.params.index).index(n) for n in names]


@pytest.mark.parametrize(("name", "weights"), CASES)
def test_coefficients_and_tests(name: str, weights: str | None) -> None:
    ours, theirs, names, at = pair(name, weights)
    for what in ("params", "bse", "tvalues"):
        assert_allclose(getattr(ours, what), getattr(theirs, what)[names], rtol=1e-8, atol=1e-12)
    assert_allclose(ours.pvalues, theirs.pvalues[names], rtol=1e-6, atol=1e-14)
    assert_allclose(ours.conf_int(), theirs.conf_int().loc[names], rtol=1e-8)
    assert_allclose(ours.conf_int(0.2), theirs.conf_int(0.2).loc[names], rtol=1e-8)
    assert_allclose(ours.cov_params(), theirs.cov_params().iloc[at, at], rtol=1e-7, atol=1e-12)
    slopes = [k for k, n in enumerate(names) if n != "Intercept"]
    test = theirs.f_test(np.eye(len(theirs.params))[[at[k] for k in slopes]])
    assert_allclose(ours.fvalue, test.fvalue, rtol=1e-8)
    assert_allclose(ours.f_pvalue, test.pvalue, rtol=1e-6, atol=1e-14)
    assert_allclose(
        ours.wald_test(np.eye(len(names))[slopes], use_f=False).pvalue,
        theirs.wald_test(np.eye(len(theirs.params))[[at[k] for k in slopes]], use_f=False, scalar=True).pvalue,
        rtol=1e-6,
        atol=1e-14,
    )


FIT = (
    *("nobs", "df_resid", "df_model", "k_constant", "scale", "llf", "aic", "bic"),
    *(
        "ssr",
        "ess",
        "centered_tss",
        "uncentered_tss",
        "rsquared",
        "rsquared_adj",
        "mse_resid",
        "mse_model",
        "mse_total",
    ),
)


@pytest.mark.parametrize(("name", "weights"), CASES)
def test_measures_of_fit(name: str, weights: str | None) -> None:
    ours, theirs, _, _ = pair(name, weights)
    for what in FIT:
        assert_allclose(getattr(ours, what), getattr(theirs, what), rtol=1e-9, err_msg=what)
    for criterion in ("aic", "bic", "aicc", "hqic"):
        assert_allclose(ours.info_criteria(criterion), theirs.info_criteria(criterion), rtol=1e-9)
    for what in ("resid", "fittedvalues", "wresid"):
        assert_allclose(getattr(ours, what), getattr(theirs, what), atol=1e-9)
        assert getattr(ours, what).index.equals(getattr(theirs, what).index)
    assert_allclose(ours.resid_pearson, theirs.resid_pearson, atol=1e-9)
    assert_allclose(ours.model.loglike(ours.params), theirs.llf, rtol=1e-10)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize(("name", "weights"), CASES)
def test_heteroskedasticity(name: str, weights: str | None, kind: str) -> None:
    ours, theirs, names, at = pair(name, weights)
    robust, reference = ours.get_robustcov_results(kind, use_t=True), theirs.get_robustcov_results(kind)
    assert_allclose(robust.bse, reference.bse[at], rtol=1e-7)
    assert_allclose(robust.pvalues, reference.pvalues[at], rtol=1e-5, atol=1e-14)
    assert_allclose(robust.cov_params(), reference.cov_params()[np.ix_(at, at)], rtol=1e-6, atol=1e-12)
    assert_allclose(getattr(ours, f"cov_{kind}"), getattr(theirs, f"cov_{kind}")[np.ix_(at, at)], rtol=1e-6, atol=1e-12)
    assert_allclose(getattr(ours, f"{kind}_se"), getattr(theirs, f"{kind}_se")[names], rtol=1e-7)


@pytest.mark.parametrize(("name", "weights"), CASES)
def test_clusters(name: str, weights: str | None) -> None:
    ours, theirs, _, at = pair(name, weights)
    data = panel()
    data = data if weights is None else data[data[weights] > 0]
    for use_t in (True, False):
        robust = ours.get_robustcov_results("cluster", groups="block", ssc="statsmodels", use_t=use_t)
        reference = theirs.get_robustcov_results("cluster", groups=data["block"].to_numpy(), use_t=use_t)
        assert_allclose(robust.bse, reference.bse[at], rtol=1e-7)
        assert_allclose(robust.pvalues, reference.pvalues[at], rtol=1e-5, atol=1e-14)
        assert_allclose(robust.conf_int(), reference.conf_int()[at], rtol=1e-7)
    reference = theirs.get_robustcov_results("cluster", groups=data[["block", "year"]].to_numpy())
    expected = reference.cov_params()[np.ix_(at, at)]
    length = np.sqrt(np.diag(np.linalg.inv(theirs.cov_params().iloc[at, at])))
    definite = np.linalg.eigvalsh(expected * np.outer(length, length))[0] > 0
    with nullcontext() if definite else pytest.warns(SpecificationWarning, match="not positive semidefinite"):
        both = ours.get_robustcov_results("cluster", groups=["block", "year"], ssc="statsmodels")
    if definite:
        assert_allclose(both.cov_params(), expected, rtol=1e-6, atol=1e-12)


def test_newey_west_in_the_order_of_rows() -> None:
    ours, theirs, _, at = pair("two effects", None)
    robust = ours.get_robustcov_results("HAC", maxlags=3, ssc="none")
    assert_allclose(robust.bse, theirs.get_robustcov_results("HAC", maxlags=3).bse[at], rtol=1e-8)


@pytest.mark.parametrize("weights", [None, "w"])
def test_score_and_hessian(weights: str | None) -> None:
    """Derivatives of the concentrated likelihood, by differences."""
    from statsmodels.tools.numdiff import approx_fprime, approx_hess

    ours = pair("controls", weights)[0]
    for scale in (None, 2.0):
        at = np.asarray(ours.params) + 0.1

        def loglike(b: np.ndarray, scale: float | None = scale) -> float:
            return ours.model.loglike(b, scale=scale)

        assert_allclose(ours.model.score(at, scale=scale), approx_fprime(at, loglike, centered=True), rtol=1e-6)
        assert_allclose(ours.model.hessian(at, scale=scale), approx_hess(at, loglike), rtol=1e-4)
    assert_allclose(ours.model.score(ours.params), 0, atol=1e-8)


@pytest.mark.parametrize("name", ["two effects", "slopes and year", "controls"])
@pytest.mark.parametrize("factor", [1e-8, 1e8])
def test_scale_of_weights(name: str, factor: float) -> None:
    """Analytic weights: what they sum to does not matter."""
    formula, partial, _ = MODELS[name]
    data = panel().assign(v=lambda d: d["w"] * factor)
    one = PartialledOLS.from_formula(formula, data, partial=partial, weights="w").fit(cov_type="HC3")
    two = PartialledOLS.from_formula(formula, data, partial=partial, weights="v").fit(cov_type="HC3")
    assert_allclose(two.params, one.params, rtol=1e-10)
    assert_allclose(two.bse, one.bse, rtol=1e-9)
    assert_allclose(two.rsquared_within, one.rsquared_within, rtol=1e-10)


@pytest.mark.parametrize("factor", [1e-6, 1e9])
@pytest.mark.parametrize("name", ["two effects", "three effects", "slopes and year", "controls"])
def test_scale_of_variables(name: str, factor: float) -> None:
    formula, partial, _ = MODELS[name]
    data = panel()
    one = PartialledOLS.from_formula(formula, data, partial=partial).fit()
    two = PartialledOLS.from_formula(formula, data.assign(y=data["y"] * factor), partial=partial).fit()
    assert_allclose(two.params / factor, one.params, rtol=1e-10)
    names = [n for n in ("x1", "x2", "trend", "z1") if n in formula + partial]
    three = PartialledOLS.from_formula(
        formula, data.assign(**{n: data[n] * factor for n in names}), partial=partial
    ).fit()
    assert_allclose(three.params[["x1", "x2"]] * factor, one.params[["x1", "x2"]], rtol=1e-10)
    assert_allclose(three.tvalues, one.tvalues, rtol=1e-9)


def test_large_constants_do_not_matter() -> None:
    """A regressor and a slope variable far from zero, such as a date: variation is what counts."""
    data = panel()
    data["far"], data["date"] = data["x1"] + 2.0**34, data["trend"] + 2.0**20
    plain = PartialledOLS.from_formula("y ~ x1 + x2 | firm[trend] + year", data).fit()
    shifted = PartialledOLS.from_formula("y ~ far + x2 | firm[date] + year", data).fit()
    assert_allclose(shifted.params, plain.params, rtol=1e-5)
    assert shifted.degrees == plain.degrees
    effects = shifted.effects()
    fitted = (
        effects["firm"].loc[data["firm"]].to_numpy() + effects["firm[date]"].loc[data["firm"]].to_numpy() * data["date"]
    )
    fitted = fitted + effects["year"].loc[data["year"]].to_numpy() + data[["far", "x2"]] @ shifted.params
    assert_allclose(fitted, shifted.fittedvalues, atol=1e-4)
