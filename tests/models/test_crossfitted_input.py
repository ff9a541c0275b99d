"""Mistakes with learners, folds and their options: each is named before any learner is trained."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gifepanel import PartialledOLS
from gifepanel.exceptions import (
    CollinearityWarning,
    ConvergenceError,
    ConvergenceWarning,
    DataError,
    GifepanelError,
    SpecificationError,
    SpecificationWarning,
)
from gifepanel.models import crossfitted
from gifepanel.projections import absorb, crossfit, reduced
from tests.models.partialled_data import panel


def model(learner: Any, formula: str = "y ~ x1 | firm", data: Any = None, **options: Any) -> PartialledOLS:
    options.setdefault("partial", "z1 + z2")
    return PartialledOLS.from_formula(formula, panel() if data is None else data, learner=learner, **options)


class Own:
    """An estimator that is none of scikit-learn's classes."""

    def __init__(self, shape: str = "right") -> None:
        self.shape = shape

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"shape": self.shape}

    def set_params(self, **params: Any) -> Own:
        self.__dict__.update(params)
        return self

    def fit(self, x: Any, y: Any) -> Own:
        self.mean = y.mean()
        return self

    def predict(self, x: Any) -> Any:
        n = len(x)
        shapes = {"wide": (n, 2), "short": (n - 1,), "scalar": ()}
        out = np.full(shapes.get(self.shape, (n,)), self.mean)
        return out.astype(str) if self.shape == "text" else np.where(self.shape == "missing", np.nan, out)


CLUSTER: dict[str, Any] = {"cov_type": "cluster", "cov_kwds": {"groups": "firm"}}


def two_folds() -> list[Any]:
    return [(np.arange(300), np.arange(150)), (np.arange(150), np.arange(150, 300))]


@pytest.mark.parametrize(
    ("learner", "match"),
    [
        (Own("wide"), r"learner of y, .*predicts an array of shape \(60, 2\) for 60 rows"),
        (Own("short"), r"predicts an array of shape \(59,\) for 60 rows"),
        (Own("scalar"), r"predicts an array of shape \(\)"),
        (Own("text"), "predicts values of type <U"),
        (Own("missing"), "predicts 60 values that are NaN"),
        (Ridge, r"is a class, Ridge.*Ridge\(\)"),
        ("ridge", "has no fit and no predict"),
        ([Ridge(), Ridge()], "has no fit"),
        (StandardScaler(), r"StandardScaler\(\), has no predict"),
        (make_pipeline(StandardScaler()), "has no predict"),
        ({"ml_l": Ridge(), "ml_m": Ridge()}, "Did you mean 'outcome'"),
        ({"outcome": Ridge()}, 'No learner for x1.*"x1"'),
        ({}, "No learner for y"),
        ({"outcome": Ridge(), "treatment": LogisticRegression()}, r'is a classifier.*"x1": a regressor'),
        (Ridge(alpha=-1.0), r"Ridge\(alpha=-1.0.*failed: InvalidParameterError"),
    ],
)
def test_learners(learner: Any, match: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossfit, "run_tasks", lambda *a, **k: pytest.fail("work began before the learner was tried"))
    with pytest.raises(SpecificationError, match=match):
        model(learner).fit()


def test_a_learner_of_ones_own() -> None:
    res = model(Own()).fit(folds="region")
    y, x, fold = (panel()[name].to_numpy(dtype=float) for name in ("y", "x1", "region"))
    firm = panel()["firm"]
    y, x = (v - pd.Series(v, index=firm.index).groupby(firm).transform("mean").to_numpy() for v in (y, x))
    left = {}
    for name, v in (("y", y), ("x", x)):
        left[name] = v - np.array([v[fold != k].mean() for k in fold])
    assert_allclose(res.params["x1"], left["x"] @ left["y"] / (left["x"] @ left["x"]), rtol=1e-10)


