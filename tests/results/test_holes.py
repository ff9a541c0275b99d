"""Results, hand-overs and pictures of a panel with holes, against the regression on the rows that are there."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection
from numpy.testing import assert_allclose
from statsmodels.stats.diagnostic import linear_reset

import gifepanel as gife
from gifepanel import InteractiveFE, PartialledOLS, diagnostics
from gifepanel.exceptions import SpecificationError
from tests.integration.panels import panel
from tests.reference.on_cells import heterogeneous_on_cells

MEASURES = ("rsquared", "rsquared_adj", "ssr", "centered_tss", "uncentered_tss", "mse_resid", "df_model", "df_resid",
            "llf", "aic", "bic", "nobs", "scale")  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """140 of 160 rows, out of order; firm 3 enters late, firm 7 leaves early, a row of firm 9 stands alone."""
    data = panel()
    firm, year = (data.index.get_level_values(name) for name in ("firm", "year"))
    seen = np.random.default_rng(6).uniform(size=len(data)) > 0.07
    seen[(firm == 3) & (year < 2004)] = seen[(firm == 7) & (year > 2006)] = False
    seen[firm == 9] = np.isin(year[firm == 9], (2001, 2002, 2004, 2006, 2007, 2008))
    return data[seen].sample(frac=1, random_state=1)


@pytest.fixture(scope="module")
def res(rows: pd.DataFrame) -> Any:
    return InteractiveFE.from_formula("y ~ x1 + x2 | firm", rows, n_factors=1).fit()


@pytest.fixture(scope="module")
def full(res: Any, rows: pd.DataFrame) -> Any:
    """The same on all dummies, factors times dummies of firms and loadings times dummies of years."""
    return sm.OLS(rows["y"], all_columns(res, rows)).fit()


def all_columns(res: Any, rows: pd.DataFrame) -> pd.DataFrame:
    firm, year = (pd.get_dummies(rows.index.get_level_values(name)).astype(float) for name in ("firm", "year"))
    factor = res.factors.loc[rows.index.get_level_values("year")].to_numpy()
    loading = res.loadings.loc[rows.index.get_level_values("firm")].to_numpy()
    wide = np.hstack([rows[["x1", "x2"]], firm, firm * factor, year * loading])
    triangle = np.linalg.qr(wide / np.linalg.norm(wide, axis=0), mode="r")
    return pd.DataFrame(wide[:, np.abs(np.diag(triangle)) > 1e-9], index=rows.index)


@pytest.fixture(autouse=True)
def close() -> Any:
    yield
    plt.close("all")


# ---- measures, covariances, tests


def test_everything_is_that_of_the_full_regression(res: Any, full: Any, rows: pd.DataFrame) -> None:
    assert res.nobs == len(rows) < 160
    assert_allclose(res.params, full.params[:2], rtol=1e-8)
    assert_allclose(res.bse, full.bse[:2], rtol=1e-8)
    assert_allclose(res.resid, full.resid, atol=1e-9)
    assert_allclose(res.fittedvalues, full.fittedvalues, atol=1e-8)
    assert list(res.resid.index) == list(rows.index)
    for name in MEASURES:
        assert_allclose(getattr(res, name), getattr(full, name), rtol=1e-8, err_msg=name)
    exog = np.asarray(full.model.exog)
    left = rows["y"] - exog[:, 2:] @ np.linalg.lstsq(exog[:, 2:], rows["y"], rcond=None)[0]
    assert_allclose(res.rsquared_within, 1 - full.ssr / (left @ left), rtol=1e-8)
    assert_allclose(res.model.loglike(res.params), full.llf, rtol=1e-10)
    assert_allclose(res.model.score(res.params + 0.01), numeric_score(res), rtol=1e-4)


def numeric_score(res: Any) -> list[float]:
    at = np.asarray(res.params) + 0.01
    steps = 1e-4 * np.eye(2)
    return [(res.model.loglike(at + step) - res.model.loglike(at - step)) / 2e-4 for step in steps]


def scores(full: Any, rows: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Rows of the covariance's root, times the scores: as many as slopes; by firm and year."""
    exog = np.asarray(full.model.exog)
    found = np.asarray(full.normalized_cov_params)[:2] @ (exog * np.asarray(full.resid)[:, None]).T
    return found, pd.DataFrame(found.T, index=rows.index)


