"""What results of panels with holes hold: rows of observed cells, measures that count them, shares of factors."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel import InteractiveFE, PartialledOLS

N, T = 9, 8
IDS = {"entity": "firm", "time": "year"}


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    """Every cell of a panel."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"firm": np.repeat(list("abcdefghi"), T), "year": np.tile(range(2001, 2001 + T), N)})
    frame["x1"], frame["x2"] = rng.normal(size=(2, N * T))
    common = np.outer(rng.normal(size=N), rng.normal(size=T)).ravel()
    return frame.assign(y=7 + frame["x1"] - frame["x2"] + 2 * common + rng.normal(size=N * T))


@pytest.fixture(scope="module")
def data(cells: pd.DataFrame) -> pd.DataFrame:
    """The observed ones, in any order, one without an outcome and one without a regressor."""
    seen = cells[np.random.default_rng(4).random(N * T) < 0.8].sample(frac=1, random_state=0).reset_index(drop=True)
    seen.loc[3, "y"], seen.loc[11, "x2"] = np.nan, np.nan
    return seen


@pytest.fixture(scope="module")
def res(data: pd.DataFrame) -> Any:
    return InteractiveFE.from_formula("y ~ x1 + x2 | firm", data, n_factors=1, **IDS).fit()


@pytest.mark.parametrize(
    ("effects", "weights"),
    [("firm", None), ("firm + year", None), ("year", None), ("firm", "w"), ("firm + year + firm[trend]", "v")],
)
def test_without_factors_it_is_partialled_out_least_squares(
    data: pd.DataFrame, effects: str, weights: str | None
) -> None:
    numbers = np.arange(len(data)) % 4
    formula, data = f"y ~ x1 + x2 | {effects}", data.assign(w=numbers, v=1.5 + numbers, trend=data["year"] - 2000.0)
    found = InteractiveFE.from_formula(formula, data, n_factors=0, weights=weights, **IDS).fit(cov_type="HC1")
    known = PartialledOLS.from_formula(formula, data, weights=weights, **IDS).fit(cov_type="HC1")
    for name in ("nobs", "df_resid", "centered_tss", "ssr", "rsquared", "rsquared_adj", "rsquared_within", "llf", "aic",
                 "bic", "mse_resid", "fvalue"):  # fmt: skip
        assert getattr(found, name) == pytest.approx(getattr(known, name), rel=1e-9), name
    for name in ("params", "bse", "resid", "fittedvalues"):
        pd.testing.assert_series_equal(getattr(found, name), getattr(known, name), rtol=1e-7, atol=1e-9)
    assert found.predict().index.equals(known.fittedvalues.index)
    text = found.summary().as_text()
    assert ("Weights:" in text) == (weights is not None)
    assert found.sample.n_zero_weights == (0 if weights is None else known.model.n_zero_weights)


def test_rows_are_the_observed_ones(data: pd.DataFrame, res: Any) -> None:
    rows = data.dropna().index
    assert res.nobs == len(rows) == res.sample.n_observed
    for values in (res.resid, res.fittedvalues, res.predict()):
        assert values.index.equals(rows)
    np.testing.assert_allclose(res.resid + res.fittedvalues, data["y"][rows], rtol=1e-12)
    np.testing.assert_allclose(res.predict(), res.fittedvalues, rtol=1e-10)
    assert res.factors.shape == (T, 1)
    assert res.loadings.shape == (N, 1)
    counts = data.dropna().groupby("firm").size()
    assert (res.sample.shortest, res.sample.longest) == (
        (counts.idxmin(), counts.min()),
        (counts.idxmax(), counts.max()),
    )


def test_shares_of_factors_are_of_observed_cells(data: pd.DataFrame, res: Any) -> None:
    rows = data.dropna()
    common = res.loadings.loc[rows["firm"], "factor1"].to_numpy() * res.factors.loc[rows["year"], "factor1"].to_numpy()
    assert res.factor_shares.tolist() == pytest.approx([common @ common / (common @ common + res.ssr)])
    two = InteractiveFE.from_formula("y ~ x1 + x2 | firm", data, n_factors=2, **IDS).fit()
    observed = two.model.design.index.observed
    together = (two.loadings.to_numpy() @ two.factors.to_numpy().T)[observed]
    assert two.factor_shares.sum() == pytest.approx(together @ together / (together @ together + two.ssr))
    assert (two.factor_shares > 0).all()


def test_without_the_data(cells: pd.DataFrame, data: pd.DataFrame, res: Any) -> None:
    again = pickle.loads(pickle.dumps(res))
    whole, text = res.predict(cells), res.summary().as_text()
    assert whole.notna().all()
    cube = np.stack([cells[name].to_numpy().reshape(N, T) for name in ("x1", "x2")], axis=2)
    np.testing.assert_array_equal(res.predict(cube), whole)
    again.remove_data()
    assert (again.nobs, again.rsquared, again.summary().as_text()) == (res.nobs, res.rsquared, text)
    np.testing.assert_array_equal(again.predict(cells), whole)
    np.testing.assert_array_equal(again.predict(cube), whole)
    words = f"{int(res.nobs)} of {N * T} cells are observed"
    assert words in text
    assert words in again.report(plots=False)


def test_homogeneity_is_tested_on_observed_cells(res: Any) -> None:
    test = res.test_homogeneity()
    assert np.isfinite(test.statistic)
    assert 0 <= test.pvalue <= 1
