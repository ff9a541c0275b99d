"""Clusters by name, level, list and array; t or normal distribution; lags."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from gifepanel import GroupedIFE, InteractiveFE

FORMULA = "y ~ 0 + x1 + x2"


def model(data: Any, **options: Any) -> InteractiveFE:
    return InteractiveFE.from_formula(FORMULA, data, n_factors=2, **options)


def bse(data: Any, groups: Any) -> np.ndarray:
    options = {} if isinstance(data, pd.DataFrame) and data.index.nlevels == 2 else {"entity": "entity", "time": "time"}
    return np.asarray(model(data, **options).fit(cov_type="cluster", cov_kwds={"groups": groups}).bse)


def test_every_way_to_name_the_clusters(panel: pd.DataFrame) -> None:
    expected = bse(panel, "region")
    column = panel["region"]
    shuffled = panel.sample(frac=1, random_state=0)
    for groups in (
        *("region", ["region"], ("region",), column, [column], column.to_numpy(), column.tolist()),
        *(column.astype("category"), column.map(ord).to_numpy(), column.iloc[::-1], panel[["region"]]),
    ):
        np.testing.assert_allclose(bse(panel, groups), expected, rtol=1e-12)
    np.testing.assert_allclose(bse(shuffled, "region"), expected, rtol=1e-9)
    np.testing.assert_allclose(bse(shuffled, column), expected, rtol=1e-9)
    np.testing.assert_allclose(bse(shuffled, shuffled["region"].to_numpy()), expected, rtol=1e-9)
    np.testing.assert_allclose(bse(panel.reset_index(), "region"), expected, rtol=1e-12)
    np.testing.assert_allclose(bse(pl.from_pandas(panel.reset_index()), "region"), expected, rtol=1e-12)


def test_entities_are_the_default(panel: pd.DataFrame) -> None:
    expected = model(panel).fit(cov_type="cluster").bse
    for groups in ("entity", None, panel.index.get_level_values("entity").to_numpy()):
        np.testing.assert_allclose(bse(panel, groups), expected, rtol=1e-12)


def test_two_ways(panel: pd.DataFrame) -> None:
    data = panel.assign(half=np.arange(480) % 48, other=np.arange(480) // 13)
    expected = bse(data, ["half", "other"])
    for groups in (("other", "half"), data[["half", "other"]], data[["half", "other"]].to_numpy()):
        np.testing.assert_allclose(bse(data, groups), expected, rtol=1e-12)
    np.testing.assert_allclose(bse(data, ["half", data["other"]]), expected, rtol=1e-12)


def test_arrays_are_clustered_by_arrays(panel: pd.DataFrame) -> None:
    y, x = panel["y"].to_numpy().reshape(24, 20), panel[["x1", "x2"]].to_numpy().reshape(24, 20, 2)
    region = panel["region"].to_numpy().reshape(24, 20)
    expected = bse(panel, "region")
    arrays = InteractiveFE(y, x, n_factors=2)
    for groups in (region, region[:, 0], region.ravel()):
        found = arrays.fit(cov_type="cluster", cov_kwds={"groups": groups}).bse
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(
        arrays.fit(cov_type="cluster", cov_kwds={"groups": "time"}).bse, bse(panel, "time"), rtol=1e-12
    )


def test_clusters_follow_dropped_rows(panel: pd.DataFrame) -> None:
    """Rows lost to a lag take their labels with them."""
    formula = "y ~ 0 + L(x1) + x2"
    by_name = InteractiveFE.from_formula(formula, panel, n_factors=2).fit(
        cov_type="cluster", cov_kwds={"groups": "region"}
    )
    kept = panel["region"].loc[by_name.resid.index].to_numpy()
    for groups in (panel["region"], panel["region"].to_numpy(), kept):
        other = InteractiveFE.from_formula(formula, panel, n_factors=2).fit(
            cov_type="cluster", cov_kwds={"groups": groups}
        )
        np.testing.assert_allclose(other.bse, by_name.bse, rtol=1e-12)


def test_distribution(panel: pd.DataFrame) -> None:
    ready = GroupedIFE.from_formula(FORMULA, panel, n_groups=3, n_factors=2)
    assert ready.fit().use_t and not ready.fit(cov_type="HC1").use_t
    assert not ready.fit(use_t=False).use_t and ready.fit(cov_type="HC1", use_t=True).use_t
    assert ready.fit(cov_type="HC1", cov_kwds={"use_t": True}).use_t
    normal, student = ready.fit(use_t=False), ready.fit()
    np.testing.assert_allclose(normal.bse, student.bse)
    assert (normal.pvalues <= student.pvalues).all() and (normal.pvalues < student.pvalues).any()


@pytest.mark.parametrize("alias", [("HC1", "robust"), ("HAC", "hac-panel"), ("driscoll-kraay", "hac-groupsum")])
def test_names_of_other_packages(panel: pd.DataFrame, alias: tuple[str, str]) -> None:
    one, two = (model(panel).fit(cov_type=name) for name in alias)
    np.testing.assert_array_equal(one.bse, two.bse)
    assert one.cov_type == two.cov_type


def test_lags(panel: pd.DataFrame) -> None:
    zero = model(panel).fit(cov_type="HAC", cov_kwds={"maxlags": 0})
    np.testing.assert_allclose(zero.bse, model(panel).fit(cov_type="HC1").bse, rtol=1e-12)
    bartlett = model(panel).fit(cov_type="HAC", cov_kwds={"maxlags": 3, "kernel": "bartlett"})
    assert "HAC, bartlett, 3 lags" in str(bartlett.summary())


def test_an_error_variance_that_is_given(panel: pd.DataFrame) -> None:
    """Statsmodels' "fixed scale": the scale over that of the fit times the plain covariance, and a report says so."""
    plain = model(panel).fit()
    fixed = model(panel).fit(cov_type="fixed scale", cov_kwds={"scale": 3.0})
    np.testing.assert_allclose(fixed.cov_params(), plain.cov_params() * 3.0 / plain.scale, rtol=1e-12)
    assert fixed.scale == 3.0
    assert "fixed scale" in str(fixed.summary())
