"""marginaleffects: estimates and standard errors of the regression with all dummies, or of the delta method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression

from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS
from gifepanel.datasets import simulate
from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning
from gifepanel.interop.rows import linear_rows, sample_frame, variables
from tests.interop.conftest import demand
from tests.models.partialled_data import MODELS
from tests.models.partialled_data import panel as make_panel

pytestmark = pytest.mark.filterwarnings("ignore:.*get_categories.*:DeprecationWarning")  # marginaleffects of polars
STEP = {"eps_vcov": 1e-3}  # finite differences of a linear function are exact at any step


def panel() -> pd.DataFrame:
    """The flat panel, with categories as marginaleffects wants them for statsmodels."""
    data = make_panel()
    labels = {f"{name}_c": data[name].astype(str).astype("category") for name in ("firm", "year")}
    return data.assign(kind=data["kind"].astype("category"), **labels)


@pytest.fixture(scope="module")
def groups() -> Any:
    data = simulate("S", 30, 15, random_state=1).data
    return GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=3, n_factors=2).fit()


# ---- rows and covariances, without marginaleffects


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize("name", ["two effects", "slopes", "controls", "three effects", "nothing"])
def test_full_covariance_gives_the_variances_of_predictions(name: str, cov_type: str) -> None:
    formula, partial, _ = MODELS[name]
    for weights in (None, "w"):
        model = PartialledOLS.from_formula(formula, make_panel(), partial=partial, weights=weights, singletons="keep")
        res = model.fit(cov_type=cov_type)
        linear = linear_rows(res)
        k = len(res.params)
        assert_allclose(linear.cov[:k, :k], res.cov_params(), rtol=1e-8)
        rows = linear.rows(sample_frame(res))
        expected = res.get_prediction()
        assert_allclose(linear.predict(linear.coef, rows), expected.predicted_mean, rtol=1e-8, atol=1e-10)
        assert_allclose(np.sqrt(np.einsum("nk,kl,nl->n", rows, linear.cov, rows)), expected.se_mean, rtol=1e-7)


def test_rows_of_groups_are_the_slopes_of_the_unit(groups: Any) -> None:
    linear = linear_rows(groups)
    frame = sample_frame(groups)
    assert_allclose(linear.predict(linear.coef, linear.rows(frame)), groups.predict(), rtol=1e-10)
    other = linear_rows(groups, effects=False)
    assert_allclose(other.predict(other.coef, other.rows(frame)), groups.predict(effects=False), rtol=1e-12)
    swapped = frame.assign(latent_group=2)
    slopes = groups.params_by_group.loc[2].to_numpy()
    assert_allclose(other.predict(other.coef, other.rows(swapped)), frame[["x1", "x2"]] @ slopes, rtol=1e-12)
    by_entity = frame.drop(columns="latent_group")
    assert_allclose(other.rows(by_entity), other.rows(frame))
    with pytest.raises(DataError, match="entities that are not in the sample: 99"):
        other.rows(by_entity.assign(entity=99))
    with pytest.raises(DataError, match="no group"):
        other.rows(frame.assign(latent_group=4))


def test_variables_by_what_they_do() -> None:
    model = PartialledOLS.from_formula(
        "y ~ x1*x2 + log(w) | firm^year + region[trend]", make_panel(), partial="z1 + kind"
    )
    found = variables(model.fit())
    assert found.regressors == ("x1", "x2", "w")
    assert set(found.nuisance) == {"firm", "year", "region", "trend", "z1", "kind"}
    assert set(found.labels) == {"firm", "year", "region"}


def test_what_has_no_counterfactual_rows_says_so() -> None:
    data = demand()
    lagged = InteractiveFE.from_formula("ls ~ L(ls) + lp | state", data, n_factors=1).fit()
    with pytest.raises(SpecificationError, match=r"lags or differences.*Put the lag into a column first"):
        variables(lagged)
    rng = np.random.default_rng(0)
    arrays = InteractiveFE(rng.normal(size=(9, 8)), rng.normal(size=(9, 8, 1)), n_factors=1).fit()
    with pytest.raises(DataError, match="no data frame"):
        variables(arrays)
    learned = PartialledOLS.from_formula("y ~ x1", make_panel(), partial="z1", learner=LinearRegression()).fit()
    with pytest.raises(SpecificationError, match="effects=False"):
        linear_rows(learned)
    assert linear_rows(learned, effects=False).names == ("x1",)


# ---- the package itself


@pytest.fixture(scope="module")
def me() -> Any:
    return pytest.importorskip("marginaleffects")


def values(result: Any) -> pd.DataFrame:
    """A result as a pandas frame."""
    frame = getattr(result, "data", result)
    return pd.DataFrame({name: frame[name].to_numpy() for name in frame.columns if frame[name].dtype.is_numeric()})


def same(ours: Any, theirs: Any, rtol: float = 1e-8) -> None:
    left, right = values(ours), values(theirs)
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert_allclose(left[name], right[name], rtol=rtol, atol=1e-9, err_msg=name)


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    """A partialled-out regression, and the one with all dummies."""
    data = panel()
    res = PartialledOLS.from_formula("y ~ x1 * x2 + kind | firm + year", data, partial="z1").fit()
    return res, smf.ols("y ~ x1 * x2 + kind + C(firm_c) + C(year_c) + z1", data).fit()


def test_predictions_are_those_of_the_full_regression(me: Any, pair: tuple[Any, Any]) -> None:
    res, full = pair
    model = res.to_marginaleffects()
    same(me.predictions(model, **STEP), me.predictions(full, **STEP))
    same(me.avg_predictions(model, by="kind", **STEP), me.avg_predictions(full, by="kind", **STEP))
    new = panel().iloc[:7].assign(x1=1.0)
    same(me.predictions(model, newdata=new, **STEP), me.predictions(full, newdata=new, **STEP))


def test_comparisons_and_slopes_are_those_of_the_full_regression(me: Any, pair: tuple[Any, Any]) -> None:
    res, full = pair
    model = res.to_marginaleffects()
    for options in ({"variables": {"x1": [0, 2]}}, {"variables": "kind"}, {"variables": "x2", "by": "kind"}):
        same(me.comparisons(model, **options, **STEP), me.comparisons(full, **options, **STEP))
        same(me.avg_comparisons(model, **options, **STEP), me.avg_comparisons(full, **options, **STEP))
    lift = {"variables": "x1", "comparison": "ratio"}
    same(me.avg_comparisons(model, **lift, eps_vcov=1e-6), me.avg_comparisons(full, **lift, eps_vcov=1e-6), rtol=1e-5)
    chosen = {"variables": ["x1", "x2", "kind"], "eps_vcov": 1.0}
    same(me.avg_slopes(model, **chosen), me.avg_slopes(full, **chosen))
    covariance = res.cov_params()
    x2 = panel()["x2"].to_numpy()
    names = ["x1", "x1:x2"]
    rows = np.column_stack([np.ones_like(x2), x2])
    delta = np.sqrt(np.einsum("nk,kl,nl->n", rows, covariance.loc[names, names].to_numpy(), rows))
    found = values(me.slopes(model, variables="x1", eps_vcov=1.0))
    assert_allclose(found["estimate"], rows @ res.params[names], rtol=1e-8)
    assert_allclose(found["std_error"], delta, rtol=1e-8)


def test_intervals_use_the_degrees_of_freedom_of_the_fit(me: Any, pair: tuple[Any, Any]) -> None:
    res, _ = pair
    found = values(me.hypotheses(res.to_marginaleffects(), **STEP)).iloc[: len(res.params)]
    assert_allclose(found["std_error"], res.bse, rtol=1e-8)
    assert_allclose(found[["conf_low", "conf_high"]], res.conf_int(), rtol=1e-8)
    clustered = res.get_robustcov_results("cluster", groups="firm")
    found = values(me.hypotheses(clustered.to_marginaleffects(), **STEP))
    assert_allclose(found[["conf_low", "conf_high"]], clustered.conf_int(), rtol=1e-8)
    test = me.hypotheses(clustered.to_marginaleffects(), hypothesis="b0 = b1", **STEP)
    assert_allclose(values(test)["std_error"], clustered.t_test("x1 = x2").sd.item(), rtol=1e-8)


def test_other_covariances_by_name(me: Any, pair: tuple[Any, Any]) -> None:
    res, full = pair
    model = res.to_marginaleffects()
    for kind in ("HC0", "HC3"):
        same(me.predictions(model, vcov=kind, **STEP), me.predictions(full, vcov=kind, **STEP), rtol=1e-7)
    assert "std_error" not in values(me.predictions(model, vcov=False))
    with pytest.raises(SpecificationError, match=r"get_robustcov_results"):
        me.predictions(model, vcov={"cluster": "firm"})


def test_clustered_slopes_are_exact_and_levels_warn(me: Any, pair: tuple[Any, Any]) -> None:
    res = pair[0].get_robustcov_results("cluster", groups="firm")
    model = res.to_marginaleffects()
    found = values(me.avg_comparisons(model, variables={"kind": ["a", "c"]}, **STEP))
    assert_allclose(found["std_error"], res.bse["kind[T.c]"], rtol=1e-8)
    with pytest.warns(SpecificationWarning, match="hold effects and controls at their estimates"):
        levels = values(me.predictions(model, **STEP))
    assert_allclose(levels["estimate"], res.fittedvalues, rtol=1e-10)
    with pytest.warns(SpecificationWarning):
        me.avg_slopes(model, variables="x1", slope="eyex")
    linear = values(me.predictions(res.to_marginaleffects(effects=False), **STEP))
    expected = res.get_prediction(effects=False)
    assert_allclose(linear["estimate"], expected.predicted_mean, rtol=1e-10)
    assert_allclose(linear["std_error"], expected.se_mean, rtol=1e-7)
    for name in ("z1", "firm"):
        with pytest.raises(SpecificationError, match=f"Effects of {name} are not estimated"):
            me.avg_comparisons(model, variables=name)


def test_controls_and_levels_can_be_compared_where_they_are_estimated(me: Any, pair: tuple[Any, Any]) -> None:
    res, full = pair
    model = res.to_marginaleffects()
    same(me.avg_comparisons(model, variables="z1", **STEP), me.avg_comparisons(full, variables="z1", **STEP))
    ours = me.avg_comparisons(model, variables={"firm": [3, 7]}, **STEP)
    theirs = me.avg_comparisons(full, variables={"firm_c": ["3", "7"]}, **STEP)
    same(ours, theirs)


def test_slopes_by_group(me: Any, groups: Any) -> None:
    model = groups.to_marginaleffects()
    for name in ("x1", "x2"):
        found = values(me.avg_slopes(model, variables=name, by="latent_group", eps_vcov=1.0))
        own = [f"{name}[{k}]" for k in found["latent_group"]]
        assert_allclose(found["estimate"], groups.params[own], rtol=1e-8)
        assert_allclose(found["std_error"], groups.bse[own], rtol=1e-8)
    average = values(me.avg_slopes(model, variables="x1", eps_vcov=1.0))
    share = groups.group_sizes.to_numpy() / groups.n_entities
    names = [f"x1[{k}]" for k in groups.group_labels]
    assert_allclose(average["estimate"], share @ groups.params[names], rtol=1e-8)
    variance = share @ groups.cov_params().loc[names, names].to_numpy() @ share
    assert_allclose(average["std_error"], np.sqrt(variance), rtol=1e-8)


def test_predictions_follow_the_units_group(me: Any, groups: Any) -> None:
    with pytest.warns(SpecificationWarning, match="hold effects and factors at their estimates"):
        levels = values(me.predictions(groups.to_marginaleffects(), **STEP))
    assert_allclose(levels["estimate"], groups.predict(), rtol=1e-9)
    linear = values(me.predictions(groups.to_marginaleffects(effects=False), **STEP))
    z = groups.model.exog
    assert_allclose(linear["estimate"], groups.predict(effects=False), rtol=1e-10)
    delta = np.sqrt(np.einsum("nk,kl,nl->n", z, groups.cov_params().to_numpy(), z))
    assert_allclose(linear["std_error"], delta, rtol=1e-7)
    model = groups.to_marginaleffects(effects=False)
    grid = me.datagrid(model=model, latent_group=[1, 2, 3], x1=1.0, x2=0.0)
    found = values(me.predictions(model, newdata=grid, **STEP)).sort_values("latent_group")
    assert_allclose(found["estimate"], groups.params[["x1[1]", "x1[2]", "x1[3]"]], rtol=1e-10)
    assert_allclose(found["std_error"], groups.bse[["x1[1]", "x1[2]", "x1[3]"]], rtol=1e-8)


def test_functions_of_variables_and_text_ids(me: Any) -> None:
    data = demand()
    formula = "log(sales) ~ log(real_price) + log(real_income) | state + year"
    for res in (
        PartialledOLS.from_formula(formula, data).fit(),
        InteractiveFE.from_formula(formula, data, n_factors=2).fit(cov_type="cluster"),
    ):
        found = values(me.avg_slopes(res.to_marginaleffects(), variables="real_price", eps_vcov=1.0))
        scale = (1 / data["real_price"]).mean()
        assert_allclose(found["estimate"], res.params["log(real_price)"] * scale, rtol=1e-6)
        assert_allclose(found["std_error"], res.bse["log(real_price)"] * scale, rtol=1e-6)
        model = res.to_marginaleffects(effects=False)
        assert model.find_predictors() == ["real_price", "real_income"]
        same(me.avg_slopes(model, eps_vcov=1.0), me.avg_slopes(res.to_marginaleffects(), eps_vcov=1.0), rtol=1e-6)


def test_polars_data(me: Any) -> None:
    import polars as pl

    flat = demand().reset_index()
    frame = pl.DataFrame({name: flat[name].to_list() for name in flat})
    options: dict[str, Any] = {"n_groups": 2, "n_factors": 1}
    res = GroupedIFE.from_formula("ls ~ lp + li | state", frame, entity="state", time="year", **options).fit()
    found = values(me.avg_slopes(res.to_marginaleffects(), variables="lp", by="latent_group", eps_vcov=1.0))
    assert_allclose(found["estimate"], res.params[["lp[1]", "lp[2]"]], rtol=1e-7)
    some = me.predictions(res.to_marginaleffects(effects=False), newdata=frame.head(5))
    assert_allclose(values(some)["estimate"], res.predict(effects=False)[:5], rtol=1e-10)
