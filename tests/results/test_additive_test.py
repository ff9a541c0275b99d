"""Additive against interactive effects: against dummies and dense projections, and where it does not apply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.exceptions import DataError, SpecificationError

FORMULA = "y ~ 0 + x1 + x2"


@pytest.fixture(scope="module")
def data() -> Any:
    return gife.datasets.simulate("S", 20, 10, random_state=3).data


def dense(res: Any, frame: Any, kind: str) -> tuple[float, Any]:
    """The statistic from dummies, row by row; slopes under additive effects."""
    index = frame.index.to_frame(index=False)
    first = (index.iloc[:, 0].to_numpy()[:, None] == np.unique(index.iloc[:, 0])).astype(float)
    second = (index.iloc[:, 1].to_numpy()[:, None] == np.unique(index.iloc[:, 1])).astype(float)
    effects = np.column_stack([first, second[:, 1:]])
    z = np.asarray(res.model.exog)
    y = frame["y"].to_numpy()
    both = np.linalg.lstsq(np.column_stack([z, effects]), y, rcond=None)[0]
    resid, additive = y - np.column_stack([z, effects]) @ both, both[: z.shape[1]]
    within = z - effects @ np.linalg.lstsq(effects, z, rcond=None)[0]
    # off factors and loadings, as columns of the tangent space
    tangent = [first[:, [i]] * (second @ res.factors.to_numpy()) for i in range(first.shape[1])]
    tangent += [second[:, [t]] * (first @ res.loadings.to_numpy()) for t in range(second.shape[1])]
    if res.sample.absorbed:
        tangent.append(first)
    space = np.column_stack(tangent)
    off = z - space @ np.linalg.lstsq(space, z, rcond=None)[0]
    psi = off @ np.linalg.inv(off.T @ off) - within @ np.linalg.inv(within.T @ within)
    df = len(y) - np.linalg.matrix_rank(effects) - z.shape[1]
    if kind == "nonrobust":
        cov = resid @ resid / df * psi.T @ psi
    else:
        scores = psi * resid[:, None]
        n = first.shape[1]
        scores = first.T @ scores if kind == "cluster" else scores
        cov = len(y) / df * (n / (n - 1) if kind == "cluster" else 1.0) * scores.T @ scores
    gap = np.asarray(res.params) - additive
    return float(gap @ np.linalg.solve(cov, gap)), additive


@pytest.mark.parametrize("share", [1.0, 0.9], ids=["complete", "holes"])
@pytest.mark.parametrize(("formula", "r"), [(FORMULA, 2), ("y ~ x1 + x2 | entity", 1)])
def test_against_dummies(data: Any, share: float, formula: str, r: int) -> None:
    frame = data.sample(frac=share, random_state=0).sort_index()
    res = gife.InteractiveFE.from_formula(formula, frame, n_factors=r).fit()
    for kind in ("nonrobust", "HC1", "cluster"):
        found = res.test_additive(cov_type=kind)
        statistic, additive = dense(res, frame, kind)
        assert found.statistic == pytest.approx(statistic, rel=1e-7)
        np.testing.assert_allclose(found.slopes["additive"], additive, rtol=1e-9)
        assert found.df == 2 and found.null == "entity and time effects are enough"
    ols = gife.PartialledOLS.from_formula("y ~ x1 + x2 | entity + time", frame).fit()
    np.testing.assert_allclose(found.slopes["additive"], ols.params, rtol=1e-9)
    assert "clustered by entity" in found.as_text() and "additive" in found._repr_html_()


def test_errors_are_those_of_the_fit(data: Any) -> None:
    model = gife.InteractiveFE.from_formula(FORMULA, data, n_factors=2)
    by = {kind: model.fit(cov_type=kind).test_additive().errors for kind in ("nonrobust", "HC0", "HC1", "cluster")}
    assert by["HC0"] == by["HC1"] == "independent, HC1" and by["cluster"] == "clustered by entity"
    hac = model.fit(cov_type="HAC", cov_kwds={"maxlags": 1}).test_additive()
    assert hac.statistic == model.fit(cov_type="cluster").test_additive().statistic


def test_weights_count_rows(data: Any) -> None:
    frame = data.assign(w=np.random.default_rng(0).uniform(0.5, 2.0, len(data)))
    res = gife.InteractiveFE.from_formula("y ~ x1 + x2 | entity", frame, n_factors=1, weights="w").fit()
    ols = gife.PartialledOLS.from_formula("y ~ x1 + x2 | entity + time", frame, weights="w").fit()
    np.testing.assert_allclose(res.test_additive().slopes["additive"], ols.params, rtol=1e-7)


def test_groups_and_regressors_that_effects_span(data: Any) -> None:
    rng = np.random.default_rng(0)
    frame = data.assign(fixed=np.repeat(rng.standard_normal(20), 10))
    res = gife.InteractiveFE.from_formula(FORMULA + " + fixed", frame, n_factors=2).fit()
    found = res.test_additive("both")
    assert list(found.slopes.index) == ["x1", "x2"] and "fixed: spanned by entity and time effects" in found.note
    grouped = gife.GroupedIFE.from_formula(FORMULA, data, n_groups=2, n_factors=2).fit()
    found = grouped.test_additive()
    assert found.df == 4 and "Groups are those of the fit" in found.note
    alone = gife.InteractiveFE.from_formula("y ~ 0 + fixed", frame, n_factors=1).fit()
    with pytest.raises(SpecificationError, match="leave no regressor any variation"):
        alone.test_additive()


REFUSED = [
    ("y ~ x1 + x2 | entity", 0, None, "The model has no factors", "n_factors=2"),
    ("y ~ x1 + x2 | entity + time", 1, None, "1 factor beside the entity and time effects", "y ~ 0 + x, n_factors=2"),
    (FORMULA, 3, None, "The model has 3 factors, and entity and time effects are 2", "n_factors=2"),
    (FORMULA, 1, "both", "The model has 1 factor, and entity and time effects are 2", 'effects="entity"'),
    ("y ~ x1 + x2 | entity", 1, "time", "absorbs entity effects, and effects is 'time'", 'effects="both"'),
    (FORMULA, 2, "twoway", "effects is 'twoway'", 'effects="both"'),
    ("y ~ 0 + L(y) + x1", 2, None, "L(y) reacts to past errors", "res.factor_sensitivity()"),
]


@pytest.mark.parametrize(("formula", "r", "effects", "found", "fix"), REFUSED, ids=[row[3] for row in REFUSED])
def test_refused(data: Any, formula: str, r: int, effects: Any, found: str, fix: str) -> None:
    res = gife.InteractiveFE.from_formula(formula, data, n_factors=r).fit()
    with pytest.raises(SpecificationError) as caught:
        res.test_additive(effects)
    assert found in caught.value.found and caught.value.fix == fix


def test_errors_asked_for_and_data_that_are_gone(data: Any) -> None:
    res = gife.InteractiveFE.from_formula(FORMULA, data, n_factors=2).fit()
    with pytest.raises(SpecificationError, match="cov_type is 'HAC'"):
        res.test_additive(cov_type="HAC")
    res.remove_data()
    with pytest.raises(DataError, match="remove_data"):
        res.test_additive()