def lagged(table: pd.DataFrame, weights: list[float]) -> np.ndarray:
    """Products of rows of the same firm that are so many years apart, both there."""
    out = np.zeros((2, 2))
    for (firm, year), one in table.iterrows():
        for lag, weight in enumerate(weights):
            if (firm, year + lag) in table.index:
                product = weight * np.outer(one, table.loc[(firm, year + lag)])
                out += product if lag == 0 else product + product.T
    return out


def test_covariances_count_cells_and_lags_are_years(res: Any, full: Any, rows: pd.DataFrame) -> None:
    flat, table = scores(full, rows)
    factor = len(rows) / full.df_resid
    firm, year, block = (rows.reset_index()[name].to_numpy() for name in ("firm", "year", "block"))

    def clustered(ids: Any) -> np.ndarray:
        sums = table.groupby(ids).sum().to_numpy()
        return np.asarray(sums.T @ sums)

    by_year = table.groupby(level="year").sum()
    by_year.index = pd.MultiIndex.from_product([[0], by_year.index])
    expected = {
        "HC0": flat @ flat.T,
        "HC1": flat @ flat.T * factor,
        "cluster": clustered(firm) * factor * 20 / 19,
        "block": clustered(block) * factor * 10 / 9,
        "two": (clustered(firm) + clustered(year) - flat @ flat.T) * factor * 8 / 7,
        "HAC": lagged(table, [1, 2 / 3, 1 / 3]) * factor,
        "driscoll-kraay": lagged(by_year, [1, 1 / 2]) * factor,
    }
    options: dict[str, tuple[str, dict[str, Any]]] = {
        "block": ("cluster", {"groups": rows["block"]}),
        "two": ("cluster", {"groups": ["firm", "year"]}),
        "HAC": ("HAC", {"maxlags": 2, "kernel": "bartlett"}),
        "driscoll-kraay": ("driscoll-kraay", {"maxlags": 1}),
    }
    for name, cov in expected.items():
        kind, keywords = options.get(name, (name, {}))
        got = res.get_robustcov_results(kind, **keywords)
        assert_allclose(got.cov_params(), cov, rtol=1e-7, atol=1e-9 * np.abs(cov).max(), err_msg=name)
    assert_allclose(res.cov_HC1, expected["HC1"], rtol=1e-7, atol=1e-12)
    bread, found = res._covariance.bread, res._results._estimate
    assert_allclose(bread, found.z_projected.reshape(-1, 2).T @ found.z_projected.reshape(-1, 2) / len(rows))


def test_clusters_of_holes_do_not_count(rows: pd.DataFrame, res: Any) -> None:
    """A cluster that a firm is in only in years it is not observed; two clusters of one firm."""
    sector = rows.index.get_level_values("firm").to_numpy() // 4 * 2 + (rows.index.get_level_values("year") > 2004)
    got = res.get_robustcov_results("cluster", groups=sector)
    assert got._covariance.n_groups == (len(np.unique(sector)),)
    estimate = res._results._estimate
    codes = np.arange(160).reshape(20, 8) // 16
    wild = np.where(estimate.observed, codes, 77)
    options = {"df_resid": int(res.df_resid), "kind": "cluster", "observed": estimate.observed}
    from gifepanel.inference import factor_covariance

    one = factor_covariance(estimate.z_projected, estimate.resid, groups=[wild], **options)
    other = factor_covariance(estimate.z_projected, estimate.resid, groups=[codes], **options)
    assert one.n_groups == other.n_groups == (10,)
    assert_allclose(one.cov, other.cov)


def test_tests_on_residuals_are_those_of_the_rows(res: Any) -> None:
    found = res.diagnostics()
    resid = res.resid
    assert found.loc["Jarque-Bera", "statistic"] == pytest.approx(diagnostics.jarque_bera(resid).statistic)
    again = diagnostics.residual_diagnostics(resid, res.factors, res.loadings)
    assert list(found.index) == [test.name for test in again]
    assert_allclose(found["statistic"].iloc[1:], [test.statistic for test in again[1:]], rtol=1e-6)
    assert f"N(3, 24/{len(resid)})" in set(found["distribution"])


