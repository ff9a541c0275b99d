"""What may be handed to ``predict``, as in statsmodels: frames, rows of them, mappings, arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose

import gifepanel as gife
from gifepanel.exceptions import DataError, SpecificationError


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"firm": np.repeat(np.arange(12), 8), "year": np.tile(np.arange(8), 12)})
    d["x1"], d["x2"] = rng.normal(size=96), rng.normal(size=96)
    d["y"] = d["x1"] - d["x2"] + d["firm"] + rng.normal(size=96)
    return d


def test_least_squares_as_in_statsmodels(data: pd.DataFrame) -> None:
    ours = gife.PartialledOLS.from_formula("y ~ x1 + x2", data).fit()
    theirs = smf.ols("y ~ x1 + x2", data).fit()
    want = theirs.predict(data.head(3))
    assert_allclose(ours.predict(exog=data.head(3)), want)
    assert_allclose(ours.predict(data.iloc[1]), want.iloc[[1]])
    assert ours.predict(data.iloc[1]).index.tolist() == [1]
    assert_allclose(ours.predict({"x1": data["x1"][:3], "x2": data["x2"][:3]}), want)
    design = np.column_stack([np.ones(3), data[["x1", "x2"]].head(3)])
    assert_allclose(ours.predict(design, transform=False), theirs.predict(design, transform=False))
    assert_allclose(ours.predict(design, False), want)
    assert_allclose(ours.get_prediction(exog=data.head(3)).predicted_mean, want)

    arrays = gife.PartialledOLS(data["y"].to_numpy(), data[["x1", "x2"]].to_numpy()).fit()
    plain = sm.OLS(data["y"].to_numpy(), data[["x1", "x2"]].to_numpy()).fit()
    assert_allclose(arrays.predict(design[:, 1:]), plain.predict(design[:, 1:]))
    assert_allclose(arrays.predict(design[0, 1:]), plain.predict(design[0, 1:]))
    column = gife.PartialledOLS(data[["y"]].to_numpy(), data[["x1", "x2"]].to_numpy()).fit()
    assert_allclose(column.params, arrays.params)


def test_regressors_with_names_go_by_them(data: pd.DataFrame) -> None:
    """statsmodels goes by position; here a name says which regressor it is, whatever its place."""
    pooled = gife.PartialledOLS.from_formula("y ~ 0 + x1 + x2", data).fit()
    factors = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", data, entity="firm", time="year", n_factors=0).fit()
    rows = data[["x2", "x1"]].head(4).set_axis(list("abcd"))
    for res in (pooled, factors):
        want = data[["x1", "x2"]].head(4).to_numpy() @ res.params.to_numpy()
        for given in (
            rows,
            pl.from_pandas(rows),
            pa.table(rows.to_dict("list")),
            rows.to_dict("list"),
            rows.to_numpy()[:, ::-1],
        ):
            assert_allclose(res.predict(given, transform=False), want)
        assert_allclose(res.predict(rows.iloc[1], transform=False), want[1])
        assert res.predict(rows, transform=False).index.tolist() == list("abcd")
        for missing in (rows.rename(columns={"x1": "z"}), {"x1": [1.0]}, rows.iloc[0].rename({"x1": "z"})):
            with pytest.raises(DataError, match="have no 'x"):
                res.predict(missing, transform=False)
        with pytest.raises(SpecificationError, match="data and exog"):
            res.predict(rows, exog=rows, transform=False)
        with pytest.raises(SpecificationError, match="data and exog"):
            res.predict(rows.to_numpy(), exog=rows.to_numpy())


def test_a_row_with_an_entity_and_a_period(data: pd.DataFrame) -> None:
    indexed = data.set_index(["firm", "year"])
    for model in (
        gife.PartialledOLS.from_formula("y ~ x1 + x2 | firm + year", indexed),
        gife.InteractiveFE.from_formula("y ~ x1 + x2 | firm", indexed, n_factors=1),
        gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", indexed, n_groups=2, n_factors=1),
    ):
        res = model.fit()
        row = res.predict(indexed.iloc[10])
        assert row.index.tolist() == [indexed.index[10]]
        assert_allclose(row, res.predict(indexed).iloc[[10]])


def test_arrays_of_factor_models(data: pd.DataFrame) -> None:
    y, x = data["y"].to_numpy().reshape(12, 8), data[["x1", "x2"]].to_numpy().reshape(12, 8, 2)
    res = gife.InteractiveFE(y, x, n_factors=1, absorb="entity").fit()
    assert_allclose(res.predict(x), res.predict())
    assert_allclose(res.predict(x[0], effects=False), x[0] @ res.params)
    assert_allclose(res.predict(x[0], transform=False, effects=False), x[0] @ res.params)
    grouped = gife.GroupedIFE(y, x, n_groups=2, n_factors=1).fit()
    assert_allclose(grouped.predict(x), grouped.predict())
    with pytest.raises(DataError, match="which entity and period"):
        grouped.predict(x[0], effects=False)


def test_wrong_arrays_are_named(data: pd.DataFrame) -> None:
    res = gife.PartialledOLS(data["y"].to_numpy(), data[["x1", "x2"]].to_numpy()).fit()
    with pytest.raises(DataError, match=r"shape \(4, 3\).*2 columns: x1, x2"):
        res.predict(np.zeros((4, 3)))
    with pytest.raises(SpecificationError, match="data and exog"):
        res.predict(data, exog=data)
    within = gife.PartialledOLS.from_formula("y ~ x1 | firm", data).fit()
    with pytest.raises(SpecificationError, match="transform=False came with effects"):
        within.predict(np.zeros((4, 1)), transform=False)


def test_periods_out_of_the_sample_where_nothing_depends_on_them(data: pd.DataFrame) -> None:
    later = data.assign(year=data["year"] + 100)
    ids = {"entity": "firm", "time": "year"}
    within = smf.ols("y ~ x1 + x2 + C(firm)", data).fit()
    res = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2 | firm", data, n_factors=0, **ids).fit()
    assert_allclose(res.predict(later), within.predict(data), atol=1e-10)
    grouped = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2 | firm", data, n_groups=2, n_factors=0, **ids).fit()
    assert_allclose(grouped.predict(later), grouped.predict(data))
    by_time = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2 | year", data, n_factors=0, **ids).fit()
    other = data.assign(firm=data["firm"] + 50)
    assert_allclose(by_time.predict(other), by_time.predict(data))
    for failing in (by_time, gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", data, n_factors=1, **ids).fit()):
        with pytest.raises(DataError, match="periods that are not in the sample"):
            failing.predict(later)


def test_clusters_as_columns(data: pd.DataFrame) -> None:
    firm, year = data["firm"].to_numpy(), data["year"].to_numpy()
    model = gife.PartialledOLS.from_formula("y ~ x1", data)
    want = model.fit(cov_type="cluster", cov_kwds={"groups": ["firm", "year"]}).bse
    for groups in ((firm[:, None], year), (firm, year[:, None]), [firm[:, None], year[:, None]]):
        assert_allclose(model.fit(cov_type="cluster", cov_kwds={"groups": groups}).bse, want)
    one = model.fit(cov_type="cluster", cov_kwds={"groups": "firm"}).bse
    assert_allclose(model.fit(cov_type="cluster", cov_kwds={"groups": firm[:, None]}).bse, one)
    factors = gife.InteractiveFE.from_formula("y ~ x1", data, entity="firm", time="year", n_factors=1)
    want = factors.fit(cov_type="cluster", cov_kwds={"groups": ["firm", "year"]}).bse
    assert_allclose(factors.fit(cov_type="cluster", cov_kwds={"groups": (firm[:, None], year)}).bse, want)