@pytest.mark.parametrize(
    ("wrong", "match", "right"),
    [
        ({"n_folds": 0}, "n_folds=5", {"n_folds": 5}),
        ({"n_folds": 2.5}, "n_folds=5", {"n_folds": 5}),
        ({"n_folds": 1000}, "there are 300 rows.*n_folds=5", {"n_folds": 5}),
        ({"n_repeats": 0}, "n_repeats=1", {"n_repeats": 1}),
        ({"aggregation": "mode"}, "aggregation='median'", {"aggregation": "median"}),
        ({"score": "IV"}, "score='partialling out'", {"score": "partialling out"}),
        ({"treatments": "all"}, "treatments='jointly'", {"treatments": "jointly"}),
        ({"unseen": "ignore"}, "unseen='raise'", {"unseen": "raise"}),
        ({"ssc": "fixst"}, "ssc='fixest'", {"ssc": "fixest"}),
        ({"random_state": "a"}, "random_state=0", {"random_state": 0}),
        ({"random_state": -1}, "random_state=0", {"random_state": 0}),
        ({"n_jobs": "two"}, "n_jobs=2", {"n_jobs": 2}),
        ({"n_jobs": 0}, "n_jobs=2", {"n_jobs": 2}),
        ({"folds": 5}, "folds is 5.*n_folds=5", {"n_folds": 5}),
        ({"folds": "regio"}, "folds= names 'regio'.*'region' instead", {"folds": "region"}),
        ({"folds": np.arange(10)}, r"folds have shape \(10,\)", {"folds": np.arange(300) % 5}),
        ({"folds": np.zeros(300)}, "one label only", {"folds": np.arange(300) % 5}),
        ({"folds": two_folds()}, "trains on 150 of the rows it predicts", {"folds": KFold(2)}),
        ({"cov_type": "HC3"}, "the model has a learner.*cov_type='HC1'", {"cov_type": "HC1"}),
        ({"cov_type": {"CRV1": "firm"}}, "the model has a learner", {"cov_type": "HC0"}),
        ({"cov_type": "HC1", "cov_kwds": {"groups": "firm"}}, 'groups came with.*"cluster"', CLUSTER),
        ({"cov_kwds": "firm"}, r"cov_kwds=\{\"groups\": 'firm'\}", {"cov_kwds": {"groups": "firm"}}),
        ({"cov_kwds": {"groups": "frm"}}, "'firm' instead of 'frm'", {"cov_kwds": {"groups": "firm"}}),
        ({"cov_kwds": {"groups": np.ones(300)}}, "one level", {"cov_type": "HC0"}),
    ],
)
def test_options(wrong: dict[str, Any], match: str, right: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    trained = crossfit.run_tasks
    monkeypatch.setattr(crossfit, "run_tasks", lambda *a, **k: pytest.fail("work began before the input was checked"))
    with pytest.raises(GifepanelError, match=match):
        model(Ridge()).fit(**wrong)
    monkeypatch.setattr(crossfit, "run_tasks", trained)
    assert np.isfinite(model(Ridge()).fit(**right).bse).all()


def test_more_folds_than_entities() -> None:
    data = panel().groupby(["firm", "year"]).first()
    with pytest.raises(SpecificationError, match=r"n_folds is 40, and there are 25 groups.*n_folds=5"):
        model(Ridge(), data=data).fit(n_folds=40)
    with pytest.warns(SpecificationWarning, match="25 groups have rows on both sides of fold 1") as caught:
        model(Ridge(), data=data).fit(folds=np.arange(len(data)) % 3)
    assert caught[0].filename == __file__


def test_levels_that_a_fold_has_not_seen() -> None:
    """Named before the work; the fix runs, and says so at the caller's line."""
    data = panel().reset_index(drop=True).assign(rare=lambda d: np.where(d.index == 5, "b", "a"))
    for formula in ("y ~ x1", "y ~ x1 | firm"):
        rare = model(Ridge(), formula, data, partial="z1 + rare")
        with pytest.raises(DataError, match=r"Levels unseen in training: rare\[T.b\].*unseen=\"warn\""):
            rare.fit()
        with pytest.warns(SpecificationWarning, match="extrapolations") as caught:
            res = rare.fit(unseen="warn")
        assert caught[0].filename == __file__
        assert np.isfinite(res.params).all()


def test_other_warnings_point_at_the_caller() -> None:
    with pytest.warns(SpecificationWarning, match="n_folds is 1") as caught:
        model(Ridge()).fit(n_folds=1)
    assert caught[0].filename == __file__
    with pytest.warns(SpecificationWarning, match="take no weights") as caught:
        model(KNeighborsRegressor(), weights="w").fit()
    assert caught[0].filename == __file__


def test_folds_go_with_the_rows_of_the_sample() -> None:
    """Labels of all rows, a column, and labels of the rows that are left: one answer."""
    data = panel().assign(x1=lambda d: d["x1"].where(d["firm"] > 1), half=lambda d: d["year"] % 2)
    fit = model(Ridge(), data=data)
    expected = fit.fit(folds="half").params
    for folds in (data["half"], data["half"].to_numpy(), data["half"].to_numpy()[fit.design.esample]):
        assert_allclose(fit.fit(folds=folds).params, expected, rtol=1e-12)
    with pytest.raises(DataError, match=r"folds.loc\[data.index\]"):
        fit.fit(folds=data["half"].sort_values())


def test_columns_that_effects_span() -> None:
    """A large level is no variation: what rounding leaves of a spanned column is nothing to learn from."""
    data = panel().assign(
        size=lambda d: 1e7 + d["firm"] / 3, far=lambda d: 1e10 + d["x1"], of_firm=lambda d: d["firm"] / 7
    )
    learner = LinearRegression()
    with pytest.warns(CollinearityWarning) as caught:
        res = model(learner, "y ~ x1 + size | firm", data, partial="z1 + of_firm").fit(folds="region")
    assert [str(w.message).partition(".")[0] for w in caught] == [
        "size was dropped: it is spanned by firm",
        "of_firm adds nothing to effects and other controls, and took no part",
    ]
    assert {w.filename for w in caught} == {__file__}
    assert res.spanned == ("size",)
    plain = model(learner, "y ~ x1 | firm", data, partial="z1").fit(folds="region")
    assert_allclose(res.params["x1"], plain.params["x1"], rtol=1e-8)
    shifted = model(learner, "y ~ far | firm", data, partial="z1").fit(folds="region")
    assert_allclose(shifted.params["far"], plain.params["x1"], rtol=1e-5)
    with pytest.raises(DataError, match=r"outcome y doesn't vary beyond firm"):
        model(learner, data=panel().assign(y=lambda d: d["firm"] / 3 + 100)).fit()
    with pytest.warns(CollinearityWarning, match="block adds"), pytest.raises(SpecificationError, match="no features"):
        model(learner, partial="block").fit()
    with pytest.warns(CollinearityWarning), pytest.raises(DataError, match="No regressor is left: block"):
        model(learner, "y ~ block | firm").fit()
    with pytest.raises(DataError, match="Nothing is left of x1: its learner predicts it perfectly"):
        model(learner, "y ~ x1", panel().assign(c=lambda d: 2 * d["x1"]), partial="c").fit()


def test_absorption_that_does_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduced, "DENSE", -1)
    monkeypatch.setattr(reduced, "_SPARSE_DEGREE", 10**9)
    monkeypatch.setattr(reduced, "_SLOW", 2.0)
    monkeypatch.setattr(absorb, "_REFINEMENTS", 1)
    tight = model(Ridge(), "y ~ x1 | firm + year + region")
    with pytest.raises(ConvergenceError, match="absorption stopped"):
        tight.fit(tol=1e-19)
    with pytest.warns(ConvergenceWarning, match="absorption stopped") as caught:
        tight.fit(tol=1e-19, nonconvergence="warn")
    assert caught[0].filename == __file__


