"""Calls written down as source: evaluated, the source is the call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LassoCV, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import gifepanel as gife
from gifepanel.datasets import load_cigar, simulate
from gifepanel.page.source import called, estimator_source
from tests.page.test_report import source


@pytest.mark.parametrize(
    "value",
    [
        3, 0.1, True, None, "a'b", range(1, 4), ["a", "b"], ("a",), (), {"groups": ["firm", "year"], "maxlags": 2},
        np.float64(1 / 3), np.int64(4), np.array([[0.1, 1 / 3], [2.0, 3.0]]), [np.bool_(True)], -1e-300,
    ],
)  # fmt: skip
def test_source_of_values(value: Any) -> None:
    ((name, text),) = called("f", {"option": value}).options
    read = eval(text, {"np": np})
    assert name == "option"
    np.testing.assert_equal(read, value)


def test_defaults_and_what_has_no_effect_are_left_out() -> None:
    given = {"tol": 1e-7, "n_jobs": 4, "progress": False, "metric": "absolute", "ssc": True, "a": 1}
    assert called("f", given, {"tol": 1e-7, "metric": "relative", "ssc": 1}).options == (
        ("metric", '"absolute"'),
        ("ssc", "True"),
        ("a", "1"),
    )


def test_what_is_no_literal_is_named() -> None:
    weights = pd.Series(np.ones(500))
    call = called("f", {"weights": weights, "cov_kwds": {"groups": np.zeros(500, dtype=int), "maxlags": 2}})
    assert dict(call.options) == {"weights": "weights", "cov_kwds": '{"groups": groups, "maxlags": 2}'}
    assert dict(call.given) == {"weights": "Series of 500 values", "groups": "ndarray of 500 values"}
    call = called("f", {"random_state": np.random.default_rng(1), "start": np.array([np.nan])})
    assert "a Generator" in dict(call.given)["random_state"] and "start" in dict(call.given)


@pytest.mark.parametrize(
    "learner",
    [
        Ridge(alpha=0.5),
        LassoCV(cv=3, random_state=1),
        make_pipeline(StandardScaler(with_mean=False), RandomForestRegressor(20, max_depth=3)),
        {"outcome": Ridge(), "treatment": LassoCV(alphas=[0.1, 0.2])},
    ],
)
def test_source_of_learners(learner: Any) -> None:
    found = estimator_source(learner)
    assert found is not None
    text, imports = found
    names: dict[str, Any] = {}
    exec("\n".join(imports), names)
    assert repr(eval(text, names)) == repr(learner)


def test_learners_without_source() -> None:
    class Own(Ridge):
        pass

    assert estimator_source(Own()) is None
    assert estimator_source(make_pipeline(FunctionTransformer(lambda x: x), Ridge())) is None
    assert estimator_source({"outcome": Ridge(), "treatment": Own()}) is None


def run(text: str, **names: Any) -> Any:
    exec(source(text), names)
    return names["res"]


def same(found: Any, wanted: Any) -> None:
    np.testing.assert_array_equal(found.params, wanted.params)
    np.testing.assert_array_equal(found.bse, wanted.bse)
    np.testing.assert_array_equal(found.pvalues, wanted.pvalues)


def test_every_option_of_a_grouped_fit(capsys: pytest.CaptureFixture[str]) -> None:
    data = simulate("D", 30, 25, random_state=4).data.reset_index()
    model = gife.GroupedIFE.from_formula(
        "y ~ 0 + L(y) + x1 | entity",
        data,
        entity="entity",
        time="time",
        n_groups=2,
        n_factors="auto",
        predetermined=["x1"],
    )
    start = np.array([[0.2, 0.5], [0.7, 1.5]])
    fit = model.fit(kappa_scale=0.7, classify="nearest", start=start, bias_correction="jackknife", random_state=5,
                    cov_type="cluster", cov_kwds={"groups": "entity"}, ssc=False, n_jobs=1)  # fmt: skip
    same(run(fit.report(plots=False), data=data), fit)
    robust = fit.get_robustcov_results("HC0").get_robustcov_results("HAC", maxlags=2, use_t=True)
    same(run(robust.report(plots=False), data=data), robust)


def test_arrays(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(15, 12, 2)), rng.normal(size=(15, 12))
    fit = gife.InteractiveFE(y, x, n_factors=1, absorb=["entity", "time"]).fit(n_starts=3)
    same(run(fit.report(plots=False), endog=y, exog=x), fit)
    fit = (
        gife.PartialledOLS(y, x, absorb="entity").fit(cov_type="HC3").get_robustcov_results("cluster", groups="entity")
    )
    same(run(fit.report(plots=False), endog=y, exog=x), fit)


def test_names_of_the_caller_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    def half(values: Any) -> Any:
        return values / 2

    data, weights = load_cigar(), np.linspace(1, 2, 1380)
    fit = gife.PartialledOLS.from_formula("sales ~ half(price) | state", data, weights=weights).fit()
    text = fit.report(plots=False)
    assert "# used in the formula, and yours: half" in source(text)
    assert "# weights: ndarray of 1380 values, as given to the call" in source(text)
    same(run(text, data=data, weights=weights, half=half), fit)


def test_a_learner(capsys: pytest.CaptureFixture[str]) -> None:
    learner = make_pipeline(StandardScaler(), Ridge(alpha=2.0))
    model = gife.PartialledOLS.from_formula(
        "sales ~ price | state", load_cigar(), partial=["ndi", "cpi"], learner=learner
    )
    fit = model.fit(n_folds=3, n_repeats=2, random_state=7)
    same(run(fit.report(plots=False), data=load_cigar()), fit)
    assert "Ridge(alpha=2.0)" in source(fit.report(plots=False))