def test_nested_models_and_reset(res: Any, full: Any, rows: pd.DataFrame) -> None:
    small = InteractiveFE.from_formula("y ~ x1 | firm", rows, n_factors=1).fit()
    statistic, _, restrictions = res.compare_f_test(small)
    assert statistic == pytest.approx((small.ssr - res.ssr) / (res.ssr / res.df_resid), rel=1e-9) and restrictions == 1
    other = InteractiveFE.from_formula("y ~ x1 | firm", rows.iloc[1:], n_factors=1).fit()
    with pytest.raises(SpecificationError, match="observations"):
        res.compare_f_test(other)
    exog, fitted = np.asarray(full.model.exog), np.asarray(full.fittedvalues)[:, None]
    wide = np.hstack([exog, fitted**2, fitted**3])
    powers = sm.OLS(rows["y"], wide / np.linalg.norm(wide, axis=0)).fit()
    expected = powers.f_test(np.eye(2, wide.shape[1], k=exog.shape[1]))
    assert float(linear_reset(res, use_f=True).statistic) == pytest.approx(float(expected.fvalue), rel=1e-5)


def test_homogeneity_of_slopes(rows: pd.DataFrame, res: Any) -> None:
    plain = InteractiveFE.from_formula("y ~ x1 + x2 | firm", rows, n_factors=0).fit()
    wide = [rows[name].unstack("year").to_numpy() for name in ("y", "x1", "x2")]
    expected = diagnostics.pesaran_yamagata(wide[0], np.stack(wide[1:], axis=2))
    assert plain.test_homogeneity().statistic == pytest.approx(expected.statistic, rel=1e-9)
    assert plain.test_homogeneity().pvalue < 0.01
    firm, year = (rows.index.get_level_values(name) for name in ("firm", "year"))
    short = rows[(firm != 5) | (year < 2004)]
    test = InteractiveFE.from_formula("y ~ x1 + x2 | firm", short, n_factors=0).fit().test_homogeneity()
    assert test.note == "1 entity was left out with 4 periods or fewer."


def test_homogeneity_of_slopes_under_factors(rows: pd.DataFrame) -> None:
    """Against alternating least squares, entity by entity and period by period."""
    res = InteractiveFE.from_formula("y ~ 0 + x1 + x2", rows, n_factors=1).fit()
    y, x1, x2 = (rows[name].unstack("year").to_numpy() for name in ("y", "x1", "x2"))
    x, test = np.stack([x1, x2], axis=2), res.test_homogeneity()
    reference = diagnostics.ando_bai(x, *_als(y, x))
    assert test.name == "Ando-Bai" and test.statistic == pytest.approx(reference.statistic, rel=1e-4)
    late = rows.assign(w=1.0 + (rows["block"] > 3))
    weighted = InteractiveFE.from_formula("y ~ x1 + x2 | firm", late, n_factors=1, weights="w").fit()
    with pytest.raises(SpecificationError, match="has weights"):
        weighted.test_homogeneity()


