"""Cross-fitting: folds, learners, predictions, effects first."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LassoCV, LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, TimeSeriesSplit, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning
from gifepanel.projections.absorb import Absorption
from gifepanel.projections.crossfit import after_effects, cross_fit
from gifepanel.projections.folds import draw_folds, read_folds
from gifepanel.projections.learners import read_learners, seeded, weight_keyword
from gifepanel.projections.system import Effect

N = 120


@pytest.fixture
def sample() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    z = rng.normal(size=(N, 4))
    d = np.column_stack([np.sin(z[:, 0]) + rng.normal(size=N), z[:, 1] ** 2 + rng.normal(size=N)])
    y = d @ [0.5, -1.0] + z[:, 0] * z[:, 1] + rng.normal(size=N)
    entity = np.repeat(np.arange(24), 5)
    return {"y": y, "d": d, "z": z, "entity": entity, "w": rng.uniform(0.2, 3.0, N)}


# ---- folds


def test_drawn_folds_keep_groups_together_and_are_even() -> None:
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(23), 5))
    for division in draw_folds(115, n_folds=5, n_repeats=3, groups=[groups]):
        tested = np.concatenate([division.test(k) for k in range(5)])
        assert sorted(tested) == list(range(115))
        per_fold = [np.unique(groups[division.test(k)]) for k in range(5)]
        assert sorted(map(len, per_fold)) == [4, 4, 5, 5, 5]
        for k in range(5):
            assert not np.intersect1d(groups[division.train(k)], per_fold[k]).size
            assert len(division.train(k)) + len(division.test(k)) == 115


def test_repeats_have_their_own_streams() -> None:
    five = draw_folds(60, n_repeats=5, random_state=3)
    two = draw_folds(60, n_repeats=2, random_state=3)
    assert len({tuple(division.labels) for division in five}) == 5
    assert all(np.array_equal(a.labels, b.labels) for a, b in zip(five, two, strict=False))


def test_two_ways_train_on_rows_that_share_no_group() -> None:
    first, second = np.divmod(np.arange(90), 9)
    (division,) = draw_folds(90, n_folds=3, groups=[first, second])
    assert division.n_folds == 9
    assert sorted(np.concatenate([test for _, test in division.splits()])) == list(range(90))
    for train, test in division.splits():
        assert train.size
        assert not np.intersect1d(first[train], first[test]).size
        assert not np.intersect1d(second[train], second[test]).size


def test_own_folds_in_every_form() -> None:
    labels = np.arange(N) % 4 * 10
    pairs = [(np.flatnonzero(labels != k), np.flatnonzero(labels == k)) for k in (0, 10, 20, 30)]
    forms: list[Any] = [
        labels,
        labels.tolist(),
        pairs,
        [(train.tolist(), test.tolist()) for train, test in pairs],
        [(labels != k, labels == k) for k in (0, 10, 20, 30)],
        np.stack([labels, labels]),
        [pairs, pairs],
    ]
    for form in forms:
        for division in read_folds(form, N):
            for (train, test), (own_train, own_test) in zip(pairs, division.splits(), strict=True):
                assert np.array_equal(train, own_train)
                assert np.array_equal(test, own_test)
    assert len(read_folds(forms[-1], N)) == len(read_folds(forms[-2], N)) == 2


def test_splitters_get_the_groups(sample: dict[str, np.ndarray]) -> None:
    (division,) = read_folds(GroupKFold(4), N, groups=[sample["entity"]])
    for train, test in division.splits():
        assert not np.intersect1d(sample["entity"][train], sample["entity"][test]).size


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (np.arange(N - 1) % 3, "have 119 labels"),
        (np.zeros(N, dtype=int), "one label only"),
        ("five", "The folds are str"),
        ([(np.arange(60), np.arange(60, N)), (np.arange(60, N), np.arange(59))], "1 are predicted in no fold"),
        ([(np.arange(60), np.arange(60, N)), (np.arange(61, N), np.arange(61))], "in several, row 60 first"),
        ([(np.arange(61), np.arange(60, N)), (np.arange(60, N), np.arange(60))], "trains on 1 of the rows"),
        ([([], np.arange(60)), (np.arange(60), np.arange(60, N))], "0 rows to train on"),
        ([(np.arange(60), np.arange(60, N + 1)), (np.arange(60, N), np.arange(60))], "no row numbers from 0 to 119"),
        ([(np.arange(60), np.arange(60, N)), 3], "not a pair"),
        (TimeSeriesSplit(5), "20 are predicted in no fold"),
    ],
)
def test_bad_folds_are_named(sample: dict[str, np.ndarray], folds: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        cross_fit(sample["y"], sample["d"], sample["z"], Ridge(), folds=folds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_folds": 25}, "n_folds is 25, and there are 24 groups"),
        ({"n_folds": 2.5}, "whole number"),
        ({"n_repeats": 0}, "n_repeats is 0"),
        ({"n_folds": True}, "n_folds is True"),
        ({"score": "iv"}, "score is 'iv'"),
        ({"treatments": "all"}, "treatments is 'all'"),
        ({"treatment_names": ["a"]}, "2 are needed"),
    ],
)
def test_bad_options_are_named(sample: dict[str, np.ndarray], options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        cross_fit(sample["y"], sample["d"], sample["z"], Ridge(), groups=sample["entity"], **options)


def test_unseen_levels_are_named_before_the_work(sample: dict[str, np.ndarray]) -> None:
    rare = (sample["entity"] == 7).astype(float)
    z = np.column_stack([sample["z"], rare])
    names = ["a", "b", "c", "e", "industry[T.7]"]
    given = {"groups": sample["entity"], "feature_names": names}
    with pytest.raises(DataError, match=r"unseen in training: industry\[T\.7\] \(repeat 1, fold"):
        cross_fit(sample["y"], sample["d"], z, _Forbidden(), **given)
    with pytest.warns(SpecificationWarning, match="unseen in training"):
        cross_fit(sample["y"], sample["d"], z, Ridge(), unseen="warn", **given)
    # after effects of time the dummy is no longer constant anywhere: the columns as observed tell
    time = np.tile(np.arange(5), 24)
    noise = 1e-3 * np.random.default_rng(1).normal(size=5)[time]
    blurred = np.column_stack([sample["z"], rare + noise])
    cross_fit(sample["y"], sample["d"], blurred, Ridge(), **given)
    with pytest.raises(DataError, match="unseen in training"):
        cross_fit(sample["y"], sample["d"], blurred, Ridge(), as_observed=np.column_stack([sample["d"], z]), **given)


def test_treatments_constant_in_training_are_named(sample: dict[str, np.ndarray]) -> None:
    treated = (sample["entity"] == 3).astype(float)
    with pytest.raises(DataError, match=r"unseen in training: policy \(repeat 1"):
        cross_fit(sample["y"], treated, sample["z"], Ridge(), groups=sample["entity"], treatment_names=["policy"])


def test_groups_on_both_sides_of_own_folds_warn(sample: dict[str, np.ndarray]) -> None:
    with pytest.warns(SpecificationWarning, match="24 groups have rows on both sides of fold 1"):
        cross_fit(sample["y"], sample["d"], sample["z"], Ridge(), groups=sample["entity"], folds=np.arange(N) % 5)


# ---- predictions


@pytest.mark.parametrize(
    "learner",
    [LinearRegression(), LassoCV(cv=3), make_pipeline(StandardScaler(), PolynomialFeatures(2), Ridge(1.0))],
)
def test_predictions_are_cross_val_predict(sample: dict[str, np.ndarray], learner: Any) -> None:
    folds = list(KFold(4, shuffle=True, random_state=1).split(sample["z"]))
    fit = cross_fit(sample["y"], sample["d"], sample["z"], learner, folds=folds)
    expected = [cross_val_predict(learner, sample["z"], t, cv=folds) for t in (sample["y"], *sample["d"].T)]
    assert np.allclose(fit.outcome_hat[0, :, 0], expected[0], rtol=0, atol=1e-12)
    assert np.allclose(fit.treatment_hat[0], np.column_stack(expected[1:]), rtol=0, atol=1e-12)
    assert np.allclose(fit.y_tilde(0)[:, 0], sample["y"] - expected[0], rtol=0, atol=1e-12)
    targets = (sample["y"], *sample["d"].T)
    assert np.allclose(fit.quality.r2[0], [r2_score(t, p) for t, p in zip(targets, expected, strict=True)])
    assert np.allclose(
        fit.quality.rmse[0], [root_mean_squared_error(t, p) for t, p in zip(targets, expected, strict=True)]
    )
    assert fit.quality.names == ("y", "d1", "d2")


def test_one_at_a_time_learns_from_the_other_treatments(sample: dict[str, np.ndarray]) -> None:
    folds = list(KFold(3).split(sample["z"]))
    y, d, z = sample["y"], sample["d"], sample["z"]
    fit = cross_fit(y, d, z, Ridge(), folds=folds, treatments="one at a time", score="IV-type")
    assert fit.preliminary is not None
    assert fit.structural_hat is not None
    for j in (0, 1):
        features = np.column_stack([z, d[:, 1 - j]])
        l_hat, m_hat = (cross_val_predict(Ridge(), features, t, cv=folds) for t in (y, d[:, j]))
        assert np.allclose(fit.outcome_hat[0, :, j], l_hat)
        assert np.allclose(fit.treatment_hat[0, :, j], m_hat)
        v = d[:, j] - m_hat
        theta = v @ (y - l_hat) / (v @ v)
        assert np.isclose(fit.preliminary[0, j], theta, rtol=1e-12)
        g_hat = cross_val_predict(Ridge(), features, y - theta * d[:, j], cv=folds)
        assert np.allclose(fit.structural_hat[0, :, j], g_hat)
    assert fit.quality.names == ("y (for d1)", "y (for d2)", "d1", "d2", "y - d1 theta", "y - d2 theta")


def test_iv_type_learns_at_a_joint_preliminary_estimate(sample: dict[str, np.ndarray]) -> None:
    y, d, z = sample["y"], sample["d"], sample["z"]
    folds = np.arange(N) % 3
    fit = cross_fit(y, d, z, Ridge(), folds=folds, score="IV-type", weights=sample["w"])
    root = np.sqrt(sample["w"])[:, None]
    theta = np.linalg.lstsq(root * fit.d_tilde(0), (root * fit.y_tilde(0))[:, 0], rcond=None)[0]
    assert fit.preliminary is not None
    assert np.allclose(fit.preliminary[0], theta, rtol=1e-10)
    assert fit.structural_hat is not None
    train = folds != 1
    own = Ridge().fit(z[train], (y - d @ theta)[train], sample_weight=sample["w"][train])
    assert np.allclose(fit.structural_hat[0, folds == 1, 0], own.predict(z[folds == 1]))
    assert fit.quality.names[-1] == "y - d1 theta - d2 theta"


def test_weights_reach_the_learners(sample: dict[str, np.ndarray]) -> None:
    y, d, z, w = (sample[name] for name in "ydzw")
    folds = np.arange(N) % 3
    pipeline = make_pipeline(StandardScaler(), Ridge(3.0))
    fit = cross_fit(y, d[:, 0], z, pipeline, folds=folds, weights=w)
    train = folds != 2
    own = make_pipeline(StandardScaler(), Ridge(3.0)).fit(z[train], y[train], ridge__sample_weight=w[train])
    assert np.allclose(fit.outcome_hat[0, ~train, 0], own.predict(z[~train]))
    assert np.isclose(fit.quality.r2[0, 0], r2_score(y, fit.outcome_hat[0, :, 0], sample_weight=w))
    assert weight_keyword(GridSearchCV(pipeline, {"ridge__alpha": [1.0]})) == "ridge__sample_weight"
    assert weight_keyword(KNeighborsRegressor()) is None
    with pytest.warns(SpecificationWarning, match="learners of d1 take no weights"):
        cross_fit(y, d[:, 0], z, {"y": Ridge(), "treatment": KNeighborsRegressor()}, folds=folds, weights=w)


def test_classifiers_predict_probabilities(sample: dict[str, np.ndarray]) -> None:
    treated = (sample["d"][:, 0] > 0).astype(float)
    folds = list(KFold(4).split(sample["z"]))
    learner = {"outcome": Ridge(), "treatment": LogisticRegression()}
    fit = cross_fit(sample["y"], treated, sample["z"], learner, folds=folds)
    expected = cross_val_predict(
        LogisticRegression(), sample["z"], treated.astype(int), cv=folds, method="predict_proba"
    )[:, 1]
    assert np.allclose(fit.treatment_hat[0, :, 0], expected, rtol=0, atol=1e-12)
    with pytest.raises(SpecificationError, match=r"d1 is a classifier.*other than 0 and 1"):
        cross_fit(sample["y"], sample["d"], sample["z"], learner, folds=folds)


# ---- reproducibility


def test_same_numbers_whatever_the_workers(sample: dict[str, np.ndarray]) -> None:
    def run(**options: Any) -> Any:
        learner = RandomForestRegressor(n_estimators=5, max_depth=3)
        return cross_fit(sample["y"], sample["d"], sample["z"], learner, groups=sample["entity"], n_folds=3, **options)

    one, two, longer = run(n_repeats=2), run(n_repeats=2, n_jobs=2), run(n_repeats=3)
    assert np.array_equal(one.outcome_hat, two.outcome_hat)
    assert np.array_equal(one.treatment_hat, two.treatment_hat)
    assert np.array_equal(one.outcome_hat, longer.outcome_hat[:2])
    other = run(n_repeats=2, random_state=1)
    assert not np.allclose(one.outcome_hat, other.outcome_hat)


def test_open_random_states_come_from_the_task() -> None:
    learner = GridSearchCV(
        make_pipeline(StandardScaler(), RandomForestRegressor()),
        {"randomforestregressor__max_depth": [2]},
        cv=KFold(3, shuffle=True),
    )
    own = seeded(learner, np.random.SeedSequence(1))
    again = seeded(learner, np.random.SeedSequence(1))
    other = seeded(learner, np.random.SeedSequence(2))
    key = "estimator__randomforestregressor__random_state"
    assert own.get_params()[key] == again.get_params()[key] != other.get_params()[key]
    assert own.cv.random_state == again.cv.random_state != other.cv.random_state
    assert learner.get_params()[key] is None
    assert learner.cv.random_state is None
    assert seeded(RandomForestRegressor(random_state=4), np.random.SeedSequence(1)).random_state == 4


def test_the_callers_learner_stays_unfitted(sample: dict[str, np.ndarray]) -> None:
    learner = Ridge()
    cross_fit(sample["y"], sample["d"], sample["z"], learner, n_folds=2)
    assert not hasattr(learner, "coef_")


def test_progress_counts_all_tasks(sample: dict[str, np.ndarray]) -> None:
    seen: list[tuple[int, int]] = []
    cross_fit(
        sample["y"],
        sample["d"],
        sample["z"],
        Ridge(),
        n_folds=4,
        n_repeats=2,
        progress=lambda a, b: seen.append((a, b)),
    )
    assert seen == [(k + 1, 24) for k in range(24)]


# ---- learners by name, and what is wrong with them


def test_learners_by_name() -> None:
    a, b, c, g = Ridge(1.0), Ridge(2.0), Ridge(3.0), Ridge(4.0)
    found = read_learners({"wage": a, "treatment": b, "x2": c}, "wage", ["x1", "x2"])
    assert found.outcome is a
    assert found.treatments == (b, c)
    assert found.structural is a
    assert read_learners({"outcome": a, "treatment": b, "structural": g}, "y", ["x"], structural=True).structural is g


class _Forbidden(RegressorMixin, BaseEstimator):
    """Must not be asked to work."""

    def fit(self, x: Any, y: Any) -> Any:
        raise AssertionError

    predict = fit


class _Odd(RegressorMixin, BaseEstimator):
    """Predicts what it is told to."""

    def __init__(self, what: str = "shape") -> None:
        self.what = what

    def fit(self, x: Any, y: Any) -> _Odd:
        if self.what == "needs rows" and len(y) < 70:
            raise ValueError("too few")
        if self.what == "fails":
            raise ValueError("no such solver")
        self.rows_ = len(y)
        return self

    def predict(self, x: Any) -> Any:
        if self.what == "shape":
            return np.zeros((len(x), 2))
        if self.what == "nan":
            return np.full(len(x), np.nan)
        if self.what == "late nan":
            return np.where(np.arange(len(x)) > 0, 0.0, np.nan) if len(x) == 39 else np.zeros(len(x))
        return np.array(["a"] * len(x)) if self.what == "text" else np.zeros((len(x), 1))


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        ({"y": Ridge(), "x1": Ridge(), "x3": Ridge()}, r"key 'x3'.*Did you mean 'x[12]'"),
        ({"y": Ridge(), "treatments": Ridge()}, "Did you mean 'treatment'"),
        ({"ml_l": Ridge(), "ml_m": Ridge()}, "Did you mean 'outcome'"),
        ({"y": Ridge(), "treatment": Ridge(), "structural": Ridge()}, "goes with score"),
        ({"y": Ridge(), "x1": Ridge()}, "No learner for x2"),
        ({"treatment": Ridge()}, "No learner for y"),
        (Ridge, r"is a class, Ridge\..* Ridge\(\)"),
        ({"outcome": Ridge(), "x1": StandardScaler(), "x2": Ridge()}, r"of x1, StandardScaler\(\), has no predict"),
        ("lasso", "has no fit and no predict"),
        (_Odd("shape"), r"of y, _Odd\(\), predicts an array of shape \(\d+, 2\)"),
        ({"y": Ridge(), "x1": Ridge(), "x2": _Odd("nan")}, "of x2.*NaN or infinite"),
        (_Odd("text"), "values of type <U1"),
        (_Odd("fails"), "of y.*failed: ValueError: no such solver"),
        (_Odd("late nan"), r"of y \(repeat 1, fold 2\).*1 values that are NaN"),
    ],
)
def test_bad_learners_are_named(sample: dict[str, np.ndarray], learner: Any, message: str) -> None:
    folds = np.repeat([0, 1, 2], [41, 39, 40])
    with pytest.raises(SpecificationError, match=message):
        cross_fit(
            sample["y"], sample["d"], sample["z"], learner, folds=folds, outcome_name="y", treatment_names=["x1", "x2"]
        )


def test_bad_learners_are_found_before_the_work(sample: dict[str, np.ndarray]) -> None:
    started: list[int] = []
    with pytest.raises(SpecificationError, match="of x2"):
        cross_fit(
            sample["y"],
            sample["d"],
            sample["z"],
            {"outcome": Ridge(), "x1": Ridge(), "x2": _Odd("shape")},
            treatment_names=["x1", "x2"],
            progress=lambda done, total: started.append(done),
        )
    assert not started


def test_a_learner_that_needs_many_rows_is_tried_on_them(sample: dict[str, np.ndarray]) -> None:
    fit = cross_fit(sample["y"], sample["d"], sample["z"], _Odd("needs rows"), n_folds=3)
    assert np.array_equal(fit.y_tilde(0)[:, 0], sample["y"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(N - 1)}, "have shapes"),
        ({"d": np.full(N, np.inf)}, "d1 is NaN or infinite in 120 rows"),
        ({"z": np.full((N, 1), np.nan)}, "z1 is NaN or infinite"),
        ({"weights": -np.ones(N)}, "weights have shape"),
        ({"as_observed": np.ones((N, 3))}, "as_observed has shape"),
        ({"groups": np.full(N, np.nan)}, "groups of the folds hold NaN"),
    ],
)
def test_bad_arrays_are_named(sample: dict[str, np.ndarray], change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {name: sample[name] for name in "ydz"} | change
    with pytest.raises(DataError, match=message):
        cross_fit(learner=Ridge(), **given)


def test_no_features_and_perfect_prediction_are_named(sample: dict[str, np.ndarray]) -> None:
    with pytest.raises(SpecificationError, match="no features"):
        cross_fit(sample["y"], sample["d"], np.empty((N, 0)), Ridge())
    with pytest.raises(DataError, match="Nothing is left of d1"):
        cross_fit(sample["y"], sample["z"] @ np.ones(4), sample["z"], LinearRegression())


# ---- identities


def test_one_fold_of_least_squares_is_fwl(sample: dict[str, np.ndarray]) -> None:
    y, d, z = sample["y"], sample["d"], sample["z"]
    with pytest.warns(SpecificationWarning, match="n_folds is 1"):
        fit = cross_fit(y, d, z, LinearRegression(), n_folds=1)
    basis = np.column_stack([np.ones(N), z])
    for own, column in ((fit.y_tilde(0)[:, 0], y), (fit.d_tilde(0)[:, 0], d[:, 0])):
        assert np.allclose(own, column - basis @ np.linalg.lstsq(basis, column, rcond=None)[0], rtol=0, atol=1e-12)
    with warnings.catch_warnings():
        again = cross_fit(y, d, z, LinearRegression(), folds=[(np.arange(N), np.arange(N))])
    assert np.allclose(again.d_tilde(0), fit.d_tilde(0), rtol=0, atol=1e-13)


def test_effects_first_is_the_regression_on_dummies(sample: dict[str, np.ndarray]) -> None:
    entity, time = sample["entity"], np.tile(np.arange(5), 24)
    steady = entity.astype(float)[:, None] ** 2
    z = np.column_stack([sample["z"], steady])
    projection = Absorption((Effect("i", entity, 24), Effect("t", time, 5)), sample["w"])
    clean = after_effects(projection, sample["y"], sample["d"], z)
    assert clean.spanned_features == (4,)
    assert clean.spanned_treatments == ()
    assert not clean.z[:, 4].any()
    everything = (np.arange(N), np.arange(N))
    fit = cross_fit(clean.y, clean.d, clean.z, LinearRegression(), folds=[everything], weights=sample["w"])
    dummies = np.column_stack([np.eye(24)[entity], np.eye(5)[time]])
    root = np.sqrt(sample["w"])[:, None]
    full = np.column_stack([sample["d"], sample["z"], dummies]) * root
    beta = np.linalg.lstsq(full, sample["y"] * root[:, 0], rcond=None)[0][:2]
    left = root * fit.d_tilde(0)
    assert np.allclose(np.linalg.lstsq(left, root[:, 0] * fit.y_tilde(0)[:, 0], rcond=None)[0], beta, atol=1e-10)


def test_trees_overfit_in_sample_and_not_out_of_fold(sample: dict[str, np.ndarray]) -> None:
    everything = [(np.arange(N), np.arange(N))]
    tree = DecisionTreeRegressor(random_state=0)
    inside = cross_fit(sample["y"], sample["d"], sample["z"], {"y": tree, "treatment": Ridge()}, folds=everything)
    outside = cross_fit(sample["y"], sample["d"], sample["z"], tree)
    assert inside.quality.r2[0, 0] == 1.0
    assert outside.quality.r2[0, 0] < 0.6
