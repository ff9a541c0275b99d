"""``to_statsmodels`` against the regression with all dummies, and against the model's own inference."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression
from statsmodels.regression.linear_model import OLS, WLS

from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS
from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.interop.statsmodels import nuisance_columns
from tests.interop.conftest import demand
from tests.models.partialled_data import MODELS, dummy_fit, panel

pytestmark = pytest.mark.filterwarnings("ignore:.* nothing to effects and other controls")  # the aliased control


def first(values: Any, res: Any) -> Any:
    """The coefficients of the model among those of a larger regression."""
    return np.asarray(values)[: len(res.params)]


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("name", MODELS)
def test_dummies_are_the_full_regression(name: str, weights: str | None) -> None:
    formula, partial, _ = MODELS[name]
    data = panel()
    model = PartialledOLS.from_formula(formula, data, partial=partial, weights=weights, singletons="keep")
    res = model.fit()
    full, reference = res.to_statsmodels(dummies=True), dummy_fit(name, weights, data)
    assert type(full.model) is (OLS if weights is None else WLS)
    assert list(full.params.index[: len(res.params)]) == list(res.params.index)
    assert_allclose(first(full.params, res), res.params, rtol=1e-8)
    assert_allclose(first(full.bse, res), res.bse, rtol=1e-8)
    assert_allclose(full.fittedvalues, reference.fittedvalues, rtol=1e-8, atol=1e-8)
    assert full.df_resid == reference.df_resid == full.nobs - full.model.exog.shape[1]
    assert_allclose([full.llf, full.aic, full.rsquared], [reference.llf, reference.aic, reference.rsquared], rtol=1e-9)


@pytest.mark.parametrize("weights", [None, "w0"])
@pytest.mark.parametrize("name", ["two effects", "slopes", "controls", "nothing"])
def test_plain_regression_has_the_models_inference(name: str, weights: str | None) -> None:
    formula, partial, _ = MODELS[name]
    model = PartialledOLS.from_formula(formula, panel(), partial=partial, weights=weights, singletons="keep")
    res = model.fit()
    plain = res.to_statsmodels()
    assert_allclose(plain.params, res.params, rtol=1e-10)
    assert_allclose(plain.bse, res.bse, rtol=1e-10)
    assert_allclose(plain.resid, res.resid, rtol=1e-8, atol=1e-10)
    assert plain.df_resid == res.df_resid
    assert_allclose(plain.conf_int(), res.conf_int(), rtol=1e-10)
    assert_allclose(plain.rsquared, res.rsquared if name == "nothing" else res.rsquared_within, rtol=1e-10)
    assert_allclose(res.to_statsmodels(cov_type="HC0").bse, res.HC0_se, rtol=1e-10)


@pytest.mark.parametrize("name", ["grouped", "single", "mixed"])
def test_factors_as_regressors_give_estimates_and_errors(name: str, request: pytest.FixtureRequest) -> None:
    """Dummies times factors and loadings span what factors can take up: inference is the model's own."""
    res = request.getfixturevalue(name)
    own = res.get_robustcov_results("nonrobust", groups_known=True)
    for other in (res.to_statsmodels(), res.to_statsmodels(dummies=True)):
        assert (np.abs(first(other.params, res) - res.params_uncorrected) < 1e-7 * own.bse).all()
        assert_allclose(first(other.bse, res), own.bse, rtol=1e-8)
        assert other.df_resid == res.df_resid
    assert other.model.exog.shape[1] == res.nobs - res.df_resid
    if name != "mixed":  # there the fit is at slopes corrected for bias
        assert_allclose(other.resid, res.resid, atol=1e-7)
        assert_allclose([other.llf, other.rsquared, other.bic], [res.llf, res.rsquared, res.bic], rtol=1e-9)


def test_entity_dummies_times_factors_alone_give_the_coefficients(single: Any) -> None:
    columns = nuisance_columns(single)
    chosen = [j for j, name in enumerate(columns.names) if not name.endswith(("loading1", "loading2"))]
    exog = np.column_stack([single.model.design.exog, columns.columns[:, chosen]])
    found = np.linalg.lstsq(exog, single.model.design.endog, rcond=None)[0]
    assert_allclose(found[:2], single.params, rtol=1e-8)


def test_without_factors_it_is_least_squares_with_dummies() -> None:
    data = demand()
    res = InteractiveFE.from_formula("ls ~ lp + li | state + year", data, n_factors=0).fit()
    ours = PartialledOLS.from_formula("ls ~ lp + li | state + year", data).fit()
    for other in (res.to_statsmodels(dummies=True), ours.to_statsmodels(dummies=True)):
        assert_allclose(first(other.params, res), ours.params, rtol=1e-8)
        assert_allclose(first(other.bse, res), ours.bse, rtol=1e-8)


def test_rows_and_names_are_the_callers() -> None:
    data = demand().sample(frac=1.0, random_state=3)
    res = GroupedIFE.from_formula("ls ~ lp | state", data, n_groups=2, n_factors=1).fit()
    for other in (res.to_statsmodels(), res.to_statsmodels(dummies=True)):
        assert other.fittedvalues.index.equals(data.index)
        assert list(other.params.index[:2]) == ["lp[1]", "lp[2]"]
        assert other.model.endog_names == "ls"
    assert {"state[Wyoming]", "state[Wyoming]:factor1", "year[1992]:loading1"} <= set(other.params.index)


def test_too_many_dummies_are_counted() -> None:
    res = PartialledOLS.from_formula("ls ~ lp | state + year", demand()).fit()
    with pytest.raises(SpecificationError, match=r"76 dummies and controls on 1380 rows.*max_columns=76"):
        res.to_statsmodels(dummies=True, max_columns=75)
    assert res.to_statsmodels(dummies=True, max_columns=76).df_resid == res.df_resid


def test_what_has_no_plain_regression_says_so(single: Any) -> None:
    model = PartialledOLS.from_formula("y ~ x1 | firm", panel(), partial="z1", learner=LinearRegression())
    with pytest.raises(SpecificationError, match="orthogonal score"):
        model.fit().to_statsmodels()
    gone = pickle.loads(pickle.dumps(single))
    gone.remove_data()
    for dummies in (False, True):
        with pytest.raises(DataError, match="remove_data"):
            gone.to_statsmodels(dummies=dummies)