def _als(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    slopes, factors, loadings, resid = heterogeneous_on_cells(y, x, 1, rounds=20_000, tol=1e-14)
    return slopes, resid, factors, loadings


# ---- hand-overs: rows, not cells


def test_plain_regressions_of_statsmodels(res: Any, full: Any) -> None:
    for plain in (res.to_statsmodels(), res.to_statsmodels(dummies=True)):
        assert_allclose(plain.params[:2], res.params, rtol=1e-8)
        assert_allclose(plain.bse[:2], res.bse, rtol=1e-8)
        assert plain.nobs == full.nobs and plain.df_resid == full.df_resid
    robust = res.to_statsmodels(dummies=True, cov_type="HC1")
    assert_allclose(robust.bse[:2], res.get_robustcov_results("HC1").bse, rtol=1e-7)


def test_augment_has_the_rows_of_the_data(res: Any, rows: pd.DataFrame) -> None:
    missing = rows.assign(y=rows["y"].mask(np.arange(len(rows)) == 4))
    holed = InteractiveFE.from_formula("y ~ x1 + x2 | firm", missing, n_factors=1).fit()
    for own, data in ((res, rows), (holed, missing)):
        frame = own.augment()
        assert frame.index.equals(data.index)
        assert_allclose(frame[".fitted"] + frame[".resid"], frame["y"])
        assert_allclose(frame[".linear"] + frame[".effects"] + frame[".common"], frame[".fitted"], atol=1e-9)
        assert_allclose(frame[".linear"], data[["x1", "x2"]] @ own.params, atol=1e-12) if own is res else None
    assert np.flatnonzero(holed.augment()[".fitted"].isna()).tolist() == [4]
    glance = res.glance().iloc[0]
    assert (glance["nobs"], glance["n_entities"], glance["n_times"]) == (len(rows), 20, 8)


def test_what_was_pruned_has_rows_without_a_fit(rows: pd.DataFrame) -> None:
    firm, year = (rows.index.get_level_values(name) for name in ("firm", "year"))
    data = rows[(firm != 11) | (year < 2003)]
    own = InteractiveFE.from_formula("y ~ x1 + x2 | firm", data, n_factors=1).fit()
    lost = (data.index.get_level_values("firm") == 11).sum()
    assert own.sample.n_pruned == lost <= 2 and own.nobs == len(data) - lost
    fitted = own.augment()[".fitted"]
    assert (fitted.isna() == (data.index.get_level_values("firm") == 11)).all()
    assert "fitted exactly" in own.report(plots=False) or "no part of the fit" in own.report(plots=False)
    assert_allclose(own.to_statsmodels(dummies=True).bse[:2], own.bse, rtol=1e-8)


def test_comparisons_by_other_packages(res: Any, rows: pd.DataFrame) -> None:
    own = gife.interop.linearmodels.wrap(res)
    assert own.nobs == len(rows)
    linear = rows[["x1", "x2"]] @ res.params
    centred = (
        rows["y"] - rows["y"].groupby("firm").transform("mean"),
        linear - linear.groupby("firm").transform("mean"),
    )
    expected = 1 - ((centred[0] - centred[1]) ** 2).sum() / (centred[0] ** 2).sum()
    assert own.rsquared_within == pytest.approx(expected)
    assert "140" in gife.compare(res).as_text() or f"{len(rows)}" in gife.compare(res).as_text()


def test_storage(res: Any) -> None:
    again = pickle.loads(pickle.dumps(res))
    assert_allclose(again.get_robustcov_results("HAC").bse, res.get_robustcov_results("HAC").bse)
    again.remove_data()
    assert again.rsquared == res.rsquared and str(again.summary()) == str(res.summary())


# ---- the half-panel jackknife


def halves(rows: pd.DataFrame, fit: Any) -> pd.Series:
    """Slopes plus what halves of the calendar say of their bias, of firms with periods enough in both."""
    year = rows.index.get_level_values("year")
    parts = [rows[year < 2005], rows[year >= 2005]]
    enough = [part.groupby("firm").size().pipe(lambda n: n.index[n > 1]) for part in parts]
    parts = [part[part.index.get_level_values("firm").isin(enough[0].intersection(enough[1]))] for part in parts]
    weights = [len(part) / sum(map(len, parts)) for part in parts]
    both = fit(pd.concat(parts))
    return fit(rows) + both - sum(w * fit(part) for w, part in zip(weights, parts, strict=True))


def test_jackknife_by_hand(rows: pd.DataFrame) -> None:
    def fit(data: pd.DataFrame) -> pd.Series:
        return PartialledOLS.from_formula("y ~ x1 + x2 | firm", data).fit().params

    firm, year = (rows.index.get_level_values(name) for name in ("firm", "year"))
    for data in (rows, rows[(firm != 4) | (year < 2006)]):
        got = InteractiveFE.from_formula("y ~ x1 + x2 | firm", data, n_factors=0).fit(bias_correction="jackknife")
        assert_allclose(got.params, halves(data, fit), rtol=1e-8)
        assert got.bias_correction == "jackknife" and len(got.resid) == len(data)


def test_jackknife_with_factors_and_where_it_is_refused(rows: pd.DataFrame) -> None:
    def fit(data: pd.DataFrame) -> pd.Series:
        return InteractiveFE.from_formula("y ~ x1 + x2", data, n_factors=1).fit().params

    got = InteractiveFE.from_formula("y ~ x1 + x2", rows, n_factors=1).fit(bias_correction="jackknife")
    assert_allclose(got.params, halves(rows, fit), rtol=1e-5)
    year = rows.index.get_level_values("year")
    late = rows.assign(late=rows["x2"].where(year > 2005, 0.0))
    with pytest.raises(SpecificationError, match="first, 2001 to 2004, late does not vary"):
        InteractiveFE.from_formula("y ~ x1 + late | firm", late, n_factors=0).fit(bias_correction="jackknife")
    firm = rows.index.get_level_values("firm")
    apart = rows[np.where(firm < 10, year < 2005, year >= 2005)]
    with pytest.raises(SpecificationError, match="no entity is in both of them") as caught:
        InteractiveFE.from_formula("y ~ x1 + x2 | firm", apart, n_factors=0).fit(bias_correction="jackknife")
    assert caught.value.fix == "bias_correction=True"


# ---- pictures and the report


def saved(axes: Any) -> None:
    np.ravel(axes)[0].figure.savefig(io.BytesIO(), format="png", dpi=40)


def test_every_picture_is_drawn(res: Any) -> None:
    for name in dir(res.plot):
        if name != "criteria":
            saved(getattr(res.plot, name)(*(["x1"] if name in ("added_variable", "fwl") else [])))


def test_holes_of_the_heat_map_are_hatched_and_counted(res: Any, rows: pd.DataFrame) -> None:
    ax = res.plot.residuals()
    drawn = ax.images[0].get_array()
    assert int(drawn.mask.sum()) == 160 - len(rows)
    assert_allclose(drawn.compressed(), res.resid.sort_index())
    (entry,) = ax.get_legend().legend_handles
    assert entry.get_label() == f"not observed: {160 - len(rows)} of 160 cells"
    assert ax.patch.get_hatch() == entry.get_hatch() != ""
    assert ax.images[0].cmap.get_bad()[3] == 0
    assert res.plot.residuals(cmap="RdBu").images[0].cmap.get_bad()[3] == 0
    plain = PartialledOLS.from_formula("y ~ x1 + x2 | firm", rows).fit().plot.residuals("panel")
    assert plain.get_legend().legend_handles[0].get_label() == entry.get_label()
    complete = PartialledOLS.from_formula("y ~ x1 + x2 | firm", panel()).fit().plot.residuals("panel")
    assert complete.get_legend() is None and complete.patch.get_hatch() is None


def test_points_are_rows_and_lines_break(res: Any, rows: pd.DataFrame) -> None:
    scatter = next(c for c in res.plot.residuals("fitted").collections if isinstance(c, PathCollection))
    assert_allclose(np.sort(scatter.get_offsets()[:, 1]), np.sort(res.resid))
    for name in ("added_variable", "fwl"):
        axes = np.ravel(getattr(res.plot, name)("x1"))
        assert {len(c.get_offsets()) for ax in axes for c in ax.collections if isinstance(c, PathCollection)} <= {
            len(rows),
            3,
        }
    points = np.concatenate([c.get_offsets() for c in res.plot.added_variable("x1", labels=0).collections[:1]])
    assert sm.OLS(points[:, 1], points[:, 0]).fit().params[0] == pytest.approx(res.params["x1"], rel=1e-7)
    (ax,) = res.plot.fitted([9])
    actual, fitted, alone = ax.lines[:3]
    there = np.isin(np.arange(2001, 2009), rows.loc[9].index)
    for line in (actual, fitted):
        assert (np.isfinite(line.get_ydata()) == there).all()
    assert_allclose(alone.get_xdata(), [2004])
    assert len(res.plot.fitted([0])[0].lines) == 2


def test_shares_of_components_are_those_of_the_factors(res: Any) -> None:
    shares = np.concatenate([line.get_ydata() for line in res.plot.scree().lines[1:3]]) / 100
    assert_allclose(shares[0], res.factor_shares.iloc[0])
    assert shares.sum() == pytest.approx(1) and (np.diff(shares) <= 0).all()


def test_the_report_says_what_is_there(res: Any, rows: pd.DataFrame) -> None:
    page = res.report(plots=["residuals", "factors"])
    assert "not observed" in page and "Periods of an entity" in page
    assert f"unbalanced: {100 * len(rows) / 160:.1f}%" in page