def test_clusters_of_every_form() -> None:
    data = panel()
    fit = model(Ridge())
    expected = fit.fit(cov_type="cluster", cov_kwds={"groups": ["block", "region"]}).bse
    for groups in (("block", "region"), data[["block", "region"]], [data["block"], data["region"]]):
        assert_allclose(fit.fit(cov_kwds={"groups": groups}).bse, expected, rtol=1e-12)
    with pytest.raises(SpecificationError, match="could be firm") as caught:  # no entity, as without a learner
        fit.fit(cov_type="cluster")
    assert caught.value.fix == 'cov_kwds={"groups": "firm"}'
    few = model(Ridge(), "y ~ x1 + x2 + trend | firm", data.assign(g=lambda d: d["region"] % 2))
    with pytest.warns(SpecificationWarning, match="2 clusters for 3 coefficients") as caught:
        few.fit(cov_kwds={"groups": "g"})
    assert caught[0].filename == __file__


def test_a_good_call_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model({"outcome": Ridge(), "x1": make_pipeline(StandardScaler(), Ridge())}, weights="w").fit(n_repeats=2)
    usual = crossfitted.CrossFitOptions()
    written = PartialledOLS.fit.__kwdefaults__
    assert {name: getattr(usual, name) for name in usual.names()} == {name: written[name] for name in usual.names()}
