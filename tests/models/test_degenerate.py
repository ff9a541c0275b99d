"""Panels at the edge: nothing to explain, nothing identified, next to no data, empty groups."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.exceptions import DataError, FormulaError


def test_outcome_without_variation(panel: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="outcome constant doesn't vary"):
        InteractiveFE.from_formula("constant ~ x1", panel, n_factors=1)
    with pytest.raises(DataError, match="outcome size doesn't vary within the absorbed effects"):
        GroupedIFE.from_formula("size ~ x1 | entity", panel, n_groups=2, n_factors=1)
    assert InteractiveFE.from_formula("size ~ x1", panel, n_factors=0).fit().params.notna().all()


def test_perfect_fit(panel: pd.DataFrame) -> None:
    res = InteractiveFE.from_formula("twice ~ x1", panel.assign(twice=2 * panel["x1"]), n_factors=0).fit()
    assert res.params["x1"] == pytest.approx(2) and res.rsquared == pytest.approx(1)
    assert "twice" in str(res.summary())


def test_time_dummies_beside_factors_are_named(panel: pd.DataFrame) -> None:
    with pytest.raises(FormulaError, match=r"19 dummies of 'time' among the regressors") as error:
        InteractiveFE.from_formula("y ~ x1 + C(time)", panel, n_factors=1)
    assert InteractiveFE.from_formula(str(error.value.fix).strip('"'), panel, n_factors=1).fit().nobs == 480
    assert InteractiveFE.from_formula("y ~ x1 + C(time)", panel, n_factors=0).fit().nobs == 480


def test_a_regressor_that_is_zero_in_a_group(panel: pd.DataFrame) -> None:
    """Named with its group, and the fix works."""
    unit = panel.index.codes[0]
    draws = np.random.default_rng(0).normal(size=480)
    data = panel.assign(rare=np.where(unit < 3, draws, 0.0))
    options = {"n_groups": 3, "n_factors": 2}
    with pytest.raises(DataError, match=r"rare\[\d\]") as caught:
        GroupedIFE.from_formula("y ~ 0 + x1 + x2 + rare", data, **options).fit()
    assert caught.value.fix == "common=['rare']" and "x1" not in caught.value.found
    res = GroupedIFE.from_formula("y ~ 0 + x1 + x2 + rare", data, common=["rare"], **options).fit()
    assert list(res.params.index[:2]) == ["rare", "x1[1]"] and res.bse.notna().all()


@pytest.mark.parametrize("size", [(1, 20), (24, 1), (24, 2), (3, 3)])
def test_panels_too_small_for_tests_on_residuals(panel: pd.DataFrame, size: tuple[int, int]) -> None:
    n, t = size
    data = panel.groupby(level="entity").head(t).groupby(level="time").head(n)
    effects = " | entity" if t == 2 else ""
    res = InteractiveFE.from_formula(f"y ~ x1{effects}", data, n_factors=0).fit()
    text = str(res.summary())
    assert res.nobs == n * t and "x1" in text
    assert ("Residual test" in text) == (not res.diagnostics().empty) == (n > 1 and t > 2)


def test_a_centre_far_from_everybody_is_no_empty_group(panel: pd.DataFrame) -> None:
    model = GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel, n_groups=3, n_factors=2)
    start = [[0, 0], [1, 1], [500, 500]]
    for classify in ("nearest", "refined"):
        for polish in (True, False):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                res = model.fit(start=start, classify=classify, polish=polish)
            assert res.group_sizes.min() >= 1 and res.bse.notna().all()
