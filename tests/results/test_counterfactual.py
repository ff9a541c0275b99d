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


def test_linear_averages_have_the_variance_of_a_linear_function_of_predictions(linear: Any, panel: pd.DataFrame) -> None:
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
    limit = fill_by_em(y, treated == 0, 1, 120)
    rng = np.random.default_rng(0)
    data = small.assign(none=rng.normal(size=1000))
    with_noise = gife.InteractiveFE.from_formula(
        "y ~ none | id + time", data, entity="id", time="time", n_factors=1, treated="d"
    ).fit(n_starts=2)
    slope = float(with_noise.params.iloc[0])
    shifted = fill_by_em(y - slope * data["none"].to_numpy().reshape(50, 20), treated == 0, 1, 200)
    expected = y - slope * data["none"].to_numpy().reshape(50, 20) - shifted
    np.testing.assert_allclose(with_noise.counterfactual().cells["effect"], expected[treated == 1], atol=1e-7)
    assert 0.003 < np.abs((y - limit)[treated == 1] - effects).max() < 0.004


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
