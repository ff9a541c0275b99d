"""What would have been: against regressions on dummies, against R's fect, and against itself."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import gifepanel as gife
from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning
from tests.reference.em_numpy import fill_by_em

DATA = Path(__file__).parents[1] / "reference" / "data"
N, T = 30, 16


def staggered(seed: int = 0, n_factors: int = 1) -> pd.DataFrame:
    """Ten of thirty entities treated from period 9, 11 or 13 on; effects of one, growing."""
    rng = np.random.default_rng(seed)
    f, load = rng.normal(size=(T, n_factors)), 1 + rng.normal(size=(N, n_factors))
    x = rng.normal(size=(N, T)) + 0.5 * load @ f.T
    start = np.full(N, T)
    start[:10] = rng.choice([9, 11, 13], size=10)
    since = np.arange(T) - start[:, None]
    y0 = x + load @ f.T + rng.normal(size=(N, 1)) + rng.normal(size=T) + 0.5 * rng.normal(size=(N, T))
    frame = pd.DataFrame(
        {
            "unit": np.repeat([f"u{j:02d}" for j in range(N)], T),
            "year": np.tile(np.arange(2000, 2000 + T), N),
            "y": (y0 + (since >= 0) * (1 + 0.1 * since)).ravel(),
            "x": x.ravel(),
            "d": (since >= 0).astype(int).ravel(),
            "start": np.repeat(np.where(start < T, 2000.0 + start, np.nan), T),
        }
    )
    return frame.set_index(["unit", "year"])


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return staggered()


@pytest.fixture(scope="module")
def linear(panel: pd.DataFrame) -> Any:
    """No factors: the imputation estimator."""
    return gife.InteractiveFE.from_formula("y ~ x | unit + year", panel, n_factors=0, treated="d").fit()


@pytest.fixture(scope="module")
def factor(panel: pd.DataFrame) -> Any:
    return gife.InteractiveFE.from_formula("y ~ x | unit + year", panel, n_factors=1, treated="d").fit(n_starts=2)


@pytest.fixture(scope="module")
def dummies(panel: pd.DataFrame) -> Any:
    """Least squares with dummies on untreated rows, and on all rows with one for each treated cell."""
    flat = panel.reset_index()
    model = smf.ols("y ~ x + C(unit) + C(year)", flat[flat.d == 0]).fit()
    return model, flat


# ---- without factors: least squares with dummies


def test_linear_counterfactuals_are_predictions_of_a_regression_on_dummies(linear: Any, dummies: Any) -> None:
    model, flat = dummies
    treated = flat[flat.d == 1].set_index(["unit", "year"]).sort_index()
    cf = linear.counterfactual(cov_type="nonrobust")
    expected = model.get_prediction(treated.reset_index())
    np.testing.assert_allclose(cf.cells["counterfactual"], expected.predicted_mean, rtol=1e-10)
    np.testing.assert_allclose(cf.cells["se_counterfactual"], expected.se_mean, rtol=1e-9)
    np.testing.assert_allclose(cf.cells["se"], expected.se_obs, rtol=1e-9)
    np.testing.assert_allclose(cf.att, (treated["y"] - expected.predicted_mean).mean(), rtol=1e-10)


def test_linear_averages_have_the_variance_of_a_linear_function_of_predictions(
    linear: Any, panel: pd.DataFrame
) -> None:
    flat = panel.reset_index()
    columns = [pd.get_dummies(flat[name], dtype=float) for name in ("unit", "year")]
    x = np.column_stack([columns[0], columns[1].iloc[:, 1:], flat["x"]])
    inside = (flat["d"] == 0).to_numpy()
    y = flat["y"].to_numpy()
    beta, (ssr,), rank, _ = np.linalg.lstsq(x[inside], y[inside], rcond=None)
    sigma2 = ssr / (inside.sum() - rank)
    mean = x[~inside].mean(axis=0)
    cf = linear.counterfactual(cov_type="nonrobust")
    expected = sigma2 * (mean @ np.linalg.inv(x[inside].T @ x[inside]) @ mean + 1 / (~inside).sum())
    np.testing.assert_allclose([cf.att, cf.att_se**2], [(y - x @ beta)[~inside].mean(), expected], rtol=1e-9)


def test_leads_are_coefficients_of_dummies_on_untreated_rows(linear: Any, dummies: Any) -> None:
    _, flat = dummies
    untreated = flat[flat.d == 0].copy()
    since = untreated.year - untreated.start
    for k in range(1, 6):
        untreated[f"lead{k}"] = (since == -k).astype(float)
    names = [f"lead{k}" for k in range(5, 0, -1)]
    full = smf.ols("y ~ x + C(unit) + C(year) + " + " + ".join(names), untreated).fit()
    cf = linear.counterfactual(cov_type="nonrobust")
    np.testing.assert_allclose(cf.leads["effect"], full.params[names], rtol=1e-8)
    np.testing.assert_allclose(cf.leads["se"], full.bse[names], rtol=1e-8)
    test = cf.test_pretrend()
    expected = (
        full.f_test([f"{name} = 0" for name in names]) if False else full.f_test(", ".join(f"{n} = 0" for n in names))
    )
    np.testing.assert_allclose(
        [test.statistic, test.pvalue], [float(expected.fvalue), float(expected.pvalue)], rtol=1e-7
    )
    assert cf.leads.index.tolist() == [-5, -4, -3, -2, -1]


# ---- R's fect


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    return pd.read_csv(DATA / "fect_small_50x20.csv")


def test_em_stopped_where_fect_stops_has_its_cells_and_goes_on_to_our_minimum(small: pd.DataFrame) -> None:
    """fect 2.4 stops at a change of 1e-3 in its fit after 18 rounds: its effects are off the minimum by up to .004."""
    y, treated = (small[name].to_numpy().reshape(50, 20) for name in ("y", "d"))
    effects = small["effect_ife"].to_numpy().reshape(50, 20)[treated == 1]
    at_their_stop = fill_by_em(y, treated == 0, 1, 18)
    np.testing.assert_allclose((y - at_their_stop)[treated == 1], effects, atol=1e-12)
    limit = (y - fill_by_em(y, treated == 0, 1, 200))[treated == 1]
    assert 0.003 < np.abs(limit - effects).max() < 0.004
    model = gife.InteractiveFE.from_formula(
        "y ~ 1 | id + time", small, entity="id", time="time", n_factors=1, treated="d"
    )
    res = model.fit(n_starts=2)
    np.testing.assert_allclose(res.counterfactual().cells["effect"], limit, atol=1e-8)
    np.testing.assert_allclose(res.mse_resid, 0.23357215, atol=5e-7)


def test_two_way_effects_without_regressors_have_fects_effects(small: pd.DataFrame) -> None:
    """No regressors at all: differences in differences."""
    model = gife.InteractiveFE.from_formula(
        "y ~ 1 | id + time", small, entity="id", time="time", n_factors=0, treated="d"
    )
    res = model.fit()
    cf = res.counterfactual(n_bootstrap=4)
    np.testing.assert_allclose(cf.cells["effect"], small.loc[small.d == 1, "effect_fe"], rtol=1e-11)
    np.testing.assert_allclose(cf.att_se, 0.0766, rtol=0.25)  # fect's parametric bootstrap of 50
    assert cf.test_pretrend().pvalue > 0.01
    assert abs(cf.placebo(2).att) < 0.5
    assert res.params.empty
    assert "Observations" in res.summary().as_text()
    assert res.HC1_se.empty
    assert len(res.impute(small.head(3))) == 3
    assert len(pickle.loads(pickle.dumps(res)).counterfactual().cells) == 90
    with pytest.raises(DataError, match="No regressor is left"):
        gife.InteractiveFE.from_formula("y ~ 1 | id + time", small, entity="id", time="time", n_factors=0)


@pytest.fixture(scope="module")
def simdata() -> pd.DataFrame:
    return pd.read_csv(DATA / "fect_simdata_200x35.csv.gz")


def test_two_way_effects_of_fect(simdata: pd.DataFrame) -> None:
    """Tutorial of fect 1.0.3: 5.121 over cells, 3.622 over units, slopes 1.015 and 2.937, sigma2 6.35460."""
    with pytest.warns(SpecificationWarning, match="untreated past"):
        model = gife.InteractiveFE.from_formula(
            "Y ~ X1 + X2 | id + time", simdata, entity="id", time="time", n_factors=0, treated="D"
        )
    res = model.fit()
    cf = res.counterfactual()
    np.testing.assert_allclose(res.params, [1.015, 2.937], atol=5e-4)
    np.testing.assert_allclose(res.mse_resid, 6.35460, atol=5e-6)
    effect = cf.cells["effect"]
    np.testing.assert_allclose(effect.mean(), 5.121, atol=5e-4)
    np.testing.assert_allclose(effect.groupby(level=0).mean().mean(), 3.622, atol=5e-4)
    np.testing.assert_allclose(cf.att_se, 0.2934, rtol=0.1)  # theirs is of 200 bootstrap samples
    assert cf.left_out == {"no untreated past": 3}
    assert "Treatment ends in" in cf.summary().as_text()


# ---- with factors


def test_cells_hold_their_counterfactuals_and_averages_add_up(factor: Any, panel: pd.DataFrame) -> None:
    cf = factor.counterfactual()
    cells = cf.cells
    treated = panel[panel.d == 1].sort_index()
    assert cells.index.equals(treated.index)
    np.testing.assert_allclose(cells["observed"] - cells["counterfactual"], cells["effect"])
    np.testing.assert_allclose(factor.predict(treated), cells["counterfactual"])
    np.testing.assert_allclose(cf.att, cells["effect"].mean())
    np.testing.assert_allclose(cf.by_event_time["effect"], cells.groupby("event_time")["effect"].mean())
    np.testing.assert_allclose(cf.by_cohort["effect"], cells.groupby("cohort")["effect"].mean())
    np.testing.assert_array_equal(cells["event_time"], treated.index.get_level_values("year") - treated["start"])
    np.testing.assert_array_equal(cells["cohort"], treated["start"])
    assert (cells["se"] > cells["se_counterfactual"]).all()
    assert cf.by_event_time["n_entities"].iloc[0] == 10
    by_entity = factor.counterfactual(average="entities")
    np.testing.assert_allclose(by_entity.att, cells["effect"].groupby(level=0).mean().mean())


def test_factors_tell_effects_from_interactive_effects(linear: Any, factor: Any) -> None:
    """The truth is 1 + .1 event time; without the factor the treated do not fit before their treatment either."""
    truth = (1 + 0.1 * factor.counterfactual().cells["event_time"]).mean()
    cf = factor.counterfactual()
    low, high = cf.conf_int().loc[("ATT", "ATT")]
    assert low < truth < high
    assert cf.test_pretrend().pvalue > 0.05
    assert cf.test_pretrend("equivalence", threshold=1.5).pvalue < cf.test_pretrend("equivalence", threshold=0.1).pvalue


def test_clustered_leads_are_tested_as_hotelling_does(factor: Any) -> None:
    cf = factor.counterfactual()
    test = cf.test_pretrend(leads=2)
    assert test.df == (2, 8)
    found, _, _ = cf._parts.pretrend._fitted(2)
    wald = found.effects @ np.linalg.solve(found.cov, found.effects)
    np.testing.assert_allclose(test.statistic, wald / 2 * 8 / 9)
    with pytest.raises(SpecificationError, match="leads were asked"):
        cf.test_pretrend(leads=13)


def test_intervals_of_all_levels(factor: Any) -> None:
    cf = factor.counterfactual(cov_type="HC2")
    wide, narrow = cf.conf_int(0.01), cf.conf_int(0.1)
    assert (wide["lower"] < narrow["lower"]).all()
    assert wide.index.get_level_values(0).unique().tolist() == ["ATT", "event time", "cohort"]
    with pytest.raises(SpecificationError):
        cf.summary(alpha=2)


def test_anticipation_leaves_periods_out_and_shows_them(panel: pd.DataFrame) -> None:
    res = gife.InteractiveFE.from_formula("y ~ x | unit + year", panel, n_factors=0, treated="d", anticipation=2).fit()
    cf = res.counterfactual()
    assert res.nobs == (panel.d == 0).sum() - 20
    assert cf.by_event_time.index.tolist()[:3] == [-2, -1, 0]
    assert (cf.cells["event_time"] < 0).sum() == 20
    np.testing.assert_allclose(cf.att, cf.cells.loc[cf.cells["event_time"] >= 0, "effect"].mean())
    assert cf.leads.index.max() == -3
    note = " ".join(res.summary().as_text().split())
    assert "treated rows were left out of the fit (d), and 20 before treatment: see .counterfactual()" in note


def test_placebo_in_time_is_the_fit_without_those_periods(linear: Any, panel: pd.DataFrame) -> None:
    found = linear.counterfactual().placebo(2)
    again = gife.InteractiveFE.from_formula("y ~ x | unit + year", panel, n_factors=0, treated="d", anticipation=2)
    cells = again.fit().counterfactual().cells
    np.testing.assert_allclose(found.att, cells.loc[cells["event_time"] < 0, "effect"].mean(), rtol=1e-9)
    assert found._content("text")[0] == "Placebo: 2 periods before treatment"
    with pytest.raises(SpecificationError) as error:
        linear.counterfactual().placebo(30)
    assert "at most 13 periods" in error.value.found
    with pytest.raises(SpecificationError):
        linear.counterfactual().placebo(0)


def test_bootstrap_of_entities_is_near_the_analytic_error_and_the_same_every_time(linear: Any, tmp_path: Any) -> None:
    cf = linear.counterfactual(n_bootstrap=40)
    np.testing.assert_allclose(cf.att_table["se_bootstrap"], cf.att_se, rtol=0.35)
    assert cf.by_event_time["se_bootstrap"].notna().all()
    assert "Bootstrap of entities, 40 draws" in cf.summary().as_text()
    few = [linear.counterfactual(n_bootstrap=4, random_state=3) for _ in range(2)]
    np.testing.assert_array_equal(few[0]._parts.by_event.draws, few[1]._parts.by_event.draws)
    assert len(np.unique(few[0]._parts.overall.draws)) == 4
    for _ in range(2):
        kept = linear.counterfactual(n_bootstrap=4, random_state=3, checkpoint=tmp_path / "run")
        np.testing.assert_array_equal(few[0]._parts.by_event.draws, kept._parts.by_event.draws)
    with pytest.raises(SpecificationError, match="random_state differs"):
        linear.counterfactual(n_bootstrap=4, checkpoint=tmp_path / "run")
    with pytest.raises(SpecificationError):
        linear.counterfactual(n_bootstrap=1)


def test_one_treated_entity(panel: pd.DataFrame) -> None:
    """Nothing to compare its deviations with: the error is that of independent errors."""
    one = panel.assign(d=panel["d"] * (panel.index.get_level_values("unit") == "u03"))
    res = gife.InteractiveFE.from_formula("y ~ x | unit + year", one, n_factors=0, treated="d").fit()
    cluster, plain = (res.counterfactual(cov_type=kind) for kind in ("cluster", "nonrobust"))
    np.testing.assert_allclose(cluster.att_se, plain.att_se, rtol=0.3)
    assert len(cluster.by_cohort) == 1


def test_stored_results_answer_as_before_and_results_without_data_say_so(factor: Any, panel: pd.DataFrame) -> None:
    cf = factor.counterfactual()
    again = pickle.loads(pickle.dumps(cf))
    pd.testing.assert_frame_equal(again.by_event_time, cf.by_event_time)
    loaded = pickle.loads(pickle.dumps(factor))
    np.testing.assert_allclose(loaded.counterfactual().att_se, cf.att_se, rtol=1e-12)
    loaded.remove_data()
    with pytest.raises(DataError, match="remove_data"):
        loaded.counterfactual()
    with pytest.raises(DataError, match="remove_data"):
        loaded.impute(panel)


def test_reports_and_comparisons(factor: Any, linear: Any) -> None:
    text = factor.counterfactual().summary().as_text()
    assert "By event time (0: first treated)" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    for form in ("as_html", "as_latex", "as_markdown", "as_csv"):
        assert "2009" in getattr(factor.counterfactual().summary(), form)()
    table = gife.compare(linear.counterfactual(), factor.counterfactual(), names=["DiD", "IFE"], keep="ATT").as_text()
    assert "ATT" in table
    assert "event time" not in table


def test_pictures(factor: Any) -> None:
    from matplotlib import pyplot as plt

    cf = factor.counterfactual()
    assert len(cf.plot().containers) == len(cf.leads) + len(cf.by_event_time)
    assert cf.plot("gap").get_ylabel() == "y less counterfactual"
    path = cf.plot("paths", "u03")
    np.testing.assert_allclose(path.lines[0].get_ydata().size, T)
    assert cf.plot("paths").get_xlabel().startswith("periods since treatment")
    plt.close("all")
    with pytest.raises(SpecificationError):
        cf.plot("heat")
    with pytest.raises(SpecificationError, match="no treated entity"):
        cf.plot("gap", "u29")


# ---- groups of slopes


def test_groups_have_slopes_of_their_own_in_counterfactuals() -> None:
    """Two groups with slopes of -1 and 2: the pooled fit is off, the grouped one finds effects and groups."""
    rng = np.random.default_rng(8)
    n, t = 40, 20
    slope = np.where(np.arange(n) % 2, 2.0, -1.0)
    x = rng.normal(size=(n, t)) + np.linspace(0, 2, t)
    f, load = rng.normal(size=(t, 1)), 1 + rng.normal(size=(n, 1))
    d = (np.arange(n)[:, None] < 12) & (np.arange(t) >= 14)
    y = slope[:, None] * x + load @ f.T + 0.3 * rng.normal(size=(n, t)) + 1.5 * d
    index = pd.MultiIndex.from_product([range(n), range(t)], names=["i", "t"])
    data = pd.DataFrame({"y": y.ravel(), "x": x.ravel(), "d": d.ravel()}, index=index)
    res = gife.GroupedIFE.from_formula("y ~ 0 + x", data, n_groups=2, n_factors=1, treated="d").fit()
    cf = res.counterfactual(n_bootstrap=10)
    assert abs(cf.att - 1.5) < 3 * cf.att_se < 0.5
    np.testing.assert_array_equal(cf.cells.groupby(level=0)["group"].first(), res.groups[:12])
    assert cf.by_group["n_cells"].tolist() == [36, 36]
    np.testing.assert_allclose(res.predict(data[data.d]), cf.cells["counterfactual"])
    assert cf.by_group["se_bootstrap"].between(0.3 * cf.by_group["se"], 3 * cf.by_group["se"]).all()
    assert abs(cf.placebo(2).att) < 0.3
    assert "By group of slopes" in cf.summary().as_text()
    with pytest.raises(SpecificationError):
        gife.InteractiveFE.from_formula("y ~ 0 + x", data, n_factors=0, treated="d").fit().counterfactual().by_group


# ---- known trends, weights, missing rows


def test_trends_of_entities_weights_and_missing_rows(panel: pd.DataFrame) -> None:
    """Levels and errors against weighted least squares with dummies and trends."""
    rng = np.random.default_rng(5)
    data = panel.assign(
        trend=panel.index.get_level_values("year") - 2008.0,
        w=rng.uniform(0.5, 2, len(panel)),
        pick=rng.random(len(panel)),
    )
    data = data[data["pick"] > 0.08]
    res = gife.InteractiveFE.from_formula(
        "y ~ x | unit + year + unit[trend]", data, n_factors=0, treated="d", weights="w"
    ).fit()
    cf = res.counterfactual(cov_type="nonrobust")
    flat = data.reset_index()
    untreated = flat[flat.d == 0]
    with warnings.catch_warnings():  # trends of all units span that of the years
        warnings.simplefilter("ignore")
        model = smf.wls("y ~ x + C(unit) + C(year) + C(unit):trend", untreated, weights=untreated.w).fit()
    treated = flat[flat.d == 1].sort_values(["unit", "year"])
    expected = model.get_prediction(treated)
    np.testing.assert_allclose(cf.cells["counterfactual"], expected.predicted_mean, rtol=1e-7)
    np.testing.assert_allclose(cf.cells["se_counterfactual"], expected.se_mean, rtol=1e-6)


# ---- filling in


def test_missing_outcomes_are_filled_in_with_the_intervals_of_least_squares(panel: pd.DataFrame) -> None:
    gone = np.random.default_rng(6).random(len(panel)) < 0.1
    data = panel.assign(y=panel["y"].mask(gone))
    res = gife.InteractiveFE.from_formula("y ~ x | unit + year", data, n_factors=0).fit()
    filled = res.impute()
    flat = data.reset_index()
    model = smf.ols("y ~ x + C(unit) + C(year)", flat.dropna(subset=["y"])).fit()
    expected = model.get_prediction(flat[flat["y"].isna()]).summary_frame(alpha=0.05)
    assert filled.index.equals(data.index[gone])
    names = {"imputed": "mean", "se_mean": "mean_se", "lower": "obs_ci_lower", "upper": "obs_ci_upper"}
    for ours, theirs in names.items():
        np.testing.assert_allclose(filled[ours], expected[theirs], rtol=1e-8)
    np.testing.assert_allclose(
        filled[["lower_mean", "upper_mean"]], expected[["mean_ci_lower", "mean_ci_upper"]], rtol=1e-8
    )
    given = res.impute(data[gone].reset_index().set_index(["unit", "year"]), alpha=0.1)
    np.testing.assert_allclose(given["imputed"], filled["imputed"])
    assert (given["upper"] < filled["upper"]).all()
    np.testing.assert_allclose(res.predict(data[gone]), filled["imputed"])


def test_rows_out_of_the_sample_are_not_filled_in(factor: Any, panel: pd.DataFrame) -> None:
    new = panel.head(2).rename(index={2001: 2050}, level="year")
    with pytest.warns(SpecificationWarning, match="1 of 2"):
        filled = factor.impute(new)
    assert filled["imputed"].isna().tolist() == [False, True]
    assert factor.impute().empty
    with pytest.raises(SpecificationError):
        factor.impute(cov_type="cluster")


def test_arrays_are_filled_in_from_arrays() -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(12, 10, 1))
    y = x[:, :, 0] + rng.normal(size=(12, 1)) + 0.1 * rng.normal(size=(12, 10))
    y[3, 4] = np.nan
    res = gife.InteractiveFE(y, x, n_factors=0, absorb="entity").fit()
    with pytest.raises(DataError, match="does not hold the frame"):
        res.impute()
    filled = res.impute(x)
    assert filled.shape == (120, 7)
    assert abs(filled["imputed"].iloc[34] - x[3, 4, 0]) < 4


def test_models_without_treatment_have_no_counterfactual(panel: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        res = gife.InteractiveFE.from_formula("y ~ x | unit", panel, n_factors=0).fit()
    with pytest.raises(SpecificationError) as error:
        res.counterfactual()
    assert "treated=" in error.value.fix
    with pytest.raises(SpecificationError):
        gife.InteractiveFE.from_formula("y ~ x | unit", panel, n_factors=0, treated="d").fit().counterfactual(
            cov_type="HC1"
        )
