"""Slopes by number of factors: fits of their own, groups under the labels of the one that was asked."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.exceptions import DataError, SpecificationError

FORMULA = "y ~ 0 + x1 + x2"


@pytest.fixture(scope="module")
def data() -> Any:
    return gife.datasets.simulate("S", 30, 14, random_state=1).data


@pytest.fixture(scope="module")
def single(data: Any) -> Any:
    return gife.InteractiveFE.from_formula(FORMULA, data, n_factors=2).fit(cov_type="HAC", cov_kwds={"maxlags": 2})


def test_every_column_is_a_fit_of_its_own(data: Any, single: Any) -> None:
    found = single.factor_sensitivity()
    assert list(found.params) == list(found.bse) == [1, 2, 3] and found.n_factors == 2
    for r in (1, 2, 3):
        model = gife.InteractiveFE.from_formula(FORMULA, data, n_factors=r)
        res = model.fit(cov_type="HAC", cov_kwds={"maxlags": 2})
        np.testing.assert_allclose(found.params[r], res.params, rtol=1e-8)
        np.testing.assert_allclose(found.bse[r], res.bse, rtol=1e-6)
        assert found.fits.loc[r, "residual_sd"] == pytest.approx(np.sqrt(res.ssr / res.df_resid))
    assert (found.change[2] == 0).all()
    assert found.change.loc["x1", 1] == pytest.approx((found.params[1] - found.params[2])["x1"] / single.bse["x1"])
    # design S: the regressors are correlated with the factors, so that one too few moves the slopes
    assert found.change[1].abs().min() > found.change[3].abs().max()
    assert found.to_frame().loc[(3, "x2"), "estimate"] == found.params.loc["x2", 3]
    other = single.get_robustcov_results("HC1").factor_sensitivity([1])
    expected = gife.InteractiveFE.from_formula(FORMULA, data, n_factors=1).fit(cov_type="HC1")
    np.testing.assert_allclose(other.bse[1], expected.bse, rtol=1e-6)


def test_groups_keep_their_labels_and_common_slopes(data: Any) -> None:
    model = gife.GroupedIFE.from_formula("y ~ x1 + x2", data, n_groups=2, n_factors=2)
    res = model.fit()
    found = res.factor_sensitivity()
    assert list(found.params.index) == list(res.params.index) and "Intercept" in found.params.index
    for r in (1, 3):
        other = gife.GroupedIFE.from_formula("y ~ x1 + x2", data, n_groups=2, n_factors=r).fit()
        same = (other.groups == res.groups).mean()
        assert found.fits.loc[r, "same_group"] == pytest.approx(max(same, 1 - same))
        own = other.params if same > 0.5 else other.params.iloc[[0, 3, 4, 1, 2]]
        np.testing.assert_allclose(found.params[r], own, rtol=1e-7)
    assert found.fits.loc[2, "same_group"] == 1.0
    text = " ".join(found.as_text().split())
    assert (
        "2 factors *" in text and "A factor too many costs precision" in text and "Entities in the same group" in text
    )
    axes = found.plot()
    assert [one.get_title(loc="left") for one in axes] == ["Intercept", "x1", "x2"]
    assert [len(one.containers) for one in axes] == [1, 2, 2]


def test_panels_with_holes_and_pickles(data: Any) -> None:
    frame = data.sample(frac=0.85, random_state=0)
    res = gife.InteractiveFE.from_formula("y ~ x1 + x2 | entity", frame, n_factors=1).fit()
    found = pickle.loads(pickle.dumps(res)).factor_sensitivity()
    none = gife.PartialledOLS.from_formula("y ~ x1 + x2 | entity", frame).fit()
    np.testing.assert_allclose(found.params[0], none.params, rtol=1e-7)
    assert list(found.params) == [0, 1, 2]


def test_wrong_numbers(single: Any) -> None:
    for given in ([-1], [1.5], [50], 1.5, [True], "auto"):
        with pytest.raises(SpecificationError, match="whole numbers from 0 to"):
            single.factor_sensitivity(given)
    with pytest.raises(SpecificationError, match="no other number of factors than 2"):
        single.factor_sensitivity([2])
    with pytest.raises(SpecificationError, match="alpha is 2"):
        single.factor_sensitivity([1]).plot(alpha=2)


def test_without_data(data: Any) -> None:
    res = gife.InteractiveFE.from_formula(FORMULA, data, n_factors=1).fit()
    res.remove_data()
    with pytest.raises(DataError, match="remove_data"):
        res.factor_sensitivity()


def test_clusters_by_a_column_are_looked_up_again() -> None:
    """A fitted model copied for other numbers, or fitted once more, keeps the frame that columns are looked up in."""
    data = gife.datasets.load_cigar().assign(region=np.repeat(np.arange(46) // 4, 30))
    model = gife.InteractiveFE.from_formula("log(sales) ~ log(real_price) | state", data, n_factors=1)
    by_column: dict[str, Any] = {"cov_type": "cluster", "cov_kwds": {"groups": "region"}}
    res = model.fit(**by_column)
    np.testing.assert_allclose(res.model.fit(**by_column).bse, res.bse, rtol=1e-12)
    two = gife.InteractiveFE.from_formula("log(sales) ~ log(real_price) | state", data, n_factors=2).fit(**by_column)
    np.testing.assert_allclose(res.factor_sensitivity([2]).bse[2], two.bse, rtol=1e-6)
